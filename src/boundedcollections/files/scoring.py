"""
How well a path answers a query: a number, and which of its characters were meant.

The scale is that of fzf's second algorithm with its scheme for paths: a variant of the
Smith-Waterman alignment in which every letter of the query must occur, in order. A letter counts
16, more at the beginning of a word, most behind a ``/``; a gap costs 3 and 1 for each further
character. Here only the cells where a letter matches are computed, which are few; what lies
between two of them follows from the first.
"""

import unicodedata
from operator import itemgetter
from typing import Any, Final, NamedTuple

_MATCH: Final = 16
_GAP: Final = 3  # its first character
_LONGER_GAP: Final = 1  # each further one
_AT_WORD: Final = 8
_AT_SEGMENT: Final = 9
_AT_HUMP: Final = 7  # camelCase, and the first digit of a number
_IN_A_ROW: Final = 4


def best_possible(letters: int) -> int:
    """Return what a base name gets that begins with a query of so many letters: nothing is more."""
    return letters * (_MATCH + _AT_SEGMENT) + _AT_SEGMENT


def begins_best(query: str) -> bool:
    """Return whether nothing scores more than a base name that begins with `query`."""
    return _kind(query[0]) > _SIGN


class Alignment(NamedTuple):
    """
    The best way to find a query in a path.

    Attributes:
        score: the more the better.
        positions: of the characters in the path that the letters of the query stand for.
    """

    score: int
    positions: tuple[int, ...]


class Text(NamedTuple):
    """
    A path as it is compared: composed characters, in lower case if case does not count.

    Attributes:
        folded: what letters are compared with.
        shown: for each of its characters the one in the path that it comes from.
        places: the places of these in the path.
    """

    folded: str
    shown: str
    places: "range | list[int]"


def fold(path: str, *, ignore_case: bool) -> Text:
    r"""
    Return `path` as it is compared.

    >>> fold("Cafe\u0301", ignore_case=True)
    Text(folded='café', shown='Cafe', places=[0, 1, 2, 3])
    """
    if path.isascii():
        return Text(path.lower() if ignore_case else path, path, range(len(path)))
    folded: list[str] = []
    places: list[int] = []
    at = 0
    while at < len(path):
        end = at + 1
        composed = path[at]
        while end < len(path) and path[at] != "/":  # what follows it is another name
            longer = unicodedata.normalize("NFC", path[at : end + 1])
            if len(longer) > len(composed) and not unicodedata.combining(path[end]):
                break
            composed = longer
            end += 1
        composed = composed.lower() if ignore_case else composed
        folded.append(composed)
        places += [at] * len(composed)
        at = end
    return Text("".join(folded), "".join(map(path.__getitem__, places)), places)


_Cell = tuple[int, int, int, int, Any]
"""
A place where a letter of the query matches, as a plain tuple, because there are many:

- the place;
- the score of the best alignment up to there; it may end earlier, then a gap is taken off;
- the bonus of the first letter of the unbroken row that ends there; -1 if there is none;
- the place where it ends: there, or earlier;
- the cell of the letter before that it came from; None for the first letter.
"""


def align(query: str, text: Text) -> Alignment | None:
    """
    Return the best alignment of `query`, which is folded as `text` is; None if there is none.

    >>> align("fb", fold("src/foo_bar.py", ignore_case=True))
    Alignment(score=53, positions=(4, 8))

    O(places where a letter of the query occurs).
    """
    if begins_best(query):
        at = f"/{text.folded}".rfind(f"/{query}")
        if at >= 0:  # nothing else scores as much
            places = tuple(text.places[at : at + len(query)])
            return Alignment(best_possible(len(query)), places)
    spans = _spans(query, text.folded)
    if spans is None:
        return None
    kinds = _kinds(text.shown)
    cells: list[_Cell] = []
    for letter, span in zip(query, spans, strict=True):
        grow = _next_cells if cells else _first_cells
        cells = grow(text.folded, kinds, letter, span, cells)
    best = max(cells, key=itemgetter(1, 0))  # of equals the last: it is nearer to the name
    found = []
    cell: _Cell | None = best
    while cell is not None:
        found.append(text.places[cell[3]])
        cell = cell[4]
    return Alignment(best[1], tuple(found[::-1]))


