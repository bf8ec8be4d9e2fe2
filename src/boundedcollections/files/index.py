"""
The files below a folder, in memory, never more than fit: for completion and search.

A list of files that a service keeps about a tree goes wrong in a few well-known ways: it grows
with each refresh, it keeps what was deleted, it blocks readers while it walks, it follows a link
out of the tree, and nobody ever counted its bytes. `ReplaceOnIndex` never changes what it has.
It walks off to the side, within bounds, and then puts a new snapshot in the place of the old one.
"""

import asyncio
import os
import threading
import time
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import Self

from boundedcollections._core.budgets import Budget, Place
from boundedcollections._core.errors import Closed
from boundedcollections._core.events import Notifier
from boundedcollections._core.units import (
    MiB,
    non_negative_int,
    positive_int,
    positive_seconds,
)
from boundedcollections.files.background import Repeater
from boundedcollections.files.changes import IndexChanges
from boundedcollections.files.columns import Columns
from boundedcollections.files.engines import engine_named
from boundedcollections.files.finder import FileFinder
from boundedcollections.files.index_statistics import IndexStatistics
from boundedcollections.files.plan import (
    LEAST_BYTES,
    MOST_COLUMN_BYTES,
    SHARES,
    Plan,
    allowed_root,
    enough_bytes,
    names_to_skip,
)
from boundedcollections.files.repository import GIT
from boundedcollections.files.scanner import Scanner
from boundedcollections.files.search import FileMatches
from boundedcollections.files.searcher import Searcher
from boundedcollections.files.snapshot import IndexReport, IndexSnapshot
from boundedcollections.files.tree import Bounds


