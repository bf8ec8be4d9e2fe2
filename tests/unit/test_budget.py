import contextlib
import gc
import math
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
from interruptions import interrupted_everywhere
from members import CALM, Queue

from boundedcollections import LimitReached
from boundedcollections.memory.budget import MemoryBudget, Reservation
from boundedcollections.testing import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def budget(clock: FakeClock) -> MemoryBudget:
    return MemoryBudget(max_bytes=1_000, clock=clock)


def test_a_smaller_bound_takes_the_targets_with_it_and_a_larger_one_too(
    budget: MemoryBudget,
) -> None:
    member = Queue(budget)
    budget.resize(max_bytes=400)
    assert (member.target_bytes, budget.max_bytes) == (400, 400)
    budget.resize(max_bytes=2_000)
    assert member.target_bytes == 2_000
    budget.apply(replace(CALM, target_bytes=500))
    budget.resize(max_bytes=3_000)
    assert member.target_bytes == 500, "the plan still counts"


def test_a_bound_below_floors_and_reservations_is_refused(budget: MemoryBudget) -> None:
    member = Queue(budget, floor_bytes=300)
    with (
        budget.reserve(200),
        pytest.raises(ValueError, match=r"max_bytes must be at least 500, .* got 499"),
    ):
        budget.resize(max_bytes=499)
    assert (budget.max_bytes, member.target_bytes) == (1_000, 1_000)


