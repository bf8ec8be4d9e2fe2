from collections.abc import Callable
from typing import Any

import pytest
from caches import Cache, filled, holds_its_lock

from boundedcollections import RemovalCause, SizeAwareLRU
from boundedcollections.memory.budget import MemoryBudget
from boundedcollections.testing import FakeClock

SIZE, COUNT, EXPIRED = RemovalCause.SIZE, RemovalCause.COUNT, RemovalCause.EXPIRED
REPLACED, REMOVED, CLEARED = RemovalCause.REPLACED, RemovalCause.REMOVED, RemovalCause.CLEARED

pytestmark = pytest.mark.usefixtures("weightless", "every_cache")


class World:
    """A cache of two, `old` and `new`, in which every piece of a user's code watches the lock."""

    def __init__(self, **settings: Any) -> None:
        self.seen: list[str] = []
        self.left: list[tuple[object, RemovalCause]] = []
        self.time = FakeClock()
        self.cache: Cache = SizeAwareLRU(
            max_bytes=10, sizeof=self.sizeof, clock=self.clock, on_evict=self.listen, **settings
        )
        for key in ("old", "new"):
            self.cache[key] = Value(self.watch, 4)
        self.written: list[Value] = []
        self.seen.clear()

    def watch(self, what: str) -> None:
        assert not holds_its_lock(self.cache), f"{what} ran under the lock"
        self.seen.append(what)

    def value(self, size: int) -> "Value":
        self.written.append(Value(self.watch, size))  # so that it is not what dies
        return self.written[-1]

    def sizeof(self, thing: object) -> int:
        self.watch("sizeof")
        return thing.size if isinstance(thing, Value) else 0

    def clock(self) -> float:
        self.watch("clock")
        return self.time()

    def listen(self, key: object, value: object, cause: RemovalCause) -> None:
        self.watch("listener")
        self.left.append((key, cause))

    def load(self, key: object) -> "Value":
        self.watch("loader")
        return self.value(6)

    def grow(self, key: str, size: int) -> None:
        self.cache[key].size = size
        self.cache.remeasure(key)

    def wait(self) -> Cache:
        self.time.advance(10)
        return self.cache


class Value:
    def __init__(self, watch: Callable[[str], None], size: int) -> None:
        self.watch, self.size = watch, size

    def __del__(self) -> None:
        self.watch("destructor")


OLD_LEFT = [("old", SIZE)]
OLD_REPLACED = [("old", REPLACED)]
BOTH_EXPIRED = [("old", EXPIRED), ("new", EXPIRED)]
BY_COUNT, EXPIRING = {"max_items": 2}, {"ttl_seconds": 10}
WAYS_TO_LEAVE: dict[str, tuple[dict[str, Any], Callable[[World], object], list[Any]]] = {
    "insert": ({}, lambda it: it.cache.put("k", it.value(6)), OLD_LEFT),
    "insert by []": ({}, lambda it: it.cache.update(k=it.value(6)), OLD_LEFT),
    "insert by count": (BY_COUNT, lambda it: it.cache.put("k", it.value(1)), [("old", COUNT)]),
    "setdefault": ({}, lambda it: it.cache.setdefault("k", it.value(6)), OLD_LEFT),
    "load": ({}, lambda it: it.cache.get_or_load("k", it.load), OLD_LEFT),
    "overwrite": ({}, lambda it: it.cache.put("old", it.value(2)), OLD_REPLACED),
    "overwrite, expiring": (EXPIRING, lambda it: it.cache.put("old", it.value(2)), OLD_REPLACED),
    "overwrite with more": (
        {},
        lambda it: it.cache.put("new", it.value(9)),
        [*OLD_LEFT, ("new", REPLACED)],
    ),
    "refuse": ({}, lambda it: it.cache.put("old", it.value(11)), OLD_REPLACED),
    "grow": ({}, lambda it: it.grow("new", 9), OLD_LEFT),
    "outgrow": ({}, lambda it: it.grow("old", 11), OLD_LEFT),
    "delete": ({}, lambda it: it.cache.__delitem__("old"), [("old", REMOVED)]),
    "pop": ({}, lambda it: it.cache.pop("old"), [("old", REMOVED)]),
    "popitem": ({}, lambda it: it.cache.popitem(), [("old", REMOVED)]),
    "clear": ({}, lambda it: it.cache.clear(), [("old", CLEARED), ("new", CLEARED)]),
    "resize": ({}, lambda it: it.cache.resize(max_bytes=7), OLD_LEFT),
    "resize by count": ({}, lambda it: it.cache.resize(max_items=1), [("old", COUNT)]),
    "expire, purged": (EXPIRING, lambda it: it.wait().purge_expired(), BOTH_EXPIRED),
    "expire, read": (EXPIRING, lambda it: it.wait().get("new"), BOTH_EXPIRED),
    "expire, looked at": (EXPIRING, lambda it: len(it.wait()), BOTH_EXPIRED),
    "expire, overwritten": (EXPIRING, lambda it: it.wait().put("k", it.value(1)), BOTH_EXPIRED),
}


@pytest.mark.parametrize(("settings", "act", "left"), WAYS_TO_LEAVE.values(), ids=WAYS_TO_LEAVE)
def test_whatever_leaves_is_told_of_with_its_cause_and_no_code_of_a_user_runs_under_the_lock(
    settings: dict[str, Any], act: Callable[[World], object], left: list[Any]
) -> None:
    world = World(**settings)
    act(world)
    assert sorted(world.left) == sorted(left)  # what expires at one moment leaves in any order
    assert world.seen.count("listener") == len(left)
    assert world.seen.count("destructor") == len(left)


def test_what_a_budget_takes_away_is_told_of_as_well() -> None:
    budget = MemoryBudget(max_bytes=100)
    world = World(budget=budget)
    world.cache._aim(5)
    assert not world.cache._shed()
    assert world.left == OLD_LEFT
    assert world.seen.count("destructor") == 1


def test_a_listener_may_use_the_cache_that_calls_it() -> None:
    cache: Cache

    def on_evict(key: object, value: object, cause: RemovalCause) -> None:
        assert cache.current_bytes <= 10
        if cause is SIZE:
            cache[9] = "x"

    cache = filled("aaaa", "bbbb", on_evict=on_evict)
    cache[2] = "cccc"
    assert list(cache) == [1, 2, 9]


def test_a_raising_listener_stops_nothing_and_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    def on_evict(key: object, value: object, cause: RemovalCause) -> None:
        raise RuntimeError("boom")

    cache = filled("aaaa", "bbbb", "cccccc", on_evict=on_evict)
    assert list(cache) == [1, 2]
    assert cache.statistics().listener_errors == 1
    assert "a listener of departures raised" in caplog.text
