r"""
The engine that is always there: regular expressions.

All texts lie in one `bytes`, a NUL before each. An expression begins with that NUL and cannot
leave the text behind it; what it has passed over it never gives back (possessive quantifiers). So
each text is looked at once, whatever the letters.
"""

import re
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable
from heapq import nsmallest
from itertools import islice
from sys import getsizeof
from typing import Final

from boundedcollections.files.engines import Hits
from boundedcollections.files.tree import decoded, encoded

_STRIDE: Final = 32
"""The place of one text in so many is remembered."""

_CHUNK_BYTES: Final = 64 << 10
"""One call into a regular expression covers so much: no call keeps other threads waiting long."""

_MOST_BYTES: Final = 4 << 20
"""So many bytes are searched for one query: the names of some 250,000 files."""

_MOST_MORE: Final = 16
"""So many times as many hits as are wanted are chosen from: each takes time."""

_RARE: Final = 4
"""A letter is rare if fewer than one text in so many has it."""

# Past the process-wide cache of `re`, which is not there for whatever somebody types.
compiled: Final[Callable[[bytes], re.Pattern[bytes]]] = getattr(
    getattr(re, "_compiler", re), "compile", re.compile
)


class StandardMatcher:
    """Regular expressions over all texts at once; see `engines.Matcher`."""

    __slots__ = ("_count", "_offsets", "_texts", "current_bytes")

    def __init__(self, groups: Iterable[Iterable[bytes]]) -> None:
        texts = bytearray()
        self._offsets = array("I")
        self._count = 0
        each = (text for group in groups for text in group)
        while stride := list(islice(each, _STRIDE)):
            self._offsets.append(len(texts))
            self._count += len(stride)
            texts += b"\0" + b"\0".join(stride).lower()
        self._offsets.append(len(texts))
        self._texts = bytes(texts)
        self.current_bytes = getsizeof(self) + getsizeof(self._offsets) + getsizeof(self._texts)

    def hits(self, letters: bytes, spans: Iterable[range], most: int) -> Hits:
        """Return texts that hold `letters` in order; those first that hold them all early on."""
        pattern = subsequence(letters, self._texts[:_CHUNK_BYTES])
        found: list[tuple[int, int]] = []
        budget = _MOST_BYTES
        for span in spans:
            begin, end = self._place(span.start), self._place(span.stop)
            while begin < end:
                if budget <= 0 or len(found) > most * _MOST_MORE:
                    return Hits(self._best(found, most), is_cut=True)
                after = min(begin + _CHUNK_BYTES, end)
                if after < end:
                    after = self._texts.rfind(b"\0", begin, after)
                    after = after if after > begin else end
                found += [
                    (match.end() - match.start(), match.start())
                    for match in pattern.finditer(self._texts, begin, after)
                ]
                budget -= after - begin
                begin = after
        return Hits(self._best(found, most), is_cut=len(found) > most)

    def _best(self, found: list[tuple[int, int]], most: int) -> list[int]:
        return [self._number(place) for _, place in nsmallest(most, found)]

    def _number(self, place: int) -> int:
        """Return the number of the text whose NUL is at `place`."""
        stride = bisect_right(self._offsets, place) - 1
        return stride * _STRIDE + self._texts.count(b"\0", self._offsets[stride], place)

    def _place(self, number: int) -> int:
        """Return where the NUL of a text is, or where the texts end."""
        if number == self._count:
            return len(self._texts)
        place = self._offsets[number // _STRIDE]
        for _ in range(number % _STRIDE):
            place = self._texts.index(b"\0", place + 1)
        return place


def subsequence(letters: bytes, sample: bytes = b"") -> re.Pattern[bytes]:
    """
    Return what finds texts that hold `letters` in order, from the NUL before them on.

    Args:
        letters: in lower case, as the texts are.
        sample: some of the texts, to know which letters are rare.
    """
    chars = [encoded(char) for char in decoded(letters)]
    counts = {char: sample.count(char) for char in chars}
    rarest = min(counts, key=counts.__getitem__, default=b"")
    is_rare = (
        counts and counts[rarest] < sample.count(b"\0") // _RARE
    )  # then it is looked for first
    hint = b"(?=[^\0]*%b)" % re.escape(rarest) if is_rare else b""
    return compiled(b"\0" + hint + b"".join(map(_next, chars)))


def _next(char: bytes) -> bytes:
    """Return what leads to the next such letter, and not into the next text."""
    if len(char) == 1:
        return b"[^%b\0]*+%b" % (re.escape(char), re.escape(char))
    return b"(?>[^\0]*?%b)" % re.escape(char)


class StandardEngine:
    """Makes matchers from the standard library; see `engines.Engine`."""

    __slots__ = ()
    name: Final = "standard"
    bytes_per_text: Final = 2
    fixed_bytes: Final = 256
    quick_texts: Final = 20_000
    most_texts: Final = 150_000
    most_scored: Final = 1_000_000  # its order is too coarse for that
    shares: Final = 1

    def matcher(self, groups: Iterable[Iterable[bytes]]) -> StandardMatcher:
        """Return a matcher of texts."""
        return StandardMatcher(groups)


def engine() -> StandardEngine:
    """Return the engine."""
    return StandardEngine()
