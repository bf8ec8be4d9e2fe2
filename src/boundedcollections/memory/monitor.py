"""
Keeps watch over the memory of the process: measures, decides, carries out, and says so.

`decide` is pure and `MemoryBudget` only keeps accounts; here is the part that acts, in a thread or
in a task of an event loop.
"""

import contextlib
import gc
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Final, Self

from boundedcollections._core.errors import Closed
from boundedcollections._core.events import Notifier
from boundedcollections._core.waiters import Sleeper, checkpoint, sleep_on, waiter_here, wake_all
from boundedcollections.memory.budget import MemoryBudget
from boundedcollections.memory.lookout import Lookout
from boundedcollections.memory.pauses import PauseRecorder
from boundedcollections.memory.policy import LADDER, Level, Plan, PolicyConfig
from boundedcollections.memory.probe import Probe, best_probe
from boundedcollections.memory.reclaim import Reclaimer, find_trim
from boundedcollections.memory.report import Reporter
from boundedcollections.memory.statistics import MonitorStatistics
from boundedcollections.memory.watch import Watch

__all__ = ["MemoryMonitor", "MonitorStatistics"]

_log: Final = logging.getLogger("boundedcollections")

_SLICE_SECONDS: Final = 0.001
"""Collections evict for so long at most before others get their turn."""


