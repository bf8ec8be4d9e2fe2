"""
A queue with one reader whose senders never wait: when it is full, the oldest item is dropped.

A sender that waits for a slow reader stops whatever feeds it; a queue that grows instead is a
leak with a delay. `DropOldestChannel` keeps the newest items within its bounds, and tells its
reader, in place, exactly how many are missing.
"""

# ruff: noqa: PLR1730  # max() would be a call, where a step may be interrupted

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from boundedcollections._core import payload
from boundedcollections._core.batch import Batch, batch_of
from boundedcollections._core.budgets import Budget
from boundedcollections._core.errors import Closed, Lagged
from boundedcollections._core.events import RemovalCause
from boundedcollections._core.receiver import GIVE_WAY, NOTHING, Nothing, Receiver, Take
from boundedcollections._core.sender import Sender
from boundedcollections._core.steps import step
from boundedcollections._core.units import NO_LIMIT
from boundedcollections._core.waiters import Sleeper

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelStatistics:
    """
    The figures of one `DropOldestChannel` at one moment. Totals count since its creation.

    Always ``sent == received + missed + buffered``.

    Attributes:
        sent: items that were accepted.
        received: items that the receiver took.
        missed: items dropped before they could be received, by a bound or by closing.
        buffered: items that wait to be received.
        current_bytes: the sizes of the buffered items, with what the channel spends on them; 0
            when none are counted.
        missed_bytes: the same of the missed items.
        peak_items: the most items ever buffered.
        peak_bytes: the most bytes ever buffered.
        max_items: the bound in items, or None.
        max_bytes: the bound in bytes, or None.
        rejected: items refused because one alone exceeds `max_bytes`; not in `sent`.
        waiting: whether a receiver is waiting.
        closed: whether the channel was closed.
        listener_errors: how often `on_drop` raised.
    """

    sent: int
    received: int
    missed: int
    buffered: int
    current_bytes: int
    missed_bytes: int
    peak_items: int
    peak_bytes: int
    max_items: int | None
    max_bytes: int | None
    rejected: int
    waiting: bool
    closed: bool
    listener_errors: int


