import pytest
from members import Queue

from boundedcollections import LimitReached, TooLarge
from boundedcollections.memory.budget import MemoryBudget
from boundedcollections.testing import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def budget(clock: FakeClock) -> MemoryBudget:
    return MemoryBudget(max_bytes=1_000, clock=clock)


def test_a_reservation_takes_from_what_members_may_have(budget: MemoryBudget) -> None:
    member = Queue(budget)
    with budget.reserve(300) as reservation:
        assert (reservation.size, reservation.released) == (300, False)
        assert (budget.reserved_bytes, member.target_bytes) == (300, 700)
        assert budget.current_bytes == 300
    assert reservation.released
    assert (budget.reserved_bytes, member.target_bytes) == (0, 1_000)
    assert budget.statistics().peak_reserved_bytes == 300


def test_a_reservation_is_refused_while_members_hold_the_bytes_and_made_room_for(
    budget: MemoryBudget,
) -> None:
    member = Queue(budget)
    for _ in range(10):
        member.add(100)
    with pytest.raises(LimitReached) as caught:
        budget.reserve(300)
    assert (caught.value.limit, caught.value.retry_after_seconds) == (1_000, 1.0)
    assert (budget.reserved_bytes, member.target_bytes) == (0, 700)
    member.add(50)
    assert member.claimed_bytes <= 700
    budget.reserve(300).release()
    assert budget.statistics().refused_reservations == 1


def test_room_made_for_a_reservation_that_does_not_come_is_given_back(
    budget: MemoryBudget, clock: FakeClock
) -> None:
    member = Queue(budget)
    member.add(900)
    with pytest.raises(LimitReached):
        budget.reserve(300)
    clock.advance(1)
    member.account.press(1)
    assert member.target_bytes == 700, "it may still come"
    clock.advance(1)
    member.account.press(1)
    assert member.target_bytes == 1_000


def test_a_small_reservation_does_not_use_up_the_room_asked_for_by_a_large_one(
    budget: MemoryBudget,
) -> None:
    member = Queue(budget)
    member.add(900)
    for size in (300, 200):
        with pytest.raises(LimitReached):
            budget.reserve(size)
    assert member.target_bytes == 700
    budget.catch_up()
    with budget.reserve(100):
        assert member.target_bytes == 700


def test_floors_are_never_reserved_away(budget: MemoryBudget) -> None:
    Queue(budget, floor_bytes=400).add(400)
    member = Queue(budget, floor_bytes=400)
    with pytest.raises(TooLarge) as caught:
        budget.reserve(601)
    assert (caught.value.size, caught.value.limit) == (601, 600)
    assert member.target_bytes >= 400
    assert budget.statistics().refused_reservations == 1


def test_while_others_are_reserved_room_is_given_back_once_a_second(
    budget: MemoryBudget, clock: FakeClock
) -> None:
    member = Queue(budget)
    kept = budget.reserve(100)
    budget.reserve(100).release()
    assert member.target_bytes == 800
    clock.advance(1)
    budget.reserve(100).release()
    assert member.target_bytes == 900
    kept.release()
    assert member.target_bytes == 1_000


def test_a_reservation_that_is_dropped_is_given_back_and_told_of(budget: MemoryBudget) -> None:
    with pytest.warns(ResourceWarning, match="a reservation of MemoryBudget was never released"):
        budget.reserve(10)
    assert budget.reserved_bytes == 0


def test_a_reservation_is_released_once(budget: MemoryBudget) -> None:
    reservation = budget.reserve(10)
    reservation.release()
    with pytest.raises(RuntimeError, match="released already"):
        reservation.release()
    assert budget.reserved_bytes == 0
    assert repr(reservation) == "<a reservation of MemoryBudget released>"
