"""Sizes stay whole while other threads change what is measured, and figures do not mix."""

import collections
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from meters import DEEP

from boundedcollections._core import sizing

SECONDS = [
    0.4,
    pytest.param(60.0, marks=[pytest.mark.long, pytest.mark.timeout(300)]),
]
FIXED = 50_000
CHANGING = 200


@pytest.fixture(params=DEEP)
def deep_size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(sizing, "measure", request.param)
    return sizing.deep_size


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


def run(change: Callable[[], object], measure: Callable[[], object], seconds: float) -> int:
    """Let two threads change and two measure; return how often it was measured."""
    end = time.monotonic() + seconds
    errors: list[BaseException] = []
    counts = [0, 0]

    def changing() -> None:
        try:
            while time.monotonic() < end:
                change()
        except BaseException as error:
            errors.append(error)

    def measuring(place: int) -> None:
        try:
            while time.monotonic() < end:
                measure()
                counts[place] += 1
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=changing) for _ in range(2)]
    threads += [threading.Thread(target=measuring, args=(place,)) for place in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return min(counts)


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
    deep_size: Any, seconds: float, start: Any, change: Any
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
        assert 3 * FIXED < deep_size(value) < 3 * FIXED + CHANGING * 1_000

    assert run(change_one, measure, seconds) > 0


@pytest.mark.parametrize("seconds", SECONDS)
def test_figures_of_threads_do_not_mix(deep_size: Any, seconds: float) -> None:
    shared = [bytes(100) for _ in range(100)]
    values = [[shared, [float(i)] * i, {str(j): j for j in range(i)}] for i in range(50)]
    expected = [deep_size(value) for value in values]
    rng = random.Random(1)

    def measure() -> None:
        i = rng.randrange(len(values))
        assert deep_size(values[i]) == expected[i]

    assert run(measure, measure, seconds) > 0


@pytest.mark.parametrize("seconds", SECONDS)
def test_classes_come_and_go_while_others_are_measured(deep_size: Any, seconds: float) -> None:
    def measure() -> None:
        kind = type("Brief", (), {"__slots__": ("a", "b")})
        value = kind()
        value.a = bytes(1000)
        assert 1_000 < deep_size([value, kind]) < 1_300

    assert run(measure, measure, seconds) > 0
