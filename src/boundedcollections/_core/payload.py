"""How many bytes one message counts: a question that must cost next to nothing per send."""

import sys
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from boundedcollections._core.tables import allocated
from boundedcollections._core.units import measured_size

_PLACES: Final = 64
"""How many places one block of a deque has, in all versions of CPython so far."""
_BLOCK_BYTES: Final = allocated(
    deque(range(2 * _PLACES)).__sizeof__() - deque(range(_PLACES)).__sizeof__()
)
_PLACE_BYTES: Final = -(-_BLOCK_BYTES // _PLACES)

ENTRY_BYTES = allocated(sys.getsizeof((None, 0))) + _PLACE_BYTES
"""What a stream itself spends on an item whose size it counts: a pair, and a place in a deque."""
NUMBER_BYTES = allocated(sys.getsizeof(1 << 20))
"""What it spends on the figure that is booked, if the interpreter does not have it anyway."""
LARGEST_SHARED_INT: Final = 256
"""Up to here, it has."""


def payload_size(item: object) -> int:
    """
    Return the bytes of a message that is its own payload; O(1).

    ``bytes`` and ``bytearray`` count their length, a ``memoryview`` its ``nbytes``, a ``str`` what
    it occupies in memory (its length would not tell). A deep size costs fifty times a send, so
    no stream takes it by itself.

    >>> payload_size(b"frame"), payload_size(memoryview(bytearray(8)).cast("I"))
    (5, 8)
    >>> payload_size({"text": "hi"})
    Traceback (most recent call last):
    ...
    TypeError: the size of a dict is not known: give size= with the item, or sizeof= once

    Raises:
        TypeError: `item` is of any other type, or of a subclass.
    """
    measure = _MEASURES.get(type(item))
    if measure is None:
        kind = type(item).__name__
        raise TypeError(
            f"the size of a {kind} is not known: give size= with the item, or sizeof= once"
        )
    return measure(item)


def charge(item: Any, size: int | None, sizeof: Callable[[Any], int]) -> int:
    """
    Return what is booked for `item`: the given `size`, else what `sizeof` says, and the entry.

    >>> charge(b"frame", None, payload_size) - ENTRY_BYTES, charge(b"frame", 7, len) - ENTRY_BYTES
    (5, 7)

    Raises:
        TypeError: the size is not an integer.
        ValueError: the size is negative.
    """
    total = measured_size(sizeof(item) if size is None else size) + ENTRY_BYTES
    return total if total <= LARGEST_SHARED_INT else total + NUMBER_BYTES


def uncharged(total: int) -> int:
    """
    Return the size of an item for which `total` is booked.

    >>> [uncharged(charge(None, size, len)) for size in (0, 100, 10_000)]
    [0, 100, 10000]
    """
    return total - ENTRY_BYTES - (0 if total <= LARGEST_SHARED_INT else NUMBER_BYTES)


_MEASURES: dict[type, Callable[[Any], int]] = {
    bytes: len,
    bytearray: len,
    memoryview: lambda view: view.nbytes,
    str: str.__sizeof__,
}
