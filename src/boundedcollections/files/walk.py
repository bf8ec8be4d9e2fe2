"""
One walk over a tree: breadth first, within bounds, from `os.scandir` alone.

Nothing is asked of a file but what its folder's listing says, so a walk costs little more than
the system calls. Links are not followed. The walk goes level by level, so that what a bound cuts
off is what lies deepest; within a level it goes in alphabetical order, so that it is always the
same files that are kept.
"""

import errno
import os
from collections.abc import Callable, Container, Iterator, Mapping
from itertools import islice
from sys import getsizeof
from typing import Final

from boundedcollections._core.errors import Closed
from boundedcollections.files.builder import BoundReached, TreeBuilder
from boundedcollections.files.gitignore import Scope
from boundedcollections.files.left_out import LeftOut
from boundedcollections.files.repository import EXHAUSTED, GIT, IGNORE_FILE, IgnoreFiles
from boundedcollections.files.stamps import NO_RULES, stamp_of_folder
from boundedcollections.files.tree import Bounds, Folder, Found, decoded, encoded

Names = list[bytes]
Entries = Iterator[os.DirEntry[bytes]]

_BATCH_ENTRIES: Final = 1_024
"""Bounds are looked at before a folder is read, and again after so many of its entries."""

_RULES_STAMP_BYTES: Final = 300

_GIT: Final = encoded(GIT)
_IGNORE_FILE: Final = encoded(IGNORE_FILE)

