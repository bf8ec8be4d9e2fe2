"""The thread that indexes again and again, as long as somebody wants it to."""

import logging
import queue
import threading
import time
import weakref
from typing import Final, Protocol

from boundedcollections._core.errors import Closed

_log = logging.getLogger("boundedcollections")

_LOOK_SECONDS: Final = 1.0
"""How often a sleeping thread looks whether anybody is left to index for."""


class Indexed(Protocol):
    """What can be indexed again."""

    def _reindex(self) -> None:
        """Index; raise `Closed` if that is over."""


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
    """

    def __init__(self, index: Indexed, interval_seconds: float, name: str) -> None:
        super().__init__(name=name, daemon=False)
        self._index = weakref.ref(index)
        self._interval_seconds = interval_seconds
        self._stops: queue.SimpleQueue[None] = queue.SimpleQueue()  # a put never waits for a lock

    def run(self) -> None:
        """Index until it is over."""
        while self._has_indexed() and self._has_slept():
            pass

    def stop(self) -> None:
        """End the sleep, and the thread; callable from anywhere."""
        self._stops.put(None)

    def _has_indexed(self) -> bool:
        index = self._index()
        if index is None:
            return False
        try:
            index._reindex()  # noqa: SLF001  # the other half of one mechanism
        except Closed:
            return False
        except Exception:  # noqa: BLE001  # whatever it is, the next scan may go well
            _log.warning("%r could not be indexed; what it held stays", index, exc_info=True)
        return True

    def _has_slept(self) -> bool:
        """Sleep for the interval; return False as soon as it is over."""
        end = time.monotonic() + self._interval_seconds
        while (remaining := end - time.monotonic()) > 0:
            try:
                self._stops.get(timeout=min(remaining, _LOOK_SECONDS))
            except queue.Empty:
                if is_exiting():
                    return False
            else:
                return False
        return True


def is_exiting() -> bool:
    """Return whether the main thread has ended, so that others are only waited for."""
    return not threading.main_thread().is_alive()
