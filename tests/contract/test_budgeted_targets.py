"""What every collection promises of its target: it is obeyed, come down to in slices, and used."""

from typing import Any

import pytest
from budgeted import (
    ITEM,
    STORES,
    Make,
    every,
    fill,
    make_channel,
    make_lru,
    write,
)

from boundedcollections import KiB, RemovalCause, TooLarge
from boundedcollections.memory.budget import MemoryBudget
from boundedcollections.testing import FakeClock, check_invariants


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
    fill(collection, 4_000, 100)
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
    fill(collection, 4_000, 100)
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
    fill(collection, 4_000, 100)
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
