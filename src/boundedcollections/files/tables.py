"""
What a search looks things up in: the names and the folders of a snapshot, by how they begin.

Most of what is typed is how a name begins, and that is found by bisection. For the rest, names
and folders are handed to an engine, each distinct name once, in groups by its first letter. All
are folded as queries are: composed, in lower case.
"""

import sys
from array import array
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from sys import getsizeof
from typing import Final

from boundedcollections.files.columns import Columns
from boundedcollections.files.engines import Engine
from boundedcollections.files.folder_table import LONGEST, FolderTable
from boundedcollections.files.folding import composed, folded, following
from boundedcollections.files.tree import decoded, encoded

_NAME_BYTES: Final = 12
"""What the columns below take for a file whose name no other has, and their room to grow."""

_FIXED_BYTES: Final = 1_024
"""What they take when they are empty."""

_STRIDE: Final = 64
"""One name in so many is kept at hand: to find another from it takes few steps."""

_TAIL: Final = 6
"""So many bytes follow the NUL in a key: the length of a path, and the number of its file."""


class Tables:
    """
    The tables of one snapshot; never changed once built.

    Args:
        columns: of the snapshot.
        engine: what matches letters.
        max_bytes: what all may take. If that is not enough, the last files are left out.

    Attributes:
        columns: the same.
        engine: the same.
        folders: all folders.
        names: the names of the files.
        is_partial: whether files were left out.
        bytes: what all this takes.

    O(n log n) to build: some 3 us of CPU time for each file.
    """

    __slots__ = ("__weakref__", "bytes", "columns", "engine", "folders", "is_partial", "names")

    def __init__(self, columns: Columns, engine: Engine, max_bytes: int) -> None:
        self.columns = columns
        self.engine = engine
        self.folders = FolderTable(columns, engine)
        self.names = NameTable(self.folders, engine, max_bytes - self.folders.bytes)
        self.is_partial = len(self.names.files) < columns.files
        self.bytes = getsizeof(self) + self.folders.bytes + self.names.bytes

    def folder_of(self, file: int) -> int:
        """Return the number of the folder that a file is in; O(log n)."""
        return self.columns.owners[bisect_right(self.columns.starts, file) - 1]

    def check(self) -> None:
        """Assert what must hold."""
        names, columns = self.names, self.columns
        assert sorted(names.files) == list(range(len(names.files)))
        assert self.is_partial == (len(names.files) < columns.files)
        each = [names[number] for number in range(len(names))]
        assert each == sorted(set(each))
        for number, name in enumerate(each):
            places = names.places(range(number, number + 1))
            paths = [columns.path(names.files[place]) for place in places]
            assert {folded(encoded(path.rpartition("/")[2])) for path in paths} == {name}
            assert [len(path) for path in paths] == [names.lengths[place] for place in places]
            assert paths == sorted(paths, key=lambda path: (len(path), path))