class ReplaceOnIndex(Collection[str]):
    r"""
    The paths of the files below a folder, replaced as a whole by each scan.

    >>> files = ReplaceOnIndex(project)
    >>> files.index()
    IndexReport(files=3, ..., truncated=(), errors=0, ...)
    >>> list(files)
    ['README.md', 'src/app.py', 'src/app_test.py']
    >>> for match in files.search("apt", limit=1):
    ...     print(match.path, match.positions)
    src/app_test.py (4, 5, 8)

    A scan asks nothing of a file but its name, follows no link, and leaves out what git would
    ignore (by the ignore files in the tree, those above it in the same repository,
    ``.git/info/exclude``, and the user's own, all read anew each time), ``.git`` itself and what
    is called as in `always_skip`. Files and links are indexed; sockets, pipes and devices are not.
    Some of the ignored files are remembered apart; `search` shows them when they are named. (To
    these belong files that git tracks although its rules ignore them.)

    **At the bound** the walk, which goes level by level, ends or goes no deeper: shallow files
    survive. What it has found becomes the index, and `IndexReport.truncated` says which bounds
    cut it. A scan that fails changes nothing: `index` raises, and what was there stays.

    **Bytes**: `max_bytes` covers the snapshot that is read, the walk under way, and the snapshot
    that it turns into, and for both snapshots the tables that a search needs; each has its share,
    so the bound is kept at every moment. A file takes about 30 bytes of a snapshot. Once somebody
    searches, it takes as much again of tables, or 80 bytes with the engine of the extra `fuzzy`.
    Not covered: the listing of up to 1,024 entries that is being read, the working memory of a
    search, that of making tables (about 80 bytes a file, for a moment), and snapshots that others
    hold on to.

    **Threads and tasks**: every method may be called from any thread and any task, from a signal
    handler, a destructor, from `on_index` and
    from `on_change`. Readers never wait and never see half: each uses
    the snapshot that is there when it begins. There is one scan at a time; whoever asks during a
    scan gets the next one, together with everybody else who does.

    **Complexity**: a scan is O(entries); `len` is O(1), `in` and the first item of `prefix` are
    O(log n), `search` and `glob` are O(n) with small constants, and bounded. The first search
    makes tables, which takes about 4 us a file; after that, scans make them.

    **When not to use it**: to look for what is in the files; for a handful of files, where
    `Path.glob` does.

    Args:
        root: the folder. It need not exist before the first scan.
        max_files: the most files to index.
        max_bytes: the most bytes to take, as above; at least 64 KiB.
        max_directories: the most folders to find, the root included.
        max_depth: how many levels of folders to enter; the root is the first.
        max_seconds: how long a scan may take; what it has found by then becomes the index.
        max_ignored_files: how many ignored files to remember; 0 for none.
        always_skip: names of files and folders to leave out wherever they occur.
        use_gitignore: whether to leave out what git would ignore.
        use_global_gitignore: whether that includes the user's own file of patterns, which git
            follows in every repository. It depends on who runs this.
        full_every: of so many calls of `refresh` in a row, one reads all folders.
        allow_broad_root: whether `root` may be the root of a file system, the home directory, or
            a folder that this one is in. Such trees are large, and nobody means them.
        search_engine: what looks for letters: ``"standard"``, or ``"frizbee"`` with the extra
            `fuzzy`. If that cannot be used, there is a `RuntimeWarning`, and the first one is.
        on_index: called as ``on_index(report)`` after each scan that has not failed, in its
            thread and without a lock. What it raises is logged and counted.
        on_change: called as ``on_change(changes)`` in the same way, after `on_index`, if a scan has
            found other files than there were. The snapshot before is held until it returns.
        budget: a `MemoryBudget` to join. It claims what its next scan may need; when its target
            falls, that scan keeps less, as at `max_bytes`. Before that it cannot give anything up.
        floor_bytes: what the target never falls below; at least 64 KiB.
        weight: the share of the budget beside the other members'.
        name: for people and metrics.
        clock: seconds, never going back.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: a bound is too low, or `root` is too broad.
    """

    __slots__ = (
        "__weakref__",
        "_lock",
        "_max_bytes",
        "_notify",
        "_notify_change",
        "_place",
        "_plan",
        "_repeater",
        "_scanner",
        "_searcher",
        "_shares",
        "name",
    )

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        max_files: int = 200_000,
        max_bytes: int = 192 * MiB,
        max_directories: int = 50_000,
        max_depth: int = 64,
        max_seconds: float = 60.0,
        max_ignored_files: int = 1_000,
        always_skip: Iterable[str] = (),
        use_gitignore: bool = True,
        use_global_gitignore: bool = True,
        full_every: int = 10,
        allow_broad_root: bool = False,
        search_engine: str = "standard",
        on_index: Callable[[IndexReport], object] | None = None,
        on_change: Callable[[IndexChanges], object] | None = None,
        budget: Budget | None = None,
        floor_bytes: int = 0,
        weight: float = 1.0,
        name: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._repeater: Repeater | None = None  # first, because the destructor asks for it
        self._max_bytes = enough_bytes(max_bytes)
        engine = engine_named(search_engine)
        self._shares = SHARES + 2 * engine.shares
        share = self._max_bytes // self._shares
        self._plan = Plan(
            root=allowed_root(root, allow_broad_root=allow_broad_root),
            bounds=Bounds(
                max_files=positive_int("max_files", max_files),
                max_bytes=min(share, MOST_COLUMN_BYTES),
                max_directories=positive_int("max_directories", max_directories),
                max_depth=positive_int("max_depth", max_depth),
                max_seconds=positive_seconds("max_seconds", max_seconds),
                max_ignored_files=non_negative_int("max_ignored_files", max_ignored_files),
            ),
            skip=names_to_skip(always_skip) | {GIT},
            use_gitignore=use_gitignore,
            use_global_gitignore=use_global_gitignore,
            full_every=positive_int("full_every", full_every),
            allow_broad_root=allow_broad_root,
            clock=clock,
        )
        self._notify = Notifier(on_index)
        self._notify_change = Notifier(on_change)
        self._lock = threading.RLock()
        self.name = name
        self._searcher = Searcher(engine, share * engine.shares, f"{self._label}: search")
        notify, notify_change = self._notify, self._notify_change

        self._place: Place | None = None
        places: list[Place] = []

        def tell(report: IndexReport, changes: IndexChanges | None) -> None:
            # Not by way of self: nothing in here keeps the index alive.
            for place in places if "max_bytes" in report.truncated else ():
                place.account.press(place.target_bytes)
            notify([(report,)])
            if changes:
                notify_change([(changes,)])

        tells_changes = on_change is not None
        self._scanner = Scanner(
            self._plan, tell, self._searcher.foresee, self._label, tells_changes=tells_changes
        )
        if budget is not None:
            self._place = Place(
                self,
                budget,
                name=type(self).__name__ if name is None else name,
                max_bytes=self._max_bytes,
                floor_bytes=max(floor_bytes, LEAST_BYTES),
                weight=weight,
            )
            places.append(self._place)

    # ── scanning ────────────────────────────────────────────────────────────────────────────

    def index(self) -> IndexReport:
        """
        Scan the tree and put what is found in the place of what was there; wait for it.

        If a scan is under way, this waits for the one after it, and shares that one with all who
        wait for it: the report always comes from a scan that began after the call.

        O(entries in the tree).

        Raises:
            Closed: the index was closed, perhaps meanwhile.
            OSError: the root cannot be read, the process has run out of file descriptors or
                memory, or a failing file system hides more than half of the files that were
                known. The index is what it was.
        """
        return self._scanner.scan()

    async def aindex(self) -> IndexReport:
        """
        Do the same in a thread; for asyncio.

        However many tasks wait, there are at most two threads: of the scan under way and of the
        next. Cancelling a task ends its waiting and nothing else.

        Raises:
            Closed: the index was closed, perhaps meanwhile.
            OSError: as for `index`.
        """
        return await asyncio.wrap_future(self._scanner.next_scan())

    def refresh(self) -> IndexReport:
        """
        Look only at what has changed; otherwise the same as `index`, and much cheaper.

        A folder is read if its times, or those of its ignore files, are not what they were; the
        folders below it, if they are new or if rules have changed. Of `full_every` refreshes one
        reads all folders; so does the first, and each while the tree is at a bound.

        What is deep in ignored folders is looked at by scans of everything only.

        O(folders in the tree).

        Raises:
            Closed: the index was closed, perhaps meanwhile.
            OSError: as for `index`.
        """
        return self._scanner.scan(is_refresh=True)

    async def arefresh(self) -> IndexReport:
        """
        Do the same in a thread; for asyncio, and just as `aindex`.

        Raises:
            Closed: the index was closed, perhaps meanwhile.
            OSError: as for `index`.
        """
        return await asyncio.wrap_future(self._scanner.next_scan(is_refresh=True))

    def start(self, interval_seconds: float = 120.0, *, watch: bool = False) -> None:
        """
        Refresh in the background, at once and again and again, until `close`.

        The thread ends by itself with the main thread. A scan that fails is logged.

        Args:
            interval_seconds: seconds between the end of a scan and the beginning of the next.
            watch: whether to refresh sooner when the system says that something has happened.
                That takes the extra ``watch``, and one of the system's watches for each folder;
                if it fails, that is logged once, and the interval is all there is.

        Raises:
            Closed: the index was closed.
            RuntimeError: it was started before.
        """
        interval = positive_seconds("interval_seconds", interval_seconds)
        with self._lock:
            if self.closed:
                raise Closed(f"{self!r} is closed")
            if self._repeater is not None and self._repeater.is_alive():
                raise RuntimeError(f"{self!r} was started before")
            watched = self._plan.root if watch else None
            self._repeater = Repeater(self, interval, self._label, watched)
            self._repeater.start()

    def close(self) -> None:
        """
        End all scanning, and wait for the background thread; what is indexed stays readable.

        Closing again changes nothing. A scan that is under way is abandoned.
        """
        self._scanner.closed = True
        repeater = self._repeater
        if repeater is not None:
            repeater.stop()
            if repeater is not threading.current_thread():
                repeater.join()

    @property
    def closed(self) -> bool:
        """Whether there will be no further scan."""
        return self._scanner.closed

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        repeater = getattr(self, "_repeater", None)  # absent if the constructor has raised
        if repeater is not None and not self.closed:
            repeater.stop()
            warnings.warn(
                f"{self!r} was started and never closed", ResourceWarning, stacklevel=2, source=self
            )

    # ── reading ─────────────────────────────────────────────────────────────────────────────

    def search(self, query: str, limit: int = 50) -> FileMatches:
        """
        Return the files that best match what somebody typed, with the characters that do.

        The letters must occur in the path, in order; the fewer gaps and the more beginnings of
        words, the better. A capital makes case count. What comes before a ``/`` is for folders.
        Spaces separate terms, all of which must match. An empty query matches nothing, and so
        does one of more than 1,024 characters.

        Of equal scores, a match within the base name comes first, then the shorter path, then
        the order of paths. Ignored files follow if the query is how their path or their name
        begins; one whose path or name it is in full has its place among the others.

        O(n), bounded: some 10 to 50 ms for 100,000 files. For each keystroke of somebody who
        types, see `finder`.

        Args:
            query: what was typed.
            limit: the most matches to return.
        """
        if not isinstance(query, str):
            raise TypeError(f"query must be a text, got {query!r}")
        return self._searcher.search(self.snapshot(), query, positive_int("limit", limit))

    def finder(self, limit: int = 50) -> FileFinder:
        """
        Return what answers somebody who types: at once, and completely a moment later.

        Args:
            limit: the most matches in an answer.
        """
        return FileFinder(self._searcher, self.snapshot, positive_int("limit", limit))

    def prefix(self, text: str) -> Iterator[str]:
        """Return an iterator over the paths that begin with `text`, in order; O(log n) to begin."""
        return self.snapshot().prefix(text)

    def glob(self, pattern: str) -> Iterator[str]:
        """
        Return an iterator over the paths that match `pattern`, in order; O(n) for all of them.

        Patterns are those of ignore files: without a ``/``, for base names anywhere; with one,
        for whole paths. ``*`` and ``?`` do not match a ``/``, ``**/`` matches any folders.
        """
        return self.snapshot().glob(pattern)

    def snapshot(self) -> IndexSnapshot:
        """Return what is indexed now, as a sequence that never changes; O(1)."""
        return self._scanner.snapshot

    def __len__(self) -> int:
        return len(self._scanner.snapshot)

    def __iter__(self) -> Iterator[str]:
        return iter(self._scanner.snapshot)

    def __contains__(self, path: object) -> bool:
        return path in self._scanner.snapshot

    # ── figures ─────────────────────────────────────────────────────────────────────────────

    @property
    def root(self) -> Path:
        """The folder, as an absolute path."""
        return Path(self._plan.root)

    @property
    def max_files(self) -> int:
        """The most files to index."""
        return self._plan.bounds.max_files

    @property
    def max_bytes(self) -> int:
        """The most bytes to take."""
        return self._max_bytes

    @property
    def current_bytes(self) -> int:
        """The bytes held: of the snapshot that is read, its tables, and a walk under way."""
        return self._scanner.current_bytes + self._searcher.bytes

    @property
    def peak_bytes(self) -> int:
        """The most bytes ever held, of snapshots and walks and of tables, each at its peak."""
        return self._scanner.peak_bytes + self._searcher.peak_bytes

    def statistics(self) -> IndexStatistics:
        """Return the figures of this moment; O(1)."""
        scanner = self._scanner
        snapshot, outcome = scanner.snapshot, scanner.outcome
        is_scanned = snapshot.generation > 0
        return IndexStatistics(
            files=len(snapshot),
            current_bytes=self.current_bytes,
            peak_bytes=self.peak_bytes,
            max_files=self.max_files,
            max_bytes=self._max_bytes,
            generation=snapshot.generation,
            scans=scanner.begun,
            failed_scans=scanner.failed,
            last_error=": ".join(map(str, outcome.error[1:])) or None,
            age_seconds=self._plan.clock() - snapshot.began if is_scanned else None,
            report=snapshot.report if is_scanned else None,
            listener_errors=self._notify.errors + self._notify_change.errors,
        )

    def __repr__(self) -> str:
        name = "" if self.name is None else f" {self.name!r}"
        return (
            f"<{type(self).__name__}{name} {len(self)}/{self.max_files} files, "
            f"{self._scanner.snapshot.bytes}/{self._max_bytes} bytes>"
        )

    @property
    def _label(self) -> str:
        return f"{type(self).__name__} {self._plan.root!r}"

    def _claimed_bytes(self) -> int:
        """Return what is held, or what the next scan may need, if that is more."""
        return max(self.current_bytes, self._shares * self._scanner.snapshot.bytes)

    def _aim(self, target_bytes: int) -> None:
        self._scanner.share_bytes = target_bytes // self._shares

    def _shed(self) -> bool:
        return False  # a snapshot is whole; the next scan makes a smaller one

    def _reindex(self) -> Columns:
        self._scanner.scan(is_refresh=True, until_exit=True)
        return self.snapshot().columns

    def _check(self) -> None:
        self._scanner.check()
