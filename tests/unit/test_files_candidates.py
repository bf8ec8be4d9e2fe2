"""The tiers of candidates where there is much to look at: what is likely first, then the rest."""

from collections.abc import Iterable
from pathlib import Path

import pytest
from trees import plant

from boundedcollections.files.across import AcrossFolders
from boundedcollections.files.candidates import Candidates
from boundedcollections.files.engines import Hits
from boundedcollections.files.folder_table import FolderTable
from boundedcollections.files.index import ReplaceOnIndex
from boundedcollections.files.query import Query
from boundedcollections.files.standard import StandardEngine
from boundedcollections.files.tables import Tables


def candidates(folder: Path, query: str, *paths: str) -> Candidates:
    index = ReplaceOnIndex(plant(folder, *paths))
    index.index()
    tables = Tables(index.snapshot().columns, StandardEngine(), 1 << 20)
    return Candidates(tables, Query(query), 1, None)


def found(tiers: Candidates) -> list[str]:
    return sorted(tiers.worth_scoring(set()))


@pytest.fixture
def _much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StandardEngine, "quick_texts", 0)


@pytest.mark.parametrize("query", ["ab", "a/b"])
def test_what_is_left_decides_whether_the_first_answer_is_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, query: str
) -> None:
    few = candidates(tmp_path, query, "a/b")
    assert few.is_everything_likely
    monkeypatch.setattr(StandardEngine, "quick_texts", 2)  # one name, and two folders
    assert not candidates(tmp_path, query).is_everything_likely


@pytest.mark.usefixtures("_much")
def test_names_and_folders_that_begin_with_another_letter_come_later(tmp_path: Path) -> None:
    tiers = candidates(tmp_path, "ab", "a-b", "xab/z", "xaxb")
    tiers.best()
    tiers.likely()
    assert found(tiers) == ["a-b"]
    tiers.others()
    assert found(tiers) == ["a-b", "xab/z", "xaxb"]


@pytest.mark.usefixtures("_much")
def test_folders_whose_components_begin_as_asked_come_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiers = candidates(tmp_path, "b/z", "b1/yz", "xb/yz", "axb/yz")
    with monkeypatch.context() as patched:
        patched.setattr(AcrossFolders, "add_parted", None)  # in vain
        tiers.best()
        tiers.likely()
    assert found(tiers) == ["b1/yz"]
    tiers.others()
    assert found(tiers) == ["axb/yz", "b1/yz", "xb/yz"]


@pytest.mark.usefixtures("_much")
def test_if_there_is_next_to_nothing_the_first_answer_has_more(tmp_path: Path) -> None:
    tiers = candidates(tmp_path, "mergerules", "merge/getRules", "xmergrules/z")
    tiers.best()
    tiers.likely()
    assert found(tiers) == ["merge/getRules"]
    tiers = candidates(tmp_path, "xyzw", "a/x/y-zw")
    tiers.best()
    tiers.likely()
    assert found(tiers) == ["a/x/y-zw"]


@pytest.mark.usefixtures("_much")
def test_beginnings_that_too_many_folders_hold_are_not_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [f"ab{n}/c/{m}" for n in range(3) for m in range(3)]
    first = candidates(tmp_path, "abc", *paths)
    first.likely()
    first.others()
    first.rest(is_poor=True)
    left = first.narrowing()
    cut = {(b"abc", True): Hits([], is_cut=True)}
    asked: list[bytes] = []

    def noted(table: FolderTable, letters: bytes, places: Iterable[range], most: int) -> Hits:
        asked.append(letters)
        return Hits([], is_cut=False)

    monkeypatch.setattr(FolderTable, "hits", noted)
    tables = left.tables()
    assert tables is not None
    longer = Candidates(tables, Query("abcdef"), 1, left._replace(folders=cut))
    longer.rest(is_poor=True)
    assert min(map(len, asked)) == 4