def test_floors_that_together_exceed_the_bound_are_refused(budget: MemoryBudget) -> None:
    member = Queue(budget, floor_bytes=600)
    with budget.reserve(100), pytest.raises(ValueError, match=r"at most 300, .* got 301"):
        Queue(budget, floor_bytes=301)
    assert [m.name for m in budget.statistics().members] == ["Queue"]
    assert member.target_bytes == 1_000


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"floor_bytes": -1}, ValueError),
        ({"floor_bytes": 11, "max_bytes": 10}, ValueError),
        ({"max_bytes": 0}, ValueError),
        ({"weight": 0}, ValueError),
        ({"weight": math.inf}, ValueError),
        ({"weight": math.nan}, ValueError),
        ({"weight": "1"}, TypeError),
        ({"weight": True}, TypeError),
        ({"floor_bytes": 1.5}, TypeError),
    ],
)
def test_a_membership_that_makes_no_sense_is_refused(
    budget: MemoryBudget, wrong: dict[str, object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        Queue(budget, **wrong)
    assert budget.statistics().members == ()


def test_a_bound_may_be_a_part_of_what_the_process_may_use(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("boundedcollections.memory.budget.memory_limit", lambda: 4_000)
    assert MemoryBudget(fraction=0.75).max_bytes == 3_000
    assert MemoryBudget(fraction=1).max_bytes == 4_000
    assert MemoryBudget(fraction=1e-9).max_bytes == 1


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it takes psutil to know")
def test_what_the_process_may_use_is_known_here() -> None:
    assert MemoryBudget(fraction=0.5).max_bytes > 1 << 20


def test_a_part_of_nobody_knows_what_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("boundedcollections.memory.budget.memory_limit", lambda: None)
    with pytest.raises(RuntimeError, match="give max_bytes"):
        MemoryBudget(fraction=0.5)


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({}, TypeError),
        ({"max_bytes": 1_000, "fraction": 0.5}, TypeError),
        ({"fraction": "0.5"}, TypeError),
        ({"fraction": True}, TypeError),
        ({"fraction": 0}, ValueError),
        ({"fraction": 1.01}, ValueError),
        ({"fraction": math.nan}, ValueError),
    ],
)
def test_a_budget_has_one_bound_that_makes_sense(
    wrong: dict[str, object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        MemoryBudget(**wrong)


@pytest.mark.parametrize("wrong", [0, -1, 1.5, True])
def test_a_bound_in_bytes_is_a_number_above_0(wrong: object) -> None:
    with pytest.raises((TypeError, ValueError), match="max_bytes must be an integer"):
        MemoryBudget(max_bytes=wrong)


def test_the_figures_of_each_member_are_told(budget: MemoryBudget) -> None:
    first = Queue(budget, name="first", floor_bytes=10, weight=2, max_bytes=900)
    _second = Queue(budget)
    first.add(100)
    statistics = budget.statistics()
    told = statistics.members[0]
    assert (told.name, told.claimed_bytes, told.floor_bytes) == ("first", 100, 10)
    assert (told.max_bytes, told.weight, told.errors) == (900, 2.0, 0)
    assert told.target_bytes == first.target_bytes
    assert statistics.members[1].name == "Queue"
    assert (statistics.claimed_bytes, statistics.max_bytes) == (100, 1_000)
    assert statistics == budget.statistics()


def test_a_budget_shows_its_name_its_use_and_its_level() -> None:
    budget = MemoryBudget(max_bytes=1_000, name="process")
    with budget.reserve(200):
        assert repr(budget) == "<MemoryBudget 'process' bytes=200/1000 normal>"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_child_is_not_kept_waiting_by_a_thread_of_its_parent(
    budget: MemoryBudget,
) -> None:
    member = Queue(budget)
    held, let_go = threading.Event(), threading.Event()

    def hold() -> None:
        with budget._lock:
            held.set()
            let_go.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(30)
    child = os.fork()
    if child == 0:  # pragma: no cover  # coverage does not see the child
        budget.resize(max_bytes=500)
        os._exit(0 if member.target_bytes == 500 else 1)
    _, status = os.waitpid(child, 0)
    let_go.set()
    thread.join()
    assert status == 0


def interrupt() -> None:
    raise KeyboardInterrupt


@pytest.mark.filterwarnings("ignore:a reservation of MemoryBudget was never:ResourceWarning")
def test_whatever_strikes_no_byte_of_a_reservation_is_lost_or_counted_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)  # destructors are struck, too
    clock = FakeClock()
    budget = MemoryBudget(max_bytes=1_000, clock=clock)
    member = Queue(budget)

    def reserve_and_release() -> None:
        member.claimed_bytes = 0
        with budget.reserve(300):
            pass

    for _ in interrupted_everywhere(lambda: reserve_and_release, interrupt, within="memory/"):
        gc.collect()
        budget._check()
        clock.advance(10)
        budget.forget_plan()
        assert budget.reserved_bytes == 0
        assert member.target_bytes == 1_000


def test_whoever_reserves_in_the_middle_of_a_reservation_takes_no_byte_twice() -> None:
    budget: MemoryBudget
    reservations: list[Reservation] = []

    def prepare() -> Callable[[], object]:
        nonlocal budget
        reservations.clear()
        budget = MemoryBudget(max_bytes=1_000)
        return reserve

    def reserve() -> None:
        with contextlib.suppress(LimitReached):
            reservations.append(budget.reserve(600))

    for _ in interrupted_everywhere(prepare, reserve, within="memory/"):
        assert [it.size for it in reservations] == [600]
        assert budget.reserved_bytes == 600
        reservations[0].release()
    reservations[0].release()  # that of the last run, which nobody struck


def test_whoever_strikes_may_use_the_budget() -> None:
    reservations = []

    def prepare() -> object:
        reservations.clear()
        budget = MemoryBudget(max_bytes=1_000)
        members = [Queue(budget), Queue(budget)]
        members[0].claimed_bytes = 300
        members[0].sizes.append(300)
        state[:] = [budget, *members]

        def use() -> None:
            budget.apply(replace(CALM, target_bytes=900))
            state.append(Queue(budget, floor_bytes=50))
            with budget.reserve(100):
                budget.resize(max_bytes=900)
            budget.catch_up()

        return use

    def strike() -> None:
        budget = state[0]
        state.append(Queue(budget, floor_bytes=20))
        reservations.append(budget.reserve(100))

    state: list[object] = []
    for _ in interrupted_everywhere(prepare, strike, within="memory/"):
        budget, members = state[0], state[1:]
        budget._check()
        held = sum(max(m.claimed_bytes, m.target_bytes) for m in members)
        assert held + budget.reserved_bytes <= budget.max_bytes
        assert {m.account for m in members} == set(budget._shares.accounts)
        assert all(m.target_bytes == m.account.target_bytes for m in members)
        assert budget.reserved_bytes == 100
        for reservation in reservations:
            reservation.release()
