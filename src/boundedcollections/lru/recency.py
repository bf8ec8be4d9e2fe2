"""The structure of the cache: what is held, in the order of use, within the bounds."""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Generic, TypeVar

from boundedcollections._core.errors import TooLarge
from boundedcollections._core.events import Departures, RemovalCause, told
from boundedcollections._core.ledger import REFUSED
from boundedcollections._core.store import Store
from boundedcollections._core.tables import (
    ORDER_NODE_BYTES,
    TableMeter,
    dict_bytes,
    ordered_dict_bytes,
)
from boundedcollections.lru.deadlines import Deadlines
from boundedcollections.lru.entries import GONE, Entry

K = TypeVar("K")
V = TypeVar("V")
R = TypeVar("R")

_EXPIRED: Final = RemovalCause.EXPIRED  # an attribute of an enumeration is a call on 3.11
_REPLACED: Final = RemovalCause.REPLACED


def _tables() -> tuple[dict[Any, Any], OrderedDict[Any, None], TableMeter]:
    """
    Return an empty index, an empty order, and the count of slots that holds for both of them.

    A dict has smaller tables until it meets a key that is no str, and new ones when it does. So it
    meets one at once; from then on both make new tables at the same inserts.
    """
    index: dict[Any, Any] = {0: None}
    order: OrderedDict[Any, None] = OrderedDict.fromkeys((0,))
    meter = TableMeter()
    meter.insert(entries=0)
    del index[0], order[0]
    return index, order, meter


_LEAST_BYTES: Final = sum(table.__sizeof__() for table in _tables()[:2])
"""The smallest tables; they belong to the cache itself, and are no part of what it claims."""


