import pytest

from boundedcollections import BoundedHistory
from boundedcollections.testing import FakeClock, check_invariants


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
