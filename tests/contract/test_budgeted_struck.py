"""A member of a budget, struck at every point of its way down to a lower target."""

from collections.abc import Callable
from typing import Any

import pytest
from budgeted import STORES, STREAMS, Make, every, fill, make_lru, write
from caches import IS_COMPILED
from interruptions import interrupted_everywhere

from boundedcollections import KiB
from boundedcollections.memory.budget import MemoryBudget
from boundedcollections.testing import check_invariants


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
        fill(collection, 60, 1_000)
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
