"""
One load per key at a time, among all threads and all event loops.

Who finds a key missing starts a `Flight`; who asks for the key before it has landed comes along
and waits. A thread loads by itself, a task lets another task load, so that its own cancellation
does not concern those that came along.
"""

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextvars import ContextVar
from reprlib import repr as short
from typing import Any, Final, Generic, TypeVar

from boundedcollections._core.errors import RecursiveLoad
from boundedcollections._core.waiters import Sleeper, ThreadWaiter, sleep_on, waiter_here, wake_all
from boundedcollections.lru.entries import GONE

K = TypeVar("K")

_LOOP_CHECK_SECONDS: Final = 1.0
"""How often a waiter looks whether the event loop that loads for it still exists."""


class _Leg:
    """The place of one load among loads that wait for each other; it outlives the load."""

    __slots__ = ("waits_for",)

    def __init__(self) -> None:
        self.waits_for: list[_Leg] = []

    def leads_to(self, others: tuple["_Leg", ...]) -> bool:
        return self in others or any(leg.leads_to(others) for leg in list(self.waits_for))


_under_way: ContextVar[tuple[_Leg, ...]] = ContextVar("loads under way in this context", default=())
_joining = threading.RLock()


class Flight:
    """
    One load on its way, and what came of it.

    Attributes:
        leg: its place among loads that wait for each other.
        thread: the thread that loads.
        loop: its event loop, if a task loads there; None if the thread itself does.
        task: that task.
        sleepers: who waits for it.
        called: whether the loader was called.
        returned: whether it has returned a value.
        landed: whether it is over; then `value` or `error` says how, or neither, if it was
            abandoned.
    """

    __slots__ = (
        "called",
        "error",
        "landed",
        "leg",
        "loop",
        "returned",
        "sleepers",
        "task",
        "thread",
        "value",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop | None) -> None:
        self.leg = _Leg()
        self.thread = threading.get_ident()
        self.loop = loop
        self.task: asyncio.Task[None] | None = None
        self.sleepers: dict[Sleeper, Sleeper] = {}
        self.called = self.returned = self.landed = False
        self.value: Any = GONE
        self.error: BaseException | None = None

    def outcome(self, *, started_here: bool) -> Any:
        """Return the value, or raise the error; GONE if the caller should load by itself."""
        if self.error is not None and (started_here or isinstance(self.error, Exception)):
            raise self.error
        return self.value

    def is_stranded(self) -> bool:
        """Say whether it can never land, because its event loop was closed."""
        return self.loop is not None and self.loop.is_closed()

    def leave(self, waiter: Sleeper) -> None:
        """Stop waiting; a load for which nobody waits any more is cancelled."""
        self.sleepers.pop(waiter, None)
        if self.task is not None and self.loop is not None and not (self.sleepers or self.landed):
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self.loop.call_soon_threadsafe(self.task.cancel)


