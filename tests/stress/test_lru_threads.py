import contextlib
import ctypes
import gc
import random
import signal
import threading
import time
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any, Self

import pytest
from caches import holds_its_lock, is_free
from interruptions import untraced
from stress.storm import for_a_while, going_on, storm, switching_often

from boundedcollections import RecursiveLoad, SizeAwareLRU
from boundedcollections.testing import check_invariants


class SlowKey:
    """A key whose hash and comparison are Python code, where another thread may step in."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __hash__(self) -> int:
        return self.number % 7

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SlowKey) and self.number == other.number


class Reentrant(SlowKey):
    """A key that now and then uses the cache it is a key of, when it is hashed or compared."""

    cache: SizeAwareLRU[Any, Any] | None = None

    def __hash__(self) -> int:
        if self.cache is not None and random.random() < 0.02:
            self.cache.pop(SlowKey(random.randint(0, 40)), None)
        return super().__hash__()

    def __eq__(self, other: object) -> bool:
        if self.cache is not None and random.random() < 0.05:
            self.cache.put(Reentrant(random.randint(0, 40)), "x")
        return super().__eq__(other)


def weigh(thing: object) -> int:
    return len(thing) if isinstance(thing, str) else 1


@for_a_while
@pytest.mark.parametrize("key", [int, str, SlowKey, Reentrant])
@pytest.mark.usefixtures("every_cache")
def test_books_and_bounds_hold_under_threads(
    seconds: float, key: Callable[[int], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    left = []
    cache: SizeAwareLRU[Any, Any] = SizeAwareLRU(
        max_bytes=6_000,
        max_items=20,
        sizeof=weigh,
        on_evict=lambda *departure: left.append(departure),
    )

    def a_key() -> Any:
        return key(random.randint(0, 40))

    def read() -> None:
        value = cache.get(a_key())
        assert value is None or set(value) <= {"v", "x"}

    def write() -> None:
        cache[a_key()] = "v" * random.randint(0, 600)
        assert cache.current_bytes <= 6_000

    def remove() -> None:
        cache.pop(a_key(), None)
        cache.setdefault(a_key(), "v")
        if random.random() < 0.02:
            cache.clear()
        if random.random() < 0.02:
            cache.resize(max_bytes=random.randint(2_000, 6_000), max_items=random.randint(5, 20))

    def look_around() -> None:
        assert len(list(cache.items())) <= 20
        a_key() in cache  # noqa: B015  # it must not raise

    with monkeypatch.context() as patch:  # not while it is checked, for that means to hash
        patch.setattr(Reentrant, "cache", cache)
        storm(read, read, write, write, remove, look_around, seconds=seconds)
    check_invariants(cache)
    assert len(cache) + len(left) == cache.statistics().accepted.items


class Dying:
    """A value that uses the cache it was in when it dies."""

    cache: SizeAwareLRU[int, Any]
    alive = 0

    def __new__(cls) -> Self:
        Dying.alive += 1
        return super().__new__(cls)

    def __del__(self) -> None:
        Dying.alive -= 1
        self.cache.put(random.randint(0, 30), "x")
        self.cache.get(0)


class DyingInACircle(Dying):
    """One that only the garbage collector ends: in the middle of anything."""

    def __init__(self) -> None:
        self.me = self


@for_a_while
@pytest.mark.usefixtures("every_cache")
@pytest.mark.parametrize("value", [Dying, DyingInACircle])
def test_values_whose_destructors_use_the_cache_leave_the_books_right(
    seconds: float, value: Callable[[], Dying]
) -> None:
    cache: SizeAwareLRU[int, Any] = SizeAwareLRU(max_bytes=4_000, sizeof=lambda _: 1)
    Dying.cache = cache
    thresholds = gc.get_threshold()

    def write() -> None:
        cache[random.randint(0, 30)] = value()
        while Dying.alive > 5_000 and gc.isenabled():  # no faster than the collector can follow
            time.sleep(0.001)
            gc.collect()

    gc.set_threshold(20)
    try:
        storm(write, write, lambda: cache.pop(random.randint(0, 30), None), seconds=seconds)
    finally:
        gc.set_threshold(*thresholds)
    check_invariants(cache)
    cache.clear()


class Alarm(Exception):
    pass


def act_on(cache: SizeAwareLRU[int, str], over: Callable[[], bool]) -> None:
    """
    Do a little of everything, until it is over.

    In a function of its own: from 3.12 on, what strikes at the end of a turn of a loop may pass by
    the ``try`` that the loop stands in.
    """
    while True:
        cache[random.randint(0, 50)] = "v" * random.randint(0, 600)
        cache.get(random.randint(0, 50))
        cache.put(random.randint(0, 50), "v", ttl_seconds=random.uniform(1e-4, 1))
        cache.pop(random.randint(0, 50), None)
        cache.get_or_load(random.randint(0, 50), str)
        if over():
            return


@for_a_while
@pytest.mark.usefixtures("every_cache")
@pytest.mark.parametrize("handle", ["raise", "act"])
def test_signals_leave_the_lock_free_and_the_totals_right(seconds: float, handle: str) -> None:
    cache: SizeAwareLRU[int, str] = SizeAwareLRU(max_bytes=6_000, sizeof=weigh)
    rung = 0

    def ring(signum: int, frame: FrameType | None) -> None:
        nonlocal rung
        rung += 1
        if handle == "raise":
            raise Alarm
        with contextlib.suppress(RecursiveLoad):  # the load of that very key was interrupted
            act_on(cache, lambda: True)

    def rung_since(before: int) -> bool:
        return rung > before

    previous = signal.signal(signal.SIGVTALRM, ring)
    go_on = going_on(seconds, lambda: rung > 10)
    try:
        with untraced():
            while go_on():
                with contextlib.suppress(Alarm):
                    signal.setitimer(signal.ITIMER_VIRTUAL, random.uniform(1e-5, 3e-4))
                    act_on(cache, partial(rung_since, rung))
                assert not holds_its_lock(cache)
                assert not cache._loads._flights
                check_invariants(cache)
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, previous)
    assert rung > 10


@for_a_while
@pytest.mark.usefixtures("every_cache")
def test_exceptions_thrown_into_threads_leave_the_lock_free_and_the_totals_right(
    seconds: float,
) -> None:
    cache: SizeAwareLRU[int, str] = SizeAwareLRU(max_bytes=6_000, sizeof=weigh)
    throw = ctypes.pythonapi.PyThreadState_SetAsyncExc
    exposed: set[int] = set()  # who is not struck already, and will catch what strikes
    struck = 0

    def work() -> None:
        nonlocal struck
        me = threading.get_ident()
        while not over.is_set():
            try:
                exposed.add(me)
                act_on(cache, lambda: over.is_set() and me in exposed)
            except Alarm:
                struck += 1

    over = threading.Event()
    workers = [threading.Thread(target=work) for _ in range(2)]
    go_on = going_on(seconds, lambda: struck > 10)
    with untraced(), switching_often():
        for worker in workers:
            worker.start()
        try:
            while go_on():
                for ident in list(exposed):
                    exposed.discard(ident)
                    throw(ctypes.c_ulong(ident), ctypes.py_object(Alarm))
                time.sleep(random.uniform(1e-5, 1e-3))
                assert cache.statistics().current_bytes <= 6_000
        finally:
            over.set()
            for worker in workers:
                worker.join(30)
    assert not any(worker.is_alive() for worker in workers)
    assert struck > 10
    assert is_free(cache)
    assert not cache._loads._flights
    check_invariants(cache)


@pytest.mark.usefixtures("every_cache")
def test_a_write_never_hides_its_key_from_a_reader() -> None:
    cache: SizeAwareLRU[str, int] = SizeAwareLRU({"key": 0}, max_bytes=10_000)
    over = threading.Event()
    absent = []

    def read() -> None:
        while not over.is_set():
            if cache.get("key") is None:
                absent.append(True)

    readers = [threading.Thread(target=read) for _ in range(2)]
    with switching_often():
        for reader in readers:
            reader.start()
        for number in range(20_000):
            cache["key"] = number
        over.set()
        for reader in readers:
            reader.join()
    assert not absent


@for_a_while
@pytest.mark.usefixtures("every_cache")
def test_deadlines_and_loads_hold_under_threads(seconds: float) -> None:
    left = []
    cache: SizeAwareLRU[Any, Any] = SizeAwareLRU(
        max_bytes=9_000,
        sizeof=weigh,
        ttl_seconds=0.01,
        on_evict=lambda *departure: left.append(departure),
    )
    loading: set[int] = set()

    def loader(key: SlowKey) -> str:
        assert key.number not in loading, "two loads of one key at a time"
        loading.add(key.number)
        time.sleep(0)
        loading.discard(key.number)
        if key.number % 5 == 0:
            raise OSError(key.number)
        return "v" * random.randint(0, 600)

    def load() -> None:
        key = SlowKey(random.randint(0, 40))
        try:
            assert set(cache.get_or_load(key, loader)) <= {"v"}
        except OSError as error:
            assert error.args == (key.number,)  # noqa: PT017  # some loads do not raise

    def write() -> None:
        cache.put(SlowKey(random.randint(0, 40)), "v", ttl_seconds=random.uniform(1e-4, 1e-2))

    def look_around() -> None:
        assert cache.current_bytes <= 9_000
        len(cache)
        cache.purge_expired()

    storm(load, load, write, write, look_around, seconds=seconds)
    assert not cache._loads._flights
    check_invariants(cache)
    assert len(cache) + len(left) == cache.statistics().accepted.items


@for_a_while
@pytest.mark.usefixtures("every_cache")
def test_keys_that_raise_when_hashed_or_compared_harm_nothing(seconds: float) -> None:
    class Moody(SlowKey):
        def __hash__(self) -> int:
            if random.random() < 0.02:
                raise RuntimeError("not now")
            return super().__hash__()

        def __eq__(self, other: object) -> bool:
            if random.random() < 0.02:
                raise RuntimeError("not with this one")
            return super().__eq__(other)

    cache: SizeAwareLRU[Any, Any] = SizeAwareLRU(max_bytes=6_000, max_items=15, sizeof=weigh)

    def act(operation: Callable[[Any], object]) -> Callable[[], None]:
        def acting() -> None:
            with contextlib.suppress(RuntimeError):
                operation(Moody(random.randint(0, 30)))

        return acting

    storm(
        act(cache.get),
        act(lambda key: cache.put(key, "v" * random.randint(0, 500))),
        act(lambda key: cache.pop(key, None)),
        act(lambda key: cache.get_or_load(key, lambda _: "v")),
        seconds=seconds,
    )
    while len(cache):
        with contextlib.suppress(RuntimeError):
            cache.clear()
    assert cache.statistics().items == 0
