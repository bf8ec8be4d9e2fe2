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


@contextlib.contextmanager
def switching_often() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)


def storm(*actors: Callable[[], object], seconds: float) -> int:
    """Let every actor act again and again in a thread of its own; return how often they did."""
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
        deadline = time.monotonic() + seconds
        while not over.is_set() and time.monotonic() < deadline:
            over.wait(0.01)
        over.set()
        for thread in threads:
            thread.join(30)
    assert not any(thread.is_alive() for thread in threads), "a thread hangs"
    if failures:
        raise failures[0]
    assert all(acts), acts
    return sum(acts)
