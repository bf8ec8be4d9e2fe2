import contextlib
import random
import threading
from collections import deque
from dataclasses import replace
from typing import Any

from stress.storm import for_a_while, storm

from boundedcollections import (
    BoundedHistory,
    Broadcast,
    DropOldestChannel,
    LimitReached,
    SizeAwareLRU,
    TooLarge,
    WouldBlock,
)
from boundedcollections.memory.budget import MemoryBudget
from boundedcollections.memory.policy import LADDER, PolicyState, Sample, decide
from boundedcollections.testing import check_invariants

BOUND = 10_000


def size_of(item: int) -> int:
    return item


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


@for_a_while
def test_collections_of_every_kind_share_a_budget_under_many_threads(seconds: float) -> None:
    budget = MemoryBudget(max_bytes=BOUND * 10)
    settings: dict[str, Any] = {"max_bytes": BOUND * 10, "sizeof": size_of, "budget": budget}
    cache: SizeAwareLRU[int, int] = SizeAwareLRU(**settings)
    history: BoundedHistory[int] = BoundedHistory(**settings)
    channel: DropOldestChannel[int] = DropOldestChannel(**settings)
    hub: Broadcast[int] = Broadcast(**settings)
    largest = 1_000

    def write() -> None:
        size = random.randint(0, largest)
        with contextlib.suppress(TooLarge):
            cache[random.randint(0, 5_000)] = size
            history.append(size)
            channel.send(size)
            hub.send(size)

    def receive() -> None:
        with contextlib.suppress(WouldBlock):
            for _ in range(20):
                channel.receive_nowait()

    def reserve() -> None:
        with contextlib.suppress(LimitReached), budget.reserve(random.randint(1, BOUND * 6)):
            pass

    def catch_up() -> None:
        budget.catch_up()
        budget.forget_plan()
        statistics = budget.statistics()
        targets = sum(member.target_bytes for member in statistics.members)
        assert targets + statistics.reserved_bytes <= budget.max_bytes

    storm(write, write, write, receive, reserve, catch_up, seconds=seconds)
    check_invariants(budget, cache, history, channel, hub)
    while budget.catch_up():
        pass
    check_invariants(budget, cache, history, channel, hub)
    assert budget.current_bytes <= budget.max_bytes
    for collection in (cache, history):
        figures = collection.statistics()
        left = sum(tally.items for tally in figures.left.values())
        assert figures.accepted.items == left + figures.items
    assert hub.statistics().sent == hub.statistics().evicted + len(hub)
