"""What every collection promises when it joins a budget, and when it leaves."""

import copy
import gc
import pickle
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from budgeted import (
    ITEM,
    STORES,
    STREAMS,
    Make,
    account,
    every,
    fill,
    make_history,
    make_lru,
    make_pool,
)

from boundedcollections import BoundedHistory, KiB, ReplaceOnIndex
from boundedcollections.memory.budget import MemoryBudget


@every
def test_it_claims_what_it_holds(make: Make, budget: MemoryBudget) -> None:
    collection = make(budget=budget, floor_bytes=10, weight=3.0)
    assert account(budget).name == type(collection).__name__
    assert (account(budget).floor_bytes, account(budget).weight) == (10, 3.0)
    assert account(budget).max_bytes == 1_000 * KiB
    fill(collection, 20)
    assert budget.claimed_bytes == collection.current_bytes > 20 * (ITEM - 100)


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
def test_a_membership_that_is_refused_makes_no_collection(make: Make, budget: MemoryBudget) -> None:
    with pytest.raises(ValueError, match="floor_bytes"):
        make(budget=budget, floor_bytes=2_000 * KiB)
    assert budget.statistics().members == ()


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
