import asyncio
import inspect
import pickle

import pytest
from caches import Cache

from boundedcollections import CacheInfo, SizeAwareLRU
from boundedcollections.testing import FakeClock

SHARED: Cache = SizeAwareLRU(max_bytes=10_000)

pytestmark = pytest.mark.usefixtures("every_cache")


@SHARED.memoize
def module_level(n: int) -> int:
    return n + 1


@pytest.fixture
def cache() -> Cache:
    return SizeAwareLRU(max_bytes=20_000)


def test_a_result_is_computed_once_for_each_call(cache: Cache) -> None:
    ran = []

    @cache.memoize
    def area(width: int, height: int = 1, *, scale: int = 1) -> int:
        """Return the area."""
        ran.append((width, height, scale))
        return width * height * scale

    assert area(2, 3) == area(2, 3) == 6
    assert area(2, height=3, scale=5) == area(2, scale=5, height=3) == 30
    assert ran == [(2, 3, 1), (2, 3, 5)]
    assert (area.__name__, area.__doc__) == ("area", "Return the area.")
    assert area.__wrapped__(1, 1) == 1
    assert area.cache is cache


def test_functions_share_a_cache_without_sharing_results(cache: Cache) -> None:
    @cache.memoize
    def double(n: int) -> int:
        return 2 * n

    @cache.memoize
    def negative(n: int) -> int:
        return -n

    cache["of somebody else"] = 1
    cache[()] = 2
    assert (double(3), negative(3), negative(4)) == (6, -3, -4)
    assert len(cache) == 5
    negative.cache_clear()
    assert len(cache) == 3
    assert (double(3), negative(3)) == (6, -3)
    assert double.cache_info().hits == 1
    assert negative.cache_info().misses == 3


def test_its_figures_are_those_of_the_function_and_of_the_cache(cache: Cache) -> None:
    @cache.memoize
    def inverse(n: int) -> float:
        return 1 / n

    inverse(2)
    inverse(2)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            inverse(0)
    assert inverse.cache_info() == CacheInfo(
        hits=1,
        misses=3,
        errors=2,
        items=1,
        current_bytes=cache.current_bytes,
        max_bytes=20_000,
    )


def test_a_result_can_be_looked_for_and_removed_by_its_key(cache: Cache) -> None:
    @cache.memoize()
    def double(n: int) -> int:
        return 2 * n

    double(4)
    assert cache[double.cache_key(4)] == 8
    del cache[double.cache_key(4)]
    assert double(4) == 8
    assert double.cache_info().misses == 2


def test_results_may_expire() -> None:
    clock = FakeClock()
    cache: Cache = SizeAwareLRU(max_bytes=10_000, clock=clock)

    @cache.memoize(ttl_seconds=60)
    def double(n: int) -> int:
        return 2 * n

    double(1)
    clock.advance(60)
    double(1)
    assert double.cache_info().misses == 2
    with pytest.raises(ValueError, match="ttl_seconds must be"):
        cache.memoize(ttl_seconds=0)


async def test_a_coroutine_function_stays_one_and_runs_once_for_all(cache: Cache) -> None:
    ran = 0

    @cache.memoize
    async def fetch(name: str) -> str:
        nonlocal ran
        ran += 1
        await asyncio.sleep(0.01)
        if name == "nothing":
            raise OSError(name)
        return name.upper()

    assert inspect.iscoroutinefunction(fetch)
    assert await asyncio.gather(*(fetch("a") for _ in range(5))) == ["A"] * 5
    assert ran == 1
    with pytest.raises(OSError, match="nothing"):
        await fetch("nothing")
    info = fetch.cache_info()
    assert (info.hits, info.misses, info.errors) == (4, 2, 1)


def test_methods_are_kept_by_the_object_they_belong_to(cache: Cache) -> None:
    class Account:
        def __init__(self, name: str) -> None:
            self.name = name

        @cache.memoize
        def greet(self, word: str) -> str:
            return f"{word} {self.name}"

    ann, bob = Account("ann"), Account("bob")
    assert (ann.greet("hi"), bob.greet("hi"), ann.greet("hi")) == ("hi ann", "hi bob", "hi ann")
    assert Account.greet.cache_info().misses == 2


def test_arguments_that_are_no_keys_are_refused(cache: Cache) -> None:
    @cache.memoize
    def size(things: list[int]) -> int:
        return len(things)

    with pytest.raises(TypeError, match="unhashable"):
        size([1])


def test_a_result_too_large_to_be_kept_is_returned_all_the_same(cache: Cache) -> None:
    @cache.memoize
    def giant(n: int) -> str:
        return "x" * n

    assert len(giant(30_000)) == len(giant(30_000)) == 30_000
    assert giant.cache_info().misses == 2


def test_a_cache_with_results_of_a_function_can_be_pickled() -> None:
    SHARED.clear()
    assert module_level(1) == 2
    twin = pickle.loads(pickle.dumps(SHARED))  # noqa: S301  # our own bytes
    assert twin[module_level.cache_key(1)] == 2


def test_arguments_count_against_the_bound(cache: Cache) -> None:
    @cache.memoize
    def length(text: str) -> int:
        return len(text)

    length("x" * 5_000)
    assert cache.current_bytes > 5_000
