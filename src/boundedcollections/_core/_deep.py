"""
The walk behind `deep_size`: pympler's figure, without recursion, at several times its speed.

Three ideas carry it. **The refcount certificate**: an object whose only references are the slot
it was just read from and those of the loop itself cannot be met a second time, so it needs no
entry among the objects seen; nearly every value of a parsed document is like that. **Sizes of
exact builtin types** come from ``T.__sizeof__``, at a fraction of the price of `sys.getsizeof`.
**Long containers** are taken in blocks, and a block of one plain type is summed by C loops.
"""

import math
import sys
import sysconfig
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice, repeat
from operator import is_
from sys import getrefcount
from types import ModuleType
from typing import Any, Final

from boundedcollections._core._parts import SHORT, Readers, shell, take_apart, tally

BY_ID: Final = -1
"""No certificate: every object is remembered by its id, and containers are read from copies."""

_BLOCK = 2048
"""Items in one block: what a walk holds beside the value, and between two looks at the limit."""

_ATTEMPTS = 4
"""How often a value that other threads keep changing is measured before it is estimated."""

_GC_ROUND = sys.getsizeof([]) - [].__sizeof__() + 7
_ONE_DIGIT = 1 << sys.int_info.bits_per_digit

_str_bytes = str.__sizeof__
_int_bytes = int.__sizeof__
_dict_bytes = dict.__sizeof__
_list_bytes = list.__sizeof__
_tuple_bytes = tuple.__sizeof__
_PLAIN = {  # by id: to look up a class by itself may run the `__hash__` of its metaclass
    id(type(least)): (type(least).__sizeof__, least.__sizeof__())
    for least in (1, 1.0, "", b"")  # no instance of these types is smaller
}
_IN_BLOCK = 1 + max(map(getrefcount, [object()]))
"""References that an object in one slot, and in a block beside it, shows to `map`."""


class _Disturbed(RuntimeError):
    """
    The certificate does not hold for this value, or a list changed its length during iteration.

    Other containers say so themselves, with a `RuntimeError` too.
    """


class _Blocks:
    """What is left of a long container."""

    __slots__ = ("_container", "_items", "_length")

    def __init__(self, items: Iterable[Any], container: Any = ()) -> None:
        self._items = iter(items)
        self._container = container
        self._length = len(container)

    def take(self) -> list[Any]:
        """Return the next items; none at the end."""
        block = list(islice(self._items, _BLOCK))
        if not block and len(self._container) != self._length:
            raise _Disturbed
        return block


def measure(obj: Any, ceiling: float) -> int:
    """Return the bytes of `obj` and all that it refers to, or any figure above `ceiling`."""
    try:
        total = walk(obj, ceiling, SINGLE)
    except RuntimeError:
        total = _walk_copies(obj, ceiling)
    if total > 0:
        return total
    tally.add(estimated=1)
    return shell(obj)


def _walk_copies(obj: Any, ceiling: float) -> int:
    """Return the bytes of a value by its ids, or 0 if other threads do not let that end."""
    for _ in range(_ATTEMPTS):
        try:
            return walk(obj, ceiling, BY_ID)
        except RecursionError:  # it is the caller's stack that is nearly used up
            raise
        except RuntimeError:  # without the GIL even a copy can be disturbed
            continue
    return 0


