"""The files of the served folder, by a part of their path: an index that replaces itself."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from boundedcollections import MemoryBudget, ReplaceOnIndex
from chat.config import Limits


@dataclass(frozen=True, slots=True)
class Found:
    """Paths with the places of the characters that match, and how much was looked through."""

    results: Sequence[tuple[str, Sequence[int]]]
    files: int
    truncated: bool


class Files:
    """
    Completion of paths below `root`; nothing but relative paths ever leaves here.

    Raises:
        ValueError: `root` is a whole file system, or the home directory.
    """

    def __init__(self, root: Path, limits: Limits, budget: MemoryBudget) -> None:
        self.name = root.name
        self._limits = limits
        self._index = ReplaceOnIndex(
            root,
            max_files=limits.max_files,
            max_bytes=limits.max_files_bytes,
            budget=budget,
            floor_bytes=limits.files_bytes(),
            name="files",
        )

    @property
    def count(self) -> int:
        """How many files are indexed."""
        return len(self._index)

    def start(self) -> None:
        """Index now, and again and again, in a thread."""
        self._index.start(self._limits.index_interval_seconds)

    async def aclose(self) -> None:
        """Stop indexing, and return when the thread has ended."""
        await asyncio.to_thread(self._index.close)

    async def complete(self, query: str, limit: int) -> Found:
        """Find paths, the best first; in a thread, for a large index takes its time."""
        return await asyncio.to_thread(self._complete, query, limit)

    def _complete(self, query: str, limit: int) -> Found:
        """Who has typed nothing yet is shown how the list begins."""
        snapshot = self._index.snapshot()
        truncated = snapshot.report.truncated != ()
        if not query.strip():
            first = [(path, ()) for path in snapshot[:limit]]
            return Found(first, files=len(snapshot), truncated=truncated)
        matches = self._index.search(query, limit)
        return Found(
            [(match.path, match.positions) for match in matches],
            files=len(snapshot),
            truncated=truncated or matches.incomplete,
        )
