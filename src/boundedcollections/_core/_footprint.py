"""
The walk behind `footprint`: what the allocator spends on a value.

It asks the layout of objects, not the objects: no code of a user runs, and no ``__dict__`` is
built. What an object refers to is what the garbage collector sees.
"""

import enum
import io
import math
import struct
import sys
import types
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from gc import get_referents
from itertools import repeat
from sys import getrefcount
from typing import Any, Final

from boundedcollections._core._classes import (
    GC,
    GC_HEADER,
    HEAP_TYPE,
    INLINE_VALUES,
    MANAGED_DICT,
    MANAGED_WEAKREF,
    ClassCache,
    flags_of,
    mro_of,
    namespace_of,
    numpy_array_in,
)
from boundedcollections._core._walking import (
    BY_ID,
    OF_LOOP,
    PLAIN,
    SHORT,
    Rest,
    is_plain,
    keys_of,
    measured,
    take,
    trusted,
)
from boundedcollections._core.tables import allocated

_POINTER = struct.calcsize("P")

# ── one object ──────────────────────────────────────────────────────────────────────────────

Opened = tuple[int, list[Any]]
"""What is spent on one object itself, and what it refers to, which the list holds once more."""

Opener = Callable[[Any], Opened]
Openers = dict[int, tuple[Opener, type]]

_CODE = (
    *(type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.MethodType),
    *(types.CodeType, types.MethodDescriptorType, types.WrapperDescriptorType),
    enum.Enum,  # its members, which belong to the class
)
_ITEMS = frozenset(map(id, (set, frozenset, deque)))
_MAPPINGS = frozenset(map(id, (OrderedDict, defaultdict, Counter)))

_basicsize_of: Callable[[type], int] = type.__dict__["__basicsize__"].__get__
_itemsize_of: Callable[[type], int] = type.__dict__["__itemsize__"].__get__
_deque_block = deque().__sizeof__() - _basicsize_of(deque)


def _make_opener(kind: type) -> Opener:  # noqa: PLR0911  # one line for each sort of type
    if issubclass(kind, _CODE):
        return lambda _obj: (0, [])
    spent = _make_spent(kind)
    if id(kind) in _ITEMS:
        return lambda obj: (spent(obj), [*obj])
    if id(kind) in _MAPPINGS:
        return lambda obj: (spent(obj), [*dict.keys(obj), *dict.values(obj)])
    if issubclass(kind, dict):  # the collector does not see its keys if all of them are str
        return lambda obj: (spent(obj), [*get_referents(obj), *dict.keys(obj)])
    if array := numpy_array_in(kind):
        own = [namespace_of(array).get(name) for name in ("base", "dtype", "flat")]
        if all(type(descriptor) is types.GetSetDescriptorType for descriptor in own):
            return _array_opener(own, spent)
    if _has_values(kind):
        return _instance_opener(kind)
    return lambda obj: (spent(obj), get_referents(obj))


_opener_of = ClassCache(_make_opener)


def _make_spent(kind: type) -> Callable[[Any], int]:
    """Return what tells the bytes of one instance, in one block or in two."""
    sizeof = _sizeof_of(kind)
    basic = _basicsize_of(kind)
    head = basic + _pre_header(kind)
    if itemsize := _itemsize_of(kind):  # the items follow in the same block
        sentinel = itemsize if flags_of(kind) & HEAP_TYPE else 0  # a subclass has room for one more
        return lambda obj: allocated(sizeof(obj) + head - basic + sentinel)
    if issubclass(kind, deque):
        return lambda obj: (
            allocated(head) + (sizeof(obj) - basic) // _deque_block * allocated(_deque_block)
        )

    def spent(obj: Any) -> int:
        beside = sizeof(obj) - basic
        return allocated(head) + (allocated(beside) if beside > 0 else 0)

    return spent


def _sizeof_of(kind: type) -> Callable[[Any], int]:
    """Return the innermost ``__sizeof__`` that is not the code of a user."""
    if issubclass(kind, io.BytesIO) and _BUFFER_IS_SEEN:
        return object.__sizeof__
    found = ((base, namespace_of(base).get("__sizeof__")) for base in mro_of(kind))
    return next(  # at the latest that of `object`
        sizeof
        for base, sizeof in found
        if type(sizeof) is types.MethodDescriptorType and sizeof.__objclass__ is base
    )


_BUFFER_IS_SEEN = bool(get_referents(io.BytesIO(b"a buffer")))
"""From 3.12 on the collector sees the buffer, which its size counts too."""


