"""What a reader of a stream gets: items, and the gap before them."""

from collections.abc import Callable
from functools import partial
from typing import Any, Final, Generic, NamedTuple, TypeVar

T = TypeVar("T")


class Batch(NamedTuple, Generic[T]):
    """
    Consecutive items of a stream, and how many are lost just before them.

    The gap is data, not an exception: it comes in its place, `missed` is always *before*
    ``items[0]``, and a batch never crosses a gap.

    >>> batch = Batch(items=("d", "e"), missed=3, first_seq=3, next_seq=5)
    >>> for item in batch.items:
    ...     print(item)
    d
    e

    Attributes:
        items: the items, oldest first.
        missed: how many items the reader lost between what it had and ``items[0]``.
        first_seq: the sequence number of ``items[0]``; equal to `next_seq` in an empty batch.
        next_seq: the number to ask for next.
    """

    items: tuple[T, ...]
    missed: int
    first_seq: int
    next_seq: int


batch_of: Final[Callable[[tuple[tuple[Any, ...], int, int, int]], Batch[Any]]] = partial(
    tuple.__new__, Batch
)
"""Make a `Batch` of its four values, at half the cost of calling the class."""