def walk(obj: Any, ceiling: float, single: int) -> int:  # noqa: C901, PLR0912, PLR0915  # one loop: a call per object would double its cost
    """
    Return the bytes of `obj` and all that it refers to, or any figure above `ceiling`.

    Args:
        obj: any object.
        ceiling: the sum above which to stop.
        single: `SINGLE` or `BY_ID`.

    Raises:
        RuntimeError: another thread changed a container meanwhile, or the value holds something
            that the certificate does not cover (`Parts`); try `BY_ID`.
    """
    seen: dict[int, Any] = {}  # holds the objects: an id that is in use is not given out again
    readers: Readers = {}
    pending: list[Any] = []  # what is counted itself, but not yet what it contains
    push, pop = pending.append, pending.pop
    total = length = 0
    container: Any = ()
    # pympler counts what a module holds if it is the whole value, but not inside of one
    items: Iterable[Any] = (obj,) if type(obj) is not ModuleType else _module_items(obj)
    unique = BY_ID  # an object with more references than this may be met again
    while True:
        for x in items:
            if getrefcount(x) > unique:
                i = id(x)
                if i in seen:
                    continue
                seen[i] = x
            kind = type(x)
            if kind is str:
                total += (_str_bytes(x) + 7) & -8
            elif kind is int:
                total += 32 if -_ONE_DIGIT < x < _ONE_DIGIT else (_int_bytes(x) + 7) & -8
            elif kind is dict:
                total += (_dict_bytes(x) + _GC_ROUND) & -8
                push(x)
            elif kind is list:
                total += (_list_bytes(x) + _GC_ROUND) & -8
                push(x)
            elif kind is float:
                total += 24
            elif kind is tuple:
                total += (_tuple_bytes(x) + _GC_ROUND) & -8
                push(x)
            elif x is None:
                total += 16
            elif kind is bool:
                total += 32
            else:
                flat, held, contents, direct = take_apart(x, readers, patient=single == BY_ID)
                if not direct and single != BY_ID:
                    raise _Disturbed
                total += flat
                if held:
                    push(iter(held))
                if contents is not None:
                    push(_Blocks(list(contents) if single == BY_ID else contents))
        if len(container) != length:
            raise _Disturbed
        if total > ceiling or not pending:
            return total
        container = pop()
        kind = type(container)
        if kind is dict or kind is list or kind is tuple:
            if single == BY_ID:
                items = _copy(container)
                container = ()
                continue
            length = len(container)
            if length > SHORT:
                push(_Blocks(_iterator(container), container))
                items = ()
                continue
            unique = single
            if kind is not dict:
                items = container
                continue
            items = container.values()
            for key in container:  # mostly shared, so by id at once
                i = id(key)
                if i not in seen:
                    if type(key) is str:
                        seen[i] = key
                        total += (_str_bytes(key) + 7) & -8
                    else:
                        push(iter((key,)))
            continue
        if kind is _Blocks:
            items = container.take()
            if items:
                push(container)
                if single > 0 and (plain := _sum_of_plain(items)):
                    total += plain
                    items = ()
        else:
            items = container
        unique = single + 1 if single > 0 else BY_ID  # the tuple, or the block, is one more
        container, length = (), 0


def _module_items(module: ModuleType) -> list[Any]:
    return [module, *vars(module), *vars(module).values()]


def _iterator(container: Any) -> Iterator[Any]:
    if type(container) is dict:
        return chain(container, container.values())
    return iter(container)


def _copy(container: Any) -> list[Any]:
    """Return what a container holds; each part by one C call, which no other thread disturbs."""
    if type(container) is dict:
        return [*container, *container.values()]
    return [*container]


def _sum_of_plain(block: list[Any]) -> int:
    """Return the bytes of all items if they are of one plain type and met once; otherwise 0."""
    kind = type(block[0])
    bytes_of, least = _PLAIN.get(id(kind), (None, 0))
    if bytes_of is None or max(map(getrefcount, block)) > _IN_BLOCK:
        return 0
    if not all(map(is_, map(type, block), repeat(kind))):
        return 0
    total = sum(map(bytes_of, block))
    if total == least * len(block):  # as for floats, and integers of one digit
        return ((least + 7) & -8) * len(block)
    return sum([(size + 7) & -8 for size in map(bytes_of, block)])


def _references_of_one_slot() -> int:
    """Return what `getrefcount` shows, in a loop like that of `walk`, of an object in one slot."""
    counts = [0]
    for x in [object()]:
        counts[0] = getrefcount(x)
    return counts[0]


def _trusted(single: int) -> int:
    """
    Return `single` if reference counts can be relied on here, and `BY_ID` otherwise.

    Without the GIL they cannot. Elsewhere it is tried: whatever an interpreter does to save
    counting, a leaf that sits in two slots must be found to be one.
    """
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        return BY_ID
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


SINGLE: Final = _trusted(_references_of_one_slot())
"""References that an object in one slot shows to `getrefcount` in the loop of `walk`."""
