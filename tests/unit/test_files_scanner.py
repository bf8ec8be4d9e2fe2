import asyncio
import contextlib
import errno
import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from interruptions import interrupted_everywhere
from trees import Gate, gated_project, in_thread, list_by, plant, until

from boundedcollections.files.index import ReplaceOnIndex
from boundedcollections.files.snapshot import IndexReport


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return plant(tmp_path, "a", "b/c", "b/d.py")


@pytest.fixture
def gated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Gate, Path]]:
    with gated_project(tmp_path, monkeypatch) as gate_and_root:
        yield gate_and_root


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

        def interrupt(path: bytes) -> Any:
            entries = scandir(path)
            if not inner and path.endswith(b"/b/"):
                inner.append(IndexReport(**dict.fromkeys(IndexReport.__slots__, 0)))  # once only
                plant(root, "z/new")  # the outer scan has passed it
                inner[0] = index.index()
            return entries

        list_by(monkeypatch, interrupt)
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

        def interrupt(path: bytes) -> Any:
            nonlocal depth
            depth += 1
            if depth == 2:
                raise OSError(errno.EMFILE, "no more")
            if depth == 1:
                with pytest.raises(OSError, match="no more"):
                    index.index()
                raise OSError(errno.EIO, "older")
            return scandir(path)

        list_by(monkeypatch, interrupt)
        with pytest.raises(OSError, match="older"):
            index.index()
        statistics = index.statistics()
        assert (statistics.failed_scans, statistics.last_error) == (2, "no more")


class TestInterruptions:
    @pytest.mark.filterwarnings("ignore:.*unclosed scandir iterator")  # struck before its ``with``
    @pytest.mark.parametrize(
        "module", ["scanner", "walk", "builder", "left_out", "columns", "snapshot"]
    )
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


def test_a_process_that_was_forked_forgets_the_threads_of_its_parent(
    gated: tuple[Gate, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, root = gated
    index = ReplaceOnIndex(root)
    parents = in_thread(index.index)
    gate.entered.acquire()
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: -1)
        list_by(patch, gate._scandir)
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
