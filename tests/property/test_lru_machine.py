"""`SizeAwareLRU` against a dict with losses."""

import copy

import pytest
from caches import FORMS
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from boundedcollections import RemovalCause, SizeAwareLRU, TooLarge
from boundedcollections.testing import FakeClock, check_invariants

keys = st.integers(0, 6)
values = st.text("ab", max_size=9)


class LRUMachine(RuleBasedStateMachine):
    """
    The model is a dict in order of use; a key weighs 1, a value its letters.

    Beside it stand the deadlines of what expires. The listener looks into the cache that calls it,
    and every third time it raises.
    """

    @initialize(
        max_bytes=st.integers(1, 20),
        max_items=st.none() | st.integers(1, 5),
        max_entry_bytes=st.none() | st.integers(1, 9),
        ttl_seconds=st.none() | st.integers(1, 9),
        form=st.sampled_from(list(FORMS.values())),
    )
    def create(
        self,
        max_bytes: int,
        max_items: int | None,
        max_entry_bytes: int | None,
        ttl_seconds: int | None,
        form: type[SizeAwareLRU[int, str]],
    ) -> None:
        self.max_bytes, self.max_items, self.max_entry = max_bytes, max_items, max_entry_bytes
        self.left: list[tuple[int, str, RemovalCause]] = []
        self.cache = form(
            max_bytes=max_bytes,
            max_items=max_items,
            max_entry_bytes=max_entry_bytes,
            sizeof=lambda thing: 1 if isinstance(thing, int) else len(thing),
            on_evict=self.listen,
            ttl_seconds=ttl_seconds,
            clock=(clock := FakeClock()),
        )
        self.clock, self.ttl = clock, ttl_seconds
        self.deadlines: dict[int, float] = {}
        self.loads = self.load_errors = 0
        self.model: dict[int, str] = {}
        self.expected_left: list[tuple[int, str, RemovalCause]] = []
        self.hits = self.misses = 0

    def listen(self, key: int, value: str, cause: RemovalCause) -> None:
        self.left.append((key, value, cause))
        assert self.cache.peek(key) is not value or cause is RemovalCause.REPLACED
        if len(self.left) % 3 == 0:
            raise RuntimeError("the cache must not care")

    def lose(self, key: int, cause: RemovalCause) -> str:
        value = self.model.pop(key)
        self.deadlines.pop(key, None)
        self.expected_left.append((key, value, cause))
        return value

    def make_room(self, size: int = 0, items: int = 0, keep: int | None = None) -> None:
        def held_bytes() -> int:
            return sum(1 + len(value) for key, value in self.model.items() if key != keep)

        def held_items() -> int:
            return sum(key != keep for key in self.model)

        while True:
            oldest = next((key for key in self.model if key != keep), None)
            if held_bytes() + size > self.max_bytes:
                cause = RemovalCause.SIZE
            elif self.max_items is not None and held_items() + items > self.max_items:
                cause = RemovalCause.COUNT
            else:
                return
            assert oldest is not None
            self.lose(oldest, cause)

    def hold(self, key: int, value: str, seconds: float | None) -> bool:
        size = 1 + len(value)
        if size > min(self.max_bytes, self.max_entry or self.max_bytes):
            if key in self.model:
                self.lose(key, RemovalCause.REPLACED)
            return False
        self.make_room(size, 1, keep=key)
        if key in self.model:
            self.lose(key, RemovalCause.REPLACED)
        self.model[key] = value
        if seconds is not None:
            self.deadlines[key] = self.clock() + seconds
        return True

    @rule(key=keys, value=values)
    def write(self, key: int, value: str) -> None:
        if self.hold(key, value, self.ttl):
            self.cache[key] = value
        else:
            with pytest.raises(TooLarge):
                self.cache[key] = value

    @rule(key=keys, value=values, seconds=st.none() | st.integers(1, 9))
    def put(self, key: int, value: str, seconds: int | None) -> None:
        kept = self.hold(key, value, self.ttl if seconds is None else seconds)
        assert self.cache.put(key, value, ttl_seconds=seconds) is kept

    @rule(key=keys, value=values)
    def load(self, key: int, value: str) -> None:
        if key in self.model:
            self.read(key)
            return
        self.misses += 1
        self.loads += 1
        self.hold(key, value, self.ttl)
        assert self.cache.get_or_load(key, lambda _: value) == value

    @rule(key=keys)
    def load_in_vain(self, key: int) -> None:
        if key in self.model:
            self.read(key)
            return
        self.misses += 1
        self.load_errors += 1
        with pytest.raises(ZeroDivisionError):
            self.cache.get_or_load(key, lambda _: 1 / 0)  # type: ignore[return-value]

    @rule(seconds=st.integers(1, 5))
    def wait(self, seconds: int) -> None:
        self.clock.advance(seconds)
        due = [key for key, deadline in self.deadlines.items() if deadline <= self.clock()]
        assert self.cache.purge_expired() == len(due)
        for key in due:
            self.lose(key, RemovalCause.EXPIRED)

    @rule(key=keys)
    def ask_for_the_time(self, key: int) -> None:
        if key in self.model:
            deadline = self.deadlines.get(key)
            left = None if deadline is None else deadline - self.clock()
            assert self.cache.expires_in(key) == left

    @rule()
    def look_at_both_ends(self) -> None:
        if self.model:
            held = list(self.model.items())
            assert (self.cache.least_recent(), self.cache.most_recent()) == (held[0], held[-1])

    @rule(key=keys)
    def read(self, key: int) -> None:
        assert self.cache.get(key) == self.model.get(key)
        if key in self.model:
            self.hits += 1
            self.model[key] = self.model.pop(key)
        else:
            self.misses += 1

    @rule(key=keys)
    def look_only(self, key: int) -> None:
        assert self.cache.peek(key) == self.model.get(key)
        assert (key in self.cache) == (key in self.model)

    @rule(key=keys)
    def pop(self, key: int) -> None:
        expected = self.lose(key, RemovalCause.REMOVED) if key in self.model else None
        assert self.cache.pop(key, None) == expected

    @rule()
    def popitem(self) -> None:
        if not self.model:
            with pytest.raises(KeyError):
                self.cache.popitem()
            return
        key = next(iter(self.model))
        assert self.cache.popitem() == (key, self.lose(key, RemovalCause.REMOVED))

    @rule()
    def clear(self) -> None:
        for key in list(self.model):
            self.lose(key, RemovalCause.CLEARED)
        self.cache.clear()

    @rule(key=keys)
    def remeasure(self, key: int) -> None:
        if key not in self.model:
            with pytest.raises(KeyError):
                self.cache.remeasure(key)
            return
        size = 1 + len(self.model[key])
        if size > min(self.max_bytes, self.max_entry or self.max_bytes):
            self.lose(key, RemovalCause.SIZE)
        else:
            self.model[key] = self.model.pop(key)
        assert self.cache.remeasure(key) == size

    @rule(max_bytes=st.integers(1, 20), max_items=st.integers(1, 5), max_entry=st.integers(1, 9))
    def resize(self, max_bytes: int, max_items: int, max_entry: int) -> None:
        self.max_bytes, self.max_items, self.max_entry = max_bytes, max_items, max_entry
        self.make_room()
        self.cache.resize(max_bytes=max_bytes, max_items=max_items, max_entry_bytes=max_entry)

    @rule()
    def duplicate(self) -> None:
        twin = copy.copy(self.cache)
        assert twin.snapshot() == self.cache.snapshot()
        check_invariants(twin)

    @invariant()
    def the_same_is_held_and_lost(self) -> None:
        assert list(self.cache.items()) == list(self.model.items())
        assert len(self.cache) == len(self.model)
        assert self.cache.current_bytes == sum(1 + len(value) for value in self.model.values())
        # What expires at one moment leaves in any order.
        assert sorted(self.left) == sorted(self.expected_left)
        statistics = self.cache.statistics()
        assert (statistics.hits, statistics.misses) == (self.hits, self.misses)
        assert (statistics.loads, statistics.load_errors) == (self.loads, self.load_errors)
        assert statistics.listener_errors == len(self.left) // 3
        check_invariants(self.cache)


@pytest.mark.usefixtures("weightless")
class TestLRUMachine(LRUMachine.TestCase):  # type: ignore[misc,valid-type]
    pass
