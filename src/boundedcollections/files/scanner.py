"""
One scan at a time, and the snapshot that the newest good one has made.

Whoever asks during a scan waits for the next one and shares it with all others who wait, because
the one under way may have passed what they want to see. Scans are numbered when they begin. A
result replaces an older one only, so that even a scan inside a scan (a signal handler may ask for
one) leaves the newest.
"""

import errno
import itertools
import os
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from typing import NamedTuple

from boundedcollections._core.errors import Closed
from boundedcollections.files.background import is_exiting
from boundedcollections.files.changes import IndexChanges
from boundedcollections.files.plan import SHARES, Plan, is_broad
from boundedcollections.files.refresh import Refresh
from boundedcollections.files.snapshot import IndexReport, IndexSnapshot
from boundedcollections.files.tree import Bounds, Found
from boundedcollections.files.walk import Walk


class Outcome(NamedTuple):
    """
    What became of a scan.

    Attributes:
        number: of the scan; 0 before the first.
        report: how it went; None if it failed.
        is_full: whether it was more than a refresh.
        error: the arguments of its `OSError`. The error itself would hold on to the whole walk,
            by its traceback.
    """

    number: int
    report: IndexReport | None
    is_full: bool = True
    error: tuple[object, ...] = ()

    def result(self) -> IndexReport:
        """Return the report, or raise the error anew."""
        if self.report is None:
            raise OSError(*self.error)
        return self.report