def holds(query: str, folded: str) -> bool:
    """Return whether the letters of `query` occur in order."""
    at = -1
    for letter in query:
        at = folded.find(letter, at + 1)
        if at < 0:
            return False
    return True


def _spans(query: str, text: str) -> list[tuple[int, int]] | None:
    """Return for each letter the first and the last place that an alignment can give it."""
    first: list[int] = []
    at = -1
    for letter in query:
        at = text.find(letter, at + 1)
        if at < 0:
            return None
        first.append(at)
    last: list[int] = []
    at = len(text)
    for letter in reversed(query):
        at = text.rfind(letter, 0, at)
        last.append(at)
    return list(zip(first, reversed(last), strict=True))


def _first_cells(
    folded: str, kinds: str, letter: str, span: tuple[int, int], _: list[_Cell]
) -> list[_Cell]:
    """Return the cells of the first letter."""
    first, last = span
    cells: list[_Cell] = []
    at = folded.find(letter, first, last + 1)
    while at >= 0:
        bonus = _BONUSES[kinds[at : at + 2]]
        cells.append((at, _MATCH + 2 * bonus, bonus, at, None))
        at = folded.find(letter, at + 1, last + 1)
    return cells


def _next_cells(
    folded: str, kinds: str, letter: str, span: tuple[int, int], previous: list[_Cell]
) -> list[_Cell]:
    """
    Return the cells of a further letter, given those of the letter before.

    Each is the better of: the letter is at this place; the alignment ends where that of the last
    cell does. It is one function because nothing else takes as much time.
    """
    cells: list[_Cell] = []
    first, last = span
    sources = iter(previous)
    source = next(sources)
    after = next(sources, None)
    left_at, left_score, left_end = first, 0, first  # as if nothing were there
    left_back: _Cell | None = None
    at = folded.find(letter, first, last + 1)
    while at >= 0:
        while after is not None and after[0] < at:
            source, after = after, next(sources, None)
        place, score, row, end, _ = source
        gain = bonus = _BONUSES[kinds[at : at + 2]]
        gap = at - place
        if gap > 1:
            score -= gap - 1 if end != place else gap + 1
            score = max(score, 0)
            row = bonus
        elif row < 0 or bonus > max(row, _AT_WORD - 1):
            row = bonus
        else:
            gain = max(bonus, _IN_A_ROW, row)
        score += _MATCH
        remaining = left_score - (at - left_at) - (2 if left_end == left_at else 0)
        if remaining > score + gain:
            gain, row = bonus, -1
        if remaining > score + gain:
            left_score = remaining
        else:
            left_score, left_end, left_back = score + gain, at, source
        left_at = at
        cells.append((at, left_score, row if left_end == at else -1, left_end, left_back))
        at = folded.find(letter, at + 1, last + 1)
    return cells


# ── bonuses ─────────────────────────────────────────────────────────────────────────────────

_SPACE, _SIGN, _SLASH, _SMALL, _CAPITAL, _LETTER, _DIGIT = range(7)


def _kind(char: str) -> int:
    if char == "/":
        return _SLASH
    if char.islower():
        return _SMALL
    if char.isupper():
        return _CAPITAL
    if char.isnumeric():
        return _DIGIT
    if char.isalpha():
        return _LETTER
    return _SPACE if char.isspace() else _SIGN


def _bonus_between(before: int, kind: int) -> int:
    if kind > _SIGN and before in (_SPACE, _SIGN):
        return _AT_WORD
    if kind > _SIGN and before == _SLASH:
        return _AT_SEGMENT
    if (before == _SMALL and kind == _CAPITAL) or (before != _DIGIT and kind == _DIGIT):
        return _AT_HUMP
    return _AT_WORD if kind in (_SPACE, _SIGN, _SLASH) else 0


_KINDS: Final = {code: str(_kind(chr(code))) for code in range(128)}
_BONUSES: Final = {
    f"{before}{kind}": _bonus_between(before, kind) for before in range(7) for kind in range(7)
}
"""What it is worth that a letter is matched by a character, by the one before it and by it."""


def _kinds(shown: str) -> str:
    """Return a digit for the kind of each character, behind that of a ``/``."""
    if shown.isascii():
        return str(_SLASH) + shown.translate(_KINDS)
    return str(_SLASH) + "".join(str(_kind(char)) for char in shown)
