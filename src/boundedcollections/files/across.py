"""
Files found by way of their folders: those hold the query, or its beginning, and names the rest.

All of this is bounded by the folders and names that are looked into.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

from boundedcollections.files import limits
from boundedcollections.files.chosen import Chosen
from boundedcollections.files.engines import Hits
from boundedcollections.files.folder_hits import FolderHits
from boundedcollections.files.listings import FolderListings, climb, holds_all
from boundedcollections.files.name_hits import NameHits
from boundedcollections.files.tables import Tables
from boundedcollections.files.tree import encoded

_STEPS: Final = tuple(
    step << shift for shift in range(9) for step in ((2, 3) if shift else (1, 2, 3))
)
"""So long are beginnings of a query that folders are asked for while names are for the rest."""


class AcrossFolders:
    """
    Finds files by way of their folders, for one search.

    Args:
        tables: where to look.
        chosen: what is sought, and where files are added.
        listings: of folders.
        folder_hits: finds folders.
        name_hits: finds names.
    """

    __slots__ = (
        "_chosen",
        "_entered",
        "_folder_hits",
        "_has_behind",
        "_held",
        "_levels",
        "_listings",
        "_name_hits",
        "_tables",
    )

    def __init__(
        self,
        tables: Tables,
        chosen: Chosen,
        listings: FolderListings,
        folder_hits: FolderHits,
        name_hits: NameHits,
    ) -> None:
        self._tables = tables
        self._chosen = chosen
        self._listings = listings
        self._folder_hits = folder_hits
        self._name_hits = name_hits
        self._entered = 0  # names in folders that were looked into
        self._held: set[tuple[int, int]] = set()  # folders that were, and for how many letters
        self._levels: dict[int, int] = {}
        self._has_behind = False

    def add_folders(self, *, likely: bool) -> None:
        """Add files in folders that hold the whole query."""
        hits = self._folder_hits.of(self._chosen.letters, likely=likely)
        for folder in self._best(hits, self._chosen.room // 3):
            self._entered += self._tables.folders.size(folder)
            if self._entered > limits.MOST_NAMES:
                self._chosen.incomplete = True
                break
            listed = self._listings.smallest(folder, limits.MOST_LISTED + 1, limits.MOST_NAMES)
            self._chosen.add((file for _, file in listed), limits.MOST_LISTED)

    def add_begun(self) -> None:
        """Add names that hold what is behind the ``/``, below folders that begin as is said."""
        above = self._chosen.letters[: self._chosen.split]
        parts = above[:-1].split(b"/")
        hits = self._tables.folders.beginning(parts, limits.MOST_BEGUN)
        folders = self._best(hits, limits.MOST_QUICK_FOLDERS)
        self._add_held(folders, lambda _: len(above), limits.MOST_QUICK_NAMES)

    def add_parted(self, *, likely: bool) -> None:
        """Add names that hold what is behind the ``/``, in folders that hold what is before."""
        above = self._chosen.letters[: self._chosen.split]
        hits = self._folder_hits.of(above, likely=likely)
        folders = self._best(hits, limits.MOST_QUICK_FOLDERS)
        self._add_held(folders, lambda _: len(above), limits.MOST_QUICK_NAMES)

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
                folders = self._tables.folders.beginning([held], limits.MOST_BEGUN)
                chosen.add(self._files_in(folders.numbers, end), limits.MOST_LISTED)

    def _in_folders_with(self, held: bytes, files: Iterable[int]) -> Iterator[int]:
        """Yield the files whose folders hold these letters."""
        for file in files:
            if holds_all(held, self._listings.path(self._tables.folder_of(file))):
                yield file

    def _files_in(self, folders: Iterable[int], prefix: bytes) -> Iterator[int]:
        """Yield files whose names begin with `prefix`, as long as there is time."""
        for folder in islice(folders, limits.MOST_ENTERED):
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
            self.add_behind()

    def _folders_that_hold(self) -> tuple[int, Sequence[int]]:
        """Return folders that hold so many letters of the query, as few as there is time for."""
        text, hits = self._chosen.text, self._folder_hits
        least = max(1, text.rfind("/") + 1)
        most = len(text) + 1
        best: Sequence[int] = ()
        size = least if least > 1 else min(limits.USUAL_PART, most - 1)
        for known in range(least, most):
            is_cut = hits.is_cut(encoded(text[:known]))
            if is_cut:
                least = size = known + 1
            elif is_cut is False:
                size = known
                break
        while least < most:
            found = hits.everywhere(encoded(text[:size]))
            if found.is_cut:
                least = size + 1
            else:
                best, most = found.numbers, size
            size = (least + most) // 2
        return most, best

    def add_behind(self) -> None:
        """Add names that hold most of the query, in folders that hold what is before that; once."""
        if self._has_behind:
            return
        self._has_behind = True
        chosen = self._chosen
        third = max(1, len(chosen.text) // 3)
        some = encoded(chosen.text[: max(step for step in _STEPS if step <= third)])
        before = chosen.letters[: chosen.split] or some
        if len(chosen.letters) - len(before) >= limits.LEAST_BEHIND:
            chosen.add(self._held_with(self._name_hits.behind(len(before))), chosen.room)

    def _held_with(self, names: Iterable[int]) -> Iterator[int]:
        """Yield files with these names that hold the query, together with their folders."""
        table = self._tables.names
        for number in names:
            name = table[number]
            for _, file in islice(table.sized(range(number, number + 1)), self._chosen.wanted):
                level = self._level(self._tables.folder_of(file))
                if holds_all(self._chosen.letters[level:], name):
                    yield file

    def _best(self, hits: Hits, most: int) -> Sequence[int]:
        self._chosen.incomplete |= hits.is_cut or len(hits.numbers) > most
        return hits.numbers[:most]

    def _level(self, folder: int) -> int:
        """Return how many bytes of the query the path of a folder holds."""
        if folder not in self._levels:
            self._levels[folder] = climb(self._chosen.letters, self._listings.path(folder))
        return self._levels[folder]

    def _add_held(self, folders: Iterable[int], level: Callable[[int], int], most: int) -> None:
        """Add files whose names hold what their folders leave of the query, the shortest first."""
        found: list[tuple[bool, int, int]] = []
        most_at_once = most // 2
        best = 0
        for folder in folders:
            if (folder, level(folder)) in self._held:
                continue
            self._held.add((folder, level(folder)))
            before = len(found)
            rest = self._chosen.letters[level(folder) :]
            files = self._tables.folders.size(folder)
            is_large = files > most_at_once  # then only names that begin with it, or some
            self._chosen.incomplete |= is_large
            if rest:
                listing = self._listings.names(folder, rest, at_start=is_large)
                found += [(not name.startswith(rest), size, file) for size, file, name in listing]
            else:
                shortest = self._listings.smallest(folder, self._chosen.room, most_at_once)
                found += [(False, length, file) for length, file in shortest]
            most -= files
            best += sum(not is_worse for is_worse, _, _ in found[before:])
            if most <= 0 or best > self._chosen.room:  # more of the best would not be scored
                self._chosen.incomplete = True
                break
        found.sort()
        self._chosen.add((file for _, _, file in found), self._chosen.room)
