"""A search that calls itself complete gives what comparing every path would give."""

from hypothesis import given, settings
from hypothesis import strategies as st

from boundedcollections.files.query import Query
from boundedcollections.files.scoring import align, fold
from boundedcollections.files.search import FileMatches, search
from boundedcollections.files.snapshot import IndexSnapshot
from boundedcollections.files.tree import BLOCK_FILES, Folder, Found, encoded

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
    tree = Folder("")
    files = fill(tree, root)
    return IndexSnapshot(Found(tree, files, 0, 0, 0, (), (), ()), 1, 0.0, 0.0)


def fill(folder: Folder, content: dict[str, object]) -> int:
    names: list[str] = []
    files = 0

    def flush() -> None:
        for begin in range(0, len(names), BLOCK_FILES):
            folder.parts.append(encoded("\0" + "\0".join(names[begin : begin + BLOCK_FILES])))
        names.clear()

    for name in sorted(content, key=lambda name: name + "/" * isinstance(content[name], dict)):
        inner = content[name]
        if isinstance(inner, dict):
            flush()
            child = Folder(f"{folder.path}{name}/")
            files += fill(child, inner)
            folder.parts.append(child)
        else:
            names.append(name)
            files += 1
    flush()
    return files


def every_match(snapshot: IndexSnapshot, text: str) -> list[tuple[int, bool, int, str]]:
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
        ranks.append((-score, first <= path.rfind("/"), len(path), path))
    return sorted(ranks)


def ranks_of(matches: FileMatches) -> list[tuple[int, bool, int, str]]:
    return [
        (-match.score, match.positions[0] <= match.path.rfind("/"), len(match.path), match.path)
        for match in matches
    ]


@settings(max_examples=250, deadline=None)
@given(paths=PATHS, text=QUERIES, limit=st.integers(1, 5))
def test_a_complete_search_gives_the_best(paths: list[str], text: str, limit: int) -> None:
    snapshot = snapshot_of(paths)
    snapshot.check()
    expected = every_match(snapshot, text)
    assert ranks_of(search(snapshot, text, 1_000)) == expected
    matches = search(snapshot, text, limit)
    assert set(ranks_of(matches)) <= set(expected)
    assert len(matches) == min(limit, len(expected))
    if not matches.incomplete:
        assert ranks_of(matches) == expected[:limit]


@settings(max_examples=150, deadline=None)
@given(paths=PATHS, text=QUERIES)
def test_positions_are_the_letters_of_the_query(paths: list[str], text: str) -> None:
    query = Query(text)
    for match in search(snapshot_of(paths), text, 1_000):
        assert list(match.positions) == sorted(set(match.positions))
        if len(query.terms) == 1 and match.path.isascii():
            letters = "".join(match.path[place] for place in match.positions)
            assert (letters.lower() if query.ignore_case else letters) == query.terms[0]


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
