"""Sorting that holds up no other thread for long."""

from heapq import merge
from typing import Final

_PIECE: Final = 8_192
"""One call sorts at most so many texts."""


def in_order(texts: list[str]) -> list[str]:
    """Return the texts sorted; a great many in pieces, so that other threads may run between."""
    if len(texts) <= _PIECE:
        texts.sort()
        return texts
    pieces = [sorted(texts[at : at + _PIECE]) for at in range(0, len(texts), _PIECE)]
    return list(merge(*pieces))
