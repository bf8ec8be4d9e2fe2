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
from collections.abc import Callable, Container, Iterator, Mapping
from heapq import merge
from itertools import islice
from sys import getsizeof
from typing import Final

from boundedcollections._core.errors import Closed
from boundedcollections.files.gitignore import Scope
from boundedcollections.files.repository import EXHAUSTED, GIT, IGNORE_FILE, IgnoreFiles
from boundedcollections.files.stamps import NO_RULES, stamp_of_folder
from boundedcollections.files.tree import (
    BLOCK_BYTES,
    BLOCK_FILES,
    STAMP_BYTES,
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

_PIECE: Final = 8_192
"""One call sorts at most so many names: no call keeps other threads waiting long."""

_RULES_STAMP_BYTES: Final = 300

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
        use_global_gitignore: whether to follow the user's own ignore file, too.
        takes_stamps: whether to remember when folders and ignore files were changed.

    Attributes:
        bytes: what the result takes so far; may be read from any thread.
        ignore_files: what reads them; None if they are not followed.
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
        "_ignored",
        "_is_stopped",
        "_known",
        "_pruned",
        "_root",
        "_rules",
        "_skip",
        "_skipped",
        "_special",
        "_takes_stamps",
        "_truncated",
        "_unreachable",
        "bytes",
        "ignore_files",
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
        use_global_gitignore: bool = False,
        takes_stamps: bool = False,
    ) -> None:
        self._root = root.rstrip("/") + "/"
        self._takes_stamps = takes_stamps
        self._rules: dict[str, int] = {}
        self._known: Container[str] | None = None
        self._bounds = bounds
        self._skip = skip
        self._special = skip | ({GIT, IGNORE_FILE} if use_gitignore else set())
        self.ignore_files = (
            IgnoreFiles(root, use_global=use_global_gitignore) if use_gitignore else None
        )
        self._clock = clock
        self._is_stopped = is_stopped
        self._deadline = clock() + bounds.max_seconds
        self._depth = 0  # of the level that is being read
        self._following: list[Folder] = []  # the level below it
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
        at_root = 0
        try:
            if self.ignore_files and self._takes_stamps:
                at_root = self.ignore_files.stamp_at_root()
            scope = self.ignore_files.scope_at_root() if self.ignore_files else None
            self._book_rules(scope)
            root.scope = scope
            for level in self._levels({1: [root]}):
                for folder in level:
                    self._read(folder)
            self._look_into_pruned_folders()
        except _BoundReached as reached:
            self._truncated[str(reached)] = None
        return self._found_below(root, at_root)

    def run_again(
        self, seeds: Mapping[int, list[Folder]], known: Container[str], folders: int
    ) -> tuple[list[Folder], Found]:
        """
        Read some folders again, and walk what is below them and not known.

        Returns all folders that were read. Those among their parts that were not are known.

        Args:
            seeds: the folders to read, by their depth; the root's is 1.
            known: paths of folders not to walk.
            folders: how many folders there are, so that no more than the bound are added.

        Raises:
            OSError: as for `run`.
            Closed: it was stopped.
        """
        self._known = known
        self._found = folders
        read: list[Folder] = []
        try:
            scopes = {id(f.scope): f.scope for level in seeds.values() for f in level}
            for scope in scopes.values():  # what several have around them counts for each
                self._book_rules(scope)
            for level in self._levels(dict(seeds)):
                read += level
                for folder in level:
                    self._read(folder)
            self._look_into_pruned_folders()
        except _BoundReached as reached:
            self._truncated[str(reached)] = None
        return read, self._found_below(Folder(""), 0)

    def _found_below(self, root: Folder, rules_at_root: int) -> Found:
        return Found(
            root=root,
            files=self._files,
            directories=self._directories,
            skipped=self._skipped,
            errors=self._errors + (self.ignore_files.errors if self.ignore_files else 0),
            truncated=tuple(self._truncated),
            ignored=tuple(in_order(self._ignored)),
            unreachable=tuple(self._unreachable),
            rules=self._rules if self._takes_stamps else None,
            rules_at_root=rules_at_root,
        )

    def _levels(self, seeds: dict[int, list[Folder]]) -> Iterator[list[Folder]]:
        """Yield the folders of each level: the seeds, and what was found in the one above."""
        while seeds or self._following:
            self._depth += 1
            level = seeds.pop(self._depth, []) + self._following
            self._following = []
            yield level

    def _book(self, size: int) -> None:
        if self.bytes + size > self._bounds.max_bytes:
            raise _BoundReached("max_bytes")
        self.bytes += size

    def _book_rules(self, scope: Scope | None, known: Scope | None = None) -> None:
        """Book the rules of `scope` and around it, up to a scope that is booked already."""
        while scope is not None and scope is not known:
            self._book(scope.rules.bytes)
            scope = scope.outer

    def has_time(self) -> bool:
        """
        Return whether the time of the walk is not over.

        Raises:
            Closed: it was stopped.
        """
        if self._is_stopped():
            raise Closed(f"the walk through {self._root!r} was stopped")
        return self._clock() < self._deadline

    # ── one folder ──────────────────────────────────────────────────────────────────────────

    def _read(self, folder: Folder) -> None:
        if not self.has_time():
            raise _BoundReached("max_seconds")
        files: list[str] = []
        folders: list[str] = []
        bound = None
        path = folder.path
        scope = folder.scope
        try:
            if self._takes_stamps:
                folder.stamp = stamp_of_folder(self._root + path)
            with os.scandir(self._root + path) as entries:
                is_last = self._next_batch(entries, path, files, folders)
                if (
                    scope
                    or not is_last
                    or not self._special.isdisjoint(files)
                    or not self._special.isdisjoint(folders)
                ):
                    files, folders, scope, bound = self._read_by_rules(
                        entries, path, files, folders, scope, is_last=is_last
                    )
        except OSError as error:
            if not path:
                raise
            folder.stamp = 0
            self._note_failure(path, error)
            return
        self._directories += 1
        self._keep(folder, files, folders, scope)
        if bound:
            raise _BoundReached(bound)

    def _next_batch(
        self,
        entries: Iterator[os.DirEntry[str]],
        path: str,
        files: list[str],
        folders: list[str],
    ) -> bool:
        """Add some entries to files and folders; return whether there are no more."""
        before = len(files) + len(folders)
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
        self._skipped += others
        return len(files) + len(folders) - before + others + failures < _BATCH_ENTRIES

    def _read_by_rules(
        self,
        entries: Iterator[os.DirEntry[str]],
        path: str,
        files: list[str],
        folders: list[str],
        scope: Scope | None,
        *,
        is_last: bool,
    ) -> tuple[list[str], list[str], Scope | None, str | None]:
        """Return files, folders, what holds in there, and a bound reached before the end."""
        if self.ignore_files:
            has_git = not is_last or GIT in folders or GIT in files
            if has_git or IGNORE_FILE in files:
                outer, scope = scope, self._scope_in(path, scope, has_git=has_git)
                self._book_rules(scope, known=outer)
        files, folders = self._select(path, files, folders, scope)
        size = 0
        while not is_last:
            more_files: list[str] = []
            more_folders: list[str] = []
            is_last = self._next_batch(entries, path, more_files, more_folders)
            more_files, more_folders = self._select(path, more_files, more_folders, scope)
            files += more_files
            folders += more_folders
            size += sum(map(getsizeof, more_files)) + sum(map(getsizeof, more_folders))
            if bound := self._overrun(files, folders, size + 8 * len(files)):
                return files, folders, scope, bound
        return files, folders, scope, None

    def _scope_in(self, path: str, outer: Scope | None, *, has_git: bool) -> Scope | None:
        assert self.ignore_files is not None
        if self._takes_stamps and (stamp := self.ignore_files.stamp_in(path)) != NO_RULES:
            self._book(_RULES_STAMP_BYTES + len(path))
            self._rules[path] = stamp
        return self.ignore_files.scope_in(path, outer, has_git=has_git)

    def _overrun(self, files: list[str], folders: list[str], size: int) -> str | None:
        """Return the bound that makes it pointless to read on, if there is one."""
        if len(files) > self._bounds.max_files - self._files:
            return "max_files"
        if size > self._bounds.max_bytes - self.bytes:
            return "max_bytes"
        if not self.has_time():
            return "max_seconds"
        self._limit(folders)
        return None

    def _room_for_folders(self) -> int:
        return self._bounds.max_directories - self._found

    def _limit(self, folders: list[str]) -> None:
        """Take off the folders that are too many, or too deep."""
        room = self._room_for_folders()
        if folders and self._depth == self._bounds.max_depth:
            self._truncated["max_depth"] = None
            folders.clear()
        elif len(folders) > room:
            self._truncated["max_directories"] = None
            folders.sort()
            del folders[room:]

    def _keep(
        self, folder: Folder, files: list[str], folders: list[str], scope: Scope | None
    ) -> None:
        """Put what was found into the tree, in order, as far as the bounds allow."""
        if len(files) <= _PIECE:
            files.sort()
        else:
            files = in_order(files)
        room = self._bounds.max_files - self._files
        is_too_much = len(files) > room
        if is_too_much:
            del files[room:]
        if folders:
            begin = 0
            skipped = len(folder.path)
            for child in self._enter(folder, folders, scope):
                end = bisect_left(files, child.path[skipped:], begin)
                if end > begin:
                    self._add_files(folder, files[begin:end])
                    begin = end
                folder.parts.append(child)
            files = files[begin:]
        if files:
            self._add_files(folder, files)
        if is_too_much:
            raise _BoundReached("max_files")

    def _enter(self, folder: Folder, names: list[str], scope: Scope | None) -> list[Folder]:
        """Put the folders called `names` into the next level."""
        if self._depth == self._bounds.max_depth or len(names) > self._room_for_folders():
            self._limit(names)
        prefix = folder.path
        paths = [f"{prefix}{name}/" for name in names]
        if len(paths) > 1:
            paths = in_order(paths)  # with the final slash: a-b/ comes before a/
        self._book(folder_bytes(paths) + self._takes_stamps * STAMP_BYTES * len(paths))
        children = [Folder(path, scope) for path in paths]
        if self._known is not None:
            entered = [child for child in children if child.path not in self._known]
        else:
            entered = children
        self._following += entered
        self._found += len(entered)
        return children

    def _add_files(self, folder: Folder, names: list[str]) -> None:
        count = len(names)
        for begin in range(0, count, BLOCK_FILES):
            some = names if count <= BLOCK_FILES else names[begin : begin + BLOCK_FILES]
            text = "\0" + "\0".join(some)
            block = text.encode() if text.isascii() else encoded(text)
            size = self.bytes + BLOCK_BYTES + len(block)
            if size > self._bounds.max_bytes:
                self._files += begin + self._add_what_fits(folder, block)
                raise _BoundReached("max_bytes")
            self.bytes = size
            folder.parts.append(block)
        self._files += count

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
            if len(self._ignored) >= self._bounds.max_ignored_files or not self.has_time():
                return
            if path.count("/") + 2 > self._bounds.max_depth:
                continue
            try:
                skipped = self._skipped
                files: list[str] = []
                folders: list[str] = []
                with os.scandir(self._root + path) as entries:
                    self._next_batch(entries, path, files, folders)
                self._skipped = skipped  # with the folder that is ignored
            except OSError:
                continue
            for names, left_out in (files, self._ignored), (folders, self._pruned):
                for name in sorted(set(names) - self._skip):
                    self._remember(f"{path}/{name}", left_out)


def in_order(texts: list[str]) -> list[str]:
    """Return the texts sorted; a great many in pieces, so that other threads may run between."""
    if len(texts) <= _PIECE:
        texts.sort()
        return texts
    pieces = [sorted(texts[at : at + _PIECE]) for at in range(0, len(texts), _PIECE)]
    return list(merge(*pieces))
