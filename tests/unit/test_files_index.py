import asyncio
import contextlib
import errno
import gc
import logging
import os
import shutil
import subprocess
import sys
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from interruptions import interrupted_everywhere

from boundedcollections import Closed, KiB
from boundedcollections.files import background
from boundedcollections.files.index import ReplaceOnIndex
from boundedcollections.files.snapshot import IndexReport
from boundedcollections.testing import FakeClock


def plant(root: Path, *paths: str) -> Path:
    for path in paths:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return plant(tmp_path, "a", "b/c", "b/d.py")


class Gate:
    """Holds up `os.scandir`, so that a scan lasts as long as a test wants."""

    def __init__(self) -> None:
        self._scandir = os.scandir
        self._is_open = threading.Event()
        self.entered = threading.Semaphore(0)
        self.scans = 0

    def __call__(self, path: str | int) -> Any:
        if isinstance(path, int):  # it is not our scan
            return self._scandir(path)
        self.scans += path.endswith("/root/")
        self.entered.release()
        assert self._is_open.wait(30)
        return self._scandir(path)

    def open(self) -> None:
        self._is_open.set()


@pytest.fixture
def gated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Gate, Path]]:
    root = plant(tmp_path / "root", "a", "b/c")
    gate = Gate()
    monkeypatch.setattr(os, "scandir", gate)
    yield gate, root
    gate.open()


def in_thread(function: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=function)
    thread.start()
    return thread


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.001)