class Scanner:
    """
    Scans when asked to.

    Args:
        plan: what to scan.
        on_scan: called with the report of each scan that has not failed, and with what it has
            changed, in its thread, when others may scan again.
        foresee: called with each snapshot before it takes the place of the one before.
        name: of the threads.
        tells_changes: whether `on_scan` is told what has changed, or None.

    Attributes:
        snapshot: what the newest good scan found.
        outcome: what became of the newest scan that has ended.
        begun: how many scans have begun; refreshes are scans.
        failed: how many of them failed.
        peak_bytes: the most bytes ever held.
        share_bytes: what a scan that begins may take, if that is less than the plan says; may be
            set at any time.
        closed: whether there will be no further scan; may be set to True at any time.
    """

    __slots__ = (
        "__weakref__",
        "_failures",
        "_foresee",
        "_job",
        "_job_is_refresh",
        "_lock",
        "_name",
        "_numbers",
        "_on_scan",
        "_plan",
        "_process",
        "_scanning",
        "_takes_stamps",
        "_tells_changes",
        "_walk",
        "begun",
        "closed",
        "failed",
        "outcome",
        "peak_bytes",
        "share_bytes",
        "snapshot",
    )

    def __init__(
        self,
        plan: Plan,
        on_scan: Callable[[IndexReport, IndexChanges | None], object],
        foresee: Callable[[IndexSnapshot], object],
        name: str,
        *,
        tells_changes: bool,
    ) -> None:
        self._plan = plan
        self._tells_changes = tells_changes
        self._on_scan = on_scan
        self._foresee = foresee
        self._name = name
        self._numbers = itertools.count(1)
        self._failures = itertools.count(1)
        self._walk: Callable[[], Walk | None] = _nothing
        self.snapshot = IndexSnapshot.empty()
        self.outcome = Outcome(0, None)
        self.begun = self.failed = 0
        self.peak_bytes = self.snapshot.bytes
        self.share_bytes = plan.bounds.max_bytes
        self.closed = False
        self._process = os.getpid()
        self._job: Future[IndexReport] | None = None
        self._job_is_refresh = True
        self._takes_stamps = False  # until somebody wants a refresh
        self._begin_without_threads()

    @property
    def current_bytes(self) -> int:
        """The bytes held, of the snapshot and of a walk under way."""
        walk = self._walk()
        return self.snapshot.bytes + (0 if walk is None else walk.bytes)

    def scan(self, *, is_refresh: bool = False, until_exit: bool = False) -> IndexReport:
        """
        Scan, or share the next scan of another thread; either begins after the call.

        Args:
            is_refresh: whether it is enough to look at what has changed.
            until_exit: whether the scan is abandoned when the main thread has ended.

        Raises:
            Closed: it was closed, or abandoned.
            OSError: it failed.
        """
        self.notice_fork()
        newest = self.begun
        with self._scanning:
            outcome = self.outcome
            is_shared = outcome.number > newest and (is_refresh or outcome.is_full)
            if not is_shared:
                outcome, changes = self._scan(is_refresh=is_refresh, until_exit=until_exit)
        return outcome.result() if is_shared else self._told(outcome, changes)

    def next_scan(self, *, is_refresh: bool = False) -> "Future[IndexReport]":
        """Return the result of a scan in a thread; it is the same for all until it begins."""
        self.notice_fork()
        with self._lock:
            if self.closed:
                raise Closed(f"{self._name} is closed")
            job = self._job
            if job is not None:
                self._job_is_refresh &= is_refresh
            else:
                self._job_is_refresh = is_refresh
                job = Future()
                job.set_running_or_notify_cancel()  # so nobody can cancel it for the others
                thread = threading.Thread(target=self._run, args=(job,), name=self._name)
                thread.start()
                self._job = job
            return job

    def notice_fork(self) -> None:
        """Begin anew in a process that was forked: the threads of its parent are not in it."""
        if self._process != os.getpid():
            self._begin_without_threads()
            self._process = os.getpid()

    def _begin_without_threads(self) -> None:
        self._scanning = threading.RLock()  # held during a scan
        self._lock = threading.RLock()  # held for a moment
        self._job = None  # that has not begun

    def _run(self, job: "Future[IndexReport]") -> None:
        try:
            with self._scanning:
                with self._lock:
                    self._job = None  # who asks from now on needs another one
                    is_refresh = self._job_is_refresh
                outcome, changes = self._scan(is_refresh=is_refresh, until_exit=True)
            job.set_result(self._told(outcome, changes))
        except BaseException as error:  # noqa: BLE001  # it belongs to those who wait
            job.set_exception(error)

    def _told(self, outcome: Outcome, changes: IndexChanges | None) -> IndexReport:
        report = outcome.result()
        self._on_scan(report, changes)
        return report

    def _scan(self, *, is_refresh: bool, until_exit: bool) -> tuple[Outcome, IndexChanges | None]:
        """Walk and publish, in the thread that holds the lock for it."""
        if self.closed:
            raise Closed(f"{self._name} is closed")
        number = next(self._numbers)
        changes = None
        # Here and below there is no call between a test and what follows from it, so that no
        # signal handler that scans comes in between.
        if number > self.begun:  # noqa: PLR1730  # `max` is a call
            self.begun = number
        try:
            snapshot = self._snapshot_of_now(
                number,
                is_refresh=is_refresh,
                is_stopped=self._is_over if until_exit else self._is_closed,
            )
        except OSError as error:
            outcome = Outcome(number, None, not is_refresh, _parts_of(error))
            failed = next(self._failures)
            if failed > self.failed:  # noqa: PLR1730
                self.failed = failed
        else:
            self._foresee(snapshot)
            outcome = Outcome(number, snapshot.report, snapshot.report.is_full)
            before = self.snapshot
            if number > before.generation:
                self.snapshot = snapshot
                if self._tells_changes:
                    changes = IndexChanges(before, snapshot)
        if number > self.outcome.number:
            self.outcome = outcome
        return outcome, changes

    def _snapshot_of_now(
        self, number: int, *, is_refresh: bool, is_stopped: Callable[[], bool]
    ) -> IndexSnapshot:
        plan = self._plan
        if not plan.allow_broad_root and is_broad(plan.root):
            raise PermissionError(errno.EPERM, "too broad to index", plan.root)
        self._takes_stamps |= is_refresh
        if is_refresh and self.snapshot.refreshes + 1 < plan.full_every:
            snapshot = self._refreshed(number, is_stopped)
            if snapshot is not None:
                return snapshot
        began = plan.clock()
        walk = self._new_walk(self._bounds(), is_stopped)
        held = self.snapshot.bytes
        try:
            found = walk.run()
            self._refuse_great_loss(found)
            snapshot = IndexSnapshot(found, number, began, plan.clock() - began)
            held += snapshot.bytes
        finally:
            self._note_peak(held + walk.bytes)
        return snapshot

    def _refreshed(self, number: int, is_stopped: Callable[[], bool]) -> IndexSnapshot | None:
        """Return what there is now, from what is known; None if there has to be a scan."""
        plan, known = self._plan, self.snapshot
        began = plan.clock()
        bounds = self._bounds()
        walk = self._new_walk(bounds, is_stopped)
        held = known.bytes
        try:
            result = Refresh(known, plan.root, bounds, walk).run()
            if result is None:
                return None
            columns, found = result
            self._refuse_great_loss(found)
            snapshot = IndexSnapshot(
                *(found, number, began, plan.clock() - began),
                columns=columns,
                refreshes=known.refreshes + 1,
            )
            held += snapshot.bytes
        finally:
            self._note_peak(held + walk.bytes)
        return snapshot if snapshot.bytes <= bounds.max_bytes else None

    def _bounds(self) -> Bounds:
        """Return the bounds of a scan that begins now."""
        bounds = self._plan.bounds
        return replace(bounds, max_bytes=min(bounds.max_bytes, self.share_bytes))

    def _new_walk(self, bounds: Bounds, is_stopped: Callable[[], bool]) -> Walk:
        plan = self._plan
        walk = Walk(
            plan.root,
            bounds,
            skip=plan.skip,
            use_gitignore=plan.use_gitignore,
            use_global_gitignore=plan.use_global_gitignore,
            clock=plan.clock,
            is_stopped=is_stopped,
            takes_stamps=self._takes_stamps,
        )
        self._walk = weakref.ref(walk)
        return walk

    def _note_peak(self, held: int) -> None:
        if held > self.peak_bytes:  # noqa: PLR1730  # `max` is a call
            self.peak_bytes = held

    def _refuse_great_loss(self, found: Found) -> None:
        """Do not believe a failing file system that most of the files are gone."""
        known = self.snapshot
        lost = sum(map(known.below, found.unreachable))
        if lost * 2 > len(known):
            message = f"{lost} of {len(known)} known files are out of reach; the index keeps them"
            raise OSError(errno.EIO, message, self._plan.root)

    def _is_closed(self) -> bool:
        return self.closed

    def _is_over(self) -> bool:
        return self.closed or is_exiting()

    def check(self) -> None:
        """Assert what must hold at any time."""
        bounds = self._plan.bounds
        self.snapshot.check()
        assert len(self.snapshot) <= bounds.max_files
        assert len(self.snapshot.ignored) <= bounds.max_ignored_files
        assert self.snapshot.bytes <= bounds.max_bytes
        assert self.snapshot.bytes <= self.peak_bytes <= SHARES * bounds.max_bytes
        assert self.snapshot.generation <= self.begun
        assert self.outcome.number <= self.begun
        assert self.failed <= self.begun


def _parts_of(error: OSError) -> tuple[object, ...]:
    return error.args if error.filename is None else (*error.args[:2], error.filename)


def _nothing() -> None:
    return None
