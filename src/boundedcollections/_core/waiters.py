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
from collections.abc import Awaitable, Mapping
from contextlib import suppress
from typing import Any, Protocol


class Waiter(Protocol):
    """One sleep of one receiver."""

    def wake(self, at_work: asyncio.AbstractEventLoop | None) -> None:
        """
        End the sleep. May be called from anywhere, again, and long after; never raises.

        `at_work` is the loop that runs a task in the caller's thread, None if there is none.
        """


class TaskWaiter:
    """
    The sleep of an asyncio task.

    >>> async def main():
    ...     waiter = TaskWaiter()
    ...     wake_all({"me": waiter})
    ...     await waiter.sleep(None)
    >>> asyncio.run(main())
    """

    __slots__ = ("_future", "_loop")

    def __init__(self) -> None:
        self._loop = loop = asyncio.get_running_loop()
        self._future: asyncio.Future[None] = loop.create_future()

    def sleep(self, seconds: float | None) -> Awaitable[None]:
        """Sleep until woken, or for `seconds`; the caller looks which of the two it was."""
        return self._future if seconds is None else self._sleep_for(seconds)

    async def _sleep_for(self, seconds: float) -> None:
        timer = self._loop.call_later(seconds, self._finish)
        try:
            await self._future
        finally:
            timer.cancel()

    def wake(self, at_work: asyncio.AbstractEventLoop | None) -> None:
        """End the sleep, from any thread."""
        if at_work is self._loop:
            try:  # as in `_finish`, without the call
                self._future.set_result(None)
            except asyncio.InvalidStateError:
                return
        else:
            with suppress(RuntimeError):  # the loop is closed: nobody sleeps there any more
                self._loop.call_soon_threadsafe(self._finish)

    def _finish(self) -> None:
        try:
            self._future.set_result(None)
        except asyncio.InvalidStateError:  # woken twice, cancelled, or out of time
            return


class TrioWaiter:
    """
    The sleep of a trio task. Whoever runs one has imported trio, so this module need not.

    Waking always takes the way that is safe for threads and signal handlers.
    """

    __slots__ = ("_asleep", "_task", "_token", "_trio", "_woken")

    def __init__(self) -> None:
        self._trio: Any = sys.modules["trio"]
        self._task = self._trio.lowlevel.current_task()
        self._token = self._trio.lowlevel.current_trio_token()
        self._woken = self._asleep = False

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


def wake_all(sleepers: Mapping[Any, Waiter]) -> None:
    """Wake every waiter in `sleepers`, even if something strikes in the middle."""
    try:
        at_work = _loop_at_work()
        for waiter in sleepers.values():
            waiter.wake(at_work)
    except BaseException:
        for waiter in sleepers.values():  # to be woken twice is harmless
            waiter.wake(None)
        raise


def waiter_here() -> TaskWaiter | TrioWaiter:
    """Return a waiter for the task that is running."""
    return TrioWaiter() if "trio.lowlevel" in sys.modules and _in_trio() else TaskWaiter()


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


def _loop_at_work() -> asyncio.AbstractEventLoop | None:
    """
    Return the loop that is running a task in this thread at this moment.

    A signal handler may run while the loop sleeps in its selector. Then a loop is running, but
    no task of it, and only the thread-safe way of scheduling ends the selector's sleep.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return None
    return None if asyncio.current_task(loop) is None else loop
