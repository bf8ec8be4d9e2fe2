"""A reader that asks for what there is."""

# ruff: noqa: SLF001  # a subscription is a part of its broadcast, not a user of it

import threading
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar

from boundedcollections._core.batch import Batch, batch_of
from boundedcollections._core.errors import Closed
from boundedcollections._core.receiver import GIVE_WAY, NOTHING, Nothing, Receiver, Take
from boundedcollections._core.steps import step
from boundedcollections._core.units import NO_LIMIT
from boundedcollections._core.waiters import Sleeper, wake_all
from boundedcollections.broadcast.ring import Ring

T = TypeVar("T")
OnLag = Literal["skip", "latest", "close"]
_NO_GAPS: Final = (0, 0)
"""All that was missed, and what just before the item received last: in one, for few have any."""


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

    __slots__ = ("__weakref__", "_cursor", "_gaps", "_hub", "_on_lag", "_receiver", "_start")

    def __init__(self, hub: Ring[T], cursor: int, on_lag: OnLag) -> None:
        self._hub = hub
        self._start = self._cursor = cursor  # numbers: the first one wanted, the next one wanted
        self._on_lag: OnLag | Literal["closed"] = on_lag
        self._gaps = _NO_GAPS
        self._receiver = None

    @property
    def missed(self) -> int:
        """How many items were lost just before the one received last."""
        return self._gaps[1]

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
        return self._on_lag == "closed"

    def close(self) -> None:
        """Receive no more: a receiver that waits, and every later one, gets `Closed`."""
        with self._lock:
            self._on_lag = "closed"
            waiter = self._hub._parked.pop(self, None)
        if waiter is not None:
            wake_all({self: waiter})

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
            cursor, missed, end = self._cursor, self._gaps[0], hub._first + hub._held
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
                closed=self.closed,
            )

    def __repr__(self) -> str:
        closed = " closed" if self.closed else ""
        return f"<{self._where()} position={self.position} lag={self.lag}{closed}>"

    @property
    def _lock(self) -> threading.RLock:
        return self._hub._lock

    def _where(self) -> str:
        return f"{type(self).__name__} of {self._hub._where()}"

    def _counts_bytes(self) -> bool:
        return self._hub._sizeof is not None

    @step
    def _settle(self, take: Take[Any], waiter: Sleeper) -> bool:
        if self._receiver is not take:
            if self._receiver is not None:
                raise self._company()
            self._receiver = take
        hub = self._hub
        hub._parked[self] = waiter  # first, since a closer look is no part of this step
        hub._room = 0
        is_over = hub._closed or self._on_lag == "closed"
        may_have = hub._holes or self._cursor - hub._offset < hub._first + hub._held
        if not is_over and not (may_have and hub._has(self._cursor)):
            return False
        if self in hub._parked:
            del hub._parked[self]
        return True

    @step
    def _forget(self, waiter: Sleeper) -> None:
        parked = self._hub._parked
        if self in parked and parked[self] is waiter:
            del parked[self]

    @step
    def _take_one(self, gives_way: bool = False) -> T | Nothing:  # noqa: FBT002
        hub, cursor, gaps = self._hub, self._cursor, self._gaps
        received = cursor - self._start - gaps[0]
        if gives_way and received & GIVE_WAY == GIVE_WAY:
            return NOTHING
        place = cursor - hub._offset - hub._first
        if place >= hub._held and not hub._closed and self._on_lag != "closed" and not hub._holes:
            return NOTHING
        if not 0 <= place < hub._held or self._on_lag == "closed" or hub._holes:
            batch = self._take_some(1, NO_LIMIT)
            return NOTHING if batch is NOTHING else batch.items[0]
        entry = hub._items[place]
        if gaps[1]:
            gaps = (gaps[0], 0)  # before the next line, for to make a tuple may run the collector
        self._cursor = cursor + 1
        self._gaps = gaps
        item: T = entry if hub._sizeof is None else entry[0]
        return item

    @step
    def _take_many(
        self, most_items: int = NO_LIMIT, most_bytes: int = NO_LIMIT
    ) -> Batch[T] | Nothing:
        hub, cursor, gaps = self._hub, self._cursor, self._gaps
        if (
            hub._holes
            or self._on_lag == "closed"
            or not hub._held
            or cursor - hub._offset - hub._first != hub._held - 1
        ):
            return self._take_some(most_items, most_bytes)
        entry = hub._items[-1]
        if gaps[1]:
            gaps = (gaps[0], 0)
        self._cursor = next_seq = cursor + 1
        self._gaps = gaps
        item = entry if hub._sizeof is None else entry[0]
        return batch_of(((item,), 0, cursor, next_seq))

    def _take_some(self, most_items: int, most_bytes: int) -> Batch[T] | Nothing:
        hub = self._hub
        with hub._lock:
            while self._on_lag != "closed":
                cursor = self._cursor
                if not hub._has(cursor):
                    return self._without_item()
                items, first_seq = hub._read(cursor, most_items, most_bytes)
                if items and first_seq > cursor and self._on_lag == "latest":
                    items, first_seq = hub._read(hub._newest_seq(), 1, most_bytes)
                missed = first_seq - cursor
                next_seq = first_seq + len(items)
                gaps = self._gaps
                if self._cursor != cursor or not items:  # something came in the middle
                    continue
                if missed and self._on_lag == "close":
                    items, next_seq, self._on_lag = [], first_seq, "closed"
                self._cursor = next_seq
                if missed or gaps[1]:
                    self._gaps = (gaps[0] + missed, missed)
                if items:
                    return batch_of((tuple(items), missed, first_seq, next_seq))
        raise Closed(f"{self._where()} is closed")

    def _without_item(self) -> Nothing:
        if not self._hub._closed or self._hub._has(self._cursor):
            return NOTHING
        lag = self.lag  # what the closing discarded, or was skipped at the end
        self._gaps = (self._gaps[0], lag)
        raise Closed(f"{self._where()} is closed")
