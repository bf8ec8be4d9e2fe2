"""
What one object consists of, as Pympler 1.1 sees it: its own bytes and what it refers to.

How an instance is read is worked out once per class and remembered weakly. A type that has no
rule here is asked of pympler, one object at a time, so that neither its recursion nor its depth
limit, its warnings or its process-wide tables touch the rest of a value.
"""

import array
import decimal
import os
import struct
import types
import weakref
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, time, timedelta, timezone
from gc import get_referents
from itertools import chain
from operator import attrgetter
from sys import getsizeof
from typing import Any

from boundedcollections._core._classes import (
    HEAP_TYPE,
    MISSING,
    ClassCache,
    flags_of,
    lookup,
    mro_of,
    numpy_array_in,
)
from boundedcollections._core._walking import tally

Parts = tuple[int, Sequence[Any], bool]
"""
One object taken apart:

- its own bytes, in multiples of 8;
- the objects that it refers to, which this list or tuple holds once more; what is in a container
  has been taken by one C call, in which no other thread has a turn;
- whether each of these sits in a slot of its own. What the code of its class returned may sit in
  one slot, elsewhere, and be met there again; then a count of references proves nothing.
"""

Reader = Callable[[Any], Parts]
Readers = dict[int, tuple[Reader, type]]


def take_apart(obj: Any, readers: Readers, patient: bool) -> Parts:
    """
    Return the parts of `obj`, whatever the code of its class does meanwhile.

    Args:
        obj: any object.
        readers: of the classes that this walk has met; one dict for the whole walk.
        patient: whether to estimate an object whose code raises.

    Raises:
        RuntimeError: not with `patient`. The caller tries again, patiently.
    """
    kind = type(obj)
    key = id(kind)
    try:
        rule = _RULES.get(key)
        if rule is None:
            if key not in readers:
                readers[key] = (_readers(kind), kind)  # the class too: its id stays its own
            rule = readers[key][0]
        return rule(obj)
    except Exception as error:  # a user's code may raise anything
        if not patient:
            raise RuntimeError(f"an instance of {kind!r} cannot be read") from error
    tally.add(estimated=1)
    return shell(obj), get_referents(obj), False


def _ask_pympler(obj: Any) -> Parts:
    from pympler import asizeof  # noqa: PLC0415  # it imports numpy where there is one

    tally.add(asked=1)
    flat = asizeof.flatsize(obj, align=8)
    if isinstance(obj, types.ModuleType):
        return flat, (), True
    referents = tuple(asizeof.refs(obj) or ())
    return flat, referents, all(referent is None for referent in referents)


def shell(obj: Any) -> int:
    """Return the bytes of `obj` alone, at least 8, whatever its ``__sizeof__`` says or raises."""
    try:
        size = getsizeof(obj)
    except Exception:  # noqa: BLE001  # a user's code may raise anything
        size = 0
    return _aligned(size or object.__sizeof__(obj))


def _aligned(size: int) -> int:
    return (size + 7) & -8


# ── builtin types, by exact type ────────────────────────────────────────────────────────────


def _leaf(obj: Any) -> Parts:
    return (getsizeof(obj) + 7) & -8, (), True


def _nothing(_obj: Any) -> Parts:
    return 0, (), True


def _items(obj: Iterable[Any]) -> Parts:
    return (getsizeof(obj) + 7) & -8, [*obj], True


def _keys_and_values(obj: dict[Any, Any]) -> Parts:
    # by dict's own iterators, from their first item on: those of an OrderedDict would hash its keys
    return (getsizeof(obj) + 7) & -8, [*dict.keys(obj), *dict.values(obj)], True


def _pairs(obj: Any) -> Parts:
    return _aligned(getsizeof(obj)), [*chain.from_iterable(obj.items())], False


def _buffer(obj: memoryview) -> Parts:
    return _aligned(getsizeof(obj)), (obj.obj,), False  # one reference serves many views


_BY_RULE: dict[Reader, tuple[type, ...]] = {
    _leaf: (
        *(int, float, complex, bool, type(None), str, bytes, bytearray, array.array, range, slice),
        *(type(...), type(NotImplemented), decimal.Decimal),
        *(datetime, date, time, timedelta, timezone),
    ),
    _nothing: (
        *(object, type, super, classmethod, staticmethod, types.FunctionType, types.MethodType),
        *(types.BuiltinFunctionType, types.CodeType, types.FrameType, weakref.CallableProxyType),
    ),
    _items: (list, tuple, set, frozenset, deque),
    _keys_and_values: (dict, OrderedDict, defaultdict, Counter),
    _pairs: (types.MappingProxyType, weakref.WeakKeyDictionary, weakref.WeakValueDictionary),
    _buffer: (memoryview,),
}
LEAVES = _BY_RULE[_leaf]
"""Types whose instances refer to nothing that is counted."""

# By id, because to look up a class by itself may run the `__hash__` of its metaclass.
_RULES = {id(kind): rule for rule, kinds in _BY_RULE.items() for kind in kinds}


# ── classes ─────────────────────────────────────────────────────────────────────────────────

_CONTAINERS = (list, tuple, set, frozenset, deque)

