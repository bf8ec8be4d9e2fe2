"""What `SizeAwareLRU` claims, against what tracemalloc sees."""

import random
import sys
from collections.abc import Callable
from typing import Any

import pytest
from caches import IS_COMPILED
from interruptions import interrupted_everywhere
from memory.traced import OBJECT_BYTES, shallow, traced

from boundedcollections import RemovalCause, SizeAwareLRU
from boundedcollections._core.ledger import Ledger
from boundedcollections._core.tables import allocated
from boundedcollections.lru.entries import Entry
from boundedcollections.testing import check_invariants

SHAPES: dict[str, Callable[[random.Random, int], tuple[Any, Any]]] = {
    "str to float": lambda source, number: (f"user:{number:08}", source.random()),
    "int to bytes": lambda source, number: (1_000 + number, bytes(source.randint(1, 2_000))),
    "bytes to large bytes": lambda source, number: (
        b"%09d" % number,
        bytes(source.randint(9_000, 30_000)),
    ),
    "str, then int": lambda source, number: (
        str(number + 10**6) if number % 1_000 != 999 else number + 10**6,
        bytes(33),
    ),
}


@pytest.mark.parametrize("max_bytes", [60_000, 1_500_000])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
@pytest.mark.parametrize("write", ["__setitem__", "setdefault"])
@pytest.mark.usefixtures("every_cache")
def test_the_bound_holds_in_traced_bytes_at_every_moment_table_steps_included(
    write: str,
    shape: Callable[[random.Random, int], tuple[Any, Any]],
    max_bytes: int,
) -> None:
    source = random.Random(5)
    in_hand = 31_000 + 2_000 + OBJECT_BYTES  # the caller's value, and what a call needs to run
    SizeAwareLRU({"warm": "up"}, max_bytes=9_000).statistics()  # what a first call sets up stays
    with traced() as memory:
        cache: SizeAwareLRU[Any, Any] = SizeAwareLRU(max_bytes=max_bytes, sizeof=shallow)
        number = 0
        while number - len(cache) < 1_000:  # which have been evicted, for no key comes twice
            key, value = shape(source, number)
            getattr(cache, write)(key, value)
            number += 1
        del key, value
        now, peak = memory()
    assert peak <= max_bytes + in_hand
    assert now <= cache.current_bytes + OBJECT_BYTES
    # What is claimed is rounded as the allocator does it, and what is traced is not.
    held = [thing for entry in cache.snapshot() for thing in entry]
    now += sum(shallow(thing) - sys.getsizeof(thing) for thing in held)
    assert now >= 0.98 * cache.current_bytes - OBJECT_BYTES
    cache._check()


@pytest.mark.usefixtures("every_cache")
def test_a_cache_that_shrank_gives_its_tables_back() -> None:
    SizeAwareLRU({"warm": "up"}, max_bytes=9_000).statistics()  # what a first call sets up stays
    with traced() as memory:
        cache: SizeAwareLRU[int, float] = SizeAwareLRU(max_bytes=8_000_000, sizeof=shallow)
        for number in range(20_000):
            cache[number] = number / 3
        full, _ = memory()
        cache.resize(max_bytes=100_000)
        shrunk, _ = memory()
        assert cache.current_bytes <= 100_000
        assert len(cache) > 150
        cache._check()
        cache.clear()
        cleared, _ = memory()
    assert full > 2_000_000
    assert shrunk < 100_000 + OBJECT_BYTES
    assert cleared < OBJECT_BYTES


@pytest.mark.usefixtures("every_cache")
def test_smaller_bounds_bring_smaller_tables() -> None:
    cache: SizeAwareLRU[int, bytes] = SizeAwareLRU(max_bytes=400_000, sizeof=shallow)
    cache.update(dict.fromkeys(range(1000), b""))
    cache.resize(max_bytes=20_000)
    assert len(cache) > 30
    cache._check()


