"""What two snapshots have not in common."""

from collections.abc import Iterator
from itertools import pairwise

from boundedcollections.files.columns import Columns
from boundedcollections.files.snapshot import IndexSnapshot
from boundedcollections.files.tree import decoded

_ADDED = True
_REMOVED = False


class IndexChanges:
    """
    What has come and gone between two snapshots of an index; found out when it is asked for.

    It holds both snapshots, and nothing else: a list of all that has changed could be larger than
    the index.

    >>> changes = IndexChanges(IndexSnapshot.empty(), IndexSnapshot.empty())
    >>> list(changes.added()), list(changes.removed()), bool(changes)
    ([], [], False)

    Attributes:
        before: the snapshot that was replaced.
        after: the one that took its place.
    """

    __slots__ = ("after", "before")

    def __init__(self, before: IndexSnapshot, after: IndexSnapshot) -> None:
        self.before = before
        self.after = after

    def __bool__(self) -> bool:
        """Whether there is any difference; O(n), and quick."""
        before, after = self.before.columns, self.after.columns
        return before is not after and next(_differences(before, after), None) is not None

    def added(self) -> Iterator[str]:
        """Return an iterator over the paths that are new, in order; O(n) for all of them."""
        return self._only(_ADDED)

    def removed(self) -> Iterator[str]:
        """Return an iterator over the paths that are gone, in order; O(n) for all of them."""
        return self._only(_REMOVED)

    def __repr__(self) -> str:
        return f"<IndexChanges {self.before.generation} to {self.after.generation}>"

    def _only(self, kind: bool) -> Iterator[str]:  # one of two constants
        before, after = self.before.columns, self.after.columns
        return (path for what, path in _differences(before, after) if what is kind)


def _differences(before: Columns, after: Columns) -> Iterator[tuple[bool, str]]:
    """Yield what is in one of the two only, in order; equal blocks are passed over as such."""
    olds, news = _blocks(before), _blocks(after)
    old: list[str] = []  # what is left of the blocks under comparison, the next path at the end
    new: list[str] = []
    while True:
        if not old and not new:
            block, other = next(olds, None), next(news, None)
            if block == other:
                if block is None:
                    return
                continue
            old, new = _paths(block), _paths(other)
        old = old or _paths(next(olds, None))
        new = new or _paths(next(news, None))
        if old and new and old[-1] == new[-1]:
            old.pop()
            new.pop()
        elif not new or (old and old[-1] < new[-1]):
            yield _REMOVED, old.pop()
        else:
            yield _ADDED, new.pop()


Block = tuple[str, bytes]
"""The path of a folder, and names in it."""


def _blocks(columns: Columns) -> Iterator[Block]:
    last, folder = -1, ""
    for owner, (begin, end) in zip(columns.owners, pairwise(columns.offsets), strict=True):
        if owner != last:
            last, folder = owner, columns.folder(owner)
        yield folder, columns.names[begin:end]


def _paths(block: Block | None) -> list[str]:
    """Return the paths in a block, the last one first."""
    if block is None:
        return []
    folder, names = block
    return [folder + name for name in reversed(decoded(names).split("\0")[1:])]
