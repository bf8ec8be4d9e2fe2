"""
One walk over a tree: breadth first, within bounds, from `os.scandir` alone.

Nothing is asked of a file but what its folder's listing says, so a walk costs little more than
the system calls. Links are not followed. The walk goes level by level, so that what a bound cuts
off is what lies deepest; within a level it goes in alphabetical order, so that it is always the
same files that are kept.
"""

import errno
import os
from collections.abc import Callable, Collection, Container, Iterator, Sequence
from itertools import islice
from sys import getsizeof
from typing import Final

from boundedcollections._core.errors import Closed
from boundedcollections.files import folders
from boundedcollections.files.builder import BoundReached, TreeBuilder
from boundedcollections.files.gitignore import Scope
from boundedcollections.files.left_out import LeftOut
from boundedcollections.files.repository import EXHAUSTED, GIT, IGNORE_FILE, IgnoreFiles
from boundedcollections.files.stamps import NO_RULES, settled
from boundedcollections.files.tree import Bounds, Found, Tree, decoded, encoded

Names = list[bytes]
RawPath = bytes
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
        "_sign",
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
        self._sign = b"\0" + (_common_beginning(self._special) if self._special else b"\0")
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
        tree = self._builder.tree
        root = tree.add([b""])
        at_root = 0
        try:
            if self.ignore_files:
                at_root = self.ignore_files.stamp_at_root() if self._takes_stamps else 0
                tree.scopes = [self.ignore_files.scope_at_root()]
            self._book_rules(tree.scopes[0])
            self._read_levels({1: [*root]})
        except BoundReached as reached:
            self._builder.truncated[str(reached)] = None
        return self._found(at_root)

    def run_again(
        self, seeds: Sequence[tuple[str, Scope | None]], known: Container[str], folders: int
    ) -> tuple[list[int], Found]:
        """
        Read some folders again, and walk what is below them and not known.

        Returns the folders that were read. Those among their parts that were not are known.

        Args:
            seeds: the paths of the folders to read, and the rules around each. They have the
                first numbers in the tree.
            known: paths of folders not to walk.
            folders: how many folders there are, so that no more than the bound are added.

        Raises:
            OSError: as for `run`.
            Closed: it was stopped.
        """
        self._builder.known = known
        self._builder.folders = folders
        levels: dict[int, list[int]] = {}
        for path, scope in seeds:
            levels.setdefault(path.count("/") + 1, []).extend(
                self._builder.tree.add([encoded(path)], scope)
            )
        read: list[int] = []
        try:
            for scope in {id(scope): scope for _, scope in seeds}.values():
                self._book_rules(scope)  # what several have around them counts for each
            self._read_levels(levels, read)
        except BoundReached as reached:
            self._builder.truncated[str(reached)] = None
        return read, self._found(0)

    def _read_levels(self, seeds: dict[int, list[int]], read: list[int] | None = None) -> None:
        """Read the seeds and all below them; add to `read` what is about to be read."""
        for level in self._builder.levels(seeds):
            if read is not None:
                read += level
            for folder in level:
                self._read(folder)
        self._look_into_ignored_folders()

    def _found(self, rules_at_root: int) -> Found:
        return Found(
            tree=self._builder.tree,
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

    def _read(self, folder: int) -> None:
        tree = self._builder.tree
        try:
            self._read_at_once(folder, tree)
        except OSError as error:
            if isinstance(error.filename, RawPath):
                error.filename = decoded(error.filename)  # as people expect it
            if not tree.paths[folder] or error.errno in EXHAUSTED:
                raise
            tree.stamps[folder] = 0
            self._note_failure(tree.paths[folder], error.errno)

    def _read_at_once(self, folder: int, tree: Tree) -> None:
        if not self.has_time():
            raise BoundReached("max_seconds")
        path = self._root + tree.paths[folder]
        scope = tree.scopes[folder]
        if self._takes_stamps:
            tree.stamps[folder] = folders.stamp_of(path, settled())
        listed = folders.list_folder(path, _BATCH_ENTRIES)
        if listed is None:
            self._read_entries(folder, path)
            return
        block, count, names = listed
        is_plain = scope is None and self._sign not in block
        if is_plain and not names and self._builder.add_plain(folder, block, count):
            self._directories += 1
            return
        files = block.split(b"\0")[1:]
        if not is_plain or not self._special.isdisjoint(names):
            has_git = _GIT in names or _GIT in files
            files, names, scope = self._by_rules(folder, files, names, may_have_git=has_git)
        self._directories += 1
        self._builder.add(folder, files, names, scope)

    def _by_rules(
        self, folder: int, files: Names, folders: Names, *, may_have_git: bool
    ) -> tuple[Names, Names, Scope | None]:
        """Return what is neither skipped nor ignored of what is in a folder, and what holds there."""
        tree = self._builder.tree
        outer = scope = tree.scopes[folder]
        if self.ignore_files and (may_have_git or _IGNORE_FILE in files):
            scope = self._scope_in(tree.path(folder), scope, has_git=may_have_git)
            self._book_rules(scope, known=outer)
        return *self._left_out.select(tree.paths[folder], files, folders, scope), scope

    # ── one folder, entry by entry ──────────────────────────────────────────────────────────

    def _read_entries(self, folder: int, full_path: RawPath) -> None:
        """Read a large folder, or one with something in it that has to be looked at."""
        path = self._builder.tree.paths[folder]
        bound = None
        size = 0
        with os.scandir(full_path) as entries:
            files, names, is_last = self._next_batch(entries, path)
            has_git = not is_last or _GIT in names or _GIT in files
            files, names, scope = self._by_rules(folder, files, names, may_have_git=has_git)
            while not is_last and bound is None:
                more_files, more_names, is_last = self._next_batch(entries, path)
                more_files, more_names = self._left_out.select(path, more_files, more_names, scope)
                files += more_files
                names += more_names
                size += sum(map(getsizeof, more_files)) + sum(map(getsizeof, more_names))
                bound = self._builder.overrun(len(files), names, size + 8 * len(files))
                if bound is None and not self.has_time():
                    bound = "max_seconds"
        self._directories += 1
        self._builder.add(folder, files, names, scope)
        if bound:
            raise BoundReached(bound)

    def _next_batch(self, entries: Entries, path: RawPath) -> tuple[Names, Names, bool]:
        """Return the names of the next files and folders, and whether there are no more."""
        files: Names = []
        names: Names = []
        others: Names = []
        failures = 0
        batch = islice(entries, _BATCH_ENTRIES)
        while True:
            try:
                folders.sort_out(batch, files, names, others)
                break
            except OSError as error:  # of one entry, or of the listing, which ends with it
                if error.errno in EXHAUSTED:
                    raise
                self._note_failure(path, error.errno)
                failures += 1
        self._left_out.skipped += len(others)
        read = len(files) + len(names) + len(others) + failures
        return files, names, read < _BATCH_ENTRIES

    def _scope_in(self, path: str, outer: Scope | None, *, has_git: bool) -> Scope | None:
        assert self.ignore_files is not None
        if self._takes_stamps and (stamp := self.ignore_files.stamp_in(path)) != NO_RULES:
            self._builder.book(_RULES_STAMP_BYTES + len(path))
            self._rules[path] = stamp
        return self.ignore_files.scope_in(path, outer, has_git=has_git)

    def _note_failure(self, path: RawPath, code: int | None) -> None:
        if code not in _GONE:
            self._errors += 1
        if code not in _GONE | _REFUSED:
            self._unreachable.append(decoded(path))

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
                raw_path = encoded(f"{path}/")
                with os.scandir(self._root + raw_path) as entries:
                    files, folders, _ = self._next_batch(entries, raw_path)
            except OSError:
                continue
            left_out.skipped = skipped  # with the folder that is ignored
            left_out.remember(path, files, folders)


def _common_beginning(names: Collection[bytes]) -> bytes:
    """Return what all the names begin with."""
    first, last = min(names), max(names)
    while not last.startswith(first):
        first = first[:-1]
    return first
