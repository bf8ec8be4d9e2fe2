"""Many threads at once, switching as often as the interpreter can."""

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

for_a_while = pytest.mark.parametrize(
    "seconds", [0.4, pytest.param(60.0, marks=[pytest.mark.long, pytest.mark.timeout(300)])]
)


PATIENCE_SECONDS = 60.0
"""How much longer than wanted a busy machine may take until what a test looks for has happened."""


def going_on(seconds: float, seen: Callable[[], bool]) -> Callable[[], bool]:
    """Return whether to go on: for so long, and on a busy machine until all has been seen."""
    start = time.monotonic()

    def go_on() -> bool:
        spent = time.monotonic() - start
        return spent < seconds or (spent < seconds + PATIENCE_SECONDS and not seen())

    return go_on


@contextlib.contextmanager
def switching_often() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)


def storm(
    *actors: Callable[[], object], seconds: float, seen: Callable[[], bool] = lambda: True
) -> int:
    """
    Let every actor act again and again in a thread of its own; return how often they did.

    It goes on until everyone has acted, and `seen` what the test is about.
    """
    failures: list[BaseException] = []
    acts = [0] * len(actors)
    over = threading.Event()

    def play(number: int, act: Callable[[], object]) -> None:
        try:
            while not over.is_set():
                act()
                acts[number] += 1
        except BaseException as failure:
            failures.append(failure)
            over.set()

    threads = [
        threading.Thread(target=play, args=(number, act)) for number, act in enumerate(actors)
    ]
    with switching_often():
        for thread in threads:
            thread.start()
        go_on = going_on(seconds, lambda: all(acts) and seen())
        while not over.is_set() and go_on():
            over.wait(0.01)
        over.set()
        for thread in threads:
            thread.join(30)
    assert not any(thread.is_alive() for thread in threads), "a thread hangs"
    if failures:
        raise failures[0]
    assert all(acts), acts
    return sum(acts)
