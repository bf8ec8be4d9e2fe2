"""
A bounded number of buffers of one size, lent to whoever reads into them.

A program that reads from a thousand places at once, each into a buffer of its own, has a
thousand buffers. `BufferPool` lends a fixed number of them in turn. Its worth is the bound and
not the speed: up to some hundred KiB, a lease costs more than a new buffer.
"""

import sys
import threading
import weakref
from dataclasses import dataclass
from functools import partial

from boundedcollections._core.budgets import Budget, Place
from boundedcollections._core.errors import Closed, WouldBlock
from boundedcollections._core.lease import Lease
from boundedcollections._core.receiver import NOTHING, Nothing
from boundedcollections._core.turns import OutOfTime, Turns, seconds_or_none
from boundedcollections._core.units import KiB, non_negative_int, positive_int


@dataclass(frozen=True, slots=True, kw_only=True)
class BufferPoolStatistics:
    """
    The figures of one `BufferPool` at one moment. Totals count since its creation.

    Always ``granted == leased + released + leaked``, and ``idle + leased + viewed`` buffers exist.

    Attributes:
        buffer_bytes: the size of one buffer.
        max_buffers: the bound in buffers.
        max_bytes: the bound in bytes: `max_buffers` times `buffer_bytes`.
        leased: buffers lent at this moment.
        idle: buffers kept for the next lease.
        viewed: buffers whose lease is over while somebody still holds a view of their memory.
        current_bytes: the bytes of all buffers that exist.
        peak_bytes: the most bytes that ever existed.
        granted: leases ever given out.
        released: leases given back.
        leaked: leases dropped without being given back; their buffers are not used again.
        waiting: how many wait for a buffer.
        rejected: how often there was no buffer for somebody who would not wait, or no longer.
        closed: whether the pool was closed.
    """

    buffer_bytes: int
    max_buffers: int
    max_bytes: int
    leased: int
    idle: int
    viewed: int
    current_bytes: int
    peak_bytes: int
    granted: int
    released: int
    leaked: int
    waiting: int
    rejected: int
    closed: bool


class _Buffer(bytearray):
    """
    The memory itself. The pool refers to it weakly, and counts it as long as it is there.

    So nothing has to be counted back: not for a lease that was lost, not for memory that somebody
    still looks at, and not when an exception out of the blue drops a buffer between two lines.
    """

    __slots__ = ("__weakref__", "lent")

    lent: bool