class NameTable:
    """
    The distinct names of the files, numbered in order, and which files have them.

    Args:
        folders: of the same snapshot.
        engine: what matches letters.
        max_bytes: what all this may take.

    Attributes:
        files: the numbers of the files: by name, then by length of path, then in order.
        lengths: of their paths, in characters, in the same order.
        matcher: matches the names; of names that differ only in case, one.
        bytes: what all this takes: 6 bytes a file, 4 a name, and what the matcher takes.
    """

    __slots__ = ("_columns", "_milestones", "_starts", "bytes", "files", "lengths", "matcher")

    def __init__(self, folders: FolderTable, engine: Engine, max_bytes: int) -> None:
        self._columns = folders.columns
        self.files = array("I")
        self.lengths = array("H")
        self._starts = array("I")
        keys: defaultdict[bytes, list[bytes]] = defaultdict(list)
        for block in self._affordable(max_bytes, engine):
            self._collect(block, folders.lengths, keys)
        self.matcher = engine.matcher(self._learn(keys))
        self._starts.append(len(self.files))
        self._milestones = [self[number] for number in range(0, len(self), _STRIDE)]
        columns = (self.files, self.lengths, self._starts, self._milestones, *self._milestones)
        self.bytes = getsizeof(self) + self.matcher.current_bytes + sum(map(getsizeof, columns))

    def __len__(self) -> int:
        return len(self._starts) - 1

    def __getitem__(self, number: int) -> bytes:
        """Return a name, folded; O(log n), about 3 us."""
        file = self.files[self._starts[number]]
        columns = self._columns
        block = bisect_right(columns.starts, file) - 1
        text = columns.names[columns.offsets[block] : columns.offsets[block + 1]]
        place = file - columns.starts[block] + 1
        return folded(text.split(b"\0", place + 1)[place])

    def beginning(self, prefix: bytes) -> range:
        """Return the numbers of the names that begin with `prefix`; O(log n)."""
        begin = self._place(prefix)
        if begin == len(self) or not self[begin].startswith(prefix):
            return range(begin, begin)
        after = following(prefix)
        return range(begin, self._place(after) if after else len(self))

    def places(self, names: range) -> range:
        """Return where in `files` and `lengths` the files with these names are."""
        return range(self._starts[names.start], self._starts[names.stop])

    def sized(self, names: range) -> Iterator[tuple[int, int]]:
        """Return the files with these names, the length of its path before each."""
        places = self.places(names)
        begin, end = places.start, places.stop
        return zip(self.lengths[begin:end], self.files[begin:end], strict=True)

    def _place(self, text: bytes) -> int:
        """Return how many names come before `text`."""
        stride = bisect_left(self._milestones, text)
        first, last = max(stride - 1, 0) * _STRIDE, min(stride * _STRIDE, len(self))
        return bisect_left(self, text, first, last)

    def _affordable(self, max_bytes: int, engine: Engine) -> Iterator[int]:
        """Yield the blocks that there is room for, should all names be distinct."""
        columns = self._columns
        max_bytes -= _FIXED_BYTES + engine.fixed_bytes
        each = _NAME_BYTES + engine.bytes_per_text
        for block in range(len(columns.owners)):
            names = columns.starts[block + 1] - columns.starts[block]
            max_bytes -= each * names + columns.offsets[block + 1] - columns.offsets[block]
            if max_bytes < 0:
                return
            yield block

    def _collect(
        self, block: int, lengths: Sequence[int], keys: defaultdict[bytes, list[bytes]]
    ) -> None:
        """Add a key for each name in a block; sorted, they give the order of the columns."""
        columns = self._columns
        names = columns.names[columns.offsets[block] + 1 : columns.offsets[block + 1]]
        base = lengths[columns.owners[block]]
        for file, name in enumerate(names.split(b"\0"), columns.starts[block]):
            length = min(base + (len(name) if name.isascii() else len(decoded(name))), LONGEST)
            key, whole = folded(name), composed(name)
            tail = length.to_bytes(2) + file.to_bytes(4)
            keys[key[:2]].append(b"%b\0%b%b" % (key, tail, b"" if key == whole else whole))

    def _learn(self, keys: defaultdict[bytes, list[bytes]]) -> Iterator[Iterator[bytes]]:
        """Yield the names in groups by their first byte, and learn the columns from the keys."""
        for _, beginnings in groupby(sorted(keys), key=itemgetter(slice(1))):
            yield self._distinct(keys, beginnings)

    def _distinct(
        self, keys: defaultdict[bytes, list[bytes]], beginnings: Iterable[bytes]
    ) -> Iterator[bytes]:
        for beginning in beginnings:
            ordered = keys.pop(beginning)
            ordered.sort()
            files = array("I")
            lengths = array("H")
            last = b""
            for place, key in enumerate(ordered, len(self.files)):
                end = key.index(b"\0")
                if key[:end] != last:
                    last = key[:end]
                    self._starts.append(place)
                    yield key[end + 1 + _TAIL :] or last
                lengths.frombytes(key[end + 1 : end + 3])
                files.frombytes(key[end + 3 : end + 1 + _TAIL])
            if sys.byteorder == "little":  # pragma: no branch  # a machine is the one or the other
                files.byteswap()
                lengths.byteswap()
            self.files += files
            self.lengths += lengths
