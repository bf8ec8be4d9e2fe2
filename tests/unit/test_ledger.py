import pytest

from boundedcollections import RemovalCause, Tally, TooLarge
from boundedcollections._core.ledger import REFUSED, Ledger
from boundedcollections.lru.entries import Entry


def ledger(max_items: int | None = 3, max_bytes: int | None = 100) -> Ledger:
    return Ledger("test", max_items=max_items, max_bytes=max_bytes)


def test_what_fits_is_booked_and_what_does_not_changes_nothing() -> None:
    books = ledger()
    assert books.admit(60) is None
    assert books.admit(41) is RemovalCause.SIZE
    assert books.admit(40) is None
    assert books.admit(1) is RemovalCause.SIZE
    assert books.admit(0) is None
    assert books.admit(0) is RemovalCause.COUNT
    books.check(3, 100)
    assert books.accepted == Tally(3, 100)


def test_a_shortage_names_the_bound_that_is_in_the_way_bytes_first() -> None:
    books = ledger(max_items=1, max_bytes=10)
    assert books.shortage(10) is None
    books.admit(10)
    assert books.shortage(0) is RemovalCause.COUNT
    assert books.shortage(1) is RemovalCause.SIZE
    assert books.shortage(0, items=0) is None


def test_everything_accepted_is_held_or_has_left_by_a_cause() -> None:
    books = ledger()
    books.admit(10)
    books.admit(20)
    books.release(10, RemovalCause.SIZE)
    books.turn_away(7, RemovalCause.COUNT)
    held = Entry("key", "old", 20)
    assert books.exchange(held, "new", 25, 9.0, RemovalCause.REPLACED) == ("old", None)
    assert (held.value, held.size, held.deadline) == ("new", 25, 9.0)
    books.check(1, 25)
    assert books.accepted == Tally(4, 62)
    assert books.left[RemovalCause.REPLACED] == Tally(1, 20)
    assert books.left[RemovalCause.CLEARED] == Tally(0, 0)


def test_tables_count_against_the_bound_but_are_no_items() -> None:
    books = ledger()
    assert books.reserve(90)
    assert not books.reserve(11)
    books.unreserve(90)
    books.retable(70)
    assert books.peak_bytes == 90
    books.retable(95)
    assert books.peak_bytes == 95
    assert books.admit(6) is RemovalCause.SIZE
    assert books.admit(5) is None
    books.check(1, 5)


def test_an_item_above_the_bound_is_counted_and_the_error_has_the_figures() -> None:
    books = ledger()
    error = books.reject(300)
    assert isinstance(error, TooLarge)
    assert (error.size, error.limit, books.rejected) == (300, 100, 1)
    assert books.reject(300, limit=50).limit == 50


def test_what_is_really_held_can_be_restated() -> None:
    books = ledger()
    books.admit(10)
    books.admit(10)
    books.restate(1, 12)
    books.check(1, 12)


def test_a_wrong_bound_is_refused_before_any_is_changed() -> None:
    books = ledger()
    with pytest.raises(ValueError, match="max_bytes"):
        books.resize(max_items=1, max_bytes=0)
    assert (books.max_items, books.max_bytes) == (3, 100)
    books.resize(max_bytes=50)
    assert (books.max_items, books.max_bytes) == (3, 50)


def test_its_text_shows_used_and_limit_of_the_bounds_there_are() -> None:
    assert str(ledger()) == "items=0/3 bytes=0/100"
    assert str(ledger(max_items=None)) == "bytes=0/100"
    assert str(ledger(max_items=None, max_bytes=None)) == "items=0"


def test_what_does_not_fit_or_has_left_is_not_exchanged() -> None:
    books = ledger()
    books.admit(20)
    held = Entry("key", "old", 20)
    assert books.exchange(held, "new", 101, None, None) is REFUSED
    assert books.exchange(held, "old", 100, None, None) == ("old", None)
    assert (books.bytes, books.peak_bytes, books.accepted) == (100, 100, Tally(1, 100))
    books.release(100, RemovalCause.REMOVED)
    held.size = -1
    assert books.exchange(held, "new", 5, None, RemovalCause.REPLACED) is REFUSED
    assert (held.value, books.bytes) == ("old", 0)
