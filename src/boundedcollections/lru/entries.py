"""One key with its value, and what the cache itself spends on it."""

import sys
from typing import Any, Final, Generic, TypeVar

from boundedcollections._core.tables import ORDER_NODE_BYTES, allocated
from boundedcollections._core.units import measured_size, positive_int

K = TypeVar("K")
V = TypeVar("V")

GONE: Final = object()
"""Stands for a value where there is none; None is a value."""


class Entry(Generic[K, V]):
    """
    One key with its value. It has no ``__eq__`` and no ``__hash__`` of its own on purpose.

    The order of use is keyed by entries, so that no code of a user's key can run inside it: a
    Python ``__eq__`` within ``OrderedDict.move_to_end`` can free what it is looking at.

    Attributes:
        key: as it was first written.
        value: what it was last given.
        size: bytes, what the cache spends included; negative as soon as the entry has left.
        deadline: when it expires, by the clock of the cache, or None.
    """

    __slots__ = ("deadline", "key", "size", "value")

    def __init__(self, key: K, value: V, size: int, deadline: float | None = None) -> None:
        self.key = key
        self.value = value
        self.size = size
        self.deadline = deadline

    def __lt__(self, other: "Entry[Any, Any]") -> bool:
        """Order those that expire at the same moment, anyhow but always alike."""
        return id(self) < id(other)

    def told(self) -> tuple[K, V]:
        """Return what a listener is told, but for the cause."""
        return self.key, self.value


ENTRY_BYTES: Final = allocated(sys.getsizeof(Entry(None, None, 0))) + ORDER_NODE_BYTES
"""What an entry costs beside its key and its value: itself and its node in the order of use."""
LARGEST_SHARED_INT: Final = 256
INT_BYTES: Final = allocated(sys.getsizeof(1 << 20))
"""What it costs to remember a size, unless it is an int that CPython has anyway."""
DEADLINE_BYTES: Final = (
    allocated(sys.getsizeof(1.5))
    + allocated(sys.getsizeof((1.5, None)))
    + 2 * (sys.getsizeof([None]) - sys.getsizeof([]))  # lists are up to half empty
)
"""What an entry that expires costs more: the moment, and its place in the order of deadlines."""


def charge(of_key: int, of_value: int, *, expires: bool = False) -> int:
    """Return the bytes of an entry: those of key and value, and what the cache itself spends."""
    if type(of_key) is int and type(of_value) is int and of_key >= 0 <= of_value:
        size = of_key + of_value + ENTRY_BYTES
    else:
        size = measured_size(of_key) + measured_size(of_value) + ENTRY_BYTES
    if expires:
        size += DEADLINE_BYTES
    return size if size <= LARGEST_SHARED_INT else size + INT_BYTES


def measured(size: int, *, expires: bool) -> int:
    """Return how much of a `charge` is that of key and value."""
    if size > LARGEST_SHARED_INT:
        size -= INT_BYTES
    return size - ENTRY_BYTES - (DEADLINE_BYTES if expires else 0)


def check_room(max_bytes: int, *, least: int) -> None:
    """
    Refuse a bound that not even one entry fits into.

    Raises:
        TypeError: it is not an integer.
        ValueError: it is too small, with the figure that it has to be.
    """
    if positive_int("max_bytes", max_bytes) < least:
        raise ValueError(f"max_bytes must be at least {least}, for one entry, got {max_bytes}")
