"""What tests of `SizeAwareLRU` need: its forms, readable figures, and loaders that wait."""

import asyncio
import sys
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeVar

import pytest

from boundedcollections import RemovalCause, SizeAwareLRU
from boundedcollections._core.steps import HAS_GIL
from boundedcollections.lru.keeper import Keeper
from boundedcollections.lru.surface import Surface

K = TypeVar("K")
V = TypeVar("V")

Cache = SizeAwareLRU[Any, Any]
Left = list[tuple[object, object, RemovalCause]]


class PlainLRU(Keeper[K, V], Surface[K, V]):
    """The cache over the structure in Python, whether or not there is another one."""

    __slots__ = ("__weakref__", "_loads")


class LockedLRU(PlainLRU[K, V]):
    """The same with the hits of builds without a GIL, which take the lock."""

    __slots__ = ()
    get = Keeper._get_locked


IS_COMPILED = not issubclass(SizeAwareLRU, Keeper)
PLAIN: dict[str, Any] = {"plain": PlainLRU, "locked": LockedLRU} if HAS_GIL else {"plain": PlainLRU}
FORMS = {"compiled": SizeAwareLRU, **PLAIN} if IS_COMPILED else PLAIN
"""The classes that have to behave alike, as far as this build has them."""

for form in PLAIN.values():
    form.__name__ = SizeAwareLRU.__name__  # what people and metrics are told


def mean(form: type, module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `SizeAwareLRU` mean this form of it, in a module of tests and in this one."""
    for namespace in (module, sys.modules[__name__]):
        monkeypatch.setattr(namespace, "SizeAwareLRU", form, raising=False)


def holds_its_lock(cache: Any) -> bool:
    """Say whether this thread is in the middle of a change; a compiled one is a single step."""
    lock = getattr(cache, "_lock", None)
    return lock is not None and lock._is_owned()


def filled(*values: str, **settings: Any) -> Cache:
    """Return a cache with values under the keys 0, 1, 2; each weighs its letters."""
    settings.setdefault("max_bytes", 10)
    cache: Cache = SizeAwareLRU(
        sizeof=lambda thing: 0 if isinstance(thing, int) else len(thing), **settings
    )
    for key, value in enumerate(values):
        cache[key] = value
    return cache


def expiring(clock: Callable[[], float], **settings: Any) -> Cache:
    """Return a cache of which each entry weighs 1 and expires after 10 seconds."""
    settings.setdefault("max_bytes", 100)
    return SizeAwareLRU(
        sizeof=lambda thing: 0 if isinstance(thing, int) else 1,
        ttl_seconds=10,
        clock=clock,
        **settings,
    )


def is_free(cache: Any) -> bool:
    """Say whether nobody at all is in the middle of a change."""
    lock = getattr(cache, "_lock", None)
    if lock is None:
        return True
    taken: bool = lock.acquire(blocking=False)
    if taken:
        lock.release()
    return taken


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
