"""
How those who want something scarce stand in line: who came first takes first.

Nothing is ever assigned to somebody asleep. What is given back wakes the first in line, and that
one takes it when awake. So whoever is cancelled, runs out of time or dies, at whatever moment,
takes nothing along, and the next in line is woken instead.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from itertools import islice
from typing import TypeVar

from boundedcollections._core.receiver import NOTHING, Nothing
from boundedcollections._core.units import positive_seconds
from boundedcollections._core.waiters import Sleeper, ThreadWaiter, sleep_on, waiter_here, wake_all

R = TypeVar("R")


class OutOfTime(Exception):  # what it says; no user ever sees it
    """What was waited for did not come in time."""


class _Place:
    """A place in the line; compared by identity."""

    __slots__ = ("counted", "waiter")

    def __init__(self) -> None:
        self.counted = False
        self.waiter: Sleeper | None = None


class Turns:
    """
    The line in front of something scarce, for tasks and threads alike.

    `take` is called under the lock, whenever it is the caller's turn; it takes, or returns
    `NOTHING`. A newcomer takes at once only when nobody stands in line before it.

    >>> turns = Turns(threading.RLock(), max_waiting=5)
    >>> turns.take_nowait(lambda: "taken")
    'taken'

    Attributes:
        waiting: how many stand in line.
    """

    __slots__ = ("_line", "_lock", "_max_waiting", "waiting")

    def __init__(self, lock: threading.RLock, *, max_waiting: int) -> None:
        self._lock = lock
        self._max_waiting = max_waiting
        self._line: OrderedDict[_Place, None] = OrderedDict()
        self.waiting = 0

    def take_nowait(self, take: Callable[[], R | Nothing]) -> R | Nothing:
        """Take if there is something, and nobody was here before."""
        with self._lock:
            return NOTHING if self._line else take()

    async def take(
        self,
        take: Callable[[], R | Nothing],
        refuse: Callable[[], Exception],
        seconds: float | None,
    ) -> R:
        """
        Stand in line until it is this task's turn and there is something to take.

        Raises:
            OutOfTime: that took more than `seconds`.
            Exception: what `refuse` returns, if the line is full.
        """
        deadline = None if seconds is None else time.monotonic() + seconds
        place = _Place()
        try:
            taken = self._arrive(place, take, refuse)
            while taken is NOTHING:
                waiter = waiter_here()
                left = None if deadline is None else deadline - time.monotonic()
                taken = self._try(place, waiter, take, left)
                if taken is NOTHING:
                    await sleep_on(waiter, left)
            return taken
        finally:
            if place.counted:
                try:
                    self._leave(place)
                except BaseException:  # nobody in line may be forgotten, whatever strikes
                    self._leave(place)
                    raise

    def take_blocking(
        self,
        take: Callable[[], R | Nothing],
        refuse: Callable[[], Exception],
        seconds: float | None,
    ) -> R:
        """Do as `take` does, in a thread."""
        deadline = None if seconds is None else time.monotonic() + seconds
        place = _Place()
        try:
            taken = self._arrive(place, take, refuse)
            while taken is NOTHING:
                waiter = ThreadWaiter()
                left = None if deadline is None else deadline - time.monotonic()
                taken = self._try(place, waiter, take, left)
                if taken is NOTHING:
                    waiter.sleep(left)
            return taken
        finally:
            if place.counted:
                try:
                    self._leave(place)
                except BaseException:  # nobody in line may be forgotten, whatever strikes
                    self._leave(place)
                    raise

    def wake_first(self) -> None:
        """Have the first in line look again, whatever strikes meanwhile; without the lock."""
        try:
            self._wake(self._first)
        except BaseException:
            self._wake(self._first)
            raise

    def wake_everybody(self) -> None:
        """Have everybody in line look again, whatever strikes meanwhile; without the lock."""
        try:
            self._wake(self._everybody)
        except BaseException:
            self._wake(self._everybody)
            raise

    def _arrive(
        self, place: _Place, take: Callable[[], R | Nothing], refuse: Callable[[], Exception]
    ) -> R | Nothing:
        """Take at once, or join the line."""
        with self._lock:
            taken = NOTHING if self._line else take()
            if taken is NOTHING:
                if self.waiting >= self._max_waiting:
                    raise refuse()
                self.waiting += 1
                place.counted = True
                self._line[place] = None
            return taken

    def _try(
        self,
        place: _Place,
        waiter: Sleeper,
        take: Callable[[], R | Nothing],
        left: float | None,
    ) -> R | Nothing:
        """Take if it is the turn of `place`; otherwise see that `waiter` is woken."""
        with self._lock:
            place.waiter = waiter  # first: what is given back from here on must wake it
            taken = take() if self._first() == [place] else NOTHING
            if taken is NOTHING and left is not None and left <= 0:
                raise OutOfTime
            return taken

    def _leave(self, place: _Place) -> None:
        with self._lock:
            if place.counted:
                place.counted = False
                self.waiting -= 1
            self._line.pop(place, None)
        self._wake(self._first)  # there may be more to take, or what `place` was woken for

    def _first(self) -> list[_Place]:
        while True:
            try:
                return list(islice(self._line, 1))
            except RuntimeError:  # struck while it was made
                continue

    def _everybody(self) -> list[_Place]:
        return list(self._line)

    def _wake(self, whom: Callable[[], list[_Place]]) -> None:
        if not self._line:
            return
        with self._lock:
            sleepers = {place: place.waiter for place in whom() if place.waiter is not None}
        wake_all(sleepers)

    def check(self) -> None:
        """Assert the invariants; the owner calls it under its lock."""
        assert self.waiting == len(self._line), (self.waiting, len(self._line))
        assert self.waiting <= self._max_waiting, self.waiting
        assert all(place.counted for place in self._line)


def seconds_or_none(timeout_seconds: float | None) -> float | None:
    """Return a valid time to wait."""
    return None if timeout_seconds is None else positive_seconds("timeout_seconds", timeout_seconds)