class TestScans:
    def test_a_scan_finds_what_is_there(self, root: Path) -> None:
        index = ReplaceOnIndex(root)
        report = index.index()
        assert list(index) == ["a", "b/c", "b/d.py"]
        assert "b/c" in index
        assert report == IndexReport(
            files=3,
            directories=2,
            bytes=index.current_bytes,
            ignored_files=0,
            skipped=0,
            truncated=(),
            errors=0,
            seconds=report.seconds,
        )

    def test_before_the_first_scan_it_is_empty(self, root: Path) -> None:
        index = ReplaceOnIndex(root)
        assert (len(index), list(index), "a" in index) == (0, [], False)
        index._check()

    def test_a_scan_replaces_and_never_accumulates(self, root: Path) -> None:
        index = ReplaceOnIndex(root)
        figures = {replace(index.index(), seconds=0) for _ in range(5)}
        assert len(figures) == 1
        (root / "a").unlink()
        shutil.rmtree(root / "b")
        plant(root, "new")
        index.index()
        assert list(index) == ["new"]
        assert index.statistics().files == 1

    def test_ignore_rules_are_read_from_zero_each_time(self, root: Path) -> None:
        index = ReplaceOnIndex(root)
        (root / ".gitignore").write_text("*.py\n")
        index.index()
        assert "b/d.py" not in index
        (root / ".gitignore").write_text("a\n")
        index.index()
        assert list(index) == [".gitignore", "b/c", "b/d.py"]
        (root / ".gitignore").unlink()
        index.index()
        assert list(index) == ["a", "b/c", "b/d.py"]

    def test_a_snapshot_stays_what_it_was(self, root: Path) -> None:
        index = ReplaceOnIndex(root)
        index.index()
        before = index.snapshot()
        (root / "a").unlink()
        index.index()
        assert list(before) == ["a", "b/c", "b/d.py"]
        assert (before.generation, index.snapshot().generation) == (1, 2)

    def test_the_old_snapshot_is_let_go(self, root: Path) -> None:
        index = ReplaceOnIndex(root)
        index.index()
        old = weakref.ref(index.snapshot())
        index.index()
        assert old() is None

    def test_seconds_and_age_are_those_of_the_clock(self, root: Path) -> None:
        clock = FakeClock()
        index = ReplaceOnIndex(root, clock=clock)
        assert index.statistics().age_seconds is None
        index.index()
        clock.advance(7)
        statistics = index.statistics()
        assert statistics.age_seconds == 7
        assert statistics.report is not None
        assert statistics.report.seconds == 0

    def test_a_relative_root_stays_where_it_was(
        self, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(root.parent)
        index = ReplaceOnIndex(root.name)
        monkeypatch.chdir("/")
        assert index.index().files == 3
        assert index.root == root

    def test_a_root_may_be_a_link_and_may_be_replaced(self, root: Path, tmp_path: Path) -> None:
        other = plant(tmp_path / "b" / "other", "x")
        link = tmp_path.parent / f"{tmp_path.name}-link"
        link.symlink_to(root / "b")
        index = ReplaceOnIndex(link)
        index.index()
        assert list(index) == ["c", "d.py", "other/x"]
        link.unlink()
        link.symlink_to(other)
        index.index()
        assert list(index) == ["x"]
        link.unlink()


class TestFailures:
    def test_a_failed_scan_keeps_the_old_snapshot_and_says_so(self, tmp_path: Path) -> None:
        root = plant(tmp_path / "root", "a")
        index = ReplaceOnIndex(root)
        index.index()
        root.rename(tmp_path / "elsewhere")
        with pytest.raises(FileNotFoundError):
            index.index()
        statistics = index.statistics()
        assert list(index) == ["a"]
        assert (statistics.scans, statistics.failed_scans, statistics.generation) == (2, 1, 1)
        assert statistics.last_error == f"No such file or directory: {root}/"
        (tmp_path / "elsewhere").rename(root)
        index.index()
        assert index.statistics().last_error is None
        assert index.statistics().failed_scans == 1

    def test_a_failing_disk_does_not_empty_the_index(
        self, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        index = ReplaceOnIndex(root)
        index.index()
        scandir = os.scandir
        reason = errno.EIO

        def fail(path: str) -> Any:
            if path.endswith("/b/"):
                raise OSError(reason, "bad")
            return scandir(path)

        monkeypatch.setattr(os, "scandir", fail)
        with pytest.raises(OSError, match="2 of 3 known files are out of reach"):
            index.index()
        assert len(index) == 3
        reason = errno.EACCES  # but who may not read a folder any more may not open its files
        assert index.index().errors == 1
        assert list(index) == ["a"]
        reason = errno.EIO  # and a small loss is believed
        assert index.index().errors == 1

    def test_a_root_that_becomes_too_broad_is_refused(self, tmp_path: Path) -> None:
        root = tmp_path / "root"
        plant(root, "a")
        index = ReplaceOnIndex(root)
        index.index()
        shutil.rmtree(root)
        root.symlink_to("/")
        with pytest.raises(PermissionError, match="too broad"):
            index.index()
        assert list(index) == ["a"]

    def test_an_error_of_another_kind_is_passed_on(
        self, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        index = ReplaceOnIndex(root)
        index.index()

        def fail(path: str) -> Any:
            raise MemoryError

        monkeypatch.setattr(os, "scandir", fail)
        with pytest.raises(MemoryError):
            index.index()
        monkeypatch.undo()
        assert len(index) == 3
        assert index.index().files == 3

    def test_an_error_does_not_hold_on_to_the_walk(
        self, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        index = ReplaceOnIndex(root)

        def fail(path: str) -> Any:
            raise OSError(errno.EIO, "bad", path)

        monkeypatch.setattr(os, "scandir", fail)
        with pytest.raises(OSError, match="bad") as caught:
            index.index()
        assert index.current_bytes == index.snapshot().bytes  # no walk is counted any more
        assert caught.value.filename == f"{root}/"


class TestArguments:
    @pytest.mark.parametrize(
        ("options", "error", "message"),
        [
            ({"max_files": 0}, ValueError, "max_files must be an integer of at least 1, got 0"),
            ({"max_bytes": 65_535}, ValueError, "max_bytes must be .* at least 65536, got 65535"),
            ({"max_directories": -1}, ValueError, "max_directories"),
            ({"max_depth": 0}, ValueError, "max_depth"),
            ({"max_seconds": 0}, ValueError, "max_seconds"),
            ({"max_ignored_files": -1}, ValueError, "max_ignored_files"),
            ({"max_files": None}, TypeError, "max_files"),
            ({"always_skip": ["a/b"]}, ValueError, "always_skip .* got 'a/b'"),
            ({"always_skip": [""]}, ValueError, "always_skip .* got ''"),
            ({"always_skip": [b"a"]}, TypeError, "always_skip must be names, got b'a'"),
            ({"on_index": 3}, TypeError, "listener"),
        ],
    )
    def test_a_wrong_argument_is_refused_with_its_value(
        self, root: Path, options: dict[str, Any], error: type[Exception], message: str
    ) -> None:
        with pytest.raises(error, match=message):
            ReplaceOnIndex(root, **options)

    def test_the_root_must_be_text(self, root: Path) -> None:
        with pytest.raises(TypeError, match="root must be a text"):
            ReplaceOnIndex(os.fsencode(root))  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            ReplaceOnIndex(3)  # type: ignore[arg-type]

    def test_one_name_to_skip_may_be_given_alone(self, root: Path) -> None:
        index = ReplaceOnIndex(root, always_skip="b")
        index.index()
        assert list(index) == ["a"]

    def test_a_broad_root_is_refused_unless_it_is_meant(
        self, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HOME", str(root / "b"))
        for broad in ("/", root, root / "b", root.parent, root / "b" / ".." / "b"):
            with pytest.raises(ValueError, match="allow_broad_root"):
                ReplaceOnIndex(broad)
        index = ReplaceOnIndex(root, allow_broad_root=True)
        assert index.index().files == 3
        plant(root, "b/project/x")
        assert ReplaceOnIndex(root / "b" / "project").index().files == 1

    def test_without_a_home_only_the_top_is_too_broad(
        self, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def no_home() -> Path:
            raise RuntimeError

        monkeypatch.setattr(Path, "home", no_home)
        assert ReplaceOnIndex(root).index().files == 3
        with pytest.raises(ValueError, match="allow_broad_root"):
            ReplaceOnIndex("/")

    def test_the_figures_are_shown(self, root: Path) -> None:
        index = ReplaceOnIndex(root, max_files=10, max_bytes=64 * KiB, name="docs")
        index.index()
        held = index.current_bytes
        assert repr(index) == f"<ReplaceOnIndex 'docs' 3/10 files, {held}/65536 bytes>"
        assert (index.max_files, index.max_bytes) == (10, 65_536)
        statistics = index.statistics()
        assert (statistics.max_files, statistics.max_bytes) == (10, 65_536)
        assert statistics.current_bytes == held <= statistics.peak_bytes == index.peak_bytes


class TestBytes:
    @pytest.mark.parametrize("max_bytes", [64 * KiB, 80 * KiB, 100 * KiB])
    def test_old_and_new_and_the_walk_between_them_stay_within_max_bytes(
        self, tmp_path: Path, max_bytes: int
    ) -> None:
        plant(tmp_path, *(f"d{a}/a-name-of-some-length-{b}" for a in range(30) for b in range(40)))
        index = ReplaceOnIndex(tmp_path, max_bytes=max_bytes)
        for _ in range(3):
            assert index.index().truncated == ("max_bytes",)
            assert index.search("name")
            assert 0 < index.current_bytes <= max_bytes / 2
            index._check()
        assert max_bytes / 3 < index.peak_bytes <= max_bytes

    def test_a_walk_under_way_is_counted(self, gated: tuple[Gate, Path]) -> None:
        gate, root = gated
        index = ReplaceOnIndex(root)
        thread = in_thread(index.index)
        gate.entered.acquire()
        assert index.current_bytes > index.snapshot().bytes
        gate.open()
        thread.join()
        assert index.current_bytes == index.snapshot().bytes


class TestOneAtATime:
    def test_readers_do_not_wait_for_a_scan(self, gated: tuple[Gate, Path]) -> None:
        gate, root = gated
        index = ReplaceOnIndex(root)
        thread = in_thread(index.index)
        gate.entered.acquire()
        assert (list(index), len(index), "a" in index) == ([], 0, False)
        assert list(index.search("a")) == list(index.prefix("a")) == list(index.glob("a")) == []
        assert index.statistics().scans == 1
        gate.open()
        thread.join()
        assert list(index) == ["a", "b/c"]

    def test_requests_during_a_scan_share_one_more(self, gated: tuple[Gate, Path]) -> None:
        gate, root = gated
        index = ReplaceOnIndex(root)
        reports: list[IndexReport] = []
        first = in_thread(lambda: reports.append(index.index()))
        gate.entered.acquire()
        plant(root, "new")  # before the others ask, so they must see it
        seen: list[bool] = []

        def ask() -> None:
            reports.append(index.index())
            seen.append("new" in index)

        others = [in_thread(ask) for _ in range(10)]
        until(lambda: sum(thread.is_alive() for thread in others) == 10)
        time.sleep(0.05)
        gate.open()
        for thread in (first, *others):
            thread.join()
        assert gate.scans == index.statistics().scans == 2
        assert seen == [True] * 10
        assert len({id(report) for report in reports}) == 2

    def test_a_failure_is_shared_too(self, gated: tuple[Gate, Path]) -> None:
        gate, root = gated
        index = ReplaceOnIndex(root)
        errors: list[OSError] = []

        def ask() -> None:
            try:
                index.index()
            except OSError as error:
                errors.append(error)

        first = in_thread(ask)
        gate.entered.acquire()
        others = [in_thread(ask) for _ in range(5)]
        time.sleep(0.05)
        shutil.rmtree(root)
        gate.open()
        for thread in (first, *others):
            thread.join()
        assert [type(error) for error in errors] == [FileNotFoundError] * 6
        assert index.statistics().scans == 2
        assert len({id(error) for error in errors}) == 6  # a traceback each

    def test_a_scan_within_a_scan_leaves_the_newest(
        self, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        index = ReplaceOnIndex(root)
        scandir = os.scandir
        inner: list[IndexReport] = []

        def interrupt(path: str) -> Any:
            entries = scandir(path)
            if not inner and path.endswith("/b/"):
                inner.append(IndexReport(**dict.fromkeys(IndexReport.__slots__, 0)))  # once only
                plant(root, "z/new")  # the outer scan has passed it
                inner[0] = index.index()
            return entries

        monkeypatch.setattr(os, "scandir", interrupt)
        outer = index.index()
        assert (outer.files, inner[0].files) == (3, 4)
        assert list(index) == ["a", "b/c", "b/d.py", "z/new"]
        assert index.statistics().generation == 2
        assert index.statistics().last_error is None

    def test_a_failure_within_a_scan_does_not_hide_it(
        self, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        index = ReplaceOnIndex(root)
        scandir = os.scandir
        depth = 0

        def interrupt(path: str) -> Any:
            nonlocal depth
            depth += 1
            if depth == 2:
                raise OSError(errno.EMFILE, "no more")
            if depth == 1:
                with pytest.raises(OSError, match="no more"):
                    index.index()
                raise OSError(errno.EIO, "older")
            return scandir(path)

        monkeypatch.setattr(os, "scandir", interrupt)
        with pytest.raises(OSError, match="older"):
            index.index()
        statistics = index.statistics()
        assert (statistics.failed_scans, statistics.last_error) == (2, "no more")


class TestInterruptions:
    @pytest.mark.filterwarnings("ignore:.*unclosed scandir iterator")  # struck before its ``with``
    @pytest.mark.parametrize("module", ["scanner", "walk", "columns", "snapshot"])
    def test_an_index_survives_an_interrupt_at_any_point(self, tmp_path: Path, module: str) -> None:
        (tmp_path / ".gitignore").write_text("*.log\n")
        plant(tmp_path, "a", "b/c.log", "b/d")
        index = ReplaceOnIndex(tmp_path)

        def interrupt() -> None:
            raise KeyboardInterrupt

        for _ in interrupted_everywhere(
            lambda: index.index, interrupt, within=f"files/{module}.py"
        ):
            assert list(index) in ([], [".gitignore", "a", "b/d"])
            index._check()
            assert index.index().files == 3  # nothing is locked for ever
            index._check()

    def test_a_scan_that_is_struck_by_a_scan_leaves_the_newest(self, tmp_path: Path) -> None:
        plant(tmp_path, "a", "b/d")
        index = ReplaceOnIndex(tmp_path)
        for _ in interrupted_everywhere(
            lambda: index.index, index.index, within="files/scanner.py"
        ):
            index._check()
            statistics = index.statistics()
            assert index.snapshot().generation == statistics.scans == statistics.generation

    def test_a_failure_that_is_struck_by_a_failure_is_counted(self, tmp_path: Path) -> None:
        index = ReplaceOnIndex(tmp_path / "missing")

        def fail() -> None:
            with contextlib.suppress(FileNotFoundError):
                index.index()

        for _ in interrupted_everywhere(lambda: fail, fail, within="files/scanner.py"):
            statistics = index.statistics()
            assert statistics.failed_scans == statistics.scans


class TestAsync:
    async def test_aindex_scans_in_a_thread(self, root: Path) -> None:
        index = ReplaceOnIndex(root)
        threads: set[threading.Thread] = set()
        index = ReplaceOnIndex(root, on_index=lambda _: threads.add(threading.current_thread()))
        report = await index.aindex()
        assert report.files == len(index) == 3
        assert threading.main_thread() not in threads
        assert len(threads) == 1

    async def test_many_tasks_need_two_threads(self, gated: tuple[Gate, Path]) -> None:
        gate, root = gated
        index = ReplaceOnIndex(root)
        first = asyncio.create_task(index.aindex())
        while not gate.entered.acquire(blocking=False):  # noqa: ASYNC110  # of another thread
            await asyncio.sleep(0.001)
        others = [asyncio.create_task(index.aindex()) for _ in range(100)]
        await asyncio.sleep(0.01)
        names = [thread.name for thread in threading.enumerate()]
        assert sum(str(root) in name for name in names) == 2
        gate.open()
        reports = await asyncio.gather(first, *others)
        assert gate.scans == 2
        assert len({id(report) for report in reports}) == 2

    async def test_cancelling_a_task_ends_its_waiting_and_nothing_else(
        self, gated: tuple[Gate, Path]
    ) -> None:
        gate, root = gated
        index = ReplaceOnIndex(root)
        cancelled = asyncio.create_task(index.aindex())
        patient = asyncio.create_task(index.aindex())
        await asyncio.sleep(0.01)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        assert not patient.done()
        gate.open()
        assert (await patient).files == 2
        assert (await index.aindex()).files == 2
        index._check()

    async def test_an_error_reaches_every_task(self, tmp_path: Path) -> None:
        index = ReplaceOnIndex(tmp_path / "missing")
        results = await asyncio.gather(*(index.aindex() for _ in range(3)), return_exceptions=True)
        assert [type(result) for result in results] == [FileNotFoundError] * 3

    async def test_a_thread_that_cannot_start_leaves_no_job(
        self, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        index = ReplaceOnIndex(root)

        def fail(_: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", fail)
            with pytest.raises(RuntimeError, match="new thread"):
                await index.aindex()
        assert (await index.aindex()).files == 3

    def test_a_loop_that_is_closed_meanwhile_harms_nothing(self, gated: tuple[Gate, Path]) -> None:
        gate, root = gated
        index = ReplaceOnIndex(root)

        async def give_up() -> None:
            asyncio.create_task(index.aindex())  # noqa: RUF006  # it is left to the end of the loop
            await asyncio.sleep(0.01)

        asyncio.run(give_up())
        gate.open()
        until(lambda: len(index) == 2)
        assert asyncio.run(index.aindex()).files == 2


class TestBackground:
    def test_it_scans_at_once_and_again(self, root: Path) -> None:
        with ReplaceOnIndex(root) as index:
            index.start(interval_seconds=0.001)
            until(lambda: len(index) == 3)
            plant(root, "new")
            until(lambda: "new" in index)
        assert index.closed
        scans = index.statistics().scans
        time.sleep(0.02)
        assert index.statistics().scans == scans
        assert len(index) == 4  # what is indexed stays readable

    def test_close_ends_the_sleep_and_joins_the_thread(self, root: Path) -> None:
        index = ReplaceOnIndex(root)
        index.start()
        until(lambda: len(index) == 3)
        (thread,) = (t for t in threading.enumerate() if str(root) in t.name)
        assert not thread.daemon
        index.close()
        assert not thread.is_alive()
        index.close()

    def test_close_abandons_the_scan_under_way(self, gated: tuple[Gate, Path]) -> None:
        gate, root = gated
        index = ReplaceOnIndex(root)
        index.start()
        gate.entered.acquire()
        closer = in_thread(index.close)
        until(lambda: index.closed)
        gate.open()
        closer.join()
        assert len(index) == 0
        assert index.statistics().failed_scans == 0

    async def test_a_closed_index_scans_no_more(self, root: Path) -> None:
        index = ReplaceOnIndex(root)
        index.close()
        with pytest.raises(Closed):
            index.index()
        with pytest.raises(Closed):
            await index.aindex()
        with pytest.raises(Closed):
            index.start()

    def test_waiting_for_a_scan_ends_with_close(self, gated: tuple[Gate, Path]) -> None:
        gate, root = gated
        index = ReplaceOnIndex(root)
        outcomes: list[object] = []

        def ask() -> None:
            try:
                index.index()
            except Closed as error:
                outcomes.append(error)

        threads = [in_thread(ask) for _ in range(3)]
        gate.entered.acquire()
        index.close()
        gate.open()
        for thread in threads:
            thread.join()
        assert len(outcomes) == 3

    def test_starting_twice_is_refused(self, root: Path) -> None:
        with ReplaceOnIndex(root) as index:
            index.start()
            with pytest.raises(RuntimeError, match="started before"):
                index.start()

    @pytest.mark.parametrize("interval", [0, -1, float("nan"), "1"])
    def test_an_interval_must_be_a_time(self, root: Path, interval: Any) -> None:
        with pytest.raises((ValueError, TypeError), match="interval_seconds"):
            ReplaceOnIndex(root).start(interval)

    def test_a_failing_scan_is_logged_and_tried_again(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        with ReplaceOnIndex(tmp_path / "later") as index:
            index.start(interval_seconds=0.001)
            until(lambda: index.statistics().failed_scans > 1)
            plant(tmp_path, "later/a")
            until(lambda: len(index) == 1)
        record = caplog.records[0]
        assert (record.name, record.levelno) == ("boundedcollections", logging.WARNING)
        assert "could not be indexed" in record.message

    def test_an_index_that_nobody_closed_ends_and_warns(
        self, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(background, "_LOOK_SECONDS", 0.001)
        indexes = [ReplaceOnIndex(root)]
        indexes[0].start()
        until(lambda: len(indexes[0]) == 3)
        (thread,) = (t for t in threading.enumerate() if str(root) in t.name)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            indexes.clear()
            gc.collect()
            until(lambda: not thread.is_alive())
        assert ["never closed" in str(warning.message) for warning in caught] == [True]

    def test_an_index_that_is_gone_before_its_first_scan_ends_too(self, root: Path) -> None:
        index = ReplaceOnIndex(root)
        repeater = background.Repeater(index, 1.0, "test")
        del index
        repeater.start()
        repeater.join(30)
        assert not repeater.is_alive()

    def test_it_ends_with_the_main_thread(
        self, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(background, "_LOOK_SECONDS", 0.001)
        with ReplaceOnIndex(root) as index:
            index.start()
            until(lambda: len(index) == 3)
            (thread,) = (t for t in threading.enumerate() if str(root) in t.name)
            monkeypatch.setattr(background, "is_exiting", lambda: True)
            until(lambda: not thread.is_alive())
            monkeypatch.undo()
            index.start()  # its end was not asked for, so it may be started again

    def test_close_from_the_background_thread_does_not_wait_for_itself(self, root: Path) -> None:
        index = ReplaceOnIndex(root, on_index=lambda _: index.close())
        index.start()
        until(lambda: index.closed)
        index.close()

    @pytest.mark.parametrize("ending", ["pass", "import os; os.getpid()", "raise SystemExit(0)"])
    def test_the_interpreter_exits_though_nobody_closed(self, root: Path, ending: str) -> None:
        code = (
            "from boundedcollections.files.index import ReplaceOnIndex\n"
            f"index = ReplaceOnIndex({str(root)!r})\n"
            "index.start(3600)\n"
            f"{ending}\n"
        )
        command = [sys.executable, "-c", code]
        result = subprocess.run(command, timeout=60, capture_output=True, check=False)
        assert result.returncode == 0
        assert b"Traceback" not in result.stderr


class TestListener:
    def test_each_good_scan_is_told(self, tmp_path: Path) -> None:
        reports: list[IndexReport] = []
        index = ReplaceOnIndex(tmp_path / "root", on_index=reports.append)
        with pytest.raises(FileNotFoundError):
            index.index()
        plant(tmp_path, "root/a")
        assert [index.index()] == reports

    def test_a_listener_may_use_the_index(self, root: Path) -> None:
        seen: list[object] = []

        def use(report: IndexReport) -> None:
            seen.append([match.path for match in index.search("d.py")])
            if len(seen) == 1:
                other = in_thread(index.index)  # it holds no lock, so another thread may scan
                other.join(30)
                assert not other.is_alive()

        index = ReplaceOnIndex(root, on_index=use)
        index.index()
        assert seen == [["b/d.py"]] * 2

    def test_what_a_listener_raises_is_counted(self, root: Path) -> None:
        index = ReplaceOnIndex(root, on_index=lambda _: 1 / 0)
        index.index()
        assert index.statistics().listener_errors == 1

    def test_a_destructor_may_use_the_index(self, root: Path) -> None:
        index = ReplaceOnIndex(root)
        index.index()
        found: list[int] = []

        class Searching:
            def __del__(self) -> None:
                found.append(len(index.search("d.py")))
                index.index()

        garbage = Searching()
        garbage.itself = garbage  # type: ignore[attr-defined]
        del garbage
        gc.collect()
        assert found == [1]


def test_a_process_that_was_forked_forgets_the_threads_of_its_parent(
    gated: tuple[Gate, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, root = gated
    index = ReplaceOnIndex(root)
    parents = in_thread(index.index)
    gate.entered.acquire()
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: -1)
        patch.setattr(os, "scandir", gate._scandir)
        assert index.index().files == 2
        assert asyncio.run(index.aindex()).files == 2
    gate.open()
    parents.join()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_can_scan_though_its_parent_was_scanning(
    gated: tuple[Gate, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, root = gated
    index = ReplaceOnIndex(root)
    index.start()
    gate.entered.acquire()
    child = os.fork()
    if child == 0:  # pragma: no cover  # in another process
        status = 1
        try:
            monkeypatch.undo()
            assert index.index().files == 2
            assert asyncio.run(index.aindex()).files == 2
            index.start()
            index.close()
            status = 0
        finally:
            os._exit(status)
    gate.open()
    index.close()
    end = time.monotonic() + 30
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        assert time.monotonic() < end, "the child waits for ever"
        time.sleep(0.01)
    assert os.waitstatus_to_exitcode(status) == 0
