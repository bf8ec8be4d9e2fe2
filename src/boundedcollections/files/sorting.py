"""Sorting that holds up no other thread for long."""

from bisect import bisect_left
from collections.abc import Sequence
from heapq import merge
from typing import Final

from boundedcollections.files.tree import decoded, encoded

_PIECE: Final = 8_192
"""One call sorts at most so many texts."""


def in_order(texts: list[str]) -> list[str]:
    """Return the texts sorted; a great many in pieces, so that other threads may run between."""
    if len(texts) <= _PIECE:
        texts.sort()
        return texts
    pieces = [sorted(texts[at : at + _PIECE]) for at in range(0, len(texts), _PIECE)]
    return list(merge(*pieces))


def in_order_of_texts(names: list[bytes]) -> list[bytes]:
    """Return the names in the order of what they are when decoded."""
    if len(names) <= _PIECE and b"".join(names).isascii():
        names.sort()  # which is the same then
        return names
    return [encoded(text) for text in in_order([decoded(name) for name in names])]


def place_of_text(name: bytes, names: Sequence[bytes], first: int) -> int:
    """Return how many of the names, in that order, come before `name`; `first` of them do."""
    if name.isascii():  # then bytes say the same, whatever the others are
        return bisect_left(names, name, first)
    return bisect_left(names, decoded(name), first, key=decoded)
