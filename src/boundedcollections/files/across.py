"""
Files found by way of their folders: those hold the query, or its beginning, and names the rest.

All of this is bounded by the folders and names that are looked into.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from heapq import nsmallest
from itertools import islice

from boundedcollections.files import limits
from boundedcollections.files.chosen import Chosen
from boundedcollections.files.engines import Hits
from boundedcollections.files.listings import FolderListings, climb, holds_all
from boundedcollections.files.name_hits import NameHits
from boundedcollections.files.tables import Tables
from boundedcollections.files.tree import encoded


class AcrossFolders:
    """
    Finds files by way of their folders, for one search.

    Args:
        tables: where to look.
        chosen: what is sought, and where files are added.
        name_hits: finds names.
    """

    __slots__ = ("_chosen", "_entered", "_levels", "_listings", "_name_hits", "_tables")

    def __init__(
        self,
        tables: Tables,
        chosen: Chosen,
        listings: FolderListings,
        name_hits: NameHits,
    ) -> None:
        self._tables = tables
        self._chosen = chosen
        self._listings = listings
        self._name_hits = name_hits
        self._entered = 0  # names in folders that were looked into
        self._levels: dict[int, int] = {}

    def add_folders(self) -> None:
        """Add files in folders that hold the whole query."""
        matcher = self._tables.folders.matcher
        hits = matcher.hits(self._chosen.letters, self._all_folders(), self._chosen.room // 3)
        self._chosen.incomplete |= hits.is_cut
        for folder in hits.numbers:
            self._entered += self._tables.folders.size(folder)
            if self._entered > limits.MOST_NAMES:
                self._chosen.incomplete = True
                break
            listed = self._listings.smallest(folder, limits.MOST_LISTED + 1)
            self._chosen.add((file for _, file in listed), limits.MOST_LISTED)

    def add_parted(self) -> None:
        """Add names that hold what is behind the ``/``, in folders that hold what is before."""
        above = self._chosen.letters[: self._chosen.split]
        hits = self._tables.folders.matcher.hits(
            above, self._all_folders(), limits.MOST_QUICK_FOLDERS
        )
        self._chosen.incomplete |= hits.is_cut
        self._add_held(hits.numbers, lambda _: len(above), limits.MOST_QUICK_NAMES)

    def add_ends(self) -> None:
        """Add names that begin with the end of the query, in folders that hold its beginning."""
        chosen, names = self._chosen, self._tables.names
        if chosen.split:
            ends = [chosen.letters[chosen.split :]]
        else:
            most = min(len(chosen.text), limits.MOST_SPLITS)
            ends = [encoded(chosen.text[begin:]) for begin in range(1, most)]
        for end in ends:
            found = names.beginning(end)
            if not end or not found:
                continue
            held = chosen.letters[: -len(end)]
            if len(names.places(found)) <= limits.MOST_ENDS:
                shortest = (file for _, file in sorted(names.sized(found)))
                chosen.add(self._in_folders_with(held, shortest), chosen.room // 2)
            elif not chosen.split:
                folders = self._tables.folders.at(b"", held)
                chosen.add(self._files_in(folders, end), limits.MOST_LISTED)

    def _in_folders_with(self, held: bytes, files: Iterable[int]) -> Iterator[int]:
        """Yield the files whose folders hold these letters."""
        for file in files:
            if holds_all(held, self._listings.path(self._tables.folder_of(file))):
                yield file

    def _files_in(self, folders: Iterable[int], prefix: bytes) -> Iterator[int]:
        """Yield files whose names begin with `prefix`, as long as there is time."""
        sized = ((self._tables.folders.lengths[number], number) for number in folders)
        for _, folder in nsmallest(limits.MOST_ENTERED, sized):
            self._entered += self._tables.folders.size(folder)
            if self._entered > limits.MOST_NAMES:
                return
            for _, file, name in self._listings.names(folder, prefix):
                if name.startswith(prefix):
                    yield file

    def add_paths(self) -> None:
        """Add files whose folders hold the beginning of the query, and their names the rest."""
        least, folders = self._folders_that_hold()
        self._add_held(
            [number for number in folders if self._level(number) >= least],
            self._level,
            limits.MOST_NAMES,
        )
        if least > len(self._chosen.letters[: self._chosen.split] or self._chosen.text[:1]):
            self._chosen.incomplete = True
            if not self._chosen.split:
                self._add_names_behind()

    def _folders_that_hold(self) -> tuple[int, Sequence[int]]:
        """Return folders that hold so many letters of the query, as few as there is time for."""
        text, matcher = self._chosen.text, self._tables.folders.matcher
        least = max(1, text.rfind("/") + 1)
        most = len(text) + 1
        best = Hits([], is_cut=False)
        size = least if least > 1 else min(limits.USUAL_PART, most - 1)
        while least < most:
            letters = encoded(text[:size])
            hits = matcher.hits(letters, self._all_folders(), limits.MOST_FOLDERS)
            if not hits.is_cut:
                best, most = hits, size
            else:
                least = size + 1
            size = (least + most) // 2
        return most, best.numbers

    def _add_names_behind(self) -> None:
        """Add names that hold most of the query, in folders that hold what is before that."""
        chosen, names = self._chosen, self._tables.names
        held = encoded(chosen.text[: max(1, len(chosen.text) // 3)])
        hits = self._name_hits.of(chosen.letters[len(held) :], [range(len(names))])
        files = (
            file
            for number in hits.numbers[: limits.MOST_CHECKED]
            for _, file in islice(names.sized(range(number, number + 1)), chosen.wanted)
        )
        chosen.add(self._in_folders_with(held, files), chosen.room)

    def _all_folders(self) -> list[range]:
        return [range(len(self._tables.folders.lengths))]

    def _level(self, folder: int) -> int:
        """Return how many bytes of the query the path of a folder holds."""
        if folder not in self._levels:
            self._levels[folder] = climb(self._chosen.letters, self._listings.path(folder))
        return self._levels[folder]

    def _add_held(self, folders: Iterable[int], level: Callable[[int], int], most: int) -> None:
        """Add files whose names hold what their folders leave of the query, the shortest first."""
        found: list[tuple[bool, int, int]] = []
        most_at_once = most // 4
        for folder in folders:
            rest = self._chosen.letters[level(folder) :]
            files = self._tables.folders.size(folder)
            is_large = files > most_at_once  # then only names that begin with it
            self._chosen.incomplete |= is_large
            if rest:
                listing = self._listings.names(folder, rest, at_start=is_large)
                found += [(not name.startswith(rest), size, file) for size, file, name in listing]
            else:
                shortest = self._listings.smallest(folder, self._chosen.room)
                found += [(False, length, file) for length, file in shortest]
            most -= files
            if most <= 0:
                self._chosen.incomplete = True
                break
        found.sort()
        self._chosen.add((file for _, _, file in found), self._chosen.room)
