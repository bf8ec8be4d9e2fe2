"""What a budget and a monitor tell of themselves; every figure is that of one moment."""

from dataclasses import dataclass

from boundedcollections.memory.pauses import PauseStatistics
from boundedcollections.memory.policy import Level
from boundedcollections.memory.reclaim import ReclaimStatistics


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberStatistics:
    """
    The figures of one member of a `MemoryBudget` at one moment.

    Attributes:
        name: for people and metrics.
        claimed_bytes: what it holds by its own books.
        target_bytes: how much it may hold at present.
        floor_bytes: how much it may hold whatever happens.
        max_bytes: the most it ever holds, or None.
        weight: its share beside the others'.
        errors: how often it raised when it was asked or told something.
    """

    name: str
    claimed_bytes: int
    target_bytes: int
    floor_bytes: int
    max_bytes: int | None
    weight: float
    errors: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetStatistics:
    """
    The figures of one `MemoryBudget` at one moment. Totals count since its creation.

    Attributes:
        max_bytes: the bound in bytes.
        claimed_bytes: what all members hold together.
        reserved_bytes: what is reserved beside them.
        peak_reserved_bytes: the most bytes ever reserved.
        target_bytes: what all members may hold together at present, as of the last plan.
        level: how short memory is, as of the last plan.
        reservations: how many there are.
        refused_reservations: reservations refused, at a critical level or for want of room.
        refused_admissions: how often `MemoryBudget.admit` refused.
        members: the figures of each member, in the order in which they joined.
    """

    max_bytes: int
    claimed_bytes: int
    reserved_bytes: int
    peak_reserved_bytes: int
    target_bytes: int
    level: Level
    reservations: int
    refused_reservations: int
    refused_admissions: int
    members: tuple[MemberStatistics, ...]


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
