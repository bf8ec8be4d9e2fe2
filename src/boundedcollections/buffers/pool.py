"""What users borrow buffers from, and wait for."""

import sys
import threading
from functools import partial

from boundedcollections._core.budgets import Budget, Place
from boundedcollections._core.errors import Closed, WouldBlock
from boundedcollections._core.receiver import NOTHING, Nothing
from boundedcollections._core.turns import OutOfTime, Turns, seconds_or_none
from boundedcollections._core.units import KiB, non_negative_int, positive_int
from boundedcollections.buffers.lease import BufferLease
from boundedcollections.buffers.statistics import BufferPoolStatistics
from boundedcollections.buffers.stock import Stock


class BufferPool:
    """
    Lends at most `max_buffers` buffers of `buffer_bytes` each.

    >>> pool = BufferPool(max_buffers=1, name="reads")
    >>> with pool.acquire_nowait() as buffer:
    ...     pool
    <BufferPool 'reads' buffers=1/1>
    >>> pool.statistics().idle
    1

    **At the bound** `acquire` waits for its turn, and `acquire_nowait` raises `WouldBlock`; who
    came first is served first. Buffers are made when needed and kept for the next lease.

    **What a lease leaves behind** is wiped before the next one. A lease that is dropped without a
    release is counted, a ResourceWarning tells of it, and its slot comes back. A lease given back
    twice is an error. Memory that somebody still looks at after the release is not lent again; its
    slot comes back when nobody does.

    **Threads and tasks**: every method may be called from any thread and any task, from a signal
    handler and from a destructor, but those that wait. A task that is cancelled takes nothing
    along.

    **Complexity**: to lend is O(1), to make or wipe a buffer is O(`buffer_bytes`).

    **When not to use it**: for a single event loop that reads, splits and forgets without an
    ``await`` in between: there one buffer serves all.

    Args:
        max_buffers: the most buffers that exist at once, lent or not.
        buffer_bytes: the size of one. Python spends up to 600 bytes beside that on each
            that is lent, and 300 on each that is not.
        budget: a `MemoryBudget` to join. Its target may then hold less than the bound does: idle
            buffers are let go, and new ones wait for room.
        floor_bytes: what the target never falls below; one buffer at least.
        weight: the share of the budget beside the other members'.
        name: for people and metrics.

    Raises:
        TypeError: a bound is not an integer.
        ValueError: a bound is below 1.
    """

    __slots__ = ("__weakref__", "_lock", "_place", "_rejected", "_stock", "_turns", "name")

    def __init__(
        self,
        *,
        max_buffers: int,
        buffer_bytes: int = 64 * KiB,
        budget: Budget | None = None,
        floor_bytes: int = 0,
        weight: float = 1.0,
        name: str | None = None,
    ) -> None:
        self.name = name
        self._lock = threading.RLock()
        self._turns = turns = Turns(self._lock, max_waiting=sys.maxsize)
        self._stock = Stock(
            positive_int("max_buffers", max_buffers),
            positive_int("buffer_bytes", buffer_bytes),
            self._lock,
            lambda _: turns.wake_first(),
        )
        self._rejected = 0
        self._place: Place | None = None
        if budget is not None:
            self._place = Place(
                self,
                budget,
                name=type(self).__name__ if name is None else name,
                max_bytes=self.max_bytes,
                floor_bytes=max(
                    non_negative_int("floor_bytes", floor_bytes), self._stock.buffer_bytes
                ),
                weight=weight,
            )

    @property
    def max_buffers(self) -> int:
        """The bound in buffers."""
        return self._stock.max_buffers

    @property
    def buffer_bytes(self) -> int:
        """The size of one buffer."""
        return self._stock.buffer_bytes

    @property
    def max_bytes(self) -> int:
        """The bound in bytes."""
        return self._stock.max_bytes

    @property
    def current_bytes(self) -> int:
        """The bytes of all buffers that exist, lent or not."""
        return self._stock.current_bytes

    @property
    def peak_bytes(self) -> int:
        """The most bytes of buffers that ever existed."""
        return self._stock.peak * self._stock.buffer_bytes

    @property
    def closed(self) -> bool:
        """Whether the pool lends no more."""
        return self._stock.closed

    async def acquire(self, timeout_seconds: float | None = None) -> BufferLease:
        r"""
        Wait for a buffer and borrow it; use the lease by ``with``.

        >>> import asyncio
        >>> async def main():
        ...     with await BufferPool(max_buffers=1, buffer_bytes=4).acquire() as buffer:
        ...         return bytes(buffer)
        >>> asyncio.run(main())
        b'\x00\x00\x00\x00'

        Args:
            timeout_seconds: how long to wait at most; None waits for as long as it takes.

        Raises:
            Closed: the pool was closed.
            TimeoutError: no buffer came back in time.
        """
        seconds = seconds_or_none(timeout_seconds)
        self._press()
        lease = BufferLease(self)
        try:
            return await self._turns.take(partial(self._lend, lease), self._refusal, seconds)
        except OutOfTime:
            raise self._too_late() from None
        except BaseException:
            self._take_back(lease, leaked=False)
            raise

    def acquire_nowait(self) -> BufferLease:
        """
        Borrow a buffer if there is one and nobody waits for it.

        Raises:
            WouldBlock: there is none.
            Closed: the pool was closed.
        """
        self._press()
        lease = BufferLease(self)
        try:
            taken = self._turns.take_nowait(partial(self._lend, lease))
        except BaseException:
            self._take_back(lease, leaked=False)
            raise
        if taken is NOTHING:
            raise self._refusal()
        return lease

    def acquire_blocking(self, timeout_seconds: float | None = None) -> BufferLease:
        """
        Wait in a thread for a buffer and borrow it; otherwise like `acquire`.

        Not for a thread that runs an event loop: it would stop the loop.

        Args:
            timeout_seconds: how long to wait at most; None waits for as long as it takes.

        Raises:
            Closed: the pool was closed.
            TimeoutError: no buffer came back in time.
        """
        seconds = seconds_or_none(timeout_seconds)
        self._press()
        lease = BufferLease(self)
        try:
            return self._turns.take_blocking(partial(self._lend, lease), self._refusal, seconds)
        except OutOfTime:
            raise self._too_late() from None
        except BaseException:
            self._take_back(lease, leaked=False)
            raise

    def drain(self) -> int:
        """
        Let the buffers go that nobody uses, and return how many bytes that were.

        >>> pool = BufferPool(max_buffers=1)
        >>> pool.acquire_nowait().release()
        >>> pool.drain(), pool.current_bytes
        (65536, 0)
        """
        return self._stock.drain()

    def close(self) -> None:
        """
        Lend no more; whoever waits gets `Closed`. Leases stay good until they are given back.

        Closing again changes nothing.
        """
        self._stock.close()
        self._turns.wake_everybody()

    def statistics(self) -> BufferPoolStatistics:
        """
        Return the figures of this moment; looking changes none of them.

        >>> BufferPool(max_buffers=16).statistics().max_bytes
        1048576
        """
        stock = self._stock
        with self._lock:
            alive = stock.alive()
            leased = sum(buffer.lent for buffer in alive)
            idle = len(stock.idle)
            return BufferPoolStatistics(
                buffer_bytes=stock.buffer_bytes,
                max_buffers=stock.max_buffers,
                max_bytes=stock.max_bytes,
                leased=leased,
                idle=idle,
                viewed=len(alive) - leased - idle,
                current_bytes=len(alive) * stock.buffer_bytes,
                peak_bytes=self.peak_bytes,
                granted=stock.granted,
                released=stock.released,
                leaked=stock.granted - stock.released - leased,
                waiting=self._turns.waiting,
                rejected=self._rejected,
                closed=stock.closed,
            )

    def __repr__(self) -> str:
        leased = sum(buffer.lent for buffer in self._stock.alive())
        closed = " closed" if self._stock.closed else ""
        return f"<{self._where()} buffers={leased}/{self._stock.max_buffers}{closed}>"

    def _where(self) -> str:
        kind = type(self).__name__
        return kind if self.name is None else f"{kind} {self.name!r}"

    def _press(self) -> None:
        """Tell the budget if its target is in the way of one more buffer."""
        stock = self._stock
        if self._place is not None and not stock.idle:
            wanted = stock.current_bytes + stock.buffer_bytes
            if stock.target_bytes < wanted <= stock.max_bytes:
                self._place.account.press(stock.buffer_bytes)

    def _claimed_bytes(self) -> int:
        return self._stock.current_bytes

    def _aim(self, target_bytes: int) -> None:
        self._stock.target_bytes = target_bytes

    def _shed(self) -> bool:
        return self._stock.shed()

    def _refusal(self) -> WouldBlock:
        with self._lock:
            self._rejected += 1
        return WouldBlock(f"{self._where()} has all {self._stock.max_buffers} buffers lent")

    def _too_late(self) -> TimeoutError:
        with self._lock:
            self._rejected += 1
        return TimeoutError(f"{self._where()} got no buffer back in time")

    def _lend(self, lease: BufferLease) -> BufferLease | Nothing:
        taken = self._stock.lend(lease)
        if taken is NOTHING and self._stock.closed:
            raise Closed(f"{self._where()} is closed")
        return taken

    def _take_back(self, lease: BufferLease, *, leaked: bool) -> bool:
        """End `lease`, and wake whoever is first in line, whatever strikes meanwhile."""
        try:
            return self._stock.take_back(lease, leaked=leaked)
        finally:
            self._turns.wake_first()

    def _check(self) -> None:
        """Assert the invariants."""
        with self._lock:
            figures = self.statistics()
            assert min(figures.leased, figures.viewed, figures.leaked) >= 0, figures
            self._stock.check()
            self._turns.check()
