"""What a class really is, without running any code of it; and what to remember about it."""

import sys
import weakref
from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")

HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE: made at run time, as a class statement does
GC = 1 << 14  # Py_TPFLAGS_HAVE_GC: instances have the header of the garbage collector
INLINE_VALUES = 1 << 2  # Py_TPFLAGS_INLINE_VALUES: from 3.13 on; they are part of the instance
MANAGED_DICT = 1 << 4  # Py_TPFLAGS_MANAGED_DICT: attributes are kept without a dict at first
MANAGED_WEAKREF = 1 << 3  # Py_TPFLAGS_MANAGED_WEAKREF: from 3.12 on

GC_HEADER = sys.getsizeof([]) - [].__sizeof__()
"""Bytes in front of an object that the garbage collector tracks; `__sizeof__` leaves them out."""

MISSING: Any = object()

# By the descriptors of `type`, past any metaclass that says otherwise.
mro_of: Callable[[type], tuple[type, ...]] = type.__dict__["__mro__"].__get__
namespace_of: Callable[[type], dict[str, Any]] = type.__dict__["__dict__"].__get__
flags_of: Callable[[type], int] = type.__dict__["__flags__"].__get__


def lookup(kind: type, name: str, default: Any = MISSING) -> Any:
    """
    Return what a class has under `name`, as it was put there.

    >>> lookup(dict, "get")
    <method 'get' of 'dict' objects>
    >>> lookup(dict, "set", "nothing")
    'nothing'
    """
    return next(
        (space[name] for base in mro_of(kind) if name in (space := namespace_of(base))), default
    )


def numpy_array_in(kind: type) -> type | None:
    """Return numpy's array class if `kind` is it or derives from it; numpy is not imported."""
    name = "<class 'numpy.ndarray'>"
    return next((base for base in mro_of(kind) if type.__repr__(base) == name), None)


class ClassCache(Generic[T]):
    """
    Something worked out once per class, forgotten with the class, and anew when it has changed.

    Args:
        make: called with a class; what it returns must not hold a reference to the class.
    """

    __slots__ = ("_entries", "_make")

    def __init__(self, make: Callable[[type], T]) -> None:
        self._make = make
        # By id, because to look a class up by itself may run the `__hash__` of its metaclass.
        self._entries: dict[int, tuple[tuple[int, ...], T, weakref.ref[type]]] = {}

    def __call__(self, kind: type) -> T:
        """Return what was made of `kind`."""
        key = id(kind)
        stamp = _stamp(kind)
        entry = self._entries.get(key)
        if entry is None or entry[0] != stamp:
            pop = self._entries.pop
            gone = weakref.ref(kind, lambda _: pop(key, None))
            entry = self._entries[key] = (stamp, self._make(kind), gone)
        return entry[1]

    def __contains__(self, key: object) -> bool:
        """Whether something is remembered about the class with this id."""
        return key in self._entries


def _stamp(kind: type) -> tuple[int, ...]:
    """Return numbers that change when `kind` gets other bases, or a name more or less."""
    mro = mro_of(kind)[:-1]  # without `object`
    return (*map(id, mro), *map(len, map(namespace_of, mro)))
