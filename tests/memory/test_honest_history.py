"""What `BoundedHistory` claims, against what tracemalloc sees."""

import random
from collections.abc import Callable

import pytest
from interruptions import interrupted_everywhere
from memory.traced import OBJECT_BYTES, shallow, traced

from boundedcollections import BoundedHistory, TooLarge


@pytest.mark.parametrize("max_bytes", [60_000, 1_500_000])
@pytest.mark.parametrize("largest", [10, 700, 15_000])
@pytest.mark.parametrize("unique", [False, True])
def test_the_bound_holds_in_traced_bytes_at_every_moment_table_steps_included(
    max_bytes: int, largest: int, unique: bool
) -> None:
    source = random.Random(3)
    BoundedHistory(["warm up"], max_bytes=9_000).statistics()  # what a first call sets up stays
    with traced() as memory:
        history = BoundedHistory[bytes](max_bytes=max_bytes, sizeof=shallow, unique=unique)
        while history.statistics().accepted.items - len(history) < 1_000:
            history.append(source.randbytes(source.randint(9, largest)))
        now, peak = memory()
    in_hand = 2 * largest + 2_000  # the item, the figure it is made from, what a call needs to run
    assert peak <= max_bytes + in_hand + OBJECT_BYTES
    assert (
        0.94 * history.current_bytes - OBJECT_BYTES <= now <= history.current_bytes + OBJECT_BYTES
    )
    history._check()


def test_a_history_that_shrank_gives_its_table_back() -> None:
    with traced() as memory:
        history = BoundedHistory[int](range(20_000), max_bytes=8_000_000, sizeof=shallow)
        full, _ = memory()
        history.resize(max_bytes=50_000)
        assert len(history) > 150
        assert history.current_bytes <= 50_000
        shrunk, _ = memory()
        history.clear()
        assert history.current_bytes == 0
        cleared, _ = memory()
    assert full > 2_500_000
    assert shrunk < 50_000 + OBJECT_BYTES
    assert cleared < OBJECT_BYTES


def test_a_history_that_measures_nothing_charges_nothing_for_itself() -> None:
    history = BoundedHistory(range(1_000), max_items=500)
    assert history.current_bytes == 0


def test_a_bound_below_the_cost_of_one_item_is_refused_with_the_figure() -> None:
    with pytest.raises(ValueError, match=r"max_bytes must be at least \d+, for one item, got 100"):
        BoundedHistory(max_bytes=100)
    history = BoundedHistory("abc", max_bytes=10_000)
    with pytest.raises(ValueError, match="got 100"):
        history.resize(max_bytes=100)


@pytest.mark.parametrize("raises", [False, True])
@pytest.mark.parametrize("unique", [False, True])
@pytest.mark.parametrize(
    "operation",
    [
        lambda history: history.append(bytes(300)),
        lambda history: history.append(b"3" * 20),
        lambda history: history.clear(),
        lambda history: history.resize(max_bytes=1_500),
    ],
)
def test_the_table_is_booked_right_whatever_interrupts_its_growth(
    operation: Callable[[BoundedHistory[bytes]], object], raises: bool, unique: bool
) -> None:
    history: BoundedHistory[bytes]

    def prepare() -> Callable[[], object]:
        nonlocal history
        history = BoundedHistory(max_bytes=5_000, sizeof=shallow, unique=unique)
        history.extend(b"%d" % number * 20 for number in range(10))
        return lambda: operation(history)

    def strike() -> None:
        if raises:
            raise KeyboardInterrupt
        history.extend(b"%d" % number * 30 for number in range(5, 12))
        assert history.current_bytes <= 5_000

    for _ in interrupted_everywhere(prepare, strike, within="boundedcollections"):
        history._check()
        history.append(b"still in working order")
        history._check()


def test_an_item_that_uses_the_history_while_its_tables_are_copied_loses_nothing() -> None:
    class Meddling(int):
        armed = False

        def __hash__(self) -> int:
            if Meddling.armed:
                Meddling.armed = False
                history.append(Meddling(-7))
            return super().__hash__()

    history = BoundedHistory[int](max_bytes=400_000, sizeof=shallow, unique=True)
    history.extend(Meddling(number) for number in range(10))
    Meddling.armed = True
    history._under_lock(lambda _: history._copy_tables())
    assert list(history) == [*range(10), -7]
    history._under_lock(lambda _: history._copy_tables())
    assert list(history) == [*range(10), -7]
    assert history.append(Meddling(3)) == 11
    history._check()


@pytest.mark.parametrize("unique", [False, True])
def test_an_item_that_fits_but_for_the_table_is_refused_and_evicts_nothing(unique: bool) -> None:
    history = BoundedHistory[str](max_bytes=10_000, sizeof=int, unique=unique)
    history.append("9000")
    with pytest.raises(TooLarge) as caught:
        history.append("10000")
    own_cost = caught.value.size - 10_000
    largest = caught.value.limit - own_cost
    assert 9_000 < largest < 10_000 - own_cost
    assert list(history) == ["9000"]
    with pytest.raises(TooLarge):
        history.append(str(largest + 1))
    assert list(history) == ["9000"]
    history.append(str(largest))
    assert list(history) == [str(largest)]
    assert 9_900 < history.current_bytes <= 10_000  # a table of strings is a little smaller
