"""
What to do about memory: decided by a pure function, from one sample to the next.

Three things make controllers of memory fail, and shape this one. Memory that was freed does not
leave the process, so whoever evicts until the process has shrunk evicts everything; hence the
collections' target follows from what they *claim*, and what the allocator keeps is known apart.
What was evicted is filled again before the next look; hence a target falls at once and rises
slowly, and only in calm. A threshold that is also the point of return flaps; hence each level has
an exit of its own, and is left only after some seconds beyond it.
"""

from typing import Final

from boundedcollections.memory.ladder import LADDER, ONE_GIB_SERVICE, Level, PolicyConfig, Step
from boundedcollections.memory.learning import (
    learn_growth,
    learn_peaks,
    learn_settled,
    learn_touched,
    learn_usual,
    others_of,
)
from boundedcollections.memory.plans import Plan, PolicyState, Sample, Span

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
    touched, reference = learn_touched(sample, state, config, elapsed)
    still, settled = learn_settled(sample, state, config)
    level, calm_since = _choose_level(sample, state, config, settled)
    others = others_of(sample, touched)
    usual = learn_usual(state, config, others, elapsed)
    spans = learn_peaks(sample, state, config, others, level)
    wanted = _want_target(limit, config, level, others=others, usual=usual, spans=spans)
    target = _choose_target(sample, state, config, level, wanted=wanted, elapsed=elapsed)
    growth = learn_growth(sample, state, config, elapsed)
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
        spans=spans,
        least_unmanaged_bytes=least,
        touched_bytes=touched,
        reference_bytes=reference,
        growth=growth,
        still=still,
        settled_bytes=settled,
    )
    return plan, learned


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


def _want_target(
    limit: int,
    config: PolicyConfig,
    level: Level,
    *,
    others: int,
    usual: float,
    spans: tuple[Span, ...],
) -> int:
    """
    Return what the collections may hold beside what is there, and beside what may come.

    A peak that was seen once must not bring refusals when it comes again; one that was seen
    twice comes all the time, and must not change the level at all.
    """
    aim = config.steps[level].goal * limit
    if level is not Level.NORMAL:
        return int(max(aim - max(usual, others), 0))
    once = max([span.peak_bytes for span in spans])
    always = max([others, *[span.again_bytes for span in spans]])
    noise = 2 * config.noise
    to_critical = (config.critical.enter - noise) * limit - once
    to_elevated = (config.elevated.enter - noise) * limit - always
    return int(max(min(aim - usual, to_critical, to_elevated), 0))


def _choose_target(
    sample: Sample,
    state: PolicyState,
    config: PolicyConfig,
    level: Level,
    *,
    wanted: int,
    elapsed: float,
) -> int:
    """Let the target fall at once, and rise slowly in calm; noise does not move it."""
    limit = sample.limit_bytes
    if state.target_bytes is None:
        return wanted
    target = min(state.target_bytes, int(config.steps[level].goal * limit))
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
