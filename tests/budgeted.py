"""What tests of collections that share a budget need: one of each, and ways to fill it."""

from collections.abc import Callable, MutableMapping
from typing import Any

import pytest
from caches import PlainLRU

from boundedcollections import (
    BoundedHistory,
    Broadcast,
    BufferPool,
    DropOldestChannel,
    KiB,
    SizeAwareLRU,
)
from boundedcollections.memory.budget import MemoryBudget

ITEM = 10 * KiB
"""Large beside whatever a collection spends on an item."""

Make = Callable[..., Any]


def item_size(item: object) -> int:
    """Let a number stand for an item of so many bytes, and a key for nothing."""
    return int(item) if isinstance(item, (int, float)) else 0


BOUNDS: dict[str, Any] = {"max_bytes": 1_000 * KiB, "sizeof": item_size}


def make_lru(**settings: Any) -> SizeAwareLRU[str, int]:
    return SizeAwareLRU(**BOUNDS | settings)


def make_plain_lru(**settings: Any) -> PlainLRU[str, int]:
    return PlainLRU(**BOUNDS | settings)


def make_history(**settings: Any) -> BoundedHistory[float]:
    return BoundedHistory(**BOUNDS | settings)


def make_unique(**settings: Any) -> BoundedHistory[float]:
    return make_history(unique=True, **settings)


def make_channel(**settings: Any) -> DropOldestChannel[int]:
    told = settings.pop("on_evict", None)
    return DropOldestChannel(**BOUNDS | {"on_drop": told} | settings)


def make_broadcast(**settings: Any) -> Broadcast[int]:
    settings.pop("on_evict", None)
    return Broadcast(**BOUNDS | settings)


def make_pool(**settings: Any) -> BufferPool:
    return BufferPool(max_buffers=100, buffer_bytes=10 * KiB, **settings)


STREAMS = [make_channel, make_broadcast]
STORES = [make_lru, make_plain_lru, make_history, make_unique]
every = pytest.mark.parametrize("make", [*STORES, *STREAMS])

numbers = iter(range(10**9))


def write(collection: Any, size: int = ITEM) -> None:
    if isinstance(collection, MutableMapping):
        collection[str(next(numbers))] = size
    elif isinstance(collection, BoundedHistory):
        collection.append(size + next(numbers) / 1e9)  # each is another one
    else:
        collection.send(size)


def fill(collection: Any, items: int = 90, size: int = ITEM) -> None:
    for _ in range(items):
        write(collection, size)


def account(budget: MemoryBudget) -> Any:
    (only,) = budget.statistics().members
    return only
