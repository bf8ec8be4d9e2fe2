import gc
import logging
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from trees import Gate, gated_project, in_thread, plant, until

from boundedcollections import Closed
from boundedcollections.files import background
from boundedcollections.files.index import ReplaceOnIndex
from boundedcollections.files.snapshot import IndexReport


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return plant(tmp_path, "a", "b/c", "b/d.py")


@pytest.fixture
def gated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Gate, Path]]:
    with gated_project(tmp_path, monkeypatch) as gate_and_root:
        yield gate_and_root


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
