"""The structure in Python: how entries are measured, how long they live, and what a hit is."""

import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeVar, cast, overload

from boundedcollections._core.errors import TooLarge
from boundedcollections._core.events import Departures, Notifier, RemovalCause
from boundedcollections._core.ledger import Ledger
from boundedcollections._core.steps import HAS_GIL
from boundedcollections.lru.entries import GONE, Entry, charge, measured
from boundedcollections.lru.recency import Recency

K = TypeVar("K")
V = TypeVar("V")
D = TypeVar("D")


class Keeper(Recency[K, V]):
    """
    Reads and writes entries: it measures them, says when they expire, and counts hits.

    It calls what users give (sizes, the clock) before it takes the lock.
    """

    __slots__ = ("_hits", "_misses", "_sizeof", "_ttl_seconds")

    _hits: int
    _misses: int
    _sizeof: Callable[[Any], int]
    _ttl_seconds: float | None

    def _start(
        self,
        *,
        where: str,
        max_items: int | None,
        max_bytes: int,
        max_entry_bytes: int | None,
        ttl_seconds: float | None,
        sizeof: Callable[[Any], int],
        clock: Callable[[], float],
        notify: Notifier[*tuple[Any, ...]],
    ) -> None:
        self._ledger = Ledger(where, max_items=max_items, max_bytes=max_bytes)
        self._max_entry_bytes = max_entry_bytes
        self._ttl_seconds = ttl_seconds
        self._sizeof = sizeof
        self._clock = clock
        self._notify = notify
        self._lock = threading.RLock()
        self._hits = self._misses = 0
        self._start_empty()

    def _least_bytes(self) -> int:
        return charge(0, 0, expires=True)

    def __len__(self) -> int:
        self._purge()
        return self._ledger.items

    def __contains__(self, key: object) -> bool:
        return self._find_alive(cast("K", key)) is not None

    def __getitem__(self, key: K) -> V:
        value = self.get(key, GONE)
        if value is GONE:
            raise KeyError(key)
        return cast("V", value)

    def __setitem__(self, key: K, value: V) -> None:
        refusal = self._put(key, value, self._ttl_seconds)
        if refusal is not None:
            raise refusal

    @overload
    def get(self, key: K, default: None = None, /) -> V | None: ...
    @overload
    def get(self, key: K, default: V, /) -> V: ...
    @overload
    def get(self, key: K, default: D, /) -> V | D: ...
    def get(self, key: K, default: Any = None, /) -> Any:
        """
        Return the value of `key` and make it the most recently used; `default` without it.

        >>> from boundedcollections import SizeAwareLRU
        >>> cache = SizeAwareLRU({"a": 1}, max_bytes=1_000)
        >>> cache.get("a"), cache.get("b"), cache.get("b", 0)
        (1, None, 0)
        """
        entry = self._entries.get(key)
        if entry is not None and (entry.deadline is None or self._is_alive(entry)):
            try:
                self._order.move_to_end(entry)
            except KeyError:  # evicted since the line above
                pass
            else:
                self._hits += 1
                return entry.value
        self._misses += 1
        return default

    def _get_locked(self, key: K, default: Any = None, /) -> Any:
        entry = self._entries.get(key)
        if entry is not None and entry.deadline is not None and not self._is_alive(entry):
            entry = None
        with self._lock:
            if entry is not None and entry in self._order:
                self._order.move_to_end(entry)
                self._hits += 1
                return entry.value
            self._misses += 1
        return default

    @overload
    def peek(self, key: K, default: None = None, /) -> V | None: ...
    @overload
    def peek(self, key: K, default: V, /) -> V: ...
    @overload
    def peek(self, key: K, default: D, /) -> V | D: ...
    def peek(self, key: K, default: Any = None, /) -> Any:
        """
        Return the value of `key` without touching its recency or the counts of hits and misses.

        >>> from boundedcollections import SizeAwareLRU
        >>> SizeAwareLRU({"a": 1}, max_bytes=1_000).peek("a")
        1
        """
        entry = self._find_alive(key)
        return default if entry is None else entry.value

    def snapshot(self) -> tuple[tuple[K, V], ...]:
        """
        Return all entries of this moment as pairs, least recently used first.

        >>> from boundedcollections import SizeAwareLRU
        >>> SizeAwareLRU({"a": 1, "b": 2}, max_bytes=1_000).snapshot()
        (('a', 1), ('b', 2))
        """
        return tuple([(entry.key, entry.value) for entry in self._in_order()])

    def _put(self, key: K, value: V, seconds: float | None, /) -> TooLarge | None:
        held = self._entries.get(key)
        if held is not None:  # a dict goes on holding the key it has, so that is what counts
            key = held.key
        sizeof = self._sizeof
        if seconds is None:
            return self._write(held, key, value, charge(sizeof(key), sizeof(value)), None)
        size = charge(sizeof(key), sizeof(value), expires=True)
        return self._write(held, key, value, size, self._clock() + seconds)

    def _keep(self, key: K, value: V, seconds: float | None, /) -> tuple[V, TooLarge | None]:
        if seconds is None:
            seconds = self._ttl_seconds
        size = charge(self._sizeof(key), self._sizeof(value), expires=seconds is not None)
        deadline = None if seconds is None else self._clock() + seconds
        if self._ledger.bytes + size > self._ledger.crowded_at:
            self._press(size)
        if self._meter.left <= 0:
            self._prepare(key, size)

        def store_if_missing(left: Departures) -> tuple[V, TooLarge | None]:
            if self._ledger.obeyed != self._ledger.target:
                self._obey(left)
            held = self._find(key)
            if held is not None:
                return held.value, None
            return value, self._store(Entry(key, value, size, deadline), left)

        return self._under_lock(store_if_missing)

    def _restore(self, key: K, value: V, size: int, seconds: float | None, /) -> None:
        deadline = None if seconds is None else self._clock() + seconds
        whole = charge(size, 0, expires=seconds is not None)
        self._under_lock(partial(self._insert, Entry(key, value, whole, deadline)))

    def _find_alive(self, key: K) -> Entry[K, V] | None:
        """Return the entry of `key`, if it is held and alive, without touching it."""
        if self._deadlines is None:
            with self._lock:
                return self._find(key)
        return self._under_lock(lambda _: self._find(key))

    def _look(self, key: K, /) -> tuple[K, V, float | None] | None:
        entry = self._find_alive(key)
        return None if entry is None else (entry.key, entry.value, entry.deadline)

    def _is_alive(self, entry: Entry[K, V]) -> bool:
        deadline = entry.deadline
        if deadline is None or self._clock() < deadline:
            return True
        self._purge()
        return False

    def _oldest(self) -> tuple[K, V] | None:
        return self._first(iter)

    def _newest(self) -> tuple[K, V] | None:
        return self._first(reversed)

    def _first(self, look: Callable[[Any], Iterator[Entry[K, V]]]) -> tuple[K, V] | None:
        def first(_: Departures) -> Entry[K, V] | None:
            while True:
                try:
                    return next(look(self._order), None)
                except RuntimeError:  # a hit without a lock came between the two calls
                    continue

        entry = self._under_lock(first)
        return None if entry is None else entry.told()

    def _rebook(self, key: K, value: V, deadline: float | None, /) -> int:
        size = charge(self._sizeof(key), self._sizeof(value), expires=deadline is not None)

        def book(left: Departures) -> int:
            while (entry := self._find(key)) is not None:
                if entry.value is not value:
                    return entry.size  # overwritten meanwhile: that figure is newer
                if size > self._entry_limit():
                    self._detach(entry, RemovalCause.SIZE, left)
                elif self._exchange(
                    entry, Entry(entry.key, value, size, entry.deadline), None, left
                ):
                    break
            return size

        return self._under_lock(book)

    def _take(self, key: K, otherwise: Any, /) -> Any:
        value = self._under_lock(partial(self._take_out, key, RemovalCause.REMOVED))
        return otherwise if value is GONE else value

    def _take_oldest(self) -> tuple[K, V] | None:
        entry = self._under_lock(partial(self._release_oldest, RemovalCause.REMOVED))
        return None if entry is None else entry.told()

    def _empty(self) -> None:
        def empty(left: Departures) -> None:
            for entry in list(self._order):
                self._detach(entry, RemovalCause.CLEARED, left)

        self._under_lock(empty)

    def _held(self) -> tuple[tuple[K, V, int, float | None], ...]:
        return tuple(
            [
                (
                    entry.key,
                    entry.value,
                    measured(entry.size, expires=entry.deadline is not None),
                    entry.deadline,
                )
                for entry in self._in_order()
            ]
        )

    def _figures(self) -> dict[str, Any]:
        self._purge()
        ledger = self._ledger
        with self._lock:
            return {
                "items": ledger.items,
                "current_bytes": ledger.bytes,
                "peak_items": ledger.peak_items,
                "peak_bytes": ledger.peak_bytes,
                "max_items": ledger.max_items,
                "max_bytes": ledger.max_bytes,
                "max_entry_bytes": self._entry_limit(),
                "hits": self._hits,
                "misses": self._misses,
                "accepted": ledger.accepted,
                "left": tuple(ledger.left.values()),
                "rejected": ledger.rejected,
            }

    def _bound(
        self, max_items: int | None, max_bytes: int | None, max_entry_bytes: int | None, /
    ) -> None:
        def shrink(left: Departures) -> None:
            self._ledger.resize(max_items=max_items, max_bytes=max_bytes)
            if max_entry_bytes is not None:
                self._max_entry_bytes = max_entry_bytes
            self._shrink(left)

        self._under_lock(shrink)


Keeper._get_locked.__doc__ = Keeper.get.__doc__  # noqa: SLF001  # where steps need a lock, it is `get`
if not HAS_GIL:  # pragma: no cover  # free-threaded builds; the tests run both forms on every build
    Keeper.get = Keeper._get_locked  # type: ignore[method-assign]  # noqa: SLF001
