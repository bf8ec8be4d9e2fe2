"""Sending, the same for every stream: bounded, the oldest dropped, sleepers woken, never waiting."""

# ruff: noqa: PLR1730  # max() would be a call, where a step may be interrupted

import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final, Generic, TypeVar

from boundedcollections._core import steps
from boundedcollections._core.budgets import Budget, Place
from boundedcollections._core.errors import Closed, TooLarge
from boundedcollections._core.events import Notifier, RemovalCause
from boundedcollections._core.payload import charge, payload_size
from boundedcollections._core.steps import step
from boundedcollections._core.units import NO_LIMIT, at_least_one, positive_int
from boundedcollections._core.waiters import Sleeper, wake_all

T = TypeVar("T")
Dropped = list[Any]
"""What leaves: numbers, items and causes, or the items alone where nobody is told of them."""
Sleepers = dict[Any, Sleeper]

_SIZE: Final = RemovalCause.SIZE  # looking a member up in its class costs as much as a call
_COUNT: Final = RemovalCause.COUNT
_CLEARED: Final = RemovalCause.CLEARED
_SLICE: Final = 32
"""So many items are dropped at once on the way to a target: well below a millisecond."""


class Sender(Generic[T]):
    """
    The sending side of a stream: a window over its newest items.

    The books are plain counters: a `Ledger` would cost more than all the rest of `send`. They
    need no repair, since every change is a `step` that **counts first and then acts, with no call
    in between**, not even one that looks up how to act: `_append` and `_popleft` are at hand.
    Whatever interrupts a method between two steps, be it a thread or a handler, finds books that
    are right, and may use the same stream.

    Most sends are one short step: there is room, and nobody sleeps. `_room` says so in one
    number: so many items may be held before a send has to look closer. It is 0 while somebody
    sleeps, after closing, and where steps need the lock; too low a number costs time, not truth.
    """

    __slots__ = (
        "_append",
        "_byte_limit",
        "_bytes",
        "_closed",
        "_dropped",
        "_dropped_bytes",
        "_first",
        "_held",
        "_item_limit",
        "_items",
        "_lock",
        "_max_bytes",
        "_notify",
        "_offset",
        "_parked",
        "_peak_bytes",
        "_peak_items",
        "_place",
        "_popleft",
        "_rejected",
        "_room",
        "_sizeof",
        "_tells",
        "name",
    )

    def __init__(
        self,
        *,
        max_items: int | None,
        max_bytes: int | None,
        sizeof: Callable[[T], int] | None,
        on_drop: Callable[[int, T, RemovalCause], object] | None = None,
        first_seq: int = 0,
        budget: Budget | None,
        floor_bytes: int,
        weight: float,
        name: str | None,
    ) -> None:
        at_least_one(max_items=max_items, max_bytes=max_bytes)
        self._item_limit = _limit("max_items", max_items)
        self._max_bytes = self._byte_limit = _limit("max_bytes", max_bytes)
        counts_bytes = max_bytes is not None or budget is not None
        self._sizeof = payload_size if sizeof is None and counts_bytes else sizeof
        self._notify = Notifier(on_drop)
        self._tells = on_drop is not None
        self.name = name
        self._lock = threading.RLock()
        self._items: deque[Any] = deque()  # items, or (item, size) where sizes are counted
        self._append, self._popleft = self._items.append, self._items.popleft  # see `steps`
        self._first = 0  # how many items have left the window, so the position of the oldest in it
        self._offset = first_seq  # an item's number is its position and this
        self._held = self._bytes = self._peak_items = self._peak_bytes = 0
        self._dropped = self._dropped_bytes = self._rejected = 0
        self._closed = False
        self._room = self._item_limit if steps.HAS_GIL else 0
        self._parked: Sleepers = {}  # who sleeps; woken once, and then forgotten
        self._place: Place | None = None
        if budget is not None:
            self._place = Place(
                self,
                budget,
                name=type(self).__name__ if name is None else name,
                max_bytes=max_bytes,
                floor_bytes=floor_bytes,
                weight=weight,
            )

    @property
    def max_items(self) -> int | None:
        """The bound in items, or None."""
        return None if self._item_limit == NO_LIMIT else self._item_limit

    @property
    def max_bytes(self) -> int | None:
        """The bound in bytes, or None."""
        return None if self._max_bytes == NO_LIMIT else self._max_bytes

    @property
    def current_bytes(self) -> int:
        """The bytes held, with what the stream spends on them; 0 when none are counted."""
        return self._bytes

    @property
    def peak_bytes(self) -> int:
        """The most bytes ever held; 0 when none are counted."""
        return max(self._peak_bytes, self._bytes)

    @property
    def closed(self) -> bool:
        """Whether `close` was called; there may be items left to receive."""
        return self._closed

    def send(self, item: T, size: int | None = None) -> int:
        """
        Add `item` as the newest and return its number; never wait, but drop the oldest. O(1).

        Args:
            item: what will be received.
            size: its bytes, if the caller knows them; otherwise `sizeof` is asked. Not looked at
                where bytes are not counted, with neither `max_bytes` nor `sizeof` given.

        Raises:
            Closed: the stream was closed.
            TooLarge: `item` alone, with what the stream spends on it, exceeds `max_bytes`, or
                the target of its budget; nothing was changed.
            Exception: whatever `sizeof` raises, or an error for what it returned; likewise.
        """
        if self._sizeof is None:
            held, append = self._held, self._append
            if held < self._room:
                self._held = held + 1
                seq = self._first + held + self._offset
                append(item)
                return seq
            return self._send_with_care(item, 0)
        booked = charge(item, size, self._sizeof)
        entry = (item, booked)
        held, append = self._held, self._append
        if held < self._room and self._bytes + booked <= self._byte_limit:
            self._held = held + 1
            self._bytes += booked
            seq = self._first + held + self._offset
            append(entry)
            return seq
        return self._send_with_care(entry, booked)

    def send_many(self, items: Iterable[T]) -> None:
        """
        Send each of `items`, one by one, so that an endless iterable needs no endless memory.

        Raises:
            Closed: the stream was closed; the items before that were sent.
            TooLarge: an item alone exceeds `max_bytes`; the items before it were sent.
        """
        for item in items:
            self.send(item)

    def close(self, *, discard: bool = False) -> None:
        """
        End the stream: later sends raise `Closed`; receivers get what is left, and then `Closed`.

        Closing twice is harmless, and the second time may still discard.

        Args:
            discard: drop what is left; it counts as missed.
        """
        dropped: Dropped = []
        try:
            self._end()
            if discard:
                self._clear(dropped)
            self._rouse([])
        except BaseException:
            self._rouse([])
            raise
        finally:
            self._notify(dropped)

    def __len__(self) -> int:
        return self._held

    def __repr__(self) -> str:
        parts = [self._where()]
        if self.max_items is not None:
            parts.append(f"items={self._held}/{self.max_items}")
        if self.max_bytes is not None:
            parts.append(f"bytes={self._bytes}/{self.max_bytes}")
        if self._closed:
            parts.append("closed")
        return f"<{' '.join(parts)}>"

    def _where(self) -> str:
        kind = type(self).__name__
        return kind if self.name is None else f"{kind} {self.name!r}"

    def _send_with_care(self, entry: Any, size: int) -> int:
        """Send where items have to be dropped, somebody woken, or the item refused."""
        if self._byte_limit != self._max_bytes and self._bytes + size > self._byte_limit:
            self._press(size)
        dropped: Dropped = []
        called: list[Sleepers] = []
        try:
            seq = self._put(entry, size, dropped, called)
            if called:
                wake_all(called[0])
        except BaseException:
            self._rouse(called)
            raise
        finally:
            if dropped and self._tells:
                self._notify(dropped)
        return seq

    @step
    def _put(  # noqa: C901, PLR0912  # one step
        self, entry: Any, size: int, dropped: Dropped, called: list[Sleepers]
    ) -> int:
        """
        Add an entry, once there is room for it, and call who sleeps.

        Each round of the loop is a step of its own, and so is what follows it, twice.
        """
        nobody: Sleepers = {}
        before, least = self._bytes, _SLICE
        while True:
            held = self._held
            if self._bytes + size > self._byte_limit and (least > 0 or self._bytes + size > before):
                least -= 1
                cause = _SIZE
            elif held >= self._item_limit:
                least -= 1
                cause = _COUNT
            elif not self._closed:
                break
            if self._closed:
                raise Closed(f"{self._where()} is closed")
            if size > self._byte_limit:
                self._rejected += 1
                raise self._too_large(size)
            if held > self._peak_items:
                self._peak_items = held
            popleft = self._popleft
            seq = self._first
            self._first = seq + 1
            self._held = held - 1
            self._dropped += 1
            if self._sizeof is None:
                item = popleft()
            else:
                if self._bytes > self._peak_bytes:
                    self._peak_bytes = self._bytes
                leaving = self._items[0][1]
                self._bytes -= leaving
                self._dropped_bytes += leaving
                item, _ = popleft()
            dropped.append((seq + self._offset, item, cause) if self._tells else item)
        append = self._append
        self._held = held + 1
        self._bytes += size
        seq = self._first + held + self._offset
        append(entry)
        sleepers = self._parked
        if sleepers:
            self._parked = nobody
        if steps.HAS_GIL and not self._closed:
            self._room = self._item_limit
        if sleepers:
            called.append(sleepers)
        return seq

    def _too_large(self, size: int) -> TooLarge:
        limit = self._byte_limit
        held_down = ", held down by its budget," if limit < self._max_bytes else ""
        return TooLarge(self._where() + held_down, size=size, limit=limit)

    def _claimed_bytes(self) -> int:
        return self._bytes

    @step
    def _aim(self, target_bytes: int) -> None:
        self._byte_limit = min(target_bytes, self._max_bytes)

    def _press(self, size: int) -> None:
        """Tell the budget that its target is in the way of a send."""
        assert self._place is not None  # or there would be no target
        self._place.account.press(size)

    def _shed(self) -> bool:
        dropped: Dropped = []
        try:
            return self._drop_some(dropped)
        finally:
            if dropped and self._tells:
                self._notify(dropped)

    @step
    def _drop_some(self, dropped: Dropped) -> bool:
        """Drop a slice of what is above the target; each round of the loop is a step of its own."""
        least = _SLICE
        while self._bytes > self._byte_limit and least > 0:
            least -= 1
            if self._bytes > self._peak_bytes:
                self._peak_bytes = self._bytes
            if self._held > self._peak_items:
                self._peak_items = self._held
            popleft = self._popleft
            seq = self._first
            leaving = self._items[0][1]
            self._first = seq + 1
            self._held -= 1
            self._bytes -= leaving
            self._dropped += 1
            self._dropped_bytes += leaving
            item, _ = popleft()
            dropped.append((seq + self._offset, item, _SIZE) if self._tells else item)
        return self._bytes > self._byte_limit

    @step
    def _clear(self, dropped: Dropped) -> None:
        fresh: deque[Any] = deque()
        append, popleft = fresh.append, fresh.popleft
        held, seq = self._held, self._first
        if held > self._peak_items:
            self._peak_items = held
        if self._bytes > self._peak_bytes:
            self._peak_bytes = self._bytes
        entries, self._items = self._items, fresh
        self._append, self._popleft = append, popleft
        self._first = seq + held
        self._dropped += held
        self._dropped_bytes += self._bytes
        self._held = self._bytes = 0
        for number, entry in enumerate(entries, seq + self._offset):
            dropped.append((number, entry if self._sizeof is None else entry[0], _CLEARED))

    @step
    def _end(self) -> None:
        self._closed = True
        self._room = 0

    @step
    def _lay_down(self, sleeper: Any, waiter: Sleeper) -> None:
        """Have `waiter` woken by the next send."""
        self._parked[sleeper] = waiter
        self._room = 0

    def _rouse(self, called: list[Sleepers]) -> None:
        """Wake those `called` and whoever sleeps, even if something strikes in the middle."""
        try:
            self._call(called)
            for sleepers in called:
                wake_all(sleepers)
        except BaseException:
            self._call(called)
            for sleepers in called:
                wake_all(sleepers)
            raise

    @step
    def _call(self, called: list[Sleepers]) -> None:
        nobody: Sleepers = {}
        sleepers, self._parked = self._parked, nobody
        called.append(sleepers)

    def _check(self) -> None:
        """Assert the invariants."""
        with self._lock:
            sizes = [0 if self._sizeof is None else entry[1] for entry in self._items]
            assert (self._held, self._bytes) == (len(sizes), sum(sizes)), (self._held, self._bytes)
            assert self._held <= self._item_limit, self._held
            assert self._bytes <= self._max_bytes, self._bytes
            assert self._byte_limit <= self._max_bytes, self._byte_limit
            assert self._peak_items <= self._item_limit, self._peak_items
            assert self._peak_bytes <= self._max_bytes, self._peak_bytes
            assert 0 <= self._dropped <= self._first, (self._dropped, self._first)
            assert min(self._offset, self._dropped_bytes, self._rejected) >= 0
            assert self._room in {0, self._item_limit}
            assert not (self._room and (self._closed or self._parked))


def _limit(name: str, value: int | None) -> int:
    return NO_LIMIT if value is None else positive_int(name, value)
