"""`BoundedHistory` against a plain list with losses."""

import copy

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from boundedcollections import BoundedHistory, RemovalCause, TooLarge
from boundedcollections.testing import FakeClock, check_invariants

Item = str
items = st.text("ab", max_size=6)


class HistoryMachine(RuleBasedStateMachine):
    """The model holds ``(seq, time, item)`` and drops the oldest, one by one, while a bound is exceeded."""

    @initialize(
        max_items=st.integers(1, 5),
        max_bytes=st.integers(1, 12),
        max_age=st.integers(1, 9),
        unique=st.booleans(),
    )
    def create(self, max_items: int, max_bytes: int, max_age: int, unique: bool) -> None:
        self.max_items, self.max_bytes, self.max_age = max_items, max_bytes, max_age
        self.unique = unique
        self.clock = FakeClock()
        self.left: list[tuple[int, Item, RemovalCause]] = []
        self.history: BoundedHistory[Item] = BoundedHistory(
            max_items=max_items,
            max_bytes=max_bytes,
            max_age_seconds=max_age,
            unique=unique,
            sizeof=len,
            clock=self.clock,
            on_evict=lambda *departure: self.left.append(departure),
        )
        self.model: list[tuple[int, float, Item]] = []
        self.next_seq = 0
        self.expected_left: set[tuple[int, Item]] = set()

    def lose(self, entry: tuple[int, float, Item]) -> None:
        self.model.remove(entry)
        self.expected_left.add((entry[0], entry[2]))

    def settle(self, extra_items: int = 0, extra_bytes: int = 0) -> None:
        for entry in [e for e in self.model if self.clock() - e[1] >= self.max_age]:
            self.lose(entry)
        while (
            len(self.model) + extra_items > self.max_items
            or sum(len(item) for *_, item in self.model) + extra_bytes > self.max_bytes
        ):
            self.lose(self.model[0])

    @rule(item=items)
    def append(self, item: Item) -> None:
        self.settle()
        if len(item) > self.max_bytes:
            with pytest.raises(TooLarge):
                self.history.append(item)
            return
        if self.unique:
            for entry in [e for e in self.model if e[2] == item]:
                self.lose(entry)
        self.settle(extra_items=1, extra_bytes=len(item))
        assert self.history.append(item) == self.next_seq
        self.model.append((self.next_seq, self.clock(), item))
        self.next_seq += 1

    @rule(seconds=st.integers(1, 5))
    def wait(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @rule()
    def clear(self) -> None:
        self.settle()
        for entry in list(self.model):
            self.lose(entry)
        self.history.clear()

    @rule(max_items=st.integers(1, 5), max_bytes=st.integers(1, 12), max_age=st.integers(1, 9))
    def resize(self, max_items: int, max_bytes: int, max_age: int) -> None:
        self.settle()  # by the old bounds, as any call does first
        self.max_items, self.max_bytes, self.max_age = max_items, max_bytes, max_age
        self.history.resize(max_items=max_items, max_bytes=max_bytes, max_age_seconds=max_age)

    @rule(back=st.integers(0, 8))
    def read_since(self, back: int) -> None:
        self.settle()
        asked = max(self.next_seq - back, 0)
        batch = self.history.since(asked)
        held = [(seq, item) for seq, _, item in self.model if seq >= asked]
        first = self.model[0][0] if self.model else self.next_seq
        assert batch.items == tuple(item for _, item in held)
        assert batch.missed == max(first - asked, 0)
        assert batch.first_seq == (held[0][0] if held else self.next_seq)
        assert batch.next_seq == self.next_seq

    @rule()
    def duplicate(self) -> None:
        self.settle()
        twin = copy.copy(self.history)
        assert twin == self.history
        assert twin.next_seq == self.history.next_seq
        check_invariants(twin)

    @invariant()
    def the_same_is_held_and_lost(self) -> None:
        self.settle()
        expected = [item for *_, item in self.model]
        assert list(self.history) == expected
        assert [self.history[i] for i in range(len(expected))] == expected
        assert self.history.last(2) == tuple(expected[-2:])
        assert self.history.current_bytes == sum(map(len, expected))
        assert {(seq, item) for seq, item, _ in self.left} == self.expected_left
        assert len(self.left) == len(self.expected_left)
        check_invariants(self.history)


@pytest.mark.usefixtures("weightless")
class TestHistoryMachine(HistoryMachine.TestCase):  # type: ignore[misc,valid-type]
    pass
