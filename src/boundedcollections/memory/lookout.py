"""One look after another: measure the process, decide, have the budget follow, and tell of it."""

import threading
from collections.abc import Callable
from typing import Final

from boundedcollections._core.events import Notifier
from boundedcollections.memory.budget import MemoryBudget
from boundedcollections.memory.policy import Level, Plan, PolicyConfig, PolicyState, Sample, decide
from boundedcollections.memory.probe import Probe, Reading
from boundedcollections.memory.report import Reporter

_NOTHING_READ: Final = Reading(rss_bytes=0)


class Lookout:
    """
    What a `MemoryMonitor` sees, and what it makes of that; there is one look at a time.

    Args:
        budget: what is told each plan.
        probe: what measures the process.
        config: the ladder of levels, and how fast anything may change.
        notify: called with the levels before and after each change.
        reporter: what writes the log.
        clock: seconds, never going back.

    Attributes:
        reading: what was measured last.
        plan: what was decided last; None before the first look.
        is_blind: whether measuring failed the last time.
        looks: how often it measured and decided.
        probe_errors: how often measuring failed.
        level_changes: how often the level changed.
        alerts: how often the level CRITICAL was entered.
    """

    __slots__ = (
        "_budget",
        "_clock",
        "_config",
        "_is_looking",
        "_lock",
        "_notify",
        "_probe",
        "_reporter",
        "_state",
        "alerts",
        "is_blind",
        "level_changes",
        "looks",
        "plan",
        "probe_errors",
        "reading",
    )

    plan: Plan | None
    _is_looking: bool

    def __init__(
        self,
        budget: MemoryBudget,
        probe: Probe,
        *,
        config: PolicyConfig,
        notify: Notifier[Level, Level],
        reporter: Reporter,
        clock: Callable[[], float],
    ) -> None:
        self._budget = budget
        self._probe = probe
        self._config = config
        self._notify = notify
        self._reporter = reporter
        self._clock = clock
        self.reading = _NOTHING_READ
        self.looks = self.probe_errors = self.level_changes = self.alerts = 0
        self.is_blind = False
        self.forget()

    @property
    def used_bytes(self) -> int:
        """What is compared with the bound of the budget, as of the last look."""
        return self.reading.used_of(self._budget.max_bytes)

    def look(self, is_over: Callable[[], bool]) -> Plan | None:
        """
        Measure and decide, have the budget take over the plan, and tell of it.

        Returns the plan; the last one, if another look is under way, measuring failed, or
        `is_over` says so. When it says so in the middle, the budget forgets the plan at once.
        """
        with self._lock:
            if self._is_looking or is_over():
                return self.plan
            self._is_looking = True
        try:
            return self._look(is_over)
        finally:
            self._is_looking = False

    def rss_bytes(self) -> int:
        """Measure the resident memory alone; 0 when that fails."""
        try:
            return self._probe.read().rss_bytes
        except Exception:  # noqa: BLE001  # a look that fails alike counts and tells of it
            return 0

    def forget(self) -> None:
        """Go on as if nothing had been decided, and nobody were looking."""
        self._lock = threading.RLock()
        self._is_looking = False
        self._state = PolicyState()
        self.plan = None

    def _look(self, is_over: Callable[[], bool]) -> Plan | None:
        try:
            reading = self._probe.read()
        except Exception:  # noqa: BLE001  # whatever it is, the next look may go well
            self.probe_errors += 1
            self.is_blind = True
            self._reporter.report_no_measure()
            return self.plan
        self.is_blind = False
        sample = self._sample(reading)
        plan, state = decide(sample, self._state, self._config)
        self._budget.apply(plan)
        if is_over():  # meanwhile: then this came too late
            self._budget.forget_plan()
        self._note(plan, state, reading)
        self._reporter.report(plan, sample, reading.rss_bytes, self._budget)
        if plan.level is not plan.previous:
            self._notify([(plan.previous, plan.level)])
        return plan

    def _sample(self, reading: Reading) -> Sample:
        limit = self._budget.max_bytes
        return Sample(
            time_seconds=self._clock(),
            used_bytes=reading.used_of(limit),
            limit_bytes=limit,
            claimed_bytes=self._budget.claimed_bytes,
            reserved_bytes=self._budget.reserved_bytes,
            stalled_percent=reading.stalled_percent,
        )

    def _note(self, plan: Plan, state: PolicyState, reading: Reading) -> None:
        with self._lock:
            self._state, self.plan, self.reading = state, plan, reading
            self.looks += 1
            if plan.level is not plan.previous:
                self.level_changes += 1
                self.alerts += plan.level is Level.CRITICAL

    def check(self) -> None:
        """Assert the invariants."""
        with self._lock:
            assert self.alerts <= self.level_changes <= self.looks
            assert self._state.generation <= self.looks
            assert (self.plan is None) == (self._state.generation == 0)
