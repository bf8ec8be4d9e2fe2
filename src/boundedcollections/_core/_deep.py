"""
The walk behind `deep_size`: pympler's figure, without recursion, at several times its speed.

Three ideas carry it: the certificate (see `_walking`), which nearly every value of a parsed
document passes; sizes of exact builtin types from ``T.__sizeof__``, at a fraction of the price of
`sys.getsizeof`; and blocks of one plain type, which are summed by C loops.
"""

import sys
from sys import getrefcount
from types import ModuleType
from typing import Any, Final

from boundedcollections._core._classes import GC_HEADER
from boundedcollections._core._parts import Readers, shell, take_apart
from boundedcollections._core._walking import (
    BY_ID,
    PLAIN,
    SHORT,
    Disturbed,
    is_plain,
    keys_of,
    measured,
    take,
    tally,
    trusted,
)

_GC_ROUND = GC_HEADER + 7
_ONE_DIGIT = 1 << sys.int_info.bits_per_digit
_INT_SIZE, _FLOAT_SIZE, _NONE_SIZE, _BOOL_SIZE = (
    (sys.getsizeof(least) + 7) & -8 for least in (1, 1.0, None, True)
)

_str_bytes = str.__sizeof__
_int_bytes = int.__sizeof__
_dict_bytes = dict.__sizeof__
_list_bytes = list.__sizeof__
_tuple_bytes = tuple.__sizeof__


def measure(obj: Any, ceiling: float) -> int:
    """Return the bytes of `obj` and all that it refers to, or any figure above `ceiling`."""
    return measured(walk, SINGLE, obj, ceiling) or estimate(obj)


def estimate(obj: Any) -> int:
    """Return the bytes of an object that counts nothing, or does not stand still."""
    tally.add(estimated=1)
    return shell(obj)


def walk(obj: Any, ceiling: float, single: int) -> int:  # noqa: C901, PLR0912, PLR0915  # one loop: a call per object would double its cost
    """Return the bytes of `obj` and all that it refers to: a `Walk`."""
    seen: dict[int, Any] = {}  # holds the objects: an id that is in use is not given out again
    readers: Readers = {}
    pending: list[Any] = []  # what is counted itself, but not yet what it holds
    push = pending.append
    total = 0
    # pympler counts what a module holds if it is the whole value, but not inside of one
    items: list[Any] = [obj] if type(obj) is not ModuleType else _module_items(obj)
    tables: list[dict[Any, Any]] = []
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
                total += _INT_SIZE if -_ONE_DIGIT < x < _ONE_DIGIT else (_int_bytes(x) + 7) & -8
            elif kind is dict:
                total += (_dict_bytes(x) + _GC_ROUND) & -8
                push(x)
            elif kind is list:
                total += (_list_bytes(x) + _GC_ROUND) & -8
                push(x)
            elif kind is float:
                total += _FLOAT_SIZE
            elif kind is tuple:
                total += (_tuple_bytes(x) + _GC_ROUND) & -8
                push(x)
            elif x is None:
                total += _NONE_SIZE
            elif kind is bool:
                total += _BOOL_SIZE
            else:
                flat, objects, direct = take_apart(x, readers, single == BY_ID)
                if not direct and single != BY_ID:
                    raise Disturbed
                total += flat
                if objects:
                    push(objects)
                objects = ()  # or this name would hold them once more
        items = []
        unique = single
        if tables:
            for key in keys_of(tables):  # mostly shared, so by id at once
                i = id(key)
                if i not in seen:
                    if type(key) is str:
                        seen[i] = key
                        total += (_str_bytes(key) + 7) & -8
                    else:
                        items.append(key)
            tables = []
            if items:
                continue
        if total > ceiling or not pending:
            return total
        items, tables, _ = take(pending)
        if single > 0 and len(items) > SHORT and (plain := _sum_of_plain(items)):
            total += plain
            items = []


def _module_items(module: ModuleType) -> list[Any]:
    return [module, *vars(module), *vars(module).values()]


def _sum_of_plain(block: list[Any]) -> int:
    """Return the bytes of all items if they are of one plain type and met once; otherwise 0."""
    kind = type(block[0])
    bytes_of, least = PLAIN.get(id(kind), (None, 0))
    if bytes_of is None or not is_plain(block, kind):
        return 0
    total = sum(map(bytes_of, block))
    if total == least * len(block):  # as for floats, and integers of one digit
        return ((least + 7) & -8) * len(block)
    return sum([(size + 7) & -8 for size in map(bytes_of, block)])


SINGLE: Final = trusted(walk)
