"""The files that lie right in a folder, by their names."""

from bisect import bisect_left
from collections.abc import Iterator
from heapq import nsmallest
from re import Pattern, escape

from boundedcollections.files import limits
from boundedcollections.files.folding import folded
from boundedcollections.files.standard import compiled, subsequence
from boundedcollections.files.tables import Tables
from boundedcollections.files.tree import decoded

Sized = tuple[int, int]
"""The length of a path, and the number of the file, or of the folder."""


class FolderListings:
    """
    Lists folders for one search.

    Args:
        tables: of the snapshot that is searched.
    """

    __slots__ = ("_paths", "_patterns", "_tables")

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._paths: dict[int, bytes] = {}
        self._patterns: dict[bytes, Pattern[bytes]] = {}

    def path(self, number: int) -> bytes:
        """Return the path of a folder, folded."""
        if number not in self._paths:
            self._paths[number] = self._tables.folders.path(number)
        return self._paths[number]

    def smallest(self, folder: int, most: int, among: int) -> list[Sized]:
        """Return those files right in a folder, or among so many, that have the shortest names."""
        columns = self._tables.columns
        base = self._tables.folders.lengths[folder]
        sized: list[Sized] = []
        for block in self._tables.folders.blocks(folder):
            names = columns.names[columns.offsets[block] + 1 : columns.offsets[block + 1]]
            lengths = (
                map(len, names.split(b"\0"))
                if names.isascii()
                else map(len, decoded(names).split("\0"))
            )
            sized += zip(lengths, range(columns.starts[block], columns.files), strict=False)
            if len(sized) >= among:
                break
        return [(base + length, file) for length, file in nsmallest(most, sized)]

    def names(
        self, folder: int, letters: bytes = b"", *, at_start: bool = False
    ) -> Iterator[tuple[int, int, bytes]]:
        """
        Yield files right in a folder: the length of the path, the number, and the name.

        Args:
            folder: its number.
            letters: that a name must hold.
            at_start: whether it must begin with them, in the usual spellings; a large folder is then
                read only where such names are.
        """
        columns = self._tables.columns
        base = self._tables.folders.lengths[folder]
        pattern = compiled(b"\0" + escape(letters)) if at_start else self._pattern(letters)
        for block in (
            self._blocks_at(folder, letters) if at_start else self._tables.folders.blocks(folder)
        ):
            names = columns.names[columns.offsets[block] : columns.offsets[block + 1]]
            first = columns.starts[block]
            if not names.isascii():
                for file, name in enumerate(names[1:].split(b"\0"), first):
                    text = folded(name)
                    if text.startswith(letters) if at_start else holds_all(letters, text):
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

    def _blocks_at(self, folder: int, prefix: bytes) -> Iterator[int]:
        """Yield the blocks of names that begin with `prefix`, small, capitalized or large; some."""
        blocks = self._tables.folders.blocks(folder)
        columns = self._tables.columns
        told: set[int] = set()

        def beginning(block: int) -> bytes:
            begin = columns.offsets[block] + 1
            return columns.names[begin : begin + len(prefix)]

        for spelling in sorted({prefix, prefix.capitalize(), prefix.upper()}):
            after = bisect_left(blocks, spelling, key=beginning) if prefix.isascii() else 1
            first = max(after - 1, 0)  # the block before may end with such names
            for block in blocks[first : first + limits.MOST_BLOCKS]:
                if block not in told and (beginning(block) <= spelling or not prefix.isascii()):
                    told.add(block)
                    yield block

    def _pattern(self, letters: bytes) -> Pattern[bytes]:
        if letters not in self._patterns:
            self._patterns[letters] = subsequence(letters)
        return self._patterns[letters]


def holds_all(letters: bytes, text: bytes) -> bool:
    """Return whether `text` holds the letters, in order."""
    return climb(letters, text) == len(letters)


def climb(letters: bytes, text: bytes) -> int:
    """Return how many of the letters `text` holds, in order."""
    at = -1
    for level, letter in enumerate(letters):
        at = text.find(letter, at + 1)
        if at < 0:
            return level
    return len(letters)
