"""What users append to and read from."""

import operator
import secrets
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar, overload

from boundedcollections._core.batch import Batch
from boundedcollections._core.budgets import Budget
from boundedcollections._core.errors import TooLarge
from boundedcollections._core.events import Departures, RemovalCause
from boundedcollections._core.units import at_least_one, measured_size, non_negative_int
from boundedcollections.history import entries
from boundedcollections.history.entries import Entry
from boundedcollections.history.shelf import Shelf, valid_age
from boundedcollections.history.statistics import HistoryStatistics

T = TypeVar("T")


class BoundedHistory(Shelf[T], Sequence[T]):
    """
    The newest items in order, bounded by count, bytes and age, each with a sequence number.

    >>> room = BoundedHistory(max_items=3, name="room")
    >>> room.extend(["hi", "hello", "how are you?", "fine"])
    >>> list(room)
    ['hello', 'how are you?', 'fine']
    >>> room.since(0)
    Batch(items=('hello', 'how are you?', 'fine'), missed=1, first_seq=1, next_seq=4)

    Numbers start at 0 and are never used twice. A reader keeps the `next_seq` of its last
    `Batch` together with the `epoch` of the history; when it comes back, `since` gives what it
    lacks and says how much is gone. Another `epoch` means that its numbers come from another
    life (the process restarted, or this is a copy).

    **At the bound** the oldest items are evicted, and `on_evict` is told. An item that is larger
    than `max_bytes` by itself is refused with `TooLarge` and evicts nothing.

    **Threads and tasks**: every method may be called from any thread and any task, from a signal
    handler, a destructor, and from `on_evict`. None waits for anything but the lock. Sizes are
    measured, and listeners called, without the lock; iteration goes over a snapshot.

    **Complexity**: `append`, `len` and index are O(1); `since` and `last` cost what they return.
    With ``unique=True``, index, `since` and an eviction are O(n).

    **When not to use it**: for readers that wait for new items, take a `Broadcast`; where only
    one reader takes each item, a `DropOldestChannel`.

    Args:
        items: appended one by one, as by `extend`.
        max_items: the most items to hold.
        max_bytes: the most bytes to hold: the items, and what the history itself spends on them
            (about 180 bytes for an item; its table grows in steps, which are booked beforehand).
        max_age_seconds: how long an item may be held; it is gone at the first look after that.
            Seconds are those of `clock`. One of the three bounds is required; this one alone
            bounds time, not memory.
        sizeof: the bytes of one item; called once per append, without the lock. By default
            `deep_size` where `max_bytes` is given; otherwise nothing is measured.
        unique: hold equal items once. A repeated item moves to the end under a new number;
            its old one leaves with the cause REPLACED. Items must then be hashable. Numbers given
            up like that, below `first_seq`, count as missed.
        on_evict: called as ``on_evict(seq, item, cause)`` for every item that leaves, after the
            lock is released. What it raises is logged and counted.
        budget: a `MemoryBudget` to join. Its target may then hold less than the bounds do: what
            is above it leaves with the cause SIZE, a slice with each write, and what alone is
            larger is refused like what exceeds `max_bytes`.
        floor_bytes: what the target never falls below. Give one that the largest item fits into
            if none may be refused.
        weight: the share of the budget beside the other members'.
        name: for people and metrics.
        clock: seconds, never going back.

    Raises:
        TypeError: no bound was given, or an argument has the wrong type.
        ValueError: a bound is below 1, or a time is not above 0.
    """

    __slots__ = ("__weakref__", "_epoch")

    def __init__(
        self,
        items: Iterable[T] = (),
        *,
        max_items: int | None = None,
        max_bytes: int | None = None,
        max_age_seconds: float | None = None,
        sizeof: Callable[[T], int] | None = None,
        unique: bool = False,
        on_evict: Callable[[int, T, RemovalCause], object] | None = None,
        budget: Budget | None = None,
        floor_bytes: int = 0,
        weight: float = 1.0,
        name: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(
            max_items=max_items,
            max_bytes=max_bytes,
            max_age_seconds=max_age_seconds,
            sizeof=sizeof,
            unique=unique,
            on_evict=on_evict,
            budget=budget,
            floor_bytes=floor_bytes,
            weight=weight,
            name=name,
            clock=clock,
        )
        self._epoch = secrets.token_hex(8)
        self.extend(items)

    @property
    def epoch(self) -> str:
        """Sixteen random hexadecimal digits that tell this history's numbers from all others'."""
        return self._epoch

    def append(self, item: T) -> int:
        """
        Add `item` as the newest and return its number; O(1).

        >>> BoundedHistory(max_items=2).append("first")
        0

        Raises:
            TooLarge: `item` alone exceeds `max_bytes`; nothing was changed.
            Exception: whatever `sizeof` raises, or a TypeError for what it returned; likewise.
        """
        size = 0
        if self._sizeof is not None:
            size = entries.charge(
                measured_size(self._sizeof(item)), timed=self._max_age_seconds is not None
            )
            if self._ledger.bytes + size > self._ledger.crowded_at:
                self._press(size + self._least_tables())
            if self._growth() and size <= self._most_for_one():
                self._prepare_tables()
        outcome = self._under_lock(partial(self._store, Entry(item, size, self._now())))
        if isinstance(outcome, TooLarge):
            raise outcome
        return outcome

    def extend(self, items: Iterable[T]) -> None:
        """
        Append each of `items`, one by one, so that an endless iterable needs no endless memory.

        >>> history = BoundedHistory(max_items=2)
        >>> history.extend("abc")
        >>> history
        <BoundedHistory items=2/2>

        Raises:
            TooLarge: an item alone exceeds `max_bytes`; those before it were appended.
        """
        for item in items:
            self.append(item)

    def since(self, seq: int) -> Batch[T]:
        """
        Return the items numbered `seq` and later, and how many of those are gone.

        >>> history = BoundedHistory("abcde", max_items=3)
        >>> history.since(1)
        Batch(items=('c', 'd', 'e'), missed=1, first_seq=2, next_seq=5)
        >>> history.since(5)
        Batch(items=(), missed=0, first_seq=5, next_seq=5)

        Args:
            seq: the `next_seq` of the reader's last `Batch`; 0 for a new reader.

        Raises:
            ValueError: `seq` is negative or has not been reached: its `epoch` is another.
        """
        asked = non_negative_int("seq", seq)

        def look(_: Departures) -> tuple[list[Entry[T]], int, int]:
            newer = max(self._next_seq - asked, 0)
            return self._newest(newer), self._first_seq(), self._next_seq

        newest, first_seq, next_seq = self._under_lock(look)
        if asked > next_seq:
            raise ValueError(f"seq must be at most next_seq, which is {next_seq}, got {asked}")
        held = [entry for entry in newest if entry.seq >= asked]
        return Batch(
            items=tuple(entry.item for entry in held),
            missed=max(first_seq - asked, 0),
            first_seq=held[0].seq if held else next_seq,
            next_seq=next_seq,
        )

    def last(self, n: int) -> tuple[T, ...]:
        """
        Return the newest `n` items, oldest first; all of them when there are fewer.

        >>> BoundedHistory("abcde", max_items=3).last(2)
        ('d', 'e')

        Raises:
            ValueError: `n` is negative.
        """
        count = non_negative_int("n", n)
        return tuple(entry.item for entry in self._under_lock(lambda _: self._newest(count)))

    def snapshot(self) -> tuple[T, ...]:
        """
        Return all items held at this moment, oldest first.

        >>> BoundedHistory("abc", max_items=2).snapshot()
        ('b', 'c')
        """
        held = self._under_lock(lambda _: list(self._entries.values()))
        return tuple(entry.item for entry in held)

    def clear(self) -> None:
        """
        Evict everything with the cause CLEARED; the numbers go on.

        >>> history = BoundedHistory("abc", max_items=3)
        >>> history.clear()
        >>> history.since(0)
        Batch(items=(), missed=3, first_seq=3, next_seq=3)
        """

        def empty(left: Departures) -> None:
            for entry in list(self._entries.values()):
                self._remove(entry, RemovalCause.CLEARED, left)

        self._under_lock(empty)

    def resize(
        self,
        *,
        max_items: int | None = None,
        max_bytes: int | None = None,
        max_age_seconds: float | None = None,
    ) -> None:
        """
        Change the bounds that are given, and evict at once what exceeds them.

        >>> history = BoundedHistory("abc", max_items=3)
        >>> history.resize(max_items=1)
        >>> list(history)
        ['c']

        Args:
            max_items: the most items to hold from now on.
            max_bytes: the most bytes to hold from now on.
            max_age_seconds: how long an item may be held from now on.

        Raises:
            TypeError: no bound was given, or `max_bytes` for a history that measures nothing.
            ValueError: a bound is below 1, or a time is not above 0; nothing was changed.
        """
        at_least_one(max_items=max_items, max_bytes=max_bytes, max_age_seconds=max_age_seconds)
        if max_bytes is not None and self._sizeof is None:
            raise TypeError("max_bytes needs sizes, and this history was created without sizeof")
        age = valid_age(max_age_seconds)
        if max_bytes is not None:
            entries.check_room(max_bytes)

        def shrink(left: Departures) -> None:
            self._ledger.resize(max_items=max_items, max_bytes=max_bytes)
            if age is not None:
                self._max_age_seconds = age
            self._shrink(left)

        self._under_lock(shrink)
        self._resized()

    def statistics(self) -> HistoryStatistics:
        """
        Return the figures of this moment; looking changes none of them, but for what is overdue.

        >>> BoundedHistory("abc", max_items=2).statistics().left[RemovalCause.COUNT]
        Tally(items=1, bytes=0)
        """
        return self._under_lock(
            lambda _: HistoryStatistics(
                items=self._ledger.items,
                current_bytes=self._ledger.bytes,
                peak_items=self._ledger.peak_items,
                peak_bytes=self._ledger.peak_bytes,
                max_items=self._ledger.max_items,
                max_bytes=self._ledger.max_bytes,
                max_age_seconds=self._max_age_seconds,
                first_seq=self._first_seq(),
                next_seq=self._next_seq,
                accepted=self._ledger.accepted,
                left=self._ledger.left,
                rejected=self._ledger.rejected,
                listener_errors=self._notify.errors,
            )
        )

    def __len__(self) -> int:
        return self._under_lock(lambda _: len(self._entries))

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[T, ...]: ...
    def __getitem__(self, index: int | slice) -> T | tuple[T, ...]:
        if isinstance(index, slice):
            return self.snapshot()[index]
        position = operator.index(index)
        entry = self._under_lock(lambda _: self._at(position))
        if entry is None:
            raise IndexError(f"index {position} is out of range")
        return entry.item

    def __iter__(self) -> Iterator[T]:
        return iter(self.snapshot())

    def __reversed__(self) -> Iterator[T]:
        return reversed(self.snapshot())

    def index(self, value: Any, start: int = 0, stop: int = sys.maxsize) -> int:
        """Return the position of the first item equal to `value`; O(n), over one snapshot."""
        return self.snapshot().index(value, start, stop)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, BoundedHistory):
            return NotImplemented
        return self.snapshot() == other.snapshot()

    __hash__ = None  # type: ignore[assignment]  # mutable, like every sequence that grows

    def __repr__(self) -> str:
        name = "" if self.name is None else f" {self.name!r}"
        return f"<{type(self).__name__}{name} {self._ledger}>"

    def __getstate__(self) -> dict[str, Any]:
        held, next_seq = self._under_lock(lambda _: (list(self._entries.values()), self._next_seq))
        now = self._now()
        return {
            "settings": {
                "max_items": self.max_items,
                "max_bytes": self.max_bytes,
                "max_age_seconds": self.max_age_seconds,
                "sizeof": self._sizeof,
                "unique": self._unique,
                "on_evict": self._notify.listener,
                "name": self.name,
                "clock": self._clock,
            },
            "entries": [(entry.seq, entry.item, entry.size, now - entry.since) for entry in held],
            "next_seq": next_seq,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        BoundedHistory.__init__(self, **state["settings"])
        now = self._now()
        for seq, item, size, age in state["entries"]:
            entry = Entry(item, size, now - age)
            self._next_seq = seq
            self._under_lock(partial(self._store, entry))
        self._next_seq = state["next_seq"]
