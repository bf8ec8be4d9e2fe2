import copy
import pickle
import random
from collections.abc import Callable
from typing import Any

import pytest
from caches import Cache, expiring

from boundedcollections import RemovalCause, SizeAwareLRU
from boundedcollections.testing import FakeClock, check_invariants

pytestmark = pytest.mark.usefixtures("weightless", "every_cache")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(100.0)


class TestTheMoment:
    @pytest.mark.parametrize(
        "gone",
        [
            lambda cache: cache.get("k") is None,
            lambda cache: cache.peek("k") is None,
            lambda cache: "k" not in cache,
            lambda cache: len(cache) == 0,
            lambda cache: list(cache) == [],
            lambda cache: list(cache.items()) == [],
            lambda cache: cache.snapshot() == (),
            lambda cache: cache.pop("k", None) is None,
            lambda cache: cache.setdefault("k", "new") == "new",
            lambda cache: cache.current_bytes == 0,
            lambda cache: cache.statistics().items == 0,
            lambda cache: cache.purge_expired() == 1,
            lambda cache: cache.get_or_load("k", lambda _: "new") == "new",
            lambda cache: copy.copy(cache).snapshot() == (),
        ],
    )
    def test_an_entry_is_there_until_its_last_moment_and_gone_for_every_look_from_then_on(
        self, gone: Callable[[Cache], bool], clock: FakeClock
    ) -> None:
        left: list[tuple[Any, Any, RemovalCause]] = []
        cache = expiring(clock, on_evict=lambda *departure: left.append(departure))
        cache["k"] = "v"
        clock.advance(9.999)
        assert cache.peek("k") == "v"
        clock.advance(0.001)
        assert gone(cache)
        assert left == [("k", "v", RemovalCause.EXPIRED)]

    @pytest.mark.parametrize("look", ["least_recent", "most_recent", "popitem"])
    def test_what_has_expired_is_at_neither_end(self, look: str, clock: FakeClock) -> None:
        cache = expiring(clock)
        cache["k"] = "v"
        clock.advance(10)
        with pytest.raises(KeyError, match="is empty"):
            getattr(cache, look)()

    def test_a_hit_does_not_prolong_a_life_and_a_write_does(self, clock: FakeClock) -> None:
        cache = expiring(clock)
        cache.update(a=1, b=2)
        clock.advance(6)
        assert (cache["a"], cache["b"]) == (1, 2)
        cache["b"] = 3
        clock.advance(6)
        assert cache.snapshot() == (("b", 3),)
        assert cache.expires_in("b") == 4

    def test_overwriting_what_has_expired_is_no_replacement(self, clock: FakeClock) -> None:
        left: list[RemovalCause] = []
        cache = expiring(clock, on_evict=lambda _key, _value, cause: left.append(cause))
        cache["k"] = "old"
        clock.advance(10)
        cache["k"] = "new"
        assert left == [RemovalCause.EXPIRED]
        assert cache["k"] == "new"

    def test_what_has_expired_makes_room_before_anything_alive_does(self, clock: FakeClock) -> None:
        cache = expiring(clock, max_items=2)
        cache.put("short", 1, ttl_seconds=1)
        cache["long"] = 2
        assert cache["short"] == 1  # the most recently used, and still the first to go
        clock.advance(1)
        cache["new"] = 3
        assert list(cache) == ["long", "new"]

    def test_entries_leave_in_the_order_of_their_deadlines(self, clock: FakeClock) -> None:
        left: list[int] = []
        cache: SizeAwareLRU[int, int] = SizeAwareLRU(
            max_bytes=90_000, clock=clock, on_evict=lambda key, _value, _cause: left.append(key)
        )
        seconds = list(range(1, 60))
        random.Random(3).shuffle(seconds)
        for number in seconds:
            cache.put(number, number, ttl_seconds=number)
        clock.advance(40)
        assert cache.purge_expired() == 40
        assert left == list(range(1, 41))
        assert cache.purge_expired() == 0


