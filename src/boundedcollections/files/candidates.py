"""
The files that are worth scoring, in tiers, the best first.

No file can score more than one whose base name, or one of whose folders, begins with the query
(if that begins with a letter or a digit). So where the first tiers give enough, the rest need not
be looked at, and the answer is complete all the same. The tiers are

1. base names that begin with the query;
2. folders that do;
3. base names that hold its letters in order;
4. paths that do.

What a query says before its last ``/`` is for the folder, and what it says behind it for the
name. All work is bounded; where a bound cuts something off, the answer is called incomplete.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from heapq import nsmallest
from itertools import groupby, repeat
from re import Pattern
from typing import Final

from boundedcollections.files.columns import Columns
from boundedcollections.files.query import Query, Term
from boundedcollections.files.scoring import begins_best, fold, holds
from boundedcollections.files.tree import decoded

_CANDIDATES: Final = 128
"""So many are scored, or twice as many as are wanted if that is more."""

_MOST_HITS: Final = 20_000
"""So many files of a tier are looked at, to choose the candidates among them."""

_MOST_CHECKED: Final = 2_000
"""So many files of a tier are asked for the other terms of a query."""

_MOST_BYTES: Final = 4 << 20
"""So many bytes of names are searched letter by letter: those of some 200,000 files."""

_CHUNK_BYTES: Final = 64 << 10
"""One call into a regular expression covers so much: no call keeps other threads waiting long."""

Span = tuple[int, int]
"""From where to where in the names; it begins and ends with a block."""

Search = tuple[Pattern[bytes], Span]
"""What to look for, and where."""

Hit = tuple[int, int]
"""What a file costs, the less the better, and where in the names the NUL before its name is."""

_ANY_NAME: Final = re.compile(rb"\0")


class Candidates:
    """
    The files of one snapshot that are worth scoring for one query.

    Args:
        columns: where to look.
        query: with one term at least.
        wanted: how many matches are to be shown.

    Attributes:
        files: their numbers.
        incomplete: whether a bound has cut something off.
    """

    __slots__ = (
        "_columns",
        "_others",
        "_query",
        "_room",
        "_term",
        "_wanted",
        "files",
        "incomplete",
    )

    def __init__(self, columns: Columns, query: Query, wanted: int) -> None:
        self._columns = columns
        self._query = query
        main, *self._others = sorted(query.terms, key=len, reverse=True)
        sample = columns.names[:_CHUNK_BYTES]
        self._term = Term(main, sample, ignore_case=query.ignore_case)
        self._room = max(_CANDIDATES, 2 * wanted)
        self._wanted = self._room if self._others else wanted
        self.files: dict[int, None] = {}
        self.incomplete = False
        self._names_begin()
        if self._is_short() or self._term.split:  # then folders count as much as names
            self._folders_begin()
        if self._is_short() or not begins_best(main):
            self._names_hold()
            if self._is_short():
                self._paths_hold()
            else:  # a path that holds the letters elsewhere might score as much
                self.incomplete = True

    def _is_short(self) -> bool:
        return len(self.files) < self._wanted

    # ── the tiers ───────────────────────────────────────────────────────────────────────────

    def _names_begin(self) -> None:
        split = self._term.split
        spans = self._spans_in(self._term.folders_ending()) if split else self._everything()
        self._add_equals(self._scan(zip(repeat(self._term.prefix(split)), spans)))

    def _folders_begin(self) -> None:
        spans = self._spans_in(self._term.folders_holding())
        self._add_equals(self._scan(zip(repeat(_ANY_NAME), spans)))

    def _names_hold(self) -> None:
        split = self._term.split
        if split:
            spans = [span for letters, span in self._spans_by_letters() if letters >= split]
        else:
            spans = self._everything()
        hits = self._scan(self._affordable(zip(repeat(self._subsequence(split)), spans)))
        if self.incomplete and not split:  # elsewhere a name must begin with the first letter
            searches = zip(repeat(self._term.initial()), spans)
            hits = list({*hits, *self._scan(searches)})
        self._add_best(hits)

    def _paths_hold(self) -> None:
        subsequence = cache(self._subsequence)
        searches = (
            (subsequence(letters), span)
            for letters, span in self._spans_by_letters()
            if letters > self._term.split  # what holds fewer was looked at in the tier before
        )
        self._add_best(self._by_length(self._scan(self._affordable(searches))))

    def _subsequence(self, begin: int) -> Pattern[bytes]:
        """Return what finds names that hold the letters of the term from `begin` on."""
        return self._term.subsequence(begin) if begin < len(self._term.text) else _ANY_NAME

    # ── where to look ───────────────────────────────────────────────────────────────────────

    def _everything(self) -> list[Span]:
        return [(0, len(self._columns.names))]

    def _spans_in(self, folders: Pattern[bytes]) -> list[Span]:
        """Return where the names of the folders are that `folders` finds."""
        offsets = self._columns.folder_offsets
        flags = bytearray(len(offsets))
        for match in folders.finditer(self._term.folded(self._columns.folders)):
            flags[bisect_right(offsets, match.start()) - 1] = True
        return [span for is_found, span in self._runs(flags) if is_found]

    def _spans_by_letters(self) -> Iterator[tuple[int, Span]]:
        """Yield how many letters of the term folders hold, and where their names are."""
        return self._runs(list(self._term.climb(self._term.folded(self._columns.folders))))

    def _runs(self, values: Sequence[int]) -> Iterator[tuple[int, Span]]:
        """Yield where the names are of files whose folders have equal `values` in a row."""
        offsets = self._columns.offsets
        block = 0
        for value, run in groupby(map(values.__getitem__, self._columns.owners)):
            following = block + sum(1 for _ in run)
            yield value, (offsets[block], offsets[following])
            block = following

    def _affordable(self, searches: Iterable[Search]) -> Iterator[Search]:
        """Yield what may be searched letter by letter."""
        budget = _MOST_BYTES
        for pattern, (begin, end) in searches:
            if end - begin > budget:
                self.incomplete = True
                last = bisect_right(self._columns.offsets, begin + budget) - 1
                yield pattern, (begin, self._columns.offsets[last])
                return
            budget -= end - begin
            yield pattern, (begin, end)

    # ── looking ─────────────────────────────────────────────────────────────────────────────

    def _scan(self, searches: Iterable[Search]) -> list[Hit]:
        """Return where the patterns are found, and how long a piece of the name they took."""
        hits: list[Hit] = []
        names, offset, limit = b"", 0, 0  # a chunk, and from where to where it goes
        for pattern, (begin, end) in searches:
            at = begin
            while at < end:
                if at >= limit:
                    offset, limit = at, self._end_of_chunk(at)
                    names = self._term.folded(self._columns.names[offset:limit])
                hits += [
                    (match.end() - match.start(), offset + match.start())
                    for match in pattern.finditer(names, at - offset, end - offset)
                ]
                at = limit
                if len(hits) > _MOST_HITS:
                    self.incomplete = True
                    return hits
        return hits

    def _end_of_chunk(self, begin: int) -> int:
        offsets = self._columns.offsets
        block = bisect_left(offsets, begin + _CHUNK_BYTES, 0, len(offsets) - 1)
        return offsets[block]

    def _by_length(self, hits: Iterable[Hit]) -> list[Hit]:
        """Return hits with the lengths of their paths, in characters."""
        columns = self._columns
        lengths = []
        length = end = 0
        for _, position in hits:
            if position >= end:
                block = bisect_right(columns.offsets, position) - 1
                end = columns.offsets[block + 1]
                length = len(columns.folder(columns.owners[block]))
            following = columns.names.find(b"\0", position + 1, end)
            name = columns.names[position + 1 : following if following >= 0 else end]
            in_name = len(name) if name.isascii() else len(decoded(name))
            lengths.append((length + in_name, position))
        return lengths

    # ── choosing ────────────────────────────────────────────────────────────────────────────

    def _add_equals(self, hits: list[Hit]) -> None:
        """Add files that have the best possible score; more than are wanted would be in vain."""
        self._add(nsmallest(self._wanted, self._checked(self._by_length(hits))))

    def _add_best(self, hits: list[Hit]) -> None:
        hits = self._checked(hits)
        self.incomplete |= len(hits) > self._room
        self._add(nsmallest(self._room, hits))

    def _add(self, hits: Iterable[Hit]) -> None:
        self.files |= dict.fromkeys(self._columns.file_at(position) for _, position in hits)

    def _checked(self, hits: list[Hit]) -> list[Hit]:
        """Return the hits whose paths hold the other terms as well."""
        if not self._others:
            return hits
        self.incomplete |= len(hits) > _MOST_CHECKED
        return [hit for hit in nsmallest(_MOST_CHECKED, hits) if self._holds_others(hit)]

    def _holds_others(self, hit: Hit) -> bool:
        path = self._columns.path(self._columns.file_at(hit[1]))
        text = fold(path, ignore_case=self._query.ignore_case).folded
        return all(holds(term, text) for term in self._others)
