"""When the shares of a budget may stay what they are, without being worked out again."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from boundedcollections.memory.budget import MemoryBudget
from boundedcollections.memory.policy import Level, Plan
from boundedcollections.memory.shares import Shares
from boundedcollections.testing import FakeClock

PLAN: dict[str, Any] = {
    "level": Level.NORMAL,
    "previous": Level.NORMAL,
    "target_bytes": 1_000,
    "grow": True,
    "admit": True,
    "collect": False,
    "trim": False,
    "settled": False,
    "unmanaged_bytes": 0,
    "kept_bytes": 0,
    "next_seconds": 1.0,
}


class Holder:
    """A member that holds what a test says."""

    def __init__(self, claimed_bytes: int = 0) -> None:
        self.held = claimed_bytes
        self.target_bytes = 0
        self.fails = False

    @property
    def claimed_bytes(self) -> int:
        if self.fails:
            raise ValueError("boom")
        return self.held

    def shed(self) -> bool:
        return False


class Shared:
    """Two members that want more than there is, and one that has what it needs."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.budget = MemoryBudget(max_bytes=1_000, clock=self.clock)
        self.busy = [Holder(), Holder()]
        self.idle = Holder(50)
        self.accounts = [self.budget.join(member) for member in (*self.busy, self.idle)]
        self.generation = 0
        for _ in range(30):
            self.plan()
            for member in self.busy:
                member.held = member.target_bytes

    def plan(self, **changes: Any) -> int:
        """Carry out a plan; return how often shares were worked out for it."""
        before = self.budget._shares.changes
        self.generation += 1
        self.budget.apply(Plan(generation=self.generation, **PLAN | changes))
        return self.budget._shares.changes - before


@pytest.fixture
def shared() -> Shared:
    shared = Shared()
    shared.plan()
    assert [account.is_short for account in shared.accounts] == [True, True, False]
    return shared


def test_where_all_are_full_and_nothing_is_left_nothing_is_worked_out_again(shared: Shared) -> None:
    assert shared.plan() == 0
    shared.busy[0].held -= 10
    assert shared.plan() == 0


def hold_much_less(shared: Shared) -> None:
    shared.busy[0].held //= 2


def hold_a_little_less_than_what_it_may_grow_from(shared: Shared) -> None:
    shared.busy[0].held = 430  # a sixteenth more, and the first step, are less than its target


def hold_more_than_allowed(shared: Shared) -> None:
    shared.busy[0].held += 1


def idle_no_more(shared: Shared) -> None:
    shared.idle.held += 1


def idle_and_asking(shared: Shared) -> None:
    shared.accounts[2].press(100)


def another_bound(shared: Shared) -> None:
    shared.accounts[0].max_bytes = 100


def a_newcomer(shared: Shared) -> None:
    shared.newcomer = shared.budget.join(Holder())  # type: ignore[attr-defined]


def a_member_gone(shared: Shared) -> None:
    shared.busy.pop()


def a_member_that_fails(shared: Shared) -> None:
    shared.idle.fails = True


@pytest.mark.parametrize(
    "change",
    [
        hold_much_less,
        hold_a_little_less_than_what_it_may_grow_from,
        hold_more_than_allowed,
        idle_no_more,
        idle_and_asking,
        another_bound,
        a_newcomer,
        a_member_gone,
        a_member_that_fails,
    ],
)
def test_whatever_could_change_a_share_has_them_worked_out(
    change: Callable[[Shared], None], shared: Shared
) -> None:
    change(shared)
    assert shared.plan() == 1


def test_another_total_has_them_worked_out(shared: Shared) -> None:
    assert shared.plan(target_bytes=999) == 1
    shared.busy[0].held = shared.busy[1].held = 450
    assert shared.plan(target_bytes=999) == 0
    assert shared.plan(target_bytes=999, unmanaged_bytes=10) == 1


def test_who_is_short_already_does_not_get_more_by_asking(shared: Shared) -> None:
    before = shared.budget._shares.changes
    for _ in range(5):
        shared.clock.advance(2)
        shared.accounts[0].press(100)
    assert shared.budget._shares.changes == before
    shared.busy[1].held = 10
    shared.clock.advance(2)
    shared.accounts[0].press(100)
    assert shared.budget._shares.changes == before + 1


