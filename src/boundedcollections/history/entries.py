"""One item with its number, and what the history itself spends on it."""

import sys
from typing import Final, Generic, TypeVar

from boundedcollections._core.tables import allocated, dict_bytes, slots_for
from boundedcollections._core.units import positive_int

T = TypeVar("T")


class Entry(Generic[T]):
    """One item and what the books know of it; `seq` is given when it is stored."""

    __slots__ = ("item", "seq", "since", "size")

    def __init__(self, item: T, size: int, since: float) -> None:
        self.item = item
        self.seq = -1
        self.size = size
        self.since = since

    def told(self) -> tuple[int, T]:
        """Return what a listener is told, but for the cause."""
        return self.seq, self.item


_ENTRY_BYTES: Final = allocated(sys.getsizeof(Entry(None, 0, 0.0)))
_NUMBER_BYTES: Final = allocated(sys.getsizeof(1 << 20))
_TIME_BYTES: Final = allocated(sys.getsizeof(1.5))
LEAST_TABLE: Final = dict_bytes(slots_for(0))
"""The bytes of the smallest table that holds something."""
_LARGEST_SHARED_INT: Final = 256


def charge(payload: int, *, timed: bool) -> int:
    """Add to the bytes of an item what the history itself spends on it."""
    size = payload + _ENTRY_BYTES + _NUMBER_BYTES + (_TIME_BYTES if timed else 0)
    return size if size <= _LARGEST_SHARED_INT else size + _NUMBER_BYTES


def check_room(max_bytes: int) -> None:
    """Refuse a bound that not even one item fits into."""
    least = 2 * LEAST_TABLE + charge(0, timed=True)
    if positive_int("max_bytes", max_bytes) < least:
        raise ValueError(f"max_bytes must be at least {least}, for one item, got {max_bytes}")
