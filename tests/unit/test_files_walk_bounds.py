import gc
import os
import time
import tracemalloc
from pathlib import Path

import pytest
from trees import list_by, plant
from walks import Counting, Listing, bounds, paths, walk

from boundedcollections import Closed
from boundedcollections.files.builder import TreeBuilder
from boundedcollections.files.gitignore import IgnoreRules
from boundedcollections.files.tree import BLOCK_BYTES, STAMP_BYTES
from boundedcollections.files.walk import Walk
from boundedcollections.testing import FakeClock

pytestmark = pytest.mark.usefixtures("every_reader")


class Backwards(Listing):
    """The entries of a folder, the last name first."""

    def __init__(self, entries: "os._ScandirIterator[bytes]") -> None:
        with entries:
            names = sorted(entries, key=lambda entry: entry.name, reverse=True)
        super().__init__(None, iter(names))

    def __exit__(self, *_: object) -> None:
        pass


class TestBounds:
    def test_shallow_files_survive_max_files(self, tmp_path: Path) -> None:
        plant(tmp_path, *(f"a/deep/{n}" for n in range(50)), "a/x", "b/y", "c/d/z", "top")
        found = walk(tmp_path, max_files=3)
        assert paths(found) == ["a/x", "b/y", "top"]
        assert found.truncated == ("max_files",)

    def test_exactly_max_files_is_not_too_many(self, tmp_path: Path) -> None:
        found = walk(plant(tmp_path, "a", "b/c"), max_files=2)
        assert paths(found) == ["a", "b/c"]
        assert found.truncated == ()

    def test_a_folder_that_is_too_large_keeps_its_first_files(self, tmp_path: Path) -> None:
        found = walk(plant(tmp_path, "c", "a", "b"), max_files=2)
        assert paths(found) == ["a", "b"]
        assert found.truncated == ("max_files",)

    def test_a_huge_folder_is_not_read_to_its_end(self, tmp_path: Path) -> None:
        plant(tmp_path, *(f"{n}" for n in range(3_500)))
        read = Counting(os.scandir)
        with pytest.MonkeyPatch.context() as patch:
            list_by(patch, read)
            found = walk(tmp_path, max_files=10, use_gitignore=False)
        assert len(paths(found)) == 10
        assert found.truncated == ("max_files",)
        assert read.entries <= 2_048

    def test_many_files_of_a_folder_are_cut_into_blocks(self, tmp_path: Path) -> None:
        names = [f"{number:03}" for number in range(200)]
        assert paths(walk(plant(tmp_path, *names))) == names  # which checks the blocks

    @pytest.mark.parametrize("most", range(1, 7))
    def test_max_files_holds_where_folders_come_between(self, tmp_path: Path, most: int) -> None:
        names = ["a", "b", "d", "e", "f", "h"]
        plant(tmp_path, *names, "c/x", "g/y")
        found = walk(tmp_path, max_files=most)
        assert paths(found) == names[:most]
        assert found.truncated == ("max_files",)

    def test_ignored_files_do_not_count_against_max_files(self, tmp_path: Path) -> None:
        plant(tmp_path, *(f"{n}.log" for n in range(2_100)), "kept")
        (tmp_path / ".gitignore").write_text("*.log\n")
        found = walk(tmp_path, max_files=2)
        assert paths(found) == [".gitignore", "kept"]
        assert found.truncated == ()

    @pytest.mark.parametrize("max_bytes", range(2_100, 6_000, 97))
    def test_max_bytes_holds_and_shallow_files_survive(
        self, tmp_path: Path, max_bytes: int
    ) -> None:
        plant(tmp_path, *(f"{n:03}-a-name-of-some-length" for n in range(30)))
        plant(tmp_path, *(f"a/b/c/{n}" for n in range(5)), "b/ü/ü")
        found = walk(tmp_path, max_bytes=max_bytes)  # which checks the bound itself
        listed = paths(found)
        if found.truncated:
            assert found.truncated == ("max_bytes",)
            depths = [path.count("/") for path in listed]
            assert "a/b/c/0" not in listed or depths.count(0) == 30
        else:
            assert len(listed) == 36

    def test_a_huge_folder_of_long_names_stops_at_max_bytes(self, tmp_path: Path) -> None:
        plant(tmp_path, *(f"{n:04}-{'x' * 200}" for n in range(3_000)))
        found = walk(tmp_path, max_bytes=300_000)
        assert found.truncated == ("max_bytes",)
        assert 900 < len(paths(found)) < 1_500

    def test_rules_that_are_too_large_stop_the_walk(self, tmp_path: Path) -> None:
        plant(tmp_path, "a")
        (tmp_path / ".gitignore").write_bytes(b"*x*\n" * 500)
        found = walk(tmp_path, max_bytes=20_000)
        assert found.truncated == ("max_bytes",)

    def test_the_same_rules_are_not_paid_twice(self, tmp_path: Path) -> None:
        plant(tmp_path, *(f"{n}/{n}/x" for n in range(50)))
        (tmp_path / ".gitignore").write_bytes(b"*y*\n" * 50)
        assert walk(tmp_path, max_bytes=120_000).truncated == ()

    def test_max_directories_holds(self, tmp_path: Path) -> None:
        plant(tmp_path, *(f"{n}/sub/x" for n in range(5)), "top")
        found = walk(tmp_path, max_directories=4)
        assert found.directories == 4
        assert paths(found) == ["top"]
        assert found.truncated == ("max_directories",)
        assert paths(walk(tmp_path, max_directories=7)) == ["0/sub/x", "top"]
        assert walk(tmp_path, max_directories=11).truncated == ()

    def test_folders_of_a_huge_folder_are_cut_while_it_is_read(self, tmp_path: Path) -> None:
        for number in range(2_100):
            (tmp_path / f"{number:04}").mkdir()
        found = walk(tmp_path, max_directories=3)
        assert found.directories == 3
        assert found.truncated == ("max_directories",)

    def test_max_depth_holds(self, tmp_path: Path) -> None:
        plant(tmp_path, "a", "b/c", "b/d/e")
        assert paths(walk(tmp_path, max_depth=1)) == ["a"]
        found = walk(tmp_path, max_depth=2)
        assert paths(found) == ["a", "b/c"]
        assert found.truncated == ("max_depth",)
        assert walk(tmp_path, max_depth=3).truncated == ()

    def test_more_than_one_bound_may_be_reached(self, tmp_path: Path) -> None:
        plant(tmp_path, "a/b/c", "a/d", "e/f")
        assert walk(tmp_path, max_depth=2, max_files=1).truncated == ("max_depth", "max_files")

    def test_max_seconds_keeps_what_was_found_by_then(self, tmp_path: Path) -> None:
        plant(tmp_path, "a", "b/c")
        readings = iter([0.0, 5.0, 10.0])
        found = walk(tmp_path, clock=lambda: next(readings), max_seconds=10.0)
        assert paths(found) == ["a"]
        assert found.truncated == ("max_seconds",)

    def test_max_seconds_holds_within_a_huge_folder(self, tmp_path: Path) -> None:
        plant(tmp_path, *(f"{n}" for n in range(4_000)))
        readings = iter([0.0, 5.0, 10.0])
        found = walk(tmp_path, clock=lambda: next(readings), max_seconds=10.0, use_gitignore=False)
        assert len(paths(found)) == 2_048
        assert found.truncated == ("max_seconds",)

    def test_what_is_found_takes_no_more_than_is_said(self, tmp_path: Path) -> None:
        plant(tmp_path, *(f"{a}/{b}/{c}.py" for a in "abcd" for b in range(20) for c in range(9)))
        plant(tmp_path, *(f"{'ü' * 60}{n}/日本語/x" for n in range(40)))
        walk(tmp_path)  # whatever is imported or cached along the way
        one = Walk(
            *(str(tmp_path), bounds()),
            skip=frozenset(),
            use_gitignore=False,
            clock=FakeClock(),
            is_stopped=lambda: False,
        )
        gc.collect()
        tracemalloc.start()
        try:
            found = one.run()
            gc.collect()
            taken, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert found.files == 760
        assert taken <= one.bytes <= 3 * taken

    def test_a_stopped_walk_is_abandoned(self, tmp_path: Path) -> None:
        answers = iter([False, True])
        with pytest.raises(Closed, match="stopped"):
            walk(plant(tmp_path, "a/b"), is_stopped=lambda: next(answers))

    def test_folders_are_kept_in_order_however_they_are_listed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        plant(tmp_path, *(f"{n}/x" for n in range(9)))
        scandir = os.scandir
        list_by(monkeypatch, lambda path: Backwards(scandir(path)))
        assert paths(walk(tmp_path, max_directories=4)) == ["0/x", "1/x", "2/x"]

    def test_rules_without_room_end_the_walk(self, tmp_path: Path) -> None:
        plant(tmp_path, "a", "b.log")
        (tmp_path / ".gitignore").write_text("*.log\n")
        found = walk(tmp_path, max_bytes=4_000)
        assert (paths(found), found.truncated) == ([], ("max_bytes",))

    def test_ignored_files_are_remembered_as_far_as_there_is_room(self, tmp_path: Path) -> None:
        plant(tmp_path, *(f"{n:02}.log" for n in range(60)))
        (tmp_path / ".gitignore").write_text("*.log\n")
        rules = IgnoreRules(b"*.log\n").bytes
        found = walk(tmp_path, max_bytes=rules + 4_000)
        assert 5 < len(found.ignored) < 60
        assert list(found.ignored) == [f"{n:02}.log" for n in range(len(found.ignored))]

    def test_stamps_are_counted_before_they_are_taken(self, tmp_path: Path) -> None:
        plant(tmp_path, *(f"{n}/x" for n in range(9)))
        plain, stamped = (
            Walk(
                str(tmp_path),
                bounds(),
                skip=frozenset(),
                use_gitignore=False,
                clock=time.monotonic,
                is_stopped=lambda: False,
                takes_stamps=takes_stamps,
            )
            for takes_stamps in (False, True)
        )
        plain.run()
        stamped.run()
        assert stamped.bytes - plain.bytes == 9 * STAMP_BYTES

    def test_a_name_that_fits_exactly_is_kept(self, tmp_path: Path) -> None:
        plant(tmp_path, "a", "b")
        empty = TreeBuilder(bounds(), takes_stamps=False).bytes
        room = empty + BLOCK_BYTES + len(b"\0a")
        assert paths(walk(tmp_path, max_bytes=room)) == ["a"]
        assert paths(walk(tmp_path, max_bytes=room - 1)) == []
