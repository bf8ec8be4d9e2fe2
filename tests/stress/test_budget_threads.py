import contextlib
import random
import threading
from collections import deque
from dataclasses import replace

from stress.storm import for_a_while, storm

from boundedcollections import LimitReached
from boundedcollections.memory.budget import MemoryBudget
from boundedcollections.memory.policy import LADDER, PolicyState, Sample, decide
from boundedcollections.testing import check_invariants

BOUND = 10_000


class Queue:
    """A member with a lock of its own; it books first, and looks at its target afterwards."""

    def __init__(self, budget: MemoryBudget, floor_bytes: int = 0) -> None:
        self.claimed_bytes = self.target_bytes = 0
        self.lock = threading.RLock()
        self.sizes: deque[int] = deque()
        self.account = budget.join(self, floor_bytes=floor_bytes)

    def add(self, size: int) -> None:
        with self.lock:
            before = self.claimed_bytes
            if size <= self.target_bytes:
                while self.claimed_bytes + size > max(self.target_bytes, size):
                    self.claimed_bytes -= self.sizes.popleft()
                self.claimed_bytes += size
                self.sizes.append(size)
                while self.claimed_bytes > max(self.target_bytes, before):
                    self.claimed_bytes -= self.sizes.popleft()
            pressed = self.claimed_bytes + size > self.target_bytes
        if pressed:
            self.account.press(size)

    def shed(self) -> bool:
        with self.lock:
            if self.claimed_bytes > self.target_bytes and self.sizes:
                self.claimed_bytes -= self.sizes.popleft()
            return self.claimed_bytes > self.target_bytes


@for_a_while
def test_many_threads_never_hold_more_than_the_bound_together(seconds: float) -> None:
    budget = MemoryBudget(max_bytes=BOUND)
    members = [Queue(budget, floor_bytes=500) for _ in range(3)]
    passing: deque[Queue] = deque(maxlen=2)
    state = PolicyState()

    def write() -> None:
        random.choice(members).add(random.randint(1, 400))

    def reserve() -> None:
        with contextlib.suppress(LimitReached), budget.reserve(random.randint(1, 2_000)):
            assert budget.reserved_bytes <= BOUND - 1_500

    def come_and_go() -> None:
        passing.append(Queue(budget))
        passing[-1].add(100)
        if random.random() < 0.5:
            passing.popleft().account.close()

    def govern() -> None:
        nonlocal state
        used = random.randint(BOUND // 2, BOUND)
        sample = Sample(
            time_seconds=state.generation / 10,
            used_bytes=used,
            limit_bytes=BOUND,
            claimed_bytes=budget.claimed_bytes,
        )
        plan, state = decide(sample, state, LADDER)
        budget.apply(replace(plan, unmanaged_bytes=0))
        budget.catch_up()

    def look() -> None:
        statistics = budget.statistics()
        targets = sum(member.target_bytes for member in statistics.members)
        assert targets + statistics.reserved_bytes <= BOUND
        assert budget.current_bytes <= BOUND + 400 * len(statistics.members)

    storm(write, write, write, reserve, come_and_go, govern, look, seconds=seconds)
    while budget.catch_up():
        pass
    check_invariants(budget)
    assert budget.reserved_bytes == 0
    for member in members:
        assert member.claimed_bytes == sum(member.sizes)
    assert budget.current_bytes <= BOUND
