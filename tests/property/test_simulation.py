"""A process in virtual time: what the budget and its policy make of a whole day."""

import logging
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulation import Broken, Cache, Load, Process, Stubborn

from boundedcollections import MiB
from boundedcollections.memory.policy import LADDER, ONE_GIB_SERVICE, Level, PolicyConfig

HOUR = 3_600
GREEDY = 400 * MiB


def always(size: int) -> Load:
    return lambda _now: size


def bursts(now: float) -> int:
    """A quarter of the limit for ten seconds in two minutes, more once in twenty minutes."""
    if 600 <= now % 1_200 < 620:
        return 400 * MiB
    return 250 * MiB if now % 120 < 10 else 0


def with_caches(process: Process, count: int = 4) -> Process:
    for _ in range(count):
        process.add(Cache(always(GREEDY)))
    return process


def test_in_calm_the_collections_fill_what_the_goal_leaves_them() -> None:
    process = with_caches(Process(noise=0.004))
    plan = process.last(600)
    assert process.changes == 0
    assert plan.level is Level.NORMAL
    assert process.used == pytest.approx(0.70 * process.limit, rel=0.02)


@pytest.mark.parametrize("config", [LADDER, ONE_GIB_SERVICE])
def test_noise_below_the_band_changes_no_level(config: PolicyConfig) -> None:
    process = with_caches(Process(config=config, noise=0.009))
    process.last(HOUR / 2)
    assert process.changes == 0


