"""
The files that are worth scoring, in tiers, the best first.

No file can score more than one whose base name, or one of whose folders, begins with the query
(if that begins with a letter or a digit). So where the first tiers give enough, the rest need not
be looked at, and the answer is complete all the same. The tiers are

1. base names, and folders, that begin with the query: these are looked up;
2. base names that begin with its first letter and hold the rest in order, folders that hold all
   of it, and names that begin with its end in folders that hold its beginning;
3. all other base names that hold its letters;
4. if there are few, paths that hold them, some in their folders and the rest in their names.

What a query says before its last ``/`` is for the folder, and what it says behind it for the
name. All work is bounded; where a bound cuts something off, the answer is called incomplete.
"""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from heapq import nsmallest
from itertools import chain, islice
from typing import NamedTuple
from weakref import ReferenceType, ref

from boundedcollections.files import limits
from boundedcollections.files.across import AcrossFolders
from boundedcollections.files.chosen import Chosen
from boundedcollections.files.engines import Hits, Matcher
from boundedcollections.files.folder_hits import FolderHits, FoundFolders
from boundedcollections.files.folding import composed
from boundedcollections.files.listings import FolderListings, Sized
from boundedcollections.files.name_hits import Behind, NameHits
from boundedcollections.files.query import Query
from boundedcollections.files.tables import Tables
from boundedcollections.files.tree import encoded


class NarrowedNames(NamedTuple):
    """
    The names that hold a query.

    Attributes:
        letters: the query.
        numbers: of the names.
        matcher: of these names alone, in the same order; None until a longer query needs it.
    """

    letters: bytes
    numbers: Sequence[int]
    matcher: Matcher | None = None


class Narrowing(NamedTuple):
    """
    What a query has left, so that only that is searched when it grows.

    Attributes:
        tables: that it is from; it does not keep them alive.
        letters: the query.
        names: that hold it, or an earlier one that it begins with, unless they are too many.
        behind: names that hold what is behind its beginning.
        folders: that hold its beginning.
    """

    tables: ReferenceType[Tables]
    letters: bytes
    names: NarrowedNames | None
    behind: Behind | None
    folders: FoundFolders


