"""What a walk finds: a tree of folders, its names already in the form that a snapshot keeps."""

import sys
from dataclasses import dataclass
from sys import getsizeof
from typing import Final, NamedTuple

from boundedcollections.files.gitignore import Scope

BLOCK_FILES: Final = 64
"""A block holds at most this many names, so that finding one of them in it is quick."""

BLOCK_BYTES: Final = 64
"""What a block takes besides its names: the head of an object, places in lists and columns."""

_FOLDER_BYTES: Final = 290
"""What a `Folder` takes besides its path and its blocks, while a walk is under way."""

_STRING_BYTES: Final = getsizeof("")

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


class Folder:
    """
    What was found in one folder.

    Attributes:
        path: relative to the root, with a final ``/``; empty for the root.
        parts: blocks of file names, and folders, in the order of their paths. A block is each
            name as the file system encodes it, with a NUL before it.
        scope: the ignore rules around it.
        stamp: changes with what is in the folder; 0 if that is not known.
    """

    __slots__ = ("parts", "path", "scope", "stamp")

    def __init__(self, path: str, scope: Scope | None = None) -> None:
        self.path = path
        self.scope = scope
        self.parts: list[bytes | Folder] = []
        self.stamp = 0


class Found(NamedTuple):
    """
    The result of a walk.

    Attributes:
        root: the tree.
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

    root: Folder
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


def folder_bytes(paths: list[str]) -> int:
    """Return what folders take, at most: in the tree, and later in the columns."""
    text = "".join(paths)
    if text.isascii():
        return len(paths) * (_FOLDER_BYTES + _STRING_BYTES) + len(text)
    return len(paths) * _FOLDER_BYTES + sum(map(getsizeof, paths)) + len(text)
