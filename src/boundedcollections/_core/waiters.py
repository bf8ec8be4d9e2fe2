"""
How a receiver sleeps and is woken, whatever it runs in.

A receiver that finds nothing parks a `Waiter` and sleeps. Whoever sends wakes it, once: from the
same loop, another loop, another thread, a signal handler or a destructor. A waiter is only ever
*woken*; the item stays where it is until the receiver, awake again, takes it. So a receiver
that is cancelled at the very moment of its wake-up loses nothing.
"""

import asyncio
import sys
import threading
from asyncio import Future, InvalidStateError, current_task, get_running_loop
from collections.abc import Generator, Mapping
from contextlib import suppress
from typing import Any, Protocol, TypeAlias


class Waiter(Protocol):
    """One sleep of one receiver."""

    def wake(self, at_work: asyncio.AbstractEventLoop | None) -> None:
        """
        End the sleep. May be called from anywhere, again, and long after; never raises.

        `at_work` is the loop that runs a task in the caller's thread, None if there is none.
        """


Sleeper: TypeAlias = "Future[None] | Waiter"
"""What `wake_all` wakes. A task of asyncio sleeps on a bare future: that takes no calls of ours."""


class TrioWaiter:
    """
    The sleep of a trio task. Whoever runs one has imported trio, so this module need not.

    Waking always takes the way that is safe for threads and signal handlers. To await it is to
    sleep until woken.
    """

    __slots__ = ("_asleep", "_task", "_token", "_trio", "_woken")

    def __init__(self) -> None:
        self._trio: Any = sys.modules["trio"]
        self._task = self._trio.lowlevel.current_task()
        self._token = self._trio.lowlevel.current_trio_token()
        self._woken = self._asleep = False

    def __await__(self) -> Generator[Any, Any, None]:
        return self.sleep(None).__await__()

    async def sleep(self, seconds: float | None) -> None:
        """Sleep until woken, or for `seconds`; the caller looks which of the two it was."""
        if self._woken:
            return
        self._asleep = True
        try:
            with self._trio.CancelScope() as scope:
                if seconds is not None:
                    scope.deadline = self._trio.current_time() + seconds
                await self._trio.lowlevel.wait_task_rescheduled(self._abort)
        finally:
            self._asleep = False

    def wake(self, at_work: asyncio.AbstractEventLoop | None) -> None:  # noqa: ARG002  # asyncio's
        """End the sleep, from any thread."""
        with suppress(self._trio.RunFinishedError):
            self._token.run_sync_soon(self._finish)

    def _finish(self) -> None:
        self._woken = True
        if self._asleep:
            self._asleep = False
            self._trio.lowlevel.reschedule(self._task)

    def _abort(self, _raise_cancel: object) -> Any:
        self._asleep = False
        return self._trio.lowlevel.Abort.SUCCEEDED


class ThreadWaiter:
    """
    The sleep of a thread.

    >>> waiter = ThreadWaiter()
    >>> wake_all({"me": waiter})
    >>> waiter.sleep(None)
    """

    __slots__ = ("_bell",)

    def __init__(self) -> None:
        self._bell = threading.Lock()  # not to lock anything: who acquires it twice sleeps
        self._bell.acquire()

    def sleep(self, seconds: float | None) -> None:
        """Sleep until woken, or for `seconds`; the caller looks which of the two it was."""
        self._bell.acquire(timeout=-1 if seconds is None else min(seconds, threading.TIMEOUT_MAX))

    def wake(self, at_work: asyncio.AbstractEventLoop | None) -> None:  # noqa: ARG002  # asyncio's
        """End the sleep, from any thread."""
        with suppress(RuntimeError):  # woken twice
            self._bell.release()


def wake_all(sleepers: Mapping[Any, Sleeper]) -> None:
    """
    Wake every one of `sleepers`, even if something strikes in the middle.

    A signal handler may run while the loop sleeps in its selector. Then a loop is running, but
    no task of it, and only the thread-safe way of scheduling ends the selector's sleep.
    """
    try:
        try:
            at_work: asyncio.AbstractEventLoop | None = get_running_loop()
            if current_task(at_work) is None:
                at_work = None
        except RuntimeError:
            at_work = None
        for sleeper in sleepers.values():
            if not isinstance(sleeper, Future):
                sleeper.wake(at_work)
            elif sleeper.get_loop() is not at_work:
                _wake_from_afar(sleeper)
            else:
                try:  # as in `_finish`, without the call
                    sleeper.set_result(None)
                except InvalidStateError:
                    continue
    except BaseException:
        for sleeper in sleepers.values():  # to be woken twice is harmless
            if isinstance(sleeper, Future):
                _wake_from_afar(sleeper)
            else:
                sleeper.wake(None)
        raise


def _wake_from_afar(future: "Future[None]") -> None:
    with suppress(RuntimeError):  # the loop is closed: nobody sleeps there any more
        future.get_loop().call_soon_threadsafe(_finish, future)


def _finish(future: "Future[None]") -> None:
    try:
        future.set_result(None)
    except InvalidStateError:  # woken twice, cancelled, or out of time
        return


def waiter_here() -> "Future[None] | TrioWaiter":
    """Return what the task that is running can `sleep_on`, or await, until `wake_all` ends that."""
    if "trio.lowlevel" in sys.modules and _in_trio():
        return TrioWaiter()
    return Future(loop=get_running_loop())


async def sleep_on(waiter: "Future[None] | TrioWaiter", seconds: float | None) -> None:
    """Sleep until woken, or for `seconds`; the caller looks which of the two it was."""
    if isinstance(waiter, TrioWaiter):
        await waiter.sleep(seconds)
    elif seconds is None:
        await waiter
    else:
        timer = waiter.get_loop().call_later(seconds, _finish, waiter)
        try:
            await waiter
        finally:
            timer.cancel()


async def checkpoint() -> None:
    """Let every other task run once."""
    if _in_trio():
        await sys.modules["trio"].lowlevel.checkpoint()
    else:
        await asyncio.sleep(0)


def _in_trio() -> bool:
    """Ask without importing trio, and while another thread may be importing it."""
    in_trio_task = getattr(sys.modules.get("trio.lowlevel"), "in_trio_task", None)
    return in_trio_task is not None and in_trio_task()
