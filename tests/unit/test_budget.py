import gc
import logging
import math
import os
import sys
import threading
from collections import deque
from dataclasses import replace

import pytest
from interruptions import interrupted_everywhere

from boundedcollections import LimitReached, TooLarge
from boundedcollections.memory.budget import MemoryBudget
from boundedcollections.memory.policy import Level, Plan
from boundedcollections.testing import FakeClock

CALM = Plan(
    generation=1,
    level=Level.NORMAL,
    previous=Level.NORMAL,
    target_bytes=1_000,
    grow=True,
    admit=True,
    collect=False,
    trim=False,
    settled=False,
    unmanaged_bytes=0,
    kept_bytes=0,
    next_seconds=1.0,
)
CRITICAL = replace(CALM, level=Level.CRITICAL, admit=False, grow=False)


class Queue:
    """A collection of sizes: the smallest member there is."""

    def __init__(self, budget: MemoryBudget, **settings: object) -> None:
        self.claimed_bytes = 0
        self.target_bytes = 0
        self.sizes: deque[int] = deque()
        self.account = budget.join(self, **settings)

    def add(self, size: int) -> bool:
        if self.claimed_bytes + size > self.target_bytes:
            self.account.press(size)
        if size > self.target_bytes:
            return False
        self.claimed_bytes += size
        self.sizes.append(size)
        while self.shed():
            pass
        return True

    def shed(self) -> bool:
        if self.claimed_bytes > self.target_bytes and self.sizes:
            self.claimed_bytes -= self.sizes.popleft()
        return self.claimed_bytes > self.target_bytes


class Rigid(Queue):
    """A member that never gives anything up."""

    def shed(self) -> bool:
        return False


def targets(*members: Queue) -> list[int]:
    return [member.target_bytes for member in members]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def budget(clock: FakeClock) -> MemoryBudget:
    return MemoryBudget(max_bytes=1_000, clock=clock)


# ── shares ──────────────────────────────────────────────────────────────────────────────────────


def test_a_single_member_may_have_everything(budget: MemoryBudget) -> None:
    assert targets(Queue(budget)) == [1_000]


def test_members_that_need_nothing_yet_share_the_room_to_grow(budget: MemoryBudget) -> None:
    members = [Queue(budget), Queue(budget), Queue(budget, weight=2)]
    assert targets(*members) == [250, 250, 500]


def test_what_fits_is_not_shared_out_at_all(budget: MemoryBudget) -> None:
    members = [Queue(budget, max_bytes=300), Queue(budget, max_bytes=700)]
    assert targets(*members) == [300, 700]


def test_what_one_cannot_use_the_others_get(budget: MemoryBudget) -> None:
    members = [Queue(budget, max_bytes=100), Queue(budget), Queue(budget)]
    assert targets(*members) == [100, 450, 450]


def test_a_floor_comes_before_all_shares(budget: MemoryBudget) -> None:
    members = [Queue(budget, floor_bytes=600), Queue(budget), Queue(budget)]
    assert targets(*members) == [600, 200, 200]


def test_a_member_that_presses_takes_what_the_others_leave(
    budget: MemoryBudget, clock: FakeClock
) -> None:
    busy, idle = Queue(budget), Queue(budget)
    for _ in range(40):
        clock.advance(1)
        for _ in range(100):
            busy.add(10)
    assert busy.claimed_bytes > 900
    clock.advance(1)
    assert not idle.add(100), "but there is no room yet"
    busy.add(10)
    clock.advance(1)
    assert idle.add(100), "now there is"
    for _ in range(60):
        clock.advance(1)
        for member in (busy, idle):
            for _ in range(10):
                member.add(10)
    assert idle.claimed_bytes == pytest.approx(500, abs=30)
    assert busy.claimed_bytes == pytest.approx(500, abs=30)


def test_what_a_member_has_asked_for_is_forgotten_after_a_while(
    budget: MemoryBudget, clock: FakeClock
) -> None:
    busy, idle = Queue(budget), Queue(budget)
    for _ in range(40):
        clock.advance(1)
        for _ in range(100):
            busy.add(10)
    high = busy.target_bytes
    clock.advance(1)
    idle.account.press(300)
    assert busy.target_bytes == 700
    clock.advance(9)
    busy.account.press(1)
    assert busy.target_bytes == 700
    clock.advance(1)
    busy.account.press(1)
    assert busy.target_bytes == high


