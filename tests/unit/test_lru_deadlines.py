from collections.abc import Callable
from typing import Any

import pytest
from caches import Cache, expiring
from interruptions import interrupted_everywhere

from boundedcollections.lru.deadlines import Deadlines
from boundedcollections.lru.entries import Entry
from boundedcollections.testing import FakeClock, check_invariants


def test_many_entries_of_one_deadline_come_and_go_without_a_scan() -> None:
    compared = 0

    class Counted(Entry[int, int]):
        __slots__ = ()

        def __lt__(self, other: Any) -> bool:
            nonlocal compared
            compared += 1
            return super().__lt__(other)

    deadlines = Deadlines()
    entries = [Counted(number, 0, 1, 5.0) for number in range(5_000)]
    for entry in entries:
        deadlines.note(entry, None)
    most = 40 * len(entries)  # three times the halvings of the whole
    assert compared < most
    for entry in entries[::2]:
        entry.size = -1
        deadlines.note(entry, 5.0)
    assert compared < 2 * most
    assert deadlines.due(4.9) == []
    assert set(deadlines.due(5.0)) == set(entries[1::2])
    assert len(deadlines) == 0


OPERATIONS: dict[str, Callable[[Cache], object]] = {
    "insert": lambda cache: cache.put(3, "d"),
    "insert with deadline": lambda cache: cache.put(3, "d", ttl_seconds=2),
    "overwrite": lambda cache: cache.put(0, "x", ttl_seconds=3),
    "overwrite without": lambda cache: cache.put(4, "x"),
    "expire": lambda cache: cache._clock.advance(7) or cache.purge_expired(),  # type: ignore[attr-defined]
    "expire and insert": lambda cache: cache._clock.advance(7) or cache.put(9, "x"),  # type: ignore[attr-defined]
    "pop": lambda cache: cache.pop(0, None),
    "get": lambda cache: cache._clock.advance(7) or cache.get(0),  # type: ignore[attr-defined]
    "clear": lambda cache: cache.clear(),
    "look": lambda cache: cache.peek(1),
}


@pytest.mark.usefixtures("weightless", "every_plain_cache")
class TestInterruptions:
    @staticmethod
    def victim() -> Cache:
        cache = expiring(FakeClock(), max_items=5)
        for number in range(4):
            cache.put(number, "v", ttl_seconds=5 + number)
        cache.put(4, "v", ttl_seconds=100)
        return cache

    @pytest.mark.parametrize("within", ["boundedcollections", "sortedcontainers"])
    @pytest.mark.parametrize("act", OPERATIONS)
    @pytest.mark.parametrize("raises", [False, True])
    def test_whatever_interrupts_a_call_the_deadlines_are_those_of_what_is_held(
        self, act: str, raises: bool, within: str
    ) -> None:
        cache: Cache

        def prepare() -> Callable[[], object]:
            nonlocal cache
            cache = self.victim()
            return lambda: (OPERATIONS[act](cache), cache.put(77, "w"))

        def strike() -> None:
            if raises:
                raise KeyboardInterrupt
            cache.put(0, "x", ttl_seconds=1)
            cache.pop(1, None)
            cache.put(20, "y", ttl_seconds=50)
            len(cache)

        for _ in interrupted_everywhere(prepare, strike, within=within):
            check_invariants(cache)
            cache.put("after", "hi", ttl_seconds=9)
            cache._clock.advance(200)  # type: ignore[attr-defined]
            assert len(cache) == 0
            check_invariants(cache)


def test_what_is_due_while_the_order_is_in_disorder_comes_with_the_next_call() -> None:
    entry = Entry("a", 1, 1, deadline=5.0)
    deadlines = Deadlines([entry])
    deadlines._at_work = True
    assert deadlines.due(9.0) == []
    deadlines._at_work = False
    assert deadlines.due(9.0) == [entry]
