"""
What to do about memory: decided by a pure function, from one sample to the next.

Three things make controllers of memory fail, and shape this one. Memory that was freed does not
leave the process, so whoever evicts until the process has shrunk evicts everything; hence the
collections' target follows from what they *claim*, and what the allocator keeps is known apart.
What was evicted is filled again before the next look; hence a target falls at once and rises
slowly, and only in calm. A threshold that is also the point of return flaps; hence each level has
an exit of its own, and is left only after some seconds beyond it.
"""

import math
from dataclasses import dataclass
from typing import Final

from boundedcollections.memory.ladder import LADDER, ONE_GIB_SERVICE, Level, PolicyConfig, Step

__all__ = [
    "LADDER",
    "ONE_GIB_SERVICE",
    "Level",
    "Plan",
    "PolicyConfig",
    "PolicyState",
    "Sample",
    "Step",
    "decide",
]


_LEVELS: Final = tuple(Level)


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
        peaks: the most of that under pressure in the present span of time, in the one before,
            and when the present one began; None before the first.
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
    peaks: tuple[int, int, float] | None = None
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


def decide(
    sample: Sample, state: PolicyState, config: PolicyConfig = LADDER
) -> tuple[Plan, PolicyState]:
    """
    Return what to do now, and what to remember for the next time; nothing else happens.

    >>> sample = Sample(time_seconds=0.0, used_bytes=880, limit_bytes=1_000, claimed_bytes=500)
    >>> plan, state = decide(sample, PolicyState())
    >>> str(plan.level), plan.target_bytes, plan.admit
    ('high', 240, True)

    Pure and O(1).

    Args:
        sample: what was measured just now.
        state: what the last call returned; ``PolicyState()`` for the first.
        config: the ladder, and how fast anything may change.
    """
    limit, managed = sample.limit_bytes, sample.managed_bytes
    elapsed = 0.0 if state.time_seconds is None else sample.time_seconds - state.time_seconds
    elapsed = max(elapsed, 0.0)  # whatever the clock does, time does not run backwards
    touched, reference = _learn_touched(sample, state, config, elapsed)
    still, settled = _learn_settled(sample, state, config)
    level, calm_since = _choose_level(sample, state, config, settled)
    usual = _learn_usual(sample, state, config, touched, elapsed)
    peaks = _learn_peaks(sample, state, config, touched, level)
    target = _choose_target(
        sample, state, config, level, usual=usual, peak=max(peaks[:2]), elapsed=elapsed
    )
    growth = _learn_growth(sample, state, config, elapsed)
    unmanaged = max(sample.used_bytes - managed, 0)
    least = min(state.least_unmanaged_bytes, unmanaged)
    most_kept = min(config.trim_bytes, config.trim_fraction * limit)
    plan = Plan(
        generation=state.generation + 1,
        level=level,
        previous=state.level,
        target_bytes=target,
        grow=level is Level.NORMAL,
        admit=level is not Level.CRITICAL,
        collect=level >= config.collect_from,
        trim=unmanaged - (least if level is Level.NORMAL else 0) > most_kept,
        settled=settled is not None,
        unmanaged_bytes=max(sample.used_bytes - touched, 0),
        kept_bytes=touched - managed,
        next_seconds=_pause(sample, config, level, growth),
    )
    learned = PolicyState(
        time_seconds=sample.time_seconds,
        used_bytes=sample.used_bytes,
        generation=plan.generation,
        level=level,
        calm_since=calm_since,
        target_bytes=target,
        usual_bytes=usual,
        peaks=peaks,
        least_unmanaged_bytes=least,
        touched_bytes=touched,
        reference_bytes=reference,
        growth=growth,
        still=still,
        settled_bytes=settled,
    )
    return plan, learned


def _learn_touched(
    sample: Sample, state: PolicyState, config: PolicyConfig, elapsed: float
) -> tuple[int, float]:
    """Tell memory that has left the process from memory that was only freed in it."""
    used, noise = sample.used_bytes, config.noise * sample.limit_bytes
    if state.time_seconds is None:
        return sample.managed_bytes, used
    gone = max(state.reference_bytes - used, 0)
    reference = min(max(state.reference_bytes, used - noise), used)
    kept = max(min(state.touched_bytes - gone, used) - sample.managed_bytes, 0)
    kept *= math.exp(-elapsed / config.kept_seconds)
    return sample.managed_bytes + int(kept), reference


def _learn_growth(
    sample: Sample, state: PolicyState, config: PolicyConfig, elapsed: float
) -> float:
    """Return the fastest growth of the last time, in bytes a second."""
    rate = (sample.used_bytes - state.used_bytes) / elapsed if elapsed else 0.0
    return max(rate, state.growth * math.exp(-elapsed / config.memory_seconds))


