"""
The folders of a snapshot, by how their last components begin, and what lies in them.

Their paths are handed to an engine in groups by the first letter of the last component: what
somebody types is, more often than not, how that begins.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import groupby
from sys import getsizeof
from typing import Final

from boundedcollections.files.columns import Columns
from boundedcollections.files.engines import Engine, Hits
from boundedcollections.files.folding import composed, folded, following

LONGEST: Final = (1 << 16) - 1
"""Lengths are 16 bits wide; what is longer than that is sorted as if it were so long."""


class FolderTable:
    """
    The folders of a snapshot, by their numbers in its columns.

    Attributes:
        columns: of the snapshot.
        lengths: of their paths, in characters.
        bytes: what all this takes, about 18 bytes a folder and what its matcher takes.
    """

    __slots__ = (
        "_blocks",
        "_by_component",
        "_ends",
        "_firsts",
        "_matcher",
        "bytes",
        "columns",
        "lengths",
    )

    def __init__(self, columns: Columns, engine: Engine) -> None:
        self.columns = columns
        self.lengths = array("H")
        self._ends = array("I")
        self._learn()
        numbers = range(len(self.lengths))
        self._by_component = array("I", sorted(numbers, key=self._component))
        self._matcher = engine.matcher(
            (composed(self._spelled(number)) for number in group)
            for _, group in groupby(self._by_component, key=self._initial)
        )
        self._firsts = array("I", bytes(4 * (len(numbers) + 1)))
        self._blocks = array(
            "I", sorted(range(len(columns.owners)), key=columns.owners.__getitem__)
        )
        for owner in columns.owners:
            self._firsts[owner + 1] += 1
        for number in numbers:
            self._firsts[number + 1] += self._firsts[number]
        self.bytes = getsizeof(self) + self._matcher.current_bytes
        self.bytes += sum(map(getsizeof, (self.lengths, self._ends, self._by_component)))
        self.bytes += sum(map(getsizeof, (self._firsts, self._blocks)))

    def __len__(self) -> int:
        return len(self.lengths)

    def path(self, number: int) -> bytes:
        """Return the path of a folder, folded, with its final ``/``."""
        return folded(self._spelled(number))

    def at(self, above: bytes, prefix: bytes) -> list[int]:
        """
        Return the folders whose last component begins with `prefix`; O(log n + these).

        Args:
            above: how the path above them must end, from the beginning of a component on.
            prefix: if it is empty, the folders that end as `above` says are meant themselves.
        """
        if prefix and above:
            around = self.below(self.at(above, b""))
            starts = [each.start for each in around]
            return [
                number
                for number in (self._numbers(prefix, following(prefix)) if around else ())
                if number in around[bisect_right(starts, number) - 1]
                and _ends(self._above(number), above)
            ]
        if prefix:
            return list(self._numbers(prefix, following(prefix)))
        component = above[above.rfind(b"/", 0, -1) + 1 : -1]
        numbers = self._numbers(component, component + b"\0")
        return [k for k in numbers if _ends(self.path(k), above)]

    def ending(self, initial: bytes) -> range:
        """Return the places of the folders whose last component begins with this byte."""
        return self._between(initial, following(initial))

    def hits(self, letters: bytes, places: Iterable[range], most: int) -> Hits:
        """Return folders at these places whose paths hold the letters, and at most so many."""
        found, is_cut = self._matcher.hits(letters, places, most)
        return Hits([self._by_component[place] for place in found], is_cut)

    def beginning(self, parts: Sequence[bytes], most: int) -> Hits:
        """
        Return folders whose last components begin with these parts, the closest first.

        Args:
            parts: of what was typed, one for each component.
            most: so many folders, at most, are looked at.
        """
        numbers = self._numbers(parts[-1], following(parts[-1]))
        found: list[tuple[int, int, int]] = []
        for number in numbers[:most]:
            components = self.path(number).rsplit(b"/", len(parts) + 1)[-len(parts) - 1 : -1]
            if all(map(bytes.startswith, components, parts)) and len(components) == len(parts):
                found.append((sum(map(len, components)), self.lengths[number], number))
        found.sort()
        return Hits([number for _, _, number in found], len(numbers) > most)

    def below(self, folders: Iterable[int]) -> list[range]:
        """Return these folders and all below them, as ranges that do not overlap."""
        ranges: list[range] = []
        for number in sorted(folders):
            if not ranges or number >= ranges[-1].stop:
                ranges.append(range(number, self._ends[number]))
        return ranges

    def blocks(self, number: int) -> Sequence[int]:
        """Return the blocks of the files that lie right in a folder."""
        return self._blocks[self._firsts[number] : self._firsts[number + 1]]

    def size(self, number: int) -> int:
        """Return how many files lie right in a folder."""
        starts = self.columns.starts
        return sum(starts[block + 1] - starts[block] for block in self.blocks(number))

    def _above(self, number: int) -> bytes:
        path = self.path(number)
        return path[: path.rfind(b"/", 0, -1) + 1]

    def _component(self, number: int) -> bytes:
        path = self.path(number)
        return path[path.rfind(b"/", 0, -1) + 1 : -1]

    def _initial(self, number: int) -> bytes:
        return self._component(number)[:1]

    def _spelled(self, number: int) -> bytes:
        begin, end = self.columns.folder_offsets[number : number + 2]
        return self.columns.folders[begin + 1 : end]

    def _numbers(self, first: bytes, after: bytes) -> Sequence[int]:
        places = self._between(first, after)
        return self._by_component[places.start : places.stop]

    def _between(self, first: bytes, after: bytes) -> range:
        """Return the places of the folders whose last component is between these."""
        begin = bisect_left(self._by_component, first, key=self._component)
        if not after:
            return range(begin, len(self))
        return range(begin, bisect_left(self._by_component, after, begin, key=self._component))

    def _learn(self) -> None:
        """Learn how long the paths are, and where what is below them ends."""
        columns = self.columns
        count = len(columns.folder_offsets) - 1
        self._ends = array("I", [count]) * count
        around: list[tuple[int, str]] = []
        for number in range(count):
            path = columns.folder(number)
            while around and not path.startswith(around[-1][1]):
                self._ends[around.pop()[0]] = number
            around.append((number, path))
            self.lengths.append(min(len(path), LONGEST))


def _ends(path: bytes, end: bytes) -> bool:
    return path.endswith(end) and (len(path) == len(end) or path[-len(end) - 1] == ord("/"))
