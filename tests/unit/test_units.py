import math
from decimal import Decimal
from typing import Any

import pytest

from boundedcollections import GiB, KiB, MiB
from boundedcollections._core.units import (
    at_least_one,
    measured_size,
    non_negative_int,
    positive_int,
    positive_seconds,
)


class Index:
    def __index__(self) -> int:
        return 7


def test_units_are_powers_of_1024() -> None:
    assert (KiB, MiB, GiB) == (1024, 1024**2, 1024**3)


def test_integers_are_taken_from_whatever_is_an_index() -> None:
    assert positive_int("n", Index()) == non_negative_int("n", Index()) == 7
    assert measured_size(Index()) == 7


@pytest.mark.parametrize("value", [True, 1.0, "1", None, [1]])
def test_what_is_no_integer_is_a_type_error_that_names_it(value: Any) -> None:
    with pytest.raises(TypeError, match="max_items must be an integer of at least 1, got"):
        positive_int("max_items", value)


def test_an_integer_out_of_range_is_a_value_error_with_the_figure() -> None:
    with pytest.raises(ValueError, match="max_items must be an integer of at least 1, got 0"):
        positive_int("max_items", 0)
    assert non_negative_int("replay", 0) == 0
    with pytest.raises(
        ValueError, match="size of an item must be an integer of at least 0, got -1"
    ):
        measured_size(-1)


def test_messages_stay_short_whatever_was_given() -> None:
    with pytest.raises(TypeError) as caught:
        positive_int("max_items", "x" * 10_000)  # type: ignore[arg-type]
    assert len(str(caught.value)) < 120


@pytest.mark.parametrize("value", [1, 0.5, Decimal("2.5")])
def test_seconds_are_any_finite_number_above_zero(value: Any) -> None:
    assert positive_seconds("timeout_seconds", value) == float(value)


@pytest.mark.parametrize("value", [0, -1, math.inf, math.nan])
def test_seconds_that_never_or_always_end_are_value_errors(value: float) -> None:
    with pytest.raises(ValueError, match="finite number of seconds above 0"):
        positive_seconds("timeout_seconds", value)


@pytest.mark.parametrize("value", [True, "1", b"1", None])
def test_seconds_that_are_no_number_are_type_errors(value: Any) -> None:
    with pytest.raises(TypeError, match="finite number of seconds above 0"):
        positive_seconds("timeout_seconds", value)


def test_one_bound_is_enough() -> None:
    at_least_one(max_items=None, max_bytes=1)
    with pytest.raises(TypeError, match="at least one of max_items, max_bytes"):
        at_least_one(max_items=None, max_bytes=None)
