"""Sizes stay whole while other threads change what is measured, and figures do not mix."""

import collections
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from meters import DEEP, SPENT

from boundedcollections._core import sizing

SECONDS = [
    0.1,
    pytest.param(60.0, marks=[pytest.mark.long, pytest.mark.timeout(300)]),
]
FIXED = 50_000
CHANGING = 200


@pytest.fixture(
    params=[
        *(pytest.param((sizing.deep_size, "deep_measure", *m.values), id=f"{m.id}") for m in DEEP),
        *(
            pytest.param((sizing.footprint, "spent_measure", *m.values), id=f"{m.id}-footprint")
            for m in SPENT
        ),
    ]
)
def meter(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    function, place, measure = request.param
    monkeypatch.setattr(sizing, place, measure)
    return function


@pytest.fixture(autouse=True)
def _switch_often() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def change_list(value: list[Any], rng: random.Random) -> None:
    value.append([rng.random()])
    if len(value) > CHANGING:
        del value[1:]


def change_deque(value: collections.deque[Any], rng: random.Random) -> None:
    value.append({"x": rng.random()})
    if len(value) > CHANGING:
        while len(value) > 1:
            value.pop()


def change_dict(value: dict[Any, Any], rng: random.Random) -> None:
    value[str(rng.randrange(CHANGING))] = [rng.random()]
    value.pop(str(rng.randrange(CHANGING)), None)


def change_set(value: set[Any], rng: random.Random) -> None:
    value.add(rng.randrange(CHANGING) * 1000)
    value.discard(rng.randrange(CHANGING) * 1000)


def turn_list(value: list[Any]) -> None:
    value[:] = value[1:] + value[:1]


def turn_dict(value: dict[Any, Any]) -> None:
    # What stays is behind entries that come and go, so that it moves whenever the table is rebuilt.
    key = next(iter(value))
    if isinstance(key, int):
        del value[key]
        value[key + CHANGING] = None
    else:
        value[key] = value.pop(key)


def run(change: Callable[[], object], measure: Callable[[], object], seconds: float) -> None:
    """Let two threads change and two measure, for so long."""
    end = time.monotonic() + seconds
    errors: list[BaseException] = []

    def changing() -> None:
        try:
            while time.monotonic() < end:
                change()
        except BaseException as error:
            errors.append(error)

    def measuring() -> None:
        try:
            measure()
            while time.monotonic() < end:
                measure()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=changing) for _ in range(2)]
    threads += [threading.Thread(target=measuring) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


@pytest.mark.parametrize("seconds", SECONDS)
@pytest.mark.parametrize(
    ("start", "change"),
    [
        (lambda blob: [blob], change_list),
        (lambda blob: collections.deque([blob]), change_deque),
        (lambda blob: {"blob": blob}, change_dict),
        (lambda blob: collections.OrderedDict(blob=blob), change_dict),
        (lambda blob: {blob}, change_set),
    ],
    ids=["list", "deque", "dict", "OrderedDict", "set"],
)
def test_what_stays_is_counted_in_every_figure(
    meter: Any, seconds: float, start: Any, change: Any
) -> None:
    # In front of and behind what changes; a figure that lacks either of them is a partial sum.
    before, after = bytes(FIXED), bytes(FIXED + 1)
    inner = start(bytes(FIXED + 2))
    value = {"before": [before], "changing": inner, "after": [[after]]}
    rng = random.Random(1)
    lock = threading.Lock()

    def change_one() -> None:
        with lock:  # the changing threads take turns; the measuring ones do not wait
            change(inner, rng)

    def measure() -> None:
        assert 3 * FIXED < meter(value) < 3 * FIXED + CHANGING * 1_000

    run(change_one, measure, seconds)


@pytest.mark.parametrize("seconds", SECONDS)
@pytest.mark.parametrize("length", [10, 1_000])
def test_items_that_others_move_within_a_list_are_counted(
    meter: Any, seconds: float, length: int
) -> None:
    value = [bytes(100 + i % 2) for i in range(length)]
    sizes = {meter(value)}

    def measure() -> None:
        assert {meter(value)} == sizes

    run(lambda: turn_list(value), measure, seconds)


@pytest.mark.parametrize("seconds", SECONDS)
def test_entries_are_counted_while_others_come_and_go_at_the_same_length(
    meter: Any, seconds: float
) -> None:
    value: dict[Any, Any] = dict.fromkeys(range(CHANGING // 4))
    value |= {str(i): bytes(FIXED + i) for i in range(10)}
    lock = threading.Lock()

    def change() -> None:
        with lock:
            turn_dict(value)

    def measure() -> None:
        # One entry may be out of the dict for a moment, never two.
        assert 9 * FIXED < meter(value) < 10 * FIXED + 60_000

    run(change, measure, seconds)


@pytest.mark.parametrize("seconds", SECONDS)
def test_figures_of_threads_do_not_mix(meter: Any, seconds: float) -> None:
    shared = [bytes(100) for _ in range(100)]
    values = [[shared, [float(i)] * i, {str(j): j for j in range(i)}] for i in range(50)]
    expected = [meter(value) for value in values]
    rng = random.Random(1)

    def measure() -> None:
        i = rng.randrange(len(values))
        assert meter(values[i]) == expected[i]

    run(measure, measure, seconds)


@pytest.mark.parametrize("seconds", SECONDS)
def test_classes_come_and_go_while_others_are_measured(meter: Any, seconds: float) -> None:
    def measure() -> None:
        kind = type("Brief", (), {"__slots__": ("a", "b")})
        value = kind()
        value.a = bytes(1000)
        assert 1_000 < meter([value, kind]) < 1_300

    run(measure, measure, seconds)
