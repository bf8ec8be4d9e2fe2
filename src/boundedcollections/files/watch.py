"""
Hints that something has happened in a tree, from the system's own watcher (extra ``watch``).

A hint only makes the next refresh come sooner. What it is about is not used, and the index keeps
looking from time to time all the same: watchers drop events when many come at once, see nothing
of what other machines do to a shared disk, and miss what is made in a folder before they watch
it. So whatever goes wrong with one costs time, never files.

Each folder is watched by itself, and only those that are in the index: a watch over everything
below the root would take one from the system for every folder that is ignored.
"""

import importlib
import logging
import os
import threading
from collections.abc import Callable
from typing import Any, Final

from boundedcollections.files.columns import Columns
from boundedcollections.files.repository import IGNORE_FILE

_log = logging.getLogger("boundedcollections")

_MODIFIED: Final = 2
"""What the watcher calls a file whose content has changed, which an index does not care about."""

_DEBOUNCE_MILLISECONDS: Final = 400
_STEP_MILLISECONDS: Final = 50
_TIMEOUT_MILLISECONDS: Final = 1_000


class Watcher:
    """
    Watches the folders of an index, in a thread of its own.

    The first error ends the watching for good, and is logged.

    Args:
        root: an absolute path.
        hint: called from the thread when something has happened.
        name: of the thread.
    """

    __slots__ = ("_folders", "_has_failed", "_hint", "_name", "_root", "_stop", "_thread")

    def __init__(self, root: str, hint: Callable[[], object], name: str) -> None:
        self._root = root.rstrip("/") + "/"
        self._hint = hint
        self._name = name
        self._folders = b""  # that are watched
        self._has_failed = False
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def follow(self, columns: Columns) -> None:
        """Watch the folders of these columns from now on, instead of others."""
        if self._has_failed or columns.folders == self._folders:
            return
        self.stop()
        self._folders = columns.folders
        self._stop = threading.Event()
        folders = (columns.folder(number) for number in range(len(columns.folder_offsets) - 1))
        paths = [path for folder in folders if os.path.isdir(path := self._root + folder)]  # noqa: PTH112
        arguments = (paths, self._stop)
        self._thread = threading.Thread(target=self._watch, args=arguments, name=self._name)
        self._thread.start()

    def stop(self) -> None:
        """Watch nothing any more, and wait for the thread."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _watch(self, paths: list[str], stop: threading.Event) -> None:
        try:
            watch: Any = importlib.import_module("watchfiles").watch
            events = watch(
                *paths,
                watch_filter=None,
                debounce=_DEBOUNCE_MILLISECONDS,
                step=_STEP_MILLISECONDS,
                rust_timeout=_TIMEOUT_MILLISECONDS,
                yield_on_timeout=True,
                stop_event=stop,
                recursive=False,
                raise_interrupt=False,
            )
            is_first = True
            for changes in events:
                if is_first or any(map(_matters, changes)):
                    self._hint()  # the first one for what happened before the watch was there
                is_first = False
                if not threading.main_thread().is_alive():
                    return
        except Exception as error:  # noqa: BLE001  # whatever it is, there is another way
            self._has_failed = True
            _log.warning(
                "%s cannot be watched (%s: %s); it is looked at from time to time instead",
                *(self._name, type(error).__name__, error),
            )


def _matters(change: tuple[int, str]) -> bool:
    kind, path = change
    return kind != _MODIFIED or path.endswith(IGNORE_FILE)
