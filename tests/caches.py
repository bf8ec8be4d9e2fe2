"""What tests of `SizeAwareLRU` need: caches with readable figures, and loaders that wait."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from boundedcollections import RemovalCause, SizeAwareLRU

Cache = SizeAwareLRU[Any, Any]
Left = list[tuple[object, object, RemovalCause]]


def filled(*values: str, **settings: Any) -> Cache:
    """Return a cache with values under the keys 0, 1, 2; each weighs its letters."""
    settings.setdefault("max_bytes", 10)
    cache: Cache = SizeAwareLRU(
        sizeof=lambda thing: 0 if isinstance(thing, int) else len(thing), **settings
    )
    for key, value in enumerate(values):
        cache[key] = value
    return cache


def recorder() -> tuple[Left, Callable[[object, object, RemovalCause], None]]:
    left: Left = []
    return left, lambda key, value, cause: left.append((key, value, cause))


class Touchy:
    """A key whose comparison uses the cache it is a key of."""

    def __init__(self, name: str, on_compare: Callable[[], object]) -> None:
        self.name = name
        self.on_compare = on_compare

    def __hash__(self) -> int:
        return 42

    def __eq__(self, other: object) -> bool:
        self.on_compare()
        return isinstance(other, Touchy) and self.name == other.name


class Gate:
    """A loader that says when it began, and waits for leave to end."""

    def __init__(self, outcome: object = "value") -> None:
        self.begun = threading.Event()
        self.open = threading.Event()
        self.outcome = outcome
        self.loads = 0

    def __call__(self, key: object) -> object:
        self.loads += 1
        self.begun.set()
        assert self.open.wait(20)
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome


class AsyncGate:
    """The same for tasks of one loop."""

    def __init__(self, outcome: object = "value") -> None:
        self.begun = asyncio.Event()
        self.open = asyncio.Event()
        self.outcome = outcome
        self.loads = self.cancelled = 0

    async def __call__(self, key: object) -> object:
        self.loads += 1
        self.begun.set()
        try:
            await asyncio.wait_for(self.open.wait(), 20)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome


def waiting(cache: Cache, key: object) -> int:
    flight = cache._loads._flights.get(key)
    return 0 if flight is None else len(flight.sleepers)


def until(condition: Callable[[], object]) -> None:
    for _ in range(20_000):
        if condition():
            return
        threading.Event().wait(0.001)
    raise AssertionError("it never came to that")


async def auntil(condition: Callable[[], object]) -> None:
    for _ in range(20_000):  # it is no event that is waited for
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it never came to that")
