"""`MemoryBudget` against the sums that it promises, with members that come, go, grow and fail."""

import contextlib
import gc
from collections import deque

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from boundedcollections import LimitReached, TooLarge
from boundedcollections.memory.budget import MemoryBudget, Reservation
from boundedcollections.memory.policy import Level, Plan
from boundedcollections.testing import FakeClock, check_invariants

BOUND = 1_000
sizes = st.integers(1, 400)
picks = st.integers(0, 5)


class Queue:
    """A member that keeps the rules: it books first, and then sees whether that was allowed."""

    def __init__(self, budget: MemoryBudget, settings: dict[str, int]) -> None:
        self.claimed_bytes = self.target_bytes = 0
        self.sizes: deque[int] = deque()
        self.floor_bytes = settings["floor_bytes"]
        self.account = budget.join(self, **settings)

    def add(self, size: int) -> None:
        if self.claimed_bytes + size > self.target_bytes:
            self.account.press(size)
        if size <= self.target_bytes:
            while self.claimed_bytes + size > self.target_bytes:
                self.claimed_bytes -= self.sizes.popleft()
            self.claimed_bytes += size
            self.sizes.append(size)

    def shed(self) -> bool:
        if self.claimed_bytes > self.target_bytes and self.sizes:
            self.claimed_bytes -= self.sizes.popleft()
        return self.claimed_bytes > self.target_bytes


class BudgetMachine(RuleBasedStateMachine):
    """
    The model is arithmetic: what is held, may be held and is reserved never exceeds the bound.

    A floor is the exception, for a while: it counts from the moment of joining, even when the
    others have not made room for it yet.
    """

    @initialize()
    def create(self) -> None:
        self.clock = FakeClock()
        self.budget = MemoryBudget(max_bytes=BOUND, clock=self.clock)
        self.members: list[Queue] = []
        self.reservations: list[Reservation] = []
        self.refused = 0
        self.generation = 0
        self.has_overdraft = False

    def _excess(self) -> int:
        held = sum(max(m.claimed_bytes, m.target_bytes) for m in self.members)
        return held + self.budget.reserved_bytes - self.budget.max_bytes

    @rule(floor=st.integers(0, 300), weight=st.integers(1, 5), most=st.integers(300, 2_000))
    def join(self, floor: int, weight: int, most: int) -> None:
        floors = sum(member.floor_bytes for member in self.members)
        settings = {"floor_bytes": floor, "weight": weight, "max_bytes": most}
        try:
            member = Queue(self.budget, settings)
        except ValueError:
            assert floors + floor + self.budget.reserved_bytes > self.budget.max_bytes
            return
        assert floors + floor + self.budget.reserved_bytes <= self.budget.max_bytes
        self.members.append(member)
        self.has_overdraft = self._excess() > 0

    @rule(pick=picks, size=sizes)
    def add(self, pick: int, size: int) -> None:
        for member in self.members[pick : pick + 1]:
            member.add(size)

    @rule(pick=picks, how=st.sampled_from(["die", "close"]))
    def leave(self, pick: int, how: str) -> None:
        if pick < len(self.members):
            member = self.members.pop(pick)
            if how == "close":
                member.account.close()
            del member
            gc.collect()

    @rule(size=sizes)
    def reserve(self, size: int) -> None:
        before = self.budget.reserved_bytes
        try:
            self.reservations.append(self.budget.reserve(size))
        except (LimitReached, TooLarge):
            self.refused += 1
            assert self.budget.reserved_bytes == before
        else:
            assert self.budget.reserved_bytes == before + size

    @rule(pick=picks)
    def release(self, pick: int) -> None:
        if pick < len(self.reservations):
            self.reservations.pop(pick).release()

    @rule(
        allowed=st.integers(0, 2 * BOUND),
        unmanaged=st.integers(0, BOUND),
        level=st.sampled_from(list(Level)),
        is_old=st.booleans(),
    )
    def apply(self, allowed: int, unmanaged: int, level: Level, is_old: bool) -> None:
        before = [member.target_bytes for member in self.members]
        number = self.generation - 1 if is_old else self.generation + 1
        plan = Plan(
            generation=number,
            level=level,
            previous=Level.NORMAL,
            target_bytes=allowed,
            grow=level is Level.NORMAL,
            admit=level < Level.CRITICAL,
            collect=False,
            trim=False,
            settled=False,
            unmanaged_bytes=unmanaged,
            kept_bytes=0,
            next_seconds=1.0,
        )
        self.budget.apply(plan)
        after = [member.target_bytes for member in self.members]
        if is_old:
            assert before == after
        else:
            self.generation = number
            floors = sum(member.floor_bytes for member in self.members)
            assert self.budget.level is level
            assert sum(after) <= max(allowed, floors)
            if not plan.grow:
                assert all(a <= b for a, b in zip(after, before, strict=True))

    @rule(max_bytes=st.integers(1, 2 * BOUND))
    def resize(self, max_bytes: int) -> None:
        least = sum(m.floor_bytes for m in self.members) + self.budget.reserved_bytes
        with contextlib.suppress(ValueError):
            self.budget.resize(max_bytes=max_bytes)
            assert max_bytes >= least
            self.has_overdraft = self._excess() > 0

    @rule()
    def catch_up(self) -> None:
        assert not self.budget.catch_up()
        assert all(member.claimed_bytes <= member.target_bytes for member in self.members)

    @rule()
    def forget_plan(self) -> None:
        self.budget.forget_plan()
        assert self.budget.level is Level.NORMAL
        self.generation = 0

    @rule()
    def share_again(self) -> None:
        """Where the budget sees that sharing out would change nothing, it does change nothing."""
        shares = self.budget._shares
        if shares._is_told and shares._are_in_range():
            before = [member.target_bytes for member in self.members]
            shares.share_out()
            after = [member.target_bytes for member in self.members]
            assert all(abs(a - b) <= 1 for a, b in zip(after, before, strict=True))

    @rule(seconds=st.integers(1, 12))
    def wait(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @invariant()
    def holds(self) -> None:
        excess = self._excess()
        self.has_overdraft = self.has_overdraft and excess > 0
        assert self.has_overdraft or excess <= 0
        check_invariants(self.budget)
        for member in self.members:
            assert member.floor_bytes <= member.target_bytes == member.account.target_bytes
        statistics = self.budget.statistics()
        assert statistics.claimed_bytes == sum(member.claimed_bytes for member in self.members)
        assert statistics.reserved_bytes == sum(each.size for each in self.reservations)
        assert statistics.refused_reservations == self.refused

    def teardown(self) -> None:
        for reservation in self.reservations:
            reservation.release()


TestBudget = BudgetMachine.TestCase
