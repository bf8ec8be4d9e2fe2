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

from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from heapq import nsmallest
from itertools import chain, islice
from re import Pattern, escape
from typing import Final, NamedTuple

from boundedcollections.files.engines import Engine, Hits, Matcher
from boundedcollections.files.query import Query
from boundedcollections.files.scoring import fold, holds
from boundedcollections.files.standard import compiled, subsequence
from boundedcollections.files.tables import Tables, composed, folded
from boundedcollections.files.tree import decoded, encoded

_MOST_HITS: Final = 1_000
"""So many names of a tier are chosen from. If there are fewer, the next query looks at no others."""

_MOST_CANDIDATES: Final = 48
"""So many files of a tier are scored, or twice as many as are wanted if that is more."""

_MOST_LISTED: Final = 4
"""So many files of each folder that holds the query."""

_MOST_FOLDERS: Final = 300
"""So many folders are looked into."""

_MOST_QUICK_FOLDERS: Final = 128
"""So many for the first answer."""

_MOST_NAMES: Final = 10_000
"""So many names in them."""

_MOST_QUICK_NAMES: Final = 4_000
"""So many for the first answer."""

_MOST_CHECKED: Final = 400
"""So many files of a tier may lack the rest of a query, or have it in another case."""

_MOST_ENDS: Final = 400
"""So many files, at most, are called as a query ends, for their folders to be looked at."""

_MOST_ENTERED: Final = 32
"""So many folders, at most, are looked into for them instead."""

_MOST_SPLITS: Final = 24
"""A query is parted between folder and name in so many places."""

_USUAL_PART: Final = 6
"""So many letters are what few enough folders hold, as a rule."""

_Sized = tuple[int, int]
"""The length of a path, and the number of the file, or of the folder."""


class Narrowing(NamedTuple):
    """
    The names that hold a query, so that only they are searched when it grows.

    Attributes:
        tables: that they are from.
        letters: the query.
        numbers: of the names.
        matcher: of these names alone, in the same order.
    """

    tables: Tables
    letters: bytes
    numbers: Sequence[int]
    matcher: Matcher


