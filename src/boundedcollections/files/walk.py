"""
One walk over a tree: breadth first, within bounds, from `os.scandir` alone.

Nothing is asked of a file but what its folder's listing says, so a walk costs little more than
the system calls. Links are not followed. The walk goes level by level, so that what a bound cuts
off is what lies deepest; within a level it goes in alphabetical order, so that it is always the
same files that are kept.
"""

import errno
import os
from bisect import bisect_left
from collections.abc import Callable, Iterator
from itertools import islice
from sys import getsizeof
from typing import Final

from boundedcollections._core.errors import Closed
from boundedcollections.files.gitignore import Scope
from boundedcollections.files.repository import EXHAUSTED, GIT, IGNORE_FILE, IgnoreFiles
from boundedcollections.files.tree import (
    BLOCK_BYTES,
    BLOCK_FILES,
    Bounds,
    Folder,
    Found,
    encoded,
    folder_bytes,
)

_BATCH_ENTRIES: Final = 1_024
"""Bounds are looked at before a folder is read, and again after so many of its entries."""

_FIXED_BYTES: Final = 2_048
"""What an empty snapshot takes, at most."""

_GONE: Final = frozenset({errno.ENOENT, errno.ENOTDIR})
_REFUSED: Final = frozenset({errno.EACCES, errno.EPERM, errno.ENAMETOOLONG})


class _BoundReached(Exception):
    """A bound ends the walk; its name is the message."""


