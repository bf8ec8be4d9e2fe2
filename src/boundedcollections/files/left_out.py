"""What ignore rules leave out of a walk: remembered, as far as bounds allow, to be found by name."""

from sys import getsizeof

from boundedcollections.files.builder import TreeBuilder
from boundedcollections.files.gitignore import Scope
from boundedcollections.files.sorting import in_order
from boundedcollections.files.tree import Bounds, decoded


class LeftOut:
    """
    The ignored files and folders of one walk, and how many entries it has left out in all.

    Args:
        bounds: how much to remember.
        builder: counts the bytes.
        skip: names that are left out wherever they occur.

    Attributes:
        folders: the paths of the ignored folders, without a final ``/``.
        skipped: entries that were left out; a folder counts once.
    """

    __slots__ = ("_bounds", "_builder", "_files", "_skip", "folders", "skipped")

    def __init__(self, bounds: Bounds, builder: TreeBuilder, skip: frozenset[bytes]) -> None:
        self._bounds = bounds
        self._builder = builder
        self._skip = skip
        self._files: list[str] = []
        self.folders: list[str] = []
        self.skipped = 0

    def files(self) -> tuple[str, ...]:
        """Return the paths of the ignored files, in order."""
        return tuple(in_order(self._files))

    def select(
        self, raw_path: bytes, files: list[bytes], folders: list[bytes], scope: Scope | None
    ) -> tuple[list[bytes], list[bytes]]:
        """
        Return what is neither always skipped nor ignored of what is in one folder.

        Args:
            raw_path: of the folder.
            files: names of files in it.
            folders: names of folders in it.
            scope: the rules that hold there.
        """
        files, folders = self._without_skipped(files), self._without_skipped(folders)
        if scope:
            if files:
                kept, ignored = scope.sift(files, raw_path, is_folder=False)
                if ignored:
                    files = kept
                    self._note(raw_path, ignored, self._files)
            if folders:
                kept, ignored = scope.sift(folders, raw_path, is_folder=True)
                if ignored:
                    folders = kept
                    self._note(raw_path, ignored, self.folders)
        return files, folders

    def is_full(self) -> bool:
        """Return whether no more files are to be remembered."""
        return len(self._files) >= self._bounds.max_ignored_files

    def remember(self, path: str, files: list[bytes], folders: list[bytes]) -> None:
        """Remember what is in an ignored folder, but for what is always skipped."""
        for names, left_out in (files, self._files), (folders, self.folders):
            kept = sorted(set(names) - self._skip)
            self._keep([f"{path}/{decoded(name)}" for name in kept], left_out)

    def _without_skipped(self, names: list[bytes]) -> list[bytes]:
        if self._skip.isdisjoint(names):
            return names
        kept = [name for name in names if name not in self._skip]
        self.skipped += len(names) - len(kept)
        return kept

    def _note(self, raw_path: bytes, ignored: list[bytes], left_out: list[str]) -> None:
        """Count what is ignored in one folder, and remember it in `left_out`."""
        self.skipped += len(ignored)
        self._keep([decoded(raw_path + name) for name in sorted(ignored)], left_out)

    def _keep(self, paths: list[str], left_out: list[str]) -> None:
        """Add paths to those that are remembered, as far as there is room."""
        del paths[max(0, self._bounds.max_ignored_files - len(left_out)) :]
        if self._builder.book_if_possible(sum(map(getsizeof, paths)) + 8 * len(paths)):
            left_out += paths
            return
        left_out += [path for path in paths if self._builder.book_if_possible(getsizeof(path) + 8)]