@pytest.mark.parametrize("returned", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("kind", ["requests", "unmanaged"])
def test_bursts_change_the_level_when_they_are_new_and_not_each_time(
    returned: float, kind: str
) -> None:
    loads = {
        "requests": {"requests": bursts},
        "unmanaged": {"unmanaged": lambda now: 50 * MiB + bursts(now)},
    }
    process = with_caches(Process(returned=returned, noise=0.004, **loads[kind]))
    plan = process.last(1_190)
    assert process.changes <= 8
    assert process.ticks_above <= 2
    assert plan.level is Level.NORMAL


def test_after_the_load_everything_comes_back() -> None:
    process = with_caches(
        Process(unmanaged=lambda now: (700 if 300 < now < 400 else 50) * MiB, noise=0.004)
    )
    process.last(299)
    before = process.budget.claimed_bytes
    assert process.last(60).level > Level.NORMAL
    assert process.budget.claimed_bytes < before / 2
    assert process.last(60).level is Level.NORMAL, "20 seconds after the load"
    process.last(2 * LADDER.peak_seconds + 60)
    assert process.budget.claimed_bytes == pytest.approx(before, rel=0.02)


def test_a_ramp_raises_the_level_within_one_look() -> None:
    process = with_caches(
        Process(unmanaged=lambda now: int((50 + max(now - 200, 0) * 20) * MiB)), count=1
    )
    for plan in process.run(240):
        due = max(
            level for level in Level if process.used >= LADDER.steps[level].enter * process.limit
        )
        assert plan.level >= due


def test_a_leak_takes_from_the_collections_and_does_not_flap() -> None:
    process = with_caches(Process(unmanaged=lambda now: int((50 + now * 0.2) * MiB), noise=0.004))
    levels = [plan.level for plan in process.run(4_000)]
    assert process.changes <= 6
    assert levels[-1] >= Level.HIGH
    assert process.used - process.unmanaged(process.clock()) < 20 * MiB
    assert process.ticks_above == 0


@pytest.mark.parametrize("line", [0.68, 0.70, 0.75, 0.80, 0.85, 0.90, 0.93])
def test_a_sawtooth_at_a_threshold_does_not_flap(line: float) -> None:
    def sawtooth(now: float) -> int:
        return int((line - 0.02 + 0.04 * (now % 20) / 20) * 1_000 * MiB)

    process = Process(unmanaged=sawtooth, noise=0.002)
    process.last(HOUR / 4)
    assert process.changes <= 2


def test_an_allocator_that_returns_nothing_and_cannot_be_trimmed_does_not_refuse_for_ever() -> None:
    process = with_caches(
        Process(returned=0, trimmed=0, requests=lambda now: (400 if 100 < now < 200 else 0) * MiB)
    )
    process.last(250)
    plan = process.last(400)
    assert process.used > 0.9 * process.limit
    assert plan.settled
    assert plan.admit


def test_members_that_cannot_shrink_or_raise_do_not_keep_the_others_from_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    process = Process(unmanaged=lambda now: (400 if now > 300 else 50) * MiB)
    rigid = process.add(Stubborn(always(100 * MiB)))
    broken = process.add(Broken(always(100 * MiB)))
    cache = process.add(Cache(always(GREEDY)), floor_bytes=10 * MiB)
    with caplog.at_level(logging.ERROR):
        process.last(400)
    assert rigid.claimed_bytes == broken.claimed_bytes == 100 * MiB
    assert 10 * MiB <= cache.claimed_bytes <= 120 * MiB
    assert process.used < 0.93 * process.limit
    assert len(caplog.records) == 1, "told once"
    assert process.budget.statistics().members[1].errors > 1


def test_a_floor_holds_at_every_level() -> None:
    process = Process(unmanaged=lambda now: int((50 + now) * MiB))
    safe = process.add(Cache(always(GREEDY)), floor_bytes=80 * MiB)
    for _ in process.run(900):
        assert process.clock() < 60 or safe.claimed_bytes >= 80 * MiB
    assert safe.claimed_bytes == 80 * MiB


@pytest.mark.parametrize("jump", [-HOUR, HOUR])
def test_a_clock_that_jumps_changes_no_level(jump: float) -> None:
    process = with_caches(Process(jumps=lambda now: jump if now > 300 else 0.0, noise=0.004))
    process.last(600)
    assert process.changes == 0


def test_a_limit_that_is_lowered_while_it_runs_is_obeyed() -> None:
    process = with_caches(Process())
    process.last(300)
    process.limit = 500 * MiB
    process.budget.resize(max_bytes=500 * MiB)
    plan = process.last(60)
    assert plan.level is Level.NORMAL
    assert process.used <= 500 * MiB


def day(seed: int) -> Process:
    """Everything at once, at other times each day."""
    rng = random.Random(seed)
    peaks = sorted(rng.uniform(0, 24 * HOUR) for _ in range(60))
    leak = rng.uniform(0, 250) * MiB

    def unmanaged(now: float) -> int:
        grown = leak * (now % (6 * HOUR)) / (6 * HOUR)  # the process restarts its workers
        busy = sum(120 for peak in peaks if 0 <= now - peak < 90)
        saw = 30 * (now % 47) / 47
        return int(grown + min(50 + busy + saw, 500) * MiB)

    process = Process(
        unmanaged=unmanaged,
        requests=lambda now: 150 * MiB if now % 1_000 < 30 else 0,
        returned=rng.choice([0.0, 0.3, 1.0]),
        jumps=lambda now: 0.0 if now < 5 * HOUR else -HOUR if now < 9 * HOUR else HOUR,
        stalls=lambda now: 20.0 if 3_000 < now % 30_000 < 3_060 else 0.0,
        noise=0.004,
        seed=seed,
    )
    process.add(Cache(always(GREEDY)), floor_bytes=20 * MiB, weight=4.0)
    process.add(Cache(lambda now: GREEDY if now % 7_000 < 3_500 else MiB), max_bytes=300 * MiB)
    process.add(Cache(always(80 * MiB)))
    process.add(Stubborn(always(30 * MiB)))
    process.add(Broken(always(10 * MiB)))
    return process


IN_FULL = [pytest.mark.long, pytest.mark.timeout(600)]


@pytest.mark.parametrize(
    ("seed", "seconds_per_look"),
    [(2, 10.0), *(pytest.param(seed, 1.0, marks=IN_FULL) for seed in (1, 2, 3))],
)
def test_a_whole_day_of_everything(seed: int, seconds_per_look: float) -> None:
    process = day(seed)
    process.config = PolicyConfig(slowest_seconds=seconds_per_look)
    plan = process.last(24 * HOUR)
    assert process.ticks >= 24 * HOUR / seconds_per_look
    assert process.ticks_above == 0
    assert process.changes < 300, "of 60 peaks, 86 bursts of requests and 3 stalls"
    assert plan.admit


loads = st.lists(
    st.tuples(st.integers(0, 300), st.integers(1, 100), st.integers(0, 1_200)), max_size=5
)


@given(
    unmanaged=loads,
    requests=loads,
    allocator=st.fixed_dictionaries({"returned": st.floats(0, 1), "trimmed": st.floats(0, 1)}),
    floors=st.lists(st.integers(0, 60), min_size=1, max_size=4),
    seed=st.integers(0, 1_000),
)
@settings(max_examples=20, deadline=None)
def test_whatever_happens_targets_and_floors_hold_and_the_end_is_calm(
    unmanaged: list[tuple[int, int, int]],
    requests: list[tuple[int, int, int]],
    allocator: dict[str, float],
    floors: list[int],
    seed: int,
) -> None:
    def load(parts: list[tuple[int, int, int]], now: float) -> int:
        return sum(size * MiB for start, length, size in parts if start <= now < start + length)

    process = Process(
        unmanaged=lambda now: 50 * MiB + load(unmanaged, now),
        requests=lambda now: min(load(requests, now), 700 * MiB),
        noise=0.003,
        seed=seed,
        **allocator,
    )
    for floor in floors:
        process.add(Cache(always(GREEDY)), floor_bytes=floor * MiB)
    plan = process.last(900)
    assert plan.admit
    process.trimmed = 1.0
    plan = process.last(2 * LADDER.peak_seconds + 100)
    assert plan.level is Level.NORMAL
    assert process.used <= 0.75 * process.limit
