"""
A second look at a tree: only at folders that have changed since the first.

What is in a folder cannot change without its times changing; so if its stamp is what it was, so is
its list of files. A file that changes in place leaves no trace in its folder, so ignore files are
looked at one by one. Where rules have changed, everything below is walked anew.

A refresh is all or nothing: where it cannot be as good as a scan (the tree is at a bound, or half
of it has changed, or the rules at its root have), there has to be a scan.
"""

import os
from collections.abc import Iterator
from typing import Final

from boundedcollections.files import folders
from boundedcollections.files.columns import Columns
from boundedcollections.files.gitignore import Scope
from boundedcollections.files.overlay import Overlay
from boundedcollections.files.snapshot import IndexSnapshot
from boundedcollections.files.stamps import AT_ANY_TIME, NO_RULES, RACY
from boundedcollections.files.tree import Bounds, Found, Tree
from boundedcollections.files.walk import Walk

_MOST_CHANGED: Final = 4
"""If more than one folder in so many has changed, a scan is no more work."""

_FEW: Final = 64
"""But so many may change in any tree."""

_CHUNK: Final = 256
"""The time is looked at after so many folders."""


class Refresh:
    """
    Finds out what has changed since a snapshot was made.

    Args:
        known: the snapshot.
        root: an absolute path.
        bounds: how far to go.
        walk: what reads folders again; it takes stamps.
    """

    __slots__ = (
        "_at_root",
        "_bounds",
        "_columns",
        "_known",
        "_rescanned",
        "_root",
        "_rules",
        "_scopes",
        "_walk",
    )

    def __init__(self, known: IndexSnapshot, root: str, bounds: Bounds, walk: Walk) -> None:
        self._known = known
        self._columns = known.columns
        self._root = os.fsencode(root.rstrip("/") + "/")
        self._bounds = bounds
        self._walk = walk
        self._rules = known.rules or {}
        self._rescanned: tuple[str, ...] = ()  # folders that are to be walked anew
        self._at_root: Scope | None = None  # what holds around the root
        self._scopes: dict[str, Scope | None] = {}  # and in folders around changed ones

    def __contains__(self, folder: object) -> bool:
        """Whether a folder is known, so that it need not be walked."""
        assert isinstance(folder, str)
        is_rescanned = folder.startswith(self._rescanned)
        return not is_rescanned and self._columns.folder_number(folder) is not None

    def run(self) -> tuple[Columns, Found] | None:
        """
        Return the columns as they are now, and what was found; None if there has to be a scan.

        Raises:
            OSError: as for a walk.
            Closed: the walk was stopped.
        """
        if (
            not self._columns.stamps
            or self._known.report.truncated
            or self._rules_at_root_changed()
        ):
            return None
        changed = self._changed_folders()
        if changed is None:
            return None
        rescanned = self._folders_with_other_rules(changed)
        if "" in rescanned:
            return None
        self._rescanned = tuple(rescanned)
        seeds = [path for path in changed if not path.startswith(self._rescanned)]
        return self._read_again([*seeds, *_outermost(rescanned)])

    # ── what has changed ────────────────────────────────────────────────────────────────────

    def _rules_at_root_changed(self) -> bool:
        files = self._walk.ignore_files
        if files is None:
            return False
        stamp = files.stamp_at_root()
        if stamp == RACY or stamp != self._known.rules_at_root:
            return True
        self._at_root = files.scope_at_root()
        return False

    def _changed_folders(self) -> list[str] | None:
        """Return the folders whose stamps are not what they were; None if they are too many."""
        columns = self._columns
        most = max(_FEW, len(columns.stamps) // _MOST_CHANGED)
        changed: list[str] = []
        root, stamp_of = self._root, folders.stamp_of
        offsets = columns.folder_offsets
        for first in range(0, len(columns.stamps), _CHUNK):
            if not self._walk.has_time() or len(changed) > most:
                return None
            stamps = columns.stamps[first : first + _CHUNK]
            paths = columns.folders[offsets[first] : offsets[first + len(stamps)]].split(b"\0")
            for number, (stamp, path) in enumerate(zip(stamps, paths[1:], strict=True), first):
                try:
                    if stamp == stamp_of(root + path, AT_ANY_TIME):
                        continue
                except OSError:  # the walk will see why
                    pass
                changed.append(columns.folder(number))
        return changed if len(changed) <= most else None

    def _folders_with_other_rules(self, changed: list[str]) -> list[str]:
        """Return the folders whose ignore files have come, gone or changed."""
        files = self._walk.ignore_files
        if files is None:
            return []
        stamps = dict.fromkeys(changed, NO_RULES) | self._rules
        return [
            path
            for path, stamp in stamps.items()
            if (now := files.stamp_in(path)) != stamp or now == RACY
        ]

    # ── what there is now ───────────────────────────────────────────────────────────────────

    def _read_again(self, paths: list[str]) -> tuple[Columns, Found] | None:
        columns, known = self._columns, self._known
        seeds = [(path, self._scope_around(path)) for path in paths]
        read, found = self._walk.run_again(seeds, self, len(columns.folder_offsets) - 1)
        tree = found.tree
        if found.truncated or known.bytes + self._walk.bytes > self._bounds.max_bytes:
            return None
        gone = [numbers for seed in range(len(seeds)) for numbers in self._gone(tree, seed)]
        gone_paths = tuple(columns.folder(numbers.start) for numbers in gone)
        removed = tuple(path for path in gone_paths if not path.startswith(self._rescanned))
        read = [folder for folder in read if not tree.path(folder).startswith(removed)]
        read_paths = {tree.path(folder) for folder in read}
        found = found._replace(
            ignored=self._ignored_now(found.ignored, read_paths, gone_paths),
            rules_at_root=known.rules_at_root,
            rules={
                path: stamp
                for path, stamp in self._rules.items()
                if path not in read_paths and not path.startswith(gone_paths)
            }
            | (found.rules or {}),
        )
        if read or gone:
            overlay = Overlay(columns)
            for numbers in gone:
                overlay.leave_out(numbers)
            for folder in read:
                overlay.put(tree, folder)
            columns = overlay.merged()
        return (columns, found) if columns.files <= self._bounds.max_files else None

    def _scope_around(self, path: str) -> Scope | None:
        """Return what holds in the folder that a folder is in."""
        scope = self._at_root
        end = 0
        while self._rules and end < len(path):
            scope = self._scope_in(path[:end], scope)
            end = path.find("/", end) + 1
        return scope

    def _scope_in(self, path: str, outer: Scope | None) -> Scope | None:
        files = self._walk.ignore_files
        if files is None or path not in self._rules:
            return outer
        if path not in self._scopes:
            self._scopes[path] = files.scope_in(path, outer, has_git=True)
        return self._scopes[path]

    def _gone(self, tree: Tree, seed: int) -> Iterator[range]:
        """Yield the numbers of known folders that a seed has no more, or that are walked anew."""
        columns = self._columns
        path = tree.path(seed)
        number = columns.folder_place(path)
        numbers = columns.folders_from(number)
        if path.startswith(self._rescanned):
            yield numbers
            return
        now = set(map(tree.path, tree.folders(seed)))
        child = number + 1
        while child < numbers.stop:
            below = columns.folders_from(child)
            if columns.folder(child) not in now:
                yield below
            child = below.stop

    def _ignored_now(
        self, new: tuple[str, ...], read: set[str], gone: tuple[str, ...]
    ) -> tuple[str, ...]:
        """Return the ignored files, of the folders that were read and of the others."""
        if not read and not gone:
            return self._known.ignored
        kept = [path for path in self._known.ignored if not self._was_read(path, read, gone)]
        ignored = sorted({*kept, *new})
        room = self._bounds.max_ignored_files
        if len(ignored) > room:
            ignored.sort(key=lambda path: path.count("/"))
            ignored = sorted(ignored[:room])
        return tuple(ignored)

    def _was_read(self, path: str, read: set[str], gone: tuple[str, ...]) -> bool:
        """Return whether an ignored file would be among those that were found now."""
        if path.startswith(gone):
            return True
        end = path.rfind("/") + 1
        while path[:end] not in read:
            if self._columns.folder_number(path[:end]) is not None:
                return False  # its folder is as it was
            end = path.rfind("/", 0, end - 1) + 1
        return True


def _outermost(folders: list[str]) -> list[str]:
    """Return the folders that are not below another one of them."""
    outermost: list[str] = []
    for folder in sorted(folders):
        if not outermost or not folder.startswith(outermost[-1]):
            outermost.append(folder)
    return outermost
