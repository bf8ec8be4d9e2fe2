"""
The newest items only, each with a number, so that a reader learns exactly what it missed.

A log in memory that is only appended to is a leak with a delay. `BoundedHistory` keeps the
newest items within its bounds; at the bound the oldest is evicted, and the numbers that are
never used twice tell every reader how many items are gone.
"""

import operator
import secrets
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, Final, Generic, TypeVar, overload

from boundedcollections._core.batch import Batch
from boundedcollections._core.budgets import Budget
from boundedcollections._core.errors import TooLarge
from boundedcollections._core.events import Departures, Notifier, RemovalCause
from boundedcollections._core.ledger import Ledger, Tally
from boundedcollections._core.sizing import deep_size
from boundedcollections._core.store import Store
from boundedcollections._core.tables import TableMeter, allocated, dict_bytes, slots_for
from boundedcollections._core.units import (
    at_least_one,
    measured_size,
    non_negative_int,
    positive_int,
    positive_seconds,
)

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryStatistics:
    """
    The figures of one `BoundedHistory` at one moment. Totals count since its creation.

    Attributes:
        items: how many items are held.
        current_bytes: the sum of their sizes; 0 when nothing is measured.
        peak_items: the most items ever held.
        peak_bytes: the most bytes ever held.
        max_items: the bound in items, or None.
        max_bytes: the bound in bytes, or None.
        max_age_seconds: the bound in seconds, or None.
        first_seq: the number of the oldest item held.
        next_seq: the number that the next item will get.
        accepted: items and bytes ever appended; equals what is held plus all of `left`.
        left: items and bytes that left, by cause; every cause is present.
        rejected: items refused because one alone exceeds `max_bytes`; not in `accepted`.
        listener_errors: how often `on_evict` raised.
    """

    items: int
    current_bytes: int
    peak_items: int
    peak_bytes: int
    max_items: int | None
    max_bytes: int | None
    max_age_seconds: float | None
    first_seq: int
    next_seq: int
    accepted: Tally
    left: dict[RemovalCause, Tally]
    rejected: int
    listener_errors: int


class _Entry(Generic[T]):
    """One item and what the books know of it; `seq` is given when it is stored."""

    __slots__ = ("item", "seq", "since", "size")

    def __init__(self, item: T, size: int, since: float) -> None:
        self.item = item
        self.seq = -1
        self.size = size
        self.since = since

    def told(self) -> tuple[int, T]:
        return self.seq, self.item


_ENTRY_BYTES: Final = allocated(sys.getsizeof(_Entry(None, 0, 0.0)))
_NUMBER_BYTES: Final = allocated(sys.getsizeof(1 << 20))
_TIME_BYTES: Final = allocated(sys.getsizeof(1.5))
_EMPTY_BYTES: Final = {}.__sizeof__()
_LEAST_TABLE: Final = dict_bytes(slots_for(0))
_LARGEST_SHARED_INT: Final = 256

_seq_of = operator.attrgetter("seq")


