"""
Keeps watch over the memory of the process: measures, decides, carries out, and says so.

`decide` is pure and `MemoryBudget` only keeps accounts; here is the part that acts, in a thread or
in a task of an event loop.
"""

import gc
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self

from boundedcollections._core.errors import Closed
from boundedcollections._core.events import Notifier
from boundedcollections._core.units import MiB
from boundedcollections._core.waiters import ThreadWaiter, Waiter, checkpoint, waiter_here, wake_all
from boundedcollections.memory.budget import MemberStatistics, MemoryBudget
from boundedcollections.memory.pauses import PauseRecorder, PauseStatistics
from boundedcollections.memory.policy import (
    LADDER,
    Level,
    Plan,
    PolicyConfig,
    PolicyState,
    Sample,
    decide,
)
from boundedcollections.memory.probe import Probe, Reading, best_probe
from boundedcollections.memory.reclaim import Reclaimer, ReclaimStatistics, find_trim

_log = logging.getLogger("boundedcollections")

_SLICE_SECONDS: Final = 0.001
"""Collections evict for so long at most before others get their turn."""
_LOOK_SECONDS: Final = 1.0
"""How often a sleeping thread looks whether anybody is left to watch for."""
_TOP: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorStatistics:
    """
    The figures of one `MemoryMonitor` at one moment. Totals count since its creation.

    Attributes:
        level: how short memory is, as of the last look.
        rss_bytes: the resident memory of the process, as of the last look.
        used_bytes: what is compared with the limit: that, or the share of the control group.
        limit_bytes: the budget's bound.
        claimed_bytes: what the budget's members hold by their own books.
        reserved_bytes: what is reserved beside them.
        unmanaged_bytes: the estimated use beside both.
        kept_bytes: what the allocator seems to keep, though the collections freed it.
        looks: how often it measured and decided.
        probe_errors: how often measuring failed.
        level_changes: how often the level changed.
        alerts: how often the level CRITICAL was entered.
        listener_errors: how often `on_level` raised.
        pauses: how long the garbage collector stopped the program.
        reclaimed: what was collected and trimmed.
        running: whether a thread or a task keeps watch.
        closed: whether the monitor was closed.
    """

    level: Level
    rss_bytes: int
    used_bytes: int
    limit_bytes: int
    claimed_bytes: int
    reserved_bytes: int
    unmanaged_bytes: int
    kept_bytes: int
    looks: int
    probe_errors: int
    level_changes: int
    alerts: int
    listener_errors: int
    pauses: PauseStatistics
    reclaimed: ReclaimStatistics
    running: bool
    closed: bool


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
    called in the monitor's thread or task, without a lock. The monitor may die: its thread ends
    with it, and with the main thread. A child process that comes by ``fork`` is not watched until
    it calls `start` itself.

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
        "_alerts",
        "_budget",
        "_clock",
        "_closed",
        "_config",
        "_has_settled",
        "_is_looking",
        "_level_changes",
        "_lock",
        "_logged_at",
        "_logged_pauses",
        "_looks",
        "_notify",
        "_pauses",
        "_plan",
        "_probe",
        "_probe_errors",
        "_probe_fails",
        "_reading",
        "_reclaimer",
        "_release",
        "_runner",
        "_sleeper",
        "_state",
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
        self._probe = best_probe() if probe is None else probe
        self.name = name
        self._clock = clock
        self._lock = threading.RLock()
        self._reclaimer = Reclaimer(
            rss=_rss_of(self._probe),
            clock=clock,
            collect=gc.collect if collect else None,
            trim=find_trim() if trim else None,
        )
        self._pauses = PauseRecorder()
        self._pauses.start()
        self._release = weakref.finalize(
            self, _release, self._pauses, self._probe if probe is None else None
        )
        self._release.atexit = False  # a process that ends needs no tidying
        self._state = PolicyState()
        self._plan: Plan | None = None
        self._reading = Reading(rss_bytes=0)
        self._runner: object = None
        self._sleeper: Waiter | None = None
        self._logged_at = clock()
        self._logged_pauses = 0
        self._looks = self._probe_errors = self._level_changes = self._alerts = 0
        self._probe_fails = self._has_settled = self._is_looking = self._closed = False
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
        thread = _Watch(self)
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
                begin = self._clock()
                plan = self.look()
                pause = self._pause(plan)
                while self._has_to_shed(begin + pause):
                    await checkpoint()
                if self._reclaims(plan):
                    await self._trim_in_thread()
                self._sleeper = waiter = waiter_here()
                if not self._closed:  # closing wakes the sleeper that there is by then
                    await waiter.sleep(pause)
        finally:
            self._end(me)

    def tick(self) -> float:
        """
        Look once, shed and reclaim as planned, and return the seconds until the next time.

        For programs that have their own timers, and for tests.
        """
        begin = self._clock()
        plan = self.look()
        pause = self._pause(plan)
        while self._has_to_shed(begin + pause):
            time.sleep(_SLICE_SECONDS)  # others want to run as well
        if self._reclaims(plan):
            self._reclaimer.trim_if_due(self._idle_bytes())
        return pause

    def look(self) -> Plan | None:
        """
        Measure and decide, have the budget take over the plan, and tell of it; nothing is shed.

        Returns the plan; the last one, if another look is under way or measuring failed.
        """
        with self._lock:
            if self._is_looking or self._closed:
                return self._plan
            self._is_looking = True
        try:
            return self._look()
        finally:
            self._is_looking = False

    def close(self) -> None:
        """
        End the watch, and have the budget go on by claims alone; waits for a tick under way.

        Closing again changes nothing.
        """
        with self._lock:
            if self._closed:
                return
            self._closed = True
            runner, sleeper = self._runner, self._sleeper
        if sleeper is not None:
            wake_all({self: sleeper})
        if isinstance(runner, threading.Thread):
            if runner is not threading.current_thread():
                runner.join()
            self._end(runner)
        self._budget.forget_plan()
        self._release()

    def statistics(self) -> MonitorStatistics:
        """Return the figures of this moment; looking changes none of them."""
        plan = self._plan
        return MonitorStatistics(
            level=self.level,
            rss_bytes=self._reading.rss_bytes,
            used_bytes=self._reading.used_of(self._budget.max_bytes),
            limit_bytes=self._budget.max_bytes,
            claimed_bytes=self._budget.claimed_bytes,
            reserved_bytes=self._budget.reserved_bytes,
            unmanaged_bytes=0 if plan is None else plan.unmanaged_bytes,
            kept_bytes=0 if plan is None else plan.kept_bytes,
            looks=self._looks,
            probe_errors=self._probe_errors,
            level_changes=self._level_changes,
            alerts=self._alerts,
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
        used = self._reading.used_of(self._budget.max_bytes)
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
            if self._runner is runner:
                self._runner = self._sleeper = None

    def _pause(self, plan: Plan | None) -> float:
        return self._config.slowest_seconds if plan is None else plan.next_seconds

    def _has_to_shed(self, until: float) -> bool:
        """Have members evict for a moment; say whether they have more to evict, and there is time."""
        return not self._closed and self._budget.catch_up(_SLICE_SECONDS) and self._clock() < until

    def _reclaims(self, plan: Plan | None) -> bool:
        """Collect garbage if that is wanted and due; say whether trimming is."""
        if plan is None or self._closed or self._probe_fails:  # what it gains could not be seen
            return False
        if plan.collect:
            self._reclaimer.collect_if_due()
        return plan.trim and self._reclaimer.trim_is_due(self._idle_bytes())

    def _idle_bytes(self) -> int:
        return self._reading.rss_bytes - self._budget.current_bytes

    async def _trim_in_thread(self) -> None:
        waiter = waiter_here()

        def trim() -> None:
            try:
                self._reclaimer.trim_if_due(self._idle_bytes())
            finally:
                wake_all({self: waiter})

        threading.Thread(target=trim, name="boundedcollections-trim").start()
        await waiter.sleep(None)

    def _look(self) -> Plan | None:
        try:
            reading = self._probe.read()
        except Exception:  # noqa: BLE001  # whatever it is, the next look may go well
            self._probe_errors += 1
            if not self._probe_fails:
                self._probe_fails = True
                _log.exception("%s cannot measure the process", self._where())
            return self._plan
        self._probe_fails = False
        limit = self._budget.max_bytes
        sample = Sample(
            time_seconds=self._clock(),
            used_bytes=reading.used_of(limit),
            limit_bytes=limit,
            claimed_bytes=self._budget.claimed_bytes,
            reserved_bytes=self._budget.reserved_bytes,
            stalled_percent=reading.stalled_percent,
        )
        plan, self._state = decide(sample, self._state, self._config)
        self._budget.apply(plan)
        self._plan, self._reading = plan, reading
        self._looks += 1
        self._tell(plan, sample)
        return plan

    def _tell(self, plan: Plan, sample: Sample) -> None:
        if plan.level is not plan.previous:
            self._level_changes += 1
            self._tell_of_level(plan, sample)
        elif sample.time_seconds - self._logged_at >= self._config.log_seconds:
            self._write(logging.INFO, plan, sample)
        if plan.settled and not self._has_settled:
            _log.warning(
                "%s: the process stays at %s although nothing is left to be shed",
                self._where(), _mebibytes(sample.used_bytes),
            )  # fmt: skip
        self._has_settled = plan.settled

    def _tell_of_level(self, plan: Plan, sample: Sample) -> None:
        severity = logging.INFO if plan.level < plan.previous else logging.WARNING
        if plan.level is Level.CRITICAL:
            self._alerts += 1
            severity = logging.CRITICAL
        self._write(severity, plan, sample)
        self._notify([(plan.previous, plan.level)])

    def _write(self, severity: int, plan: Plan, sample: Sample) -> None:
        """Write the line with all figures."""
        pauses = self._pauses.since(self._logged_pauses)
        self._logged_pauses = self._pauses.statistics().newest_position
        self._logged_at = sample.time_seconds
        longest = max((pause.seconds for pause in pauses), default=0.0)
        top = _largest(self._budget.statistics().members)
        _log.log(
            severity,
            "memory %s: %s of %s used, %s claimed, %s reserved, %s unmanaged; "
            "%d gc pauses, the longest %.1f ms; largest: %s",
            plan.level,
            _mebibytes(sample.used_bytes),
            _mebibytes(sample.limit_bytes),
            _mebibytes(sample.claimed_bytes),
            _mebibytes(sample.reserved_bytes),
            _mebibytes(plan.unmanaged_bytes),
            len(pauses),
            longest * 1_000,
            ", ".join(f"{name} {_mebibytes(size)}" for name, size in top) or "none",
            extra={
                "memory_level": str(plan.level),
                "rss_bytes": self._reading.rss_bytes,
                "used_bytes": sample.used_bytes,
                "limit_bytes": sample.limit_bytes,
                "claimed_bytes": sample.claimed_bytes,
                "reserved_bytes": sample.reserved_bytes,
                "unmanaged_bytes": plan.unmanaged_bytes,
                "gc_pauses": len(pauses),
                "gc_longest_seconds": longest,
                "top": top,
            },
        )

    def _forget_watch(self) -> None:
        self._lock = threading.RLock()
        self._runner = self._sleeper = None
        self._is_looking = False
        self._state, self._plan = PolicyState(), None
        self._budget.forget_plan()

    def _check(self) -> None:
        """Assert the invariants."""
        assert self._alerts <= self._level_changes <= self._looks
        assert self._state.generation <= self._looks
        assert (self._plan is None) == (self._state.generation == 0)


class _Watch(threading.Thread):
    """
    Ticks as long as there is a monitor, and it is the one that ticks for it.

    It is no daemon: it is never killed in the middle of something. But it ends by itself when the
    main thread has ended, so nobody who forgot to close a monitor waits for it for ever.
    """

    def __init__(self, monitor: MemoryMonitor) -> None:
        super().__init__(name=f"boundedcollections-{monitor.name or 'memory'}", daemon=False)
        self._monitor = weakref.ref(monitor)

    def run(self) -> None:
        """Tick until it is over."""
        while (waiter_and_pause := self._tick()) is not None:
            self._sleep(*waiter_and_pause)

    def _tick(self) -> tuple[ThreadWaiter, float] | None:
        """Tick once, and return how to sleep; None when it is over."""
        monitor = self._monitor()
        if monitor is None or _is_over(monitor):
            return None
        pause = _LOOK_SECONDS
        try:
            pause = monitor.tick()
        except Exception:  # noqa: BLE001  # a clock, a logger, whatever it is: go on
            _log.exception("%r could not finish a tick", monitor)
        waiter = monitor._sleeper = ThreadWaiter()  # noqa: SLF001  # the two are one
        return waiter, pause

    def _sleep(self, waiter: ThreadWaiter, pause: float) -> None:
        end = time.monotonic() + pause
        while (left := end - time.monotonic()) > 0:
            monitor = self._monitor()
            if monitor is None or _is_over(monitor):
                return
            del monitor
            waiter.sleep(min(left, _LOOK_SECONDS))


def _is_over(monitor: MemoryMonitor) -> bool:
    return monitor.closed or not threading.main_thread().is_alive()


def _largest(members: tuple[MemberStatistics, ...]) -> list[tuple[str, int]]:
    ordered = sorted(members, key=lambda member: member.claimed_bytes, reverse=True)
    return [(member.name, member.claimed_bytes) for member in ordered[:_TOP]]


def _mebibytes(size: int) -> str:
    return f"{size / MiB:.1f} MiB"


def _rss_of(probe: Probe) -> Callable[[], int]:
    return lambda: probe.read().rss_bytes


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
