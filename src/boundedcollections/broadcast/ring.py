"""The newest items of a stream, each with its number, readable from any place in it."""

from collections.abc import Callable
from itertools import islice
from typing import Any, TypeVar

from boundedcollections._core.budgets import Budget
from boundedcollections._core.errors import Closed
from boundedcollections._core.payload import uncharged
from boundedcollections._core.sender import Sender
from boundedcollections._core.units import NO_LIMIT, non_negative_int, positive_int

T = TypeVar("T")


class Ring(Sender[T]):
    """
    A window over a stream that many readers look into, each from its own place.

    An item has a *position*, its place among all that were ever sent, and a *number*, which is
    the position and an offset. Where numbers are skipped, a *hole*, the offset grows.
    """

    __slots__ = ("_holes",)

    def __init__(
        self,
        *,
        max_items: int | None,
        max_bytes: int | None,
        sizeof: Callable[[T], int] | None,
        first_seq: int,
        budget: Budget | None,
        floor_bytes: int,
        weight: float,
        name: str | None,
    ) -> None:
        super().__init__(
            max_items=max_items,
            max_bytes=max_bytes,
            sizeof=sizeof,
            first_seq=non_negative_int("first_seq", first_seq),
            budget=budget,
            floor_bytes=floor_bytes,
            weight=weight,
            name=name,
        )
        self._holes: dict[int, int] = {}  # position of what follows a hole: the offset before it

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

    def skip(self, n: int) -> None:
        """
        Leave `n` numbers out, for items lost elsewhere: every reader will count them as missed.

        It is for a bridge from another machine, which learns of a gap by its numbers. The gap
        lies between the items sent before and after.

        >>> from boundedcollections.broadcast import Broadcast
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

    def _start_of(self, replay: int, after: int | None) -> int:
        """Return the number that a new reader wants first."""
        newest = non_negative_int("replay", replay)
        if after is None:
            with self._lock:
                return self._number(self._first + max(self._held - newest, 0))
        if newest:
            raise ValueError(f"give replay or after, not both: got {replay} and {after}")
        is_before_all = type(after) is int and after == -1
        return 0 if is_before_all else non_negative_int("after", after) + 1

    def _number(self, position: int) -> int:
        newest = self._offset
        for hole, offset in self._holes.copy().items() if self._holes else ():
            if position < hole:
                return position + offset
        return position + newest

    def _position(self, seq: int) -> int:
        """Return where the item numbered `seq` is, was or will be; from a hole, what follows it."""
        position = seq - self._offset
        for hole, offset in reversed(self._holes.copy().items()) if self._holes else ():
            if position >= hole:
                break
            position = min(seq - offset, hole)
        return position

    def _has(self, seq: int) -> bool:
        """Say whether there is an item from the number `seq` on."""
        if self._holes:
            return self._buffered(seq, self._first + self._held) > 0
        return self._held > 0 and seq - self._offset < self._first + self._held

    def _buffered(self, seq: int, end: int) -> int:
        """Return how many items there are from the number `seq` on, up to the position `end`."""
        return max(end - max(self._position(seq), self._first), 0)

    def _read(self, seq: int, most_items: int, most_bytes: int) -> tuple[list[T], int]:
        """Return items without a gap between them, from `seq` or the next held on; and its number."""
        while True:
            first, end = self._first, self._first + self._held
            start, stop, offset = self._stretch(seq, first, end)
            if stop - start > most_items:
                stop = start + most_items
            try:
                entries = self._copy(start, stop)
            except (RuntimeError, IndexError):  # items were sent, and others left, in the middle
                continue
            return self._items_of(entries, most_bytes), start + offset

    def _stretch(self, seq: int, first: int, end: int) -> tuple[int, int, int]:
        """Return what is held from `seq` on up to a hole: where it begins, ends, and its offset."""
        if not self._holes:
            offset = self._offset
            return max(seq - offset, first), end, offset
        start = max(self._position(seq), first)
        stop = min([hole for hole in self._holes.copy() if hole > start], default=end)
        return start, min(stop, end), self._number(start) - start

    def _newest_seq(self) -> int:
        return self._number(self._first + self._held - 1)

    def _copy(self, start: int, stop: int) -> list[Any]:
        """
        Return the entries at the positions from `start` to `stop`, counted from the nearer end.

        The deque is asked in the same step in which is seen where it begins and ends.

        Raises:
            IndexError: `start` has left the ring.
            RuntimeError: the ring changed while entries were copied.
        """
        if start >= stop:
            return []
        first, end = self._first, self._first + self._held
        if start < first:
            raise IndexError
        if stop - start == 1:
            return [self._items[start - first]]
        if start - first < end - stop:
            return list(islice(self._items, start - first, stop - first))
        entries = list(islice(reversed(self._items), end - stop, end - start))
        entries.reverse()
        return entries

    def _items_of(self, entries: list[Any], most_bytes: int) -> list[T]:
        if self._sizeof is None:
            return entries
        if most_bytes == NO_LIMIT:
            return [item for item, _ in entries]
        items: list[T] = []
        for item, booked in entries:
            size = uncharged(booked)
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