class BoundedHistory(Store, Sequence[T]):
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

    __slots__ = (
        "__weakref__",
        "_by_item",
        "_clock",
        "_entries",
        "_epoch",
        "_max_age_seconds",
        "_next_seq",
        "_sizeof",
        "_unique",
    )

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
        at_least_one(max_items=max_items, max_bytes=max_bytes, max_age_seconds=max_age_seconds)
        self.name = name
        where = type(self).__name__ if name is None else f"{type(self).__name__} {name!r}"
        self._ledger = Ledger(where, max_items=max_items, max_bytes=max_bytes)
        self._max_age_seconds = _age(max_age_seconds)
        is_measured = max_bytes is not None or budget is not None
        self._sizeof = deep_size if sizeof is None and is_measured else sizeof
        self._notify = Notifier(on_evict)
        self._clock = clock
        self._lock = threading.RLock()
        self._epoch = secrets.token_hex(8)
        self._next_seq = 0
        self._meter = TableMeter()
        self._tidying = False
        self._entries: dict[int, _Entry[T]] = {}
        self._by_item: dict[T, _Entry[T]] = {}
        self._unique = unique
        if max_bytes is not None:
            _check_room(max_bytes)
        self._join(budget, floor_bytes=floor_bytes, weight=weight)
        self.extend(items)

    @property
    def epoch(self) -> str:
        """Sixteen random hexadecimal digits that tell this history's numbers from all others'."""
        return self._epoch

    @property
    def first_seq(self) -> int:
        """The number of the oldest item held; `next_seq` when there is none."""
        return self._under_lock(lambda _: self._first_seq())

    @property
    def next_seq(self) -> int:
        """The number that the next item will get."""
        return self._next_seq

    @property
    def max_items(self) -> int | None:
        """The bound in items, or None."""
        return self._ledger.max_items

    @property
    def max_bytes(self) -> int | None:
        """The bound in bytes, or None."""
        return self._ledger.max_bytes

    @property
    def max_age_seconds(self) -> float | None:
        """The bound in seconds, or None."""
        return self._max_age_seconds

    @property
    def current_bytes(self) -> int:
        """The bytes held, the history's own included; 0 when nothing is measured."""
        return self._under_lock(lambda _: self._ledger.bytes)

    @property
    def peak_bytes(self) -> int:
        """The most bytes ever held."""
        return self._ledger.peak_bytes

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
            size = _charge(
                measured_size(self._sizeof(item)), timed=self._max_age_seconds is not None
            )
            if self._ledger.bytes + size > self._ledger.crowded_at:
                self._press(size + self._least_tables())
            if self._growth() and size <= self._most_for_one():
                self._prepare_tables()
        outcome = self._under_lock(partial(self._store, _Entry(item, size, self._now())))
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

        def look(_: Departures) -> tuple[list[_Entry[T]], int, int]:
            newer = max(self._next_seq - asked, 0)
            return self._newest(newer), self._first_seq(), self._next_seq

        entries, first_seq, next_seq = self._under_lock(look)
        if asked > next_seq:
            raise ValueError(f"seq must be at most next_seq, which is {next_seq}, got {asked}")
        held = [entry for entry in entries if entry.seq >= asked]
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
        age = _age(max_age_seconds)
        if max_bytes is not None:
            _check_room(max_bytes)

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
        entries, next_seq = self._under_lock(
            lambda _: (list(self._entries.values()), self._next_seq)
        )
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
            "entries": [
                (entry.seq, entry.item, entry.size, now - entry.since) for entry in entries
            ],
            "next_seq": next_seq,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        BoundedHistory.__init__(self, **state["settings"])
        now = self._now()
        for seq, item, size, age in state["entries"]:
            entry = _Entry(item, size, now - age)
            self._next_seq = seq
            self._under_lock(partial(self._store, entry))
        self._next_seq = state["next_seq"]

    def _now(self) -> float:
        return 0.0 if self._max_age_seconds is None else self._clock()

    def _under_lock(self, act: Callable[[Departures], R]) -> R:
        if self._max_age_seconds is None:
            return super()._under_lock(act)
        now = self._clock()

        def act_on_what_is_due(left: Departures) -> R:
            self._expire(now, self._max_age_seconds or 0.0, left)
            return act(left)

        return super()._under_lock(act_on_what_is_due)

    def _store(self, entry: _Entry[T], left: Departures) -> int | TooLarge:
        """Hold `entry` and return its number, or the error that says why not."""
        if self._ledger.obeyed != self._ledger.target:
            self._obey(left)
        if entry.size > (limit := self._most_for_one()):
            return self._ledger.reject(entry.size, limit=int(limit))
        if self._unique and (twin := self._by_item.get(entry.item)) is not None:
            self._remove(twin, RemovalCause.REPLACED, left)
        cause = self._admit(entry.size, left)
        if cause is not None:
            return self._turn_away(entry, cause, left)
        reserved = self._reserve_tables(left)
        # No call between these lines: a number is given and used before anything can interrupt.
        entry.seq = self._next_seq
        self._entries[entry.seq] = entry
        self._next_seq = entry.seq + 1
        if self._unique:
            self._register(entry, left)
        self._settle_insert(reserved, left)
        return entry.seq

    def _most_for_one(self) -> float:
        """Return the bytes that one item may have: the bound, without the smallest tables."""
        return self._ledger.byte_goal - self._least_tables()

    def _least_tables(self) -> int:
        return 2 * _LEAST_TABLE if self._unique else _LEAST_TABLE

    def _turn_away(self, entry: _Entry[T], cause: RemovalCause, left: Departures) -> int:
        """Let `entry` go at once; it has had a number, all the same."""
        entry.seq = self._next_seq
        self._next_seq = entry.seq + 1
        left += (entry, cause)
        return entry.seq

    def _expire(self, now: float, most: float, left: Departures) -> None:
        while (oldest := self._oldest()) and now - oldest.since >= most:
            self._remove(oldest, RemovalCause.EXPIRED, left)

    def _release_oldest(self, cause: RemovalCause, left: Departures) -> _Entry[T] | None:
        oldest = self._oldest()
        if oldest is not None:
            self._remove(oldest, cause, left)
        return oldest

    def _remove(self, entry: _Entry[T], cause: RemovalCause, left: Departures) -> None:
        if self._unique:
            self._unregister(entry, left)
        if self._entries.pop(entry.seq, None) is None:
            return  # something that interrupted this write was quicker
        self._ledger.release(entry.size, cause)
        left += (entry, cause)

    def _register(self, entry: _Entry[T], left: Departures) -> None:
        """Make `entry` the one of its equals; the newest stays, if an interruption added one."""
        while (twin := self._by_item.setdefault(entry.item, entry)) is not entry:
            older = min(twin, entry, key=_seq_of)
            self._remove(older, RemovalCause.REPLACED, left)
            if older is entry:
                return

    def _unregister(self, entry: _Entry[T], left: Departures) -> None:
        registered = self._by_item.pop(entry.item, entry)
        if registered is not entry:  # another one took its place meanwhile
            self._register(registered, left)

    def _first_seq(self) -> int:
        if self._unique:  # repeated items leave holes in the numbers
            return min(self._entries, default=self._next_seq)
        return self._next_seq - len(self._entries)

    def _at(self, position: int) -> _Entry[T] | None:
        if self._unique:
            held = list(self._entries.values())
            return held[position] if -len(held) <= position < len(held) else None
        base = self._first_seq() if position >= 0 else self._next_seq
        return self._entries.get(base + position)

    def _oldest(self) -> _Entry[T] | None:
        if not self._unique:
            return self._entries.get(self._first_seq())
        while True:
            try:
                return next(iter(self._entries.values()), None)
            except RuntimeError:  # struck between the two calls
                continue

    def _newest(self, count: int) -> list[_Entry[T]]:
        """Return the last `count` entries, oldest first, at the cost of those alone."""
        while True:
            try:
                newest = list(islice(reversed(self._entries.values()), count))
            except RuntimeError:  # a finalizer changed the history between two allocations
                continue
            return newest[::-1]

    def _restate(self, left: Departures) -> None:
        self._by_item = {}
        for entry in list(self._entries.values()) if self._unique else ():
            self._register(entry, left)
        held = list(self._entries.values())
        self._ledger.restate(len(held), sum(entry.size for entry in held))
        self._settle_tables()
        self._shrink(left)

    def _count(self) -> int:
        return len(self._entries)

    def _table_bytes(self, slots: int) -> int:
        if self._sizeof is None:
            return 0
        return dict_bytes(slots) * (2 if self._unique else 1)

    def _measured_tables(self) -> int:
        if self._sizeof is None:
            return 0
        return self._entries.__sizeof__() + self._by_item.__sizeof__() - 2 * _EMPTY_BYTES

    def _copy_tables(self) -> None:
        entries: dict[int, _Entry[T]] = {}
        by_item: dict[T, _Entry[T]] = {}
        meter = TableMeter()
        for entry in list(self._entries.values()):
            meter.insert(entries=len(entries))
            entries[entry.seq] = entry
            if self._unique:
                by_item[entry.item] = entry
        if entries.keys() == self._entries.keys():
            self._entries, self._by_item, self._meter = entries, by_item, meter
        self._settle_tables()

    def _check(self) -> None:
        """Assert the invariants."""
        with self._lock:
            held = list(self._entries.values())
            self._ledger.check(len(held), sum(entry.size for entry in held))
            seqs = [entry.seq for entry in held]
            assert seqs == list(self._entries) == sorted(set(seqs)), seqs
            if self._unique:
                assert set(map(id, self._by_item.values())) == set(map(id, held))
                assert len(self._by_item) == len(held)
            else:
                assert self._by_item == {}
                assert seqs == list(range(self._next_seq - len(held), self._next_seq)), seqs
            assert self._ledger.accepted.items <= self._next_seq
            assert self._ledger.table_bytes == self._measured_tables()


def _charge(payload: int, *, timed: bool) -> int:
    """Add to the bytes of an item what the history itself spends on it."""
    size = payload + _ENTRY_BYTES + _NUMBER_BYTES + (_TIME_BYTES if timed else 0)
    return size if size <= _LARGEST_SHARED_INT else size + _NUMBER_BYTES


def _check_room(max_bytes: int) -> None:
    least = 2 * _LEAST_TABLE + _charge(0, timed=True)
    if positive_int("max_bytes", max_bytes) < least:
        raise ValueError(f"max_bytes must be at least {least}, for one item, got {max_bytes}")


def _age(seconds: float | None) -> float | None:
    return None if seconds is None else positive_seconds("max_age_seconds", seconds)
