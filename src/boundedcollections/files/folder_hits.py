"""
Folders that hold some letters in order, as far as a search can afford to look at them.

What is found is kept for the next query. If that is longer, and few folders have held its
beginning, only they can hold all of it.
"""

from itertools import islice
from typing import Final

from boundedcollections.files import limits
from boundedcollections.files.chosen import Chosen
from boundedcollections.files.engines import Hits
from boundedcollections.files.listings import FolderListings, holds_all
from boundedcollections.files.tables import Tables

FoundFolders = dict[tuple[bytes, bool], Hits]
"""What was found for some letters: where they are likely, or elsewhere; the newest last."""

_TEXTS: Final = 3
"""To look at the path of a folder takes as long as to look at so many names."""


class FolderHits:
    """
    Finds folders for one search.

    Args:
        tables: where to look.
        chosen: what is sought; is told if something is cut off.
        listings: of the same folders.
        found: by an earlier query that this one begins with.

    Attributes:
        is_quick: whether there are so few folders that all are likely ones.
    """

    __slots__ = ("_chosen", "_folders", "_found", "_listings", "is_quick")

    def __init__(
        self, tables: Tables, chosen: Chosen, listings: FolderListings, found: FoundFolders
    ) -> None:
        self._folders = tables.folders
        self._chosen = chosen
        self._listings = listings
        self._found = dict(found)
        self.is_quick = len(tables.folders) * _TEXTS <= tables.engine.quick_texts

    def of(self, letters: bytes, *, likely: bool) -> Hits:
        """
        Return folders whose paths hold the letters, at most `MOST_FOLDERS`.

        Args:
            letters: one at least.
            likely: where the last component begins as that of the query does; otherwise elsewhere.
        """
        key = letters, likely
        hits = self._found.pop(key, None)
        if hits is None:
            hits = self._among_few(letters, likely=likely)
        if hits is None:
            places = self._places(letters, likely=likely)
            if not self._chosen.afford(_TEXTS * sum(map(len, places))):
                return Hits([], is_cut=True)
            hits = self._folders.hits(letters, places, limits.MOST_FOLDERS)
        self._found[key] = hits
        return hits

    def everywhere(self, letters: bytes) -> Hits:
        """Return folders whose paths hold the letters, at most `MOST_FOLDERS`."""
        return _both(self.of(letters, likely=True), self.of(letters, likely=False))

    def is_cut(self, letters: bytes) -> bool | None:
        """Return whether too many folders hold the letters, if that is known."""
        likely, others = (self._found.get((letters, is_likely)) for is_likely in (True, False))
        if (likely and likely.is_cut) or (others and others.is_cut):
            return True
        return None if likely is None or others is None else _both(likely, others).is_cut

    def kept(self) -> FoundFolders:
        """Return what a longer query may use."""
        newest = islice(reversed(self._found.items()), limits.MOST_KEPT)
        return dict(reversed(list(newest)))

    def _among_few(self, letters: bytes, *, likely: bool) -> Hits | None:
        """Return those folders that hold the letters, if few hold how they begin."""
        for size in range(len(letters) - 1, 0, -1):
            if self.is_cut(letters[:size]) is False:
                few = self.everywhere(letters[:size]).numbers
                told = [] if likely else self.of(letters, likely=True).numbers
                path = self._listings.path
                numbers = [n for n in few if n not in told and holds_all(letters, path(n))]
                return Hits(numbers, is_cut=False)
        return None

    def _places(self, letters: bytes, *, likely: bool) -> list[range]:
        """Return where the folders are that are likely, or where the others are."""
        initial = letters.rstrip(b"/").rpartition(b"/")[2][:1]
        everything = range(len(self._folders))
        likely_ones = everything if self.is_quick or not initial else self._folders.ending(initial)
        if likely:
            return [likely_ones]
        return [range(likely_ones.start), range(likely_ones.stop, everything.stop)]


def _both(likely: Hits, others: Hits) -> Hits:
    numbers = likely.numbers + others.numbers
    is_cut = likely.is_cut or others.is_cut or len(numbers) > limits.MOST_FOLDERS
    return Hits(numbers[: limits.MOST_FOLDERS], is_cut)
