"""What every collection promises when it shares a budget with others."""

import copy
import gc
import pickle
from collections.abc import Callable, MutableMapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from caches import IS_COMPILED, PlainLRU
from interruptions import interrupted_everywhere

from boundedcollections import (
    BoundedHistory,
    Broadcast,
    BufferPool,
    DropOldestChannel,
    RemovalCause,
    ReplaceOnIndex,
    SizeAwareLRU,
    TooLarge,
)
from boundedcollections.memory.budget import MemoryBudget
from boundedcollections.testing import FakeClock, check_invariants

KiB = 1_024
ITEM = 10 * KiB
"""Large beside whatever a collection spends on an item."""

Make = Callable[..., Any]


def item_size(item: object) -> int:
    """Let a number stand for an item of so many bytes, and a key for nothing."""
    return int(item) if isinstance(item, (int, float)) else 0


def make_lru(**settings: Any) -> SizeAwareLRU[str, int]:
    return SizeAwareLRU(**{"max_bytes": 1_000 * KiB, "sizeof": item_size} | settings)


def make_plain_lru(**settings: Any) -> PlainLRU[str, int]:
    return PlainLRU(**{"max_bytes": 1_000 * KiB, "sizeof": item_size} | settings)


def make_history(**settings: Any) -> BoundedHistory[float]:
    return BoundedHistory(**{"max_bytes": 1_000 * KiB, "sizeof": item_size} | settings)


def make_unique(**settings: Any) -> BoundedHistory[float]:
    return make_history(unique=True, **settings)


def make_channel(**settings: Any) -> DropOldestChannel[int]:
    told = settings.pop("on_evict", None)
    return DropOldestChannel(
        **{"max_bytes": 1_000 * KiB, "sizeof": item_size, "on_drop": told} | settings
    )


def make_broadcast(**settings: Any) -> Broadcast[int]:
    settings.pop("on_evict", None)
    return Broadcast(**{"max_bytes": 1_000 * KiB, "sizeof": item_size} | settings)


numbers = iter(range(10**9))


def write(collection: Any, size: int = ITEM) -> None:
    if isinstance(collection, MutableMapping):
        collection[str(next(numbers))] = size
    elif isinstance(collection, BoundedHistory):
        collection.append(size + next(numbers) / 1e9)  # each is another one
    else:
        collection.send(size)


def fill(collection: Any, items: int = 90) -> None:
    for _ in range(items):
        write(collection)


STREAMS = [make_channel, make_broadcast]
STORES = [make_lru, make_plain_lru, make_history, make_unique]
every = pytest.mark.parametrize("make", [*STORES, *STREAMS])


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def budget(clock: FakeClock) -> MemoryBudget:
    return MemoryBudget(max_bytes=1_000 * KiB, clock=clock)


def account(budget: MemoryBudget) -> Any:
    (only,) = budget.statistics().members
    return only


@every
def test_it_claims_what_it_holds(make: Make, budget: MemoryBudget) -> None:
    collection = make(budget=budget, floor_bytes=10, weight=3.0)
    assert account(budget).name == type(collection).__name__
    assert (account(budget).floor_bytes, account(budget).weight) == (10, 3.0)
    assert account(budget).max_bytes == 1_000 * KiB
    fill(collection, 20)
    assert budget.claimed_bytes == collection.current_bytes > 20 * (ITEM - 100)


def make_pool(**settings: Any) -> BufferPool:
    return BufferPool(max_buffers=100, buffer_bytes=10 * KiB, **settings)


@pytest.mark.parametrize("make", [*STORES, *STREAMS, make_pool, partial(ReplaceOnIndex, ".")])
def test_every_member_shares_by_weight_and_keeps_its_floor(
    make: Make, budget: MemoryBudget
) -> None:
    rival = make_lru(budget=budget)
    collection = make(budget=budget, floor_bytes=80 * KiB, weight=3.0, name="it")
    its = budget.statistics().members[1]
    assert (its.name, its.floor_bytes, its.weight) == ("it", 80 * KiB, 3.0)
    assert its.target_bytes == pytest.approx(750 * KiB, rel=0.02), "three parts of four"
    with budget.reserve(900 * KiB):
        assert budget.statistics().members[1].target_bytes >= 80 * KiB
    del rival, collection


@every
def test_its_name_is_that_of_its_account(make: Make, budget: MemoryBudget) -> None:
    collection = make(budget=budget, name="tools")
    assert account(budget).name == collection.name == "tools"


@every
def test_its_account_ends_with_it(make: Make, budget: MemoryBudget) -> None:
    collection = make(budget=budget)
    fill(collection, 10)
    gc.disable()
    try:
        del collection
        assert budget.statistics().members == ()
    finally:
        gc.enable()


