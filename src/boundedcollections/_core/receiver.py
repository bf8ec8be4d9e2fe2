"""Receiving, the same for every stream: how one reader takes, waits, and hears of its gaps."""

import enum
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

from boundedcollections._core.batch import Batch
from boundedcollections._core.errors import Closed, WouldBlock
from boundedcollections._core.steps import step
from boundedcollections._core.units import NO_LIMIT, positive_int, positive_seconds
from boundedcollections._core.waiters import (
    Sleeper,
    ThreadWaiter,
    checkpoint,
    sleep_on,
    waiter_here,
)


class Nothing(enum.Enum):
    """What there is to take from a stream without items; None may be an item."""

    NOTHING = enum.auto()


T = TypeVar("T")
R = TypeVar("R")
Take = Callable[[], R | Nothing]

NOTHING: Final = Nothing.NOTHING
_SLOTS_OF_THE_STREAM: Final[tuple[str, ...]] = ()
"""None here: only one of the bases of a class may bring slots, so a stream has these as its own."""
GIVE_WAY: Final = 255
"""Where the number of items received ends in these bits, a single receive lets other tasks run."""


class Receiver(ABC, Generic[T]):
    """
    The receiving side of a stream. A stream says what there is to take; this says how to wait.

    **Take after wake**: every way to receive takes its items in one step after its last
    ``await``. A receiver that is cancelled, or runs out of time, has taken nothing.

    Attributes:
        missed: how many items were lost just before the one received last.
    """

    __slots__ = _SLOTS_OF_THE_STREAM

    _receiver: Take[Any] | None
    """The receiver that is waiting, known by what it takes."""

    @property
    @abstractmethod
    def missed(self) -> int:
        """How many items were lost just before the one received last."""

    async def receive(self, timeout_seconds: float | None = None) -> T:
        """
        Wait for the next item and take it; `missed` then says how many were lost before it.

        A receiver that is cancelled loses nothing: the item stays, and is the next. Before every
        256th item it lets other tasks run once, also if the item is there already.

        Args:
            timeout_seconds: how long to wait at most; None waits for as long as it takes.

        Raises:
            Closed: the stream was closed, and everything in it has been received.
            TimeoutError: no item came in time.
            RuntimeError: another receiver is waiting; there may be one at a time.
        """
        deadline = None if timeout_seconds is None else _deadline(timeout_seconds)
        if self._receiver is None:
            item = self._take_one(True)  # noqa: FBT003  # a step takes its arguments by position
            if item is not NOTHING:
                return item
        return await self._wait_and(self._take_one, deadline)

    async def receive_many(
        self,
        max_items: int | None = None,
        max_bytes: int | None = None,
        timeout_seconds: float | None = None,
    ) -> Batch[T]:
        """
        Wait until there is something, then take all there is, up to the first limit.

        The batch never crosses a gap: what its `missed` counts was lost before its first item.
        A receiver that is cancelled loses nothing. When items are there already, other tasks run
        once before they are taken.

        Args:
            max_items: take at most so many.
            max_bytes: take at most so many bytes, but always one item.
            timeout_seconds: how long to wait at most; None waits for as long as it takes.

        Raises:
            Closed: the stream was closed, and everything in it has been received.
            TimeoutError: no item came in time.
            TypeError: `max_bytes` for a stream that counts no bytes.
            RuntimeError: another receiver is waiting; there may be one at a time.
        """
        take: Take[Batch[T]]
        if max_items is None and max_bytes is None:
            take = self._take_many
        else:
            take = self._limited(max_items, max_bytes)
        deadline = None if timeout_seconds is None else _deadline(timeout_seconds)
        return await self._wait_and(take, deadline)

    def receive_nowait(self) -> T:
        """
        Take the next item if there is one; `missed` then says how many were lost before it.

        Raises:
            WouldBlock: there is no item.
            Closed: the stream was closed, and everything in it has been received.
            RuntimeError: another receiver is waiting; there may be one at a time.
        """
        if self._receiver is not None:
            raise self._company()
        item = self._take_one()
        if item is NOTHING:
            raise WouldBlock(f"{self._where()} is empty")
        return item

    def receive_blocking(self, timeout_seconds: float | None = None) -> T:
        """
        Wait in a thread for the next item and take it; otherwise like `receive`.

        Not for a thread that runs an event loop: it would stop the loop.

        Args:
            timeout_seconds: how long to wait at most; None waits for as long as it takes.

        Raises:
            Closed: the stream was closed, and everything in it has been received.
            TimeoutError: no item came in time.
            RuntimeError: another receiver is waiting; there may be one at a time.
        """
        return self._block_and(self._take_one, _deadline(timeout_seconds))

    def receive_many_blocking(
        self,
        max_items: int | None = None,
        max_bytes: int | None = None,
        timeout_seconds: float | None = None,
    ) -> Batch[T]:
        """
        Wait in a thread until there is something, then take all; otherwise like `receive_many`.

        Not for a thread that runs an event loop: it would stop the loop.

        Args:
            max_items: take at most so many.
            max_bytes: take at most so many bytes, but always one item.
            timeout_seconds: how long to wait at most; None waits for as long as it takes.

        Raises:
            Closed: the stream was closed, and everything in it has been received.
            TimeoutError: no item came in time.
            TypeError: `max_bytes` for a stream that counts no bytes.
            RuntimeError: another receiver is waiting; there may be one at a time.
        """
        return self._block_and(self._limited(max_items, max_bytes), _deadline(timeout_seconds))

    def __aiter__(self) -> "Receiver[T]":
        return self

    async def __anext__(self) -> Batch[T]:
        try:
            return await self.receive_many()
        except Closed:
            raise StopAsyncIteration from None

    @property
    @abstractmethod
    def _lock(self) -> threading.RLock:
        """The lock of the stream."""

    @abstractmethod
    def _where(self) -> str:
        """Name the stream for people."""

    @abstractmethod
    def _counts_bytes(self) -> bool:
        """Say whether items have sizes here."""

    @abstractmethod
    def _take_one(self, gives_way: bool = False) -> T | Nothing:  # noqa: FBT002
        """Take the next item, unless others have to run before; raise Closed at the end."""

    @abstractmethod
    def _take_many(
        self, most_items: int = NO_LIMIT, most_bytes: int = NO_LIMIT
    ) -> Batch[T] | Nothing:
        """Take the next batch; raise Closed at the end."""

    @abstractmethod
    def _settle(self, take: Take[Any], waiter: Sleeper) -> bool:
        """Claim, and have `waiter` woken when there is something new; say whether there is already."""

    @abstractmethod
    def _forget(self, waiter: Sleeper) -> None:
        """Have `waiter` woken no more."""

    async def _wait_and(self, take: Take[R], deadline: float | None) -> R:
        """Let others run, by a sleep or, if something is there already, by one yield; then take."""
        waiter = None
        try:
            while True:
                waiter = waiter_here()
                if self._settle(take, waiter):
                    await checkpoint()
                elif deadline is None:
                    await waiter
                else:
                    await sleep_on(waiter, self._time_until(deadline))
                taken = take()
                if taken is not NOTHING:
                    self._receiver = None
                    return taken
        except BaseException:
            if self._receiver is take:  # here, not in a method: its call might be struck, too
                self._receiver = None
            if waiter is not None:
                try:
                    self._forget(waiter)
                except BaseException:  # nobody stays in bed, whatever strikes
                    self._forget(waiter)
                    raise
            raise

    def _block_and(self, take: Take[R], deadline: float | None) -> R:
        """Wait in a thread, which need not let others run, and take."""
        waiter: ThreadWaiter | None = None
        try:
            self._claim(take)
            while (taken := take()) is NOTHING:
                left = None if deadline is None else self._time_until(deadline)
                waiter = ThreadWaiter()
                if not self._settle(take, waiter):
                    waiter.sleep(left)
            return taken
        finally:
            if self._receiver is take:
                self._receiver = None
            if waiter is not None:
                try:
                    self._forget(waiter)
                except BaseException:  # nobody stays in bed, whatever strikes
                    self._forget(waiter)
                    raise

    @step
    def _claim(self, take: Take[Any]) -> None:
        if self._receiver is not None:
            raise self._company()
        self._receiver = take

    def _company(self) -> RuntimeError:
        return RuntimeError(f"{self._where()} has a receiver waiting, and may have only one")

    def _time_until(self, deadline: float) -> float:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"{self._where()} had nothing to give in time")
        return left

    def _limited(self, max_items: int | None, max_bytes: int | None) -> Take[Batch[T]]:
        """Return how to take a batch within these limits."""
        most_items = NO_LIMIT if max_items is None else positive_int("max_items", max_items)
        most_bytes = NO_LIMIT if max_bytes is None else positive_int("max_bytes", max_bytes)
        if max_bytes is not None and not self._counts_bytes():
            raise TypeError(f"max_bytes needs sizes, and {self._where()} counts no bytes")
        return lambda: self._take_many(most_items, most_bytes)


def _deadline(timeout_seconds: float | None) -> float | None:
    if timeout_seconds is None:
        return None
    return time.monotonic() + positive_seconds("timeout_seconds", timeout_seconds)
