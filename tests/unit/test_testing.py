import gc
import itertools
import sys

import pytest

from boundedcollections import BoundedHistory
from boundedcollections.testing import FakeClock, assert_no_growth, check_invariants


def test_a_fake_clock_moves_only_when_told() -> None:
    clock = FakeClock(5)
    assert clock() == clock() == 5
    clock.advance(0.25)
    assert clock() == 5.25


def test_a_fake_clock_never_goes_back() -> None:
    with pytest.raises(ValueError, match="seconds"):
        FakeClock().advance(-1)


def test_broken_books_are_found() -> None:
    history = BoundedHistory("abc", max_items=3)
    history._ledger.items += 1
    with pytest.raises(AssertionError):
        check_invariants(history)
    history._ledger.items -= 1


class Node:
    """Something that a census can tell."""


class TestGrowth:
    def test_an_operation_that_leaves_nothing_passes(self) -> None:
        growth = assert_no_growth(lambda: [Node() for _ in range(10)], operations=1_200)
        assert -0.05 < growth < 0.05

    @pytest.mark.parametrize(
        "make",
        [object, Node, lambda: bytes(100_000), lambda: int("9" * 20)],
        ids=range(4),
    )
    def test_one_object_left_by_each_operation_is_found(self, make: object) -> None:
        kept: list[object] = []
        with pytest.raises(AssertionError, match=r"each operation leaves [12]\.\d\d blocks"):
            assert_no_growth(lambda: kept.append(make()), operations=600)  # type: ignore[operator]

    def test_one_object_left_by_every_tenth_operation_is_found(self) -> None:
        kept: list[object] = []
        calls = 0

        def operation() -> None:
            nonlocal calls
            calls += 1
            if calls % 10 == 0:
                kept.append(object())

        with pytest.raises(AssertionError, match=r"leaves 0\.10 blocks"):
            assert_no_growth(operation, operations=1_200)

    def test_the_types_that_grow_are_named(self) -> None:
        kept: list[Node] = []
        with pytest.raises(AssertionError, match=r"after 10 more .* more of these: Node \+10"):
            assert_no_growth(lambda: kept.append(Node()), operations=600)

    def test_what_the_collector_does_not_know_cannot_be_named(self) -> None:
        kept: list[object] = []
        with pytest.raises(AssertionError, match="none that can be listed"):
            assert_no_growth(lambda: kept.append(object()), operations=600)

    def test_garbage_in_cycles_is_no_leak(self) -> None:
        def operation() -> None:
            cycle: list[object] = []
            cycle.append(cycle)

        assert_no_growth(operation, operations=600)

    def test_a_cache_that_fills_for_a_while_is_no_leak(self) -> None:
        cache: dict[int, Node] = {}
        calls = 0

        def operation() -> None:
            nonlocal calls
            calls += 1
            cache[min(calls, 800)] = Node()

        assert_no_growth(operation, operations=600)

    def test_a_table_that_grows_once_is_no_leak(self) -> None:
        kept: list[list[Node]] = []
        calls = 0

        def operation() -> None:
            nonlocal calls
            calls += 1
            if calls == 400:
                kept.append([Node() for _ in range(3_000)])

        assert_no_growth(operation, operations=600)

    def test_names_made_up_at_run_time_are_no_leak(self) -> None:
        """The interpreter remembers some thousand names it was asked for, by their addresses."""
        numbers = itertools.count(1)

        def operation() -> None:
            names = [f"name {number}" for number in range(next(numbers))]
            getattr(Node, names[-1], None)  # at an address of its own

        assert abs(assert_no_growth(operation, operations=600)) < 0.01

    def test_what_was_frozen_before_stays_so(self) -> None:
        gc.freeze()
        try:
            frozen = gc.get_freeze_count()
            assert_no_growth(object, operations=120)
            assert gc.get_freeze_count() >= frozen - 100
        finally:
            gc.unfreeze()
        assert_no_growth(object, operations=120)
        assert gc.get_freeze_count() < 1_000  # some are Python's own

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"operations": 10, "samples": 20}, "operations must be at least samples"),
            ({"operations": 10, "samples": 1}, "samples at least 2, got 10 and 1"),
            ({"operations": 0}, "operations must be an integer of at least 1"),
            ({"samples": -1}, "samples must be an integer of at least 1"),
        ],
        ids=range(4),
    )
    def test_figures_that_measure_nothing_are_refused(
        self, settings: dict[str, int], message: str
    ) -> None:
        with pytest.raises(ValueError, match=message):
            assert_no_growth(object, **settings)  # type: ignore[arg-type]

    def test_a_python_that_does_not_count_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "getallocatedblocks", lambda: 0)
        with pytest.raises(RuntimeError, match="does not count its blocks"):
            assert_no_growth(object)
