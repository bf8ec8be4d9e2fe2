import logging
from dataclasses import replace

import pytest
from members import CALM, CRITICAL, Queue, targets

from boundedcollections import LimitReached
from boundedcollections.memory.budget import MemoryBudget
from boundedcollections.memory.policy import Level
from boundedcollections.testing import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def budget(clock: FakeClock) -> MemoryBudget:
    return MemoryBudget(max_bytes=1_000, clock=clock)


def test_at_a_critical_level_nothing_new_is_let_in(budget: MemoryBudget) -> None:
    budget.admit()
    budget.apply(CRITICAL)
    for refused in (budget.admit, lambda: budget.reserve(1)):
        with pytest.raises(LimitReached) as caught:
            refused()
        assert caught.value.retry_after_seconds == 5.0
    statistics = budget.statistics()
    assert (statistics.refused_admissions, statistics.refused_reservations) == (1, 1)
    assert (statistics.level, str(budget.level)) == (Level.CRITICAL, "critical")


def test_a_plan_lowers_targets_and_evicts_nothing(budget: MemoryBudget) -> None:
    member = Queue(budget)
    member.add(900)
    budget.apply(replace(CALM, target_bytes=500))
    assert (member.target_bytes, member.claimed_bytes) == (500, 900)
    assert budget.statistics().target_bytes == 500


def test_a_plan_that_does_not_let_grow_raises_no_target_but_a_newcomers(
    budget: MemoryBudget,
) -> None:
    first = Queue(budget, max_bytes=900)
    budget.apply(replace(CALM, target_bytes=500))
    first.add(400)
    budget.apply(replace(CALM, generation=2, target_bytes=1_000, grow=False))
    assert first.target_bytes == 500
    second = Queue(budget)
    assert first.target_bytes <= 500
    assert 400 <= second.target_bytes <= 500
    budget.apply(replace(CALM, generation=3))
    assert first.target_bytes >= 500


def test_an_older_plan_is_ignored(budget: MemoryBudget) -> None:
    member = Queue(budget)
    budget.apply(replace(CALM, generation=7, target_bytes=500))
    budget.apply(replace(CRITICAL, generation=6, target_bytes=100))
    assert (member.target_bytes, budget.level) == (500, Level.NORMAL)


def test_a_plan_for_more_than_the_bound_is_no_more_than_the_bound(budget: MemoryBudget) -> None:
    member = Queue(budget)
    budget.apply(replace(CALM, target_bytes=5_000))
    assert member.target_bytes == 1_000


def test_what_the_process_uses_otherwise_is_no_room(budget: MemoryBudget) -> None:
    member = Queue(budget)
    budget.apply(replace(CALM, unmanaged_bytes=400))
    assert member.target_bytes == 600
    member.add(550)
    with pytest.raises(LimitReached):
        budget.reserve(100)
    budget.apply(replace(CALM, unmanaged_bytes=4_000))
    assert member.target_bytes == 0


def test_targets_that_nobody_needs_changed_stay(budget: MemoryBudget) -> None:
    members = [Queue(budget), Queue(budget)]
    members[0].add(100)
    before = targets(*members)
    for generation in range(1, 4):
        budget.apply(replace(CALM, generation=generation))
        assert targets(*members) == before


def test_a_member_that_grows_gets_more_by_the_plans_alone(budget: MemoryBudget) -> None:
    busy, _idle = Queue(budget), Queue(budget)
    for generation in range(1, 60):
        while busy.claimed_bytes + 10 <= busy.target_bytes:
            busy.add(10)
        budget.apply(replace(CALM, generation=generation))
    assert busy.claimed_bytes > 900


def test_without_its_monitor_a_budget_goes_on_by_itself(budget: MemoryBudget) -> None:
    member = Queue(budget)
    budget.apply(replace(CRITICAL, generation=9, target_bytes=0, unmanaged_bytes=500))
    budget.forget_plan()
    budget.admit()
    assert member.target_bytes == 1_000
    budget.apply(replace(CALM, target_bytes=400))
    assert member.target_bytes == 400, "another monitor begins at 1"


def test_catching_up_goes_on_until_the_time_is_over(clock: FakeClock) -> None:
    budget = MemoryBudget(max_bytes=1_000, clock=clock)

    class Slow(Queue):
        def shed(self) -> bool:
            clock.advance(0.4)
            return super().shed()

    members = [Slow(budget) for _ in range(2)]
    for member in members:
        for _ in range(50):
            member.claimed_bytes += 10
            member.sizes.append(10)
    budget.apply(replace(CALM, target_bytes=400))
    assert budget.catch_up(1.0)
    assert sorted(member.claimed_bytes for member in members) == [480, 490], "three slices, in turn"
    assert budget.catch_up(0.1)
    assert [member.claimed_bytes for member in members] == [480, 480]
    assert not budget.catch_up(100.0)
    assert [member.claimed_bytes for member in members] == [200, 200]


def test_a_member_that_cannot_shrink_is_passed_over(budget: MemoryBudget) -> None:
    class Stubborn(Queue):
        def shed(self) -> bool:
            return True

    stubborn, member = Stubborn(budget), Queue(budget)
    for each in (stubborn, member):
        each.claimed_bytes = 500
        each.sizes.extend([50] * 10)
    budget.apply(replace(CALM, target_bytes=200))
    assert not budget.catch_up()
    assert (stubborn.claimed_bytes, member.claimed_bytes) == (500, 100)


def test_a_member_that_raises_harms_nobody_and_is_told_of_once(
    budget: MemoryBudget, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        works = True

        def __init__(self) -> None:
            self.claimed = self.target = 0

        @property
        def claimed_bytes(self) -> int:
            if not self.works:
                raise RuntimeError("no claim")
            return self.claimed

        @property
        def target_bytes(self) -> int:
            return self.target

        @target_bytes.setter
        def target_bytes(self, target: int) -> None:
            if not self.works:
                raise RuntimeError("no target")
            self.target = target

        def shed(self) -> bool:
            if not self.works:
                raise RuntimeError("no shedding")
            self.claimed = min(self.claimed, self.target)
            return False

    broken, member = Broken(), Queue(budget)
    account = budget.join(broken, name="broken")
    broken.claimed = 500
    broken.works = False
    with caplog.at_level(logging.ERROR):
        budget.apply(replace(CALM, target_bytes=500))
        assert not account.shed()
    assert [record.message for record in caplog.records] == ["broken does not say what it claims"]
    assert member.target_bytes <= 500
    assert broken.target == 500
    assert budget.statistics().members[1].errors == account.errors > 2
    broken.works = True
    account.shed()
    budget.apply(replace(CALM, generation=2, target_bytes=400))
    assert broken.target < 400, "it is told again"
    broken.works = False
    with caplog.at_level(logging.ERROR):
        account.shed()
    assert len(caplog.records) == 2, "and has failed again"


def test_a_target_that_was_not_taken_is_told_again(
    budget: MemoryBudget, caplog: pytest.LogCaptureFixture
) -> None:
    class Fussy:
        claimed_bytes = 0
        target = -1
        asked = 0

        @property
        def target_bytes(self) -> int:
            return self.target

        @target_bytes.setter
        def target_bytes(self, target: int) -> None:
            self.asked += 1
            if self.asked == 1:
                raise RuntimeError("not now")
            self.target = target

        def shed(self) -> bool:
            return False

    fussy = Fussy()
    budget.join(fussy, max_bytes=900)
    assert (fussy.target, len(caplog.records)) == (-1, 1)
    budget.apply(CALM)
    assert fussy.target == 900