class Recency(Store, Generic[K, V]):
    """
    Entries in the order of their use; it knows their sizes, but nothing of how they are measured.

    The order is the authority: an entry is held if and only if it stands there. Its operations
    run no code of a user, so whoever takes an entry out has taken it alone. The dict is an index,
    which may be stale for a moment. An entry that has left has a negative size.

    Every call under the lock first lets go what is due, so what it finds is alive. A cache in
    which nothing ever expires has no `Deadlines`, and reads no clock.
    """

    __slots__ = ("_clock", "_deadlines", "_entries", "_max_entry_bytes", "_order")

    _clock: Callable[[], float]
    _max_entry_bytes: int | None
    _entries: dict[K, Entry[K, V]]
    _order: OrderedDict[Entry[K, V], None]
    _deadlines: Deadlines | None

    def _start_empty(self) -> None:
        self._entries, self._order, self._meter = _tables()
        self._deadlines = None
        self._tidying = False

    def _under_lock(self, act: Callable[[Departures], R]) -> R:
        if self._deadlines is None:
            return super()._under_lock(act)
        now = self._clock()

        def act_on_what_is_alive(left: Departures) -> R:
            self._expire(now, left)
            return act(left)

        return super()._under_lock(act_on_what_is_alive)

    def _write(  # noqa: C901  # a call costs more than a branch
        self,
        held: Entry[K, V] | None,
        key: K,
        value: V,
        size: int,
        deadline: float | None,
    ) -> TooLarge | None:
        """
        Hold an entry as the most recently used one; return the error if it is too large.

        `held` is the one that was found under the key before `value` was measured. This is
        `_under_lock` with `_store`, and the most frequent way through them written out.
        """
        ledger = self._ledger
        if ledger.bytes + size > ledger.crowded_at:
            self._press(size)
        if self._meter.left <= 0:
            self._prepare(key, size)
        now = 0.0 if self._deadlines is None else self._clock()
        left: Departures = []
        old: Any = REFUSED  # what is overwritten dies at the end, without the lock
        refusal = None
        try:
            with self._lock:
                try:
                    if ledger.obeyed != ledger.target:
                        self._obey(left)
                    if self._deadlines is not None:
                        self._expire(now, left)
                    elif held is not None and deadline is None:
                        old = self._overwrite(held, value, size)
                    if old is REFUSED:
                        refusal = self._store(Entry(key, value, size, deadline), left)
                    elif self._notify.listener is not None:
                        left += (Entry(key, old[0], 0), _REPLACED)
                except BaseException:
                    self._restate(left)
                    raise
        finally:
            if left and self._notify.listener is not None:
                self._notify(told(left))
        if left and not self._tidying and self._meter.is_worn(entries=self._ledger.items):
            self._tidy()
        return refusal

    def _overwrite(self, held: Entry[K, V], value: V, size: int) -> Any:
        """Do what `_exchange` does, if nothing has to be evicted for it; return what it had."""
        most = self._max_entry_bytes
        if most is not None and size > most:
            return REFUSED
        try:
            self._order.move_to_end(held)
        except KeyError:  # it has left since it was found
            return REFUSED
        return self._ledger.exchange(held, value, size, None, _REPLACED)

    def _prepare(self, key: K, size: int) -> None:
        """Make room for new tables, if writing an entry is going to need some."""
        if self._growth() and key not in self._entries and size <= self._entry_limit():
            self._prepare_tables()

    def _entry_limit(self) -> int:
        """Return the most bytes that one entry may have."""
        limit = int(self._ledger.byte_goal)
        most = self._max_entry_bytes
        return limit if most is None or most > limit else most

    def _store(self, fresh: Entry[K, V], left: Departures) -> TooLarge | None:
        limit = self._max_entry_bytes
        if (limit is not None and fresh.size > limit) or fresh.size > self._ledger.byte_goal:
            self._take_out(fresh.key, _REPLACED, left)  # it would be stale
            return self._ledger.reject(fresh.size, limit=self._entry_limit())
        while (held := self._entries.get(fresh.key)) is not None:
            if held.key is not fresh.key:  # written since this was measured, by an equal key
                self._detach(held, _REPLACED, left)
                self._unmap(held, left)
            elif self._exchange(held, fresh, _REPLACED, left):
                return None
        self._insert(fresh, left)
        return None

    def _exchange(
        self,
        held: Entry[K, V],
        fresh: Entry[K, V],
        cause: RemovalCause | None,
        left: Departures,
    ) -> bool:
        """Give `held` the content of `fresh` in place, so that no reader ever misses its key."""
        try:
            self._order.move_to_end(held)  # the last to be evicted for its own growth
        except KeyError:  # the index is stale, for something that this has interrupted
            self._unmap(held, left)
            return False
        deadline = fresh.deadline
        exchange = self._ledger.exchange
        while (old := exchange(held, fresh.value, fresh.size, deadline, cause)) is REFUSED:
            if held.size < 0 or not self._evict_oldest(fresh.size - held.size, 0, left):
                return False
        fresh.value, old_deadline = old
        if cause is not None:
            left += (fresh, cause)
        if old_deadline is not deadline:
            self._reschedule(held, old_deadline)
        return True

    def _insert(self, entry: Entry[K, V], left: Departures) -> None:
        size = entry.size
        cause = self._ledger.admit(size)
        if cause is not None:
            cause = self._make_room(size, cause, left)
            if cause is not None:
                left += (entry, cause)
                return
        meter = self._meter
        renewals = meter.renewals
        foreseen = meter.left > 0
        if foreseen:
            meter.left -= 1  # taken before it is used, like everything that is booked
            reserved = 0
        else:
            reserved = self._reserve_tables(left)
        self._order[entry] = None
        if self._entries.setdefault(entry.key, entry) is not entry or entry.size < 0:
            self._map(entry, left)
        if self._meter is not meter or meter.renewals != renewals:
            foreseen = False  # not one of the slots that were counted
            self._meter.doubt()
        if not foreseen:
            self._settle_insert(reserved, left)
        if entry.deadline is not None:
            self._reschedule(entry, None)

    def _make_room(
        self, size: int, cause: RemovalCause | None, left: Departures
    ) -> RemovalCause | None:
        """Do what `_admit` does after a refusal, with its most frequent way written out."""
        ledger = self._ledger
        while cause is not None:
            try:
                victim, _ = self._order.popitem(False)  # noqa: FBT003  # by position it is faster
            except KeyError:  # what is in the way is not held by entries
                return self._admit(size, left)
            freed = victim.size
            victim.size = -1
            ledger.release(freed, cause)
            left += (victim, cause)
            if (mapped := self._entries.pop(victim.key, victim)) is not victim:
                self._put_back(mapped, left)
            if victim.deadline is not None:
                self._reschedule(victim, victim.deadline)
            cause = ledger.admit(size)
        return None

    def _reschedule(self, entry: Entry[K, V], old: float | None) -> None:
        """Note that `entry` has another deadline than `old`, or has left."""
        if self._deadlines is None:
            self._deadlines = Deadlines()
        self._deadlines.note(entry, old)

    def _expire(self, now: float, left: Departures) -> int:
        """Let go what is due, the first to expire first; return how many entries that were."""
        assert self._deadlines is not None  # who asks has seen that something may be due
        return sum([self._detach(entry, _EXPIRED, left) for entry in self._deadlines.due(now)])

    def _purge(self) -> int:
        """Let go what is due and nothing else; return how many entries that were."""
        if self._deadlines is None:
            return 0
        return super()._under_lock(partial(self._expire, self._clock()))

    def _find(self, key: K) -> Entry[K, V] | None:
        entry = self._entries.get(key)
        return entry if entry is not None and entry in self._order else None

    def _in_order(self) -> list[Entry[K, V]]:
        """Return what is held, the least recently used first."""
        return self._under_lock(lambda _: list(self._order))

    def _take_out(self, key: K, cause: RemovalCause, left: Departures) -> V | object:
        while (entry := self._find(key)) is not None:
            value = entry.value
            if self._detach(entry, cause, left):
                return value
        return GONE

    def _release_oldest(self, cause: RemovalCause, left: Departures) -> Entry[K, V] | None:
        try:
            entry, _ = self._order.popitem(last=False)
        except KeyError:
            return None
        self._let_go(entry, cause, left)
        return entry

    def _detach(self, entry: Entry[K, V], cause: RemovalCause, left: Departures) -> bool:
        if self._order.pop(entry, GONE) is GONE:  # something that interrupted this was quicker
            return False
        self._let_go(entry, cause, left)
        return True

    def _let_go(self, entry: Entry[K, V], cause: RemovalCause, left: Departures) -> None:
        """Settle everything for an entry that has been taken out of the order."""
        size = entry.size
        entry.size = -1
        self._ledger.release(size, cause)
        left += (entry, cause)
        self._unmap(entry, left)
        if entry.deadline is not None:
            self._reschedule(entry, entry.deadline)

    def _map(self, entry: Entry[K, V], left: Departures) -> None:
        """Let the index find `entry`; an equal key that came meanwhile gives way."""
        while (other := self._entries.setdefault(entry.key, entry)) is not entry:
            if not self._detach(other, _REPLACED, left):
                self._unmap(other, left)
        if entry not in self._order:  # evicted while the key was being compared
            self._unmap(entry, left)

    def _unmap(self, entry: Entry[K, V], left: Departures) -> None:
        mapped = self._entries.pop(entry.key, entry)
        if mapped is not entry:
            self._put_back(mapped, left)

    def _put_back(self, mapped: Entry[K, V], left: Departures) -> None:
        """Let the index find again what was not to be taken out of it."""
        self._meter.doubt()
        if self._entries.setdefault(mapped.key, mapped) is not mapped:
            self._detach(mapped, _REPLACED, left)  # while it was out a newer one was written
        elif self._settle_tables():  # it took a slot, though it had one before
            self._shrink(left)

    def _count(self) -> int:
        return len(self._order)

    def _table_bytes(self, slots: int) -> int:
        return dict_bytes(slots) + ordered_dict_bytes(slots)

    def _measured_tables(self) -> int:
        nodes = len(self._order) * ORDER_NODE_BYTES  # charged with their entries
        return self._entries.__sizeof__() + self._order.__sizeof__() - nodes - _LEAST_BYTES

    def _copy_tables(self) -> None:
        """Put everything into tables that fit it, if nothing interrupts that."""
        entries, order, meter = _tables()
        for entry in list(self._order):
            meter.insert(entries=len(order))
            order[entry] = None
            entries[entry.key] = entry
        if order.keys() == self._order.keys():
            self._entries, self._order, self._meter = entries, order, meter
        self._settle_tables()

    def _restate(self, left: Departures) -> None:
        """Bring index, books and bounds in line with the order, after an exception."""
        self._meter.doubt()
        self._ledger.restate(len(self._order), sum(entry.size for entry in list(self._order)))
        mapped = set(map(id, self._entries.values()))
        for entry in list(self._entries.values()):
            if entry not in self._order:
                entry.size = -1
                self._unmap(entry, left)
        for entry in list(self._order):
            if id(entry) not in mapped:
                self._map(entry, left)
        if self._deadlines is not None:
            self._deadlines = Deadlines(list(self._order))
        self._settle_tables()
        self._shrink(left)

    def _check(self) -> None:
        """Assert the invariants."""
        with self._lock:
            held = list(self._order)
            self._ledger.check(len(held), sum(entry.size for entry in held))
            assert all(entry.size >= 0 for entry in held)
            assert set(map(id, held)) == set(map(id, self._entries.values()))
            assert len(held) == len(self._entries)
            assert all(self._entries[entry.key] is entry for entry in held)
            assert self._ledger.table_bytes == self._measured_tables()
            expiring = [entry for entry in held if entry.deadline is not None]
            assert len(expiring) == (0 if self._deadlines is None else len(self._deadlines))
            assert all(entry in (self._deadlines or ()) for entry in expiring)
