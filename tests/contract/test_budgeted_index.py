"""What an index promises of its share of a budget: it changes with a scan."""

from pathlib import Path

import pytest
from budgeted import account, fill, make_lru, write

from boundedcollections import KiB, ReplaceOnIndex
from boundedcollections.memory.budget import MemoryBudget
from boundedcollections.testing import FakeClock, check_invariants


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