def test_a_target_that_was_not_taken_is_told_again_when_somebody_presses(shared: Shared) -> None:
    class Deaf(Holder):
        def __setattr__(self, name: str, value: object) -> None:
            if name == "target_bytes" and self.__dict__.get("deaf"):
                raise ValueError("boom")
            super().__setattr__(name, value)

    deaf = Deaf()
    shared.accounts.append(shared.budget.join(deaf))
    for member in shared.busy:
        member.held = member.target_bytes
    deaf.__dict__["deaf"] = True
    shared.plan(target_bytes=900)
    deaf.__dict__["deaf"] = False
    assert deaf.target_bytes != shared.accounts[3].target_bytes
    for member in shared.busy:
        member.held = member.target_bytes
    shared.clock.advance(2)
    shared.accounts[0].press(1)
    assert deaf.target_bytes == shared.accounts[3].target_bytes


def test_targets_that_might_not_rise_rise_as_soon_as_they_may(shared: Shared) -> None:
    shared.plan(target_bytes=980)
    for member in shared.busy:
        member.held = member.target_bytes
    before = shared.busy[0].target_bytes
    shared.plan(target_bytes=1_000, grow=False)
    assert shared.busy[0].target_bytes == before
    shared.plan(target_bytes=1_000)
    assert shared.busy[0].target_bytes > before


def test_who_presses_again_within_a_second_is_not_looked_at(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared.clock.advance(2)
    shared.accounts[0].press(100)
    monkeypatch.setattr(Shares, "serve", lambda _: pytest.fail("it has been served"))
    shared.clock.advance(0.9)
    shared.accounts[1].press(100)


def test_who_asks_and_is_not_short_is_looked_at_again_until_that_is_forgotten(
    shared: Shared,
) -> None:
    shared.accounts[2].press(5)
    assert shared.plan() == 1
    assert shared.plan() == 1
    shared.clock.advance(11)
    assert shared.plan() == 1
    assert shared.plan() == 0


def test_a_floor_stays_when_there_is_less_than_that(shared: Shared) -> None:
    member = Holder()
    shared.budget.join(member, floor_bytes=100)
    shared.plan(target_bytes=0)
    assert member.target_bytes == 100
    assert [other.target_bytes for other in (*shared.busy, shared.idle)] == [0, 0, 0]


def test_who_shares_out_in_the_middle_of_sharing_out_has_the_last_word(shared: Shared) -> None:
    class Striking(Holder):
        """A member that calls its budget when it is told its target, which is against the rules."""

        def __setattr__(self, name: str, value: object) -> None:
            super().__setattr__(name, value)
            if name == "target_bytes" and value:
                shared.busy[0].held = 10
                shared.budget.forget_plan()

    striking = Striking()
    shared.budget.join(striking)
    assert shared.budget._shares._range is None
    assert shared.busy[1].target_bytes > shared.busy[0].target_bytes


def test_who_joins_while_the_dead_are_forgotten_is_not_forgotten(shared: Shared) -> None:
    newcomer, joined = Holder(), []

    def dead() -> None:
        shared.accounts[2].member = lambda: None
        joined.append(shared.budget.join(newcomer))

    shared.accounts[2].member = dead
    assert shared.budget._shares.living() == (*shared.accounts[:2], *joined)


@settings(
    deadline=None, suppress_health_check=[HealthCheck.too_slow]
)  # on a busy machine everything is
@given(
    members=st.lists(
        st.tuples(
            st.integers(0, 100),  # the floor
            st.integers(100, 3_000),  # the bound of its own
            st.sampled_from([0.5, 1.0, 2.0, 7.0]),  # the weight
            st.floats(0, 1),  # how full it is, at first and later
            st.floats(0, 1),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_within_the_range_working_out_would_change_nothing(
    members: list[tuple[int, int, float, float, float]],
) -> None:
    budget = MemoryBudget(max_bytes=1_000, clock=FakeClock())
    holders = [Holder() for _ in members]
    for holder, (floor, most, weight, _, _) in zip(holders, members, strict=True):
        budget.join(holder, floor_bytes=floor, max_bytes=most, weight=weight)
    for _ in range(3):
        for holder, (*_, full, _) in zip(holders, members, strict=True):
            holder.held = int(holder.target_bytes * full)
        budget.forget_plan()
    before = [holder.target_bytes for holder in holders]
    known = budget._shares._range
    if known is None:
        return
    later = [full for *_, full in members]
    for holder, least, most, full in zip(holders, known.least, known.most, later, strict=True):
        holder.held = least + int((most - least) * full)
    if budget._shares._are_in_range():
        budget.forget_plan()
        after = [holder.target_bytes for holder in holders]
        assert all(abs(a - b) <= 1 for a, b in zip(after, before, strict=True))