@pytest.mark.parametrize("make", STREAMS)
def test_a_place_that_has_outlived_its_collection_holds_nothing(
    make: Make, budget: MemoryBudget
) -> None:
    stream = make(budget=budget)
    fill(stream, 10)
    place = stream._place
    del stream
    place.target_bytes = 5
    assert (place.claimed_bytes, place.target_bytes, place.shed()) == (0, 5, False)


@every
def test_a_membership_that_is_refused_makes_no_collection(make: Make, budget: MemoryBudget) -> None:
    with pytest.raises(ValueError, match="floor_bytes"):
        make(budget=budget, floor_bytes=2_000 * KiB)
    assert budget.statistics().members == ()


@every
def test_it_holds_no_more_than_its_target(make: Make, budget: MemoryBudget) -> None:
    left: list[tuple[Any, ...]] = []
    collection = make(budget=budget, on_evict=lambda *departure: left.append(departure))
    other = make_lru(budget=budget, max_bytes=2_000 * KiB)
    for _ in range(200):
        write(collection)
        write(other)
        assert collection.current_bytes <= 500 * KiB + 1_000
        assert budget.current_bytes <= budget.max_bytes
    assert collection.current_bytes > 350 * KiB
    assert {departure[-1] for departure in left} <= {RemovalCause.SIZE}
    check_invariants(collection, other, budget)


