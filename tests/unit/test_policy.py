import itertools
from dataclasses import replace

import pytest

from boundedcollections import MiB
from boundedcollections.memory.policy import (
    LADDER,
    ONE_GIB_SERVICE,
    Level,
    Plan,
    PolicyConfig,
    PolicyState,
    Sample,
    Step,
    decide,
)

LIMIT = 1_000
SOON_SETTLED = replace(LADDER, settled_seconds=60)


class Watcher:
    """Feeds samples to `decide`, one second apart unless told otherwise."""

    def __init__(self, config: PolicyConfig = LADDER) -> None:
        self.config = config
        self.state = PolicyState()
        self.now = 0.0

    def see(self, used: int, *, claimed: int = 0, seconds: float = 1.0, **fields: float) -> Plan:
        self.now += seconds
        sample = Sample(
            time_seconds=self.now,
            used_bytes=used,
            limit_bytes=LIMIT,
            claimed_bytes=claimed,
            **fields,
        )
        plan, self.state = decide(sample, self.state, self.config)
        return plan


@pytest.mark.parametrize(
    ("used", "level"),
    [
        (0, Level.NORMAL),
        (749, Level.NORMAL),
        (750, Level.ELEVATED),
        (850, Level.HIGH),
        (929, Level.HIGH),
        (930, Level.CRITICAL),
        (5_000, Level.CRITICAL),
    ],
)
def test_a_level_begins_where_the_ladder_says(used: int, level: Level) -> None:
    assert Watcher().see(used).level is level


def test_a_level_is_left_when_the_use_has_been_at_its_exit_for_a_while() -> None:
    watcher = Watcher()
    watcher.see(860)
    assert [watcher.see(801).level for _ in range(20)] == [Level.HIGH] * 20
    assert [watcher.see(800).level for _ in range(5)] == [Level.HIGH] * 5
    assert watcher.see(800).level is Level.ELEVATED


def test_a_level_goes_down_by_several_steps_where_they_are_enough() -> None:
    watcher = Watcher()
    watcher.see(950)
    levels = [watcher.see(100).level for _ in range(6)]
    assert levels == [Level.CRITICAL] * 5 + [Level.NORMAL]


def test_one_sample_above_the_exit_begins_the_calm_anew() -> None:
    watcher = Watcher()
    watcher.see(950)
    for _ in range(4):
        watcher.see(100)
    watcher.see(910)
    assert [watcher.see(100).level for _ in range(5)] == [Level.CRITICAL] * 5
    assert watcher.see(100).level is Level.NORMAL


def test_only_a_critical_level_admits_nothing() -> None:
    watcher = Watcher()
    assert [watcher.see(used).admit for used in (100, 760, 860, 940)] == [True, True, True, False]


def test_garbage_is_collected_from_the_level_that_the_preset_names() -> None:
    assert [Watcher().see(used).collect for used in (760, 860)] == [False, True]
    assert [Watcher(ONE_GIB_SERVICE).see(used).collect for used in (480, 490)] == [False, True]


def test_the_preset_for_one_gibibyte_is_critical_at_800_mebibytes() -> None:
    sample = Sample(
        time_seconds=0, used_bytes=800 * MiB, limit_bytes=1024 * MiB, claimed_bytes=400 * MiB
    )
    assert decide(sample, PolicyState(), ONE_GIB_SERVICE)[0].level is Level.CRITICAL
    sample = replace(sample, used_bytes=800 * MiB - 1)
    assert decide(sample, PolicyState(), ONE_GIB_SERVICE)[0].level is Level.HIGH
    assert ONE_GIB_SERVICE.log_seconds == 30


def test_the_target_leaves_room_for_what_is_used_beside_the_collections() -> None:
    assert Watcher().see(300, claimed=200).target_bytes == 700 - 100


def test_reservations_are_not_the_collections_and_not_unmanaged() -> None:
    plan = Watcher().see(400, claimed=200, reserved_bytes=150)
    assert (plan.target_bytes, plan.unmanaged_bytes) == (700 - 200, 50)


def test_the_target_falls_at_once_and_rises_slowly_in_calm() -> None:
    watcher = Watcher()
    assert watcher.see(600, claimed=600).target_bytes == 700
    assert watcher.see(880, claimed=600).target_bytes == 620 - 280
    for _ in range(8):
        plan = watcher.see(340, claimed=340)
    assert plan.level is Level.NORMAL
    targets = [watcher.see(340, claimed=340).target_bytes for _ in range(800)]
    rises = [after - before for before, after in itertools.pairwise(targets)]
    assert set(rises) <= set(range(21))
    assert targets[-1] == 700


def peak(watcher: Watcher, size: int, *, seconds: int = 10) -> set[Level]:
    """Let the rest use `size` for a while beside all that the collections may; return the levels."""
    plans = []
    for _ in range(seconds):
        claimed = watcher.state.target_bytes or 0
        plans.append(watcher.see(size + claimed, claimed=claimed))
    return {plan.level for plan in plans}


