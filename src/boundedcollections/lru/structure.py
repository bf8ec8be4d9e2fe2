"""What a cache asks of the structure that holds its entries, whichever form that has."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

from boundedcollections._core.errors import TooLarge
from boundedcollections._core.events import Notifier

K = TypeVar("K")
V = TypeVar("V")
D = TypeVar("D")


class Structure(ABC, Generic[K, V]):
    """
    Entries in the order of use, within the bounds.

    There are two forms: `Keeper`, in Python, which runs everywhere and is the reference, and
    ``_recency.c``, for builds with the GIL where a compiler was at hand. Every test of the cache
    runs over both. A structure also has what users call most often, which must not cost a call
    more than it needs: ``[]``, ``in``, `len`, `get`, `peek`, `snapshot`.

    Each method first lets go what is due, if anything expires at all, and tells the listener at
    its end, without any lock.
    """

    __slots__ = ()

    name: str | None
    _clock: Callable[[], float]
    _max_entry_bytes: int | None
    _notify: Notifier[*tuple[Any, ...]]
    _place: Any
    _sizeof: Callable[[Any], int]
    _ttl_seconds: float | None

    @overload
    def get(self, key: K, default: None = None, /) -> V | None: ...
    @overload
    def get(self, key: K, default: V, /) -> V: ...
    @overload
    def get(self, key: K, default: D, /) -> V | D: ...
    @abstractmethod
    def get(self, key: K, default: Any = None, /) -> Any:
        """Return the value of `key` and make it the most recently used; `default` without it."""

    @overload
    def peek(self, key: K, default: None = None, /) -> V | None: ...
    @overload
    def peek(self, key: K, default: V, /) -> V: ...
    @overload
    def peek(self, key: K, default: D, /) -> V | D: ...
    @abstractmethod
    def peek(self, key: K, default: Any = None, /) -> Any:
        """Return the value of `key` without touching it; `default` without it."""

    @abstractmethod
    def snapshot(self) -> tuple[tuple[K, V], ...]:
        """Return all entries of this moment, least recently used first."""

    @abstractmethod
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
        """Be empty, with these settings, which have been checked."""

    @abstractmethod
    def _least_bytes(self) -> int:
        """Return what is spent on an entry that expires, without its key and its value."""

    @abstractmethod
    def _put(self, key: K, value: V, seconds: float | None, /) -> TooLarge | None:
        """Measure and write; return the error if it is too large."""

    @abstractmethod
    def _keep(self, key: K, value: V, seconds: float | None, /) -> tuple[V, TooLarge | None]:
        """
        Measure and write `value` if nobody was quicker; return what is held, or why nothing is.

        Without `seconds` it may be held as long as the cache says.
        """

    @abstractmethod
    def _restore(self, key: K, value: V, size: int, seconds: float | None, /) -> None:
        """Write what `_held` has told of another cache, without measuring it."""

    @abstractmethod
    def _look(self, key: K, /) -> tuple[K, V, float | None] | None:
        """Return the key as it is held, its value and its deadline."""

    @abstractmethod
    def _oldest(self) -> tuple[K, V] | None:
        """Return the least recently used entry."""

    @abstractmethod
    def _newest(self) -> tuple[K, V] | None:
        """Return the most recently used entry."""

    @abstractmethod
    def _rebook(self, key: K, value: V, deadline: float | None, /) -> int:
        """Measure `value` again, and book that if it is still what is held; return the bytes."""

    @abstractmethod
    def _take(self, key: K, otherwise: Any, /) -> Any:
        """Take out an entry as REMOVED; return its value, or `otherwise`."""

    @abstractmethod
    def _take_oldest(self) -> tuple[K, V] | None:
        """Take out the oldest entry as REMOVED."""

    @abstractmethod
    def _empty(self) -> None:
        """Take out everything as CLEARED."""

    @abstractmethod
    def _purge(self) -> int:
        """Let go what is due and nothing else; return how many entries that were."""

    @abstractmethod
    def _held(self) -> tuple[tuple[K, V, int, float | None], ...]:
        """Return key, value, their measured bytes, and the deadline of everything that is held."""

    @abstractmethod
    def _figures(self) -> dict[str, Any]:
        """Return what `LRUStatistics` has; tallies as pairs, those of what left in a tuple."""

    @abstractmethod
    def _bound(
        self, max_items: int | None, max_bytes: int | None, max_entry_bytes: int | None, /
    ) -> None:
        """Change the bounds that are given, which have been checked, and evict down to them."""

    @abstractmethod
    def _claimed_bytes(self) -> int:
        """Return the bytes that are held, by the books."""

    @abstractmethod
    def _aim(self, target_bytes: int, /) -> None:
        """Take a target of a budget; no more than that."""

    @abstractmethod
    def _shed(self) -> bool:
        """Come nearer to the target by a slice of evictions; say whether more has to go."""
