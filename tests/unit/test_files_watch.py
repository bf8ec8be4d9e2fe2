import importlib.util
import logging
import os
import queue
import sys
import threading
import time
import types
from collections.abc import Iterator
from pathlib import Path

import pytest
from trees import plant, until

from boundedcollections.files import background
from boundedcollections.files.index import ReplaceOnIndex
from boundedcollections.files.watch import Watcher

ADDED, MODIFIED, DELETED = 1, 2, 3


class FakeWatchfiles(types.ModuleType):
    """What the index uses of ``watchfiles``, in the hands of a test."""

    def __init__(self) -> None:
        super().__init__("watchfiles")
        self.watched: list[list[str]] = []
        self.events: queue.Queue[object] = queue.Queue()

    def watch(
        self, *paths: str, stop_event: threading.Event, recursive: bool, **_: object
    ) -> Iterator[set[tuple[int, str]]]:
        assert not recursive
        self.watched.append(sorted(paths))
        yield set()
        while not stop_event.is_set():
            try:
                event = self.events.get(timeout=0.005)
            except queue.Empty:
                continue
            if isinstance(event, Exception):
                raise event
            yield event  # type: ignore[misc]


@pytest.fixture
def watchfiles(monkeypatch: pytest.MonkeyPatch) -> FakeWatchfiles:
    fake = FakeWatchfiles()
    monkeypatch.setitem(sys.modules, "watchfiles", fake)
    monkeypatch.setattr(background, "_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(background, "_PAUSES", 0)
    return fake


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return plant(tmp_path, "a", "b/c")


class TestWithAFakeWatcher:
    def test_a_hint_makes_the_next_refresh_come_at_once(
        self, root: Path, watchfiles: FakeWatchfiles
    ) -> None:
        with ReplaceOnIndex(root) as index:
            index.start(interval_seconds=3_600, watch=True)
            until(lambda: index.statistics().scans >= 2)  # one for what nobody watched before
            plant(root, "new")
            watchfiles.events.put({(ADDED, str(root / "new"))})
            until(lambda: "new" in index)
        assert watchfiles.watched == [[f"{root}/", f"{root}/b/"]]

    def test_content_is_no_reason_to_refresh_but_rules_are(
        self, root: Path, watchfiles: FakeWatchfiles
    ) -> None:
        with ReplaceOnIndex(root) as index:
            index.start(interval_seconds=3_600, watch=True)
            until(lambda: index.statistics().scans >= 2)
            time.sleep(0.05)
            scans = index.statistics().scans
            watchfiles.events.put({(MODIFIED, str(root / "a"))})
            until(watchfiles.events.empty)
            time.sleep(0.05)
            assert index.statistics().scans == scans
            watchfiles.events.put({(MODIFIED, str(root / ".gitignore"))})
            until(lambda: index.statistics().scans > scans)

    def test_new_folders_are_watched_too(self, root: Path, watchfiles: FakeWatchfiles) -> None:
        with ReplaceOnIndex(root) as index:
            index.start(interval_seconds=3_600, watch=True)
            until(lambda: index.statistics().scans >= 2)
            plant(root, "new/er/x")
            watchfiles.events.put({(ADDED, str(root / "new"))})
            until(lambda: len(watchfiles.watched) >= 2)
            until(lambda: "new/er/x" in index)
        assert watchfiles.watched[-1] == sorted(
            f"{root}/{name}" for name in ("", "b/", "new/", "new/er/")
        )

    @pytest.mark.parametrize(
        "error", [OSError(28, "inotify watch limit reached"), RuntimeError("internal")]
    )
    def test_an_error_is_said_once_and_the_interval_stays(
        self,
        root: Path,
        watchfiles: FakeWatchfiles,
        error: Exception,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        watchfiles.events.put(error)
        with ReplaceOnIndex(root) as index:
            index.start(interval_seconds=0.01, watch=True)
            until(lambda: caplog.records)
            scans = index.statistics().scans
            plant(root, "new/x")
            until(lambda: index.statistics().scans > scans + 2)
            assert "new/x" in index
        assert len(watchfiles.watched) == 1
        (record,) = caplog.records
        assert (record.name, record.levelno) == ("boundedcollections", logging.WARNING)
        assert str(root) in record.message
        assert f"{type(error).__name__}: {error}" in record.message

    def test_a_missing_package_is_said_once_and_the_interval_stays(
        self, root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setitem(sys.modules, "watchfiles", None)
        with ReplaceOnIndex(root) as index:
            index.start(interval_seconds=0.01, watch=True)
            until(lambda: index.statistics().scans > 3)
        assert ["cannot be watched" in record.message for record in caplog.records] == [True]

    def test_a_flood_of_hints_does_not_keep_the_thread_busy(
        self, root: Path, watchfiles: FakeWatchfiles, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(background, "_PAUSE_SECONDS", 3_600.0)
        with ReplaceOnIndex(root) as index:
            index.start(interval_seconds=7_200, watch=True)
            until(lambda: index.statistics().scans)
            for _ in range(100):
                watchfiles.events.put({(DELETED, str(root / "x"))})
            until(watchfiles.events.empty)
            assert index.statistics().scans == 1
            (repeater,) = (t for t in threading.enumerate() if isinstance(t, background.Repeater))
            assert repeater._calls.qsize() <= 1

    def test_hints_of_a_flood_are_one(self, root: Path) -> None:
        index = ReplaceOnIndex(root)
        repeater = background.Repeater(index, 1.0, "test")
        for _ in range(5):
            repeater.hint()
        assert repeater._calls.qsize() == 1

    def test_the_watching_ends_with_close_and_with_the_main_thread(
        self, root: Path, watchfiles: FakeWatchfiles, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def watching() -> list[str]:
            return [t.name for t in threading.enumerate() if t.name.startswith("watch ")]

        with ReplaceOnIndex(root) as index:
            index.start(interval_seconds=3_600, watch=True)
            until(watching)
        assert not watching()
        with ReplaceOnIndex(root) as index:
            index.start(interval_seconds=3_600, watch=True)
            until(lambda: index.statistics().scans >= 2)
            ended = types.SimpleNamespace(is_alive=lambda: False)
            monkeypatch.setattr(threading, "main_thread", lambda: ended)
            watchfiles.events.put({(ADDED, "x")})
            until(lambda: not watching())
            monkeypatch.undo()

    def test_folders_that_are_gone_are_not_watched(
        self, root: Path, watchfiles: FakeWatchfiles
    ) -> None:
        index = ReplaceOnIndex(root)
        index.index()
        (root / "b" / "c").unlink()
        (root / "b").rmdir()
        watcher = Watcher(str(root), lambda: None, "test")
        watcher.follow(index.snapshot().columns)
        until(lambda: watchfiles.watched)
        watcher.follow(index.snapshot().columns)  # the same folders: nothing to do
        watcher.stop()
        watcher.stop()
        assert watchfiles.watched == [[f"{root}/"]]


@pytest.mark.skipif(
    importlib.util.find_spec("watchfiles") is None, reason="watchfiles is not installed"
)
class TestWithTheRealWatcher:
    def test_what_is_new_is_found_long_before_the_interval_is_over(self, root: Path) -> None:
        with ReplaceOnIndex(root) as index:
            index.start(interval_seconds=3_600, watch=True)
            until(lambda: index.statistics().scans >= 2)
            plant(root, "b/new")
            until(lambda: "b/new" in index)
            plant(root, "deep/er/file")
            until(lambda: "deep/er/file" in index)
            plant(root, "deep/er/other")
            until(lambda: "deep/er/other" in index)
            (root / "b" / "c").unlink()
            until(lambda: "b/c" not in index)

    def test_a_name_that_it_cannot_read_does_not_end_the_index(
        self, root: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        with ReplaceOnIndex(root) as index:
            index.start(interval_seconds=0.1, watch=True)
            until(lambda: index.statistics().scans >= 2)
            plant(root, os.fsdecode(b"odd-\xff"))
            until(lambda: os.fsdecode(b"odd-\xff") in index)
            plant(root, "after")
            until(lambda: "after" in index)