@every
def test_a_lower_target_is_come_down_to_in_slices_and_nothing_grows_meanwhile(
    make: Make, budget: MemoryBudget
) -> None:
    collection = make(budget=budget)
    for _ in range(4_000):
        write(collection, 100)
    held, count = collection.current_bytes, len(collection)
    budget.resize(max_bytes=held // 10)
    assert collection.current_bytes == held, "nothing is evicted while others look"
    assert len(collection) == count
    writes = 0
    while collection.current_bytes > budget.max_bytes:
        before, items = collection.current_bytes, len(collection)
        write(collection, 100)
        writes += 1
        assert collection.current_bytes <= before
        if before > 2 * budget.max_bytes:  # later on smaller tables are made, and cost entries
            assert len(collection) >= items - 32, "a slice, and one in place of the new one"
        check_invariants(collection)
    assert 20 < writes < 200


@every
def test_catching_up_brings_it_to_its_target(make: Make, budget: MemoryBudget) -> None:
    collection = make(budget=budget)
    fill(collection)
    budget.resize(max_bytes=100 * KiB)
    while budget.catch_up():
        check_invariants(collection)
    assert 0 < collection.current_bytes <= 100 * KiB
    write(collection)
    assert collection.current_bytes <= 100 * KiB


@pytest.mark.parametrize("make", [*STORES, make_channel])
def test_what_leaves_by_catching_up_is_told_of(make: Make, budget: MemoryBudget) -> None:
    left: list[tuple[Any, ...]] = []
    collection = make(budget=budget, on_evict=lambda *departure: left.append(departure))
    fill(collection)
    budget.resize(max_bytes=100 * KiB)
    while budget.catch_up():
        pass
    assert len(left) + len(collection) == 90
    assert {departure[-1] for departure in left} == {RemovalCause.SIZE}


@every
def test_it_can_be_emptied_by_its_target(make: Make, budget: MemoryBudget) -> None:
    collection = make(budget=budget)
    fill(collection)
    budget.resize(max_bytes=1)
    while budget.catch_up():
        pass
    assert (len(collection), collection.current_bytes) == (0, 0)
    check_invariants(collection)


@every
def test_a_higher_target_is_used_at_once(
    make: Make, budget: MemoryBudget, clock: FakeClock
) -> None:
    collection = make(budget=budget)
    budget.resize(max_bytes=100 * KiB)
    fill(collection)
    clock.advance(1)
    budget.resize(max_bytes=1_000 * KiB)
    fill(collection)
    assert collection.current_bytes > 850 * KiB


@every
def test_what_alone_is_larger_than_the_target_is_refused_and_evicts_nothing(
    make: Make, budget: MemoryBudget
) -> None:
    collection = make(budget=budget, name="tools")
    budget.resize(max_bytes=50 * KiB)
    fill(collection, 4)
    before = collection.current_bytes
    with pytest.raises(TooLarge, match="'tools', held down by its budget, refuses") as caught:
        write(collection, 60 * KiB)
    assert 45 * KiB < caught.value.limit <= 50 * KiB
    assert collection.current_bytes == before
    assert collection.statistics().rejected == 1


@every
def test_what_fits_into_the_target_is_not_refused_on_the_way_down(
    make: Make, budget: MemoryBudget
) -> None:
    collection = make(budget=budget)
    for _ in range(4_000):
        write(collection, 100)
    budget.resize(max_bytes=100 * KiB)
    write(collection, 50 * KiB)
    with pytest.raises(TooLarge):
        write(collection, 101 * KiB)


@every
def test_a_floor_lets_its_largest_item_in_whatever_happens(
    make: Make, budget: MemoryBudget
) -> None:
    other = make_lru(budget=budget)
    fill(other)
    collection = make(budget=budget, floor_bytes=50 * KiB)
    write(collection, 40 * KiB)
    budget.resize(max_bytes=60 * KiB)
    write(collection, 40 * KiB)
    assert collection.current_bytes > 40 * KiB
    with pytest.raises(TooLarge):
        write(other, 40 * KiB)


@every
def test_it_asks_for_more_when_its_target_is_in_the_way(
    make: Make, budget: MemoryBudget, clock: FakeClock
) -> None:
    collection, _idle = make(budget=budget), make_lru(budget=budget)
    fill(collection)
    assert collection.current_bytes <= 500 * KiB
    for _ in range(60):
        clock.advance(1)
        fill(collection, 3)
    assert collection.current_bytes > 850 * KiB


@every
def test_a_large_item_gets_room_that_is_there(
    make: Make, budget: MemoryBudget, clock: FakeClock
) -> None:
    collection, _idle = make(budget=budget), make_lru(budget=budget)
    with pytest.raises(TooLarge):
        write(collection, 600 * KiB)
    clock.advance(1)
    write(collection, 600 * KiB)
    assert budget.current_bytes <= budget.max_bytes


@pytest.mark.parametrize("make", STORES)
def test_its_budget_learns_of_another_bound(make: Make, budget: MemoryBudget) -> None:
    collection = make(budget=budget)
    other = make_lru(budget=budget)
    collection.resize(max_bytes=100 * KiB)
    other.resize(max_bytes=3_000 * KiB)
    fill(other, 60)
    budget.forget_plan()
    targets = [member.target_bytes for member in budget.statistics().members]
    assert targets == [100 * KiB, 900 * KiB]
    fill(collection, 20)
    assert collection.current_bytes <= 100 * KiB
    collection.resize(max_bytes=200 * KiB)
    assert collection.max_bytes == 200 * KiB
    fill(collection, 20)
    assert collection.current_bytes <= 100 * KiB, "for the time being"
    check_invariants(collection)


@pytest.mark.parametrize("make", STORES)
def test_a_bound_may_change_on_the_way_down(make: Make, budget: MemoryBudget) -> None:
    collection = make(budget=budget)
    for _ in range(4_000):
        write(collection, 100)
    held = collection.current_bytes
    budget.resize(max_bytes=held // 4)
    write(collection, 100)
    assert collection.current_bytes > held // 2
    collection.resize(max_bytes=held // 2)
    assert collection.current_bytes <= held // 2
    check_invariants(collection)
    collection.resize(max_bytes=2 * held)
    check_invariants(collection)
    write(collection, 100)
    assert collection.current_bytes <= held // 2
    collection.resize(max_bytes=held // 8)
    assert collection.current_bytes <= held // 8
    write(collection, 100)
    check_invariants(collection)


@pytest.mark.parametrize("make", STORES)
@pytest.mark.parametrize("duplicate", [copy.copy, lambda it: pickle.loads(pickle.dumps(it))])  # noqa: S301  # our own bytes
def test_a_copy_is_in_no_budget(
    make: Make, duplicate: Callable[[Any], Any], budget: MemoryBudget
) -> None:
    collection = make(budget=budget)
    fill(collection, 20)
    twin = duplicate(collection)
    fill(twin)
    assert len(budget.statistics().members) == 1
    assert budget.claimed_bytes == collection.current_bytes < twin.current_bytes


@pytest.mark.parametrize("make", STREAMS)
def test_closing_leaves_its_claim_for_as_long_as_there_is_something_left(
    make: Make, budget: MemoryBudget
) -> None:
    stream = make(budget=budget)
    fill(stream, 5)
    stream.close()
    assert budget.claimed_bytes == stream.current_bytes > 0
    stream.close(discard=True)
    assert budget.claimed_bytes == 0


@pytest.mark.parametrize("make", [make_history, *STREAMS])
def test_it_counts_bytes_for_its_budget_even_without_a_bound_in_bytes(
    make: Make, budget: MemoryBudget
) -> None:
    collection = make(budget=budget, max_bytes=None, max_items=10**6, sizeof=None)
    for _ in range(200):
        (collection.append if isinstance(collection, BoundedHistory) else collection.send)(
            bytes(ITEM)
        )
    assert collection.max_bytes is None
    assert 900 * KiB < collection.current_bytes <= budget.max_bytes
    assert account(budget).max_bytes is None


def test_what_a_receiver_takes_is_no_room_to_grow_on_the_way_down(budget: MemoryBudget) -> None:
    channel = make_channel(budget=budget)
    fill(channel)
    budget.resize(max_bytes=500 * KiB)
    for _ in range(20):
        channel.receive_nowait()
    before = channel.current_bytes
    assert before > 500 * KiB
    write(channel)
    assert channel.current_bytes <= 500 * KiB < before


def test_a_setdefault_obeys_like_any_write(budget: MemoryBudget) -> None:
    cache = make_lru(budget=budget)
    fill(cache)
    budget.resize(max_bytes=500 * KiB)
    for number in range(10):
        cache.setdefault(f"new {number}", ITEM)
    assert cache.current_bytes <= 500 * KiB


def test_a_refused_value_takes_its_older_one_along(budget: MemoryBudget) -> None:
    cache = make_lru(budget=budget)
    cache["a"] = ITEM
    budget.resize(max_bytes=5 * KiB)
    assert not cache.put("a", ITEM)
    assert "a" not in cache


# ── the index ───────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for folder in range(20):
        (tmp_path / f"{folder:02}").mkdir()
        for number in range(100):
            (tmp_path / f"{folder:02}" / f"{'long' * 20}{number}").touch()
    return tmp_path


def test_an_index_comes_down_to_its_target_with_its_next_scan(
    tree: Path, budget: MemoryBudget, clock: FakeClock
) -> None:
    budget.resize(max_bytes=4_000 * KiB)
    index = ReplaceOnIndex(tree, max_bytes=4_000 * KiB, budget=budget, name="files")
    assert account(budget).floor_bytes == 64 * KiB
    assert index.index().files == 2_000
    assert index.current_bytes < budget.claimed_bytes <= 4_000 * KiB
    budget.resize(max_bytes=200 * KiB)
    assert not budget.catch_up(), "it has nothing to give before that"
    assert len(index) == 2_000
    report = index.index()
    assert report.truncated == ("max_bytes",)
    assert 0 < len(index) < 2_000
    assert budget.claimed_bytes <= 200 * KiB
    budget.resize(max_bytes=4_000 * KiB)
    assert index.index().files == 2_000
    check_invariants(index, budget)


def test_an_index_that_had_to_leave_files_out_asks_for_more(
    tree: Path, budget: MemoryBudget, clock: FakeClock
) -> None:
    budget.resize(max_bytes=4_000 * KiB)
    cache = make_lru(budget=budget, max_bytes=8_000 * KiB)
    for _ in range(50):
        clock.advance(1)
        fill(cache, 20)
    index = ReplaceOnIndex(tree, max_bytes=4_000 * KiB, budget=budget)
    found = []
    for _ in range(8):
        found.append(index.index().files)
        clock.advance(1)
        write(cache)
        budget.catch_up()
    assert found[0] < 2_000
    assert found[-1] == 2_000


def test_an_index_without_a_budget_is_in_none(tree: Path) -> None:
    index = ReplaceOnIndex(tree, max_bytes=64 * KiB)
    assert index.index().truncated == ("max_bytes",)
    assert index._place is None


# ── struck at every point ───────────────────────────────────────────────────────────────────────


@every
@pytest.mark.parametrize("where", ["_core/store.py", "_core/sender.py", "_core/budgets.py"])
@pytest.mark.parametrize("how", ["interrupts", "writes"])
def test_whatever_strikes_on_the_way_down_finds_the_books_right(
    make: Make, where: str, how: str
) -> None:
    ways = {"_core/store.py": STORES, "_core/sender.py": STREAMS}
    if make not in ways.get(where, [make]) or (
        where == "_core/store.py" and make is make_lru and IS_COMPILED
    ):
        pytest.skip("not its way")
    current: list[Any] = []

    def prepare() -> Callable[[], object]:
        budget = MemoryBudget(max_bytes=1_000 * KiB)
        collection = make(budget=budget)
        for _ in range(60):
            write(collection, 1_000)
        current[:] = [budget, collection, collection.current_bytes]

        def come_down() -> None:
            budget.resize(max_bytes=10_000)
            write(collection, 1_000)
            budget.catch_up()

        return come_down

    def strike() -> None:
        if how == "interrupts":
            raise KeyboardInterrupt
        write(current[1], 500)

    for _ in interrupted_everywhere(prepare, strike, within=where):
        budget, collection, before = current
        check_invariants(collection, budget)
        assert collection.current_bytes <= max(before, 11_000)
        budget.resize(max_bytes=10_000)
        while budget.catch_up():
            pass
        assert collection.current_bytes <= 10_000
        check_invariants(collection, budget)
