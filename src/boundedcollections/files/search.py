"""
From what somebody typed to the best matches, in an order that is fixed to the last file.

The better score comes first. Of equal scores, the one that matches within its base name comes
first, then the shorter path, then the one that comes first in order. Behind all of these come
ignored files that were named, but those that were named in full are treated like any other.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

from boundedcollections.files.candidates import Candidates
from boundedcollections.files.query import Query
from boundedcollections.files.scoring import align, fold
from boundedcollections.files.snapshot import IndexSnapshot


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
    """

    matches: tuple[FileMatch, ...]
    query: str
    generation: int
    incomplete: bool

    def __len__(self) -> int:
        return len(self.matches)

    @overload
    def __getitem__(self, index: int) -> FileMatch: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[FileMatch, ...]: ...
    def __getitem__(self, index: int | slice) -> FileMatch | tuple[FileMatch, ...]:
        return self.matches[index]


def search(snapshot: IndexSnapshot, text: str, limit: int) -> FileMatches:
    """Return the `limit` best matches for `text`."""
    query = Query(text)
    ranked: list[tuple[_Rank, FileMatch]] = []
    incomplete = False
    if query.terms:
        candidates = Candidates(snapshot.columns, query, limit)
        incomplete = candidates.incomplete
        for path in map(snapshot.columns.path, candidates.files):
            ranked += _ranked(path, query, is_ignored=False)
        for path in snapshot.ignored:
            ranked += _ranked(path, query, is_ignored=True)
    ranked.sort()
    matches = tuple(match for _, match in ranked[:limit])
    return FileMatches(matches, text, snapshot.generation, incomplete)


_Rank = tuple[bool, int, bool, int, str]


def _ranked(path: str, query: Query, *, is_ignored: bool) -> Iterator[tuple[_Rank, FileMatch]]:
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
    is_in_name = min(positions) > path.rfind("/")
    rank = (is_ignored and not is_exact, -score, not is_in_name, len(path), path)
    yield rank, FileMatch(path, tuple(sorted(positions)), score, is_ignored)
