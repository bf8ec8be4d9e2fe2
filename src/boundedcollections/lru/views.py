"""Views of a cache that look without touching the order of use."""

from collections.abc import ItemsView, Iterator, ValuesView
from typing import Any, TypeVar, cast

from boundedcollections.lru.entries import GONE

K = TypeVar("K")
V = TypeVar("V")


class QuietItems(ItemsView[K, V]):
    """The entries, least recently used first, of the moment when iteration begins."""

    _mapping: Any

    def __iter__(self) -> Iterator[tuple[K, V]]:
        return iter(self._mapping.snapshot())

    def __contains__(self, item: object) -> bool:
        key, value = cast("tuple[K, V]", item)
        found = self._mapping.peek(key, GONE)
        return found is not GONE and (found is value or found == value)


class QuietValues(ValuesView[V]):
    """The values, least recently used first, of the moment when iteration begins."""

    _mapping: Any

    def __iter__(self) -> Iterator[V]:
        return iter([value for _, value in self._mapping.snapshot()])

    def __contains__(self, value: object) -> bool:
        return any(held is value or held == value for held in self)
