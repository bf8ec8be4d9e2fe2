"""
What the walks over object graphs have in common.

**The certificate**: an object whose only references are the slot that it was just read from and
those of the loop itself cannot be met a second time, so it needs no entry among the objects seen.
It is exact: any other reference only means that the object is remembered by its id.

**Blocks**: a long container is taken in blocks, so that a walk holds little beside the value and
looks at its limit often.

**Threads**: a walk that another thread disturbs starts again, from copies of the containers.
"""

import math
import sysconfig
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice, repeat
from operator import is_
from sys import getrefcount
from typing import Any, Final

SHORT: Final = 64
"""A container with more items than this is taken in blocks."""

BY_ID: Final = -1
"""No certificate: every object is remembered by its id, and containers are read from copies."""

Walk = Callable[[Any, float, int], int]
"""
Takes an object, the sum above which to stop, and the references that an object in one slot shows
to `getrefcount` in its loop, or `BY_ID`. Returns the sum, or any figure above that limit. Raises
`RuntimeError` where it was disturbed, or has to go `BY_ID`.
"""

_BLOCK = 2048
_ATTEMPTS = 4


class Disturbed(RuntimeError):
    """
    The certificate does not hold for this value, or a list changed its length during iteration.

    Other containers say so themselves, with a `RuntimeError` too.
    """


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
    Return what `walk` says of `obj`, or 0 if other threads do not let it end.

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
    """Return the same for a value that has disturbed the first run, or may do so."""
    for _ in range(_ATTEMPTS):
        try:
            return walk(obj, ceiling, BY_ID)
        except RecursionError:  # it is the caller's stack that is nearly used up
            raise
        except RuntimeError:  # without the GIL even a copy can be disturbed
            continue
    return 0


class Blocks:
    """What is left of a long container, or of any iterable."""

    __slots__ = ("_container", "_items", "_length")

    def __init__(self, items: Iterable[Any], container: Any = ()) -> None:
        self._items = iter(items)
        self._container = container
        self._length = len(container)

    def __iter__(self) -> Iterator[Any]:
        return self._items

    def take(self) -> list[Any]:
        """Return the next items; none at the end."""
        block = list(islice(self._items, _BLOCK))
        if not block and len(self._container) != self._length:
            raise Disturbed
        return block


def blocks_of(container: Any) -> Blocks:
    """Return the keys and values of a dict, or the items of a list or tuple."""
    if type(container) is dict:
        return Blocks(chain(container, container.values()), container)
    return Blocks(container, container)


def copy_of(container: Any) -> list[Any]:
    """Return the same as a list; each part by one C call, which no other thread disturbs."""
    if type(container) is dict:
        return [*container, *container.values()]
    return [*container]


PLAIN: Final = {  # by id: to look up a class by itself may run the `__hash__` of its metaclass
    id(type(least)): (type(least).__sizeof__, least.__sizeof__())
    for least in (1, 1.0, "", b"")  # no instance of these types is smaller
}
_IN_BLOCK = 1 + max(map(getrefcount, [object()]))
"""References that an object in one slot, and in a block beside it, shows to `map`."""


def is_plain(block: list[Any], kind: type) -> bool:
    """Whether all items are of exactly this type, and certified. No code of theirs runs."""
    return max(map(getrefcount, block)) <= _IN_BLOCK and all(
        map(is_, map(type, block), repeat(kind))
    )


def _references_of_one_slot() -> int:
    counts = [0]
    for x in [object()]:  # the loop of a walk in small
        counts[0] = getrefcount(x)
    return counts[0]


OF_LOOP: Final = _references_of_one_slot() - 1
"""References that the loop itself adds to those of an object."""


def trusted(walk: Walk) -> int:
    """
    Return the references that one slot shows if they can be relied on here, otherwise `BY_ID`.

    Without the GIL they cannot. Elsewhere it is tried: whatever an interpreter does to save
    counting, a leaf that sits in two slots must be found to be one.
    """
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        return BY_ID
    single = _references_of_one_slot()
    wrappings: tuple[Callable[[Any], Any], ...] = (
        lambda leaf: [leaf],
        lambda leaf: (leaf,),
        lambda leaf: {"key": leaf},
        lambda leaf: {leaf: 0},
        lambda leaf: deque([leaf]),
        lambda leaf: [leaf, *map(str, range(SHORT))],
        lambda leaf: [leaf, *map(bytes, range(2, SHORT + 2))],
    )
    for wrap in wrappings:
        leaf = bytes(100)
        twice = [wrap(leaf), wrap(leaf)]
        del leaf
        if walk(twice, math.inf, single) != walk(twice, math.inf, BY_ID):
            return BY_ID
    return single
