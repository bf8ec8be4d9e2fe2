from bisect import bisect_left
from collections.abc import Iterable
from pathlib import Path
from sys import getsizeof

import pytest
from trees import plant

from boundedcollections.files.index import ReplaceOnIndex
from boundedcollections.files.snapshot import IndexSnapshot


def snapshot_of(root: Path, paths: Iterable[str]) -> IndexSnapshot:
    index = ReplaceOnIndex(plant(root, *paths))
    index.index()
    return index.snapshot()


PATHS = sorted(
    [
        *("README", "a/b/c", "a/b.c", "a/b-/c", "a/bc", "z/ü/日本語", "z/\udcff", "a-/x"),
        *(f"many/{number:03}" for number in range(200)),
        *(f"many/{number:03}+/x" for number in range(0, 200, 67)),
    ]
)


@pytest.fixture
def snapshot(tmp_path: Path) -> IndexSnapshot:
    return snapshot_of(tmp_path, PATHS)


class TestAsASequence:
    def test_it_holds_the_paths_in_the_order_of_sorted(self, snapshot: IndexSnapshot) -> None:
        assert list(snapshot) == PATHS
        assert len(snapshot) == len(PATHS)
        snapshot.check()

    def test_every_path_is_found_by_index_from_either_end(self, snapshot: IndexSnapshot) -> None:
        assert [snapshot[place] for place in range(len(PATHS))] == PATHS
        assert [snapshot[place] for place in range(-len(PATHS), 0)] == PATHS
        assert list(reversed(snapshot)) == PATHS[::-1]

    @pytest.mark.parametrize("place", [len(PATHS), -len(PATHS) - 1])
    def test_an_index_out_of_range_is_refused(self, snapshot: IndexSnapshot, place: int) -> None:
        with pytest.raises(IndexError):
            snapshot[place]

    @pytest.mark.parametrize(
        "part",
        [
            slice(None),
            slice(3, 90),
            slice(100, 50),
            slice(None, None, 7),
            slice(None, None, -1),
            slice(-5, None),
            slice(0, 10_000),
        ],
    )
    def test_slices_are_lists(self, snapshot: IndexSnapshot, part: slice) -> None:
        assert snapshot[part] == PATHS[part]

    def test_paths_are_in_it_and_others_are_not(self, snapshot: IndexSnapshot) -> None:
        assert all(path in snapshot for path in PATHS)
        for other in ("", "a", "a/b", "a/", "README/", "zz", "\udcfe", "\ud800", "many/"):
            assert other not in snapshot
        assert 3 not in snapshot
        assert b"README" not in snapshot

    def test_index_and_count_agree_with_a_list(self, snapshot: IndexSnapshot) -> None:
        for place, path in enumerate(PATHS):
            assert snapshot.index(path) == place
            assert snapshot.count(path) == 1
        assert snapshot.count("nowhere") == 0
        assert snapshot.index(PATHS[5], 5, 6) == 5
        for limits in ((6,), (0, 5), (-3,)):
            with pytest.raises(ValueError, match="is not in"):
                snapshot.index(PATHS[5], *limits)
        with pytest.raises(ValueError, match="'nowhere' is not in <IndexSnapshot 1: "):
            snapshot.index("nowhere")

    def test_bisect_works_on_it(self, snapshot: IndexSnapshot) -> None:
        assert bisect_left(snapshot, "many/") == bisect_left(PATHS, "many/")

    def test_an_empty_one_is_an_empty_sequence(self) -> None:
        empty = IndexSnapshot.empty()
        assert (list(empty), len(empty), empty[:], empty.generation) == ([], 0, [], 0)
        assert "" not in empty
        assert list(empty.prefix("")) == []
        empty.check()


class TestQueries:
    @pytest.mark.parametrize(
        "text", ["", "a", "a/", "a/b", "many/1", "many/199", "z/\udcff", "zz", "README", "\ud800"]
    )
    def test_prefix_gives_the_paths_that_begin_with_a_text(
        self, snapshot: IndexSnapshot, text: str
    ) -> None:
        assert list(snapshot.prefix(text)) == [path for path in PATHS if path.startswith(text)]

    @pytest.mark.parametrize("folder", ["", "a/", "a/b/", "many/", "z/", "nowhere/", "a-/"])
    def test_below_counts_the_files_of_a_folder(self, snapshot: IndexSnapshot, folder: str) -> None:
        assert snapshot.below(folder) == sum(path.startswith(folder) for path in PATHS)

    @pytest.mark.parametrize(
        ("pattern", "expected"),
        [
            ("README", ["README"]),
            ("b?c", ["a/b.c"]),
            ("19[0-2]", ["many/190", "many/191", "many/192"]),
            ("many/*/x", ["many/000+/x", "many/067+/x", "many/134+/x"]),
            ("/*", ["README"]),
            ("**/???", ["a/b.c", *(f"many/{n:03}" for n in range(200)), "z/ü/日本語"]),
            ("z/?/*", ["z/ü/日本語"]),
            ("[ü]/*", []),
            ("z/[ü]/*", ["z/ü/日本語"]),
            ("z/?", ["z/\udcff"]),
            ("nothing/**", []),
        ],
    )
    def test_glob_gives_the_paths_that_match_a_pattern(
        self, snapshot: IndexSnapshot, pattern: str, expected: list[str]
    ) -> None:
        assert list(snapshot.glob(pattern)) == expected

    def test_iterators_go_on_over_what_was_there(self, tmp_path: Path) -> None:
        index = ReplaceOnIndex(tmp_path)
        (tmp_path / "a").touch()
        (tmp_path / "b").touch()
        index.index()
        running = [iter(index), index.prefix(""), index.glob("*")]
        assert [next(paths) for paths in running] == ["a"] * 3
        (tmp_path / "b").unlink()
        index.index()
        assert [list(paths) for paths in running] == [["b"]] * 3
        assert list(index) == ["a"]


class TestBytes:
    def test_the_bytes_are_those_of_every_object_in_it(self, snapshot: IndexSnapshot) -> None:
        columns = snapshot.columns
        parts = [
            *(snapshot, columns, columns.names, columns.offsets, columns.starts),
            *(columns.owners, columns.folders, columns.folder_offsets, columns.stamps),
            *(snapshot.ignored, *snapshot.ignored),
        ]
        assert snapshot.bytes == sum(map(getsizeof, parts)) == snapshot.report.bytes

    def test_a_file_takes_a_fraction_of_a_string(self, tmp_path: Path) -> None:
        paths = [f"src/folder-{a}/file-{b}.py" for a in range(20) for b in range(50)]
        snapshot = snapshot_of(tmp_path, paths)
        assert snapshot.bytes < 24 * len(paths) < sum(map(getsizeof, paths)) / 2
