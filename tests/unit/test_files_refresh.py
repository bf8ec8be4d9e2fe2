import asyncio
import errno
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from interruptions import interrupted_everywhere
from trees import list_by, plant

from boundedcollections import KiB
from boundedcollections.files import refresh as refresh_module
from boundedcollections.files import stamps
from boundedcollections.files.columns import Columns
from boundedcollections.files.index import ReplaceOnIndex
from boundedcollections.files.overlay import Overlay
from boundedcollections.files.snapshot import IndexReport
from boundedcollections.files.tree import Tree, encoded

pytestmark = pytest.mark.usefixtures("every_reader")

TICK_SECONDS = 0.03
"""The times of files move on in steps; no step is longer."""


class Settled(ReplaceOnIndex):
    """An index that never refreshes in the same moment in which something has changed."""

    def refresh(self) -> IndexReport:
        time.sleep(TICK_SECONDS)
        return super().refresh()


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Take every time for one that is long past, and wait until that is true."""
    monkeypatch.setattr(stamps, "_RACY_NANOSECONDS", -3_600_000_000_000)
    return lambda: time.sleep(TICK_SECONDS)


class Spy:
    """`os.scandir` that remembers which folders were listed."""

    def __init__(self, root: Path) -> None:
        self._scandir = os.scandir
        self._root = os.fsencode(f"{root}/")
        self.listed: list[str] = []

    def __call__(self, path: Any) -> Any:
        if isinstance(path, bytes) and path.startswith(self._root):
            self.listed.append(os.fsdecode(path.removeprefix(self._root)))
        return self._scandir(path)

    def taken(self) -> list[str]:
        listed, self.listed = self.listed, []
        return sorted(listed)


@pytest.fixture
def spied(
    tmp_path: Path, settled: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Path, ReplaceOnIndex, Spy]]:
    """An index that has been refreshed once, and so knows its folders."""
    plant(tmp_path, "a/x", "a/deep/y", "b/z", "top", "out/hidden")
    (tmp_path / ".gitignore").write_text("out/\n")
    settled()
    index = Settled(tmp_path, max_ignored_files=0)
    assert index.refresh().is_full
    spy = Spy(tmp_path)
    list_by(monkeypatch, spy)
    yield tmp_path, index, spy
    index._check()
    expected = ReplaceOnIndex(tmp_path, max_ignored_files=0)
    expected.index()
    assert list(index) == list(expected)


Spied = tuple[Path, ReplaceOnIndex, Spy]


class TestWhatIsRead:
    def test_nothing_if_nothing_has_changed(self, spied: Spied) -> None:
        _, index, spy = spied
        columns = index.snapshot().columns
        report = index.refresh()
        assert spy.taken() == []
        assert (report.is_full, report.files, report.directories) == (False, 5, 0)
        assert index.snapshot().columns is columns
        assert index.statistics().generation == 2

    def test_the_folder_that_has_changed(self, spied: Spied) -> None:
        root, index, spy = spied
        plant(root, "a/new")
        report = index.refresh()
        assert spy.taken() == ["a/"]
        assert (report.files, report.directories) == (6, 1)
        assert "a/new" in index

    def test_what_is_new_and_all_below_it(self, spied: Spied) -> None:
        root, index, spy = spied
        plant(root, "b/new/er/file", "b/zz")
        index.refresh()
        assert spy.taken() == ["b/", "b/new/", "b/new/er/"]

    def test_a_folder_that_is_gone_is_not_read(self, spied: Spied) -> None:
        root, index, spy = spied
        shutil.rmtree(root / "a")
        index.refresh()
        assert spy.taken() == [""]
        assert not any(path.startswith("a") for path in index)
        assert len(index.snapshot().columns.folder_offsets) - 1 == 2

    def test_a_folder_in_the_place_of_another_with_all_below_it(self, spied: Spied) -> None:
        root, index, spy = spied
        plant(root.parent / f"{root.name}-other", "deep/other").rename(root / "other")
        index.refresh()
        (root / "a").rename(root / "aside")
        (root / "other").rename(root / "a")
        spy.taken()
        index.refresh()
        assert "a/deep/" in spy.taken()
        assert "a/deep/other" in index

    def test_a_root_in_the_place_of_another_with_all_below_it(self, spied: Spied) -> None:
        root, index, spy = spied
        aside = root.rename(root.parent / f"{root.name}-aside")
        plant(root, "a/deep/other", "b/z")
        for folder in (".", "a", "a/deep", "b"):  # that its times are the same gives nothing away
            times = (aside / folder).stat()
            os.utime(root / folder, ns=(times.st_atime_ns, times.st_mtime_ns))
        index.refresh()
        assert spy.taken() == ["", "a/", "a/deep/", "b/"]
        assert list(index) == ["a/deep/other", "b/z"]

    def test_everything_below_rules_that_were_edited_in_place(self, spied: Spied) -> None:
        root, index, spy = spied
        plant(root, "a/.gitignore")
        index.refresh()
        spy.taken()
        with (root / "a" / ".gitignore").open("w") as file:
            file.write("y\n")
        index.refresh()
        assert spy.taken() == ["a/", "a/deep/"]
        assert "a/deep/y" not in index

    def test_each_folder_once_if_rules_have_changed_within_one_another(self, spied: Spied) -> None:
        root, index, spy = spied
        (root / "a" / ".gitignore").write_text("x\n")
        (root / "a" / "deep" / ".gitignore").write_text("y\n")
        index.refresh()
        assert spy.taken() == ["a/", "a/deep/"]
        assert list(index.prefix("a/")) == ["a/.gitignore", "a/deep/.gitignore"]

    def test_everything_if_rules_at_the_root_have_changed(self, spied: Spied) -> None:
        root, index, _ = spied
        with (root / ".gitignore").open("w") as file:
            file.write("b/\n")
        assert index.refresh().is_full
        assert "out/hidden" in index

    def test_everything_if_the_root_has_become_a_repository(self, spied: Spied) -> None:
        root, index, _ = spied
        for name in ("objects", "refs", "info"):
            (root / ".git" / name).mkdir(parents=True)
        plant(root, ".git/HEAD")
        (root / ".git" / "info" / "exclude").write_text("z\n")
        assert index.refresh().is_full
        assert "b/z" not in index

    def test_rules_that_hold_around_a_folder_hold_when_it_is_read_again(self, spied: Spied) -> None:
        root, index, _ = spied
        (root / "a" / ".gitignore").write_text("*.log\n!deep/keep.log\n")
        index.refresh()
        plant(root, "a/deep/x.log", "a/deep/keep.log", "a/deep/out/x")
        assert not index.refresh().is_full
        assert "a/deep/keep.log" in index

    def test_a_repository_without_the_users_own_rules(
        self, tmp_path: Path, settled: Callable[[], None]
    ) -> None:
        plant(tmp_path, "a", ".git/HEAD", ".git/objects/x", ".git/refs/x", ".git/info/exclude")
        settled()
        index = Settled(tmp_path, use_global_gitignore=False)
        index.refresh()
        assert not index.refresh().is_full
        (tmp_path / ".git" / "info" / "exclude").write_text("a\n")
        assert index.refresh().is_full
        assert list(index) == []

    def test_without_rules_ignore_files_are_files(
        self, tmp_path: Path, settled: Callable[[], None]
    ) -> None:
        plant(tmp_path, "a/x.log")
        settled()
        index = Settled(tmp_path, use_gitignore=False)
        index.refresh()
        (tmp_path / ".gitignore").write_text("*.log")
        assert not index.refresh().is_full
        assert list(index) == [".gitignore", "a/x.log"]

    def test_what_changed_a_moment_before_it_was_read_is_read_again(self, tmp_path: Path) -> None:
        index = ReplaceOnIndex(plant(tmp_path, "a/x"))
        index.refresh()
        report = index.refresh()  # the times say nothing yet
        assert report.is_full
        assert index.refresh().files == 1


class TestWhenThereHasToBeAScan:
    def test_the_first_time_and_every_nth_time(
        self, tmp_path: Path, settled: Callable[[], None]
    ) -> None:
        index = Settled(plant(tmp_path, "a"), full_every=3)
        settled()
        fulls = [index.refresh().is_full for _ in range(7)]
        assert fulls == [True, False, False, True, False, False, True]

    def test_a_scan_that_takes_no_stamps_is_no_ground_for_a_refresh(
        self, tmp_path: Path, settled: Callable[[], None]
    ) -> None:
        index = Settled(plant(tmp_path, "a"))
        settled()
        index.index()
        assert not index.snapshot().columns.stamps
        assert index.refresh().is_full
        assert index.snapshot().columns.stamps
        assert index.index().is_full
        assert not index.refresh().is_full  # from now on all scans take some

    def test_while_a_bound_is_reached(self, tmp_path: Path, settled: Callable[[], None]) -> None:
        index = Settled(plant(tmp_path, "a", "b/c", "b/d"), max_files=2)
        settled()
        index.refresh()
        assert index.refresh().is_full

    @pytest.mark.parametrize(
        ("limits", "new"),
        [
            ({"max_files": 4}, ["a/1", "a/2", "a/3"]),
            ({"max_files": 4}, [f"b/{n}" for n in range(20)]),
            ({"max_directories": 3}, ["a/new/x"]),
            ({"max_depth": 2}, ["a/new/x"]),
            ({"max_bytes": 64 * KiB}, [f"a/{n:03}{'x' * 200}" for n in range(120)]),
        ],
    )
    def test_if_what_is_new_reaches_one(
        self,
        tmp_path: Path,
        settled: Callable[[], None],
        limits: dict[str, int],
        new: list[str],
    ) -> None:
        index = Settled(plant(tmp_path, "a/x", "b/y"), **limits)
        settled()
        index.refresh()
        plant(tmp_path, *new)
        report = index.refresh()
        assert report.is_full
        assert report.truncated == (next(iter(limits)),)

    def test_if_too_many_folders_have_changed(
        self, tmp_path: Path, settled: Callable[[], None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(refresh_module, "_FEW", 1)
        monkeypatch.setattr(refresh_module, "_CHUNK", 2)
        plant(tmp_path, *(f"{n}/x" for n in range(9)))
        settled()
        index = Settled(tmp_path)
        index.refresh()
        plant(tmp_path, "0/y", "1/y")
        assert not index.refresh().is_full
        plant(tmp_path, "0/z", "3/z", "8/z")
        assert index.refresh().is_full

    def test_if_the_time_is_over(self, tmp_path: Path, settled: Callable[[], None]) -> None:
        seconds = 0.0
        step = 0.0

        def clock() -> float:
            nonlocal seconds
            seconds += step
            return seconds

        index = Settled(plant(tmp_path, "a"), max_seconds=2.0, clock=clock)
        settled()
        index.refresh()
        step = 3.0
        assert index.refresh().truncated == ("max_seconds",)


class TestFailures:
    def test_a_folder_that_fails_is_counted_and_tried_again(
        self, spied: Spied, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        root, index, spy = spied
        plant(root, "b/new")
        with monkeypatch.context() as patch:

            def fail(path: bytes) -> Any:
                if path.endswith(b"/b/"):
                    raise OSError(errno.EIO, "bad")
                return spy(path)

            list_by(patch, fail)
            report = index.refresh()
            assert (report.is_full, report.errors) == (False, 1)
            assert "b/z" not in index
        index.refresh()
        assert "b/new" in index

    def test_a_failing_disk_does_not_empty_the_index(
        self, spied: Spied, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        root, index, _ = spied
        plant(root, "a/new", "b/new")
        (root / "a/deep/w").touch()
        with monkeypatch.context() as patch:

            def fail(path: bytes) -> Any:
                raise OSError(errno.EIO, "bad")

            list_by(patch, fail)
            with pytest.raises(OSError, match="of 5 known files"):
                index.refresh()
        assert len(index) == 5
        assert index.statistics().failed_scans == 1
        index.refresh()

    def test_a_missing_root_fails_and_keeps_what_was_there(
        self, tmp_path: Path, settled: Callable[[], None]
    ) -> None:
        root = plant(tmp_path / "root", "a")
        settled()
        index = Settled(root)
        index.refresh()
        root.rename(tmp_path / "elsewhere")
        with pytest.raises(FileNotFoundError):
            index.refresh()
        assert list(index) == ["a"]

    def test_an_index_survives_an_interrupt_at_any_point(
        self, tmp_path: Path, settled: Callable[[], None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / ".gitignore").write_text("*.log\n")
        plant(tmp_path, "a", "b/c.log", "b/d")
        settled()
        monkeypatch.setattr(stamps, "_RACY_NANOSECONDS", int(TICK_SECONDS * 1e9))
        index = ReplaceOnIndex(tmp_path, full_every=10**6)
        index.refresh()
        number = 0

        def change() -> Callable[[], object]:
            nonlocal number
            number += 1
            (tmp_path / "b" / f"{number}").touch()
            (tmp_path / "b" / f"{number - 1}").unlink(missing_ok=True)
            return index.refresh

        def interrupt() -> None:
            raise KeyboardInterrupt

        for module in ("refresh", "overlay"):
            for _ in interrupted_everywhere(change, interrupt, within=f"files/{module}.py"):
                index._check()
                index.refresh()
                assert f"b/{number}" in index
                index._check()


class TestIgnoredFiles:
    def test_they_follow_the_folders_that_are_read(
        self, tmp_path: Path, settled: Callable[[], None]
    ) -> None:
        plant(tmp_path, "a/1.log", "a/out/2.log", "b/3.log", "b/out/deep/4.log", "c/5.log")
        (tmp_path / ".gitignore").write_text("*.log\nout/\n")
        settled()
        index = Settled(tmp_path)
        index.refresh()
        plant(tmp_path, "a/6.log", "b/out/deep/7.log")
        (tmp_path / "a" / "1.log").unlink()
        shutil.rmtree(tmp_path / "c")
        assert not index.refresh().is_full
        assert index.snapshot().ignored == (
            *("a/6.log", "a/out/2.log", "b/3.log", "b/out/deep/4.log"),
        )
        index.index()
        assert "b/out/deep/7.log" in index.snapshot().ignored

    def test_their_bound_holds_and_shallow_ones_stay(
        self, tmp_path: Path, settled: Callable[[], None]
    ) -> None:
        plant(tmp_path, "deep/er/1.log", "deep/er/2.log")
        (tmp_path / ".gitignore").write_text("*.log\n")
        settled()
        index = Settled(tmp_path, max_ignored_files=2)
        index.refresh()
        plant(tmp_path, "3.log")
        assert not index.refresh().is_full
        assert index.snapshot().ignored == ("3.log", "deep/er/1.log")


class TestTogether:
    async def test_arefresh_is_a_refresh_in_a_thread(
        self, tmp_path: Path, settled: Callable[[], None]
    ) -> None:
        index = ReplaceOnIndex(plant(tmp_path, "a"))
        settled()
        assert (await index.arefresh()).is_full
        assert not (await index.arefresh()).is_full

    async def test_who_wants_a_scan_gets_one_though_others_want_less(
        self, tmp_path: Path, settled: Callable[[], None]
    ) -> None:
        index = ReplaceOnIndex(plant(tmp_path, "a"))
        settled()
        index.refresh()
        index._scanner._scanning.acquire()  # so the next scan waits until all have asked
        waiting = [asyncio.ensure_future(index.arefresh()) for _ in range(2)]
        waiting.append(asyncio.ensure_future(index.aindex()))
        waiting.append(asyncio.ensure_future(index.arefresh()))
        await asyncio.sleep(0.01)
        index._scanner._scanning.release()
        reports = await asyncio.gather(*waiting)
        assert {report.is_full for report in reports} == {True}


class TestOverlay:
    """Each folder of a tree that is made here comes with its path, parts and stamp."""

    def tree(self, *folders: tuple[str, list[bytes | int], int]) -> Tree:
        tree = Tree()
        for path, parts, stamp in folders:
            (folder,) = tree.add([encoded(path)])
            tree.parts[folder] = parts
            tree.stamps[folder] = stamp
        return tree

    def test_stamps_follow_their_folders(self) -> None:
        inner: list[Any] = [(f"{name}/", [b"\0x"], ord(name)) for name in "bdf"]
        overlay = Overlay(Columns(self.tree(("", [1, 2, 3], 0), *inner)))
        overlay.leave_out(range(2, 3))
        now = self.tree(("a/", [b"\0y"], 1), ("f/", [b"\0z"], 2))
        overlay.put(now, 0)
        overlay.put(now, 1)
        columns = overlay.merged()
        columns.check()
        assert list(columns.paths(0)) == ["a/y", "b/x", "f/z"]
        assert list(columns.stamps) == [0, 1, ord("b"), 2]

    def test_a_folder_may_be_put_in_anew_where_one_was_left_out(self) -> None:
        inner: list[Any] = [("b/", [b"\0x", 2], 0), ("b/c/", [b"\0y"], 0)]
        overlay = Overlay(Columns(self.tree(("", [b"\0a", 1, b"\0z"], 0), *inner)))
        overlay.leave_out(range(1, 3))
        overlay.put(self.tree(("b/", [b"\0new"], 0)), 0)
        columns = overlay.merged()
        columns.check()
        assert list(columns.paths(0)) == ["a", "b/new", "z"]

    def test_long_runs_are_copied_in_pieces(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("boundedcollections.files.columns._RUN", 3)
        inner: list[Any] = [(f"{n:02}/", [b"\0x"], 0) for n in range(20)]
        overlay = Overlay(Columns(self.tree(("", [*range(1, 21)], 0), *inner)))
        now = self.tree(("05/", [b"\0y"], 0), ("05-/", [b"\0y"], 0))
        overlay.put(now, 0)
        overlay.put(now, 1)
        columns = overlay.merged()
        columns.check()
        expected = [f"{n:02}/x" for n in range(20) if n != 5]
        assert list(columns.paths(0)) == sorted([*expected, "05/y", "05-/y"])
