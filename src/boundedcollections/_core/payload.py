"""How many bytes one message counts: a question that must cost next to nothing per send."""

from collections.abc import Callable
from typing import Any

from boundedcollections._core.units import measured_size


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


def counted_size(item: Any, size: int | None, sizeof: Callable[[Any], int]) -> int:
    """
    Return the given `size`, else what `sizeof` says; at least 1, for empty items take room too.

    >>> counted_size(b"", None, payload_size), counted_size(b"frame", 7, payload_size)
    (1, 7)

    Raises:
        TypeError: the size is not an integer.
        ValueError: the size is negative.
    """
    return measured_size(sizeof(item) if size is None else size) or 1


_MEASURES: dict[type, Callable[[Any], int]] = {
    bytes: len,
    bytearray: len,
    memoryview: lambda view: view.nbytes,
    str: str.__sizeof__,
}
