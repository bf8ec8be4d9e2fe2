import itertools
import random
from collections import Counter

import pytest
from stress.storm import for_a_while, storm

from boundedcollections import BoundedHistory, RemovalCause
from boundedcollections.testing import check_invariants


@for_a_while
@pytest.mark.parametrize("unique", [False, True])
def test_no_item_is_lost_or_counted_twice_by_many_writers(seconds: float, unique: bool) -> None:
    left: Counter[int] = Counter()
    numbers = itertools.count()
    history: BoundedHistory[int] = BoundedHistory(
        max_items=50,
        max_bytes=9_000,
        sizeof=lambda item: item % 9,
        unique=unique,
        on_evict=lambda seq, _item, _cause: left.update([seq]),
    )

    def write() -> None:
        number = next(numbers)
        history.append(number % 60 if unique else number)
        assert len(history) <= 50
        assert history.current_bytes <= 9_000

    def read() -> None:
        batch = history.since(max(history.next_seq - 20, 0))
        assert batch.first_seq + len(batch.items) <= batch.next_seq or unique
        assert len(history.snapshot()) <= 50

    def disturb() -> None:
        history.resize(max_items=random.randint(10, 50), max_bytes=random.randint(2_000, 9_000))
        if random.random() < 0.01:
            history.clear()

    storm(write, write, write, read, disturb, seconds=seconds)
    check_invariants(history)
    assert history.next_seq == next(numbers)
    assert set(left.values()) == {1}
    assert len(left) + len(history) == history.next_seq == history.statistics().accepted.items


@for_a_while
def test_a_reader_that_follows_sees_every_number_or_is_told_of_the_gap(seconds: float) -> None:
    history: BoundedHistory[int] = BoundedHistory(max_items=64)
    seen = missed = position = 0

    def write() -> None:
        history.append(history.next_seq)

    def follow() -> None:
        nonlocal seen, missed, position
        batch = history.since(position)
        assert batch.first_seq == position + batch.missed
        seen += len(batch.items)
        missed += batch.missed
        position = batch.next_seq

    storm(write, write, follow, seconds=seconds)
    follow()
    assert seen + missed == history.next_seq
    assert history.statistics().left[RemovalCause.COUNT].items == history.next_seq - 64
