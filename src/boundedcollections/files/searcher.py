"""
The tables of the newest snapshot, made when somebody searches, and the thread that completes.

Who never searches pays nothing. Once somebody has, each scan makes the tables of what it has
found before that takes its place, so that no later search waits for them.
"""

import os
import threading
from collections.abc import Callable
from typing import NamedTuple

from boundedcollections.files.engines import Engine
from boundedcollections.files.search import FileMatches, Search
from boundedcollections.files.snapshot import IndexSnapshot
from boundedcollections.files.tables import Tables


class Prepared(NamedTuple):
    """A snapshot that can be searched."""

    snapshot: IndexSnapshot
    tables: Tables


class Searcher:
    """
    Searches snapshots.

    Args:
        engine: what matches letters.
        max_bytes: what the tables of one snapshot may take.
        name: of the thread.

    Attributes:
        engine: the same.
        peak_bytes: the most bytes that tables have ever taken.
    """

    __slots__ = (
        "_jobs",
        "_lock",
        "_making",
        "_max_bytes",
        "_name",
        "_newest",
        "_process",
        "_thread",
        "engine",
        "peak_bytes",
    )

    def __init__(self, engine: Engine, max_bytes: int, name: str) -> None:
        self.engine = engine
        self._max_bytes = max_bytes
        self._name = name
        self._newest: Prepared | None = None
        self.peak_bytes = 0
        self._process = os.getpid()
        self._jobs: dict[object, Callable[[], object]] = {}
        self._thread: threading.Thread | None = None
        self._begin_without_threads()

    @property
    def bytes(self) -> int:
        """What the tables take."""
        newest = self._newest
        return 0 if newest is None else newest.tables.bytes

    def search(self, snapshot: IndexSnapshot, text: str, limit: int) -> FileMatches:
        """Return the complete answer to a query."""
        search = Search(*self.prepared(snapshot), text, limit)
        first = search.first()
        return first if first.final else search.complete()

    def prepared(self, snapshot: IndexSnapshot) -> Prepared:
        """Return a snapshot that can be searched: this one, or a newer one."""
        newest = self._newest
        if newest is None or newest.snapshot.generation < snapshot.generation:
            self._notice_fork()
            with self._making:
                newest = self._newest
                if newest is None or newest.snapshot.generation < snapshot.generation:
                    newest = self._made(snapshot)
        return newest

    def foresee(self, snapshot: IndexSnapshot) -> None:
        """Make the tables of what is about to be searched, if anybody searches."""
        if self._newest is not None:
            self.prepared(snapshot)

    def complete(self, who: object, job: Callable[[], object]) -> None:
        """Do a job in the thread; it takes the place of one that was left by the same, if any."""
        self._notice_fork()
        with self._lock:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name=self._name)
                self._jobs[who] = job
                thread.start()
                self._thread = thread
            else:
                self._jobs[who] = job

    def _made(self, snapshot: IndexSnapshot) -> Prepared:
        made = Prepared(snapshot, Tables(snapshot.columns, self.engine, self._max_bytes))
        held = self.bytes + made.tables.bytes
        if held > self.peak_bytes:  # noqa: PLR1730  # `max` is a call
            self.peak_bytes = held
        self._newest = made
        return made

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._jobs:
                    self._thread = None
                    return
                job = self._jobs.pop(next(iter(self._jobs)))
            job()

    def _notice_fork(self) -> None:
        """Begin anew in a process that was forked: the threads of its parent are not in it."""
        if self._process != os.getpid():
            self._begin_without_threads()
            self._process = os.getpid()

    def _begin_without_threads(self) -> None:
        self._making = threading.RLock()  # held while tables are made
        self._lock = threading.RLock()  # held for a moment
        self._jobs = {}
        self._thread = None
