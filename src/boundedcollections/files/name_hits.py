"""Names that hold some letters, as far as a search can afford to look at them."""

from collections.abc import Sequence

from boundedcollections.files import limits
from boundedcollections.files.chosen import Chosen
from boundedcollections.files.engines import Hits
from boundedcollections.files.tables import Tables


class NameHits:
    """
    Finds names for one search.

    Args:
        tables: where to look.
        chosen: is told if something is cut off.
    """

    __slots__ = ("_budget", "_chosen", "_tables")

    def __init__(self, tables: Tables, chosen: Chosen) -> None:
        self._tables = tables
        self._chosen = chosen
        self._budget = tables.engine.most_texts

    def of(self, letters: bytes, spans: Sequence[range]) -> Hits:
        """Return names in these spans that hold the letters; none if they are too many."""
        size = sum(map(len, spans))
        if size > self._budget:
            self._chosen.incomplete = True
            return Hits([], is_cut=True)
        self._budget -= size
        return self._tables.names.matcher.hits(letters, spans, limits.MOST_HITS)
