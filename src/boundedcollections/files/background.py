"""The thread that indexes again and again, as long as somebody wants it to."""

import logging
import queue
import threading
import time
import weakref
from typing import Final, Protocol

from boundedcollections._core.errors import Closed
from boundedcollections.files.columns import Columns
from boundedcollections.files.watch import Watcher

_log = logging.getLogger("boundedcollections")

_LOOK_SECONDS: Final = 1.0
"""How often a sleeping thread looks whether anybody is left to index for."""

_PAUSE_SECONDS: Final = 0.25
_PAUSES: Final = 4
"""However many hints there are, the thread sleeps so many times as long as the last scan took."""


class Indexed(Protocol):
    """What can be indexed again."""

    def _reindex(self) -> Columns:
        """Index, and return what is indexed; raise `Closed` if that is over."""


class Repeater(threading.Thread):
    """
    Indexes at once, and again after each interval.

    It is no daemon: it is never killed in the middle of something. But it ends by itself when the
    main thread has ended, and when the index is gone, so nobody who forgot to close an index
    waits for it for ever.

    Args:
        index: what to index; it is not kept alive.
        interval_seconds: seconds of sleep between the end of a scan and the beginning of the next.
        name: of the thread.
        watched: a folder to watch for a reason to end the sleep early; None for none.
    """

    def __init__(
        self, index: Indexed, interval_seconds: float, name: str, watched: str | None = None
    ) -> None:
        super().__init__(name=name, daemon=False)
        self._index = weakref.ref(index)
        self._interval_seconds = interval_seconds
        self._watcher = None if watched is None else Watcher(watched, self.hint, f"watch {name}")
        self._pause_seconds = _PAUSE_SECONDS
        self._is_hinted = False
        # What ends the sleep: True ends the thread as well. A put never waits for a lock.
        self._calls: queue.SimpleQueue[bool] = queue.SimpleQueue()

    def run(self) -> None:
        """Index until it is over."""
        try:
            while self._has_indexed() and self._has_slept():
                self._is_hinted = False
        finally:
            if self._watcher is not None:
                self._watcher.stop()

    def stop(self) -> None:
        """End the sleep, and the thread; callable from anywhere."""
        self._calls.put(True)  # noqa: FBT003  # see there

    def hint(self) -> None:
        """End the sleep soon, because something has happened; callable from anywhere."""
        if not self._is_hinted:
            self._is_hinted = True
            self._calls.put(False)  # noqa: FBT003  # see there

    def _has_indexed(self) -> bool:
        index = self._index()
        if index is None:
            return False
        began = time.monotonic()
        try:
            columns = index._reindex()  # noqa: SLF001  # the other half of one mechanism
        except Closed:
            return False
        except Exception:  # noqa: BLE001  # whatever it is, the next scan may go well
            _log.warning("%r could not be indexed; what it held stays", index, exc_info=True)
        else:
            if self._watcher is not None:
                self._watcher.follow(columns)
        self._pause_seconds = max(_PAUSE_SECONDS, _PAUSES * (time.monotonic() - began))
        return True

    def _has_slept(self) -> bool:
        """Sleep for the interval, or until soon after a hint; return False when it is over."""
        began = time.monotonic()
        end = began + self._interval_seconds
        while (remaining := end - time.monotonic()) > 0:
            try:
                is_over = self._calls.get(timeout=min(remaining, _LOOK_SECONDS))
            except queue.Empty:
                is_over = is_exiting()
            else:
                end = min(end, began + self._pause_seconds)
            if is_over:
                return False
        return True


def is_exiting() -> bool:
    """Return whether the main thread has ended, so that others are only waited for."""
    return not threading.main_thread().is_alive()