def test_a_member_is_heard_once_a_second(budget: MemoryBudget, clock: FakeClock) -> None:
    busy, _idle = Queue(budget), Queue(budget)
    busy.add(500)
    busy.account.press(1)
    assert busy.target_bytes == 500
    clock.advance(1)
    busy.account.press(1)
    assert busy.target_bytes > 500


def test_nothing_is_given_that_another_member_still_holds(budget: MemoryBudget) -> None:
    rigid = Rigid(budget)
    for _ in range(9):
        rigid.add(100)
    newcomer = Queue(budget)
    assert rigid.target_bytes < 900
    assert newcomer.target_bytes == 100
    assert not newcomer.add(101)


def test_a_write_that_comes_in_just_before_the_target_falls_is_seen(budget: MemoryBudget) -> None:
    class Busy(Queue):
        @property
        def target_bytes(self) -> int:
            return self._target

        @target_bytes.setter
        def target_bytes(self, target: int) -> None:
            if target < self.claimed_bytes + 500:
                self.claimed_bytes += 300  # by a thread that had looked at the target before
            self._target = target

    busy = Busy(budget)
    busy.claimed_bytes = 600
    newcomer = Queue(budget)
    assert busy.claimed_bytes == 900
    assert newcomer.target_bytes == 100


def test_what_a_member_gives_up_goes_to_the_others_at_the_next_look(
    budget: MemoryBudget, clock: FakeClock
) -> None:
    full = Queue(budget)
    for _ in range(10):
        full.add(100)
    newcomer = Queue(budget)
    assert newcomer.target_bytes == 0
    assert not budget.catch_up()
    assert full.claimed_bytes == 500
    clock.advance(1)
    assert newcomer.add(300)


def test_a_member_that_dies_leaves_its_share(budget: MemoryBudget, clock: FakeClock) -> None:
    stays, goes = Queue(budget), Queue(budget)
    goes.add(400)
    del goes
    gc.collect()
    assert budget.claimed_bytes == 0
    assert len(budget.statistics().members) == 1
    clock.advance(1)
    stays.account.press(1)
    assert stays.target_bytes == 1_000


def test_an_account_that_is_closed_leaves_its_share_at_once(budget: MemoryBudget) -> None:
    stays, goes = Queue(budget), Queue(budget)
    goes.account.close()
    goes.account.close()
    goes.account.press(1)
    assert targets(stays) == [1_000]
    assert goes.target_bytes == 500, "it is told nothing more"
    assert goes.account.claimed_bytes == 0


def test_the_budget_keeps_no_member_alive(budget: MemoryBudget) -> None:
    member = Queue(budget)
    account = member.account
    del member
    gc.collect()
    assert (account.claimed_bytes, account.member(), account.shed()) == (0, None, False)
    account.tell()


# ── reservations ────────────────────────────────────────────────────────────────────────────────


def test_a_reservation_takes_from_what_members_may_have(budget: MemoryBudget) -> None:
    member = Queue(budget)
    with budget.reserve(300) as reservation:
        assert (reservation.size, reservation.released) == (300, False)
        assert (budget.reserved_bytes, member.target_bytes) == (300, 700)
        assert budget.current_bytes == 300
    assert reservation.released
    assert (budget.reserved_bytes, member.target_bytes) == (0, 1_000)
    assert budget.statistics().peak_reserved_bytes == 300


def test_a_reservation_is_refused_while_members_hold_the_bytes_and_made_room_for(
    budget: MemoryBudget,
) -> None:
    member = Queue(budget)
    for _ in range(10):
        member.add(100)
    with pytest.raises(LimitReached) as caught:
        budget.reserve(300)
    assert (caught.value.limit, caught.value.retry_after_seconds) == (1_000, 1.0)
    assert (budget.reserved_bytes, member.target_bytes) == (0, 700)
    member.add(50)
    assert member.claimed_bytes <= 700
    budget.reserve(300).release()
    assert budget.statistics().refused_reservations == 1


def test_room_made_for_a_reservation_that_does_not_come_is_given_back(
    budget: MemoryBudget, clock: FakeClock
) -> None:
    member = Queue(budget)
    member.add(900)
    with pytest.raises(LimitReached):
        budget.reserve(300)
    clock.advance(1)
    member.account.press(1)
    assert member.target_bytes == 700, "it may still come"
    clock.advance(1)
    member.account.press(1)
    assert member.target_bytes == 1_000


def test_a_small_reservation_does_not_use_up_the_room_asked_for_by_a_large_one(
    budget: MemoryBudget,
) -> None:
    member = Queue(budget)
    member.add(900)
    for size in (300, 200):
        with pytest.raises(LimitReached):
            budget.reserve(size)
    assert member.target_bytes == 700
    budget.catch_up()
    with budget.reserve(100):
        assert member.target_bytes == 700


