"""What is learned of a process, from one sample of its memory to the next; all of it pure."""

import math
from typing import Final

from boundedcollections.memory.ladder import Level, PolicyConfig
from boundedcollections.memory.plans import PolicyState, Sample, Span

_SPANS: Final = 11
"""So that the oldest can be forgotten alone."""


def learn_touched(
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


def learn_growth(sample: Sample, state: PolicyState, config: PolicyConfig, elapsed: float) -> float:
    """Return the fastest growth of the last time, in bytes a second."""
    rate = (sample.used_bytes - state.used_bytes) / elapsed if elapsed else 0.0
    return max(rate, state.growth * math.exp(-elapsed / config.memory_seconds))


def learn_settled(
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


def others_of(sample: Sample, touched: int) -> int:
    """Return what is used beside the collections."""
    return max(sample.used_bytes - touched, 0) + sample.reserved_bytes


def learn_usual(state: PolicyState, config: PolicyConfig, others: int, elapsed: float) -> float:
    """Return what is used beside the collections on average, of late."""
    if state.time_seconds is None:
        return others
    fresh = -math.expm1(-elapsed / config.memory_seconds)
    return state.usual_bytes + fresh * (others - state.usual_bytes)


def learn_peaks(
    sample: Sample, state: PolicyState, config: PolicyConfig, others: int, level: Level
) -> tuple[Span, ...]:
    """
    Remember the most that was used beside the collections, where it brought pressure or would have.

    Room is left for such a peak, so that the next one brings none; hence one that has found its
    room is as good a reason to leave it on.
    """
    now, spans = sample.time_seconds, state.spans
    length = config.peak_seconds / (_SPANS - 1)
    if not spans or not 0 <= now - spans[0].since < length:
        spans = (Span(since=now), *spans[: _SPANS - 1])
        spans = tuple(span for span in spans if now - span.since < _SPANS * length)
    unexpected = (config.elevated.enter - config.goal) * sample.limit_bytes
    if level is Level.NORMAL and others - state.usual_bytes <= unexpected:
        return spans
    present = spans[0]
    before = max([span.peak_bytes for span in spans[2:]], default=0)  # another one, not this
    present = Span(
        since=present.since,
        peak_bytes=max(present.peak_bytes, others),
        again_bytes=max(present.again_bytes, min(before, others)),
    )
    return (present, *spans[1:])
