"""Who is let in, who waits, and why the rest is refused."""

import threading
import time
from collections.abc import Callable, Hashable
from functools import partial
from typing import Final

from boundedcollections._core.budgets import Budget
from boundedcollections._core.errors import Closed, LimitReached
from boundedcollections._core.receiver import NOTHING, Nothing
from boundedcollections._core.turns import OutOfTime, Turns, seconds_or_none
from boundedcollections._core.units import non_negative_int, positive_int
from boundedcollections.limiter.keys import Keys
from boundedcollections.limiter.permit import Permit
from boundedcollections.limiter.statistics import LimiterStatistics

_WEIGHT_OF_THE_NEWEST: Final = 0.1
"""How much of the mean time inside is due to whoever left last."""
_LEAST_RETRY_SECONDS: Final = 1.0
_MOST_RETRY_SECONDS: Final = 60.0


class ConnectionLimiter:
    """
    Lets in at most `max_connections` at once, `max_per_key` of one key; the rest waits or goes.

    >>> limiter = ConnectionLimiter(max_connections=100, max_per_key=2, name="web")
    >>> permits = [limiter.acquire_nowait("10.0.0.7") for _ in range(2)]
    >>> limiter.acquire_nowait("10.0.0.7")
    Traceback (most recent call last):
    ...
    boundedcollections._core.errors.LimitReached: ConnectionLimiter 'web' refuses: max_per_key=2 \
is reached; try again in 1 seconds
    >>> for permit in permits:
    ...     permit.release()

    **At the bound** `acquire` waits in line, if there is room in it; who came first goes first.
    Everybody else is refused at once with `LimitReached`, which says what limit it was (`reason`,
    `limit`) and when to come back (`retry_after_seconds`, from how long others have stayed of
    late). What one key has inside and waiting together is bounded by `max_per_key`, so that
    nobody fills the line alone. While memory is critically short, `budget` refuses everybody new.

    **Threads and tasks**: every method may be called from any thread and any task; all but the
    waiting ones from a signal handler and a destructor, too. A task that is cancelled takes no
    place along. A permit that is dropped without a release is counted, a ResourceWarning tells of
    it, and its place comes back.

    **Complexity**: O(1).

    **When not to use it**: to limit how often something happens; it limits how many at once.

    Args:
        max_connections: the most that are inside at once.
        max_per_key: the most of one key, such as an address, inside and waiting.
        max_waiting: the most that wait in line; by default nobody waits.
        budget: a `MemoryBudget`, whose `admit` is asked for everybody new.
        name: for people and metrics.
        clock: seconds, never going back, for the time inside.

    Raises:
        TypeError: a bound is not an integer.
        ValueError: a bound is below 1, or `max_waiting` below 0.
    """

    __slots__ = (
        "__weakref__",
        "_admitted",
        "_budget",
        "_clock",
        "_closed",
        "_inside",
        "_keys",
        "_leaked",
        "_lock",
        "_max_connections",
        "_max_per_key",
        "_max_waiting",
        "_mean_seconds",
        "_peak",
        "_refused_by_budget",
        "_refused_by_key",
        "_refused_full",
        "_released",
        "_timed_out",
        "_turns",
        "name",
    )

    def __init__(
        self,
        *,
        max_connections: int,
        max_per_key: int | None = None,
        max_waiting: int = 0,
        budget: Budget | None = None,
        name: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max_connections = positive_int("max_connections", max_connections)
        self._max_per_key = (
            None if max_per_key is None else positive_int("max_per_key", max_per_key)
        )
        self._max_waiting = non_negative_int("max_waiting", max_waiting)
        self._budget = budget
        self.name = name
        self._clock = clock
        self._lock = threading.RLock()
        self._turns = Turns(self._lock, max_waiting=self._max_waiting)
        self._keys = Keys()
        self._inside = self._peak = self._admitted = self._released = self._leaked = 0
        self._refused_full = self._refused_by_key = self._refused_by_budget = self._timed_out = 0
        self._mean_seconds = 0.0
        self._closed = False

    @property
    def max_connections(self) -> int:
        """The bound inside."""
        return self._max_connections

    @property
    def max_per_key(self) -> int | None:
        """The bound for one key, inside and waiting together, or None."""
        return self._max_per_key

    @property
    def max_waiting(self) -> int:
        """The bound in line."""
        return self._max_waiting

    @property
    def closed(self) -> bool:
        """Whether nobody is let in any more."""
        return self._closed

    async def acquire(self, key: Hashable = None, timeout_seconds: float | None = None) -> Permit:
        """
        Let one in, or wait in line for a place; use the permit by ``with``.

        >>> import asyncio
        >>> async def main():
        ...     limiter = ConnectionLimiter(max_connections=1)
        ...     with await limiter.acquire():
        ...         return len(limiter)
        >>> asyncio.run(main())
        1

        Args:
            key: whose connection it is; not looked at without `max_per_key`.
            timeout_seconds: how long to wait at most; None waits for as long as it takes.

        Raises:
            LimitReached: there is no place, neither inside nor in line, or none came in time.
            Closed: the limiter was closed.
        """
        seconds = seconds_or_none(timeout_seconds)
        permit = Permit(self, key)
        try:
            self._admit(permit)
            await self._turns.take(partial(self._enter, permit), self._full, seconds)
            self._begin(permit)
        except OutOfTime:
            raise self._too_late(permit) from None
        except BaseException:
            self._take_back(permit, leaked=False)
            raise
        return permit

    def acquire_nowait(self, key: Hashable = None) -> Permit:
        """
        Let one in if there is a place, and nobody waits for it.

        Raises:
            LimitReached: there is no place.
            Closed: the limiter was closed.
        """
        permit = Permit(self, key)
        try:
            self._admit(permit)
            if self._turns.take_nowait(partial(self._enter, permit)) is NOTHING:
                raise self._full()  # noqa: TRY301  # its share goes back as with any error
            self._begin(permit)
        except BaseException:
            self._take_back(permit, leaked=False)
            raise
        return permit

    def acquire_blocking(
        self, key: Hashable = None, timeout_seconds: float | None = None
    ) -> Permit:
        """
        Let one in, or wait in line in a thread; otherwise like `acquire`.

        Not for a thread that runs an event loop: it would stop the loop.

        Args:
            key: whose connection it is; not looked at without `max_per_key`.
            timeout_seconds: how long to wait at most; None waits for as long as it takes.

        Raises:
            LimitReached: there is no place, neither inside nor in line, or none came in time.
            Closed: the limiter was closed.
        """
        seconds = seconds_or_none(timeout_seconds)
        permit = Permit(self, key)
        try:
            self._admit(permit)
            self._turns.take_blocking(partial(self._enter, permit), self._full, seconds)
            self._begin(permit)
        except OutOfTime:
            raise self._too_late(permit) from None
        except BaseException:
            self._take_back(permit, leaked=False)
            raise
        return permit

    def close(self) -> None:
        """
        Let nobody in any more; whoever waits gets `Closed`. Permits stay good until their release.

        Closing again changes nothing.
        """
        self._closed = True
        self._turns.wake_everybody()

    def statistics(self) -> LimiterStatistics:
        """
        Return the figures of this moment; looking changes none of them.

        >>> ConnectionLimiter(max_connections=10).statistics().connections
        0
        """
        with self._lock:
            return LimiterStatistics(
                connections=self._inside,
                waiting=self._turns.waiting,
                keys=len(self._keys),
                max_connections=self._max_connections,
                max_per_key=self._max_per_key,
                max_waiting=self._max_waiting,
                peak_connections=self._peak,
                admitted=self._admitted,
                released=self._released,
                leaked=self._leaked,
                refused_full=self._refused_full,
                refused_by_key=self._refused_by_key,
                refused_by_budget=self._refused_by_budget,
                timed_out=self._timed_out,
                mean_seconds=self._mean_seconds,
                closed=self._closed,
            )

    def __len__(self) -> int:
        return self._inside

    def __bool__(self) -> bool:
        return True  # an empty server is a server

    def __repr__(self) -> str:
        parts = [self._where(), f"connections={self._inside}/{self._max_connections}"]
        if self._max_waiting:
            parts.append(f"waiting={self._turns.waiting}/{self._max_waiting}")
        if self._closed:
            parts.append("closed")
        return f"<{' '.join(parts)}>"

    def _where(self) -> str:
        kind = type(self).__name__
        return kind if self.name is None else f"{kind} {self.name!r}"

    def _admit(self, permit: Permit) -> None:
        """See whether anybody new may come, and `permit` in particular; book its share."""
        self._ask_the_budget()
        if self._max_per_key is None:
            return
        with self._lock:
            if self._keys.book(permit, self._max_per_key):
                return
            self._refused_by_key += 1
        raise self._refusal("max_per_key", self._max_per_key, self._max_per_key)

    def _begin(self, permit: Permit) -> None:
        """Begin the time inside, unless memory has become short while `permit` waited."""
        self._ask_the_budget()
        permit._since = self._clock()  # noqa: SLF001  # the other half of one mechanism

    def _ask_the_budget(self) -> None:
        if self._budget is None:
            return
        try:
            self._budget.admit()
        except LimitReached:
            with self._lock:
                self._refused_by_budget += 1
            raise

    def _enter(self, permit: Permit) -> Permit | Nothing:
        """Let `permit` in if there is a place; under the lock."""
        if self._closed:
            raise Closed(f"{self._where()} is closed")
        if self._inside >= self._max_connections:
            return NOTHING
        self._inside += 1  # no call from here on
        self._admitted += 1
        permit._inside = True  # noqa: SLF001  # the other half of one mechanism
        if self._inside > self._peak:  # noqa: PLR1730  # max() would be a call
            self._peak = self._inside
        return permit

    def _take_back(self, permit: Permit, *, leaked: bool) -> bool:
        """Give back what `permit` has; return whether it was inside."""
        now = self._clock()
        with self._lock:
            was_inside, share = permit._inside, permit._share  # noqa: SLF001  # one mechanism
            permit._inside, permit._share = False, None  # noqa: SLF001
            if share is not None:
                share.count -= 1
            if was_inside:
                self._inside -= 1
                if leaked:
                    self._leaked += 1
                else:
                    self._released += 1
                self._learn(now - permit._since)  # noqa: SLF001
            if share is not None:
                self._keys.forget(permit.key, share)
        if was_inside:
            self._turns.wake_first()
        return was_inside

    def _learn(self, stayed: float) -> None:
        if stayed < 0:  # it never began
            return
        weight = _WEIGHT_OF_THE_NEWEST if self._released + self._leaked > 1 else 1.0
        self._mean_seconds += weight * (stayed - self._mean_seconds)

    def _full(self) -> LimitReached:
        with self._lock:
            self._refused_full += 1
            ahead = self._turns.waiting
        if self._max_waiting:
            return self._refusal("max_waiting", self._max_waiting, self._max_connections, ahead)
        return self._refusal("max_connections", self._max_connections, self._max_connections)

    def _too_late(self, permit: Permit) -> LimitReached:
        self._take_back(permit, leaked=False)
        with self._lock:
            self._timed_out += 1
            ahead = self._turns.waiting
        return self._refusal("max_connections", self._max_connections, self._max_connections, ahead)

    def _refusal(self, reason: str, limit: int, places: int, ahead: int = 0) -> LimitReached:
        """Tell when a place should come free, if those inside stay as long as others did."""
        wait = self._mean_seconds * (ahead + 1) / places
        retry = min(max(wait, _LEAST_RETRY_SECONDS), _MOST_RETRY_SECONDS)
        return LimitReached(self._where(), reason=reason, limit=limit, retry_after_seconds=retry)

    def _check(self) -> None:
        """Assert the invariants."""
        with self._lock:
            assert 0 <= self._inside <= self._peak <= self._max_connections, self._inside
            assert self._admitted == self._inside + self._released + self._leaked
            self._turns.check()
            counts = self._keys.counts()
            bound = 0 if self._max_per_key is None else self._max_per_key
            assert all(0 <= count <= bound for count in counts), counts
            assert self._max_per_key is None or sum(counts) >= self._inside, counts
