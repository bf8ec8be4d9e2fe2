"""Names that hold some letters in order, as far as a search can afford to look at them."""

from collections.abc import Sequence
from typing import NamedTuple

from boundedcollections.files import limits
from boundedcollections.files.chosen import Chosen
from boundedcollections.files.engines import Hits
from boundedcollections.files.listings import holds_all
from boundedcollections.files.tables import Tables


class Behind(NamedTuple):
    """
    The few names that hold what comes behind the beginning of a query, kept for a longer one.

    Attributes:
        letters: what the names hold.
        numbers: of the names, the best first.
    """

    letters: bytes
    numbers: list[int]


class NameHits:
    """
    Finds names for one search.

    Args:
        tables: where to look.
        chosen: is told if something is cut off.
        found: behind the beginning of an earlier query that this one begins with.

    Attributes:
        found: the same, behind that of this query, once it was looked for.
    """

    __slots__ = ("_chosen", "_tables", "found")

    def __init__(self, tables: Tables, chosen: Chosen, found: Behind | None = None) -> None:
        self._tables = tables
        self._chosen = chosen
        self.found = found

    def of(self, letters: bytes, spans: Sequence[range]) -> Hits:
        """Return names in these spans that hold the letters; none if the spans are too many."""
        return self._hits(letters, spans, limits.MOST_HITS)

    def behind(self, begin: int) -> list[int]:
        """Return names that hold the letters from `begin` on, some of the best."""
        letters, names = self._chosen.letters[begin:], self._tables.names
        before, self.found = self.found, None
        if before and letters.startswith(before.letters):
            hits = Hits([n for n in before.numbers if holds_all(letters, names[n])], is_cut=False)
        else:
            hits = self._hits(letters, [range(len(names))], limits.MOST_BEHIND)
        if not hits.is_cut:
            self.found = Behind(letters, hits.numbers)
        return hits.numbers

    def _hits(self, letters: bytes, spans: Sequence[range], most: int) -> Hits:
        if not self._chosen.afford(sum(map(len, spans))):
            return Hits([], is_cut=True)
        return self._tables.names.matcher.hits(letters, spans, most)