class DropOldestChannel(Sender[T], Receiver[T]):
    """
    A bounded queue with one receiver, whose senders never wait and drop the oldest instead.

    >>> import asyncio
    >>> async def main():
    ...     output = DropOldestChannel(max_items=3, name="output")
    ...     output.send_many(["a", "b", "c", "d", "e"])
    ...     output.close()
    ...     async for batch in output:
    ...         print(batch)
    >>> asyncio.run(main())
    Batch(items=('c', 'd', 'e'), missed=2, first_seq=2, next_seq=5)

    **At the bound** the oldest items are dropped, never the one that is sent: the newest always
    survives. An item that is larger than `max_bytes` by itself is refused with `TooLarge` and
    drops nothing. Items are numbered from 0 in the order in which they are sent.

    **The gap is data**: `receive` sets `missed`, and a `Batch` has it, to the number of items
    lost just before. A batch never crosses a gap. With ``strict=True`` a gap is raised as
    `Lagged` instead, once, before the item that follows it.

    **Cancellation**: a receiver that is cancelled or times out loses nothing; it is woken, then
    takes, and between the two there is no ``await``. What it took is in its hands: to limit what
    a consumer can lose that is cancelled over its work, give `receive_many` a limit.

    **Closing**: `close` is final. A later `send` raises `Closed`; the receiver gets what is
    left, and then `Closed` (``async for`` ends).

    **Threads and tasks**: `send`, `close` and the figures may be used from any thread and task,
    from a signal handler, a destructor, and from `on_drop`; none waits for anything but the
    lock. One receiver at a time may wait, in any event loop; it is woken once per sleep, so a
    flood from a thread costs its loop one call. A bound should hold what comes within about ten
    milliseconds: for so long a busy thread can keep all others from running.

    **Complexity**: O(1) for each item sent or received. The channel itself takes 1.5 kB, and on
    3.12 and later up to 9 kB more for the places of items that have left.

    **When not to use it**: where nothing may be lost, the sender has to wait: take
    ``asyncio.Queue``. For several readers that all get everything, take a `Broadcast`. Control
    messages that must not be dropped belong in a queue of their own, which disconnects when full.
    A channel that a child process inherits by ``fork`` does not connect the two.

    Args:
        max_items: the most items to buffer.
        max_bytes: the most bytes to buffer: the items, and what the channel spends on each (73 to
            105 bytes). One of the two bounds is required.
        sizeof: the bytes of one item, called once per send, without the lock. By default, where
            `max_bytes` is given, the length of bytes-like items and what a ``str`` occupies in
            memory; other items need `sizeof`, or ``size=`` with each send. Deep sizes cost fifty
            times a send, and are never taken by themselves.
        strict: raise `Lagged` for a gap.
        on_drop: called as ``on_drop(seq, item, cause)`` for every item that is dropped, after the
            lock is released; the cause is SIZE, COUNT, or CLEARED by closing. What it raises is
            logged and counted.
        budget: a `MemoryBudget` to join. Its target may then hold less than the bounds do: what
            is above it leaves with the cause SIZE, a slice with each send, and what alone is
            larger is refused like what exceeds `max_bytes`.
        floor_bytes: what the target never falls below. Give one that the largest item fits into
            if none may be refused.
        weight: the share of the budget beside the other members'.
        name: for people and metrics.

    Raises:
        TypeError: no bound was given, or an argument has the wrong type.
        ValueError: a bound is below 1.
    """

    __slots__ = ("__weakref__", "_receiver", "_strict", "_told", "missed")

    missed: int

    def __init__(
        self,
        *,
        max_items: int | None = None,
        max_bytes: int | None = None,
        sizeof: Callable[[T], int] | None = None,
        strict: bool = False,
        on_drop: Callable[[int, T, RemovalCause], object] | None = None,
        budget: Budget | None = None,
        floor_bytes: int = 0,
        weight: float = 1.0,
        name: str | None = None,
    ) -> None:
        super().__init__(
            max_items=max_items,
            max_bytes=max_bytes,
            sizeof=sizeof,
            on_drop=on_drop,
            budget=budget,
            floor_bytes=floor_bytes,
            weight=weight,
            name=name,
        )
        self._strict = strict
        self._told = 0  # how many of the dropped items the receiver has heard of
        self.missed = 0
        self._receiver = None

    def statistics(self) -> ChannelStatistics:
        """
        Return the figures of this moment; looking changes none of them.

        >>> channel = DropOldestChannel(max_items=2)
        >>> channel.send_many("abc")
        >>> figures = channel.statistics()
        >>> figures.sent, figures.missed, figures.buffered
        (3, 1, 2)
        """
        with self._lock:
            return ChannelStatistics(
                sent=self._first + self._held,
                received=self._first - self._dropped,
                missed=self._dropped,
                buffered=self._held,
                current_bytes=self._bytes,
                missed_bytes=self._dropped_bytes,
                peak_items=max(self._peak_items, self._held),
                peak_bytes=self.peak_bytes,
                max_items=self.max_items,
                max_bytes=self.max_bytes,
                rejected=self._rejected,
                waiting=self._receiver is not None,
                closed=self._closed,
                listener_errors=self._notify.errors,
            )

    def _counts_bytes(self) -> bool:
        return self._sizeof is not None

    @step
    def _settle(self, take: Take[Any], waiter: Sleeper) -> bool:
        if self._receiver is not take:
            if self._receiver is not None:
                raise self._company()
            self._receiver = take
        if self._held or self._closed:
            return True
        self._parked[self] = waiter
        self._room = 0
        return False

    @step
    def _forget(self, waiter: Sleeper) -> None:
        if self in self._parked and self._parked[self] is waiter:
            del self._parked[self]

    @step
    def _take_one(self, gives_way: bool = False) -> T | Nothing:  # noqa: FBT002
        held, first, missed = self._held, self._first, 0
        if not held:
            return self._without_item() if self._closed or self._strict else NOTHING
        if gives_way and first & GIVE_WAY == GIVE_WAY:
            return NOTHING
        if self._told != self._dropped:
            missed = self._dropped - self._told
            if self._strict:
                return self._without_item()
            if gives_way and missed > first & GIVE_WAY:  # it was the others' turn in the gap
                return NOTHING
            self._told += missed
        if held > self._peak_items:
            self._peak_items = held
        self._held = held - 1
        self._first = first + 1
        self.missed = missed
        popleft = self._popleft
        item: T
        if self._sizeof is None:
            item = popleft()
            return item
        if self._bytes > self._peak_bytes:
            self._peak_bytes = self._bytes
        self._bytes -= self._items[0][1]
        item, _ = popleft()
        return item

    @step
    def _take_many(
        self, most_items: int = NO_LIMIT, most_bytes: int = NO_LIMIT
    ) -> Batch[T] | Nothing:
        held = self._held
        missed = self._dropped - self._told
        if held > 1:
            return self._take_some(most_items, most_bytes)
        if not held or (missed and self._strict):
            return NOTHING if not missed and not self._closed else self._without_item()
        if not self._peak_items:
            self._peak_items = 1
        self._held = 0
        first_seq = self._first
        self._first = next_seq = first_seq + 1
        self.missed = missed
        if missed:
            self._told += missed
        popleft = self._popleft
        if self._sizeof is None:
            item = popleft()
        else:
            if self._bytes > self._peak_bytes:
                self._peak_bytes = self._bytes
            self._bytes = 0
            item, _ = popleft()
        return batch_of(((item,), missed, first_seq, next_seq))

    @step
    def _take_some(self, most_items: int, most_bytes: int) -> Batch[T] | Nothing:
        fresh: deque[Any] = deque()
        append, popleft = fresh.append, fresh.popleft
        held = self._held
        missed = self._dropped - self._told
        if held > most_items or most_bytes != NO_LIMIT:
            return self._take_by_and_by(most_items, most_bytes)
        if not held or (missed and self._strict):
            return self._without_item()
        if held > self._peak_items:
            self._peak_items = held
        if self._bytes > self._peak_bytes:
            self._peak_bytes = self._bytes
        entries, self._items = self._items, fresh
        self._append, self._popleft = append, popleft
        first_seq = self._first
        self._first = next_seq = first_seq + held
        self._held = self._bytes = 0
        self.missed = missed
        self._told += missed
        items = tuple(entries) if self._sizeof is None else tuple([entry[0] for entry in entries])
        return batch_of((items, missed, first_seq, next_seq))

    @step
    def _take_by_and_by(self, most_items: int, most_bytes: int) -> Batch[T] | Nothing:
        items: list[T] = []
        missed = first_seq = next_seq = 0
        while len(items) < most_items:
            held, popleft = self._held, self._popleft
            if not held:
                break
            booked = 0 if self._sizeof is None else self._items[0][1]
            size = booked - payload.ENTRY_BYTES
            if booked > payload.LARGEST_SHARED_INT:
                size -= payload.NUMBER_BYTES
            if not items:
                if self._strict and self._dropped != self._told:
                    break
                self.missed = missed = self._dropped - self._told
                self._told = self._dropped
                first_seq = self._first
            elif self._first != next_seq or size > most_bytes:  # interrupted, or enough
                break
            if held > self._peak_items:
                self._peak_items = held
            if self._bytes > self._peak_bytes:
                self._peak_bytes = self._bytes
            self._first = next_seq = self._first + 1
            self._held = held - 1
            self._bytes -= booked
            most_bytes -= size
            entry = popleft()
            items.append(entry if self._sizeof is None else entry[0])
        if not items:
            return self._without_item()
        return batch_of((tuple(items), missed, first_seq, next_seq))

    def _without_item(self) -> Nothing:
        """Tell what a receiver has to know before the next item, if anything."""
        missed = self._dropped - self._told
        if missed and self._strict:
            self._told += missed
            self.missed = 0
            raise Lagged(missed)
        if not self._closed or self._held:
            return NOTHING
        self.missed = missed
        raise Closed(f"{self._where()} is closed")

    def _check(self) -> None:
        super()._check()
        with self._lock:
            assert self._offset == 0
            assert 0 <= self._told <= self._dropped
