import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from caches import Cache, Gate, until, waiting
from interruptions import interrupted_everywhere

from boundedcollections import RecursiveLoad, SizeAwareLRU
from boundedcollections.lru.loads import _under_way
from boundedcollections.testing import FakeClock, check_invariants

pytestmark = pytest.mark.usefixtures("every_cache")


@pytest.fixture
def cache() -> Cache:
    return SizeAwareLRU(max_bytes=10_000)


@pytest.fixture(autouse=True)
def _no_load_is_left_over(cache: Cache) -> Any:
    yield
    assert not cache._loads._flights


class TestInThreads:
    def test_what_is_missing_is_loaded_once_and_kept(self, cache: Cache) -> None:
        loaded = []

        def loader(key: str) -> str:
            loaded.append(key)
            return key.upper()

        assert cache.get_or_load("a", loader) == cache.get_or_load("a", loader) == "A"
        assert loaded == ["a"]
        statistics = cache.statistics()
        assert (statistics.hits, statistics.misses) == (1, 1)
        assert (statistics.loads, statistics.load_errors) == (1, 0)

    def test_none_is_a_value(self, cache: Cache) -> None:
        assert cache.get_or_load("a", lambda _: None) is None
        assert cache.get_or_load("a", lambda _: 1 / 0) is None

    def test_threads_that_ask_meanwhile_wait_for_one_load(self, cache: Cache) -> None:
        gate = Gate()
        with ThreadPoolExecutor(8) as pool:
            asked = [pool.submit(cache.get_or_load, "k", gate) for _ in range(8)]
            until(lambda: waiting(cache, "k") == 7)
            gate.open.set()
            assert {each.result(20) for each in asked} == {"value"}
        assert gate.loads == 1

    def test_different_keys_do_not_wait_for_each_other(self, cache: Cache) -> None:
        gate = Gate()
        with ThreadPoolExecutor(1) as pool:
            slow = pool.submit(cache.get_or_load, "slow", gate)
            assert gate.begun.wait(20)
            assert cache.get_or_load("quick", str) == "quick"
            gate.open.set()
            slow.result(20)

    def test_an_error_reaches_all_who_wait_and_is_not_kept(self, cache: Cache) -> None:
        gate = Gate(OSError("no such thing"))
        with ThreadPoolExecutor(4) as pool:
            asked = [pool.submit(cache.get_or_load, "k", gate) for _ in range(4)]
            until(lambda: waiting(cache, "k") == 3)
            gate.open.set()
            for each in asked:
                with pytest.raises(OSError, match="no such thing"):
                    each.result(20)
        assert gate.loads == 1
        assert "k" not in cache
        assert cache.get_or_load("k", lambda _: "now it works") == "now it works"
        assert (cache.statistics().loads, cache.statistics().load_errors) == (1, 1)

    def test_what_stops_one_caller_lets_another_load(self, cache: Cache) -> None:
        gate = Gate(KeyboardInterrupt())
        with ThreadPoolExecutor(2) as pool:
            first = pool.submit(cache.get_or_load, "k", gate)
            assert gate.begun.wait(20)
            second = pool.submit(cache.get_or_load, "k", lambda _: "mine")
            until(lambda: waiting(cache, "k") == 1)
            gate.open.set()
            with pytest.raises(KeyboardInterrupt):
                first.result(20)
            assert second.result(20) == "mine"

    def test_a_loader_that_asks_for_its_own_key_is_told_so(self, cache: Cache) -> None:
        def loader(key: str) -> object:
            return cache.get_or_load(key, loader)

        with pytest.raises(RecursiveLoad, match="the load of 'k' would wait for itself"):
            cache.get_or_load("k", loader)

    def test_a_circle_through_another_key_is_found_too(self, cache: Cache) -> None:
        def loader(key: str) -> object:
            return cache.get_or_load({"a": "b", "b": "a"}[key], loader)

        with pytest.raises(RecursiveLoad, match="'a'"):
            cache.get_or_load("a", loader)

    def test_a_circle_through_two_threads_is_found_too(self, cache: Cache) -> None:
        both = threading.Barrier(2, timeout=20)

        def loader(key: str) -> object:
            both.wait()
            return cache.get_or_load({"a": "b", "b": "a"}[key], lambda _: "never called")

        with ThreadPoolExecutor(2) as pool:
            asked = [pool.submit(cache.get_or_load, key, loader) for key in "ab"]
            errors = [each.exception(20) for each in asked]
        assert all(isinstance(error, RecursiveLoad) for error in errors)

    def test_loads_may_wait_for_loads_that_do_not_wait_for_them(self, cache: Cache) -> None:
        gate = Gate(2)
        with ThreadPoolExecutor(2) as pool:
            inner = pool.submit(cache.get_or_load, "inner", gate)
            assert gate.begun.wait(20)
            outer = pool.submit(
                cache.get_or_load, "outer", lambda _: 10 * cache.get_or_load("inner", str)
            )
            until(lambda: waiting(cache, "inner") == 1)
            gate.open.set()
            assert (inner.result(20), outer.result(20)) == (2, 20)

    def test_a_loader_may_clear_the_cache(self, cache: Cache) -> None:
        cache["other"] = 1

        def loader(key: str) -> str:
            cache.clear()
            return "value"

        assert cache.get_or_load("k", loader) == "value"
        assert dict(cache) == {"k": "value"}

    def test_a_value_written_meanwhile_is_kept_and_returned(self, cache: Cache) -> None:
        def loader(key: str) -> str:
            cache[key] = "written"
            return "loaded, and older"

        assert cache.get_or_load("k", loader) == "written"
        assert cache["k"] == "written"

    def test_a_value_too_large_to_be_kept_is_returned_to_all(self, cache: Cache) -> None:
        giant = "x" * 20_000
        gate = Gate(giant)
        with ThreadPoolExecutor(3) as pool:
            asked = [pool.submit(cache.get_or_load, "k", gate) for _ in range(3)]
            until(lambda: waiting(cache, "k") == 2)
            gate.open.set()
            assert all(each.result(20) is giant for each in asked)
        assert len(cache) == 0
        assert (cache.statistics().rejected, cache.statistics().loads) == (1, 1)

    def test_a_loaded_value_may_expire(self) -> None:
        clock = FakeClock()
        cache: Cache = SizeAwareLRU(max_bytes=9_000, clock=clock, ttl_seconds=9)
        cache.get_or_load("a", str)
        cache.get_or_load("b", str, ttl_seconds=2)
        assert (cache.expires_in("a"), cache.expires_in("b")) == (9, 2)

    def test_a_key_that_cannot_be_one_is_refused(self, cache: Cache) -> None:
        with pytest.raises(TypeError, match="unhashable"):
            cache.get_or_load([], str)

    def test_a_load_that_ended_just_before_is_not_repeated(self, cache: Cache) -> None:
        cache._loads.run("k", str, look=lambda: "there", keep=lambda value: value)
        assert cache.statistics().loads == 0

    def test_whatever_interrupts_a_load_nobody_waits_for_ever(self) -> None:
        cache: Cache

        def prepare() -> Callable[[], object]:
            nonlocal cache
            cache = SizeAwareLRU(max_bytes=10_000)  # a new one: else points would come and go
            return lambda: cache.get_or_load("k", lambda _: "value")

        def strike() -> None:
            raise KeyboardInterrupt

        for _ in interrupted_everywhere(prepare, strike, within="boundedcollections"):
            assert not cache._loads._flights
            assert not cache._loads._lock._is_owned()  # type: ignore[attr-defined]
            check_invariants(cache)
            assert cache.get_or_load("k", lambda _: "value") == "value"
            assert _under_way.get() == ()
