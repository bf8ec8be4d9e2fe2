"""What a cache decides about its entries: their sizes, their bounds, their time."""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar, cast, overload

from boundedcollections._core.errors import TooLarge
from boundedcollections._core.events import Departures, RemovalCause
from boundedcollections._core.steps import HAS_GIL
from boundedcollections._core.units import at_least_one, positive_int, positive_seconds
from boundedcollections.lru.entries import Entry, charge, check_room
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

    @property
    def max_bytes(self) -> int:
        """The bound in bytes."""
        return cast("int", self._ledger.max_bytes)

    @property
    def max_items(self) -> int | None:
        """The bound in entries, or None."""
        return self._ledger.max_items

    @property
    def max_entry_bytes(self) -> int:
        """The bound of one entry, in bytes."""
        return self._entry_limit()

    @property
    def ttl_seconds(self) -> float | None:
        """How long an entry may be held, in seconds, unless `put` says otherwise; or None."""
        return self._ttl_seconds

    @property
    def current_bytes(self) -> int:
        """The bytes held: keys, values, and what the cache itself spends on them."""
        self._purge()
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
        """Do what `get` does where its steps need a lock: without the GIL."""
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
        entry = self._look(key)
        return default if entry is None else entry.value

    def put(self, key: K, value: V, *, ttl_seconds: float | None = None) -> bool:
        """
        Write `value` under `key`; return False where ``cache[key] = value`` raises `TooLarge`.

        >>> from boundedcollections import SizeAwareLRU
        >>> cache = SizeAwareLRU(max_bytes=1_000)
        >>> cache.put("small", "x"), cache.put("large", "x" * 1_000)
        (True, False)

        Args:
            key: where to find it again.
            value: what to hold.
            ttl_seconds: how long it may be held; by default as long as the cache says.

        Raises:
            TypeError: `ttl_seconds` is not a number.
            ValueError: `ttl_seconds` is not above 0, or not finite.
        """
        seconds = self._ttl_seconds if ttl_seconds is None else time_to_live(ttl_seconds)
        return self._put(key, value, seconds) is None

    def least_recent(self) -> tuple[K, V]:
        """
        Return the least recently used entry, the next to be evicted, without touching it.

        >>> from boundedcollections import SizeAwareLRU
        >>> SizeAwareLRU({"a": 1, "b": 2}, max_bytes=1_000).least_recent()
        ('a', 1)

        Raises:
            KeyError: the cache is empty.
        """
        return self._end(iter)

    def most_recent(self) -> tuple[K, V]:
        """
        Return the most recently used entry, without touching it.

        >>> from boundedcollections import SizeAwareLRU
        >>> SizeAwareLRU({"a": 1, "b": 2}, max_bytes=1_000).most_recent()
        ('b', 2)

        Raises:
            KeyError: the cache is empty.
        """
        return self._end(reversed)

    def remeasure(self, key: K) -> int:
        """
        Measure the value of `key` again, after it was changed in place; return the entry's bytes.

        What no longer fits leaves: the least recently used others, or this entry itself, with the
        cause SIZE, if it alone exceeds `max_entry_bytes`.

        >>> from boundedcollections import SizeAwareLRU
        >>> cache = SizeAwareLRU({"log": ["a"]}, max_bytes=10_000)
        >>> before = cache.current_bytes
        >>> cache["log"].extend("bcdefghij")
        >>> entry_bytes = cache.remeasure("log")
        >>> before < cache.current_bytes
        True

        Raises:
            KeyError: there is no such key.
        """
        entry = self._look(key)
        if entry is None:
            raise KeyError(key)
        value = entry.value
        size = self._size_of(entry.key, value, expires=entry.deadline is not None)

        def book(left: Departures) -> int:
            while entry.size >= 0 and entry.value is value:
                if size > self._entry_limit():
                    self._detach(entry, RemovalCause.SIZE, left)
                elif self._exchange(
                    entry, Entry(entry.key, value, size, entry.deadline), None, left
                ):
                    return size
            return size if entry.value is value else entry.size

        return self._under_lock(book)

    def expires_in(self, key: K) -> float | None:
        """
        Return in how many seconds the entry of `key` expires, None if never; it is not touched.

        >>> from boundedcollections import SizeAwareLRU
        >>> SizeAwareLRU({"a": 1}, max_bytes=1_000).expires_in("a")

        Raises:
            KeyError: there is no such key.
        """
        entry = self._look(key)
        if entry is None:
            raise KeyError(key)
        deadline = entry.deadline
        return None if deadline is None else max(deadline - self._clock(), 0.0)

    def purge_expired(self) -> int:
        """
        Let go at once what has expired; return how many entries that were, at O(log n) for each.

        Nobody needs to call this: what has expired is not found any more, and goes at the next
        look or write. It gives memory back early where a cache may rest for long.

        >>> from boundedcollections import SizeAwareLRU
        >>> SizeAwareLRU({"a": 1}, max_bytes=1_000, ttl_seconds=60).purge_expired()
        0
        """
        return self._purge()

    def resize(
        self,
        *,
        max_bytes: int | None = None,
        max_items: int | None = None,
        max_entry_bytes: int | None = None,
    ) -> None:
        """
        Change the bounds that are given, and evict at once what exceeds them.

        >>> from boundedcollections import SizeAwareLRU
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
        most_for_one = entry_limit(max_entry_bytes)
        if max_bytes is not None:
            check_room(max_bytes)

        def shrink(left: Departures) -> None:
            self._ledger.resize(max_items=max_items, max_bytes=max_bytes)
            if most_for_one is not None:
                self._max_entry_bytes = most_for_one
            self._shrink(left)

        self._under_lock(shrink)
        self._resized()

    def _put(self, key: K, value: V, seconds: float | None) -> TooLarge | None:
        held = self._entries.get(key)
        if held is not None:  # a dict goes on holding the key it has, so that is what counts
            key = held.key
        sizeof = self._sizeof
        if seconds is None:
            return self._write(held, key, value, charge(sizeof(key), sizeof(value)), None)
        size = charge(sizeof(key), sizeof(value), expires=True)
        return self._write(held, key, value, size, self._clock() + seconds)

    def _size_of(self, key: K, value: V, *, expires: bool) -> int:
        return charge(self._sizeof(key), self._sizeof(value), expires=expires)

    def _keep(self, key: K, value: V, seconds: float | None) -> tuple[V, TooLarge | None]:
        """Write `value` if nobody was quicker; return what is held then, or why nothing is."""
        if seconds is None:
            seconds = self._ttl_seconds
        size = self._size_of(key, value, expires=seconds is not None)
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

    def _look(self, key: K) -> Entry[K, V] | None:
        """Return the entry of `key`, if it is held and alive, without touching it."""
        if self._deadlines is None:
            with self._lock:
                return self._find(key)
        return self._under_lock(lambda _: self._find(key))

    def _is_alive(self, entry: Entry[K, V]) -> bool:
        deadline = entry.deadline
        if deadline is None or self._clock() < deadline:
            return True
        self._purge()
        return False

    def _end(self, look: Callable[[Any], Iterator[Entry[K, V]]]) -> tuple[K, V]:
        def first(_: Departures) -> Entry[K, V] | None:
            while True:
                try:
                    return next(look(self._order), None)
                except RuntimeError:  # a hit without a lock came between the two calls
                    continue

        entry = self._under_lock(first)
        if entry is None:
            raise self._is_empty()
        return entry.key, entry.value

    def _is_empty(self) -> KeyError:
        return KeyError(f"{self!r} is empty")


def entry_limit(max_entry_bytes: int | None) -> int | None:
    """Return a bound of one entry, after checking it."""
    return None if max_entry_bytes is None else positive_int("max_entry_bytes", max_entry_bytes)


def time_to_live(ttl_seconds: float | None) -> float | None:
    """Return a time that an entry may be held, after checking it."""
    return None if ttl_seconds is None else positive_seconds("ttl_seconds", ttl_seconds)


if not HAS_GIL:  # pragma: no cover  # free-threaded builds; the tests run both forms on every build
    Keeper.get = Keeper._get_locked  # type: ignore[method-assign]  # noqa: SLF001