class MemoryMonitor:
    """
    Keeps a process within its `MemoryBudget`: lowers targets, sheds, collects, trims, and tells.

    >>> monitor = MemoryMonitor(MemoryBudget(max_bytes=64 << 30))
    >>> _ = monitor.look()
    >>> str(monitor.level)
    'normal'
    >>> monitor.close()

    Nothing runs until it is told to: `start` gives it a thread, as ``with`` does for a block; `run`
    gives it a task; and who calls `tick` needs neither.

    **What it does**, every second in calm and more often under pressure: it measures the process,
    has `decide` make a plan of that, and gives the plan to the budget; has members above their
    targets evict in slices of a millisecond; and, where the plan wants it and it is due, collects
    garbage and has malloc give back what it keeps.

    **What it says** to the logger ``boundedcollections``: one line every 30 seconds at the level
    INFO, one WARNING when memory gets shorter, one CRITICAL each time the level CRITICAL is
    entered. Each record carries the figures as attributes: ``memory_level``, ``rss_bytes``,
    ``used_bytes``, ``limit_bytes``, ``claimed_bytes``, ``reserved_bytes``, ``unmanaged_bytes``,
    ``gc_pauses`` and ``gc_longest_seconds`` since the line before, and ``top``: the three largest
    members by name and bytes.

    **Threads and tasks**: every method may be called from any thread and any task; `on_level` is
    called in the monitor's thread or task, without a lock. What goes wrong in one tick is logged,
    and the next one comes. The monitor may die: its thread ends with it, and with the main thread.
    When nobody keeps watch any more, the budget goes on by claims alone. A child process that comes
    by ``fork`` is not watched until it calls `start` itself.

    **Complexity**: a look is O(members), some ten microseconds beside that.

    **When not to use it**: where the collections' own bounds leave room enough, a budget alone
    costs nothing.

    Args:
        budget: what the process may use, and who uses it.
        config: the ladder of levels, and how fast anything may change.
        on_level: called as ``on_level(previous, level)`` after each change of the level. What it
            raises is logged and counted.
        collect: whether to collect garbage where the plan wants it.
        trim: whether to trim malloc where the plan wants it; it takes glibc.
        probe: what measures the process; by default what suits the system. One that is given here
            is not closed with the monitor.
        name: for people and metrics.
        clock: seconds, never going back.

    Raises:
        RuntimeError: nothing here can measure the process; psutil can.
    """

    __slots__ = (
        "__weakref__",
        "_budget",
        "_clock",
        "_closed",
        "_config",
        "_lock",
        "_lookout",
        "_notify",
        "_pauses",
        "_reclaimer",
        "_release",
        "_runner",
        "_sleeper",
        "_workers",
        "name",
    )

    def __init__(
        self,
        budget: MemoryBudget,
        *,
        config: PolicyConfig = LADDER,
        on_level: Callable[[Level, Level], object] | None = None,
        collect: bool = True,
        trim: bool = True,
        probe: Probe | None = None,
        name: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._budget = budget
        self._config = config
        self._notify = Notifier(on_level)
        self.name = name
        self._clock = clock
        self._lock = threading.RLock()
        self._pauses = PauseRecorder()
        own_probe = None
        if probe is None:
            probe = own_probe = best_probe()
        self._release = weakref.finalize(self, _release, self._pauses, own_probe)
        self._release.atexit = False  # a process that ends needs no tidying
        self._lookout = Lookout(
            budget,
            probe,
            config=config,
            notify=self._notify,
            reporter=Reporter(
                self._where(), self._pauses, every_seconds=config.log_seconds, now=clock()
            ),
            clock=clock,
        )
        self._reclaimer = Reclaimer(
            rss=self._lookout.rss_bytes,
            clock=clock,
            collect=gc.collect if collect else None,
            trim=find_trim() if trim else None,
        )
        self._pauses.start()
        self._runner: object = None
        self._sleeper: Sleeper | None = None  # of the task that keeps watch
        self._workers: set[object] = set()  # whoever may be measuring at this moment
        self._closed = False
        _monitors.add(self)

    @property
    def level(self) -> Level:
        """How short memory is, as of the last look."""
        return self._budget.level

    @property
    def running(self) -> bool:
        """Whether a thread or a task keeps watch."""
        return self._runner is not None

    @property
    def closed(self) -> bool:
        """Whether the monitor was closed."""
        return self._closed

    def admit(self) -> None:
        """
        Let one more connection, request or child in; at the level CRITICAL, refuse.

        Raises:
            LimitReached: memory is critically short.
        """
        self._budget.admit()

    def start(self) -> None:
        """
        Keep watch in a thread of its own, until `close`.

        Raises:
            Closed: the monitor was closed.
            RuntimeError: it keeps watch already.
        """
        thread = Watch(self, name=f"boundedcollections-{self.name or 'memory'}")
        self._begin(thread)
        try:
            thread.start()
        except BaseException:
            self._end(thread)
            raise

    async def run(self) -> None:
        """
        Keep watch in this task, until `close` or until it is cancelled.

        Members evict in the task, too, so those that belong to its loop need no lock. Only
        trimming is done in a thread, since it can take a tenth of a second.

        Raises:
            Closed: the monitor was closed before.
            RuntimeError: it keeps watch already.
        """
        me = object()
        self._begin(me)
        try:
            while not self._closed:
                pause = await self._tick_in_task()
                self._sleeper = waiter = waiter_here()
                if not self._closed:  # closing wakes the sleeper that there is by then
                    await sleep_on(waiter, pause)
        finally:
            self._end(me)

    def tick(self) -> float:
        """
        Look once, shed and reclaim as planned, and return the seconds until the next time.

        For programs that have their own timers, and for tests.
        """
        with self._at_work():
            begin = self._clock()
            plan = self.look()
            pause = self._pause(plan)
            while self._has_to_shed(begin + pause):
                time.sleep(_SLICE_SECONDS)  # others want to run as well
            if self._reclaims(plan):
                self._reclaimer.trim_if_due(self._idle_bytes())
            return pause

    async def _tick_in_task(self) -> float:
        """Do as `tick` does, and let other tasks run meanwhile; log what goes wrong."""
        try:
            with self._at_work():
                begin = self._clock()
                plan = self.look()
                pause = self._pause(plan)
                while self._has_to_shed(begin + pause):
                    await checkpoint()
                if self._reclaims(plan):
                    await self._trim_in_thread()
                return pause
        except Exception:  # noqa: BLE001  # a clock, a logger, whatever it is: go on
            _log.exception("%r could not finish a tick", self)
            return self._config.slowest_seconds

    def look(self) -> Plan | None:
        """
        Measure and decide, have the budget take over the plan, and tell of it; nothing is shed.

        Returns the plan; the last one, if another look is under way or measuring failed.
        """
        with self._at_work():
            return self._lookout.look(lambda: self._closed)

    def close(self) -> None:
        """
        End the watch, and have the budget go on by claims alone; waits for a tick under way.

        Closing again changes nothing.
        """
        with self._lock:
            was_closed, self._closed = self._closed, True
            runner, sleeper = self._runner, self._sleeper
        if sleeper is not None:
            wake_all({self: sleeper})
        if isinstance(runner, Watch):
            runner.end()
            self._end(runner)
        if not was_closed:  # else the budget may have another monitor by now
            self._budget.forget_plan()
            self._release_if_over()

    def statistics(self) -> MonitorStatistics:
        """Return the figures of this moment; looking changes none of them."""
        seen, plan = self._lookout, self._lookout.plan
        return MonitorStatistics(
            level=self.level,
            rss_bytes=seen.reading.rss_bytes,
            used_bytes=seen.used_bytes,
            limit_bytes=self._budget.max_bytes,
            claimed_bytes=self._budget.claimed_bytes,
            reserved_bytes=self._budget.reserved_bytes,
            unmanaged_bytes=0 if plan is None else plan.unmanaged_bytes,
            kept_bytes=0 if plan is None else plan.kept_bytes,
            looks=seen.looks,
            probe_errors=seen.probe_errors,
            level_changes=seen.level_changes,
            alerts=seen.alerts,
            listener_errors=self._notify.errors,
            pauses=self._pauses.statistics(),
            reclaimed=self._reclaimer.statistics(),
            running=self.running,
            closed=self._closed,
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        used = self._lookout.used_bytes
        state = "closed" if self._closed else "running" if self.running else "idle"
        return f"<{self._where()} bytes={used}/{self._budget.max_bytes} {self.level} {state}>"

    def _where(self) -> str:
        kind = type(self).__name__
        return kind if self.name is None else f"{kind} {self.name!r}"

    def _begin(self, runner: object) -> None:
        with self._lock:
            if self._closed:
                raise Closed(f"{self._where()} is closed")
            if self._runner is not None:
                raise RuntimeError(f"{self._where()} keeps watch already")
            self._runner = runner

    def _end(self, runner: object) -> None:
        with self._lock:
            if self._runner is not runner:
                return
            self._runner = self._sleeper = None
        self._budget.forget_plan()  # nobody is left to end a level that has begun

    @contextlib.contextmanager
    def _at_work(self) -> Iterator[None]:
        """Keep the probe open until the end of the block, even if the monitor is closed in it."""
        me = object()
        with self._lock:
            self._workers.add(me)
        try:
            yield
        finally:
            with self._lock:
                self._workers.discard(me)
            self._release_if_over()

    def _release_if_over(self) -> None:
        with self._lock:
            is_over = self._closed and not self._workers
        if is_over:
            self._release()

    def _pause(self, plan: Plan | None) -> float:
        return self._config.slowest_seconds if plan is None else plan.next_seconds

    def _has_to_shed(self, until: float) -> bool:
        """Have members evict for a moment; say whether they have more to evict, and there is time."""
        return not self._closed and self._budget.catch_up(_SLICE_SECONDS) and self._clock() < until

    def _reclaims(self, plan: Plan | None) -> bool:
        """Collect garbage if that is wanted and due; say whether trimming is."""
        if (
            plan is None or self._closed or self._lookout.is_blind
        ):  # what it gains could not be seen
            return False
        if plan.collect:
            self._reclaimer.collect_if_due()
        return plan.trim and self._reclaimer.trim_is_due(self._idle_bytes())

    def _idle_bytes(self) -> int:
        return self._lookout.reading.rss_bytes - self._budget.current_bytes

    async def _trim_in_thread(self) -> None:
        waiter = waiter_here()

        def trim() -> None:
            try:
                with self._at_work():
                    if not self._closed:  # or cancelled and closed, while the thread began
                        self._reclaimer.trim_if_due(self._idle_bytes())
            finally:
                wake_all({self: waiter})

        try:
            threading.Thread(target=trim, name="boundedcollections-trim").start()
        except RuntimeError:  # there is no memory for another thread: then least of all wait
            trim()
        await sleep_on(waiter, None)

    def _forget_watch(self) -> None:
        self._lock = threading.RLock()
        self._runner = self._sleeper = None
        self._workers = set()
        self._lookout.forget()
        self._budget.forget_plan()

    def _check(self) -> None:
        """Assert the invariants."""
        self._lookout.check()


def _release(pauses: PauseRecorder, own_probe: Probe | None) -> None:
    pauses.close()
    if own_probe is not None:
        own_probe.close()


_monitors: Final = weakref.WeakSet[MemoryMonitor]()


def _forget_threads() -> None:
    """In a forked child nobody keeps watch: its monitors are as if they had not been started."""
    for monitor in list(_monitors):
        monitor._forget_watch()  # noqa: SLF001


if hasattr(os, "register_at_fork"):  # pragma: no branch  # there is no fork elsewhere
    os.register_at_fork(after_in_child=_forget_threads)
