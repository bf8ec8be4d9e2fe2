"""A tree as a walk builds it, folder by folder, within the bounds."""

from bisect import bisect_left
from collections.abc import Container, Iterator
from typing import Final, cast

from boundedcollections.files.gitignore import Scope
from boundedcollections.files.sorting import in_order, in_order_of_texts
from boundedcollections.files.tree import (
    BLOCK_BYTES,
    BLOCK_FILES,
    ENCODING,
    ERRORS,
    STAMP_BYTES,
    Bounds,
    Folder,
    decoded,
    folder_bytes,
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
        "truncated",
    )

    def __init__(self, bounds: Bounds, *, takes_stamps: bool) -> None:
        self._max_bytes = bounds.max_bytes
        self._max_depth = bounds.max_depth
        self._max_directories = bounds.max_directories
        self._max_files = bounds.max_files
        self._stamp_bytes = STAMP_BYTES if takes_stamps else 0  # of each folder
        self._depth = 0  # of the level that is being read
        self._following: list[Folder] = []  # the level below it
        self.known: Container[str] | None = None
        self.bytes = _FIXED_BYTES
        self.files = 0
        self.folders = 1
        self.truncated: dict[str, None] = {}

    def levels(self, seeds: dict[int, list[Folder]]) -> Iterator[list[Folder]]:
        """
        Yield the folders of each level: the seeds, and what was found in the one above.

        Args:
            seeds: the folders to begin with, by their depth; the root's is 1.
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

    def add(
        self, folder: Folder, files: list[bytes], folders: list[bytes], scope: Scope | None
    ) -> None:
        """
        Put what was found in a folder into the tree, in order.

        Args:
            folder: of the level that is being read.
            files: the names of its files.
            folders: the names of the folders in it.
            scope: the ignore rules that hold in there.

        Raises:
            BoundReached: not all of it could be put there.
        """
        number = self.files + len(files)
        if len(files) > BLOCK_FILES or number > self._max_files:
            self._add_many(folder, files, folders, scope)
        elif not folders:  # as in most folders
            if files:
                files.sort()
                self._add_block(folder, files)
        elif files:
            self._add_among(
                folder, in_order_of_texts(files), self._enter(folder.path, folders, scope)
            )
        else:
            folder.parts = self._enter(folder.path, folders, scope)

    def _add_many(
        self, folder: Folder, files: list[bytes], folders: list[bytes], scope: Scope | None
    ) -> None:
        """Add more files than a block holds, or than may be added."""
        files = in_order_of_texts(files)
        room = self._max_files - self.files
        is_too_much = len(files) > room
        del files[room:]
        self._add_among(folder, files, self._enter(folder.path, folders, scope))
        if is_too_much:
            raise BoundReached("max_files")

    def _enter(self, above: str, names: list[bytes], scope: Scope | None) -> list[bytes | Folder]:
        """Put the folders called `names` into the next level, and return them in order."""
        if self._depth == self._max_depth or len(names) + self.folders > self._max_directories:
            self._limit(names)
        paths = [f"{above}{name.decode(ENCODING, ERRORS)}/" for name in names]
        if len(paths) > 1:
            paths = in_order(paths)  # with the final slash: a-b/ comes before a/
        self.book(folder_bytes(paths) + self._stamp_bytes * len(paths))
        children = [Folder(path, scope) for path in paths]
        entered = children
        if self.known is not None:
            entered = [child for child in children if child.path not in self.known]
        self._following += entered
        self.folders += len(entered)
        return cast("list[bytes | Folder]", children)

    def _add_among(
        self, folder: Folder, files: list[bytes], children: list[bytes | Folder]
    ) -> None:
        """Add files and folders, each where it comes in the order of paths."""
        skipped = len(folder.path)
        begin = 0
        for child in children:
            assert isinstance(child, Folder)
            end = bisect_left(files, child.path[skipped:], begin, key=decoded)
            if end > begin:
                self._add_files(folder, files[begin:end])
                begin = end
            folder.parts.append(child)
        self._add_files(folder, files[begin:])

    def _add_files(self, folder: Folder, names: list[bytes]) -> None:
        for begin in range(0, len(names), BLOCK_FILES):
            self._add_block(folder, names[begin : begin + BLOCK_FILES])

    def _add_block(self, folder: Folder, names: list[bytes]) -> None:
        block = b"\0" + b"\0".join(names)
        if not block.isascii():  # the order of bytes need not be that of texts
            block = b"\0" + b"\0".join(in_order_of_texts(names))
        size = self.bytes + BLOCK_BYTES + len(block)
        if size > self._max_bytes:
            self._add_what_fits(folder, block)
            raise BoundReached("max_bytes")
        self.bytes = size
        self.files += len(names)
        folder.parts.append(block)

    def _add_what_fits(self, folder: Folder, block: bytes) -> None:
        """Add as many whole names of `block` as there is room for."""
        room = self._max_bytes - self.bytes - BLOCK_BYTES
        block = block[: block.rfind(b"\0", 0, room + 1)] if room > 0 else b""
        if block:
            self.bytes += BLOCK_BYTES + len(block)
            self.files += block.count(b"\0")
            folder.parts.append(block)

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
