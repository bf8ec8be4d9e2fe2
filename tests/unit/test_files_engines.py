"""Engines, the real ones and those that are not what they seem."""

import importlib.util
import re
import sys
import types
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from boundedcollections.files.engines import Engine, Hits, engine_named
from boundedcollections.files.index import ReplaceOnIndex


@dataclass
class Match:
    score: int
    index: int


class Haystacks(list[str]):
    """A list of texts."""


class Matcher:
    """Matches as frizbee does, slowly."""

    def __init__(self, needle: str, *, max_items: int, **options: Any) -> None:
        self.options = options
        self.max_items = max_items
        self.pattern = re.compile(".*?".join(map(re.escape, needle)), re.IGNORECASE | re.DOTALL)

    def match_list(self, texts: Sequence[str]) -> list[Match]:
        found = []
        for index, text in enumerate(texts):
            match = self.pattern.search(text)
            if match:
                found.append(Match(1_000 - match.start() - len(match.group()), index))
        return sorted(found, key=lambda match: (-match.score, match.index))[: self.max_items]


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Any:
    module: Any = types.ModuleType("frizbee")
    module.Haystacks, module.Matcher, module.Scoring = Haystacks, Matcher, dict
    monkeypatch.setitem(sys.modules, "frizbee", module)
    return module


@pytest.fixture(params=["standard", "stand-in", "frizbee"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    if request.param == "stand-in":
        request.getfixturevalue("stand_in")
    elif request.param == "frizbee" and importlib.util.find_spec("frizbee") is None:
        pytest.skip("frizbee is not installed")
    with warnings.catch_warnings(action="error"):
        yield engine_named("standard" if request.param == "standard" else "frizbee")


GROUPS = [[b"Alpha", b"apple"], [b"beta", b"Bar", b"b_a"], [], ["größe".encode(), b"g\xff"]]


class TestMatchers:
    @pytest.mark.parametrize(
        ("letters", "numbers"),
        [
            (b"a", {0, 1, 2, 3, 4}),
            (b"ba", {2, 3, 4}),
            (b"ale", {1}),
            (b"x", set()),
            ("gö".encode(), {5}),
            ("rß".encode(), {5}),
            (b"g\xff", {6}),
            (b"_", {4}),
            (b".", set()),
            (b"b" * 1_024, set()),
        ],
    )
    def test_what_holds_the_letters_in_order_is_found(
        self, engine: Engine, letters: bytes, numbers: set[int]
    ) -> None:
        hits = engine.matcher(GROUPS).hits(letters, [range(7)], 10)
        assert set(hits.numbers) == numbers
        assert len(hits.numbers) == len(numbers)
        assert not hits.is_cut

    def test_only_the_spans_are_looked_at(self, engine: Engine) -> None:
        matcher = engine.matcher(GROUPS)
        assert set(matcher.hits(b"a", [range(2)], 10).numbers) == {0, 1}
        assert set(matcher.hits(b"a", [range(2, 5)], 10).numbers) == {2, 3, 4}
        assert set(matcher.hits(b"a", [range(2), range(5, 7)], 10).numbers) == {0, 1}
        assert matcher.hits(b"a", [range(0), range(7, 7)], 10) == Hits([], is_cut=False)

    def test_more_hits_than_are_wanted_are_cut_and_that_is_said(self, engine: Engine) -> None:
        matcher = engine.matcher(GROUPS)
        for most in range(1, 7):
            hits = matcher.hits(b"a", [range(2), range(2, 5)], most)
            assert len(hits.numbers) == min(most, 5)
            assert hits.is_cut == (most < 5)

    def test_no_texts_are_matched_too(self, engine: Engine) -> None:
        matcher = engine.matcher([])
        assert matcher.hits(b"a", [range(0)], 10) == Hits([], is_cut=False)
        assert 0 < matcher.current_bytes <= engine.fixed_bytes

    def test_the_bytes_are_within_what_the_engine_says(self, engine: Engine) -> None:
        texts = [b"%05d" % number for number in range(5_000)]
        matcher = engine.matcher([texts])
        each = (matcher.current_bytes - engine.fixed_bytes) / len(texts) - 5
        assert each <= engine.bytes_per_text
        assert set(matcher.hits(b"4999", [range(5_000)], 100).numbers) == {4999}


class TestFallingBack:
    def test_a_missing_engine_is_replaced_with_one_warning(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        (tmp_path / "file").touch()
        monkeypatch.setitem(sys.modules, "frizbee", None)
        with pytest.warns(RuntimeWarning, match="frizbee cannot be used") as warned:
            index = ReplaceOnIndex(tmp_path, search_engine="frizbee")
        index.index()
        assert index.search("fl")[0].path == "file"
        assert len(warned) == 1

    @pytest.mark.parametrize("wrong", ["Haystacks", "Matcher", "Scoring"])
    def test_another_module_by_that_name_is_replaced(
        self, stand_in: types.ModuleType, wrong: str
    ) -> None:
        delattr(stand_in, wrong)
        with pytest.warns(RuntimeWarning, match=f"AttributeError.*{wrong}"):
            assert engine_named("frizbee").name == "standard"

    def test_one_that_finds_something_else_is_replaced(
        self, stand_in: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Matcher, "match_list", lambda self, texts: [])
        with pytest.warns(RuntimeWarning, match="another frizbee than expected"):
            assert engine_named("frizbee").name == "standard"

    def test_an_unknown_engine_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(
            ValueError, match="search_engine must be one of standard, frizbee, got 'fzf'"
        ):
            ReplaceOnIndex(tmp_path, search_engine="fzf")


@pytest.mark.parametrize("name", ["standard", "stand-in"])
def test_an_index_searches_with_the_engine_that_it_is_given(
    tmp_path: Path, stand_in: types.ModuleType, name: str
) -> None:
    for path in ("main.py", "Domain.md", "other"):
        (tmp_path / path).touch()
    engine = "frizbee" if name == "stand-in" else name
    index = ReplaceOnIndex(tmp_path, search_engine=engine)
    index.index()
    before = index.current_bytes
    assert [match.path for match in index.search("mai")] == ["main.py", "Domain.md"]
    assert before < index.current_bytes <= index.peak_bytes <= index.max_bytes
    index._check()


@pytest.mark.parametrize("name", ["standard", "stand-in"])
def test_the_default_bounds_have_room_for_as_many_ordinary_files_as_they_allow(
    tmp_path: Path, stand_in: types.ModuleType, name: str
) -> None:
    for number in range(400):
        folder = tmp_path / f"packages/component-{number:03}"
        folder.mkdir(parents=True)
        for file in range(7):
            (folder / f"a_name_of_usual_length_{number:03}{file}.py").touch()
    engine = "frizbee" if name == "stand-in" else name
    index = ReplaceOnIndex(tmp_path, search_engine=engine)
    small = ReplaceOnIndex(tmp_path, search_engine=engine, max_bytes=_share_of(index, 400 * 7))
    report = small.index()
    assert (report.files, report.truncated) == (400 * 7, ())
    assert not small.search("zzz").incomplete


def _share_of(index: ReplaceOnIndex, files: int) -> int:
    """Return what the default bound is for so many files, and what an empty index takes."""
    return index.max_bytes * files // index.max_files + 128 * 1024
