"""
A least-recently-used mapping that is bounded by the bytes of what it really holds.

`functools.lru_cache` and its relatives bound a number of entries; how large those are is left to
luck. `SizeAwareLRU` measures each key and value once, when it is written, and evicts the least
recently used entries until the sum fits.
"""

import threading
import time
from collections.abc import (
    Callable,
    ItemsView,
    Iterable,
    Iterator,
    Mapping,
    MutableMapping,
    ValuesView,
)
from functools import partial
from typing import Any, Final, TypeVar, cast, overload

from boundedcollections._core.budgets import Budget
from boundedcollections._core.events import Departures, Notifier, RemovalCause
from boundedcollections._core.ledger import Ledger
from boundedcollections._core.sizing import deep_size
from boundedcollections.lru.entries import GONE, Entry, check_room
from boundedcollections.lru.keeper import entry_limit, time_to_live
from boundedcollections.lru.loader import Loader
from boundedcollections.lru.loads import Loads
from boundedcollections.lru.statistics import LRUStatistics
from boundedcollections.lru.views import QuietItems, QuietValues

K = TypeVar("K")
V = TypeVar("V")
D = TypeVar("D")

_NOTHING: Final = ()


class SizeAwareLRU(Loader[K, V], MutableMapping[K, V]):
    """
    A mapping that keeps the most recently used entries within a number of bytes.

    >>> cache = SizeAwareLRU(max_bytes=9_000)
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

    **Time**: with `ttl_seconds`, of the cache or of one `put`, an entry is gone at that moment,
    for every look at the cache. Where nothing expires the clock is never read.

    **Loading**: `get_or_load`, `aget_or_load` and the decorator `memoize` load what is missing,
    once at a time for each key, whoever else asks for it meanwhile.

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
            (about 200 bytes for an entry, 110 more if it expires; its tables grow in steps, which
            are booked beforehand).
        max_items: the most entries to hold.
        max_entry_bytes: the most bytes of one entry, key included; by default `max_bytes`. Without
            it a single giant flushes everything else.
        ttl_seconds: how long an entry may be held after it was written; `put` may say otherwise.
            Seconds are those of `clock`. By default nothing expires.
        sizeof: the bytes of one key or one value, `deep_size` by default; called once for each
            when they are written, without the lock.
        on_evict: called as ``on_evict(key, value, cause)`` for every value that leaves, after the
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
        TypeError: an argument has the wrong type.
        ValueError: a bound is below 1, or a time is not above 0.
    """

    __slots__ = ("__weakref__",)

    def __init__(
        self,
        items: Iterable[tuple[K, V]] | Mapping[K, V] = _NOTHING,
        *,
        max_bytes: int,
        max_items: int | None = None,
        max_entry_bytes: int | None = None,
        ttl_seconds: float | None = None,
        sizeof: Callable[[Any], int] = deep_size,
        on_evict: Callable[[K, V, RemovalCause], object] | None = None,
        budget: Budget | None = None,
        floor_bytes: int = 0,
        weight: float = 1.0,
        name: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        where = type(self).__name__ if name is None else f"{type(self).__name__} {name!r}"
        check_room(max_bytes)
        self._ledger = Ledger(where, max_items=max_items, max_bytes=max_bytes)
        self._max_entry_bytes = entry_limit(max_entry_bytes)
        self._ttl_seconds = time_to_live(ttl_seconds)
        self._sizeof = sizeof
        self._clock = clock
        self._notify = Notifier(on_evict)
        self._lock = threading.RLock()
        self._hits = self._misses = 0
        self._loads: Loads[K] = Loads()
        self._start_empty()
        self._join(budget, floor_bytes=floor_bytes, weight=weight)
        if items is not _NOTHING:
            self.update(items)

    def __getitem__(self, key: K) -> V:
        value = self.get(key, GONE)
        if value is GONE:
            raise KeyError(key)
        return cast("V", value)

    def __contains__(self, key: object) -> bool:
        return self._look(cast("K", key)) is not None

    def __len__(self) -> int:
        self._purge()
        return self._ledger.items

    def __setitem__(self, key: K, value: V) -> None:
        refusal = self._put(key, value, self._ttl_seconds)
        if refusal is not None:
            raise refusal

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
        value = self.get(key, GONE)
        if value is not GONE:
            return value
        value, refusal = self._keep(key, default, None)
        if refusal is not None:
            raise refusal
        return value

    def __delitem__(self, key: K) -> None:
        self.pop(key)

    @overload
    def pop(self, key: K, /) -> V: ...
    @overload
    def pop(self, key: K, default: V, /) -> V: ...
    @overload
    def pop(self, key: K, default: D, /) -> V | D: ...
    def pop(self, key: K, default: Any = GONE, /) -> Any:
        """
        Take `key` out with the cause REMOVED and return its value; `default` without it.

        >>> cache = SizeAwareLRU({"a": 1}, max_bytes=1_000)
        >>> cache.pop("a"), cache.pop("a", None)
        (1, None)

        Raises:
            KeyError: there is no such key, and no default.
        """
        value = self._under_lock(partial(self._take, key, RemovalCause.REMOVED))
        if value is not GONE:
            return value
        if default is GONE:
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
            raise self._is_empty()
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

    def __iter__(self) -> Iterator[K]:
        return iter([key for key, _ in self.snapshot()])

    def __reversed__(self) -> Iterator[K]:
        return reversed([key for key, _ in self.snapshot()])

    def items(self) -> ItemsView[K, V]:
        """Return a view of the entries, least recently used first; it never touches recency."""
        return QuietItems(self)

    def values(self) -> ValuesView[V]:
        """Return a view of the values, least recently used first; it never touches recency."""
        return QuietValues(self)

    def snapshot(self) -> tuple[tuple[K, V], ...]:
        """
        Return all entries of this moment as pairs, least recently used first.

        >>> SizeAwareLRU({"a": 1, "b": 2}, max_bytes=1_000).snapshot()
        (('a', 1), ('b', 2))
        """
        return tuple([(entry.key, entry.value) for entry in self._held()])

    def statistics(self) -> LRUStatistics:
        """
        Return the figures of this moment; looking changes none of them.

        >>> cache = SizeAwareLRU({"a": 1}, max_bytes=1_000)
        >>> cache.get("a"), cache.get("b"), cache.statistics().hit_ratio
        (1, None, 0.5)
        """
        self._purge()
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
                loads=self._loads.done,
                load_errors=self._loads.failed,
                listener_errors=self._notify.errors,
            )

    def __repr__(self) -> str:
        name = "" if self.name is None else f" {self.name!r}"
        return f"<{type(self).__name__}{name} {self._ledger}>"

    def __getstate__(self) -> dict[str, Any]:
        held = self._held()
        now = 0.0 if self._deadlines is None else self._clock()
        return {
            "settings": {
                "max_bytes": self.max_bytes,
                "max_items": self.max_items,
                "max_entry_bytes": self._max_entry_bytes,
                "ttl_seconds": self._ttl_seconds,
                "sizeof": self._sizeof,
                "on_evict": self._notify.listener,
                "name": self.name,
                "clock": self._clock,
            },
            "entries": [
                (
                    entry.key,
                    entry.value,
                    entry.size,
                    None if entry.deadline is None else entry.deadline - now,
                )
                for entry in held
            ],
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        SizeAwareLRU.__init__(self, **state["settings"])
        for key, value, size, seconds in state["entries"]:
            deadline = None if seconds is None else self._clock() + seconds
            self._under_lock(partial(self._insert, Entry(key, value, size, deadline)))
