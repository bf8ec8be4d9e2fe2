"""
A least-recently-used mapping that is bounded by the bytes of what it really holds.

`functools.lru_cache` and its relatives bound a number of entries; how large those are is left to
luck. `SizeAwareLRU` measures each key and value once, when it is written, and evicts the least
recently used entries until the sum fits.
"""

import contextlib
from typing import TYPE_CHECKING, TypeVar

from boundedcollections._core import sizing
from boundedcollections.lru.keeper import Keeper as Form
from boundedcollections.lru.surface import Surface

if not TYPE_CHECKING and sizing.accelerated:  # pragma: no branch  # every build has one of the two
    with contextlib.suppress(ImportError):  # the two are compiled apart
        from boundedcollections.lru.compiled import CompiledRecency as Form

K = TypeVar("K")
V = TypeVar("V")


class SizeAwareLRU(Form[K, V], Surface[K, V]):
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
    lock on builds of Python with the GIL. No lock is held while sizes are measured, listeners are
    called, and what was evicted dies.

    **Complexity**: reads and writes are O(1), plus the measuring of what is written; iteration,
    `snapshot`, `clear` are O(n).

    **When not to use it**: to bound a number of results of one function, `functools.lru_cache` is
    faster; to share memory between processes, take a server.

    Args:
        items: a mapping or pairs, written one by one, as by `update`.
        max_bytes: the most bytes to hold: keys, values, and what the cache itself spends on them
            (some 75 bytes for an entry and 48 more if it expires; in Python, without the compiled
            structure, 220 and 110; its tables grow in steps, which are booked beforehand).
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

    __slots__ = ("__weakref__", "_loads")
