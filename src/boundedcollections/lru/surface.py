"""
What users call of a cache, but for the few methods that its structure has itself.

Everything here is written in terms of `Structure`, so it does not matter which form that has.
"""

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
from typing import Any, Final, TypeVar, cast, overload

from boundedcollections._core.budgets import Budget, Place
from boundedcollections._core.events import Notifier, RemovalCause
from boundedcollections._core.ledger import Tally, fullness
from boundedcollections._core.sizing import deep_size
from boundedcollections._core.units import at_least_one, positive_int
from boundedcollections.lru.entries import GONE, check_room
from boundedcollections.lru.loader import Loader, time_to_live
from boundedcollections.lru.loads import Loads
from boundedcollections.lru.statistics import LRUStatistics
from boundedcollections.lru.views import QuietItems, QuietValues

K = TypeVar("K")
V = TypeVar("V")
D = TypeVar("D")

_NOTHING: Final = ()


class Surface(Loader[K, V], MutableMapping[K, V]):
    """A mapping over a `Structure`; `SizeAwareLRU` says what it promises."""

    __slots__ = ()

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
        check_room(max_bytes, least=self._least_bytes())
        self._start(
            where=where,
            max_items=checked("max_items", max_items),
            max_bytes=max_bytes,
            max_entry_bytes=checked("max_entry_bytes", max_entry_bytes),
            ttl_seconds=time_to_live(ttl_seconds),
            sizeof=sizeof,
            clock=clock,
            notify=Notifier(on_evict),
        )
        self._loads: Loads[K] = Loads()
        self._place = None
        if budget is not None:
            self._place = Place(
                self,
                budget,
                name=type(self).__name__ if name is None else name,
                max_bytes=max_bytes,
                floor_bytes=floor_bytes,
                weight=weight,
            )
        if items is not _NOTHING:
            self.update(items)

    @property
    def max_bytes(self) -> int:
        """The bound in bytes."""
        return cast("int", self._figures()["max_bytes"])

    @property
    def max_items(self) -> int | None:
        """The bound in entries, or None."""
        return cast("int | None", self._figures()["max_items"])

    @property
    def max_entry_bytes(self) -> int:
        """The bound of one entry, in bytes."""
        return cast("int", self._figures()["max_entry_bytes"])

    @property
    def ttl_seconds(self) -> float | None:
        """How long an entry may be held, in seconds, unless `put` says otherwise; or None."""
        return self._ttl_seconds

    @property
    def current_bytes(self) -> int:
        """The bytes held: keys, values, and what the cache itself spends on them."""
        self._purge()
        return self._claimed_bytes()

    @property
    def peak_bytes(self) -> int:
        """The most bytes ever held."""
        return cast("int", self._figures()["peak_bytes"])

    @overload
    def setdefault(self: "Surface[K, D | None]", key: K, default: None = None) -> D | None: ...
    @overload
    def setdefault(self, key: K, default: V) -> V: ...
    def setdefault(self, key: K, default: Any = None) -> Any:
        """
        Return the value of `key`; if there is none, write `default` and return that.

        >>> from boundedcollections import SizeAwareLRU
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

        >>> from boundedcollections import SizeAwareLRU
        >>> cache = SizeAwareLRU({"a": 1}, max_bytes=1_000)
        >>> cache.pop("a"), cache.pop("a", None)
        (1, None)

        Raises:
            KeyError: there is no such key, and no default.
        """
        value = self._take(key, default)
        if value is GONE:
            raise KeyError(key)
        return value

    def popitem(self) -> tuple[K, V]:
        """
        Take out the least recently used entry with the cause REMOVED, and return it.

        >>> from boundedcollections import SizeAwareLRU
        >>> SizeAwareLRU({"a": 1, "b": 2}, max_bytes=1_000).popitem()
        ('a', 1)

        Raises:
            KeyError: the cache is empty.
        """
        return self._unless_empty(self._take_oldest())

    def clear(self) -> None:
        """
        Take out everything with the cause CLEARED; O(n).

        >>> from boundedcollections import SizeAwareLRU
        >>> cache = SizeAwareLRU({"a": 1}, max_bytes=1_000)
        >>> cache.clear()
        >>> len(cache)
        0
        """
        self._empty()

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
        return self._unless_empty(self._oldest())

    def most_recent(self) -> tuple[K, V]:
        """
        Return the most recently used entry, without touching it.

        >>> from boundedcollections import SizeAwareLRU
        >>> SizeAwareLRU({"a": 1, "b": 2}, max_bytes=1_000).most_recent()
        ('b', 2)

        Raises:
            KeyError: the cache is empty.
        """
        return self._unless_empty(self._newest())

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
        return self._rebook(*self._seen(key))

    def expires_in(self, key: K) -> float | None:
        """
        Return in how many seconds the entry of `key` expires, None if never; it is not touched.

        >>> from boundedcollections import SizeAwareLRU
        >>> SizeAwareLRU({"a": 1}, max_bytes=1_000).expires_in("a")

        Raises:
            KeyError: there is no such key.
        """
        _, _, deadline = self._seen(key)
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
        if max_bytes is not None:
            check_room(max_bytes, least=self._least_bytes())
        self._bound(
            checked("max_items", max_items), max_bytes, checked("max_entry_bytes", max_entry_bytes)
        )
        if max_bytes is not None and self._place is not None:
            self._place.account.max_bytes = max_bytes

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

    def statistics(self) -> LRUStatistics:
        """
        Return the figures of this moment; looking changes none of them.

        >>> from boundedcollections import SizeAwareLRU
        >>> cache = SizeAwareLRU({"a": 1}, max_bytes=1_000)
        >>> cache.get("a"), cache.get("b"), cache.statistics().hit_ratio
        (1, None, 0.5)
        """
        figures = self._figures()
        tallies = [Tally(*tally) for tally in figures.pop("left")]
        return LRUStatistics(
            accepted=Tally(*figures.pop("accepted")),
            left=dict(zip(RemovalCause, tallies, strict=True)),
            loads=self._loads.done,
            load_errors=self._loads.failed,
            listener_errors=self._notify.errors,
            **figures,
        )

    def __repr__(self) -> str:
        name = "" if self.name is None else f" {self.name!r}"
        figures = self._figures()
        full = fullness(
            items=figures["items"],
            max_items=figures["max_items"],
            held_bytes=figures["current_bytes"],
            max_bytes=figures["max_bytes"],
        )
        return f"<{type(self).__name__}{name} {full}>"

    def __getstate__(self) -> dict[str, Any]:
        held = self._held()
        now = self._clock() if any(deadline is not None for *_, deadline in held) else 0.0
        figures = self._figures()
        return {
            "settings": {
                "max_bytes": figures["max_bytes"],
                "max_items": figures["max_items"],
                "max_entry_bytes": self._max_entry_bytes,
                "ttl_seconds": self._ttl_seconds,
                "sizeof": self._sizeof,
                "on_evict": self._notify.listener,
                "name": self.name,
                "clock": self._clock,
            },
            "entries": [
                (key, value, size, None if deadline is None else deadline - now)
                for key, value, size, deadline in held
            ],
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        Surface.__init__(self, **state["settings"])
        for entry in state["entries"]:
            self._restore(*entry)

    def _press(self, size: int) -> None:
        """Tell the budget that its target is in the way of a write; without a lock."""
        assert self._place is not None  # or there would be no target
        self._place.account.press(size)

    def _seen(self, key: K) -> tuple[K, V, float | None]:
        seen = self._look(key)
        if seen is None:
            raise KeyError(key)
        return seen

    def _unless_empty(self, entry: tuple[K, V] | None) -> tuple[K, V]:
        if entry is None:
            raise KeyError(f"{self!r} is empty")
        return entry


def checked(name: str, limit: int | None) -> int | None:
    """Return a limit that need not be given, after checking it."""
    return None if limit is None else positive_int(name, limit)
