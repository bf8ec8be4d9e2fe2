"""A tree as a walk builds it, folder by folder, within the bounds."""

from collections.abc import Container, Iterator, Sequence
from typing import Final

from boundedcollections.files.gitignore import Scope
from boundedcollections.files.sorting import in_order_of_texts, place_of_text
from boundedcollections.files.tree import (
    BLOCK_BYTES,
    BLOCK_FILES,
    FOLDER_BYTES,
    STAMP_BYTES,
    Bounds,
    Tree,
)

_FIXED_BYTES: Final = 2_048
"""What an empty snapshot takes, at most."""


class BoundReached(Exception):  # it ends a walk, and is no error
    """A bound ends the walk; its name is the message."""


class TreeBuilder:
    """
    Puts what was found into a tree, and counts it.

    Args:
        bounds: how much there may be.
        takes_stamps: whether folders will have stamps.

    Attributes:
        known: paths of folders not to walk.
        bytes: what the result takes so far.
        files: how many there are so far.
        folders: how many were found so far, with those that are still to be read.
        tree: what was found.
        truncated: the names of the bounds that have cut something off, as keys.
    """

    __slots__ = (
        "_depth",
        "_following",
        "_max_bytes",
        "_max_depth",
        "_max_directories",
        "_max_files",
        "_stamp_bytes",
        "bytes",
        "files",
        "folders",
        "known",
        "tree",
        "truncated",
    )

    def __init__(self, bounds: Bounds, *, takes_stamps: bool) -> None:
        self._max_bytes = bounds.max_bytes
        self._max_depth = bounds.max_depth
        self._max_directories = bounds.max_directories
        self._max_files = bounds.max_files
        self._stamp_bytes = STAMP_BYTES if takes_stamps else 0  # of each folder
        self._depth = 0  # of the level that is being read
        self._following: list[int] = []  # the folders of the level below it
        self.tree = Tree()
        self.known: Container[str] | None = None
        self.bytes = _FIXED_BYTES
        self.files = 0
        self.folders = 1
        self.truncated: dict[str, None] = {}

    def levels(self, seeds: dict[int, list[int]]) -> Iterator[list[int]]:
        """
        Yield the folders of each level: the seeds, and what was found in the one above.

        Args:
            seeds: the folders of the tree to begin with, by their depth; the root's is 1.
        """
        while seeds or self._following:
            self._depth += 1
            level = seeds.pop(self._depth, []) + self._following
            self._following = []
            yield level

    def book(self, size: int) -> None:
        """
        Count some bytes that are about to be taken.

        Raises:
            BoundReached: there is no room for them.
        """
        if self.bytes + size > self._max_bytes:
            raise BoundReached("max_bytes")
        self.bytes += size

    def book_if_possible(self, size: int) -> bool:
        """Count some bytes if there is room for them; return whether there is."""
        if self.bytes + size > self._max_bytes:
            return False
        self.bytes += size
        return True

    def overrun(self, files: int, folders: list[bytes], size: int) -> str | None:
        """
        Return the bound that makes it pointless to read on in a folder, if there is one.

        Args:
            files: how many were found in there so far.
            folders: those found in there; what is too many, or too deep, is taken off.
            size: the bytes that all these take.
        """
        if files > self._max_files - self.files:
            return "max_files"
        if size > self._max_bytes - self.bytes:
            return "max_bytes"
        self._limit(folders)
        return None

    def add_plain(self, folder: int, block: bytes, count: int) -> bool:
        """
        Put in the files of a folder that holds nothing else, if that is simple, as it mostly is.

        Args:
            folder: of the level that is being read.
            block: the names of its files, in the order of bytes, a NUL before each.
            count: how many there are.

        Returns whether it was; otherwise nothing has changed.
        """
        files = self.files + count
        size = self.bytes + BLOCK_BYTES + len(block)
        if (
            not 0 < count <= BLOCK_FILES
            or files > self._max_files
            or size > self._max_bytes
            or not block.isascii()  # the order of bytes need not be that of texts
        ):
            return False
        self.files = files
        self.bytes = size
        self.tree.parts[folder] = block
        return True

    def add(
        self, folder: int, files: list[bytes], folders: list[bytes], scope: Scope | None
    ) -> None:
        """
        Put what was found in a folder into the tree, each where it comes in the order of paths.

        Args:
            folder: of the level that is being read.
            files: the names of its files.
            folders: the names of the folders in it.
            scope: the ignore rules that hold in there.

        Raises:
            BoundReached: not all of it could be put there.
        """
        parts: list[bytes | int] = []
        self.tree.parts[folder] = parts
        children = self._enter(self.tree.paths[folder], folders, scope)
        if files:
            self._add_among(parts, files, children, len(self.tree.paths[folder]))
        else:
            parts += children

    def _enter(self, above: bytes, names: list[bytes], scope: Scope | None) -> range:
        """Put the folders called `names` into the next level, and return them in order."""
        if self._depth == self._max_depth or len(names) + self.folders > self._max_directories:
            self._limit(names)
        paths = [above + name + b"/" for name in names]
        if len(paths) > 1:
            paths = in_order_of_texts(paths)  # with the final slash: a-b/ comes before a/
        self.book((FOLDER_BYTES + self._stamp_bytes) * len(paths) + 2 * len(b"".join(paths)))
        children = self.tree.add(paths, scope)
        entered: Sequence[int] = children
        if self.known is not None:
            entered = [child for child in children if self.tree.path(child) not in self.known]
        self._following += entered
        self.folders += len(entered)
        return children

    def _add_among(
        self, parts: list[bytes | int], files: list[bytes], children: range, skipped: int
    ) -> None:
        """Add files, each before the folder that it comes before; `skipped` is all before names."""
        files = in_order_of_texts(files)
        room = self._max_files - self.files
        paths = self.tree.paths
        begin = 0
        for child in children:
            end = min(place_of_text(paths[child][skipped:], files, begin), room)
            if end > begin:
                self._add_blocks(parts, files[begin:end])
                begin = end
            parts.append(child)
        self._add_blocks(parts, files[begin:room])
        if len(files) > room:
            raise BoundReached("max_files")

    def _add_blocks(self, parts: list[bytes | int], names: list[bytes]) -> None:
        for begin in range(0, len(names), BLOCK_FILES):
            block = b"\0" + b"\0".join(names[begin : begin + BLOCK_FILES])
            size = self.bytes + BLOCK_BYTES + len(block)
            if size > self._max_bytes:
                self._add_what_fits(parts, block)
                raise BoundReached("max_bytes")
            self.bytes = size
            self.files += block.count(b"\0")
            parts.append(block)

    def _add_what_fits(self, parts: list[bytes | int], block: bytes) -> None:
        """Add as many whole names of `block` as there is room for."""
        room = self._max_bytes - self.bytes - BLOCK_BYTES
        block = block[: block.rfind(b"\0", 0, room + 1)] if room > 0 else b""
        if block:
            self.bytes += BLOCK_BYTES + len(block)
            self.files += block.count(b"\0")
            parts.append(block)

    def _room_for_folders(self) -> int:
        return self._max_directories - self.folders

    def _limit(self, folders: list[bytes]) -> None:
        """Take off the folders that are too many, or too deep."""
        room = self._room_for_folders()
        if folders and self._depth == self._max_depth:
            self.truncated["max_depth"] = None
            folders.clear()
        elif len(folders) > room:
            self.truncated["max_directories"] = None
            folders[:] = in_order_of_texts(folders)[:room]
