"""The entries that expire, in the order in which they do."""

from collections import deque
from collections.abc import Iterable
from typing import Any

from sortedcontainers import SortedList

from boundedcollections.lru.entries import Entry

AnyEntry = Entry[Any, Any]


class Deadlines:
    """
    Finds what is due without a scan; adding and taking out cost O(log n).

    >>> deadlines = Deadlines()
    >>> for name, deadline in (("late", 9.0), ("soon", 3.0)):
    ...     deadlines.note(Entry(name, None, 1, deadline), None)
    >>> [entry.key for entry in deadlines.due(5.0)]
    ['soon']

    Its owner calls it under its own lock. A signal handler or a destructor may interrupt a call
    and use the cache itself; the sorted list is Python code, and in disorder for a moment. So
    changes are queued, and made one after the other by whoever came first, from what the entry
    says then.
    """

    __slots__ = ("_at_work", "_changed", "_sorted")

    def __init__(self, entries: Iterable[AnyEntry] = ()) -> None:
        self._sorted: SortedList[tuple[float, AnyEntry]] = SortedList(
            (entry.deadline, entry) for entry in entries if entry.deadline is not None
        )
        self._changed: deque[tuple[AnyEntry, float | None]] = deque()
        self._at_work = False

    def __len__(self) -> int:
        return len(self._sorted)

    def __contains__(self, entry: AnyEntry) -> bool:
        return entry.deadline is not None and (entry.deadline, entry) in self._sorted

    def note(self, entry: AnyEntry, old: float | None) -> None:
        """Note that `entry` has another deadline than `old`, or has left."""
        self._changed.append((entry, old))
        self._settle()

    def due(self, now: float) -> list[AnyEntry]:
        """Take out and return what has expired, the first to do so first."""
        taken: list[tuple[float, AnyEntry]] = []
        if not self._at_work:  # else it comes with the next call
            self._at_work = True
            try:
                while self._sorted and self._sorted[0][0] <= now:
                    taken.append(self._sorted.pop(0))
            finally:
                self._at_work = False
            self._settle()
        return [entry for deadline, entry in taken if entry.deadline == deadline]

    def _settle(self) -> None:
        while self._changed and not self._at_work:
            self._at_work = True
            try:
                entry, old = self._changed.popleft()
                if old is not None:
                    self._sorted.discard((old, entry))
                new = entry.deadline if entry.size >= 0 else None  # as of now, whoever set it
                if new is not None and (new, entry) not in self._sorted:
                    self._sorted.add((new, entry))
            finally:
                self._at_work = False