@pytest.mark.skipif(not IS_COMPILED, reason="the other form has other tables")
@pytest.mark.parametrize("room", [10_000, 100_000])
def test_a_table_that_grows_is_booked_beside_the_old_one_or_does_not_grow(room: int) -> None:
    keys = list(range(1_000, 1_000 + 1_025))  # one more than a table is made for
    own = 64 * len(keys)
    with traced() as memory:
        cache: SizeAwareLRU[int, None] = SizeAwareLRU(
            max_bytes=own + 8_192 + room, sizeof=lambda _: 0
        )
        for key in keys:
            cache[key] = None
        now, peak = memory()
    grown = 16_384 if room > 16_384 else 8_192
    assert len(cache) == len(keys)  # nobody leaves for a table
    assert cache.current_bytes == pytest.approx(own + grown, abs=100)
    assert now == pytest.approx(cache.current_bytes, abs=3_000)
    assert peak <= cache.statistics().peak_bytes + 3_000
    assert peak <= cache.max_bytes + 3_000


@pytest.mark.usefixtures("every_plain_cache")
def test_a_key_of_another_type_needs_no_new_tables() -> None:
    cache: SizeAwareLRU[object, bytes] = SizeAwareLRU(max_bytes=9_000, sizeof=shallow)
    cache.update({str(number): b"" for number in range(40)})
    before = cache._ledger.table_bytes
    assert cache._growth() == 0
    cache[b"not a str"] = b""
    assert cache._ledger.table_bytes == before
    cache._check()


@pytest.mark.usefixtures("every_cache")
def test_an_entry_is_charged_for_itself() -> None:
    cache: SizeAwareLRU[str, None] = SizeAwareLRU(max_bytes=100_000, sizeof=lambda _: 0)
    cache["a"] = None
    first = cache.current_bytes
    cache["b"] = None
    assert allocated(sys.getsizeof(1 << 20)) < cache.current_bytes - first < 200
    assert first == cache.current_bytes - first
    cache.put("c", None, ttl_seconds=60)
    assert cache.current_bytes - 2 * first > first + allocated(sys.getsizeof(1.5))


@pytest.mark.usefixtures("every_cache")
def test_a_bound_below_the_cost_of_one_entry_is_refused_with_the_figure() -> None:
    with pytest.raises(ValueError, match=r"max_bytes must be at least \d+, for one entry, got 100"):
        SizeAwareLRU(max_bytes=100)
    cache: SizeAwareLRU[str, int] = SizeAwareLRU(max_bytes=10_000)
    with pytest.raises(ValueError, match="got 100"):
        cache.resize(max_bytes=100)


@pytest.mark.parametrize(
    "operation",
    [
        lambda cache: cache.put(99, bytes(300)),
        lambda cache: cache.put(5, bytes(900)),
        lambda cache: cache.pop(3, None),
        lambda cache: cache.clear(),
        lambda cache: cache.resize(max_bytes=1_500),
    ],
)
@pytest.mark.parametrize("raises", [False, True])
@pytest.mark.usefixtures("every_plain_cache")
def test_tables_are_booked_right_whatever_interrupts_their_growth(
    operation: Callable[[SizeAwareLRU[int, bytes]], object], raises: bool
) -> None:
    cache: SizeAwareLRU[int, bytes]

    def prepare() -> Callable[[], object]:
        nonlocal cache
        cache = SizeAwareLRU(max_bytes=6_000, sizeof=shallow)
        cache.update({number: bytes(20) for number in range(11)})
        for number in range(10):
            cache[number] = bytes(30)
        return lambda: operation(cache)

    def strike() -> None:
        if raises:
            raise KeyboardInterrupt
        cache.update({number: bytes(40) for number in range(20, 26)})
        cache.pop(20, None)
        assert cache.current_bytes <= cache.max_bytes

    for _ in interrupted_everywhere(prepare, strike, within="boundedcollections"):
        cache._check()
        cache[77] = b"still in working order"
        cache._check()
        for number in range(100, 160):  # no step of the tables comes unforeseen afterwards
            cache[number] = b""
            assert cache._ledger.table_bytes == cache._measured_tables()
        cache._check()