def calm(watcher: Watcher, seconds: int) -> list[int]:
    """Let nothing be used but for the collections, and return their targets meanwhile."""
    targets = []
    for _ in range(seconds):
        claimed = watcher.state.target_bytes or 0
        targets.append(watcher.see(claimed, claimed=claimed).target_bytes)
    return targets


def test_a_peak_that_was_seen_once_is_left_room_for_below_critical() -> None:
    watcher = Watcher()
    assert calm(watcher, 5)[-1] == 700
    assert Level.CRITICAL in peak(watcher, 280)
    assert calm(watcher, 100)[-1] == 910 - 280
    assert peak(watcher, 280) == {Level.HIGH, Level.NORMAL}


def test_a_peak_that_was_seen_twice_is_left_room_for_below_elevated() -> None:
    watcher = Watcher()
    for _ in range(2):
        calm(watcher, 110)
        peak(watcher, 280)
    assert calm(watcher, 110)[-1] == 730 - 280
    assert peak(watcher, 280) == {Level.NORMAL}


def test_a_long_peak_is_not_taken_for_two() -> None:
    watcher = Watcher()
    calm(watcher, 5)
    peak(watcher, 280, seconds=100)
    assert calm(watcher, 100)[-1] == 910 - 280


def test_a_peak_that_finds_its_room_is_expected_all_the_longer() -> None:
    watcher = Watcher()
    for _ in range(2):
        calm(watcher, 140)
        peak(watcher, 280)
    levels = set()
    for _ in range(30):
        calm(watcher, 140)
        levels |= peak(watcher, 280)
    assert levels == {Level.NORMAL}


def test_a_peak_that_does_not_come_back_is_forgotten() -> None:
    watcher = Watcher()
    calm(watcher, 5)
    peak(watcher, 280)
    assert calm(watcher, 590)[-1] == 910 - 280
    assert calm(watcher, 100)[-1] == pytest.approx(700, abs=1)


def test_the_smaller_of_two_peaks_is_expected_on_when_the_larger_is_forgotten() -> None:
    watcher = Watcher()
    calm(watcher, 5)
    peak(watcher, 400)
    calm(watcher, 50)
    peak(watcher, 280)
    targets = [target for target, same in itertools.groupby(calm(watcher, 700)) if len([*same]) > 9]
    assert targets == [910 - 400, 910 - 280, pytest.approx(700, abs=1)]


def test_what_comes_now_is_left_room_for_at_once() -> None:
    watcher = Watcher()
    watcher.see(490, claimed=490)
    plan = watcher.see(490 + 250, claimed=490)
    assert plan.level is Level.NORMAL
    assert plan.target_bytes == 730 - 250


def test_the_target_does_not_rise_above_normal() -> None:
    watcher = Watcher()
    low = watcher.see(880, claimed=200).target_bytes
    assert [watcher.see(860, claimed=800).target_bytes for _ in range(20)] == [low] * 20


def test_noise_moves_no_target() -> None:
    watcher = Watcher()
    target = watcher.see(600, claimed=500).target_bytes
    seen = {watcher.see(600 + jitter, claimed=500).target_bytes for jitter in (4, -4, 3, -5) * 50}
    assert seen == {target}


def test_a_smaller_limit_takes_the_target_down_with_it() -> None:
    watcher = Watcher()
    watcher.see(100, claimed=100)
    sample = Sample(time_seconds=2.0, used_bytes=100, limit_bytes=200, claimed_bytes=100)
    plan, _ = decide(sample, watcher.state)
    assert plan.target_bytes == 140


def test_memory_that_was_freed_but_stays_in_the_process_does_not_lower_the_target() -> None:
    watcher = Watcher()
    watcher.see(880, claimed=600)
    plan = watcher.see(880, claimed=340)
    assert plan.target_bytes == 340
    assert plan.kept_bytes == pytest.approx(260, abs=3)
    assert plan.unmanaged_bytes == pytest.approx(280, abs=3)


def test_memory_that_was_freed_and_has_left_is_not_kept() -> None:
    watcher = Watcher()
    watcher.see(880, claimed=600)
    plan = watcher.see(620, claimed=340)
    assert (plan.kept_bytes, plan.unmanaged_bytes) == (0, 280)


def test_what_stays_for_minutes_is_no_longer_taken_for_kept() -> None:
    watcher = Watcher()
    watcher.see(700, claimed=600)
    kept = [watcher.see(700, claimed=300).kept_bytes for _ in range(600)]
    assert kept[0] == pytest.approx(297, abs=1)
    assert kept[120] < 120
    assert kept[-1] < 5


def test_trimming_is_wanted_when_more_seems_kept_than_ever_was_beside_the_claims() -> None:
    watcher = Watcher()
    assert not watcher.see(150, claimed=100).trim
    assert not watcher.see(600, claimed=500).trim
    assert not watcher.see(600, claimed=500).trim
    assert watcher.see(600, claimed=449).trim


def test_under_pressure_trimming_is_wanted_for_all_that_may_be_kept() -> None:
    assert not Watcher().see(740, claimed=100).trim, "it may have been so large from the start"
    assert Watcher().see(760, claimed=100).trim
    assert not Watcher().see(760, claimed=720).trim


