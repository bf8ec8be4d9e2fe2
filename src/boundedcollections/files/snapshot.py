"""What an index holds at one moment, and the two answers that come with it."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise, takewhile
from sys import getsizeof
from typing import Self, overload

from boundedcollections.files.columns import Columns, after
from boundedcollections.files.globbing import matching
from boundedcollections.files.tree import Found, Tree


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexReport:
    """
    How a scan went.

    Attributes:
        files: files that were indexed; links count as files.
        directories: folders that were read.
        bytes: what the index takes with them.
        ignored_files: paths kept of files that ignore rules leave out; not in `files`.
        skipped: entries left out on purpose: ignored, always skipped, or neither a file nor a
            link nor a folder. A folder counts once, with all that is in it.
        truncated: the names of the bounds that cut something off; empty if nothing is missing.
        errors: folders, entries and ignore files that could not be read.
        seconds: how long the scan took, by the clock of the index.
        is_full: whether all folders were read. A refresh reads only those that have changed, and
            `directories`, `skipped` and `errors` are of these.
    """

    files: int
    directories: int
    bytes: int
    ignored_files: int
    skipped: int
    truncated: tuple[str, ...]
    errors: int
    seconds: float
    is_full: bool = True


class IndexSnapshot(Sequence[str]):
    """
    The paths of files below a folder, relative to it, with ``/``, in the order of ``sorted()``.

    It never changes: whoever holds one may read it from any thread, for as long as they like,
    and waits for nothing. An item takes about 1 us, a search for one O(log n) of these; iteration
    is faster.

    Attributes:
        generation: the number of the scan that made it; 0 before the first.
        began: when that scan began, by the clock of the index.
        report: how it went.
        ignored: paths of files that ignore rules leave out, as far as they are kept, in order.
        columns: how the paths are kept.
        rules: the stamps of the ignore files of each folder that has some; None if none was taken.
        rules_at_root: the stamp of the ignore files around the root.
        refreshes: how many refreshes there were since all folders were read.
        bytes: what it takes in memory.
    """

    __slots__ = (
        "__weakref__",
        "began",
        "bytes",
        "columns",
        "generation",
        "ignored",
        "refreshes",
        "report",
        "rules",
        "rules_at_root",
    )

    def __init__(
        self,
        found: Found,
        generation: int,
        began: float,
        seconds: float,
        *,
        columns: Columns | None = None,
        refreshes: int = 0,
    ) -> None:
        self.columns = Columns(found.tree) if columns is None else columns
        self.ignored = found.ignored
        self.rules = found.rules
        self.rules_at_root = found.rules_at_root
        self.generation = generation
        self.began = began
        self.refreshes = refreshes
        self.bytes = (
            getsizeof(self)
            + self.columns.bytes
            + getsizeof(self.ignored)
            + sum(map(getsizeof, self.ignored))
        )
        if self.rules is not None:
            self.bytes += getsizeof(self.rules)
            self.bytes += sum(map(getsizeof, (*self.rules, *self.rules.values())))
        self.report = IndexReport(
            files=self.columns.files,
            directories=found.directories,
            bytes=self.bytes,
            ignored_files=len(found.ignored),
            skipped=found.skipped,
            truncated=found.truncated,
            errors=found.errors,
            seconds=seconds,
            is_full=not refreshes,
        )

    @classmethod
    def empty(cls) -> Self:
        """Return what there is before the first scan."""
        tree = Tree()
        tree.add([b""])
        return cls(Found(tree, 0, 0, 0, 0, (), (), ()), 0, 0.0, 0.0)

    def __len__(self) -> int:
        return self.columns.files

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if not isinstance(index, slice):
            return self.columns.path(range(len(self))[index])
        numbers = range(len(self))[index]
        if numbers.step == 1:
            return list(islice(self.columns.paths(numbers.start), len(numbers)))
        return list(map(self.columns.path, numbers))

    def __iter__(self) -> Iterator[str]:
        return self.columns.paths(0)

    def __contains__(self, path: object) -> bool:
        return isinstance(path, str) and self._find(path) is not None

    def __repr__(self) -> str:
        return f"<IndexSnapshot {self.generation}: {len(self)} files in {self.bytes} bytes>"

    def index(self, value: str, start: int = 0, stop: int | None = None) -> int:
        """
        Return the place of a path; O(log n).

        Raises:
            ValueError: there is no such path between `start` and `stop`.
        """
        place = self._find(value)
        if place is None or place not in range(len(self))[start:stop]:
            raise ValueError(f"{value!r} is not in {self!r}")
        return place

    def count(self, value: str) -> int:
        """Return 1 if there is such a path, otherwise 0; O(log n)."""
        return int(value in self)

    def prefix(self, text: str) -> Iterator[str]:
        """Return an iterator over the paths that begin with `text`, in order; O(log n) to begin."""
        first = bisect_left(self, text)
        return takewhile(lambda path: path.startswith(text), self.columns.paths(first))

    def glob(self, pattern: str) -> Iterator[str]:
        """Return an iterator over the paths that match `pattern`, in order; see the index."""
        return matching(self.columns, pattern)

    def below(self, folder: str) -> int:
        """Return how many files lie below `folder`, given with its final ``/``; O(log n)."""
        return bisect_left(self, after(folder)) - bisect_left(self, folder) if folder else len(self)

    def check(self) -> None:
        """Assert what must hold."""
        self.columns.check()
        paths = list(self)
        assert all(first < second for first, second in pairwise(paths))
        assert len(paths) == len(self) == self.report.files
        assert self.report.bytes == self.bytes
        assert list(self.ignored) == sorted(set(self.ignored) - set(paths))

    def _find(self, path: str) -> int | None:
        place = bisect_left(self, path)
        return place if place < len(self) and self[place] == path else None
