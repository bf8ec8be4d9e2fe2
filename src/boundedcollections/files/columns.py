"""
Paths in a few flat columns, about 30 bytes a file where a list of strings takes 140.

The names of all files lie in one `bytes`, in the order of their paths, a NUL before each. They
are cut into blocks of at most 64 names of one folder; of each block there is where it begins, and
whose it is. (A table of distinct names would not pay: in real trees seven of ten names are
distinct, and such a table needs a number for each file.)
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from sys import getsizeof
from typing import Final, Self

from boundedcollections.files.tree import BLOCK_FILES, Tree, decoded

_RUN: Final = 4_096
"""One call copies at most so many blocks: no call keeps other threads waiting long."""


class Columns:
    r"""
    The columns of one tree; never changed once built.

    >>> tree = Tree()
    >>> root, src = tree.add([b"", b"src/"])
    >>> tree.parts[root] = [b"\0README", src, b"\0z.py"]
    >>> tree.parts[src] = b"\0a.py\0b.py"
    >>> columns = Columns(tree)
    >>> list(columns.paths(0))
    ['README', 'src/a.py', 'src/b.py', 'z.py']
    >>> columns.path(2)
    'src/b.py'

    Attributes:
        files: how many files there are.
        names: of all files, as the file system encodes them, a NUL before each.
        offsets: where each block begins in `names`, and where the last one ends.
        starts: the number of the first file of each block, and the number of files.
        owners: the number of each block's folder.
        folders: the paths of all folders in order, each with a final ``/``; a NUL before each.
        folder_offsets: where each folder's NUL is in `folders`, and where the last path ends.
        stamps: of each folder; empty if none was taken.
        bytes: what all this takes.
    """

    __slots__ = (
        "bytes",
        "files",
        "folder_offsets",
        "folders",
        "names",
        "offsets",
        "owners",
        "stamps",
        "starts",
    )

    def __init__(self, tree: Tree) -> None:
        writer = ColumnsWriter()
        writer.add_tree(tree)
        self._take(writer)

    @classmethod
    def written(cls, writer: "ColumnsWriter") -> Self:
        """Return the columns that `writer` has written."""
        columns = cls.__new__(cls)
        columns._take(writer)  # noqa: SLF001  # of its own class
        return columns

    def _take(self, writer: "ColumnsWriter") -> None:
        self.offsets = writer.offsets
        self.offsets.append(writer.position)
        self.starts = writer.starts
        self.starts.append(writer.files)
        self.owners = writer.owners
        self.folder_offsets = writer.folder_offsets
        self.folder_offsets.append(writer.folder_position)
        self.stamps = writer.stamps if any(writer.stamps) else array("q")
        self.names = b"".join(writer.names)
        self.folders = b"\0" + b"\0".join(writer.folders)
        self.files = writer.files
        columns = (self.offsets, self.starts, self.owners, self.folder_offsets, self.stamps)
        self.bytes = getsizeof(self) + sum(map(getsizeof, (*columns, self.names, self.folders)))

    def path(self, file: int) -> str:
        """Return the path of a file; O(log n)."""
        block = bisect_right(self.starts, file) - 1
        names = self.names[self.offsets[block] : self.offsets[block + 1]].split(b"\0")
        return self.folder(self.owners[block]) + decoded(names[file - self.starts[block] + 1])

    def paths(self, first: int) -> Iterator[str]:
        """Yield the paths in order, from the file numbered `first` on."""
        first_block = bisect_right(self.starts, first) - 1
        skipped = first - self.starts[first_block]
        owner, folder = -1, ""
        for block in range(first_block, len(self.owners)):
            if owner != self.owners[block]:
                owner = self.owners[block]
                folder = self.folder(owner)
            for name in self.names_in(block)[skipped:]:
                yield folder + name
            skipped = 0

    def names_in(self, block: int) -> list[str]:
        """Return the names in a block, in order."""
        return decoded(self.names[self.offsets[block] : self.offsets[block + 1]]).split("\0")[1:]

    def folder(self, number: int) -> str:
        """Return the path of a folder; O(1)."""
        begin, end = self.folder_offsets[number : number + 2]
        return decoded(self.folders[begin + 1 : end])

    def folder_place(self, path: str, first: int = 0) -> int:
        """Return how many folders come before `path`, of which `first` are known; O(log n)."""
        return bisect_left(range(len(self.folder_offsets) - 1), path, first, key=self.folder)

    def folder_number(self, path: str) -> int | None:
        """Return the number of a folder, if it is here; O(log n)."""
        place = self.folder_place(path)
        is_here = place < len(self.folder_offsets) - 1 and self.folder(place) == path
        return place if is_here else None

    def folders_from(self, number: int) -> range:
        """Return the numbers of a folder and of all that are below it; O(log n)."""
        path = self.folder(number)
        last = len(self.folder_offsets) - 1
        return range(number, self.folder_place(after(path), number + 1) if path else last)

    def block_place(self, path: str) -> int:
        """Return how many blocks begin with a path that comes before `path`; O(log n)."""
        return bisect_left(range(len(self.owners)), path, key=self._first_path)

    def _first_path(self, block: int) -> str:
        begin = self.offsets[block] + 1
        end = self.names.find(b"\0", begin, self.offsets[block + 1])
        name = self.names[begin : end if end >= 0 else self.offsets[block + 1]]
        return self.folder(self.owners[block]) + decoded(name)

    def check(self) -> None:
        """Assert what must hold."""
        sizes = [after - before for before, after in pairwise(self.starts)]
        assert all(1 <= size <= BLOCK_FILES for size in sizes)
        assert sum(sizes) == self.files == self.names.count(b"\0")
        for block, size in enumerate(sizes):
            names = self.names[self.offsets[block] : self.offsets[block + 1]]
            assert names.startswith(b"\0")
            assert names.count(b"\0") == size
        assert self.offsets[-1] == len(self.names)
        assert self.folder_offsets[-1] == len(self.folders)
        assert self.folders.count(b"\0") == len(self.folder_offsets) - 1
        assert len(self.stamps) in (0, len(self.folder_offsets) - 1)
        folders = list(map(self.folder, range(len(self.folder_offsets) - 1)))
        assert all(first < second for first, second in pairwise(folders))


class ColumnsWriter:
    """
    Columns as they grow.

    Attributes:
        files: how many there are so far; the others are those of `Columns`.
    """

    __slots__ = (
        "files",
        "folder_offsets",
        "folder_position",
        "folders",
        "names",
        "offsets",
        "owners",
        "position",
        "stamps",
        "starts",
    )

    def __init__(self) -> None:
        self.offsets = array("I")
        self.starts = array("I")
        self.owners = array("I")
        self.folder_offsets = array("I")
        self.stamps = array("q")
        self.names: list[bytes] = []
        self.folders: list[bytes] = []
        self.files = self.position = self.folder_position = 0

    def add_tree(self, tree: Tree) -> None:
        """Put a tree, whose root is its first folder, into empty columns, and take it to pieces."""
        owners, names, parts = self.owners, self.names, tree.parts
        order: list[int] = []  # the folders, in the order of their paths
        owner = 0
        pending: list[bytes | int] = [0]  # what comes next, at the end; below 0: the owner again
        while pending:
            part = pending.pop()
            if isinstance(part, bytes):
                owners.append(owner)
                names.append(part)
            elif part < 0:
                owner = ~part
            else:
                inner = parts[part]
                if isinstance(inner, list):
                    parts[part] = b""
                    inner.reverse()
                    pending.append(~owner)
                    pending += inner
                    owner = len(order)
                elif inner:  # its only block
                    owners.append(len(order))
                    names.append(inner)
                order.append(part)
        for first in range(0, len(order), _RUN):
            run = order[first : first + _RUN]
            self.folders += [tree.paths[folder] for folder in run]
            self.stamps.extend([tree.stamps[folder] for folder in run])
        self._place_blocks()
        self._place_folders()

    def _place_blocks(self) -> None:
        """Note where each block begins."""
        for first in range(0, len(self.names), _RUN):
            blocks = self.names[first : first + _RUN]
            offsets = [*accumulate(map(len, blocks), initial=self.position)]
            self.position = offsets.pop()
            self.offsets.extend(offsets)
            starts = [*accumulate([block.count(b"\0") for block in blocks], initial=self.files)]
            self.files = starts.pop()
            self.starts.extend(starts)

    def _place_folders(self) -> None:
        """Note where each folder begins."""
        for first in range(0, len(self.folders), _RUN):
            lengths = [1 + len(path) for path in self.folders[first : first + _RUN]]
            offsets = [*accumulate(lengths, initial=self.folder_position)]
            self.folder_position = offsets.pop()
            self.folder_offsets.extend(offsets)

    def add_folder(self, path: bytes, stamp: int) -> int:
        """Add a folder, and return its number."""
        number = len(self.folder_offsets)
        self.folder_offsets.append(self.folder_position)
        self.stamps.append(stamp)
        self.folders.append(path)
        self.folder_position += 1 + len(path)
        return number

    def add_block(self, owner: int, block: bytes) -> None:
        """Add a block of files in the folder that has the number `owner`."""
        self.offsets.append(self.position)
        self.starts.append(self.files)
        self.owners.append(owner)
        self.names.append(block)
        self.position += len(block)
        self.files += block.count(b"\0")

    def add_blocks(self, source: Columns, begin: int, end: int, owners: Sequence[int]) -> None:
        """Add some blocks of other columns, whose folders now have the numbers `owners`."""
        for first in range(begin, end, _RUN):
            last = min(first + _RUN, end)
            offset, start = source.offsets[first], source.starts[first]
            to_offset, to_start = self.position - offset, self.files - start
            self.offsets.extend([to_offset + at for at in source.offsets[first:last]])
            self.starts.extend([to_start + at for at in source.starts[first:last]])
            self.owners.extend([owners[owner] for owner in source.owners[first:last]])
            self.names.append(source.names[offset : source.offsets[last]])
            self.position += source.offsets[last] - offset
            self.files += source.starts[last] - start


def after(folder: str) -> str:
    """Return what comes right behind all paths below `folder`, given with its final ``/``."""
    return folder[:-1] + chr(ord("/") + 1)
