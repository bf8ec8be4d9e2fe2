"""What a policy is told, what it answers, and what it keeps in mind."""

import math
from dataclasses import dataclass

from boundedcollections.memory.ladder import Level


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """
    What was measured at one moment.

    Attributes:
        time_seconds: when, by a clock that does not go back.
        used_bytes: the memory of the process, or of its control group without the page cache,
            whichever is more.
        limit_bytes: what `used_bytes` should stay below.
        claimed_bytes: what all collections hold together, by their own books.
        reserved_bytes: what is reserved beside the collections.
        stalled_percent: the share of time in which some task waited for memory, of the last ten
            seconds (``some avg10`` of Linux); 0 where nobody can tell.
    """

    time_seconds: float
    used_bytes: int
    limit_bytes: int
    claimed_bytes: int
    reserved_bytes: int = 0
    stalled_percent: float = 0.0

    @property
    def managed_bytes(self) -> int:
        """What the budget knows of: claims and reservations."""
        return self.claimed_bytes + self.reserved_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """
    Peaks in a span of time: what was used beside the collections when it was too much.

    Too much is what brought pressure, or would have, had no room been left for it.

    Attributes:
        since: when the span began.
        peak_bytes: the most of it.
        again_bytes: the most that was used so in an earlier span, too.
    """

    since: float
    peak_bytes: int = 0
    again_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyState:
    """
    What `decide` has learned; it hands on a new one with each plan. Begin with ``PolicyState()``.

    Attributes:
        time_seconds: when the last sample was taken; None before the first.
        used_bytes: the use it found.
        generation: the number of the last plan.
        level: its level.
        calm_since: since when a lower level has been enough; None if it is not.
        target_bytes: its target.
        usual_bytes: what is used beside the collections, on average of the last time.
        spans: the peaks of that in the last spans of time, the present one first.
        least_unmanaged_bytes: the least use ever seen beside claims and reservations.
        touched_bytes: managed memory that has not been seen to leave the process.
        reference_bytes: the use from which on a fall counts as memory that has left.
        growth: the fastest growth, in bytes a second, fading with time.
        still: since when, and at which use and managed bytes, nothing has moved; None while the
            use is low.
        settled_bytes: the use that is taken for granted; None if none is.
    """

    time_seconds: float | None = None
    used_bytes: int = 0
    generation: int = 0
    level: Level = Level.NORMAL
    calm_since: float | None = None
    target_bytes: int | None = None
    usual_bytes: float = 0.0
    spans: tuple[Span, ...] = ()
    least_unmanaged_bytes: float = math.inf
    touched_bytes: int = 0
    reference_bytes: float = math.inf
    growth: float = 0.0
    still: tuple[float, int, int] | None = None
    settled_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """
    What is to be done until the next sample.

    Attributes:
        generation: plans are numbered; whoever has carried one out ignores older ones.
        level: how short memory is.
        previous: the level of the plan before.
        target_bytes: what all collections may hold together.
        grow: whether the targets of collections may rise.
        admit: whether new connections and reservations are to be let in.
        collect: whether a garbage collection is wanted, if one is due.
        trim: whether the allocator seems to keep so much that trimming is wanted, if it is due.
        settled: whether the process is taken to stay as large as it is, nothing helping; worth
            saying once.
        unmanaged_bytes: the use beside claims, reservations and `kept_bytes`.
        kept_bytes: what the allocator seems to keep, though the collections freed it.
        next_seconds: when to take the next sample.
    """

    generation: int
    level: Level
    previous: Level
    target_bytes: int
    grow: bool
    admit: bool
    collect: bool
    trim: bool
    settled: bool
    unmanaged_bytes: int
    kept_bytes: int
    next_seconds: float
