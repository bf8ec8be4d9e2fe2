"""
What the walks over object graphs have in common.

**Copies**: what a container holds is taken by one C call, in which no other thread has a turn, and
looked at afterwards. So whatever is in a container all the time is counted, although others may
change the container meanwhile; an iteration that goes on between their turns may pass over items
that move, without anyone saying so.

**The certificate**: an object whose only references are one slot, the copy, and those of the loop
itself cannot be met a second time, so it needs no entry among the objects seen. It is exact: any
other reference only means that the object is remembered by its id.

**Blocks**: a long copy is taken in blocks, so that a walk looks at its limit often, and its stack
stays short.
"""

import math
import sysconfig
import threading
from collections import Counter, deque
from collections.abc import Callable
from itertools import chain, repeat
from operator import is_
from sys import getrefcount
from typing import Any, Final

SHORT: Final = 64
"""A container with more items than this is taken in blocks."""

BY_ID: Final = -1
"""No certificate: every object is remembered by its id."""

Walk = Callable[[Any, float, int], int]
"""
Takes an object, the sum above which to stop, and the references that an object in one slot and in
a copy shows to `getrefcount` in its loop, or `BY_ID`. Returns the sum, or any figure above that
limit. Raises `RuntimeError` where it was disturbed, or has to go `BY_ID`.
"""

_BATCH = 256
_BLOCK = 2048
_ATTEMPTS = 100


class Disturbed(RuntimeError):
    """The certificate does not hold for this value."""


class Tally:
    """Counts how often sizing had to leave its own rules, in any thread."""

    __slots__ = ("_lock", "asked", "estimated")

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self.asked = self.estimated = 0

    def add(self, *, asked: int = 0, estimated: int = 0) -> None:
        """Count what was asked of pympler, and what had to be estimated."""
        with self._lock:
            self.asked += asked
            self.estimated += estimated


tally = Tally()


def measured(walk: Walk, single: int, obj: Any, ceiling: float) -> int:
    """
    Return what `walk` says of `obj`.

    Args:
        walk: what to run.
        single: its argument for the first run, as `trusted` gave it.
        obj: what to measure.
        ceiling: the sum above which to stop.
    """
    try:
        return walk(obj, ceiling, single)
    except RuntimeError:
        return measured_by_id(walk, obj, ceiling)


def measured_by_id(walk: Walk, obj: Any, ceiling: float) -> int:
    """
    Return the same for a value that has disturbed the first run, or may do so.

    Raises:
        RuntimeError: other threads disturbed it every time. With the GIL they cannot, but for a
            destructor that runs in the very middle of a copy.
    """
    for _ in range(_ATTEMPTS):
        try:
            return walk(obj, ceiling, BY_ID)
        except RecursionError:  # it is the caller's stack that is nearly used up
            raise
        except RuntimeError:
            continue
    raise RuntimeError(
        f"{type(obj)!r} cannot be measured: it has changed in each of {_ATTEMPTS} attempts"
    )


class Rest:
    """
    What is left of a copy of a long container.

    Blocks are taken off its end, so that what is in a block is no longer in the rest.
    """

    __slots__ = ("_counts", "_items")

    def __init__(self, items: list[Any]) -> None:
        self._items = items
        self._counts: Counter[int] | None = None

    def __len__(self) -> int:
        return len(self._items)

    def take(self) -> list[Any]:
        """Return the next block, with at least one item."""
        block = self._items[-_BLOCK:]
        del self._items[-_BLOCK:]
        return block

    def counts(self, block: list[Any]) -> Counter[int]:
        """Return how often the block and the rest had every object, by id, when first asked."""
        if self._counts is None:
            self._counts = Counter(map(id, chain(block, self._items)))
        return self._counts


def take(pending: list[Any]) -> tuple[list[Any], list[dict[Any, Any]], Rest | None]:
    """
    Take containers off a stack, and return what they hold, copied.

    Args:
        pending: containers, of the value or lists and tuples of ours.

    Returns:
        Some items, none if no container is left; the short dicts among the containers, whose keys
        are not among the items; and the long container that all items came from, if so.
    """
    items: list[Any] = []
    tables: list[dict[Any, Any]] = []
    extend = items.extend
    while pending and len(items) < _BATCH:
        container = pending.pop()
        kind = type(container)
        if kind is not Rest and len(container) <= SHORT:
            if kind is dict:
                tables.append(container)
                extend(container.values())
            else:
                extend(container)
            continue
        if items:  # let it come alone
            pending.append(container)
            break
        if kind is dict:
            container = Rest([*container, *container.values()])
        elif kind is not Rest:
            container = Rest([*container])
        items = container.take()
        if container:
            pending.append(container)
        return items, tables, container
    return items, tables, None


def keys_of(tables: list[dict[Any, Any]]) -> list[Any]:
    """Return all keys, those of each dict by one C call."""
    keys: list[Any] = []
    for table in tables:
        keys.extend(table)
    return keys


PLAIN: Final = {  # by id: to look up a class by itself may run the `__hash__` of its metaclass
    id(type(least)): (type(least).__sizeof__, least.__sizeof__())
    for least in (1, 1.0, "", b"")  # no instance of these types is smaller
}
_slots = [object()]
_IN_BLOCK = max(map(getrefcount, [*_slots]))
"""References that an object in one slot, and in a block beside it, shows to `map`."""


def is_plain(block: list[Any], kind: type) -> bool:
    """Whether all items are of exactly this type, and certified. No code of theirs runs."""
    of_kind = map(is_, map(type, block), repeat(kind))
    return all(of_kind) and max(map(getrefcount, block)) <= _IN_BLOCK


def _references_in_a_copy() -> int:
    counts = [0]
    for x in [*_slots]:  # the loop of a walk in small
        counts[0] = getrefcount(x)
    return counts[0]


OF_LOOP: Final = _references_in_a_copy() - 2
"""References that the loop itself adds to those of an object."""


def trusted(walk: Walk) -> int:
    """
    Return what one slot and a copy show if that can be relied on here, otherwise `BY_ID`.

    Without the GIL they cannot. Elsewhere it is tried: whatever an interpreter does to save
    counting, a leaf that sits in two slots must be found to be one.
    """
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        return BY_ID
    single = _references_in_a_copy()
    wrappings: tuple[Callable[[Any], Any], ...] = (
        lambda leaf: [leaf],
        lambda leaf: (leaf,),
        lambda leaf: {"key": leaf},
        lambda leaf: {leaf: 0},
        lambda leaf: deque([leaf]),
        lambda leaf: (leaf, *map(str, range(SHORT))),
        lambda leaf: [leaf, *map(bytes, range(2, SHORT + 2))],
        lambda leaf: deque([leaf, *map(bytes, range(2, SHORT + 2))]),
    )
    for wrap in wrappings:
        leaf = bytes(100)
        twice = [wrap(leaf), wrap(leaf)]
        del leaf
        if walk(twice, math.inf, single) != walk(twice, math.inf, BY_ID):
            return BY_ID
    return single
