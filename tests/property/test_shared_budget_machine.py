"""Collections of every kind in one budget, against the one sum that they must never exceed."""

import contextlib
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from boundedcollections import (
    BoundedHistory,
    Broadcast,
    DropOldestChannel,
    LimitReached,
    SizeAwareLRU,
    TooLarge,
)
from boundedcollections.memory.budget import MemoryBudget, Reservation
from boundedcollections.testing import FakeClock, check_invariants

BOUND = 40_000
sizes = st.integers(0, 9_000)
keys = st.sampled_from("abcdefgh")
picks = st.integers(0, 4)


def size_of(item: object) -> int:
    return item if isinstance(item, int) else 0


class SharedBudgetMachine(RuleBasedStateMachine):
    """No member has a floor, so the bound holds at every moment, and nothing is lost in silence."""

    @initialize(unique=st.booleans(), most=st.integers(10_000, 60_000))
    def create(self, unique: bool, most: int) -> None:
        self.clock = FakeClock()
        self.budget = MemoryBudget(max_bytes=BOUND, clock=self.clock)
        common: dict[str, Any] = {"budget": self.budget, "sizeof": size_of, "max_bytes": most}
        self.cache: SizeAwareLRU[str, int] = SizeAwareLRU(**common, clock=self.clock)
        self.history: BoundedHistory[int] = BoundedHistory(
            **common, unique=unique, max_age_seconds=50, clock=self.clock
        )
        self.channel: DropOldestChannel[int] = DropOldestChannel(**common)
        self.hub: Broadcast[int] = Broadcast(**common)
        self.reader = self.hub.subscribe()
        self.collections: list[Any] = [self.cache, self.history, self.channel, self.hub]
        self.reservations: list[Reservation] = []

    @rule(key=keys, size=sizes, seconds=st.none() | st.integers(1, 20))
    def put(self, key: str, size: int, seconds: int | None) -> None:
        if self.cache.put(key, size, ttl_seconds=seconds):
            assert self.cache.peek(key) == size or size > self.cache.max_entry_bytes

    @rule(key=keys, size=sizes)
    def setdefault(self, key: str, size: int) -> None:
        with contextlib.suppress(TooLarge):
            self.cache.setdefault(key, size)

    @rule(key=keys)
    def read_and_remove(self, key: str) -> None:
        self.cache.get(key)
        self.cache.pop(key, None)

    @rule(size=sizes)
    def append(self, size: int) -> None:
        with contextlib.suppress(TooLarge):
            seq = self.history.append(size)
            assert seq == self.history.next_seq - 1

    @rule(size=sizes, times=st.integers(1, 30))
    def send(self, size: int, times: int) -> None:
        for _ in range(times):
            with contextlib.suppress(TooLarge):
                self.channel.send(size)
                self.hub.send(size)

    @rule(most=st.integers(1, 20))
    def receive(self, most: int) -> None:
        for _ in range(min(most, len(self.channel))):
            self.channel.receive_nowait()

    @rule(size=st.integers(1, 30_000))
    def reserve(self, size: int) -> None:
        with contextlib.suppress(LimitReached):
            self.reservations.append(self.budget.reserve(size))

    @rule(pick=picks)
    def release(self, pick: int) -> None:
        if pick < len(self.reservations):
            self.reservations.pop(pick).release()

    @rule()
    def catch_up(self) -> None:
        while self.budget.catch_up():
            pass
        for member in self.budget.statistics().members:
            assert member.claimed_bytes <= member.target_bytes

    @rule(most=st.integers(5_000, 60_000))
    def resize(self, most: int) -> None:
        self.cache.resize(max_bytes=most)
        self.history.resize(max_bytes=most)

    @rule(pick=st.integers(0, 1))
    def clear(self, pick: int) -> None:
        self.collections[pick].clear()

    @rule(seconds=st.integers(1, 12))
    def wait(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @invariant()
    def holds(self) -> None:
        check_invariants(self.budget, *self.collections)
        claimed = sum(collection._claimed_bytes() for collection in self.collections)
        assert claimed == self.budget.claimed_bytes
        assert claimed + self.budget.reserved_bytes <= BOUND
        for accepted, left, held in self._books():
            assert accepted == left + held

    def _books(self) -> list[tuple[int, int, int]]:
        cache, history = self.cache.statistics(), self.history.statistics()
        channel, hub = self.channel.statistics(), self.hub.statistics()
        return [
            *(
                (each.accepted.items, sum(t.items for t in each.left.values()), each.items)
                for each in (cache, history)
            ),
            (channel.sent, channel.received + channel.missed, channel.buffered),
            (hub.sent, hub.evicted, hub.items),
        ]

    def teardown(self) -> None:
        for reservation in getattr(self, "reservations", ()):
            reservation.release()


TestSharedBudget = SharedBudgetMachine.TestCase
TestSharedBudget.settings = settings(max_examples=60, deadline=None)
