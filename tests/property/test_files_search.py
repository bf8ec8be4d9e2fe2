"""A search that calls itself complete gives what comparing every path would give."""

import importlib.util
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boundedcollections.files.engines import Engine, engine_named
from boundedcollections.files.query import Query
from boundedcollections.files.scoring import align, fold
from boundedcollections.files.search import FileMatches, Search
from boundedcollections.files.snapshot import IndexSnapshot
from boundedcollections.files.standard import StandardEngine
from boundedcollections.files.tables import Tables
from boundedcollections.files.tree import BLOCK_FILES, Found, Tree, encoded

SEGMENTS = st.one_of(
    st.text("abAB_.-/ 1ée\u0301\udcff".replace("/", ""), min_size=1, max_size=6),
    st.sampled_from(["src", "test", "lib", "index", "test_a", "fooBar", "a.b"]),
).filter(lambda name: name not in (".", ".."))
PATHS = st.lists(st.lists(SEGMENTS, min_size=1, max_size=4).map("/".join), max_size=60)
QUERIES = st.one_of(
    st.text("abAB_.-/ 1ée\u0301srct", min_size=1, max_size=7),
    st.sampled_from(["src", "src/", "src/te", "sr/a", "ti", "test a", "fB", "lib/index"]),
)


def snapshot_of(paths: list[str]) -> IndexSnapshot:
    """Make a snapshot of these files; of a file and a folder by one name, the folder stays."""
    root: dict[str, object] = {}
    for path in paths:
        *folders, name = path.split("/")
        here = root
        for folder in folders:
            inner = here.get(folder)
            if not isinstance(inner, dict):
                inner = here[folder] = {}
            here = inner
        here.setdefault(name, None)
    tree = Tree()
    (top,) = tree.add([b""])
    files = fill(tree, top, root)
    return IndexSnapshot(Found(tree, files, 0, 0, 0, (), (), ()), 1, 0.0, 0.0)


def fill(tree: Tree, folder: int, content: dict[str, object]) -> int:
    parts: list[bytes | int] = []
    tree.parts[folder] = parts
    names: list[str] = []
    files = 0

    def flush() -> None:
        parts.extend(
            encoded("\0" + "\0".join(names[begin : begin + BLOCK_FILES]))
            for begin in range(0, len(names), BLOCK_FILES)
        )
        names.clear()

    for name in sorted(content, key=lambda name: name + "/" * isinstance(content[name], dict)):
        inner = content[name]
        if isinstance(inner, dict):
            flush()
            (child,) = tree.add([tree.paths[folder] + encoded(f"{name}/")])
            files += fill(tree, child, inner)
            parts.append(child)
        else:
            names.append(name)
            files += 1
    flush()
    return files


def every_match(snapshot: IndexSnapshot, text: str) -> list[tuple[int, int, int, str]]:
    """Compare the query with every path."""
    query = Query(text)
    ranks = []
    for path in snapshot:
        folded = fold(path, ignore_case=query.ignore_case)
        alignments = [align(term, folded) for term in query.terms]
        if not alignments or None in alignments:
            continue
        score = sum(alignment.score for alignment in alignments if alignment)
        first = min(min(alignment.positions) for alignment in alignments if alignment)
        ranks.append((-score, place(path, first), len(path), path))
    return sorted(ranks)


def place(path: str, first: int) -> int:
    """Return how far into the base name the match begins; what begins before is behind all."""
    offset = first - path.rfind("/")
    return offset if offset > 0 else len(path)


def ranks_of(matches: FileMatches) -> list[tuple[int, int, int, str]]:
    return [
        (-match.score, place(match.path, match.positions[0]), len(match.path), match.path)
        for match in matches
    ]