def test_waiting_for_memory_raises_the_level_by_one() -> None:
    watcher = Watcher()
    assert watcher.see(100, stalled_percent=10.0).level is Level.NORMAL
    assert watcher.see(100, stalled_percent=10.1).level is Level.ELEVATED
    assert watcher.see(860, stalled_percent=50.0).level is Level.CRITICAL
    assert watcher.see(940, stalled_percent=50.0).level is Level.CRITICAL


def test_fast_growth_is_looked_at_more_often() -> None:
    watcher = Watcher()
    assert watcher.see(100).next_seconds == 1.0
    assert watcher.see(150).next_seconds == 1.0
    assert watcher.see(550).next_seconds == pytest.approx(450 / (4 * 400))
    assert watcher.see(740, seconds=0.1).next_seconds == 0.1
    pauses = [watcher.see(740).next_seconds for _ in range(100)]
    assert pauses == sorted(pauses)
    assert pauses[-1] == 1.0


def test_above_normal_is_looked_at_more_often() -> None:
    assert Watcher().see(760).next_seconds == 0.25


def test_no_headroom_at_all_is_looked_at_as_often_as_possible() -> None:
    watcher = Watcher()
    watcher.see(100)
    assert watcher.see(2_000).next_seconds == 0.1


def test_a_clock_that_goes_back_makes_nothing_of_the_time_between() -> None:
    watcher = Watcher()
    watcher.see(950)
    watcher.see(100)
    watcher.see(100, seconds=-3_600.0)
    levels = [watcher.see(100).level for _ in range(6)]
    assert levels[:3] == [Level.CRITICAL] * 3
    assert levels[-1] is Level.NORMAL


def test_the_level_before_tells_an_entry_from_a_stay() -> None:
    watcher = Watcher()
    entries = [(plan.previous, plan.level) for plan in map(watcher.see, (100, 940, 940))]
    assert entries == [
        (Level.NORMAL, Level.NORMAL),
        (Level.NORMAL, Level.CRITICAL),
        (Level.CRITICAL, Level.CRITICAL),
    ]


def test_plans_are_numbered() -> None:
    watcher = Watcher()
    assert [watcher.see(1).generation for _ in range(3)] == [1, 2, 3]


def test_a_process_that_nothing_can_make_smaller_is_let_work_again() -> None:
    watcher = Watcher(SOON_SETTLED)
    watcher.see(950, claimed=800)
    plans = [watcher.see(950, claimed=300) for _ in range(70)]
    assert not any(plan.settled for plan in plans[:60])
    assert plans[62].settled
    assert plans[62].level is Level.CRITICAL, "a level is left no sooner than it has been calm"
    assert plans[-1].level is Level.ELEVATED, "but where nobody knows the room, nothing grows"
    plan = watcher.see(975, claimed=300)
    assert not plan.settled, "it did grow"
    assert plan.level is Level.CRITICAL


def test_a_settled_process_that_shrinks_is_an_ordinary_one() -> None:
    watcher = Watcher(SOON_SETTLED)
    watcher.see(950, claimed=800)
    for _ in range(70):
        watcher.see(950, claimed=300)
    assert not watcher.see(800, claimed=300).settled


def test_a_baseline_above_the_line_stays_critical_but_is_told_of() -> None:
    watcher = Watcher(SOON_SETTLED)
    plans = [watcher.see(950) for _ in range(120)]
    assert plans[-1].settled
    assert {plan.level for plan in plans} == {Level.CRITICAL}


def test_what_still_moves_is_not_settled() -> None:
    watcher = Watcher(SOON_SETTLED)
    plans = [watcher.see(950, claimed=(second // 10) * 30) for second in range(200)]
    assert not any(plan.settled for plan in plans)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"elevated": Step(enter=0.9, leave=0.7, goal=0.6)}, "high.enter must be above 0.9"),
        ({"critical": Step(enter=1.1, leave=0.9, goal=0.6)}, "critical.enter .* at most 1"),
        ({"high": Step(enter=0.85, leave=0.85, goal=0.6)}, "high must have goal <= leave < enter"),
        ({"high": Step(enter=0.85, leave=0.5, goal=0.6)}, "high must have goal <= leave < enter"),
        ({"goal": 0.75}, "goal must be a fraction"),
        ({"goal": -0.1}, "goal must be a fraction"),
        ({"noise": -0.1}, "noise must be"),
        ({"calm_seconds": 0}, "calm_seconds must be"),
        ({"trim_bytes": 0}, "trim_bytes must be"),
        ({"fastest_seconds": 2.0}, "fastest_seconds <= pressed_seconds <= slowest_seconds"),
    ],
)
def test_a_ladder_that_could_flap_or_makes_no_sense_is_refused(
    wrong: dict[str, float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        PolicyConfig(**wrong)


def test_what_creeps_up_is_not_settled() -> None:
    watcher = Watcher()
    plans = [watcher.see(940 + second // 20, claimed=100) for second in range(600)]
    assert not any(plan.settled for plan in plans)
