"""A reader that asks for what there is."""

# ruff: noqa: SLF001  # a subscription is a part of its broadcast, not a user of it

import threading
from dataclasses import dataclass
from typing import Literal, TypeVar

from boundedcollections._core.batch import Batch, batch_of
from boundedcollections._core.errors import Closed
from boundedcollections._core.receiver import NOTHING, Nothing, Receiver
from boundedcollections._core.units import NO_LIMIT
from boundedcollections._core.waiters import Waiter, wake_all
from boundedcollections.broadcast.ring import Ring

T = TypeVar("T")
OnLag = Literal["skip", "latest", "close"]


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


class Subscription(Receiver[T]):
    """
    One reader's place in a `Broadcast`; made by `Broadcast.subscribe`.

    It is received from like a channel, and like there a receiver that is cancelled loses nothing.
    Whoever gives it up, gives it up: there is nothing to unregister. To go on later, or in
    another process's stead, keep its `position`.

    >>> from boundedcollections.broadcast import Broadcast
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
        "_missed",
        "_on_lag",
        "_receiver",
        "_start",
        "missed",
    )

    def __init__(self, hub: Ring[T], cursor: int, on_lag: OnLag) -> None:
        self._hub = hub
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

        >>> from boundedcollections.broadcast import Broadcast
        >>> hub = Broadcast(max_items=2)
        >>> reader = hub.subscribe()
        >>> hub.send_many("abc")
        >>> reader.statistics().missed, reader.statistics().buffered
        (1, 2)
        """
        hub = self._hub
        with self._lock:
            cursor, missed, end = self._cursor, self._missed, hub._first + hub._held
            sent = max(end + hub._offset - self._start, 0)
            received = cursor - self._start - missed
            buffered = hub._buffered(cursor, end)
            return SubscriptionStatistics(
                sent=sent,
                received=received,
                missed=sent - received - buffered,
                buffered=buffered,
                position=cursor - 1,
                waiting=self._receiver is not None,
                closed=self._closed,
            )

    def __repr__(self) -> str:
        closed = " closed" if self._closed else ""
        return f"<{self._where()} position={self.position} lag={self.lag}{closed}>"

    @property
    def _lock(self) -> threading.RLock:
        return self._hub._lock

    def _where(self) -> str:
        return f"{type(self).__name__} of {self._hub._where()}"

    def _counts_bytes(self) -> bool:
        return self._hub._sizeof is not None

    def _is_ready(self) -> bool:
        hub = self._hub
        return hub._has(self._cursor) or self._closed or hub._closed

    def _lay_down(self, sleeper: Receiver[T], waiter: Waiter) -> bool:
        self._hub._lay_down(sleeper, waiter)
        return self._is_ready()

    def _forget(self, sleeper: Receiver[T], waiter: Waiter) -> None:
        self._hub._forget(sleeper, waiter)

    def _take_one(self) -> T | Nothing:
        batch = self._take_many(1)
        return NOTHING if batch is NOTHING else batch.items[0]

    def _take_many(
        self, most_items: int = NO_LIMIT, most_bytes: int = NO_LIMIT
    ) -> Batch[T] | Nothing:
        with self._lock:
            return self._take_some(most_items, most_bytes)

    def _take_some(self, most_items: int, most_bytes: int) -> Batch[T] | Nothing:
        hub = self._hub
        while not self._closed:
            cursor = self._cursor
            if not hub._has(cursor):
                return self._without_item()
            items, first_seq = hub._read(cursor, most_items, most_bytes)
            if items and first_seq > cursor and self._on_lag == "latest":
                items, first_seq = hub._read(hub._newest_seq(), 1, most_bytes)
            missed = first_seq - cursor
            next_seq = first_seq + len(items)
            if self._cursor != cursor or not items:  # something came in the middle
                continue
            if missed and self._on_lag == "close":
                items, next_seq, self._closed = [], first_seq, True
            self._cursor = next_seq
            self._missed += missed
            self.missed = missed
            if items:
                return batch_of((tuple(items), missed, first_seq, next_seq))
        raise Closed(f"{self._where()} is closed")

    def _without_item(self) -> Nothing:
        if not self._hub._closed or self._hub._has(self._cursor):
            return NOTHING
        self.missed = self.lag  # what the closing discarded, or was skipped at the end
        raise Closed(f"{self._where()} is closed")