def _pre_header(kind: type) -> int:
    """Return the bytes in front of an instance, in the same block."""
    flags = flags_of(kind)
    pointers = 2 * _POINTER if flags & (MANAGED_DICT | MANAGED_WEAKREF) else 0
    return pointers + (GC_HEADER if flags & GC else 0)


_A_DICT_AND_THE_CLASS = 2
_PLACES = 31  # CPython keeps 30 attributes in values at most


def _has_values(kind: type) -> bool:
    """Whether instances keep their attributes in an array of values at first."""
    made_by_classes = all(flags_of(base) & HEAP_TYPE for base in mro_of(kind)[:-1])
    return bool(flags_of(kind) & MANAGED_DICT) and made_by_classes


def _instance_opener(kind: type) -> Opener:
    head = _basicsize_of(kind) + _pre_header(kind)
    spaces = map(namespace_of, mro_of(kind))
    slots = sum(type(v) is types.MemberDescriptorType for space in spaces for v in space.values())
    inline = bool(flags_of(kind) & INLINE_VALUES)
    spent_on = [_instance_spent(head, places, inline=inline) for places in range(_PLACES + 1)]

    def open_up(obj: Any) -> Opened:
        referents = get_referents(obj)
        # The values have one place more than there are attributes; the class makes up for it.
        places = min(max(len(referents) - slots, 1), _PLACES)
        if slots and places <= _A_DICT_AND_THE_CLASS and any(type(r) is dict for r in referents):
            return allocated(head), referents  # a dict has taken the place of the values
        return spent_on[places], referents

    return open_up


def _instance_spent(head: int, places: int, *, inline: bool) -> int:
    order = (places + (0 if inline else 2) + 7) & -8  # a byte for each: the order of insertion
    if inline:
        return allocated(head + order + (places + 1) * _POINTER)
    return allocated(head) + allocated(order + places * _POINTER)


def _array_opener(own: list[Any], spent: Callable[[Any], int]) -> Opener:
    base_of, dtype_of, items_of = (descriptor.__get__ for descriptor in own)

    def open_up(obj: Any) -> Opened:
        items = items_of(obj) if dtype_of(obj).kind == "O" else ()
        return spent(obj), [base_of(obj), *get_referents(obj), *items]

    return open_up


def open_up(obj: Any, openers: Openers) -> Opened:
    """
    Return what is spent on `obj` itself, and what it leads to.

    Args:
        obj: any object.
        openers: of the classes that this walk has met; one dict for the whole walk.
    """
    kind = type(obj)
    key = id(kind)
    if key not in openers:
        openers[key] = (_opener_of(kind), kind)  # the class too: its id stays its own
    return openers[key][0](obj)


# ── the walk ────────────────────────────────────────────────────────────────────────────────

_WIDELY = 7
"""A str with more references than this is divided among them."""

_OF_LOOP_AND_COPY = OF_LOOP + 1
_WIDELY_IN_SLOTS = _OF_LOOP_AND_COPY + _WIDELY

# What exists in every process anyway. Whatever keeps it is a reference more, so it is never
# certified, and found here.
_ALL_BYTES = bytes(range(256))
FREE = (
    *(None, True, False, ..., NotImplemented, "", b"", ()),
    *range(-5, 257),
    *map(chr, range(256)),
    *(_ALL_BYTES[i : i + 1] for i in range(256)),
)
_FREE = frozenset(map(id, FREE))

_SMALL = 512
"""Up to here blocks are those of Python's own allocator, without a header."""

_ONE_DIGIT = 1 << sys.int_info.bits_per_digit
_INT_SPENT = allocated((1).__sizeof__())
_FLOAT_SPENT = allocated((1.0).__sizeof__())
_DICT_BASIC = dict.__basicsize__
_LIST_BASIC = list.__basicsize__
_DICT_HEAD = allocated(_DICT_BASIC + GC_HEADER)
_LIST_HEAD = allocated(_LIST_BASIC + GC_HEADER)

_str_bytes = str.__sizeof__
_int_bytes = int.__sizeof__
_dict_bytes = dict.__sizeof__
_list_bytes = list.__sizeof__
_tuple_bytes = tuple.__sizeof__


def measure(obj: Any, ceiling: float) -> int:
    """Return what is spent on `obj` and all it refers to, or any figure above `ceiling`."""
    return measured(walk, SINGLE, obj, ceiling) or estimate(obj)