class BufferLease(Lease):
    """
    The loan of one buffer; ``with`` gives its memory, and gives it back.

    >>> pool = BufferPool(max_buffers=2)
    >>> with pool.acquire_nowait() as buffer:
    ...     buffer[:5] = b"hello"
    ...     len(buffer)
    65536
    >>> buffer[:5]
    Traceback (most recent call last):
    ...
    ValueError: operation forbidden on released memoryview object

    Attributes:
        buffer: the memory, all zeros at first; it cannot be used after the release. Slices of it,
            and whatever else was made from it, are to be dropped before: as long as one is there,
            the buffer is not lent again, and its slot stays taken.
    """

    __slots__ = ("_memory", "buffer")

    buffer: memoryview
    _owner: "BufferPool"

    def __init__(self, owner: "BufferPool") -> None:
        self._memory: _Buffer | None = None
        self._owner = owner

    @property
    def released(self) -> bool:
        """Whether the buffer was given back."""
        return self._memory is None

    def __enter__(self) -> memoryview:
        return self.buffer

    def _give_back(self, *, leaked: bool) -> bool:
        return self._owner._take_back(self, leaked=leaked)  # noqa: SLF001  # one mechanism

    def _where(self) -> str:
        return f"a lease of {self._owner._where()}"  # noqa: SLF001


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

    __slots__ = (
        "__weakref__",
        "_buffer_bytes",
        "_closed",
        "_granted",
        "_idle",
        "_lock",
        "_max_buffers",
        "_peak",
        "_place",
        "_refs",
        "_rejected",
        "_released",
        "_target_bytes",
        "_turns",
        "_wake",
        "name",
    )

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
        self._max_buffers = positive_int("max_buffers", max_buffers)
        self._buffer_bytes = positive_int("buffer_bytes", buffer_bytes)
        self.name = name
        self._lock = threading.RLock()
        self._turns = Turns(self._lock, max_waiting=sys.maxsize)
        turns = self._turns
        self._wake = lambda _: turns.wake_first()
        self._refs: list[weakref.ref[_Buffer]] = []
        self._idle: list[_Buffer] = []
        self._peak = 0
        self._granted = self._released = self._rejected = 0
        self._closed = False
        self._target_bytes = self.max_bytes
        self._place: Place | None = None
        if budget is not None:
            self._place = Place(
                self,
                budget,
                name=type(self).__name__ if name is None else name,
                max_bytes=self.max_bytes,
                floor_bytes=max(non_negative_int("floor_bytes", floor_bytes), self._buffer_bytes),
                weight=weight,
            )

    @property
    def max_buffers(self) -> int:
        """The bound in buffers."""
        return self._max_buffers

    @property
    def buffer_bytes(self) -> int:
        """The size of one buffer."""
        return self._buffer_bytes

    @property
    def max_bytes(self) -> int:
        """The bound in bytes."""
        return self._max_buffers * self._buffer_bytes

    @property
    def current_bytes(self) -> int:
        """The bytes of all buffers that exist, lent or not."""
        return len(self._alive()) * self._buffer_bytes

    @property
    def peak_bytes(self) -> int:
        """The most bytes of buffers that ever existed."""
        return self._peak * self._buffer_bytes

    @property
    def closed(self) -> bool:
        """Whether the pool lends no more."""
        return self._closed

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
        with self._lock:
            idle, self._idle = self._idle, []
        return len(idle) * self._buffer_bytes

    def close(self) -> None:
        """
        Lend no more; whoever waits gets `Closed`. Leases stay good until they are given back.

        Closing again changes nothing.
        """
        self._closed = True
        self.drain()
        self._turns.wake_everybody()

    def statistics(self) -> BufferPoolStatistics:
        """
        Return the figures of this moment; looking changes none of them.

        >>> BufferPool(max_buffers=16).statistics().max_bytes
        1048576
        """
        with self._lock:
            alive = self._alive()
            leased = sum(buffer.lent for buffer in alive)
            idle = len(self._idle)
            return BufferPoolStatistics(
                buffer_bytes=self._buffer_bytes,
                max_buffers=self._max_buffers,
                max_bytes=self.max_bytes,
                leased=leased,
                idle=idle,
                viewed=len(alive) - leased - idle,
                current_bytes=len(alive) * self._buffer_bytes,
                peak_bytes=self.peak_bytes,
                granted=self._granted,
                released=self._released,
                leaked=self._granted - self._released - leased,
                waiting=self._turns.waiting,
                rejected=self._rejected,
                closed=self._closed,
            )

    def __repr__(self) -> str:
        leased = sum(buffer.lent for buffer in self._alive())
        closed = " closed" if self._closed else ""
        return f"<{self._where()} buffers={leased}/{self._max_buffers}{closed}>"

    def _where(self) -> str:
        kind = type(self).__name__
        return kind if self.name is None else f"{kind} {self.name!r}"

    def _press(self) -> None:
        """Tell the budget if its target is in the way of one more buffer."""
        if self._place is not None and not self._idle:
            wanted = self.current_bytes + self._buffer_bytes
            if self._target_bytes < wanted <= self.max_bytes:
                self._place.account.press(self._buffer_bytes)

    def _claimed_bytes(self) -> int:
        return self.current_bytes

    def _aim(self, target_bytes: int) -> None:
        self._target_bytes = target_bytes

    def _shed(self) -> bool:
        """Let one idle buffer go if the target is exceeded; say whether it still is."""
        with self._lock:
            victim = self._idle.pop() if self._idle and not self._is_within_target() else None
        del victim
        return not self._is_within_target()

    def _is_within_target(self) -> bool:
        """Say whether there are no more buffers than the target allows; rarely are they counted."""
        return self._target_bytes >= self.max_bytes or self.current_bytes <= self._target_bytes

    def _refusal(self) -> WouldBlock:
        with self._lock:
            self._rejected += 1
        return WouldBlock(f"{self._where()} has all {self._max_buffers} buffers lent")

    def _too_late(self) -> TimeoutError:
        with self._lock:
            self._rejected += 1
        return TimeoutError(f"{self._where()} got no buffer back in time")

    def _alive(self) -> list[_Buffer]:
        """Return all buffers that exist."""
        return [buffer for ref in self._refs if (buffer := ref()) is not None]

    def _lend(self, lease: BufferLease) -> BufferLease | Nothing:
        """Give `lease` a buffer, if there is one; under the lock."""
        # Each half ends without a call: an interruption comes before all of it, or after.
        while not self._closed:
            if self._idle:
                buffer = self._idle.pop()
                view = memoryview(buffer)
            else:
                refs = self._refs
                alive = [ref for ref in refs if ref() is not None]
                exist = len(alive) + 1
                if exist > self._max_buffers or exist * self._buffer_bytes > self._target_bytes:
                    return NOTHING
                buffer = _Buffer(self._buffer_bytes)
                view = memoryview(buffer)
                alive.append(weakref.ref(buffer, self._wake))
                if self._refs is not refs:  # whoever interrupted this has made one, too
                    continue
                self._refs = alive
                if exist * self._buffer_bytes > self._target_bytes:  # it may have just fallen
                    self._refs = refs
                    return NOTHING
                if exist > self._peak:  # noqa: PLR1730  # max() would be a call
                    self._peak = exist
            buffer.lent = True
            lease._memory = buffer  # noqa: SLF001  # the other half of one mechanism
            lease.buffer = view
            self._granted += 1
            return lease
        raise Closed(f"{self._where()} is closed")

    def _take_back(self, lease: BufferLease, *, leaked: bool) -> bool:
        """End `lease`, and keep its buffer if nobody can look at it any more."""
        with self._lock:
            memory = lease._memory  # noqa: SLF001  # the other half of one mechanism
            if memory is None:
                return False
            lease._memory = None  # noqa: SLF001
            memory.lent = False
            if not leaked:
                self._released += 1
        try:
            if not leaked:
                self._keep(lease.buffer, memory)
        finally:
            del memory
            self._turns.wake_first()
        return True

    def _keep(self, view: memoryview, memory: _Buffer) -> None:
        """Wipe `memory` for the next lease, or let it go if somebody still looks at it."""
        try:
            view.release()
            bytearray.__init__(memory, self._buffer_bytes)  # new zeros; fails where views are left
        except (BufferError, MemoryError):
            return
        with self._lock:
            if not self._closed and self._is_within_target():
                self._idle.append(memory)

    def _check(self) -> None:
        """Assert the invariants."""
        with self._lock:
            figures = self.statistics()
            exist = figures.idle + figures.leased + figures.viewed
            assert min(figures.leased, figures.viewed, figures.leaked) >= 0, figures
            assert exist <= self._peak <= self._max_buffers, figures
            assert not (self._closed and self._idle), figures
            assert not any(buffer.lent for buffer in self._idle), figures
            assert all(buffer.count(0) == self._buffer_bytes for buffer in self._idle)
            self._turns.check()
