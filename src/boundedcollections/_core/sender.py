"""Sending, the same for every stream: bounded, the oldest dropped, sleepers woken, never waiting."""

import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final, Generic, TypeVar

from boundedcollections._core.errors import Closed, TooLarge
from boundedcollections._core.events import Notifier, RemovalCause
from boundedcollections._core.payload import counted_size, payload_size
from boundedcollections._core.units import at_least_one, positive_int
from boundedcollections._core.waiters import Waiter, wake_all

T = TypeVar("T")
Dropped = list[tuple[int, T, RemovalCause]]
Sleepers = dict[Any, Waiter]

_NO_LIMIT: Final = sys.maxsize
"""The bound that was not given: comparing integers costs less than asking for None."""


class Sender(Generic[T]):
    """
    The sending side of a stream: a window over its newest items.

    The books are plain counters: a `Ledger` would cost more than all the rest of `send`. They
    need no repair, since every step **counts first and then acts, with no call in between**.
    CPython runs signal handlers, and raises what they raise, only where a call has returned; so
    whatever interrupts a step finds books that are right, and may use the same stream. Other
    threads are kept out by the lock.
    """

    __slots__ = (
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
        "_notify",
        "_offset",
        "_parked",
        "_peak_bytes",
        "_peak_items",
        "_rejected",
        "_sizeof",
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
        name: str | None,
    ) -> None:
        at_least_one(max_items=max_items, max_bytes=max_bytes)
        self._item_limit = _limit("max_items", max_items)
        self._byte_limit = _limit("max_bytes", max_bytes)
        self._sizeof = payload_size if sizeof is None and max_bytes is not None else sizeof
        self._notify = Notifier(on_drop)
        self.name = name
        self._lock = threading.RLock()
        self._items: deque[Any] = deque()  # items, or (item, size) where sizes are counted
        self._first = 0  # how many items have left the window, so the position of the oldest in it
        self._offset = first_seq  # an item's number is its position and this
        self._held = self._bytes = self._peak_items = self._peak_bytes = 0
        self._dropped = self._dropped_bytes = self._rejected = 0
        self._closed = False
        self._parked: Sleepers = {}  # who sleeps; woken once, and then forgotten

    @property
    def max_items(self) -> int | None:
        """The bound in items, or None."""
        return None if self._item_limit == _NO_LIMIT else self._item_limit

    @property
    def max_bytes(self) -> int | None:
        """The bound in bytes, or None."""
        return None if self._byte_limit == _NO_LIMIT else self._byte_limit

    @property
    def current_bytes(self) -> int:
        """The bytes held; 0 when none are counted."""
        return self._bytes

    @property
    def peak_bytes(self) -> int:
        """The most bytes ever held; 0 when none are counted."""
        return self._peak_bytes

    @property
    def closed(self) -> bool:
        """Whether `close` was called; there may be items left to receive."""
        return self._closed

    def send(self, item: T, size: int | None = None) -> int:  # noqa: C901  # a call would be a gap
        """
        Add `item` as the newest and return its number; never wait, but drop the oldest. O(1).

        Args:
            item: what will be received.
            size: its bytes, if the caller knows them; otherwise `sizeof` is asked. Not looked at
                where bytes are not counted, with neither `max_bytes` nor `sizeof` given.

        Raises:
            Closed: the stream was closed.
            TooLarge: `item` alone exceeds `max_bytes`; nothing was changed.
            Exception: whatever `sizeof` raises, or an error for what it returned; likewise.
        """
        entry: Any = item
        counted = 0
        if self._sizeof is not None:
            counted = counted_size(item, size, self._sizeof)
            entry = (item, counted)
        dropped: Dropped[T] | None = None
        sleepers: Sleepers | None = None
        try:
            with self._lock:
                if self._parked:
                    nobody: Sleepers = {}
                    sleepers, self._parked = self._parked, nobody
                while (
                    self._held >= self._item_limit
                    or self._bytes + counted > self._byte_limit
                    or self._closed
                ):
                    if dropped is None:
                        dropped = []
                    self._make_room(counted, dropped)
                seq = self._first + self._held + self._offset
                self._held = held = self._held + 1
                if held > self._peak_items:  # noqa: PLR1730  # max() would be a call
                    self._peak_items = held
                if counted:
                    self._bytes = total = self._bytes + counted
                    if total > self._peak_bytes:  # noqa: PLR1730
                        self._peak_bytes = total
                self._items.append(entry)
            if sleepers is not None:
                wake_all(sleepers)
        except BaseException:
            if sleepers is not None:
                wake_all(sleepers)
            raise
        finally:
            if dropped:
                self._notify(dropped)
        return seq

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
        dropped: Dropped[T] = []
        sleepers: Sleepers = {}
        try:
            with self._lock:
                nobody: Sleepers = {}
                sleepers, self._parked = self._parked, nobody
                self._closed = True
                while discard and self._held:
                    self._drop(RemovalCause.CLEARED, dropped)
            wake_all(sleepers)
        except BaseException:
            wake_all(sleepers)
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

    def _forget(self, sleeper: Any, waiter: Waiter) -> None:
        """Have `waiter` woken no more; under the lock, since a sender may hold the dict."""
        if sleeper in self._parked:
            with self._lock:
                if self._parked.get(sleeper) is waiter:
                    self._parked.pop(sleeper, None)

    def _make_room(self, size: int, dropped: Dropped[T]) -> None:
        """Drop the oldest item, since one more of `size` bytes does not fit; or say why not."""
        if self._closed:
            raise Closed(f"{self._where()} is closed")
        if size > self._byte_limit:
            self._rejected += 1
            raise TooLarge(self._where(), size=size, limit=self._byte_limit)
        too_large = self._bytes + size > self._byte_limit
        self._drop(RemovalCause.SIZE if too_large else RemovalCause.COUNT, dropped)

    def _drop(self, cause: RemovalCause, dropped: Dropped[T]) -> None:
        if not self._held:  # something that interrupted the caller was quicker
            return
        seq = self._first + self._offset
        size = 0 if self._sizeof is None else self._items[0][1]
        self._first += 1
        self._held -= 1
        self._bytes -= size
        self._dropped += 1
        self._dropped_bytes += size
        entry = self._items.popleft()
        dropped.append((seq, entry if self._sizeof is None else entry[0], cause))

    def _check(self) -> None:
        """Assert the invariants."""
        with self._lock:
            sizes = [0 if self._sizeof is None else entry[1] for entry in self._items]
            assert (self._held, self._bytes) == (len(sizes), sum(sizes)), (self._held, self._bytes)
            assert self._held <= self._peak_items <= self._item_limit, self._peak_items
            assert self._bytes <= self._peak_bytes <= self._byte_limit, self._peak_bytes
            assert 0 <= self._dropped <= self._first, (self._dropped, self._first)
            assert min(self._offset, self._dropped_bytes, self._rejected) >= 0


def _limit(name: str, value: int | None) -> int:
    return _NO_LIMIT if value is None else positive_int(name, value)
