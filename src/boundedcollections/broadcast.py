"""
One stream for many readers: each item is kept once, and a reader is a place in the stream.

A queue for each reader holds an item many times over, and each send costs as much as there are
readers. A `Broadcast` keeps one ring of the newest items, and a `Subscription` is little more than
a number. A reader that stalls costs nothing: the ring moves on, and the reader learns how much it
missed.
"""

# ruff: noqa: SLF001  # a subscription is a part of its broadcast, not a user of it

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal, TypeVar, get_args

from boundedcollections._core.batch import Batch
from boundedcollections._core.errors import Closed
from boundedcollections._core.receiver import NOTHING, Nothing, Receiver
from boundedcollections._core.sender import Sender
from boundedcollections._core.units import non_negative_int, positive_int
from boundedcollections._core.waiters import Waiter, wake_all

T = TypeVar("T")
OnLag = Literal["skip", "latest", "close"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BroadcastStatistics:
    """
    The figures of one `Broadcast` at one moment. Totals count since its creation.

    Always ``sent == evicted + items``.

    Attributes:
        sent: items that were accepted.
        evicted: items that left the ring, by a bound or by closing; readers may have had them.
        items: items in the ring.
        current_bytes: the sum of the sizes of the items in the ring; 0 when none are counted.
        evicted_bytes: the sum of the sizes of the evicted items; 0 when none are counted.
        peak_items: the most items ever in the ring.
        peak_bytes: the most bytes ever in the ring.
        max_items: the bound in items, or None.
        max_bytes: the bound in bytes, or None.
        first_seq: the number of the oldest item in the ring; `next_seq` when it is empty.
        next_seq: the number that the next item will get.
        rejected: items refused because one alone exceeds `max_bytes`; not in `sent`.
        waiting: subscriptions whose receiver is asleep.
        closed: whether the broadcast was closed.
    """

    sent: int
    evicted: int
    items: int
    current_bytes: int
    evicted_bytes: int
    peak_items: int
    peak_bytes: int
    max_items: int | None
    max_bytes: int | None
    first_seq: int
    next_seq: int
    rejected: int
    waiting: int
    closed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionStatistics:
    """
    The figures of one `Subscription` at one moment. Totals count since its first number.

    Always ``sent == received + missed + buffered``.

    Attributes:
        sent: numbers that were given out, by `send` and by `skip`.
        received: items that the receiver took.
        missed: items lost to this reader, including those that it has not been told of yet.
        buffered: items in the ring that it has not taken.
        position: the number of the last item that it took, or was told it missed.
        waiting: whether its receiver is waiting.
        closed: whether it was closed, by `close` or for its lag.
    """

    sent: int
    received: int
    missed: int
    buffered: int
    position: int
    waiting: bool
    closed: bool


class Broadcast(Sender[T]):
    """
    A bounded stream that many readers follow, each at its own pace, and that waits for none.

    >>> import asyncio
    >>> async def main():
    ...     hub = Broadcast(max_items=3, name="room")
    ...     reader = hub.subscribe()
    ...     hub.send_many(["a", "b", "c", "d", "e"])
    ...     print(await reader.receive_many())
    ...     late = hub.subscribe(replay=1)
    ...     print(await late.receive(), late.missed)
    >>> asyncio.run(main())
    Batch(items=('c', 'd', 'e'), missed=2, first_seq=2, next_seq=5)
    e 0

    **At the bound** the oldest items leave the ring, whoever has read them or not; an item that
    is larger than `max_bytes` by itself is refused with `TooLarge` and evicts nothing. The ring
    keeps what all have read, too, for those who come late or come back.

    **Numbers**: items are numbered in the order in which they are sent, from `first_seq` on, and
    `send` returns the number. A reader that comes back says which it had last, and goes on
    behind it: ``subscribe(after=seq)``.

    **Subscriptions** are not registered: one that is forgotten, with whatever it had not read,
    leaks nothing and need not be closed. It is known here only while its receiver is asleep.
    Nobody listening is not an error.

    **Threads and tasks**: as in `DropOldestChannel`: every method may be called from any thread
    and task, from a signal handler and a destructor; none waits for anything but the lock.

    **Complexity**: `send` is O(1), and O(1) for each receiver that is asleep at that moment; a
    stalled subscription costs nothing. Receiving costs what it returns.

    **When not to use it**: where each item is for one of the readers only, or where nothing may
    be lost. Control messages that must not be lost belong in a queue of their own.

    Args:
        max_items: the most items in the ring.
        max_bytes: the most bytes in the ring. One of the two is required. The ring's own cost,
            about 80 bytes for an item, comes on top.
        sizeof: the bytes of one item, called once per send, without the lock. By default, where
            `max_bytes` is given, the length of bytes-like items and what a ``str`` occupies in
            memory; other items need `sizeof`, or ``size=`` with each send. An item counts at
            least 1.
        first_seq: the number of the first item; the `next_seq` of a history that is older than
            this broadcast, so that the two share numbers.
        name: for people and metrics.

    Raises:
        TypeError: no bound was given, or an argument has the wrong type.
        ValueError: a bound is below 1, or `first_seq` below 0.
    """

    __slots__ = ("__weakref__", "_holes")

    def __init__(
        self,
        *,
        max_items: int | None = None,
        max_bytes: int | None = None,
        sizeof: Callable[[T], int] | None = None,
        first_seq: int = 0,
        name: str | None = None,
    ) -> None:
        super().__init__(
            max_items=max_items,
            max_bytes=max_bytes,
            sizeof=sizeof,
            first_seq=non_negative_int("first_seq", first_seq),
            name=name,
        )
        self._holes: dict[int, int] = {}  # position before which numbers are missing: old offset

    @property
    def first_seq(self) -> int:
        """The number of the oldest item in the ring; `next_seq` when it is empty."""
        with self._lock:
            return self._number(self._first)

    @property
    def next_seq(self) -> int:
        """The number that the next item will get."""
        with self._lock:
            return self._first + self._held + self._offset

    def subscribe(
        self, *, replay: int = 0, after: int | None = None, on_lag: OnLag = "skip"
    ) -> "Subscription[T]":
        """
        Return a reader of the items that are sent from now on, or from an earlier one on.

        >>> hub = Broadcast(max_items=3)
        >>> hub.send_many("abcde")
        >>> hub.subscribe(after=2).receive_nowait()
        'd'

        Args:
            replay: begin with the newest `replay` items in the ring, or all when there are fewer.
            after: begin with the item numbered ``after + 1``, as if all up to `after` had been
                received: what is gone of the later ones counts as missed. The number may lie in
                the future; then items up to it are passed over in silence.
            on_lag: what to do when items were missed. ``"skip"`` goes on with the oldest item in
                the ring, ``"latest"`` with the newest, and ``"close"`` closes the subscription.

        Raises:
            ValueError: both `replay` and `after` were given, `replay` is below 0, `after` below
                -1, or `on_lag` is no such word.
        """
        if on_lag not in get_args(OnLag):
            raise ValueError(f"on_lag must be one of {get_args(OnLag)}, got {on_lag!r}")
        newest = non_negative_int("replay", replay)
        if after is None:
            with self._lock:
                cursor = self._number(self._first + max(self._held - newest, 0))
        elif newest:
            raise ValueError(f"give replay or after, not both: got {replay} and {after}")
        else:
            is_before_all = type(after) is int and after == -1
            cursor = 0 if is_before_all else non_negative_int("after", after) + 1
        return Subscription(self, cursor, on_lag)

    def skip(self, n: int) -> None:
        """
        Leave `n` numbers out, for items lost elsewhere: every reader will count them as missed.

        It is for a bridge from another machine, which learns of a gap by its numbers. The gap
        lies between the items sent before and after.

        >>> hub = Broadcast(max_items=3)
        >>> reader = hub.subscribe()
        >>> hub.skip(7)
        >>> hub.send("a")
        7
        >>> reader.receive_nowait(), reader.missed
        ('a', 7)

        Raises:
            Closed: the broadcast was closed.
            ValueError: `n` is below 1.
        """
        count = positive_int("n", n)
        with self._lock:
            if self._closed:
                raise Closed(f"{self._where()} is closed")
            for hole in list(self._holes):
                if hole <= self._first:  # all that was sent before it has left the ring
                    self._holes.pop(hole, None)
            end = self._first + self._held
            offset = self._offset
            self._offset = offset + count
            self._holes.setdefault(end, offset)

    def statistics(self) -> BroadcastStatistics:
        """
        Return the figures of this moment; looking changes none of them.

        >>> hub = Broadcast(max_items=2)
        >>> hub.send_many("abc")
        >>> figures = hub.statistics()
        >>> figures.sent, figures.evicted, figures.items
        (3, 1, 2)
        """
        with self._lock:
            return BroadcastStatistics(
                sent=self._first + self._held,
                evicted=self._dropped,
                items=self._held,
                current_bytes=self._bytes,
                evicted_bytes=self._dropped_bytes,
                peak_items=self._peak_items,
                peak_bytes=self._peak_bytes,
                max_items=self.max_items,
                max_bytes=self.max_bytes,
                first_seq=self.first_seq,
                next_seq=self.next_seq,
                rejected=self._rejected,
                waiting=len(self._parked),
                closed=self._closed,
            )

    def _number(self, position: int) -> int:
        for hole, offset in self._holes.copy().items() if self._holes else ():
            if position < hole:
                return position + offset
        return position + self._offset

    def _position(self, seq: int) -> int:
        """Return where the item numbered `seq` is, was or will be; from a hole, what follows it."""
        position = seq - self._offset
        for hole, offset in reversed(self._holes.copy().items()) if self._holes else ():
            if position >= hole:
                break
            position = min(seq - offset, hole)
        return position

    def _read(self, seq: int, most_items: int, most_bytes: int) -> tuple[list[T], int]:
        """Return items without a gap between them, from `seq` or the next held on; and its number."""
        while True:
            first, held = self._first, self._held
            start = max(self._position(seq), first)
            stop = min([first + held, start + most_items, *self._holes_after(start)])
            try:
                entries = self._copy(start - first, stop - first, held)
            except (RuntimeError, IndexError):  # a finalizer used the ring in the middle
                continue
            number = self._number(start)
            if self._first == first:
                return self._items_of(entries, most_bytes), number

    def _newest_seq(self) -> int:
        return self._number(self._first + self._held - 1)

    def _holes_after(self, position: int) -> list[int]:
        return [hole for hole in self._holes.copy() if hole > position] if self._holes else []

    def _copy(self, start: int, stop: int, held: int) -> list[Any]:
        """Return the entries from `start` to `stop` of those held, from the end that is nearer."""
        if stop - start <= 1:
            return [self._items[start]] if start < stop else []
        if start < held - stop:
            return list(islice(self._items, start, stop))
        entries = list(islice(reversed(self._items), held - stop, held - start))
        entries.reverse()
        return entries

    def _items_of(self, entries: list[Any], most_bytes: int) -> list[T]:
        if self._sizeof is None:
            return entries
        items: list[T] = []
        for item, size in entries:
            if items and size > most_bytes:
                break
            most_bytes -= size
            items.append(item)
        return items

    def _check(self) -> None:
        super()._check()
        with self._lock:
            assert self._dropped == self._first, (self._dropped, self._first)
            assert list(self._holes) == sorted(self._holes)
            assert [*self._holes.values(), self._offset] == sorted(
                {*self._holes.values(), self._offset}
            )
            assert all(hole <= self._first + self._held for hole in self._holes)


class Subscription(Receiver[T]):
    """
    One reader's place in a `Broadcast`; made by `Broadcast.subscribe`.

    It is received from like a channel, and like there a receiver that is cancelled loses nothing.
    Whoever gives it up, gives it up: there is nothing to unregister. To go on later, or in
    another process's stead, keep its `position`.

    >>> hub = Broadcast(max_items=10)
    >>> hub.send_many("abc")
    >>> reader = hub.subscribe(replay=3)
    >>> reader.receive_nowait()
    'a'
    >>> hub.subscribe(after=reader.position).receive_nowait()
    'b'

    Attributes:
        missed: how many items were lost just before the one received last.
    """

    __slots__ = (
        "__weakref__",
        "_closed",
        "_cursor",
        "_hub",
        "_in_a_row",
        "_lock",
        "_missed",
        "_on_lag",
        "_receiver",
        "_start",
        "missed",
    )

    def __init__(self, hub: Broadcast[T], cursor: int, on_lag: OnLag) -> None:
        self._hub = hub
        self._lock = hub._lock
        self._start = self._cursor = cursor  # numbers: the first one wanted, the next one wanted
        self._on_lag = on_lag
        self._missed = self.missed = 0
        self._receiver = None
        self._in_a_row = 0
        self._closed = False

    @property
    def position(self) -> int:
        """The number of the last item received or missed; ``subscribe(after=position)`` goes on."""
        return self._cursor - 1

    @property
    def lag(self) -> int:
        """How many numbers this reader is behind the newest, held or lost."""
        return max(self._hub.next_seq - self._cursor, 0)

    @property
    def closed(self) -> bool:
        """Whether this subscription was closed, by `close` or for its lag."""
        return self._closed

    def close(self) -> None:
        """Receive no more: a receiver that waits, and every later one, gets `Closed`."""
        with self._lock:
            self._closed = True
            sleeper = self._hub._parked.get(self)
        if sleeper is not None:
            wake_all({self: sleeper})

    def statistics(self) -> SubscriptionStatistics:
        """
        Return the figures of this moment; looking changes none of them.

        >>> hub = Broadcast(max_items=2)
        >>> reader = hub.subscribe()
        >>> hub.send_many("abc")
        >>> reader.statistics().missed, reader.statistics().buffered
        (1, 2)
        """
        hub = self._hub
        with self._lock:
            sent = max(hub.next_seq - self._start, 0)
            received = self._cursor - self._start - self._missed
            begin = max(hub._position(self._cursor), hub._first)
            buffered = max(hub._first + hub._held - begin, 0)
            return SubscriptionStatistics(
                sent=sent,
                received=received,
                missed=sent - received - buffered,
                buffered=buffered,
                position=self.position,
                waiting=self._receiver is not None,
                closed=self._closed,
            )

    def __repr__(self) -> str:
        closed = " closed" if self._closed else ""
        return f"<{self._where()} position={self.position} lag={self.lag}{closed}>"

    def _where(self) -> str:
        return f"{type(self).__name__} of {self._hub._where()}"

    def _counts_bytes(self) -> bool:
        return self._hub._sizeof is not None

    def _is_ready(self) -> bool:
        hub = self._hub
        ahead = hub._first + hub._held - hub._position(self._cursor)
        return (hub._held > 0 and ahead > 0) or self._closed or hub._closed

    def _park(self, waiter: Waiter) -> None:
        self._hub._parked[self] = waiter

    def _unpark(self, waiter: Waiter) -> None:
        self._hub._forget(self, waiter)

    def _take_one(self) -> T | Nothing:
        batch = self._take_many(1, None)
        return NOTHING if batch is NOTHING else batch.items[0]

    def _take_many(self, max_items: int | None, max_bytes: int | None) -> Batch[T] | Nothing:
        hub = self._hub
        most_items = hub._item_limit if max_items is None else max_items
        most_bytes = hub._byte_limit if max_bytes is None else max_bytes
        while not self._closed:
            cursor = self._cursor
            items, first_seq = hub._read(cursor, most_items, most_bytes)
            if not items:
                return self._without_item()
            if first_seq > cursor and self._on_lag == "latest":
                items, first_seq = hub._read(hub._newest_seq(), 1, most_bytes)
            if first_seq > cursor and self._on_lag == "close":
                items, self._closed = [], True
            missed = first_seq - cursor
            next_seq = first_seq + len(items)
            if self._cursor != cursor:  # a signal handler received in the middle
                continue
            self._cursor = next_seq
            self._missed += missed
            self.missed = missed
            if items:
                return Batch(tuple(items), missed, first_seq, next_seq)
        raise Closed(f"{self._where()} is closed")

    def _without_item(self) -> Nothing:
        if not self._hub._closed:
            return NOTHING
        self.missed = self.lag  # what the closing discarded, or was skipped at the end
        raise Closed(f"{self._where()} is closed")
