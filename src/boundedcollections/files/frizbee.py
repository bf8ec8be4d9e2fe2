"""
The engine of the extra `fuzzy`: frizbee, a matcher in Rust that uses vector instructions.

It takes texts out of Python's hands, and lets other threads run while it looks at them. Here are
as many lists of them as there are groups, so that only those are looked at that can count.
"""

import importlib
from bisect import bisect_left
from collections.abc import Iterable
from itertools import islice
from sys import getsizeof
from typing import Any, Final

from boundedcollections.files.engines import Hits

_BATCH: Final = 2_000
"""So many texts are handed over at once: that holds up other threads."""

_MOST_MORE: Final = 64
"""So many hits of each further list are taken once there are too many: each is an object."""

_OVERHEAD_BYTES: Final = 44
"""What a text takes besides its own bytes, measured: its head, its block, room to grow."""

_SHARDS_BYTES: Final = 200
"""What a list of texts takes when it is empty."""

# fzf's scale, as far as it goes. Capitals are worth what they are there; case is not compared.
_SCORING: Final = {
    "match_score": 16,
    "gap_open_penalty": 3,
    "gap_extend_penalty": 1,
    "prefix_bonus": 12,
    "capitalization_bonus": 5,
    "matching_case_bonus": 0,
    "delimiter_bonus": 8,
}


class FrizbeeMatcher:
    """Lists of texts in frizbee's hands; see `engines.Matcher`."""

    __slots__ = ("_frizbee", "_scoring", "_shards", "_starts", "current_bytes")

    def __init__(self, frizbee: Any, groups: Iterable[Iterable[bytes]]) -> None:
        self._frizbee = frizbee
        self._scoring = frizbee.Scoring(**_SCORING)
        self._shards: list[Any] = []
        self._starts = [0]
        self.current_bytes = getsizeof(self)
        for group in groups:
            shard = frizbee.Haystacks()
            each = iter(group)
            while batch := list(islice(each, _BATCH)):
                shard.extend([_legible(text) for text in batch])
                self.current_bytes += sum(map(len, batch)) + _OVERHEAD_BYTES * len(batch)
            self._shards.append(shard)
            self._starts.append(self._starts[-1] + len(shard))
            self.current_bytes += _SHARDS_BYTES

    def hits(self, letters: bytes, spans: Iterable[range], most: int) -> Hits:
        """Return texts that hold `letters` in order; those first that frizbee likes best."""
        matcher = self._matcher(letters, most + 1)
        found: list[tuple[int, int]] = []
        is_cut = False
        for shard, first in (pair for span in spans for pair in self._shards_in(span)):
            found += [(-match.score, first + match.index) for match in matcher.match_list(shard)]
            if len(found) > most and not is_cut:
                is_cut = True
                matcher = self._matcher(letters, min(most, _MOST_MORE))
        found.sort()
        return Hits([number for _, number in found[:most]], is_cut)

    def _matcher(self, letters: bytes, most: int) -> Any:
        return self._frizbee.Matcher(
            _legible(letters),
            max_typos=0,
            max_items=most,
            casing="ignore",
            unicode="ignore" if letters.isascii() else "always",
            scoring=self._scoring,
        )

    def _shards_in(self, span: range) -> Iterable[tuple[Any, int]]:
        begin, end = (bisect_left(self._starts, number) for number in (span.start, span.stop))
        return zip(self._shards[begin:end], self._starts[begin:end], strict=True)


class FrizbeeEngine:
    """Makes matchers from frizbee; see `engines.Engine`."""

    __slots__ = ("_frizbee",)
    name: Final = "frizbee"
    bytes_per_text: Final = _OVERHEAD_BYTES
    fixed_bytes: Final = 256 * _SHARDS_BYTES  # a group for each first byte
    quick_texts: Final = 50_000
    most_texts: Final = 4_000_000
    most_scored: Final = 32
    shares: Final = 3

    def __init__(self, frizbee: Any) -> None:
        self._frizbee = frizbee

    def matcher(self, groups: Iterable[Iterable[bytes]]) -> FrizbeeMatcher:
        """Return a matcher of texts."""
        return FrizbeeMatcher(self._frizbee, groups)


def engine() -> FrizbeeEngine:
    """
    Return the engine, if frizbee is there and does what is wanted of it.

    Raises:
        ImportError: it is not there, or finds something else than expected.
        AttributeError: another module has its name.
    """
    made = FrizbeeEngine(importlib.import_module("frizbee"))
    hits = made.matcher([[b"xb", b"Axb"], [b"bA"]]).hits(b"ab", [range(2), range(2, 3)], 1)
    if hits != Hits([1], is_cut=False):
        raise ImportError(f"another frizbee than expected: it gave {hits}")
    return made


def _legible(text: bytes) -> str:
    return text.decode("utf-8", "replace")
