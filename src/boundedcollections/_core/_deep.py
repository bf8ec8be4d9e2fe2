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
from collections.abc import Callable, Iterable
from itertools import chain, islice
from sys import getrefcount
from types import ModuleType
from typing import Any, Final

from boundedcollections._core._parts import Readers, take_apart

BY_ID: Final = -1
"""No certificate: every object is remembered by its id, and containers are read from copies."""

_LONG = 64
"""A container with more items than this is taken in blocks."""
_BLOCK = 2048
"""Items in one block: what a walk holds beside the value, and between two looks at the limit."""

_GC_ROUND = sys.getsizeof([]) - [].__sizeof__() + 7
_ONE_DIGIT = 1 << sys.int_info.bits_per_digit

_str_bytes = str.__sizeof__
_int_bytes = int.__sizeof__
_dict_bytes = dict.__sizeof__
_list_bytes = list.__sizeof__
_tuple_bytes = tuple.__sizeof__
_PLAIN = {  # by id: to look up a class by itself may run the `__hash__` of its metaclass
    id(str): _str_bytes,
    id(int): _int_bytes,
    id(float): float.__sizeof__,
    id(bytes): bytes.__sizeof__,
}
_IN_BLOCK = 1 + max(map(getrefcount, [object()]))
"""References that an object in one slot, and in a block beside it, shows to `map`."""
_Found = type(iter([]))
"""What is pending as an iterator over a list was found without a slot; over a tuple, in one."""


class _Changed(RuntimeError):
    """A list changed its length during iteration. Other containers say so by themselves."""


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
            raise _Changed
        return block


def walk(obj: Any, ceiling: float, single: int) -> int:  # noqa: C901, PLR0912, PLR0915  # one loop: a call per object would double its cost
    """
    Return the bytes of `obj` and all that it refers to, or any figure above `ceiling`.

    Args:
        obj: any object.
        ceiling: the sum above which to stop.
        single: `SINGLE` or `BY_ID`.

    Raises:
        RuntimeError: another thread changed a container meanwhile; try `BY_ID`.
    """
    seen: dict[int, Any] = {}  # holds the objects: an id that is in use is not given out again
    readers: Readers = {}
    pending: list[Any] = []  # what is counted itself, but not yet what it contains
    push, pop = pending.append, pending.pop
    short = _LONG if single > 0 else BY_ID
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
                flat, held, found, contents = take_apart(x, readers, patient=single == BY_ID)
                total += flat
                if held:
                    push(iter(held))
                if found:
                    push(iter(found))
                if contents is not None:
                    push(_Blocks(list(contents) if single == BY_ID else contents))
        if len(container) != length:
            raise _Changed
        if total > ceiling or not pending:
            return total
        container = pop()
        kind = type(container)
        if kind is dict or kind is list or kind is tuple:
            length = len(container)
            if length > short:
                push(_blocks_of(container, copied=single == BY_ID))
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
        unique = single + 1  # the tuple, or the block, is a reference more
        if kind is _Blocks:
            items = container.take()
            if items:
                push(container)
                if single > 0 and (plain := _sum_of_plain(items)):
                    total += plain
                    items = ()
        else:
            items = container
            if kind is _Found:
                unique = BY_ID
        container, length = (), 0


def _module_items(module: ModuleType) -> list[Any]:
    return [module, *vars(module), *vars(module).values()]


def _blocks_of(container: Any, *, copied: bool) -> _Blocks:
    if type(container) is dict:
        if copied:  # each list is made by one C call, so no other thread can come between
            return _Blocks([*container, *container.values()])
        return _Blocks(chain(container, container.values()))
    return _Blocks([*container]) if copied else _Blocks(container, container)


def _sum_of_plain(block: list[Any]) -> int:
    """Return the bytes of all items if they are of one plain type and met once; otherwise 0."""
    kind = type(block[0])
    bytes_of = _PLAIN.get(id(kind))
    if bytes_of is None or max(map(getrefcount, block)) > _IN_BLOCK:
        return 0
    try:
        if list(map(type, block)).count(kind) != len(block):
            return 0
        sizes = list(map(bytes_of, block))
    except Exception:  # noqa: BLE001  # a metaclass may have compared, and may claim to be equal
        return 0
    if sizes.count(sizes[0]) == len(sizes):
        return ((sizes[0] + 7) & -8) * len(sizes)
    return sum([(size + 7) & -8 for size in sizes])


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
        lambda leaf: [leaf, *map(str, range(_LONG))],
        lambda leaf: [leaf, *map(bytes, range(_LONG))],
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
