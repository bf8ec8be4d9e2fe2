"""What a walk finds: a tree of folders, its names already in the form that a snapshot keeps."""

import sys
from dataclasses import dataclass
from typing import Final, NamedTuple

from boundedcollections.files.gitignore import Scope

BLOCK_FILES: Final = 64
"""A block holds at most this many names, so that finding one of them in it is quick."""

BLOCK_BYTES: Final = 64
"""What a block takes besides its names: the head of an object, places in lists and columns."""

FOLDER_BYTES: Final = 320
"""What a folder takes besides its blocks and twice its path, while a walk is under way."""

STAMP_BYTES: Final = 48
"""What a stamp takes more."""

ENCODING: Final = sys.getfilesystemencoding()
ERRORS: Final = sys.getfilesystemencodeerrors()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """
    How far a walk may go.

    Attributes:
        max_files: files to keep.
        max_bytes: bytes that the result may take, while it is built and afterwards.
        max_directories: folders to find, the root included.
        max_depth: levels of folders to enter; the root is the first.
        max_seconds: seconds to take.
        max_ignored_files: paths to remember of files that ignore rules leave out.
    """

    max_files: int
    max_bytes: int
    max_directories: int
    max_depth: int
    max_seconds: float
    max_ignored_files: int


class Tree:
    r"""
    Folders, and what was found in them, by their numbers.

    >>> tree = Tree()
    >>> (root,) = tree.add([b""])
    >>> (src,) = tree.add([b"src/"])
    >>> tree.parts[root] = [b"\0README", src, b"\0setup.py"]
    >>> tree.parts[src] = b"\0a.py\0b.py"
    >>> tree.path(src), tree.blocks(src), tree.folders(root)
    ('src/', [b'\x00a.py\x00b.py'], [1])

    A walk has very many folders. Lists of what is known of them are made more quickly than an object
    for each, and leave less for the garbage collector to walk through.

    Attributes:
        paths: of each folder, relative to the root, as the file system encodes it, with a final
            ``/``; that of the root is empty.
        parts: of each, its blocks of file names, and the numbers of its folders, in the order of
            their paths; or just its only block, empty if there is nothing. A block is each name as
            the file system encodes it, with a NUL before it.
        scopes: of each, the ignore rules around it.
        stamps: of each, a number that changes with what is in it; 0 if that is not known.
    """

    __slots__ = ("parts", "paths", "scopes", "stamps")

    def __init__(self) -> None:
        self.paths: list[bytes] = []
        self.parts: list[bytes | list[bytes | int]] = []
        self.scopes: list[Scope | None] = []
        self.stamps: list[int] = []

    def add(self, paths: list[bytes], scope: Scope | None = None) -> range:
        """Add folders with nothing in them, with the rules around them; return their numbers."""
        first = len(self.paths)
        added = len(paths)
        self.paths += paths
        self.parts += [b""] * added
        self.scopes += [scope] * added
        self.stamps += [0] * added
        return range(first, first + added)

    def path(self, folder: int) -> str:
        """Return the path of a folder as a text."""
        return decoded(self.paths[folder])

    def blocks(self, folder: int) -> list[bytes]:
        """Return the blocks of a folder."""
        parts = self.parts[folder]
        if isinstance(parts, bytes):
            return [parts] if parts else []
        return [part for part in parts if isinstance(part, bytes)]

    def folders(self, folder: int) -> list[int]:
        """Return the numbers of the folders in a folder."""
        parts = self.parts[folder]
        return [] if isinstance(parts, bytes) else [part for part in parts if isinstance(part, int)]


class Found(NamedTuple):
    """
    The result of a walk.

    Attributes:
        tree: what was found.
        files: how many files are in it.
        directories: how many folders were read.
        skipped: entries left out on purpose: ignored, always skipped, or neither a file nor a
            link nor a folder. A folder counts once, with all that is in it.
        errors: folders, entries and ignore files that could not be read.
        truncated: the names of the bounds that cut something off.
        ignored: paths of files that ignore rules leave out, in order; if there are too many,
            those that lie deeper are missing.
        unreachable: paths of folders that the system failed to read, for another reason than
            that they are gone or that it is forbidden.
        rules: the stamps of the ignore files of each folder that has some; None if the walk took
            no stamps.
        rules_at_root: the stamp of the ignore files around the root.
    """

    tree: Tree
    files: int
    directories: int
    skipped: int
    errors: int
    truncated: tuple[str, ...]
    ignored: tuple[str, ...]
    unreachable: tuple[str, ...]
    rules: dict[str, int] | None = None
    rules_at_root: int = 0


def encoded(text: str) -> bytes:
    """Return `text` as the file system encodes it."""
    return text.encode(ENCODING, ERRORS)


def decoded(text: bytes) -> str:
    """Return what `encoded` was given."""
    return text.decode(ENCODING, ERRORS)
