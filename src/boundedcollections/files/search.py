"""
From what somebody typed to the best matches, in an order that is fixed to the last file.

The better score comes first. Of equal scores, the one that matches within its base name comes
first, and the earlier in it the better, then the shorter path, then the one that comes first in
order. Behind all of these come
ignored files that were named, but those that were named in full are treated like any other.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, overload

from boundedcollections.files.candidates import Candidates, Narrowing
from boundedcollections.files.query import Query
from boundedcollections.files.scoring import align, begins_best, best_possible, fold
from boundedcollections.files.snapshot import IndexSnapshot
from boundedcollections.files.tables import Tables

_GOOD: Final = 0.75
"""A score is good if it is more than this part of what is possible."""

_ENOUGH: Final = 10
"""With so many good matches, no worse ones are searched for elsewhere."""


@dataclass(frozen=True, slots=True)
class FileMatch:
    """
    One file that matches.

    Attributes:
        path: relative to the root of the index.
        positions: of the characters in `path` that were meant, in order, for highlighting.
        score: the more the better; comparable between files, not between queries.
        ignored: whether ignore rules leave the file out; then it is shown because it was named.
    """

    path: str
    positions: tuple[int, ...]
    score: int
    ignored: bool = False


@dataclass(frozen=True, slots=True)
class FileMatches(Sequence[FileMatch]):
    """
    The best matches of a query, the best first.

    Attributes:
        matches: the same as a tuple.
        query: what was searched for, so that late answers can be told from new ones.
        generation: the number of the scan that was searched.
        incomplete: whether a bound of the search kept it from looking at everything. What is
            here does match, but something as good may be missing.
        final: whether this is the last answer to the query; if not, a better one may follow.
    """

    matches: tuple[FileMatch, ...]
    query: str
    generation: int
    incomplete: bool
    final: bool = True

    def __len__(self) -> int:
        return len(self.matches)

    @overload
    def __getitem__(self, index: int) -> FileMatch: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[FileMatch, ...]: ...
    def __getitem__(self, index: int | slice) -> FileMatch | tuple[FileMatch, ...]:
        return self.matches[index]


class Search:
    """
    One search in one snapshot: the first answer, and then the complete one.

    Args:
        snapshot: what is searched.
        tables: its tables.
        text: what was typed.
        limit: the most matches to return.
        narrowing: what an earlier query has left, if anything.
    """

    __slots__ = ("_candidates", "_limit", "_query", "_ranked", "_scored", "_snapshot", "_text")

    def __init__(
        self,
        snapshot: IndexSnapshot,
        tables: Tables,
        text: str,
        limit: int,
        narrowing: Narrowing | None = None,
    ) -> None:
        self._snapshot = snapshot
        self._text = text
        self._limit = limit
        self._query = Query(text)
        self._ranked: list[tuple[Rank, FileMatch]] = []
        self._scored: set[int] = set()
        self._candidates: Candidates | None = None
        if self._query.terms:
            self._candidates = Candidates(tables, self._query, limit, narrowing)

    def first(self) -> FileMatches:
        """Return what the names and folders that are most likely give; final, if that is all."""
        candidates = self._candidates
        if candidates is None:
            return self._answer(incomplete=False, final=True)
        for path in self._snapshot.ignored:
            self._ranked += ranked(path, self._query, is_ignored=True)
        candidates.best()
        self._score(candidates)
        if not candidates.incomplete and self._cannot_be_better():
            return self._answer(incomplete=False, final=True)
        candidates.likely()
        self._score(candidates)
        if candidates.is_everything_likely and not self._is_poor():
            return self.complete()
        return self._answer(incomplete=True, final=False)

    def complete(self) -> FileMatches:
        """Return the last answer, after the first, if that is not final."""
        candidates = self._candidates
        if candidates is None:
            return self._answer(incomplete=False, final=True)
        candidates.others()
        self._score(candidates)
        candidates.rest(is_poor=self._is_poor())
        self._score(candidates)
        return self._answer(incomplete=candidates.incomplete, final=True)

    def narrowing(self) -> Narrowing | None:
        """Return what the next query may be narrowed by, after the complete answer."""
        return None if self._candidates is None else self._candidates.narrowing()

    def _cannot_be_better(self) -> bool:
        term, *others = self._query.terms
        if others or not begins_best(term):
            return False
        best = best_possible(len(term))
        return sum(match.score == best for _, match in self._ranked) >= self._limit

    def _is_poor(self) -> bool:
        """Whether there are not as many good matches as are wanted."""
        best = sum(map(best_possible, map(len, self._query.terms)))
        good = sum(match.score > best * _GOOD for _, match in self._ranked)
        return good < min(self._limit, _ENOUGH)

    def _score(self, candidates: Candidates) -> None:
        for path in candidates.worth_scoring(self._scored):
            self._ranked += ranked(path, self._query, is_ignored=False)
        self._scored.update(candidates.files)

    def _answer(self, *, incomplete: bool, final: bool) -> FileMatches:
        self._ranked.sort()
        matches = tuple(match for _, match in self._ranked[: self._limit])
        return FileMatches(matches, self._text, self._snapshot.generation, incomplete, final)


Rank = tuple[bool, int, int, int, str]


def ranked(path: str, query: Query, *, is_ignored: bool) -> Iterator[tuple[Rank, FileMatch]]:
    """Yield a match and what to sort it by, if `path` is one."""
    text = fold(path, ignore_case=query.ignore_case)
    is_exact = False
    if is_ignored:  # it must be named: in full or by how it begins, its folders left out or not
        name = text.folded[text.folded.rfind("/") + 1 :]
        if not (name.startswith(query.text) or text.folded.startswith(query.text)):
            return
        is_exact = query.text in (name, text.folded)
    score = 0
    positions: set[int] = set()
    for term in query.terms:
        alignment = align(term, text)
        if alignment is None:
            return
        score += alignment.score
        positions.update(alignment.positions)
    offset = min(positions) - path.rfind("/")
    place = offset if offset > 0 else len(path)
    rank = (is_ignored and not is_exact, -score, place, len(path), path)
    yield rank, FileMatch(path, tuple(sorted(positions)), score, is_ignored)