class Loads(Generic[K]):
    """
    The loads of one cache.

    >>> loads = Loads()
    >>> loads.run("a", str.upper, look=lambda: GONE, keep=lambda value: value)
    'A'
    >>> loads.done, loads.failed
    (1, 0)

    Attributes:
        done: how many loads returned a value.
        failed: how many raised, or were cancelled.
    """

    __slots__ = ("_flights", "_lock", "done", "failed")

    def __init__(self) -> None:
        self._flights: dict[K, Flight] = {}
        self._lock = threading.RLock()
        self.done = self.failed = 0

    def run(
        self,
        key: K,
        loader: Callable[[K], Any],
        look: Callable[[], Any],
        keep: Callable[[Any], Any],
    ) -> Any:
        """Return what `loader` gives for `key`, by a call of this thread or of somebody else's."""
        while True:
            flight = Flight(loop=None)
            try:
                joined = self._flights.setdefault(key, flight)
                if joined is flight:
                    return self._fly(flight, key, loader, look, keep)
            finally:
                try:
                    self._land(key, flight)
                except BaseException:  # struck on its way, maybe before its first line
                    self._land(key, flight)
                    raise
            value = self._come_along(key, joined)
            if value is not GONE:
                return value

    async def arun(
        self,
        key: K,
        loader: Callable[[K], Awaitable[Any]],
        look: Callable[[], Any],
        keep: Callable[[Any], Any],
    ) -> Any:
        """Return what `loader` gives for `key`, in a task of its own or of somebody else's."""
        loop = asyncio.get_running_loop()
        while True:
            flight = Flight(loop)
            try:
                joined = self._flights.setdefault(key, flight)
                if joined is flight:
                    flight.task = loop.create_task(self._afly(flight, key, loader, look, keep))
            finally:
                if flight.task is None:
                    try:
                        self._land(key, flight)
                    except BaseException:  # struck on its way, maybe before its first line
                        self._land(key, flight)
                        raise
            value = await self._acome_along(key, joined, started_here=joined is flight)
            if value is not GONE:
                return value

    def _fly(
        self,
        flight: Flight,
        key: K,
        loader: Callable[[K], Any],
        look: Callable[[], Any],
        keep: Callable[[Any], Any],
    ) -> Any:
        before = _under_way.get()
        try:
            _under_way.set((*before, flight.leg))
            value = look()  # another load may have landed just now
            if value is GONE:
                flight.called = True
                value = loader(key)
                flight.returned = True
                value = keep(value)
        except BaseException as error:
            flight.error = error
            raise
        finally:
            _under_way.set(before)
        flight.value = value
        return value

    async def _afly(
        self,
        flight: Flight,
        key: K,
        loader: Callable[[K], Awaitable[Any]],
        look: Callable[[], Any],
        keep: Callable[[Any], Any],
    ) -> None:
        _under_way.set((*_under_way.get(), flight.leg))
        try:
            value = look()
            if value is GONE:
                flight.called = True
                value = await loader(key)
                flight.returned = True
                value = keep(value)
            flight.value = value
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001  # it is for those who wait
            flight.error = error
        except BaseException as error:
            flight.error = error
            raise
        finally:
            try:
                self._land(key, flight)
            except BaseException:  # struck on its way, maybe before its first line
                self._land(key, flight)
                raise

    def _land(self, key: K, flight: Flight) -> None:
        """End `flight`, and wake who waits for it; to end it again is harmless."""
        with self._lock:
            if self._flights.get(key) is flight:
                del self._flights[key]
                self.done += flight.returned
                self.failed += flight.called and not flight.returned
        flight.landed = True
        wake_all(dict(flight.sleepers))

    def _come_along(self, key: K, flight: Flight) -> Any:
        if flight.thread == threading.get_ident():
            raise _recursive(key)
        waiter = ThreadWaiter()
        flight.sleepers[waiter] = waiter
        try:
            with _waiting_for(flight, key):
                while not flight.landed:
                    if flight.is_stranded():
                        self._land(key, flight)
                    else:
                        waiter.sleep(None if flight.loop is None else _LOOP_CHECK_SECONDS)
        finally:
            flight.leave(waiter)
        return flight.outcome(started_here=False)

    async def _acome_along(self, key: K, flight: Flight, *, started_here: bool) -> Any:
        here = asyncio.get_running_loop()
        if flight.loop is None and flight.thread == threading.get_ident():
            raise _recursive(key)
        waiter = waiter_here()
        flight.sleepers[waiter] = waiter
        try:
            with _waiting_for(flight, key):
                while not flight.landed:
                    if flight.is_stranded():
                        self._land(key, flight)
                    elif flight.loop is None or flight.loop is here:
                        await sleep_on(waiter, None)
                    else:
                        await sleep_on(waiter, _LOOP_CHECK_SECONDS)
                        if not flight.landed:
                            flight.sleepers.pop(waiter)
                            waiter = waiter_here()
                            flight.sleepers[waiter] = waiter
        finally:
            flight.leave(waiter)
        return flight.outcome(started_here=started_here)


@contextlib.contextmanager
def _waiting_for(flight: Flight, key: object) -> Iterator[None]:
    """Let the innermost load of this context wait for `flight`; refuse if that is a circle."""
    mine = _under_way.get()
    if not mine:
        yield
        return
    with _joining:
        if flight.leg.leads_to(mine):
            raise _recursive(key)
        mine[-1].waits_for.append(flight.leg)
    try:
        yield
    finally:
        mine[-1].waits_for.remove(flight.leg)


def _recursive(key: object) -> RecursiveLoad:
    return RecursiveLoad(f"the load of {short(key)} would wait for itself")
