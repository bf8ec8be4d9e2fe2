"""However little time a search may take, what it finds is true, and what it misses is admitted."""

import random

import pytest

from boundedcollections.files import limits
from boundedcollections.files.index import ReplaceOnIndex
from boundedcollections.files.query import Query
from boundedcollections.files.search import ranked
from boundedcollections.files.standard import StandardEngine

BOUNDS = [name for name in vars(limits) if name.startswith("MOST_")]
ENGINE_BOUNDS = ["quick_texts", "most_texts", "most_scored"]
LETTERS = "abAB"
ROUNDS = 300


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> ReplaceOnIndex:
    """Names and folders of few letters, so that nearly every query has many matches."""
    source = random.Random(1)
    root = tmp_path_factory.mktemp("letters")

    def word(longest: int) -> str:
        return "".join(source.choices(LETTERS, k=source.randint(1, longest)))

    for _ in range(300):
        folder = root.joinpath(*(word(3) + "d" for _ in range(source.randint(0, 3))))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / (word(5) + source.choice([".py", ".c"]))).touch()
    index = ReplaceOnIndex(root, use_global_gitignore=False)
    index.index()
    return index


def query(source: random.Random) -> str:
    text = "".join(source.choices(LETTERS + "d/", k=source.randint(1, 7)))
    return f"{text} {source.choice(LETTERS)}" if source.random() < 0.2 else text


def everything(index: ReplaceOnIndex, text: str) -> list[str]:
    """Look at every path."""
    query = Query(text)
    if not query.terms:  # a slash alone, say
        return []
    found = [m for path in index for m in ranked(path, query, is_ignored=False)]
    return [match.path for _, match in sorted(found)]


def test_what_a_hurried_search_finds_is_true_and_what_it_misses_is_admitted(
    index: ReplaceOnIndex,
) -> None:
    source = random.Random(2)
    cut = 0
    for _ in range(ROUNDS):
        text, limit = query(source), source.choice([1, 5, 50])
        true = everything(index, text)
        with pytest.MonkeyPatch.context() as patch:
            for name in source.sample(BOUNDS, source.randint(0, len(BOUNDS))):
                patch.setattr(limits, name, source.choice([1, 2, 5, 20]))
            for name in source.sample(ENGINE_BOUNDS, source.randint(0, 3)):
                patch.setattr(StandardEngine, name, source.choice([1, 5, 50, 400]))
            hurried = index.search(text, limit=limit)
        paths = [match.path for match in hurried]
        assert set(paths) <= set(true), text
        assert len(paths) <= limit
        if hurried.incomplete:
            cut += 1
        else:
            assert paths == true[:limit], text
    assert 0 < cut < ROUNDS