@pytest.fixture(scope="module", params=["standard", "in two goes", "frizbee"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Yield an engine, also one for which everything is much: it looks first at what is likely."""
    if request.param == "in two goes":
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(StandardEngine, "quick_texts", 0)
            yield engine_named("standard")
        return
    if request.param == "frizbee" and importlib.util.find_spec("frizbee") is None:
        pytest.skip("frizbee is not installed")
    yield engine_named(request.param)


def search(snapshot: IndexSnapshot, engine: Engine, text: str, limit: int) -> FileMatches:
    search = Search(snapshot, Tables(snapshot.columns, engine, 1 << 20), text, limit)
    first = search.first()
    return first if first.final else search.complete()


@settings(max_examples=250, deadline=None)
@given(paths=PATHS, text=QUERIES, limit=st.integers(1, 5))
def test_a_complete_search_gives_the_best(
    engine: Engine, paths: list[str], text: str, limit: int
) -> None:
    snapshot = snapshot_of(paths)
    snapshot.check()
    expected = every_match(snapshot, text)
    assert ranks_of(search(snapshot, engine, text, 1_000)) == expected
    matches = search(snapshot, engine, text, limit)
    assert set(ranks_of(matches)) <= set(expected)
    assert len(matches) == min(limit, len(expected))
    if not matches.incomplete:
        assert ranks_of(matches) == expected[:limit]


@settings(max_examples=150, deadline=None)
@given(paths=PATHS, text=QUERIES, limit=st.integers(1, 5))
def test_a_first_answer_is_right_as_far_as_it_goes(
    engine: Engine, paths: list[str], text: str, limit: int
) -> None:
    snapshot = snapshot_of(paths)
    tables = Tables(snapshot.columns, engine, 1 << 20)
    search = Search(snapshot, tables, text, limit)
    first = search.first()
    expected = every_match(snapshot, text)
    assert set(ranks_of(first)) <= set(expected)
    if not first.incomplete:
        assert ranks_of(first) == expected[:limit]
    if not first.final:
        assert first.incomplete
        complete = search.complete()
        assert complete.final
        assert ranks_of(complete) <= ranks_of(first) or len(complete) > len(first)


@settings(max_examples=150, deadline=None)
@given(paths=PATHS, text=QUERIES, more=st.text("abAB_.-/ 1ée\u0301srct", max_size=3))
def test_what_a_query_leaves_is_enough_for_a_longer_one(
    engine: Engine, paths: list[str], text: str, more: str
) -> None:
    snapshot = snapshot_of(paths)
    tables = Tables(snapshot.columns, engine, 1 << 20)
    before = Search(snapshot, tables, text, 1_000)
    if not before.first().final:
        before.complete()
    narrowing = before.narrowing()
    search = Search(snapshot, tables, text + more, 1_000, narrowing)
    first = search.first()
    matches = first if first.final else search.complete()
    assert ranks_of(matches) == every_match(snapshot, text + more)


@settings(max_examples=150, deadline=None)
@given(paths=PATHS, text=QUERIES)
def test_positions_are_the_letters_of_the_query(
    engine: Engine, paths: list[str], text: str
) -> None:
    query = Query(text)
    for match in search(snapshot_of(paths), engine, text, 1_000):
        assert list(match.positions) == sorted(set(match.positions))
        if len(query.terms) == 1 and match.path.isascii():
            letters = "".join(match.path[place] for place in match.positions)
            assert (letters.lower() if query.ignore_case else letters) == query.terms[0]


@settings(max_examples=100, deadline=None)
@given(paths=PATHS)
def test_tables_are_what_the_paths_say(engine: Engine, paths: list[str]) -> None:
    snapshot = snapshot_of(paths)
    tables = Tables(snapshot.columns, engine, 1 << 20)
    tables.check()
    for size in range(0, tables.bytes, max(tables.bytes // 5, 1)):
        smaller = Tables(snapshot.columns, engine, size)
        smaller.check()
        assert smaller.bytes <= size or not len(smaller.names)


@settings(max_examples=150, deadline=None)
@given(paths=PATHS)
def test_a_snapshot_is_the_sorted_list_of_its_paths(paths: list[str]) -> None:
    snapshot = snapshot_of(paths)
    snapshot.check()
    listed = list(snapshot)
    assert listed == sorted(listed)
    assert [snapshot[place] for place in range(len(snapshot))] == listed
    for path in paths:
        assert (path in snapshot) == (path in listed)
        assert list(snapshot.prefix(path[:2])) == [p for p in listed if p.startswith(path[:2])]