def sparse(max_bytes: int) -> tuple[SizeAwareLRU[str, bytes], int]:
    """Return a cache with large tables and few entries in them, all but full, and the tables' size."""
    cache: SizeAwareLRU[str, bytes] = SizeAwareLRU(max_bytes=max_bytes, sizeof=shallow)
    cache.update({str(number): b"" for number in range(1_000)})
    tables = cache._ledger.table_bytes
    cache["a"] = bytes(max_bytes // 3)
    room = max_bytes - tables - max_bytes // 3
    cache["b"] = bytes(room - 1_000)
    return cache, tables


@pytest.mark.usefixtures("every_plain_cache")
def test_large_tables_with_little_in_them_are_replaced_at_the_cost_of_the_oldest() -> None:
    cache, tables = sparse(400_000)
    assert "b" in cache
    assert cache._ledger.table_bytes < tables / 10
    assert cache.statistics().peak_bytes <= 400_000


@pytest.mark.usefixtures("every_plain_cache")
def test_the_newest_entry_is_never_given_up_for_smaller_tables() -> None:
    cache: SizeAwareLRU[str, bytes] = SizeAwareLRU(max_bytes=400_000, sizeof=shallow)
    cache.update({str(number): b"" for number in range(1_000)})
    tables = cache._ledger.table_bytes
    cache["giant"] = bytes(400_000 - tables - 300)
    assert list(cache) == ["giant"]
    assert cache._ledger.table_bytes == tables
    del cache["giant"]
    assert cache.current_bytes == 0


@pytest.mark.usefixtures("every_plain_cache")
def test_a_key_that_uses_the_cache_while_its_tables_are_copied_loses_nothing() -> None:
    class Meddling(int):
        armed = False

        def __hash__(self) -> int:
            if Meddling.armed:
                Meddling.armed = False
                cache["meanwhile"] = b"x"
            return super().__hash__()

    cache: SizeAwareLRU[object, bytes] = SizeAwareLRU(max_bytes=400_000, sizeof=shallow)
    cache.update({Meddling(number): b"" for number in range(10)})
    Meddling.armed = True
    cache._under_lock(lambda _: cache._copy_tables())
    assert list(cache) == [*range(10), "meanwhile"]
    cache._check()


@pytest.mark.usefixtures("every_plain_cache")
def test_a_write_that_finds_no_room_for_tables_in_what_it_interrupted_leaves_at_once() -> None:
    cache: SizeAwareLRU[str, bytes] = SizeAwareLRU(max_bytes=6_000, sizeof=lambda _: 0)
    left = []

    class Interrupted(Ledger):
        __slots__ = ()

        def admit(self, size: int) -> RemovalCause | None:
            cause = super().admit(size)
            cache._ledger.__class__ = Ledger
            cache["inner"] = b""
            left.append("inner" not in cache)
            return cause

    cache._ledger.__class__ = Interrupted
    entry = Entry("outer", b"", cache.max_entry_bytes)
    cache._under_lock(lambda departures: cache._insert(entry, departures))
    assert left == [True]
    assert list(cache) == ["outer"]
    cache._check()


@pytest.mark.usefixtures("every_cache")
def test_deadlines_are_charged_for_what_they_take() -> None:
    with traced() as memory:
        cache: SizeAwareLRU[int, float] = SizeAwareLRU(
            max_bytes=1_500_000, sizeof=shallow, ttl_seconds=1e6
        )
        for number in range(12_000):
            cache[1_000 + number] = number / 3
        now, _ = memory()
    assert cache.statistics().evicted.items > 0
    assert 0.8 * cache.current_bytes - OBJECT_BYTES <= now <= cache.current_bytes + OBJECT_BYTES


@pytest.mark.usefixtures("every_plain_cache")
def test_an_entry_put_back_into_a_full_index_is_booked_with_the_tables_that_it_makes() -> None:
    """As after a switch of threads at a bad moment: to take a key out does not free its slot."""
    cache: Any = SizeAwareLRU(max_bytes=100_000)
    while not cache or cache._meter.left:
        cache[len(cache)] = "v"
    held, full = len(cache), cache.current_bytes
    cache.resize(max_bytes=full)
    cache._under_lock(lambda left: cache._put_back(cache._entries.pop(held - 1), left))
    check_invariants(cache)
    assert cache.current_bytes <= full
    assert len(cache) < held  # what was evicted has made room for them
    assert cache[held - 1] == "v"