class Candidates:
    """
    The files of one snapshot that are worth scoring for one query.

    Args:
        tables: where to look.
        query: with one term at least.
        wanted: how many matches are to be shown.
        narrowing: what an earlier query has left, if anything; used if it fits.
    """

    __slots__ = (
        "_across",
        "_chosen",
        "_folder_hits",
        "_has_others",
        "_is_parted",
        "_listings",
        "_name_hits",
        "_names",
        "_narrowed",
        "_query",
        "_tables",
    )

    def __init__(
        self, tables: Tables, query: Query, wanted: int, narrowing: Narrowing | None
    ) -> None:
        self._tables = tables
        self._query = query
        self._chosen = Chosen(tables, query, wanted)
        self._listings = FolderListings(tables)
        before = self._fitting(narrowing)
        self._narrowed = None if self._chosen.split else before.names
        self._folder_hits = FolderHits(tables, self._chosen, self._listings, before.folders)
        self._name_hits = NameHits(tables, self._chosen, before.behind)
        self._across = AcrossFolders(
            tables, self._chosen, self._listings, self._folder_hits, self._name_hits
        )
        self._names: list[int] | None = []
        self._is_parted = self._has_others = False

    @property
    def incomplete(self) -> bool:
        """Whether a bound has cut something off."""
        return self._chosen.incomplete

    @property
    def files(self) -> AbstractSet[int]:
        """The numbers of the files, in the order in which they were found."""
        return self._chosen.files.keys()

    def _fitting(self, narrowing: Narrowing | None) -> Narrowing:
        """Return what an earlier query has left, if this one begins as it does."""
        letters = self._chosen.letters
        if (
            narrowing is not None
            and narrowing.tables() is self._tables
            and letters.startswith(narrowing.letters)
        ):
            return narrowing
        return Narrowing(ref(self._tables), letters, None, None, {})

    @property
    def is_everything_likely(self) -> bool:
        """Whether nothing is left to be looked at once what is likely was, but paths."""
        names_are_few = len(self._tables.names) <= self._tables.engine.quick_texts
        has_names = self._chosen.split > 0 or self._narrowed is not None or names_are_few
        return has_names and self._folder_hits.is_quick

    # ── the tiers ───────────────────────────────────────────────────────────────────────────

    def best(self) -> None:
        """Add what nothing can score more than; more of it than is wanted would be in vain."""
        chosen = self._chosen
        above, prefix = chosen.letters[: chosen.split], chosen.letters[chosen.split :]
        if prefix:
            names = self._tables.names.beginning(prefix)
            sized = self._tables.names.sized(names)
            if above:
                sized = self._files_of(names, prefix, above)
            chosen.add_shortest(sized, has_case=False)
            if not above and len(chosen.files) >= chosen.wanted:
                return  # of equals, a match in the name comes before one in a folder
        roots = self._tables.folders.at(above, prefix)
        if not self._query.ignore_case:
            chosen.incomplete |= len(roots) > limits.MOST_CHECKED
            roots = [number for number in roots[: limits.MOST_CHECKED] if chosen.has_case(number)]
        below = self._files_below(self._tables.folders.below(roots))
        chosen.add_shortest(below, has_case=True)

    def likely(self) -> None:
        """Add what is most likely to be among the best of what is left."""
        if self._chosen.split:
            self._add_parted()
        elif self._narrowed is None:
            self._add_names(self._name_hits.of(self._chosen.letters, self._likely_spans()))
        else:
            self._add_names(self._hits_among(self._narrowed))
        self._across.add_folders(likely=True)
        self._across.add_ends()
        if len(self._chosen.files) < self._chosen.wanted:  # rather more than next to nothing
            self._across.add_behind()
        if not self._chosen.files:
            self.others()

    def others(self) -> None:
        """Add what was not likely, once."""
        if self._has_others:
            return
        self._has_others = True
        if not self._chosen.split and self._narrowed is None:
            likely = self._likely_spans()[0]
            others = [range(likely.start), range(likely.stop, len(self._tables.names))]
            if any(others):
                self._add_names(self._name_hits.of(self._chosen.letters, others))
        if self._chosen.split:
            if not self._is_parted:
                self._across.add_parted(likely=True)
            self._across.add_parted(likely=False)
        self._across.add_folders(likely=False)

    def rest(self, *, is_poor: bool) -> None:
        """Add paths, if what there is, is not enough or poor; then there is nothing else."""
        if is_poor or len(self._chosen.files) < self._chosen.wanted:
            self._across.add_paths()
        else:  # a path that holds the letters elsewhere might score as much
            self._chosen.incomplete = True

    def narrowing(self) -> Narrowing:
        """Return what the next query may be narrowed by, after all tiers."""
        letters, narrowed = self._chosen.letters, self._narrowed
        if narrowed is None and not self._chosen.split and self._names is not None:
            narrowed = NarrowedNames(letters, self._names)
        return Narrowing(
            ref(self._tables), letters, narrowed, self._name_hits.found, self._folder_hits.kept()
        )

    def worth_scoring(self, scored: AbstractSet[int]) -> list[str]:
        """Return the paths of the files but those that were scored; the best, if there are many."""
        paths = [self._tables.columns.path(file) for file in self._chosen.files.keys() - scored]
        paths.sort(key=len)
        engine = self._tables.engine
        most = max(engine.most_scored, 2 * self._chosen.wanted)
        if len(paths) <= most:
            return paths
        matcher = engine.matcher([[composed(encoded(path)) for path in paths]])
        hits = matcher.hits(self._chosen.letters, [range(len(paths))], most)
        self._chosen.incomplete |= hits.is_cut
        return [paths[number] for number in hits.numbers]

    # ── names ───────────────────────────────────────────────────────────────────────────────

    def _hits_among(self, narrowed: NarrowedNames) -> Hits:
        """Return those of the names that hold this query, too."""
        numbers, matcher = narrowed.numbers, narrowed.matcher
        if matcher is None:
            names = self._tables.names
            matcher = self._tables.engine.matcher([[names[number] for number in numbers]])
            self._narrowed = narrowed._replace(matcher=matcher)  # for what may follow
        hits = matcher.hits(self._chosen.letters, [range(len(numbers))], limits.MOST_HITS)
        return Hits([numbers[place] for place in hits.numbers], hits.is_cut)

    def _files_of(self, names: range, prefix: bytes, above: bytes) -> Iterator[Sized]:
        """Yield the files with these names whose folders end with `above`."""
        folders = set(self._tables.folders.at(above, b""))
        if len(self._tables.names.places(names)) <= limits.MOST_CHECKED:
            for length, file in self._tables.names.sized(names):
                if self._tables.folder_of(file) in folders:
                    yield length, file
            return
        self._chosen.incomplete |= len(folders) > limits.MOST_FOLDERS
        for folder in islice(sorted(folders), limits.MOST_FOLDERS):
            for length, file, name in self._listings.names(folder):
                if name.startswith(prefix):  # pragma: no branch  # only where names are very many
                    yield length, file

    def _likely_spans(self) -> list[range]:
        """Return which names are looked at first: all of them, if they are not many."""
        names = self._tables.names
        if len(names) <= self._tables.engine.quick_texts:
            return [range(len(names))]
        return [names.beginning(self._chosen.letters[:1])]

    def _add_names(self, hits: Hits) -> None:
        if hits.is_cut:
            self._names = None
        elif self._names is not None:
            self._names += hits.numbers
        chosen, sized = self._chosen, self._tables.names.sized
        files = (
            file
            for number in hits.numbers
            for _, file in islice(sized(range(number, number + 1)), chosen.wanted)
        )
        chosen.incomplete |= hits.is_cut
        chosen.add(files, chosen.room)

    def _add_parted(self) -> None:
        """Add what folders and names hold together; of many folders, those first that begin so."""
        if not self._folder_hits.is_quick:
            self._across.add_begun()
        if self._folder_hits.is_quick or len(self._chosen.files) < self._chosen.wanted:
            self._is_parted = True
            self._across.add_parted(likely=True)

    # ── folders ─────────────────────────────────────────────────────────────────────────────

    def _files_below(self, ranges: Sequence[range]) -> list[Sized]:
        """Return files in these folders; all of the shortest that are wanted are among them."""
        lengths = self._tables.folders.lengths
        sized = chain.from_iterable(zip(lengths[r.start : r.stop], r, strict=True) for r in ranges)
        wanted = limits.MOST_CHECKED if self._chosen.others else self._chosen.wanted
        found: list[Sized] = []
        looked = 0
        for length, folder in nsmallest(limits.MOST_FOLDERS, sized):
            if len(found) == wanted and length >= found[-1][0]:
                return found
            found += self._listings.smallest(folder, wanted, limits.MOST_NAMES)
            looked += self._tables.folders.size(folder)
            found.sort()
            del found[wanted:]
            if looked > limits.MOST_NAMES:
                break
        self._chosen.incomplete |= (
            looked > limits.MOST_NAMES or sum(map(len, ranges)) > limits.MOST_FOLDERS
        )
        return found
