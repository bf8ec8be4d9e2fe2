import gc

import pytest
from members import Queue, Rigid, targets

from boundedcollections.memory.budget import MemoryBudget
from boundedcollections.testing import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def budget(clock: FakeClock) -> MemoryBudget:
    return MemoryBudget(max_bytes=1_000, clock=clock)


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
