"""
A least-recently-used mapping that is bounded by the bytes of what it really holds.

`functools.lru_cache` and its relatives bound a number of entries; how large those are is left to
luck. `SizeAwareLRU` measures each key and value once, when it is written, and evicts the least
recently used entries until the sum fits.
"""

import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, ItemsView, Iterable, Iterator, MutableMapping, ValuesView
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Generic, TypeVar, cast, overload

from boundedcollections._core.errors import TooLarge
from boundedcollections._core.events import Departures, Notifier, RemovalCause
from boundedcollections._core.ledger import Ledger, Tally
from boundedcollections._core.sizing import deep_size
from boundedcollections._core.store import Store
from boundedcollections._core.tables import (
    ORDER_NODE_BYTES,
    TableMeter,
    allocated,
    dict_bytes,
    ordered_dict_bytes,
    slots_for,
)
from boundedcollections._core.units import at_least_one, measured_size, positive_int

K = TypeVar("K")
V = TypeVar("V")
D = TypeVar("D")
R = TypeVar("R")

_GIL: Final = getattr(sys, "_is_gil_enabled", lambda: True)()


@dataclass(frozen=True, slots=True, kw_only=True)
class LRUStatistics:
    """
    The figures of one `SizeAwareLRU` at one moment. Totals count since its creation.

    Attributes:
        items: how many entries are held.
        current_bytes: the sum of their sizes, keys included.
        peak_items: the most entries ever held.
        peak_bytes: the most bytes ever held.
        max_items: the bound in entries, or None.
        max_bytes: the bound in bytes.
        max_entry_bytes: the bound of one entry, in bytes.
        hits: lookups that found their key: by ``[]`` and `get`, not by `peek` and ``in``.
        misses: lookups that did not.
        accepted: entries and bytes ever written; equals what is held plus all of `left`.
            Overwriting a key accepts the new value, and the old one leaves as REPLACED.
        left: entries and bytes that left, by cause; every cause is present.
        rejected: entries refused because one alone exceeds its bound; not in `accepted`.
        listener_errors: how often `on_evict` raised.
    """

    items: int
    current_bytes: int
    peak_items: int
    peak_bytes: int
    max_items: int | None
    max_bytes: int
    max_entry_bytes: int
    hits: int
    misses: int
    accepted: Tally
    left: dict[RemovalCause, Tally]
    rejected: int
    listener_errors: int

    @property
    def hit_ratio(self) -> float:
        """The hits among all lookups, from 0 to 1; 1 before the first lookup."""
        lookups = self.hits + self.misses
        return self.hits / lookups if lookups else 1.0


class _Entry(Generic[K, V]):
    """
    One key with its value. It has no ``__eq__`` and no ``__hash__`` of its own on purpose.

    The recency order is keyed by entries, so that no code of a user's key can run inside it: a
    Python ``__eq__`` within ``OrderedDict.move_to_end`` can free what it is looking at.
    """

    __slots__ = ("key", "size", "value")

    def __init__(self, key: K, value: V, size: int) -> None:
        self.key = key
        self.value = value
        self.size = size

    def told(self) -> tuple[K, V]:
        return self.key, self.value


_ENTRY_BYTES: Final = allocated(sys.getsizeof(_Entry(None, None, 0))) + ORDER_NODE_BYTES
"""What an entry costs beside its key and its value: itself and its node in the order."""
_EMPTY_BYTES: Final = {}.__sizeof__() + OrderedDict().__sizeof__()
_LEAST_TABLE: Final = dict_bytes(slots_for(0)) + ordered_dict_bytes(slots_for(0))
_LARGEST_SHARED_INT: Final = 256
_INT_BYTES: Final = allocated(sys.getsizeof(1 << 20))
"""What it costs to remember a size, unless it is an int that CPython has anyway."""
_GONE: Final = object()