def test_floors_are_never_reserved_away(budget: MemoryBudget) -> None:
    Queue(budget, floor_bytes=400).add(400)
    member = Queue(budget, floor_bytes=400)
    with pytest.raises(TooLarge) as caught:
        budget.reserve(601)
    assert (caught.value.size, caught.value.limit) == (601, 600)
    assert member.target_bytes >= 400
    assert budget.statistics().refused_reservations == 1


def test_while_others_are_reserved_room_is_given_back_once_a_second(
    budget: MemoryBudget, clock: FakeClock
) -> None:
    member = Queue(budget)
    kept = budget.reserve(100)
    budget.reserve(100).release()
    assert member.target_bytes == 800
    clock.advance(1)
    budget.reserve(100).release()
    assert member.target_bytes == 900
    kept.release()
    assert member.target_bytes == 1_000


def test_a_reservation_that_is_dropped_is_given_back_and_told_of(budget: MemoryBudget) -> None:
    with pytest.warns(ResourceWarning, match="a reservation of MemoryBudget was never released"):
        budget.reserve(10)
    assert budget.reserved_bytes == 0


def test_a_reservation_is_released_once(budget: MemoryBudget) -> None:
    reservation = budget.reserve(10)
    reservation.release()
    with pytest.raises(RuntimeError, match="released already"):
        reservation.release()
    assert budget.reserved_bytes == 0
    assert repr(reservation) == "<a reservation of MemoryBudget released>"


# ── levels and plans ────────────────────────────────────────────────────────────────────────────


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


# ── catching up ─────────────────────────────────────────────────────────────────────────────────


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


# ── the rest ────────────────────────────────────────────────────────────────────────────────────


def test_a_smaller_bound_takes_the_targets_with_it_and_a_larger_one_too(
    budget: MemoryBudget,
) -> None:
    member = Queue(budget)
    budget.resize(max_bytes=400)
    assert (member.target_bytes, budget.max_bytes) == (400, 400)
    budget.resize(max_bytes=2_000)
    assert member.target_bytes == 2_000
    budget.apply(replace(CALM, target_bytes=500))
    budget.resize(max_bytes=3_000)
    assert member.target_bytes == 500, "the plan still counts"


def test_a_bound_below_floors_and_reservations_is_refused(budget: MemoryBudget) -> None:
    member = Queue(budget, floor_bytes=300)
    with (
        budget.reserve(200),
        pytest.raises(ValueError, match=r"max_bytes must be at least 500, .* got 499"),
    ):
        budget.resize(max_bytes=499)
    assert (budget.max_bytes, member.target_bytes) == (1_000, 1_000)


