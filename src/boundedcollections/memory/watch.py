"""The thread of a `MemoryMonitor`: it ticks as long as there is somebody to tick for."""

import logging
import threading
import time
import weakref
from contextlib import suppress
from typing import Final, Protocol

from boundedcollections._core.waiters import ThreadWaiter, wake_all

_log: Final = logging.getLogger("boundedcollections")

LOOK_SECONDS: Final = 1.0
"""How often a sleeping thread looks whether anybody is left to watch for."""


class Watched(Protocol):
    """What has a tick, and somebody who makes it."""

    @property
    def closed(self) -> bool:
        """Whether it is over."""

    def tick(self) -> float:
        """Do what is to be done, and return the seconds until the next time."""

    def _end(self, runner: object) -> None: ...


class Watch(threading.Thread):
    """
    Ticks until the monitor is closed or gone.

    It is no daemon: it is never killed in the middle of something. But it ends by itself when the
    main thread has ended, so nobody who forgot to close a monitor waits for it for ever.

    Args:
        monitor: what is to tick; held weakly.
        name: of the thread.
    """

    def __init__(self, monitor: Watched, name: str) -> None:
        super().__init__(name=name, daemon=False)
        self._monitor = weakref.ref(monitor)
        self._waiter = ThreadWaiter()

    def run(self) -> None:
        """Tick until it is over."""
        try:
            while (pause := self._tick()) is not None:
                self._sleep(pause)
        finally:  # a listener may have raised SystemExit
            monitor = self._monitor()
            if monitor is not None:
                monitor._end(self)  # noqa: SLF001  # the two are one

    def end(self) -> None:
        """Wait for the tick under way, unless this is called in it; the monitor is closed by now."""
        wake_all({self: self._waiter})
        if self is not threading.current_thread():
            with suppress(RuntimeError):  # not started yet, it will see that it is over
                self.join()

    def _tick(self) -> float | None:
        """Tick once, and return for how long to sleep; None when it is over."""
        monitor = self._monitor()
        if monitor is None or _is_over(monitor):
            return None
        try:
            return monitor.tick()
        except Exception:  # noqa: BLE001  # a clock, a logger, whatever it is: go on
            _log.exception("%r could not finish a tick", monitor)
            return LOOK_SECONDS

    def _sleep(self, pause: float) -> None:
        end = time.monotonic() + pause
        while (left := end - time.monotonic()) > 0:
            monitor = self._monitor()
            if monitor is None or _is_over(monitor):
                return
            del monitor
            self._waiter.sleep(min(left, LOOK_SECONDS))


def _is_over(monitor: Watched) -> bool:
    return monitor.closed or not threading.main_thread().is_alive()