def _learn_settled(
    sample: Sample, state: PolicyState, config: PolicyConfig
) -> tuple[tuple[float, int, int] | None, int | None]:
    """See whether the use stays high, although everything that can be done has been done."""
    now, used, managed = sample.time_seconds, sample.used_bytes, sample.managed_bytes
    noise = config.noise * sample.limit_bytes
    still, settled = state.still, state.settled_bytes
    if used <= config.high.leave * sample.limit_bytes:
        return None, None
    if settled is not None and used > settled + noise:
        settled = None
    if still is None or abs(used - still[1]) > noise or abs(managed - still[2]) > noise:
        still = now, used, managed
    elif now - still[0] >= config.settled_seconds and settled is None:
        settled = used
    return still, settled


def _choose_level(
    sample: Sample,
    state: PolicyState,
    config: PolicyConfig,
    settled: int | None,
) -> tuple[Level, float | None]:
    """Go up at once, and down when a lower level has been enough for a while."""
    now, pressing = sample.time_seconds, sample.used_bytes
    if settled is not None:  # all that came and will not go is room that can be used again
        pressing = min(int(state.least_unmanaged_bytes) + sample.managed_bytes, pressing)
    enough = max(
        _entered(sample, config, pressing, is_settled=settled is not None),
        _held(sample, state, config, pressing),
    )
    if enough >= state.level:
        return enough, None
    since = now if state.calm_since is None else min(state.calm_since, now)
    if now - since < config.calm_seconds:
        return state.level, since
    return enough, None


def _entered(sample: Sample, config: PolicyConfig, pressing: int, *, is_settled: bool) -> Level:
    """Return the highest level whose entrance is reached."""
    limit, steps = sample.limit_bytes, config.steps
    at = 0
    while at < len(steps) - 1 and pressing >= steps[at + 1].enter * limit:
        at += 1
    if is_settled and sample.used_bytes >= config.high.enter * limit:
        at = max(at, 1)  # better not to grow, where nobody knows the room
    if sample.stalled_percent > config.stalled_percent:
        at = min(at + 1, len(steps) - 1)
    return _LEVELS[at]


def _held(sample: Sample, state: PolicyState, config: PolicyConfig, pressing: int) -> Level:
    """Return the highest level, up to the present one, whose exit is not reached."""
    at = int(state.level)
    while at and pressing <= config.steps[at].leave * sample.limit_bytes:
        at -= 1
    return _LEVELS[at]


def _others(sample: Sample, touched: int) -> int:
    """Return what is used beside the collections."""
    return max(sample.used_bytes - touched, 0) + sample.reserved_bytes


def _learn_usual(
    sample: Sample, state: PolicyState, config: PolicyConfig, touched: int, elapsed: float
) -> float:
    """Return what is used beside the collections on average, of late."""
    others = _others(sample, touched)
    if state.time_seconds is None:
        return others
    fresh = -math.expm1(-elapsed / config.memory_seconds)
    return state.usual_bytes + fresh * (others - state.usual_bytes)


def _learn_peaks(
    sample: Sample, state: PolicyState, config: PolicyConfig, touched: int, level: Level
) -> tuple[int, int, float]:
    """
    Remember the most that was used beside the collections under pressure.

    A peak that has brought pressure is expected to come back. It is kept in mind for one to two
    spans of `peak_seconds`, so that room is left for it, and the next one brings none.
    """
    now = sample.time_seconds
    peak, before, since = state.peaks or (0, 0, now)
    if not 0 <= now - since < config.peak_seconds:
        peak, before, since = 0, peak, now
    if level is not Level.NORMAL:
        peak = max(peak, _others(sample, touched))
    return peak, before, since


def _choose_target(
    sample: Sample,
    state: PolicyState,
    config: PolicyConfig,
    level: Level,
    *,
    usual: float,
    peak: int,
    elapsed: float,
) -> int:
    """Let the target fall at once, and rise slowly in calm; noise does not move it."""
    limit = sample.limit_bytes
    aim = config.steps[level].goal * limit
    if level is Level.NORMAL:  # the next peak may fill the room up to the next level
        line = (config.elevated.enter - 2 * config.noise) * limit
        wanted = int(max(min(aim - usual, line - peak), 0))
    else:
        wanted = int(max(aim - max(usual, peak), 0))
    if state.target_bytes is None:
        return wanted
    target = min(state.target_bytes, int(aim))
    if wanted < target - config.noise * limit:
        return wanted
    if level is Level.NORMAL and wanted > target:
        rise = config.rise_per_second * limit * min(elapsed, config.slowest_seconds)
        return min(wanted, target + int(rise))
    return target


def _pause(sample: Sample, config: PolicyConfig, level: Level, growth: float) -> float:
    """Return when to look again: often enough to see the limit come, at the speed of growth."""
    slowest = config.slowest_seconds if level is Level.NORMAL else config.pressed_seconds
    headroom = max(sample.limit_bytes - sample.used_bytes, 0)
    if headroom >= 4 * slowest * growth:
        return slowest
    return max(headroom / (4 * growth), config.fastest_seconds)
