"""
Paths in a few flat columns, about 30 bytes a file where a list of strings takes 140.

The names of all files lie in one `bytes`, in the order of their paths, a NUL before each. They
are cut into blocks of at most 64 names of one folder; of each block there is where it begins, and
whose it is. (A table of distinct names would not pay: in real trees seven of ten names are
distinct, and such a table needs a number for each file.)
"""

from array import array
from bisect import bisect_right
from collections.abc import Iterator
from itertools import pairwise
from sys import getsizeof

from boundedcollections.files.tree import BLOCK_FILES, Folder, decoded, encoded


class Columns:
    r"""
    The columns of one tree; never changed once built.

    >>> root = Folder("")
    >>> root.parts = [b"\0README", Folder("src/"), b"\0z.py"]
    >>> root.parts[1].parts = [b"\0a.py\0b.py"]
    >>> columns = Columns(root)
    >>> list(columns.paths(0))
    ['README', 'src/a.py', 'src/b.py', 'z.py']
    >>> columns.path(2), columns.file_at(columns.names.find(b"b.py"))
    ('src/b.py', 2)

    Attributes:
        files: how many files there are.
        names: of all files, as the file system encodes them, a NUL before each.
        offsets: where each block begins in `names`, and where the last one ends.
        starts: the number of the first file of each block, and the number of files.
        owners: the number of each block's folder.
        folders: the paths of all folders in order, each with a final ``/``; a NUL before each.
        folder_offsets: where each folder's NUL is in `folders`, and where the last path ends.
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
        "starts",
    )

    def __init__(self, root: Folder) -> None:
        self.offsets = array("I")
        self.starts = array("I")
        self.owners = array("I")
        self.folder_offsets = array("I")
        blocks: list[bytes] = []
        folders: list[bytes] = []
        files = position = folder_position = 0
        parts: Iterator[bytes | Folder] = iter((root,))
        pending = [(parts, 0)]  # what is still to come of each folder, and its number
        while pending:
            parts, owner = pending[-1]
            for part in parts:
                if isinstance(part, Folder):
                    pending.append((iter(part.parts), len(folders)))
                    folders.append(b"\0" + encoded(part.path))
                    self.folder_offsets.append(folder_position)
                    folder_position += len(folders[-1])
                    break
                blocks.append(part)
                self.offsets.append(position)
                self.starts.append(files)
                self.owners.append(owner)
                position += len(part)
                files += part.count(b"\0")
            else:
                pending.pop()
        self.offsets.append(position)
        self.starts.append(files)
        self.folder_offsets.append(folder_position)
        self.names = b"".join(blocks)
        self.folders = b"".join(folders)
        self.files = files
        columns = (self.offsets, self.starts, self.owners, self.folder_offsets)
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

    def file_at(self, position: int) -> int:
        """Return the number of the file whose name, or the NUL before it, is at `position`."""
        block = bisect_right(self.offsets, position) - 1
        before = self.names.count(b"\0", self.offsets[block], position + 1) - 1
        return self.starts[block] + before

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