_GONE: Final = frozenset({errno.ENOENT, errno.ENOTDIR})
_REFUSED: Final = frozenset({errno.EACCES, errno.EPERM, errno.ENAMETOOLONG})


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
        ignore_files: what reads them; None if they are not followed.
    """

    __slots__ = (
        "__weakref__",
        "_builder",
        "_clock",
        "_deadline",
        "_directories",
        "_errors",
        "_is_stopped",
        "_left_out",
        "_max_depth",
        "_root",
        "_rules",
        "_special",
        "_takes_stamps",
        "_unreachable",
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
        self._root = encoded(root.rstrip("/") + "/")
        self._takes_stamps = takes_stamps
        self._builder = TreeBuilder(bounds, takes_stamps=takes_stamps)
        raw_skip = frozenset(map(encoded, skip))
        self._left_out = LeftOut(bounds, self._builder, raw_skip)
        self._special = raw_skip | ({_GIT, _IGNORE_FILE} if use_gitignore else set())
        self._rules: dict[str, int] = {}
        self.ignore_files = (
            IgnoreFiles(root, use_global=use_global_gitignore) if use_gitignore else None
        )
        self._max_depth = bounds.max_depth
        self._clock = clock
        self._is_stopped = is_stopped
        self._deadline = clock() + bounds.max_seconds
        self._unreachable: list[str] = []
        self._directories = self._errors = 0

    @property
    def bytes(self) -> int:
        """What the result takes so far; may be read from any thread."""
        return self._builder.bytes

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
            if self.ignore_files:
                at_root = self.ignore_files.stamp_at_root() if self._takes_stamps else 0
                root.scope = self.ignore_files.scope_at_root()
            self._book_rules(root.scope)
            self._read_levels({1: [root]})
        except BoundReached as reached:
            self._builder.truncated[str(reached)] = None
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
        self._builder.known = known
        self._builder.folders = folders
        read: list[Folder] = []
        try:
            scopes = {id(f.scope): f.scope for level in seeds.values() for f in level}
            for scope in scopes.values():  # what several have around them counts for each
                self._book_rules(scope)
            self._read_levels(dict(seeds), read)
        except BoundReached as reached:
            self._builder.truncated[str(reached)] = None
        return read, self._found_below(Folder(""), 0)

    def _read_levels(
        self, seeds: dict[int, list[Folder]], read: list[Folder] | None = None
    ) -> None:
        """Read the seeds and all below them; add to `read` what is about to be read."""
        for level in self._builder.levels(seeds):
            if read is not None:
                read += level
            for folder in level:
                self._read(folder)
        self._look_into_ignored_folders()

    def _found_below(self, root: Folder, rules_at_root: int) -> Found:
        return Found(
            root=root,
            files=self._builder.files,
            directories=self._directories,
            skipped=self._left_out.skipped,
            errors=self._errors + (self.ignore_files.errors if self.ignore_files else 0),
            truncated=tuple(self._builder.truncated),
            ignored=self._left_out.files(),
            unreachable=tuple(self._unreachable),
            rules=self._rules if self._takes_stamps else None,
            rules_at_root=rules_at_root,
        )

    def _book_rules(self, scope: Scope | None, known: Scope | None = None) -> None:
        """Book the rules of `scope` and around it, up to a scope that is booked already."""
        while scope is not None and scope is not known:
            self._builder.book(scope.rules.bytes)
            scope = scope.outer

    def has_time(self) -> bool:
        """
        Return whether the time of the walk is not over.

        Raises:
            Closed: it was stopped.
        """
        if self._is_stopped():
            raise Closed(f"the walk through {decoded(self._root)!r} was stopped")
        return self._clock() < self._deadline

    # ── one folder ──────────────────────────────────────────────────────────────────────────

    def _read(self, folder: Folder) -> None:
        if not self.has_time():
            raise BoundReached("max_seconds")
        bound = None
        path, scope = folder.path, folder.scope
        full_path = self._root + encoded(path)
        try:
            if self._takes_stamps:
                folder.stamp = stamp_of_folder(full_path)
            with os.scandir(full_path) as entries:
                files, folders, is_last = self._next_batch(entries, path)
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
            if isinstance(error.filename, bytes):
                error.filename = decoded(error.filename)  # as people expect it
            if not path:
                raise
            folder.stamp = 0
            self._note_failure(path, error)
            return
        self._directories += 1
        self._builder.add(folder, files, folders, scope)
        if bound:
            raise BoundReached(bound)

    def _next_batch(self, entries: Entries, path: str) -> tuple[Names, Names, bool]:
        """Return the names of the next files and folders, and whether there are no more."""
        files: Names = []
        folders: Names = []
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
        self._left_out.skipped += others
        return files, folders, len(files) + len(folders) + others + failures < _BATCH_ENTRIES

    def _read_by_rules(
        self,
        entries: Entries,
        path: str,
        files: Names,
        folders: Names,
        scope: Scope | None,
        *,
        is_last: bool,
    ) -> tuple[Names, Names, Scope | None, str | None]:
        """Return files, folders, what holds in there, and a bound reached before the end."""
        if self.ignore_files:
            has_git = not is_last or _GIT in folders or _GIT in files
            if has_git or _IGNORE_FILE in files:
                outer, scope = scope, self._scope_in(path, scope, has_git=has_git)
                self._book_rules(scope, known=outer)
        files, folders = self._left_out.select(path, files, folders, scope)
        size = 0
        while not is_last:
            more_files, more_folders, is_last = self._next_batch(entries, path)
            more_files, more_folders = self._left_out.select(path, more_files, more_folders, scope)
            files += more_files
            folders += more_folders
            size += sum(map(getsizeof, more_files)) + sum(map(getsizeof, more_folders))
            bound = self._builder.overrun(len(files), folders, size + 8 * len(files))
            if bound is None and not self.has_time():
                bound = "max_seconds"
            if bound:
                return files, folders, scope, bound
        return files, folders, scope, None

    def _scope_in(self, path: str, outer: Scope | None, *, has_git: bool) -> Scope | None:
        assert self.ignore_files is not None
        if self._takes_stamps and (stamp := self.ignore_files.stamp_in(path)) != NO_RULES:
            self._builder.book(_RULES_STAMP_BYTES + len(path))
            self._rules[path] = stamp
        return self.ignore_files.scope_in(path, outer, has_git=has_git)

    def _note_failure(self, path: str, error: OSError) -> None:
        if error.errno in EXHAUSTED:
            raise error
        if error.errno not in _GONE:
            self._errors += 1
        if error.errno not in _GONE | _REFUSED:
            self._unreachable.append(path)

    def _look_into_ignored_folders(self) -> None:
        """Fill up the ignored files with those in ignored folders, the shallow ones first."""
        left_out = self._left_out
        for path in left_out.folders:  # which grows meanwhile
            if left_out.is_full() or not self.has_time():
                return
            if path.count("/") + 2 > self._max_depth:
                continue
            skipped = left_out.skipped
            try:
                with os.scandir(self._root + encoded(path)) as entries:
                    files, folders, _ = self._next_batch(entries, path)
            except OSError:
                continue
            left_out.skipped = skipped  # with the folder that is ignored
            left_out.remember(path, files, folders)
