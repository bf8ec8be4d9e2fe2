"""What a `MemoryMonitor` says in the log: a line now and then, and when the level changes."""

import logging
from typing import Final

from boundedcollections._core.units import MiB
from boundedcollections.memory.budget import MemoryBudget
from boundedcollections.memory.pauses import PauseRecorder
from boundedcollections.memory.policy import Level, Plan, Sample
from boundedcollections.memory.statistics import MemberStatistics

_log: Final = logging.getLogger("boundedcollections")

_TOP: Final = 3
"""So many members are named."""


class Reporter:
    """
    Writes the lines of one monitor.

    Args:
        where: names the monitor.
        pauses: records what the garbage collector does.
        every_seconds: the time between two lines where nothing happens.
        now: when the first of these spans begins, by the clock of the samples.
    """

    __slots__ = ("_cannot_measure", "_every_seconds", "_has_settled", "_logged_at",
                 "_logged_pauses", "_pauses", "_where")  # fmt: skip

    def __init__(
        self, where: str, pauses: PauseRecorder, *, every_seconds: float, now: float
    ) -> None:
        self._where = where
        self._pauses = pauses
        self._every_seconds = every_seconds
        self._logged_at = now
        self._logged_pauses = 0
        self._has_settled = self._cannot_measure = False

    def report(self, plan: Plan, sample: Sample, rss_bytes: int, budget: MemoryBudget) -> None:
        """Tell of a change of the level, or of nothing in particular when that is due."""
        self._cannot_measure = False
        if plan.level is not plan.previous:
            self._write(_severity(plan), plan, sample, rss_bytes, budget)
        elif sample.time_seconds - self._logged_at >= self._every_seconds:
            self._write(logging.INFO, plan, sample, rss_bytes, budget)
        if plan.settled and not self._has_settled:
            _log.warning(
                "%s: the process stays at %s although nothing is left to be shed",
                self._where, _mebibytes(sample.used_bytes),
            )  # fmt: skip
        self._has_settled = plan.settled

    def report_no_measure(self) -> None:
        """Tell of the exception that kept the process from being measured; once in a row."""
        if not self._cannot_measure:
            self._cannot_measure = True
            _log.exception("%s cannot measure the process", self._where)

    def _write(
        self, severity: int, plan: Plan, sample: Sample, rss_bytes: int, budget: MemoryBudget
    ) -> None:
        """Write the line with all figures."""
        pauses = self._pauses.since(self._logged_pauses)
        self._logged_pauses = self._pauses.statistics().newest_position
        self._logged_at = sample.time_seconds
        longest = max((pause.seconds for pause in pauses), default=0.0)
        top = _largest(budget.statistics().members)
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
                "rss_bytes": rss_bytes,
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


def _severity(plan: Plan) -> int:
    if plan.level is Level.CRITICAL:
        return logging.CRITICAL
    return logging.INFO if plan.level < plan.previous else logging.WARNING


def _largest(members: tuple[MemberStatistics, ...]) -> list[tuple[str, int]]:
    ordered = sorted(members, key=lambda member: member.claimed_bytes, reverse=True)
    return [(member.name, member.claimed_bytes) for member in ordered[:_TOP]]


def _mebibytes(size: int) -> str:
    return f"{size / MiB:.1f} MiB"