# What looks attributes up in the ordinary way; builtin types have one each.
_GENERIC_LOOKUPS = frozenset(
    id(vars(kind).get("__getattribute__"))
    for kind in (object, *_BY_RULE[_leaf], *_BY_RULE[_items])
    if "__getattribute__" in vars(kind)
)

# Classes, not builtin types, that pympler has rules for.
_PYMPLERS_OWN = frozenset(
    map(id, (weakref.KeyedRef, struct.Struct, os.stat_result, getattr(os, "statvfs_result", None)))
)


def _make_reader(kind: type) -> Reader:
    if issubclass(kind, type):
        return _nothing
    if issubclass(kind, dict):
        return _keys_and_values
    if numpy_array_in(kind):
        return _numpy_array
    names = _slot_names(kind) if _is_plain(kind) else None
    if names is None:
        return _ask_pympler
    container = next((c for c in _CONTAINERS if issubclass(kind, c)), None)
    is_named_tuple = (
        container is tuple
        and lookup(kind, "_fields") is not MISSING
        and lookup(kind, "__call__") is MISSING
    )
    held = ["__dict__"] if lookup(kind, "__dict__") is not MISSING and not is_named_tuple else []
    if lookup(kind, "__getattr__") is MISSING:
        return _instance_reader([*held, *names], [], container)
    return _instance_reader(held, names, container)


def _is_plain(kind: type) -> bool:
    """Whether an instance is what its ``__dict__`` and ``__slots__`` hold, for pympler too."""
    return (
        bool(flags_of(kind) & HEAP_TYPE)
        and id(kind) not in _PYMPLERS_OWN
        and not issubclass(kind, (BaseException, types.ModuleType, array.array))
        and not str(lookup(kind, "__module__")).startswith("numpy")
        and id(lookup(kind, "__getattribute__")) in _GENERIC_LOOKUPS
        and lookup(kind, "__class__") is object.__dict__["__class__"]
        and type(lookup(kind, "__dict__")) in (types.GetSetDescriptorType, object)
    )


def _slot_names(kind: type) -> list[str] | None:
    """
    Return the names that pympler reads for the ``__slots__`` of `kind`.

    It mangles names in its own way: it finds the private slots of ``A``, but not those of ``_A``,
    and none that also end with two underscores. Where a name leads to code, return None.
    """
    names = dict.fromkeys(
        f"_{base.__name__}{name}" if name.startswith("__") else name
        for base in mro_of(kind)
        for name in lookup(base, "__slots__", ())
    )
    if lookup(kind, "__getattr__") is not MISSING:  # asked for every name, even for `__slots__`
        return list(names) if lookup(kind, "__slots__") is not MISSING else None
    places = {name: place for name in names if (place := lookup(kind, name)) is not MISSING}
    if all(type(place) is types.MemberDescriptorType for place in places.values()):
        return list(places)
    return None


_ALL = slice(None)


def _instance_reader(held: list[str], asked: list[str], container: Any) -> Reader:
    """
    Return the reader of instances of a class.

    Args:
        held: names of what sits in slots of the instance.
        asked: names that its class may answer with code.
        container: the builtin container that it is a subclass of, or None.
    """
    attributes = _attributes_reader(held)
    if not asked and container is None:
        if held == ["__dict__"]:
            return lambda obj: ((getsizeof(obj) + 7) & -8, (obj.__dict__,), True)
        return lambda obj: ((getsizeof(obj) + 7) & -8, attributes(obj), True)
    contents = _contents_reader(container)
    if not asked and not held:
        return lambda obj: ((getsizeof(obj) + 7) & -8, [*contents(obj)], True)

    def read(obj: Any) -> Parts:
        answers = _answers(obj, asked)
        return _aligned(getsizeof(obj)), [*attributes(obj), *answers, *contents(obj)], not answers

    return read


def _contents_reader(container: Any) -> Callable[[Any], Iterable[Any]]:
    """Return what gives the items as one call has copied them, or will when they are asked for."""
    # by the builtin type: a subclass may show other things than it holds
    if container is None:
        return lambda _obj: ()
    if container in (list, tuple):
        copy = container.__getitem__
        return lambda obj: copy(obj, _ALL)
    iterate = container.__iter__
    return lambda obj: chain.from_iterable(map(iterate, (obj,)))


def _answers(obj: Any, names: list[str]) -> list[Any]:
    values = (getattr(obj, name, MISSING) for name in names)
    return [value for value in values if value is not MISSING]


def _attributes_reader(names: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    if not names:
        return lambda _obj: ()
    # two names at least, or attrgetter gives no tuple; a class counts nothing
    all_set = attrgetter(*names, "__class__")

    def read(obj: Any) -> tuple[Any, ...]:
        try:
            return all_set(obj)
        except AttributeError:  # a slot is empty
            return tuple(_answers(obj, names))

    return read


_readers = ClassCache(_make_reader)


def _numpy_array(obj: Any) -> Parts:
    # getsizeof counts the data of the array that owns them; a view shows what it looks into
    own = (obj.base, obj.__dict__) if hasattr(obj, "__dict__") else (obj.base,)
    contents = obj.flat if obj.dtype.kind == "O" else ()
    return _aligned(getsizeof(obj)), [*own, *contents], True