class SizeAwareLRU(Store, MutableMapping[K, V]):
    """
    A mapping that keeps the most recently used entries within a number of bytes.

    >>> cache = SizeAwareLRU(max_bytes=10_000)
    >>> cache["a"] = "x" * 3_000
    >>> cache["b"] = "y" * 3_000
    >>> cache["a"][:3]
    'xxx'
    >>> cache["c"] = "z" * 3_000
    >>> list(cache)
    ['a', 'c']

    Reading by ``[]`` and `get` makes an entry the most recently used; `peek`, ``in`` and every
    kind of iteration do not. Iteration goes over a snapshot, from the least to the most recently
    used entry.

    **At the bound** the least recently used entries are evicted, and `on_evict` is told. An entry
    that alone exceeds `max_entry_bytes` is refused: ``cache[key] = value`` raises `TooLarge`,
    `put` returns False. It evicts no other entry, but an older value under its key leaves as
    REPLACED, for it would be stale. A value that grows after it was written is not measured again
    until `remeasure` is called.

    **Threads and tasks**: every method may be called from any thread and any task, from a
    destructor, a signal handler, from `on_evict`, and from the ``__eq__`` of a key. A hit takes no
    lock on builds of Python with the GIL. Sizes are measured and listeners called without the
    lock; what is evicted dies after it was released.

    **Complexity**: reads and writes are O(1), plus the measuring of what is written; iteration,
    `snapshot`, `clear` are O(n).

    **When not to use it**: to bound a number of results of one function, `functools.lru_cache` is
    faster; to share memory between processes, take a server.

    Args:
        items: a mapping or pairs, written one by one, as by `update`.
        max_bytes: the most bytes to hold: keys, values, and what the cache itself spends on them
            (about 200 bytes for an entry; its tables grow in steps, which are booked beforehand).
        max_items: the most entries to hold.
        max_entry_bytes: the most bytes of one entry, key included; by default `max_bytes`. Without
            it a single giant flushes everything else.
        sizeof: the bytes of one key or one value, `deep_size` by default; called once for each
            when they are written, without the lock.
        on_evict: called as ``on_evict(key, value, cause)`` for every value that leaves, after the
            lock is released. What it raises is logged and counted.
        name: for people and metrics.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: a bound is below 1.
    """

    __slots__ = (
        "__weakref__",
        "_entries",
        "_hits",
        "_max_entry_bytes",
        "_misses",
        "_only_str",
        "_order",
        "_sizeof",
    )

    def __init__(
        self,
        items: Iterable[tuple[K, V]] | MutableMapping[K, V] = (),
        *,
        max_bytes: int,
        max_items: int | None = None,
        max_entry_bytes: int | None = None,
        sizeof: Callable[[Any], int] = deep_size,
        on_evict: Callable[[K, V, RemovalCause], object] | None = None,
        name: str | None = None,
    ) -> None:
        self.name = name
        where = type(self).__name__ if name is None else f"{type(self).__name__} {name!r}"
        _check_room(max_bytes)
        self._ledger = Ledger(where, max_items=max_items, max_bytes=max_bytes)
        self._max_entry_bytes = _entry_limit(max_entry_bytes)
        self._sizeof = sizeof
        self._notify = Notifier(on_evict)
        self._lock = threading.RLock()
        self._hits = self._misses = 0
        # The order is the authority: an entry is held if and only if it stands there. Its
        # operations run no code of a user, so whoever takes an entry out has taken it alone.
        # The dict is an index, which may be stale for a moment.
        self._order: OrderedDict[_Entry[K, V], None] = OrderedDict()
        self._entries: dict[K, _Entry[K, V]] = {}
        self._meter = TableMeter()
        self._tidying = False
        self._only_str = True  # a dict has smaller tables until it meets a key of another type
        self.update(items)

    @property
    def max_bytes(self) -> int:
        """The bound in bytes."""
        return int(self._ledger.byte_limit)

    @property
    def max_items(self) -> int | None:
        """The bound in entries, or None."""
        return self._ledger.max_items

    @property
    def max_entry_bytes(self) -> int:
        """The bound of one entry, in bytes: by default all but the smallest tables."""
        room = int(self._ledger.byte_limit) - _LEAST_TABLE
        return room if self._max_entry_bytes is None else min(self._max_entry_bytes, room)

    @property
    def current_bytes(self) -> int:
        """The bytes held: keys, values, and what the cache itself spends on them."""
        return self._ledger.bytes

    @property
    def peak_bytes(self) -> int:
        """The most bytes ever held."""
        return self._ledger.peak_bytes

    @overload
    def get(self, key: K, default: None = None, /) -> V | None: ...
    @overload
    def get(self, key: K, default: V, /) -> V: ...
    @overload
    def get(self, key: K, default: D, /) -> V | D: ...
    def get(self, key: K, default: Any = None, /) -> Any:
        """
        Return the value of `key` and make it the most recently used; `default` without it.

        >>> cache = SizeAwareLRU({"a": 1}, max_bytes=1_000)
        >>> cache.get("a"), cache.get("b"), cache.get("b", 0)
        (1, None, 0)
        """
        entry = self._entries.get(key)
        if entry is not None:
            try:
                self._order.move_to_end(entry)
            except KeyError:  # evicted since the line above
                pass
            else:
                self._hits += 1
                return entry.value
        self._misses += 1
        return default

    _get_lock_free = get

    def _get_locked(self, key: K, default: Any = None, /) -> Any:
        """Do what `get` does where its two steps need a lock: without the GIL."""
        with self._lock:
            return self._get_lock_free(key, default)

    def __getitem__(self, key: K) -> V:
        value = self.get(key, _GONE)
        if value is _GONE:
            raise KeyError(key)
        return cast("V", value)

    @overload
    def peek(self, key: K, default: None = None, /) -> V | None: ...
    @overload
    def peek(self, key: K, default: V, /) -> V: ...
    @overload
    def peek(self, key: K, default: D, /) -> V | D: ...
    def peek(self, key: K, default: Any = None, /) -> Any:
        """
        Return the value of `key` without touching its recency or the counts of hits and misses.

        >>> SizeAwareLRU({"a": 1}, max_bytes=1_000).peek("a")
        1
        """
        with self._lock:
            entry = self._find(key)
        return default if entry is None else entry.value

    def __contains__(self, key: object) -> bool:
        with self._lock:
            return self._find(cast("K", key)) is not None

    def __len__(self) -> int:
        return self._ledger.items

    def __setitem__(self, key: K, value: V) -> None:
        fresh = self._measure(key, value)
        self._prepare(fresh)
        self._under_lock(partial(self._store, fresh))

    def put(self, key: K, value: V) -> bool:
        """
        Write `value` under `key`; return False where ``cache[key] = value`` raises `TooLarge`.

        >>> cache = SizeAwareLRU(max_bytes=1_000)
        >>> cache.put("small", "x"), cache.put("large", "x" * 1_000)
        (True, False)
        """
        try:
            self[key] = value
        except TooLarge:
            return False
        return True

    @overload
    def setdefault(self: "SizeAwareLRU[K, D | None]", key: K, default: None = None) -> D | None: ...
    @overload
    def setdefault(self, key: K, default: V) -> V: ...
    def setdefault(self, key: K, default: Any = None) -> Any:
        """
        Return the value of `key`; if there is none, write `default` and return that.

        >>> SizeAwareLRU({"a": 1}, max_bytes=1_000).setdefault("a", 2)
        1

        Raises:
            TooLarge: the entry alone exceeds `max_entry_bytes`.
        """
        value = self.get(key, _GONE)
        if value is not _GONE:
            return value
        fresh = self._measure(key, default)
        self._prepare(fresh)

        def store_if_missing(left: Departures) -> V:
            current = self._find(key)
            if current is None:
                self._store(fresh, left)
                return fresh.value
            return current.value

        return self._under_lock(store_if_missing)

    def __delitem__(self, key: K) -> None:
        self.pop(key)

    @overload
    def pop(self, key: K, /) -> V: ...
    @overload
    def pop(self, key: K, default: V, /) -> V: ...
    @overload
    def pop(self, key: K, default: D, /) -> V | D: ...
    def pop(self, key: K, default: Any = _GONE, /) -> Any:
        """
        Take `key` out with the cause REMOVED and return its value; `default` without it.

        >>> cache = SizeAwareLRU({"a": 1}, max_bytes=1_000)
        >>> cache.pop("a"), cache.pop("a", None)
        (1, None)

        Raises:
            KeyError: there is no such key, and no default.
        """
        value = self._under_lock(partial(self._take, key))
        if value is not _GONE:
            return value
        if default is _GONE:
            raise KeyError(key)
        return default

    def popitem(self) -> tuple[K, V]:
        """
        Take out the least recently used entry with the cause REMOVED, and return it.

        >>> SizeAwareLRU({"a": 1, "b": 2}, max_bytes=1_000).popitem()
        ('a', 1)

        Raises:
            KeyError: the cache is empty.
        """
        entry = self._under_lock(partial(self._release_oldest, RemovalCause.REMOVED))
        if entry is None:
            raise KeyError(f"{self!r} is empty")
        return entry.key, entry.value

    def clear(self) -> None:
        """
        Take out everything with the cause CLEARED; O(n).

        >>> cache = SizeAwareLRU({"a": 1}, max_bytes=1_000)
        >>> cache.clear()
        >>> len(cache)
        0
        """

        def empty(left: Departures) -> None:
            for entry in list(self._order):
                self._detach(entry, RemovalCause.CLEARED, left)

        self._under_lock(empty)

    def remeasure(self, key: K) -> int:
        """
        Measure the value of `key` again, after it was changed in place; return the entry's bytes.

        What no longer fits leaves: the least recently used others, or this entry itself, with the
        cause SIZE, if it alone exceeds `max_entry_bytes`.

        >>> cache = SizeAwareLRU({"log": ["a"]}, max_bytes=10_000)
        >>> before = cache.current_bytes
        >>> cache["log"].extend("bcdefghij")
        >>> entry_bytes = cache.remeasure("log")
        >>> before < cache.current_bytes
        True

        Raises:
            KeyError: there is no such key.
        """
        with self._lock:
            entry = self._find(key)
        if entry is None:
            raise KeyError(key)
        value = entry.value
        size = self._size_of(entry.key, value)

        def book(left: Departures) -> int:
            while entry in self._order and entry.value is value:
                if size > self.max_entry_bytes:
                    self._detach(entry, RemovalCause.SIZE, left)
                elif self._set(entry, value, size, None, left):
                    break
            return entry.size if entry.value is not value else size

        return self._under_lock(book)

    def resize(
        self,
        *,
        max_bytes: int | None = None,
        max_items: int | None = None,
        max_entry_bytes: int | None = None,
    ) -> None:
        """
        Change the bounds that are given, and evict at once what exceeds them.

        >>> cache = SizeAwareLRU({"a": 1, "b": 2}, max_bytes=1_000)
        >>> cache.resize(max_items=1)
        >>> list(cache)
        ['b']

        Entries above a smaller `max_entry_bytes` stay until they are written again.

        Raises:
            TypeError: no bound was given, or one is not an integer.
            ValueError: a bound is below 1; nothing was changed.
        """
        at_least_one(max_bytes=max_bytes, max_items=max_items, max_entry_bytes=max_entry_bytes)
        entry_limit = _entry_limit(max_entry_bytes)
        if max_bytes is not None:
            _check_room(max_bytes)

        def shrink(left: Departures) -> None:
            self._ledger.resize(max_items=max_items, max_bytes=max_bytes)
            if entry_limit is not None:
                self._max_entry_bytes = entry_limit
            self._shrink(left)

        self._under_lock(shrink)

    def __iter__(self) -> Iterator[K]:
        return iter([key for key, _ in self.snapshot()])

    def __reversed__(self) -> Iterator[K]:
        return reversed([key for key, _ in self.snapshot()])

    def items(self) -> ItemsView[K, V]:
        """Return a view of the entries, least recently used first; it never touches recency."""
        return _Items(self)

    def values(self) -> ValuesView[V]:
        """Return a view of the values, least recently used first; it never touches recency."""
        return _Values(self)

    def snapshot(self) -> tuple[tuple[K, V], ...]:
        """
        Return all entries of this moment as pairs, least recently used first.

        >>> SizeAwareLRU({"a": 1, "b": 2}, max_bytes=1_000).snapshot()
        (('a', 1), ('b', 2))
        """
        with self._lock:
            held = list(self._order)
        return tuple((entry.key, entry.value) for entry in held)

    def statistics(self) -> LRUStatistics:
        """
        Return the figures of this moment; looking changes none of them.

        >>> cache = SizeAwareLRU({"a": 1}, max_bytes=1_000)
        >>> cache.get("a"), cache.get("b"), cache.statistics().hit_ratio
        (1, None, 0.5)
        """
        with self._lock:
            return LRUStatistics(
                items=self._ledger.items,
                current_bytes=self._ledger.bytes,
                peak_items=self._ledger.peak_items,
                peak_bytes=self._ledger.peak_bytes,
                max_items=self.max_items,
                max_bytes=self.max_bytes,
                max_entry_bytes=self.max_entry_bytes,
                hits=self._hits,
                misses=self._misses,
                accepted=self._ledger.accepted,
                left=self._ledger.left,
                rejected=self._ledger.rejected,
                listener_errors=self._notify.errors,
            )

    def __repr__(self) -> str:
        name = "" if self.name is None else f" {self.name!r}"
        return f"<{type(self).__name__}{name} {self._ledger}>"

    def __getstate__(self) -> dict[str, Any]:
        with self._lock:
            held = list(self._order)
        return {
            "settings": {
                "max_bytes": self.max_bytes,
                "max_items": self.max_items,
                "max_entry_bytes": self._max_entry_bytes,
                "sizeof": self._sizeof,
                "on_evict": self._notify.listener,
                "name": self.name,
            },
            "entries": [(entry.key, entry.value, entry.size) for entry in held],
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        SizeAwareLRU.__init__(self, **state["settings"])
        for fields in state["entries"]:
            self._under_lock(partial(self._insert, _Entry(*fields)))

    def _measure(self, key: K, value: V) -> _Entry[K, V]:
        held = self._entries.get(key)
        if held is not None:  # a dict goes on holding the key it has, so that is what counts
            key = held.key
        return _Entry(key, value, self._size_of(key, value))

    def _size_of(self, key: K, value: V) -> int:
        return _charge(measured_size(self._sizeof(key)) + measured_size(self._sizeof(value)))

    def _find(self, key: K) -> _Entry[K, V] | None:
        entry = self._entries.get(key)
        return entry if entry is not None and entry in self._order else None

    def _store(self, fresh: _Entry[K, V], left: Departures) -> None:
        limit = self.max_entry_bytes
        if fresh.size > limit:
            self._take(fresh.key, left, RemovalCause.REPLACED)
            raise self._ledger.reject(fresh.size, limit=limit)
        while (current := self._find(fresh.key)) is not None:
            if current.key is not fresh.key:  # written since it was measured, by an equal key
                self._detach(current, RemovalCause.REPLACED, left)
            elif self._set(current, fresh.value, fresh.size, RemovalCause.REPLACED, left):
                return
        self._insert(fresh, left)

    def _set(
        self,
        entry: _Entry[K, V],
        value: V,
        size: int,
        cause: RemovalCause | None,
        left: Departures,
    ) -> bool:
        """Give `entry` a value and a size in place, so that no reader ever misses its key."""
        old_size = entry.size
        growth = size - old_size if size > old_size else 0
        if entry in self._order:
            self._order.move_to_end(entry)  # the last to be evicted for its own growth
        while not self._ledger.reserve(growth):
            if not self._evict_oldest(growth, 0, left):
                return False
        if entry not in self._order or entry.size != old_size:  # something interrupted this
            self._ledger.unreserve(growth)
            return False
        old_value = entry.value  # no call from here on: nothing can strike between the lines
        entry.value = value
        entry.size = size
        self._ledger.exchange(old_size, size, reserved=growth, cause=cause)
        if cause is not None:
            left.add(_Entry(entry.key, old_value, old_size), cause)
        return True

    def _insert(self, entry: _Entry[K, V], left: Departures) -> None:
        cause = self._admit(entry.size, left)
        if cause is not None:
            left.add(entry, cause)
            return
        reserved = self._reserve_tables(left, widened=self._is_wider(entry.key))
        self._only_str = self._only_str and type(entry.key) is str
        self._order[entry] = None
        self._map(entry, left)
        self._settle_insert(reserved, left)

    def _prepare(self, fresh: _Entry[K, V]) -> None:
        """Make room for new tables, if writing `fresh` is going to need some."""
        widened = self._is_wider(fresh.key)
        if (
            self._growth(widened=widened)
            and fresh.key not in self._entries
            and fresh.size <= self.max_entry_bytes
        ):
            self._prepare_tables(widened=widened)

    def _is_wider(self, key: K) -> bool:
        return self._only_str and type(key) is not str

    def _count(self) -> int:
        return len(self._order)

    def _table_bytes(self, slots: int) -> int:
        return dict_bytes(slots) + ordered_dict_bytes(slots)

    def _measured_tables(self) -> int:
        nodes = len(self._order) * ORDER_NODE_BYTES  # charged with their entries
        return self._entries.__sizeof__() + self._order.__sizeof__() - nodes - _EMPTY_BYTES

    def _copy_tables(self) -> None:
        """Put everything into tables that fit it, if nothing interrupts that."""
        entries: dict[K, _Entry[K, V]] = {}
        order: OrderedDict[_Entry[K, V], None] = OrderedDict()
        meter = TableMeter()
        for entry in list(self._order):
            meter.insert(entries=len(order))
            order[entry] = None
            entries[entry.key] = entry
        if order.keys() == self._order.keys():
            self._entries, self._order, self._meter = entries, order, meter
        self._settle_tables()

    def _take(
        self,
        key: K,
        left: Departures,
        cause: RemovalCause = RemovalCause.REMOVED,
    ) -> V | object:
        while (entry := self._find(key)) is not None:
            if self._detach(entry, cause, left):
                return entry.value
        return _GONE

    def _release_oldest(self, cause: RemovalCause, left: Departures) -> _Entry[K, V] | None:
        try:
            entry, _ = self._order.popitem(last=False)
        except KeyError:
            return None
        self._let_go(entry, cause, left)
        return entry

    def _detach(self, entry: _Entry[K, V], cause: RemovalCause, left: Departures) -> bool:
        if self._order.pop(entry, _GONE) is _GONE:  # something that interrupted this was quicker
            return False
        self._let_go(entry, cause, left)
        return True

    def _let_go(self, entry: _Entry[K, V], cause: RemovalCause, left: Departures) -> None:
        """Settle everything for an entry that has been taken out of the order."""
        self._ledger.release(entry.size, cause)
        left.add(entry, cause)
        self._unmap(entry, left)

    def _map(self, entry: _Entry[K, V], left: Departures) -> None:
        """Let the index find `entry`; an equal key that came meanwhile gives way."""
        while (other := self._entries.setdefault(entry.key, entry)) is not entry:
            if not self._detach(other, RemovalCause.REPLACED, left):
                self._unmap(other, left)
        if entry not in self._order:  # evicted while the key was being compared
            self._unmap(entry, left)

    def _unmap(self, entry: _Entry[K, V], left: Departures) -> None:
        mapped = self._entries.pop(entry.key, entry)
        if mapped is not entry and self._entries.setdefault(mapped.key, mapped) is not mapped:
            # Not ours to remove, but while it was out a newer one was written.
            self._detach(mapped, RemovalCause.REPLACED, left)

    def _restate(self, left: Departures) -> None:
        """Bring index, books and bounds in line with the order, after an exception."""
        self._ledger.restate(len(self._order), sum(entry.size for entry in list(self._order)))
        mapped = set(map(id, self._entries.values()))
        for entry in list(self._entries.values()):
            if entry not in self._order:
                self._unmap(entry, left)
        for entry in list(self._order):
            if id(entry) not in mapped:
                self._map(entry, left)
        self._settle_tables()
        self._shrink(left)

    def _check(self) -> None:
        """Assert the invariants."""
        with self._lock:
            held = list(self._order)
            self._ledger.check(len(held), sum(entry.size for entry in held))
            assert set(map(id, held)) == set(map(id, self._entries.values()))
            assert len(held) == len(self._entries)
            assert all(self._entries[entry.key] is entry for entry in held)
            assert self._ledger.table_bytes == self._measured_tables()


class _Items(ItemsView[K, V]):
    _mapping: SizeAwareLRU[K, V]

    def __iter__(self) -> Iterator[tuple[K, V]]:
        return iter(self._mapping.snapshot())

    def __contains__(self, item: object) -> bool:
        key, value = cast("tuple[K, V]", item)
        found = self._mapping.peek(key, _GONE)
        return found is not _GONE and (found is value or found == value)


class _Values(ValuesView[V]):
    _mapping: SizeAwareLRU[Any, V]

    def __iter__(self) -> Iterator[V]:
        return iter([value for _, value in self._mapping.snapshot()])

    def __contains__(self, value: object) -> bool:
        return any(held is value or held == value for held in self)


def _charge(payload: int) -> int:
    """Add to the bytes of key and value what the cache itself spends on the entry."""
    size = payload + _ENTRY_BYTES
    return size if size <= _LARGEST_SHARED_INT else size + _INT_BYTES


def _check_room(max_bytes: int) -> None:
    least = _LEAST_TABLE + _charge(0)
    if positive_int("max_bytes", max_bytes) < least:
        raise ValueError(f"max_bytes must be at least {least}, for one entry, got {max_bytes}")


def _entry_limit(max_entry_bytes: int | None) -> int | None:
    return None if max_entry_bytes is None else positive_int("max_entry_bytes", max_entry_bytes)


if not _GIL:  # pragma: no cover  # free-threaded builds; the tests run both forms on every build
    SizeAwareLRU.get = SizeAwareLRU._get_locked  # type: ignore[method-assign]  # noqa: SLF001