class Walk:
    """
    A single walk; make a new one for the next.

    Args:
        root: an absolute path.
        bounds: how far to go.
        skip: names that are left out wherever they occur.
        use_gitignore: whether to follow ignore files.
        clock: seconds, never going back.
        is_stopped: asked again and again; True abandons the walk.

    Attributes:
        bytes: what the result takes so far; may be read from any thread.
    """

    __slots__ = (
        "__weakref__",
        "_bounds",
        "_clock",
        "_deadline",
        "_depth",
        "_directories",
        "_errors",
        "_files",
        "_following",
        "_found",
        "_ignore_files",
        "_ignored",
        "_is_stopped",
        "_pruned",
        "_root",
        "_skip",
        "_skipped",
        "_special",
        "_truncated",
        "_unreachable",
        "bytes",
    )

    def __init__(
        self,
        root: str,
        bounds: Bounds,
        *,
        skip: frozenset[str],
        use_gitignore: bool,
        clock: Callable[[], float],
        is_stopped: Callable[[], bool],
    ) -> None:
        self._root = root.rstrip("/") + "/"
        self._bounds = bounds
        self._skip = skip
        self._special = skip | ({GIT, IGNORE_FILE} if use_gitignore else set())
        self._ignore_files = IgnoreFiles(root) if use_gitignore else None
        self._clock = clock
        self._is_stopped = is_stopped
        self._deadline = clock() + bounds.max_seconds
        self._depth = 0  # of the level that is being read
        self._following: list[tuple[Folder, Scope | None]] = []  # the level below it
        self._ignored: list[str] = []
        self._pruned: list[str] = []  # ignored folders
        self._unreachable: list[str] = []
        self._truncated: dict[str, None] = {}
        self._files = self._directories = self._skipped = self._errors = 0
        self._found = 1  # folders, with those that are still to be read
        self.bytes = _FIXED_BYTES

    def run(self) -> Found:
        """
        Walk.

        Raises:
            OSError: the root cannot be read, or the process has run out of file descriptors or
                of memory, so that the rest would be guesswork.
            Closed: it was stopped.
        """
        root = Folder("")
        try:
            self._walk(root)
        except _BoundReached as reached:
            self._truncated[str(reached)] = None
        return Found(
            root=root,
            files=self._files,
            directories=self._directories,
            skipped=self._skipped,
            errors=self._errors + (self._ignore_files.errors if self._ignore_files else 0),
            truncated=tuple(self._truncated),
            ignored=tuple(sorted(self._ignored)),
            unreachable=tuple(self._unreachable),
        )

    def _walk(self, root: Folder) -> None:
        scope = self._ignore_files.scope_at_root() if self._ignore_files else None
        self._book_rules(scope)
        self._following.append((root, scope))
        while self._following:
            self._depth += 1
            level, self._following = self._following, []
            for folder, scope in level:
                self._read(folder, scope)
        self._look_into_pruned_folders()

    def _book(self, size: int) -> None:
        if self.bytes + size > self._bounds.max_bytes:
            raise _BoundReached("max_bytes")
        self.bytes += size

    def _book_rules(self, scope: Scope | None, known: Scope | None = None) -> None:
        """Book the rules of `scope` and around it, up to a scope that is booked already."""
        while scope is not None and scope is not known:
            self._book(scope.rules.bytes)
            scope = scope.outer

    def _has_time(self) -> bool:
        if self._is_stopped():
            raise Closed(f"the walk through {self._root!r} was stopped")
        return self._clock() < self._deadline

    # ── one folder ──────────────────────────────────────────────────────────────────────────

    def _read(self, folder: Folder, scope: Scope | None) -> None:
        if not self._has_time():
            raise _BoundReached("max_seconds")
        try:
            with os.scandir(self._root + folder.path) as entries:
                files, folders, scope, bound = self._list(entries, folder.path, scope)
        except OSError as error:
            if not folder.path:
                raise
            self._note_failure(folder.path, error)
            return
        self._directories += 1
        self._keep(folder, files, folders, scope)
        if bound:
            raise _BoundReached(bound)

    def _list(
        self, entries: Iterator[os.DirEntry[str]], path: str, scope: Scope | None
    ) -> tuple[list[str], list[str], Scope | None, str | None]:
        """Return files, folders, what holds in there, and a bound reached before the end."""
        files, folders, others, is_last = self._next_batch(entries, path)
        self._skipped += others
        is_plain = self._special.isdisjoint(files) and self._special.isdisjoint(folders)
        if is_plain and is_last and not scope:
            return files, folders, None, None
        if self._ignore_files and not (is_plain and is_last):
            has_git = not is_last or GIT in folders or GIT in files
            outer, scope = scope, self._ignore_files.scope_in(path, scope, has_git=has_git)
            self._book_rules(scope, known=outer)
        files, folders = self._select(path, files, folders, scope)
        size = 0
        while not is_last:
            more_files, more_folders, others, is_last = self._next_batch(entries, path)
            self._skipped += others
            more_files, more_folders = self._select(path, more_files, more_folders, scope)
            files += more_files
            folders += more_folders
            size += sum(map(getsizeof, more_files)) + sum(map(getsizeof, more_folders))
            if bound := self._overrun(files, folders, size + 8 * len(files)):
                return files, folders, scope, bound
        return files, folders, scope, None

    def _next_batch(
        self, entries: Iterator[os.DirEntry[str]], path: str
    ) -> tuple[list[str], list[str], int, bool]:
        """Return files, folders, how many entries are neither, and whether there are no more."""
        files: list[str] = []
        folders: list[str] = []
        others = failures = 0
        batch = islice(entries, _BATCH_ENTRIES)
        while True:
            try:
                for entry in batch:
                    if entry.is_file(follow_symlinks=False):
                        files.append(entry.name)
                    elif entry.is_dir(follow_symlinks=False):
                        folders.append(entry.name)
                    elif entry.is_symlink():
                        files.append(entry.name)
                    else:
                        others += 1
                break
            except OSError as error:  # of one entry, or of the listing, which ends with it
                self._note_failure(path, error)
                failures += 1
        seen = len(files) + len(folders) + others + failures
        return files, folders, others, seen < _BATCH_ENTRIES

    def _overrun(self, files: list[str], folders: list[str], size: int) -> str | None:
        """Return the bound that makes it pointless to read on, if there is one."""
        if len(files) > self._bounds.max_files - self._files:
            return "max_files"
        if size > self._bounds.max_bytes - self.bytes:
            return "max_bytes"
        if not self._has_time():
            return "max_seconds"
        self._limit(folders)
        return None

    def _limit(self, folders: list[str]) -> None:
        """Take off the folders that are too many, or too deep."""
        room = self._bounds.max_directories - self._found
        if folders and self._depth == self._bounds.max_depth:
            self._truncated["max_depth"] = None
            folders.clear()
        elif len(folders) > room:
            self._truncated["max_directories"] = None
            del folders[room:]

    def _keep(
        self, folder: Folder, files: list[str], folders: list[str], scope: Scope | None
    ) -> None:
        """Put what was found into the tree, in order, as far as the bounds allow."""
        files.sort()
        room = self._bounds.max_files - self._files
        is_too_much = len(files) > room
        if is_too_much:
            del files[room:]
        begin = 0
        for child in self._enter(folder, folders, scope) if folders else ():
            end = bisect_left(files, child.path[len(folder.path) :], begin)
            if end > begin:
                self._add_files(folder, files[begin:end])
                begin = end
            folder.parts.append(child)
        self._add_files(folder, files[begin:])
        if is_too_much:
            raise _BoundReached("max_files")

    def _enter(self, folder: Folder, names: list[str], scope: Scope | None) -> list[Folder]:
        """Put the folders called `names` into the next level."""
        names.sort()
        self._limit(names)
        paths = sorted(f"{folder.path}{name}/" for name in names)  # a-b/ comes before a/
        self._book(sum(map(folder_bytes, paths)))
        children = list(map(Folder, paths))
        self._following += [(child, scope) for child in children]
        self._found += len(children)
        return children

    def _add_files(self, folder: Folder, names: list[str]) -> None:
        for begin in range(0, len(names), BLOCK_FILES):
            block = encoded("\0" + "\0".join(names[begin : begin + BLOCK_FILES]))
            if self.bytes + BLOCK_BYTES + len(block) > self._bounds.max_bytes:
                self._files += begin + self._add_what_fits(folder, block)
                raise _BoundReached("max_bytes")
            self.bytes += BLOCK_BYTES + len(block)
            folder.parts.append(block)
        self._files += len(names)

    def _add_what_fits(self, folder: Folder, block: bytes) -> int:
        """Add as many whole names of `block` as there is room for, and return how many."""
        room = self._bounds.max_bytes - self.bytes - BLOCK_BYTES
        block = block[: block.rfind(b"\0", 0, room + 1)] if room > 0 else b""
        if block:
            self.bytes += BLOCK_BYTES + len(block)
            folder.parts.append(block)
        return block.count(b"\0")

    def _note_failure(self, path: str, error: OSError) -> None:
        if error.errno in EXHAUSTED:
            raise error
        if error.errno not in _GONE:
            self._errors += 1
        if error.errno not in _GONE | _REFUSED:
            self._unreachable.append(path)

    # ── what is left out ────────────────────────────────────────────────────────────────────

    def _select(
        self, path: str, files: list[str], folders: list[str], scope: Scope | None
    ) -> tuple[list[str], list[str]]:
        """Return what is neither always skipped nor ignored of the files and folders in `path`."""
        files, folders = self._without_skipped(files), self._without_skipped(folders)
        if scope and files:
            files = self._sift(path, files, scope, self._ignored)
        if scope and folders:
            folders = self._sift(path, folders, scope, self._pruned)
        return files, folders

    def _without_skipped(self, names: list[str]) -> list[str]:
        if self._skip.isdisjoint(names):
            return names
        kept = [name for name in names if name not in self._skip]
        self._skipped += len(names) - len(kept)
        return kept

    def _sift(self, path: str, names: list[str], scope: Scope, left_out: list[str]) -> list[str]:
        """Return the names that are not ignored; remember the others in `left_out`."""
        kept, ignored = scope.sift(names, path, is_folder=left_out is self._pruned)
        self._skipped += len(ignored)
        for name in sorted(ignored):
            self._remember(path + name, left_out)
        return kept

    def _remember(self, path: str, left_out: list[str]) -> None:
        size = getsizeof(path) + 8
        has_room = self.bytes + size <= self._bounds.max_bytes
        if has_room and len(left_out) < self._bounds.max_ignored_files:
            self.bytes += size
            left_out.append(path)

    def _look_into_pruned_folders(self) -> None:
        """Fill up the ignored paths with those in ignored folders, the shallow ones first."""
        for path in self._pruned:  # which grows meanwhile
            if len(self._ignored) >= self._bounds.max_ignored_files or not self._has_time():
                return
            if path.count("/") + 2 > self._bounds.max_depth:
                continue
            try:
                with os.scandir(self._root + path) as entries:
                    files, folders, _, _ = self._next_batch(entries, path)
            except OSError:
                continue
            for names, left_out in (files, self._ignored), (folders, self._pruned):
                for name in sorted(set(names) - self._skip):
                    self._remember(f"{path}/{name}", left_out)