def estimate(obj: Any) -> int:
    """Return what is spent on an object that exists anyway, or does not stand still."""
    kind = type(obj)
    return allocated(_sizeof_of(kind)(obj) + _pre_header(kind))


def walk(obj: Any, ceiling: float, single: int) -> int:  # noqa: C901, PLR0912, PLR0915  # one loop: a call per object would double its cost
    """Return what is spent on `obj` and all it refers to: a `Walk`."""
    seen: dict[int, Any] = {}  # holds the objects: an id that is in use is not given out again
    openers: Openers = {}
    pending: list[Any] = []  # what is counted itself, but not yet what it holds
    push = pending.append
    total = 0
    shares = 0.0
    counts: Counter[int] | None = None
    rest: Rest | None = None
    items = [obj]
    tables: list[dict[Any, Any]] = []
    unique = BY_ID  # an object with more references than this may be met again
    widely: float = math.inf  # a str with more references is divided; not so the value itself
    while True:
        for x in items:
            references = getrefcount(x)
            if references > unique:
                i = id(x)
                if references > widely and type(x) is str and i not in _FREE:
                    if counts is None:
                        counts = rest.counts(items) if rest else Counter(map(id, items))
                    times = counts.pop(i, 0)
                    others = references - OF_LOOP - times
                    if others > _WIDELY + (i in seen):  # which is a reference
                        shares += times * _str_bytes(x) / others
                        continue
                if i in seen or i in _FREE:
                    continue
                seen[i] = x
            kind = type(x)
            if kind is str:
                size = _str_bytes(x)
                total += (size + 15) & -16 if size <= _SMALL else (size + 23) & -16
            elif kind is int:
                total += _INT_SPENT if -_ONE_DIGIT < x < _ONE_DIGIT else allocated(_int_bytes(x))
            elif kind is dict:
                size = _dict_bytes(x) - _DICT_BASIC
                total += _DICT_HEAD + ((size + 15) & -16 if size <= _SMALL else (size + 23) & -16)
                push(x)
            elif kind is list:
                size = _list_bytes(x) - _LIST_BASIC
                total += _LIST_HEAD + ((size + 15) & -16 if size <= _SMALL else (size + 23) & -16)
                push(x)
            elif kind is float:
                total += _FLOAT_SPENT
            elif kind is tuple:
                total += allocated(_tuple_bytes(x) + GC_HEADER)
                push(x)
            else:
                spent, objects = open_up(x, openers)
                total += spent
                if objects:
                    push(objects)
                objects = []  # or this name would hold them once more
        items = []
        unique = single
        widely = _WIDELY_IN_SLOTS
        counts = None
        if tables:
            x = None  # or this name would hold a str once more
            spent, share = _spent_on_keys(keys_of(tables), seen, items)
            total += spent
            shares += share
            tables = []
            if items:
                continue
        if total > ceiling or not pending:
            return int(total + shares)
        items, tables, rest = take(pending)
        if single > 0 and len(items) > SHORT and (plain := _sum_of_plain(items)):
            total += plain
            items = []


def _spent_on_keys(keys: list[Any], seen: dict[int, Any], others: list[Any]) -> tuple[int, float]:
    """Return what is spent on keys that are str, and shares of them; the rest joins `others`."""
    ids = [*map(id, keys)]
    distinct = dict(zip(ids, keys, strict=True))
    keys.clear()  # each is left with one reference of ours
    total = 0
    shares: dict[int, float] = {}
    for key in distinct.values():
        if type(key) is not str:
            others.append(key)
            continue
        i = id(key)
        size = _str_bytes(key)
        references = getrefcount(key) - _OF_LOOP_AND_COPY
        if references > _WIDELY and references > _WIDELY + (i in seen):
            shares[i] = size / references
        elif i not in seen and i not in _FREE:
            seen[i] = key
            total += (size + 15) & -16 if size <= _SMALL else (size + 23) & -16
    return total, sum(map(shares.get, ids, repeat(0.0))) if shares else 0.0


def _sum_of_plain(block: list[Any]) -> int:
    """Return what is spent on all items if they are of one plain type and met once; otherwise 0."""
    kind = type(block[0])
    bytes_of, least = PLAIN.get(id(kind), (None, 0))
    if bytes_of is None or not is_plain(block, kind):
        return 0
    if sum(map(bytes_of, block)) == least * len(block):
        return allocated(least) * len(block)
    sizes = map(bytes_of, block)
    return sum([(size + 15) & -16 if size <= _SMALL else (size + 23) & -16 for size in sizes])


SINGLE: Final = trusted(walk)
