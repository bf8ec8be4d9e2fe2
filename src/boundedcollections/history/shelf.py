"""Entries by their numbers: what is stored, what has to leave for it, and what all of it costs."""

import operator
import threading
from collections.abc import Callable
from itertools import islice
from typing import Final, Generic, TypeVar

from boundedcollections._core.budgets import Budget
from boundedcollections._core.errors import TooLarge
from boundedcollections._core.events import Departures, Notifier, RemovalCause
from boundedcollections._core.ledger import Ledger
from boundedcollections._core.sizing import deep_size
from boundedcollections._core.store import Store
from boundedcollections._core.tables import TableMeter, dict_bytes
from boundedcollections._core.units import at_least_one, positive_seconds
from boundedcollections.history import entries
from boundedcollections.history.entries import Entry

T = TypeVar("T")
R = TypeVar("R")

_EMPTY_BYTES: Final = {}.__sizeof__()

_seq_of = operator.attrgetter("seq")


class Shelf(Store, Generic[T]):
    """
    The entries of a history, in a table by their numbers; the oldest leaves first.

    Where items are `unique` a second table finds an entry by its item, and a repeated item leaves
    a hole in the numbers. Whatever is overdue has left before anything else is looked at.
    """

    __slots__ = (
        "_by_item",
        "_clock",
        "_entries",
        "_max_age_seconds",
        "_next_seq",
        "_sizeof",
        "_unique",
    )

    def __init__(
        self,
        *,
        max_items: int | None,
        max_bytes: int | None,
        max_age_seconds: float | None,
        sizeof: Callable[[T], int] | None,
        unique: bool,
        on_evict: Callable[[int, T, RemovalCause], object] | None,
        budget: Budget | None,
        floor_bytes: int,
        weight: float,
        name: str | None,
        clock: Callable[[], float],
    ) -> None:
        at_least_one(max_items=max_items, max_bytes=max_bytes, max_age_seconds=max_age_seconds)
        self.name = name
        where = type(self).__name__ if name is None else f"{type(self).__name__} {name!r}"
        self._ledger = Ledger(where, max_items=max_items, max_bytes=max_bytes)
        self._max_age_seconds = valid_age(max_age_seconds)
        is_measured = max_bytes is not None or budget is not None
        self._sizeof = deep_size if sizeof is None and is_measured else sizeof
        self._notify = Notifier(on_evict)
        self._clock = clock
        self._lock = threading.RLock()
        self._next_seq = 0
        self._meter = TableMeter()
        self._tidying = False
        self._entries: dict[int, Entry[T]] = {}
        self._by_item: dict[T, Entry[T]] = {}
        self._unique = unique
        if max_bytes is not None:
            entries.check_room(max_bytes)
        self._join(budget, floor_bytes=floor_bytes, weight=weight)

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

    def _store(self, entry: Entry[T], left: Departures) -> int | TooLarge:
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
        return 2 * entries.LEAST_TABLE if self._unique else entries.LEAST_TABLE

    def _turn_away(self, entry: Entry[T], cause: RemovalCause, left: Departures) -> int:
        """Let `entry` go at once; it has had a number, all the same."""
        entry.seq = self._next_seq
        self._next_seq = entry.seq + 1
        left += (entry, cause)
        return entry.seq

    def _expire(self, now: float, most: float, left: Departures) -> None:
        while (oldest := self._oldest()) and now - oldest.since >= most:
            self._remove(oldest, RemovalCause.EXPIRED, left)

    def _release_oldest(self, cause: RemovalCause, left: Departures) -> Entry[T] | None:
        oldest = self._oldest()
        if oldest is not None:
            self._remove(oldest, cause, left)
        return oldest

    def _remove(self, entry: Entry[T], cause: RemovalCause, left: Departures) -> None:
        if self._unique:
            self._unregister(entry, left)
        if self._entries.pop(entry.seq, None) is None:
            return  # something that interrupted this write was quicker
        self._ledger.release(entry.size, cause)
        left += (entry, cause)

    def _register(self, entry: Entry[T], left: Departures) -> None:
        """Make `entry` the one of its equals; the newest stays, if an interruption added one."""
        while (twin := self._by_item.setdefault(entry.item, entry)) is not entry:
            older = min(twin, entry, key=_seq_of)
            self._remove(older, RemovalCause.REPLACED, left)
            if older is entry:
                return

    def _unregister(self, entry: Entry[T], left: Departures) -> None:
        registered = self._by_item.pop(entry.item, entry)
        if registered is not entry:  # another one took its place meanwhile
            self._register(registered, left)

    def _first_seq(self) -> int:
        if self._unique:  # repeated items leave holes in the numbers
            return min(self._entries, default=self._next_seq)
        return self._next_seq - len(self._entries)

    def _at(self, position: int) -> Entry[T] | None:
        if self._unique:
            held = list(self._entries.values())
            return held[position] if -len(held) <= position < len(held) else None
        base = self._first_seq() if position >= 0 else self._next_seq
        return self._entries.get(base + position)

    def _oldest(self) -> Entry[T] | None:
        if not self._unique:
            return self._entries.get(self._first_seq())
        while True:
            try:
                return next(iter(self._entries.values()), None)
            except RuntimeError:  # struck between the two calls
                continue

    def _newest(self, count: int) -> list[Entry[T]]:
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
        by_seq: dict[int, Entry[T]] = {}
        by_item: dict[T, Entry[T]] = {}
        meter = TableMeter()
        for entry in list(self._entries.values()):
            meter.insert(entries=len(by_seq))
            by_seq[entry.seq] = entry
            if self._unique:
                by_item[entry.item] = entry
        if by_seq.keys() == self._entries.keys():
            self._entries, self._by_item, self._meter = by_seq, by_item, meter
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


def valid_age(seconds: float | None) -> float | None:
    """Return the age as it is kept; refuse what is none."""
    return None if seconds is None else positive_seconds("max_age_seconds", seconds)
