"""The files that a search has chosen to score, and whether it has left some out."""

from collections.abc import Iterable, Sequence
from heapq import nsmallest
from itertools import islice

from boundedcollections.files import limits
from boundedcollections.files.listings import Sized
from boundedcollections.files.query import Query
from boundedcollections.files.scoring import fold, holds
from boundedcollections.files.tables import Tables
from boundedcollections.files.tree import encoded


class Chosen:
    """
    Files chosen for one query.

    Args:
        tables: of the snapshot that is searched.
        query: with one term at least.
        wanted: how many matches are to be shown.

    Attributes:
        main: the longest term, by which files are found.
        text: the same, in lower case.
        letters: the same, encoded.
        split: how many of these letters are for folders: those up to the last ``/``.
        room: so many files of a tier are enough.
        wanted: so many that nothing can score more than are enough.
        others: the other terms, which they are looked at for.
        files: the numbers of the files, in the order in which they were found.
        incomplete: whether a bound has cut something off.
    """

    __slots__ = (
        "_budget",
        "_checks",
        "_columns",
        "_query",
        "files",
        "incomplete",
        "letters",
        "main",
        "others",
        "room",
        "split",
        "text",
        "wanted",
    )

    def __init__(self, tables: Tables, query: Query, wanted: int) -> None:
        self.main, *self.others = sorted(query.terms, key=len, reverse=True)
        self.text = fold(self.main, ignore_case=True).folded
        self.letters = encoded(self.text)
        self.split = self.letters.rfind(b"/") + 1
        self.room = max(limits.MOST_CANDIDATES, 2 * wanted)
        self.wanted = self.room if self.others else wanted
        self._columns = tables.columns
        self._budget = tables.engine.most_texts
        self._query = query
        # In its case the main term was not compared by what has found the file.
        self._checks: Sequence[str] = self.others if query.ignore_case else query.terms
        self.files: dict[int, None] = {}
        self.incomplete = tables.is_partial

    def afford(self, texts: int) -> bool:
        """Return whether there is time to look at so many texts; if not, say that some are not."""
        if texts > self._budget:
            self.incomplete = True
            return False
        self._budget -= texts
        return True

    def add_shortest(self, files: Iterable[Sized], *, has_case: bool) -> None:
        """
        Add the shortest of the files that hold all terms, as many as are wanted.

        Args:
            files: that hold the main term.
            has_case: whether they hold it in its case, too; otherwise those are passed over whose
                name does not begin with it so.
        """
        if not self.others and (has_case or self._query.ignore_case):
            self.files |= dict.fromkeys(file for _, file in nsmallest(self.wanted, files))
            return
        several = nsmallest(limits.MOST_CHECKED + 1, files)
        passing = (
            file
            for _, file in several[: limits.MOST_CHECKED]
            if (has_case or self._begins(file)) and self._passes(file, self.others)
        )
        found = dict.fromkeys(islice(passing, self.wanted))
        self.incomplete |= len(several) > limits.MOST_CHECKED and len(found) < self.wanted
        self.files |= found

    def add(self, files: Iterable[int], most: int) -> None:
        """Add files that hold all terms; the incomplete one has more."""
        added = failed = 0
        for file in files:
            if file in self.files:
                continue
            if added == most or failed == limits.MOST_CHECKED:
                self.incomplete = True
                return
            if self._passes(file, self._checks):
                added += 1
                self.files[file] = None
            else:
                failed += 1

    def _passes(self, file: int, checks: Sequence[str]) -> bool:
        """Return whether a path holds terms that were not compared yet, or not in their case."""
        if not checks:
            return True
        text = fold(self._columns.path(file), ignore_case=self._query.ignore_case).folded
        return all(holds(term, text) for term in checks)

    def _begins(self, file: int) -> bool:
        """Return whether a name, behind its folders, begins with the main term in its case."""
        if self._query.ignore_case:
            return True
        path = fold(self._columns.path(file), ignore_case=False).folded
        begin = path.rfind("/") - self.main.rfind("/")
        return f"/{path}".startswith(f"/{self.main}", begin)

    def has_case(self, folder: int) -> bool:
        """Return whether a folder's path holds the main term in its case, where it is."""
        path = fold(self._columns.folder(folder), ignore_case=False).folded
        begin = path.rfind("/", 0, -1) + 1
        if self.main.endswith("/"):
            return path.endswith(self.main)
        above, _, component = self.main.rpartition("/")
        return path.startswith(component, begin) and path[:begin].endswith(
            above + "/" * bool(above)
        )
