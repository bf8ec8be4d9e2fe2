r"""
A query, and the regular expressions that find what it asks for in the columns.

They run over encoded names as these lie there, a NUL before each. An expression begins with that
NUL and cannot leave the name behind it; what it has passed over it never gives back (possessive
quantifiers). So each name is looked at once, whatever the letters.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Final

from boundedcollections.files.tree import encoded

_MOST_LETTERS: Final = 1_024
"""A longer query matches nothing; expressions for it would take long to make."""

_RUNGS: Final = 16
"""A ladder is nested, and nesting has limits; a longer one is climbed in pieces."""

_RARE: Final = 4
"""A letter is rare if fewer than one name in so many has it."""

# Past the process-wide cache of `re`, which is not there for whatever somebody types.
_compile: Final = getattr(getattr(re, "_compiler", re), "compile", re.compile)


class Query:
    """
    What somebody typed.

    A capital anywhere makes case count; otherwise it does not. Composed and decomposed characters
    are the same. Spaces separate terms, all of which must be found.

    >>> query = Query("./src/Foo bar")
    >>> query.terms, query.ignore_case
    (('src/Foo', 'bar'), False)

    Attributes:
        text: the whole of it, in the form that `scoring.fold` gives to paths.
        terms: what must be found; nothing, if there is nothing or if no path can hold it.
        ignore_case: whether case does not count.
    """

    __slots__ = ("ignore_case", "terms", "text")

    def __init__(self, text: str) -> None:
        text = unicodedata.normalize("NFC", text).removeprefix("./").lstrip("/")
        self.text = text
        self.ignore_case = text == text.lower()
        self.terms = tuple(text.split()) if _can_be_in_a_path(text) else ()


class Term:
    """
    One term of a query, as bytes to look for.

    Args:
        text: as `Query` gives it.
        sample: some encoded names, to know which letters are rare.
        ignore_case: as `Query` gives it.

    Attributes:
        text: the same.
        split: how many letters there are up to the last ``/``, which belong to folders.
    """

    __slots__ = ("_ignore_case", "_letters", "_names_with", "_rare", "split", "text")

    def __init__(self, text: str, sample: bytes, *, ignore_case: bool) -> None:
        self.text = text
        self.split = text.rfind("/") + 1
        self._ignore_case = ignore_case
        self._letters = [_Letter(char, ignore_case=ignore_case) for char in text]
        sample = self.folded(sample)
        self._names_with = [sample.count(letter.forms[0]) for letter in self._letters]
        self._rare = sample.count(b"\0") // _RARE

    def folded(self, names: bytes) -> bytes:
        """Return encoded names in the form in which they are to be searched."""
        return names.lower() if self._ignore_case else names

    def prefix(self, begin: int = 0) -> re.Pattern[bytes]:
        """Return what finds names that begin with the letters from `begin` on."""
        return _pattern(b"\0", *(letter.itself for letter in self._letters[begin:]))

    def folders_holding(self) -> re.Pattern[bytes]:
        """Return what finds folders that hold the term from the beginning of a segment on."""
        return _pattern(b"[\0/]", *(letter.itself for letter in self._letters))

    def folders_ending(self) -> re.Pattern[bytes]:
        """Return the same for folders that end with what is before the split."""
        letters = self._letters[: self.split]
        return _pattern(b"[\0/]", *(letter.itself for letter in letters), b"(?=\0|\\Z)")

    def subsequence(self, begin: int = 0) -> re.Pattern[bytes]:
        """Return what finds names that hold the letters from `begin` on, in order."""
        rarest = min(range(begin, len(self._letters)), key=self._names_with.__getitem__)
        is_rare = self._names_with[rarest] < self._rare  # then it is looked for first
        hint = b"(?=[^\0]*%b)" % self._letters[rarest].itself if is_rare else b""
        letters = self._letters[begin:]
        return _pattern(b"\0", hint, *(letter.next(but=b"\0/") for letter in letters))

    def initial(self) -> re.Pattern[bytes]:
        """Return what finds names that begin with the first letter and hold the rest, in order."""
        first, *others = self._letters
        return _pattern(b"\0", first.itself, *(letter.next(but=b"\0/") for letter in others))

    def climb(self, folders: bytes) -> Iterator[int]:
        """
        Yield for each folder how many of the letters its path holds, in order.

        Args:
            folders: their paths, folded, a NUL before each.
        """
        ladders = [
            self._letters[begin : begin + _RUNGS] for begin in range(0, len(self._letters), _RUNGS)
        ]
        higher = cache(lambda number: _pattern(_ladder(ladders[number])))  # few get that far
        for match in _pattern(b"\0", _ladder(ladders[0])).finditer(folders):
            letters = match.lastindex or 0
            climbed = match
            for number in range(1, len(ladders)):
                if letters < number * _RUNGS:
                    break
                climbed = next(higher(number).finditer(folders, climbed.end()))
                letters += climbed.lastindex or 0
            yield letters


def _can_be_in_a_path(text: str) -> bool:
    try:
        return len(text) <= _MOST_LETTERS and b"\0" not in encoded(text)
    except UnicodeEncodeError:
        return False


class _Letter:
    """One character of a query, in all the forms that it may have in a name."""

    __slots__ = ("forms", "itself")

    def __init__(self, char: str, *, ignore_case: bool) -> None:
        cases = (char, char.upper()) if ignore_case else (char,)
        spellings = [
            encoded(unicodedata.normalize(form, case)) for case in cases for form in ("NFC", "NFD")
        ]
        forms = dict.fromkeys(
            spelling.lower() if ignore_case else spelling for spelling in spellings
        )
        self.forms = tuple(forms)
        self.itself = b"(?:%b)" % b"|".join(map(re.escape, forms))

    def next(self, *, but: bytes) -> bytes:
        """Return what leads to the next such letter without passing any byte of `but`."""
        if all(len(form) == 1 for form in self.forms):
            others = re.escape(b"".join(self.forms) + but)
            return b"[^%b]*+%b" % (others, self.itself)
        return b"(?>[^%b]*?%b)" % (re.escape(but), self.itself)


def _ladder(letters: Sequence[_Letter]) -> bytes:
    """Return what matches as many of `letters` as a folder's path holds, a group for each."""
    ladder = b""
    for letter in reversed(letters):
        ladder = b"(?:%b()%b)?+" % (letter.next(but=b"\0"), ladder)
    return ladder


def _pattern(*parts: bytes) -> re.Pattern[bytes]:
    pattern: re.Pattern[bytes] = _compile(b"".join(parts))
    return pattern
