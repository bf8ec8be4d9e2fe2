import random
import sys
from collections import OrderedDict

import pytest

from boundedcollections._core.tables import (
    ORDER_NODE_BYTES,
    TableMeter,
    allocated,
    dict_bytes,
    ordered_dict_bytes,
)


class Thing:
    """A key of no built-in type."""


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("capacity", [5, 60, 700])
def test_every_new_table_of_a_churning_dict_is_foreseen_with_its_size(
    seed: int, capacity: int
) -> None:
    source = random.Random(seed)
    table: dict[int, Thing] = {}
    order: OrderedDict[Thing, int] = OrderedDict()
    meter = TableMeter()
    empty, empty_order = {}.__sizeof__(), OrderedDict().__sizeof__()
    for number in range(5_000):
        while len(table) >= capacity or (table and source.random() < 0.3):
            _, oldest = order.popitem(last=False)
            del table[oldest]
        before = table.__sizeof__(), order.__sizeof__() - len(order) * ORDER_NODE_BYTES
        entries = len(table)
        foreseen = meter.next_slots(entries=entries)
        thing = Thing()
        table[number] = thing
        order[thing] = number
        meter.insert(entries=entries)
        after = table.__sizeof__(), order.__sizeof__() - len(order) * ORDER_NODE_BYTES
        if foreseen:
            assert meter.slots == foreseen
            assert after == (
                empty + dict_bytes(foreseen),
                empty_order + ordered_dict_bytes(foreseen),
            )
        else:
            assert after == before


def test_tables_are_worn_when_new_ones_would_be_a_small_part_of_them() -> None:
    meter = TableMeter()
    for entries in range(1_000):
        meter.insert(entries=entries)
    assert not meter.is_worn(entries=1_000)
    assert not meter.is_worn(entries=400)
    assert meter.is_worn(entries=100)


def test_growth_that_was_seen_sets_the_count_right() -> None:
    meter = TableMeter()
    meter.insert(entries=0)
    meter.insert(entries=4, grown=True)
    assert meter.slots == 16
    assert meter.next_slots(entries=5) == 0


@pytest.mark.parametrize("size", [1, 16, 17, 511, 512, 513, 1_000, 4_096])
def test_blocks_are_rounded_as_the_allocator_does(size: int) -> None:
    spent = allocated(size)
    assert spent % 16 == 0
    assert size <= spent < size + 24


def test_the_largest_tables_have_wider_indices() -> None:
    per_slot = [dict_bytes(1 << log2) / (1 << log2) for log2 in (7, 15, 31, 40)]
    assert [round(each - per_slot[0]) for each in per_slot] == [0, 1, 3, 7]
    assert sys.maxsize > 1 << 40


def test_a_count_in_doubt_has_nothing_left_until_the_tables_are_made_anew() -> None:
    meter = TableMeter()
    meter.insert(entries=0)
    assert (meter.left, meter.renewals) == (4, 1)
    meter.doubt()
    for entries in range(1, 9):
        assert meter.next_slots(entries=entries) > 0
        meter.insert(entries=entries)
        assert meter.left == 0
    assert meter.renewals == 1
    assert meter.is_worn(entries=9)