class Candidates:
    """
    The files of one snapshot that are worth scoring for one query.

    Args:
        tables: where to look.
        query: with one term at least.
        wanted: how many matches are to be shown.
        narrowing: what an earlier query has left, if anything; used if it fits.

    Attributes:
        files: their numbers, in the order in which they were found.
        incomplete: whether a bound has cut something off.
    """

    __slots__ = (
        "_budget",
        "_checks",
        "_entered",
        "_folded",
        "_letters",
        "_levels",
        "_main",
        "_names",
        "_narrowing",
        "_others",
        "_patterns",
        "_query",
        "_room",
        "_split",
        "_tables",
        "_text",
        "_wanted",
        "files",
        "incomplete",
    )

    def __init__(
        self, tables: Tables, query: Query, wanted: int, narrowing: Narrowing | None
    ) -> None:
        main, *others = sorted(query.terms, key=len, reverse=True)
        self._tables = tables
        self._query = query
        self._main = main
        self._others = others
        self._checks: Sequence[str] = others if query.ignore_case else query.terms
        self._text = fold(main, ignore_case=True).folded
        self._letters = encoded(self._text)
        self._split = self._letters.rfind(b"/") + 1
        self._room = max(_MOST_CANDIDATES, 2 * wanted)
        self._wanted = self._room if others else wanted
        self._narrowing = narrowing if self._fits(narrowing) else None
        self._entered = 0
        self._budget = tables.engine.most_texts
        self._names: list[int] | None = []
        self._folded: dict[int, bytes] = {}
        self._levels: dict[int, int] = {}
        self._patterns: dict[bytes, Pattern[bytes]] = {}
        self.files: dict[int, None] = {}
        self.incomplete = tables.is_partial

    def _fits(self, narrowing: Narrowing | None) -> bool:
        return (
            narrowing is not None
            and narrowing.tables is self._tables
            and self._letters.startswith(narrowing.letters)
            and not self._split
        )

    @property
    def has_all_names(self) -> bool:
        """Whether no names are left to be looked at."""
        names = self._tables.names
        return (
            self._split > 0
            or self._narrowing is not None
            or len(names) <= self._tables.engine.quick_texts
        )

    # ── the tiers ───────────────────────────────────────────────────────────────────────────

    def best(self) -> None:
        """Add what nothing can score more than; more of it than is wanted would be in vain."""
        above, prefix = self._letters[: self._split], self._letters[self._split :]
        if prefix:
            names = self._tables.names.beginning(prefix)
            sized = self._files_of(names, prefix, above) if above else self._files(names)
            self._add(self._shortest(sized, self._checks))
            if not above and len(self.files) >= self._wanted:
                return  # of equals, a match in the name comes before one in a folder
        roots = self._tables.folders.at(above, prefix)
        if not self._query.ignore_case:
            self.incomplete |= len(roots) > _MOST_CHECKED
            roots = [number for number in roots[:_MOST_CHECKED] if self._has_case(number)]
        below = self._files_below(self._tables.folders.below(roots))
        self._add(self._shortest(below, self._others))

    def likely(self) -> None:
        """Add what is most likely to be among the best of what is left."""
        if self._split:
            self._add_parted()
        elif self._narrowing is None:
            self._add_names(self._hits(self._letters, self._likely_spans()))
        else:
            numbers = self._narrowing.numbers
            everything = [range(len(numbers))]
            hits = self._narrowing.matcher.hits(self._letters, everything, _MOST_HITS)
            self._add_names(Hits([numbers[place] for place in hits.numbers], hits.is_cut))
        self._add_folders()
        self._add_ends()

    def others(self) -> None:
        """Add names that were not likely."""
        if not self._split and self._narrowing is None:
            likely = self._likely_spans()[0]
            others = [range(likely.start), range(likely.stop, len(self._tables.names))]
            if any(others):
                self._add_names(self._hits(self._letters, others))

    def rest(self, *, is_poor: bool) -> None:
        """Add paths, if what there is, is not enough or poor; then there is nothing else."""
        if is_poor or len(self.files) < self._wanted:
            self._add_paths()
        else:  # a path that holds the letters elsewhere might score as much
            self.incomplete = True

    def narrowing(self, engine: Engine) -> Narrowing | None:
        """Return what the next query may be narrowed by, after all tiers."""
        if self._narrowing is not None or self._split or self._names is None:
            return self._narrowing
        names = self._tables.names
        matcher = engine.matcher([[names[number] for number in self._names]])
        return Narrowing(self._tables, self._letters, self._names, matcher)

    def worth_scoring(self, scored: AbstractSet[int]) -> list[str]:
        """Return the paths of the files but those that were scored; the best, if there are many."""
        paths = [self._tables.columns.path(file) for file in self.files.keys() - scored]
        paths.sort(key=len)
        engine = self._tables.engine
        most = max(engine.most_scored, 2 * self._wanted)
        if len(paths) <= most:
            return paths
        matcher = engine.matcher([[composed(encoded(path)) for path in paths]])
        hits = matcher.hits(self._letters, [range(len(paths))], most)
        self.incomplete |= hits.is_cut
        return [paths[number] for number in hits.numbers]

    # ── names ───────────────────────────────────────────────────────────────────────────────

    def _files(self, names: range) -> Iterator[_Sized]:
        """Return the files with these names."""
        table, places = self._tables.names, self._tables.names.places(names)
        begin, end = places.start, places.stop
        return zip(table.lengths[begin:end], table.files[begin:end], strict=True)

    def _files_of(self, names: range, prefix: bytes, above: bytes) -> Iterator[_Sized]:
        """Yield the files with these names whose folders end with `above`."""
        folders = set(self._tables.folders.at(above, b""))
        if len(self._tables.names.places(names)) <= _MOST_CHECKED:
            for length, file in self._files(names):
                if self._tables.folder_of(file) in folders:
                    yield length, file
            return
        self.incomplete |= len(folders) > _MOST_FOLDERS
        for folder in islice(sorted(folders), _MOST_FOLDERS):
            for length, file, name in self._listing(folder):
                if name.startswith(
                    prefix
                ):  # pragma: no branch  # seen only where names are very many
                    yield length, file

    def _likely_spans(self) -> list[range]:
        """Return which names are looked at first: all of them, if they are not many."""
        names = self._tables.names
        if len(names) <= self._tables.engine.quick_texts:
            return [range(len(names))]
        return [names.beginning(self._letters[:1])]

    def _hits(self, letters: bytes, spans: Sequence[range]) -> Hits:
        """Return names that hold the letters, as far as the engine can afford it."""
        size = sum(map(len, spans))
        if size > self._budget:
            self.incomplete = True
            return Hits([], is_cut=True)
        self._budget -= size
        return self._tables.names.matcher.hits(letters, spans, _MOST_HITS)

    def _add_names(self, hits: Hits) -> None:
        if hits.is_cut:
            self._names = None
        elif self._names is not None:
            self._names += hits.numbers
        files = (
            file
            for number in hits.numbers
            for _, file in islice(self._files(range(number, number + 1)), self._wanted)
        )
        self.incomplete |= hits.is_cut
        self._add_some(files, self._room)

    # ── folders ─────────────────────────────────────────────────────────────────────────────

    def _files_below(self, ranges: Sequence[range]) -> list[_Sized]:
        """Return files in these folders; all of the shortest that are wanted are among them."""
        lengths = self._tables.folders.lengths
        sized = chain.from_iterable(zip(lengths[r.start : r.stop], r, strict=True) for r in ranges)
        wanted = _MOST_CHECKED if self._others else self._wanted
        found: list[_Sized] = []
        looked = 0
        for length, folder in nsmallest(_MOST_FOLDERS, sized):
            if len(found) == wanted and length >= found[-1][0]:
                return found
            found += self._smallest(folder, wanted)
            looked += self._tables.folders.size(folder)
            found.sort()
            del found[wanted:]
            if looked > _MOST_NAMES:
                break
        self.incomplete |= looked > _MOST_NAMES or sum(map(len, ranges)) > _MOST_FOLDERS
        return found

    def _add_folders(self) -> None:
        """Add files in folders that hold the whole query."""
        matcher = self._tables.folders.matcher
        hits = matcher.hits(self._letters, self._all_folders(), self._room // 3)
        self.incomplete |= hits.is_cut
        for folder in hits.numbers:
            self._entered += self._tables.folders.size(folder)
            if self._entered > _MOST_NAMES:
                self.incomplete = True
                break
            listed = self._smallest(folder, _MOST_LISTED + 1)
            self._add_some((file for _, file in listed), _MOST_LISTED)

    def _add_parted(self) -> None:
        """Add names that hold what is behind the ``/``, in folders that hold what is before."""
        above = self._letters[: self._split]
        hits = self._tables.folders.matcher.hits(above, self._all_folders(), _MOST_QUICK_FOLDERS)
        self.incomplete |= hits.is_cut
        self._add_held(hits.numbers, lambda _: len(above), _MOST_QUICK_NAMES)

    def _add_ends(self) -> None:
        """Add names that begin with the end of the query, in folders that hold its beginning."""
        names = self._tables.names
        begins = [self._split] if self._split else range(1, min(len(self._text), _MOST_SPLITS))
        for begin in begins:
            text = self._letters[begin:] if self._split else encoded(self._text[begin:])
            held = self._letters[: len(self._letters) - len(text)]
            found = names.beginning(text)
            if not text or not found:
                continue
            if len(names.places(found)) <= _MOST_ENDS:
                files = (
                    file
                    for _, file in sorted(self._files(found))
                    if _holds(held, self._folder(self._tables.folder_of(file)))
                )
                self._add_some(files, self._room // 2)
            elif not self._split:
                self._add_some(
                    self._files_in(self._tables.folders.at(b"", held), text), _MOST_LISTED
                )

    def _files_in(self, folders: Iterable[int], prefix: bytes) -> Iterator[int]:
        """Yield files whose names begin with `prefix`, as long as there is time."""
        sized = ((self._tables.folders.lengths[number], number) for number in folders)
        for _, folder in nsmallest(_MOST_ENTERED, sized):
            self._entered += self._tables.folders.size(folder)
            if self._entered > _MOST_NAMES:
                return
            for _, file, name in self._listing(folder, prefix):
                if name.startswith(prefix):
                    yield file

    # ── paths ───────────────────────────────────────────────────────────────────────────────

    def _add_paths(self) -> None:
        """Add files whose folders hold the beginning of the query, and their names the rest."""
        least, folders = self._folders_that_hold()
        self._add_held(
            [number for number in folders if self._level(number) >= least],
            self._level,
            _MOST_NAMES,
        )
        if least > len(self._letters[: self._split] or self._text[:1]):
            self.incomplete = True
            if not self._split:
                self._add_names_behind()

    def _folders_that_hold(self) -> tuple[int, Sequence[int]]:
        """Return folders that hold so many letters of the query, as few as there is time for."""
        matcher = self._tables.folders.matcher
        least = max(1, self._text.rfind("/") + 1)
        most = len(self._text) + 1
        best = Hits([], is_cut=False)
        size = least if least > 1 else min(_USUAL_PART, most - 1)
        while least < most:
            hits = matcher.hits(encoded(self._text[:size]), self._all_folders(), _MOST_FOLDERS)
            if not hits.is_cut:
                best, most = hits, size
            else:
                least = size + 1
            size = (least + most) // 2
        return most, best.numbers

    def _add_names_behind(self) -> None:
        """Add names that hold most of the query, in folders that hold what is before that."""
        size = max(1, len(self._text) // 3)
        held = encoded(self._text[:size])
        hits = self._hits(self._letters[len(held) :], [range(len(self._tables.names))])
        files = (
            file
            for number in hits.numbers[:_MOST_CHECKED]
            for _, file in islice(self._files(range(number, number + 1)), self._wanted)
            if _holds(held, self._folder(self._tables.folder_of(file)))
        )
        self._add_some(files, self._room)

    def _all_folders(self) -> list[range]:
        return [range(len(self._tables.folders.lengths))]

    def _level(self, folder: int) -> int:
        """Return how many bytes of the query the path of a folder holds."""
        if folder not in self._levels:
            self._levels[folder] = _climb(self._letters, self._folder(folder))
        return self._levels[folder]

    def _folder(self, number: int) -> bytes:
        if number not in self._folded:
            self._folded[number] = self._tables.folders.path(number)
        return self._folded[number]

    def _add_held(self, folders: Iterable[int], level: Callable[[int], int], most: int) -> None:
        """Add files whose names hold what their folders leave of the query, the shortest first."""
        found: list[tuple[bool, int, int]] = []
        most_at_once = most // 4
        for folder in folders:
            rest = self._letters[level(folder) :]
            files = self._tables.folders.size(folder)
            is_large = files > most_at_once  # then only names that begin with it
            self.incomplete |= is_large
            if rest:
                listing = self._listing(folder, rest, at_start=is_large)
                found += [(not name.startswith(rest), size, file) for size, file, name in listing]
            else:
                found += [(False, *sized) for sized in self._smallest(folder, self._room)]
            most -= files
            if most <= 0:
                self.incomplete = True
                break
        found.sort()
        self._add_some((file for _, _, file in found), self._room)

    def _smallest(self, folder: int, most: int) -> list[_Sized]:
        """Return the files right in a folder that have the shortest names."""
        columns = self._tables.columns
        base = self._tables.folders.lengths[folder]
        sized: list[_Sized] = []
        for block in self._tables.folders.blocks(folder):
            names = columns.names[columns.offsets[block] + 1 : columns.offsets[block + 1]]
            lengths = (
                map(len, names.split(b"\0"))
                if names.isascii()
                else map(len, decoded(names).split("\0"))
            )
            sized += zip(lengths, range(columns.starts[block], columns.files), strict=False)
        return [(base + length, file) for length, file in nsmallest(most, sized)]

    def _listing(
        self, folder: int, letters: bytes = b"", *, at_start: bool = False
    ) -> Iterator[tuple[int, int, bytes]]:
        """
        Yield files right in a folder: the length of the path, the number, and the name.

        Args:
            folder: its number.
            letters: that a name must hold.
            at_start: whether it must begin with them.
        """
        columns = self._tables.columns
        base = self._tables.folders.lengths[folder]
        pattern = compiled(b"\0" + escape(letters)) if at_start else self._pattern(letters)
        for block in self._tables.folders.blocks(folder):
            names = columns.names[columns.offsets[block] : columns.offsets[block + 1]]
            first = columns.starts[block]
            if not names.isascii():
                for file, name in enumerate(names[1:].split(b"\0"), first):
                    text = folded(name)
                    if text.startswith(letters) if at_start else _holds(letters, text):
                        yield base + len(decoded(name)), file, text
                continue
            names = names.lower()
            if not letters:
                for file, name in enumerate(names[1:].split(b"\0"), first):
                    yield base + len(name), file, name
                continue
            for match in pattern.finditer(names):
                file = first + names.count(b"\0", 0, match.start())
                end = names.find(b"\0", match.end())
                name = names[match.start() + 1 : end if end >= 0 else None]
                yield base + len(name), file, name

    def _pattern(self, letters: bytes) -> Pattern[bytes]:
        if letters not in self._patterns:
            self._patterns[letters] = subsequence(letters)
        return self._patterns[letters]

    # ── choosing ────────────────────────────────────────────────────────────────────────────

    def _shortest(self, files: Iterable[_Sized], checks: Sequence[str]) -> Iterable[int]:
        """Return the shortest of the files, as many as are wanted, that hold these terms."""
        if not checks:
            return [file for _, file in nsmallest(self._wanted, files)]
        several = nsmallest(_MOST_CHECKED + 1, files)
        self.incomplete |= len(several) > _MOST_CHECKED
        passing = (file for _, file in several[:_MOST_CHECKED] if self._passes(file, checks))
        return islice(passing, self._wanted)

    def _add_some(self, files: Iterable[int], most: int) -> None:
        """Add files that hold all terms; the incomplete one has more."""
        added = failed = 0
        for file in files:
            if file in self.files:
                continue
            if added == most or failed == _MOST_CHECKED:
                self.incomplete = True
                return
            if self._passes(file, self._checks):
                added += 1
                self.files[file] = None
            else:
                failed += 1

    def _add(self, files: Iterable[int]) -> None:
        self.files |= dict.fromkeys(files)

    def _passes(self, file: int, checks: Sequence[str]) -> bool:
        """Return whether a path holds terms that were not compared yet, or not in their case."""
        if not checks:
            return True
        text = fold(self._tables.columns.path(file), ignore_case=self._query.ignore_case).folded
        return all(holds(term, text) for term in checks)

    def _has_case(self, folder: int) -> bool:
        """Return whether a folder's path holds the main term in its case, where it is."""
        path = fold(self._tables.columns.folder(folder), ignore_case=False).folded
        begin = path.rfind("/", 0, -1) + 1
        if self._main.endswith("/"):
            return path.endswith(self._main)
        above, _, component = self._main.rpartition("/")
        return path.startswith(component, begin) and path[:begin].endswith(
            above + "/" * bool(above)
        )


def _holds(letters: bytes, text: bytes) -> bool:
    return _climb(letters, text) == len(letters)


def _climb(letters: bytes, text: bytes) -> int:
    """Return how many of the letters `text` holds, in order."""
    at = -1
    for level, letter in enumerate(letters):
        at = text.find(letter, at + 1)
        if at < 0:
            return level
    return len(letters)