def test_floors_that_together_exceed_the_bound_are_refused(budget: MemoryBudget) -> None:
    member = Queue(budget, floor_bytes=600)
    with budget.reserve(100), pytest.raises(ValueError, match=r"at most 300, .* got 301"):
        Queue(budget, floor_bytes=301)
    assert [m.name for m in budget.statistics().members] == ["Queue"]
    assert member.target_bytes == 1_000


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"floor_bytes": -1}, ValueError),
        ({"floor_bytes": 11, "max_bytes": 10}, ValueError),
        ({"max_bytes": 0}, ValueError),
        ({"weight": 0}, ValueError),
        ({"weight": math.inf}, ValueError),
        ({"weight": math.nan}, ValueError),
        ({"weight": "1"}, TypeError),
        ({"weight": True}, TypeError),
        ({"floor_bytes": 1.5}, TypeError),
    ],
)
def test_a_membership_that_makes_no_sense_is_refused(
    budget: MemoryBudget, wrong: dict[str, object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        Queue(budget, **wrong)
    assert budget.statistics().members == ()


def test_a_bound_may_be_a_part_of_what_the_process_may_use(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("boundedcollections.memory.budget.memory_limit", lambda: 4_000)
    assert MemoryBudget(fraction=0.75).max_bytes == 3_000
    assert MemoryBudget(fraction=1).max_bytes == 4_000
    assert MemoryBudget(fraction=1e-9).max_bytes == 1


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it takes psutil to know")
def test_what_the_process_may_use_is_known_here() -> None:
    assert MemoryBudget(fraction=0.5).max_bytes > 1 << 20


def test_a_part_of_nobody_knows_what_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("boundedcollections.memory.budget.memory_limit", lambda: None)
    with pytest.raises(RuntimeError, match="give max_bytes"):
        MemoryBudget(fraction=0.5)


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({}, TypeError),
        ({"max_bytes": 1_000, "fraction": 0.5}, TypeError),
        ({"fraction": "0.5"}, TypeError),
        ({"fraction": True}, TypeError),
        ({"fraction": 0}, ValueError),
        ({"fraction": 1.01}, ValueError),
        ({"fraction": math.nan}, ValueError),
    ],
)
def test_a_budget_has_one_bound_that_makes_sense(
    wrong: dict[str, object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        MemoryBudget(**wrong)


@pytest.mark.parametrize("wrong", [0, -1, 1.5, True])
def test_a_bound_in_bytes_is_a_number_above_0(wrong: object) -> None:
    with pytest.raises((TypeError, ValueError), match="max_bytes must be an integer"):
        MemoryBudget(max_bytes=wrong)


def test_the_figures_of_each_member_are_told(budget: MemoryBudget) -> None:
    first = Queue(budget, name="first", floor_bytes=10, weight=2, max_bytes=900)
    _second = Queue(budget)
    first.add(100)
    statistics = budget.statistics()
    told = statistics.members[0]
    assert (told.name, told.claimed_bytes, told.floor_bytes) == ("first", 100, 10)
    assert (told.max_bytes, told.weight, told.errors) == (900, 2.0, 0)
    assert told.target_bytes == first.target_bytes
    assert statistics.members[1].name == "Queue"
    assert (statistics.claimed_bytes, statistics.max_bytes) == (100, 1_000)
    assert statistics == budget.statistics()


def test_a_budget_shows_its_name_its_use_and_its_level() -> None:
    budget = MemoryBudget(max_bytes=1_000, name="process")
    with budget.reserve(200):
        assert repr(budget) == "<MemoryBudget 'process' bytes=200/1000 normal>"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_child_is_not_kept_waiting_by_a_thread_of_its_parent(
    budget: MemoryBudget,
) -> None:
    member = Queue(budget)
    held, let_go = threading.Event(), threading.Event()

    def hold() -> None:
        with budget._lock:
            held.set()
            let_go.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(30)
    child = os.fork()
    if child == 0:  # pragma: no cover  # coverage does not see the child
        budget.resize(max_bytes=500)
        os._exit(0 if member.target_bytes == 500 else 1)
    _, status = os.waitpid(child, 0)
    let_go.set()
    thread.join()
    assert status == 0


# ── struck at every point ───────────────────────────────────────────────────────────────────────


def interrupt() -> None:
    raise KeyboardInterrupt


@pytest.mark.filterwarnings("ignore:a reservation of MemoryBudget was never:ResourceWarning")
def test_whatever_strikes_no_byte_of_a_reservation_is_lost_or_counted_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)  # destructors are struck, too
    clock = FakeClock()
    budget = MemoryBudget(max_bytes=1_000, clock=clock)
    member = Queue(budget)

    def reserve_and_release() -> None:
        member.claimed_bytes = 0
        with budget.reserve(300):
            pass

    for _ in interrupted_everywhere(lambda: reserve_and_release, interrupt, within="memory/"):
        gc.collect()
        budget._check()
        clock.advance(10)
        budget.forget_plan()
        assert budget.reserved_bytes == 0
        assert member.target_bytes == 1_000


def test_whoever_strikes_may_use_the_budget() -> None:
    reservations = []

    def prepare() -> object:
        reservations.clear()
        budget = MemoryBudget(max_bytes=1_000)
        members = [Queue(budget), Queue(budget)]
        members[0].claimed_bytes = 300
        members[0].sizes.append(300)
        state[:] = [budget, *members]

        def use() -> None:
            budget.apply(replace(CALM, target_bytes=900))
            state.append(Queue(budget, floor_bytes=50))
            with budget.reserve(100):
                budget.resize(max_bytes=900)
            budget.catch_up()

        return use

    def strike() -> None:
        budget = state[0]
        state.append(Queue(budget, floor_bytes=20))
        reservations.append(budget.reserve(100))

    state: list[object] = []
    for _ in interrupted_everywhere(prepare, strike, within="memory/"):
        budget, members = state[0], state[1:]
        budget._check()
        held = sum(max(m.claimed_bytes, m.target_bytes) for m in members)
        assert held + budget.reserved_bytes <= budget.max_bytes
        assert {m.account for m in members} == set(budget._shares.accounts)
        assert all(m.target_bytes == m.account.target_bytes for m in members)
        assert budget.reserved_bytes == 100
        for reservation in reservations:
            reservation.release()