class TestPerEntry:
    def test_one_entry_may_say_otherwise_than_the_cache(self, clock: FakeClock) -> None:
        cache = expiring(clock)
        cache.put("short", 1, ttl_seconds=2.5)
        cache.put("as ever", 2)
        assert cache.expires_in("short") == 2.5
        assert cache.expires_in("as ever") == cache.ttl_seconds == 10

    def test_in_a_cache_without_ttl_only_what_says_so_expires(self, clock: FakeClock) -> None:
        cache: Cache = SizeAwareLRU(max_bytes=100, sizeof=lambda _: 1, clock=clock)
        cache["for ever"] = 1
        cache.put("short", 2, ttl_seconds=3)
        assert cache.ttl_seconds is None
        assert cache.expires_in("for ever") is None
        clock.advance(1e9)
        assert list(cache) == ["for ever"]

    def test_a_plain_write_takes_a_deadline_away(self, clock: FakeClock) -> None:
        cache: Cache = SizeAwareLRU(max_bytes=100, sizeof=lambda _: 1, clock=clock)
        cache.put("k", 1, ttl_seconds=3)
        cache["k"] = 2
        clock.advance(4)
        assert cache["k"] == 2
        cache.put("k", 3, ttl_seconds=3)
        assert cache.expires_in("k") == 3

    def test_looking_for_the_deadline_touches_nothing(self, clock: FakeClock) -> None:
        cache = expiring(clock)
        cache.update(a=1, b=2)
        cache.expires_in("a")
        assert list(cache) == ["a", "b"]
        assert cache.statistics().hits == 0
        with pytest.raises(KeyError, match="nothing"):
            cache.expires_in("nothing")

    def test_what_expires_while_it_is_asked_for_has_no_time_left(self) -> None:
        readings = iter([0.0, 9.5, 10.5, 10.5])
        cache = expiring(lambda: next(readings))
        cache["k"] = "v"
        assert cache.expires_in("k") == 0

    def test_measuring_again_keeps_the_deadline(self, clock: FakeClock) -> None:
        cache = expiring(clock)
        cache["k"] = [1]
        clock.advance(4)
        cache.remeasure("k")
        assert cache.expires_in("k") == 6

    @pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan"), True, "3"])
    def test_a_time_that_is_none_is_refused_and_changes_nothing(
        self, seconds: Any, clock: FakeClock
    ) -> None:
        cache = expiring(clock)
        for act in (
            lambda: expiring(clock).put("k", 1, ttl_seconds=seconds),
            lambda: cache.put("k", 1, ttl_seconds=seconds),
            lambda: cache.get_or_load("k", str, ttl_seconds=seconds),
            lambda: SizeAwareLRU(max_bytes=1_000, ttl_seconds=seconds),
        ):
            with pytest.raises((TypeError, ValueError), match="ttl_seconds must be"):
                act()
        assert len(cache) == 0


class TestTheClock:
    def test_nothing_that_does_not_expire_reads_it(self) -> None:
        def clock() -> float:
            raise AssertionError("nobody asked for the time")

        cache: Cache = SizeAwareLRU({"a": 1}, max_bytes=10_000, clock=clock)
        cache["a"] = cache["a"] + cache.get("a") + len(cache)
        cache.setdefault("b", 1)
        assert cache.purge_expired() == 0
        assert copy.copy(cache).expires_in("a") is None
        del cache["a"]

    def test_a_hit_reads_it_for_what_expires_only(self) -> None:
        readings = 0

        def clock() -> float:
            nonlocal readings
            readings += 1
            return 0.0

        cache: Cache = SizeAwareLRU(max_bytes=10_000, clock=clock, sizeof=lambda _: 1)
        cache.put("a", 1, ttl_seconds=5)
        cache["b"] = 2
        before = readings
        assert cache.get("b") == cache["b"] == 2
        assert readings == before
        assert cache.get("a") == 1
        assert readings > before

    def test_one_that_raises_changes_nothing(self) -> None:
        broken = False

        def clock() -> float:
            if broken:
                raise OSError("no clock")
            return 0.0

        cache = expiring(clock)
        cache["a"] = 1
        broken = True
        for act in (
            lambda: cache.put("b", 2),
            lambda: cache.get("a"),
            lambda: len(cache),
            lambda: cache.pop("a"),
        ):
            with pytest.raises(OSError, match="no clock"):
                act()
        broken = False
        assert cache.snapshot() == (("a", 1),)
        check_invariants(cache)


class TestCopies:
    @pytest.mark.parametrize(
        "duplicate",
        [copy.copy, lambda cache: pickle.loads(pickle.dumps(cache))],  # noqa: S301  # our own
        ids=["copy", "pickle"],
    )
    def test_a_copy_keeps_how_long_each_entry_may_be_held(
        self, duplicate: Callable[[Cache], Cache]
    ) -> None:
        clock = FakeClock()
        cache: Cache = SizeAwareLRU(max_bytes=9_000, clock=clock, ttl_seconds=10)
        cache["a"] = 1
        cache.put("b", 2, ttl_seconds=100)
        clock.advance(4)
        twin = duplicate(cache)
        assert (twin.expires_in("a"), twin.expires_in("b"), twin.ttl_seconds) == (6, 96, 10)
        check_invariants(twin)


def test_deadlines_in_any_order_come_and_go_in_any_order(clock: FakeClock) -> None:
    source = random.Random(3)
    cache = expiring(clock, max_bytes=1_000)
    deadlines = {}
    for key in range(300):
        deadlines[key] = source.randint(1, 90)
        cache.put(key, "v", ttl_seconds=deadlines[key])
    for key in source.sample(range(300), 150):
        if source.random() < 0.5:
            deadlines[key] = source.randint(1, 90)
            cache.put(key, "w", ttl_seconds=deadlines[key])
        else:
            del cache[key], deadlines[key]
        check_invariants(cache)
    for now in range(1, 91):
        clock.advance(1)
        assert set(cache) == {key for key, deadline in deadlines.items() if deadline > now}
        check_invariants(cache)
