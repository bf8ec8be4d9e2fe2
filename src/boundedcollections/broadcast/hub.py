"""What is sent to, and gives out places in the stream."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar, get_args
from weakref import WeakValueDictionary

from boundedcollections._core.budgets import Budget
from boundedcollections._core.units import KiB
from boundedcollections.broadcast.ring import Ring
from boundedcollections.broadcast.sink import Flusher, Sink
from boundedcollections.broadcast.subscription import OnLag, Subscription

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class BroadcastStatistics:
    """
    The figures of one `Broadcast` at one moment. Totals count since its creation.

    Always ``sent == evicted + items``.

    Attributes:
        sent: items that were accepted.
        evicted: items that left the ring, by a bound or by closing; readers may have had them.
        items: items in the ring.
        current_bytes: the sizes of the items in the ring, with what the ring spends on them; 0
            when none are counted.
        evicted_bytes: the same of the evicted items.
        peak_items: the most items ever in the ring.
        peak_bytes: the most bytes ever in the ring.
        max_items: the bound in items, or None.
        max_bytes: the bound in bytes, or None.
        first_seq: the number of the oldest item in the ring; `next_seq` when it is empty.
        next_seq: the number that the next item will get.
        rejected: items refused because one alone exceeds `max_bytes`; not in `sent`.
        waiting: subscriptions whose receiver is asleep, and event loops whose sinks are idle.
        closed: whether the broadcast was closed.
    """

    sent: int
    evicted: int
    items: int
    current_bytes: int
    evicted_bytes: int
    peak_items: int
    peak_bytes: int
    max_items: int | None
    max_bytes: int | None
    first_seq: int
    next_seq: int
    rejected: int
    waiting: int
    closed: bool


class Broadcast(Ring[T]):
    """
    A bounded stream that many readers follow, each at its own pace, and that waits for none.

    >>> import asyncio
    >>> async def main():
    ...     hub = Broadcast(max_items=3, name="room")
    ...     reader = hub.subscribe()
    ...     hub.send_many(["a", "b", "c", "d", "e"])
    ...     print(await reader.receive_many())
    ...     late = hub.subscribe(replay=1)
    ...     print(await late.receive(), late.missed)
    >>> asyncio.run(main())
    Batch(items=('c', 'd', 'e'), missed=2, first_seq=2, next_seq=5)
    e 0

    **At the bound** the oldest items leave the ring, whoever has read them or not; an item that
    is larger than `max_bytes` by itself is refused with `TooLarge` and evicts nothing. The ring
    keeps what all have read, too, for those who come late or come back.

    **Numbers**: items are numbered in the order in which they are sent, from `first_seq` on, and
    `send` returns the number. A reader that comes back says which it had last, and goes on
    behind it: ``subscribe(after=seq)``.

    **Subscriptions** are not registered: one that is forgotten, with whatever it had not read,
    leaks nothing and need not be closed. It is known here only while its receiver is asleep.
    Nobody listening is not an error.

    **Threads and tasks**: as in `DropOldestChannel`: every method may be called from any thread
    and task, from a signal handler and a destructor; none waits for anything but the lock.

    **Complexity**: `send` is O(1), and O(1) for each receiver that is asleep at that moment; a
    stalled subscription costs nothing. Receiving costs what it returns.

    **Sinks** (`attach`) are for servers with thousands of clients: the same stream, written to
    each client without a task for it.

    **When not to use it**: where each item is for one of the readers only, or where nothing may
    be lost. Control messages that must not be lost belong in a queue of their own.

    Args:
        max_items: the most items in the ring.
        max_bytes: the most bytes in the ring: the items, and what the ring spends on each (73 to
            105 bytes). One of the two bounds is required.
        sizeof: the bytes of one item, called once per send, without the lock. By default, where
            `max_bytes` is given, the length of bytes-like items and what a ``str`` occupies in
            memory; other items need `sizeof`, or ``size=`` with each send.
        first_seq: the number of the first item; the `next_seq` of a history that is older than
            this broadcast, so that the two share numbers.
        budget: a `MemoryBudget` to join. Its target may then hold less than the bounds do: what
            is above it leaves the ring, a slice with each send, and what alone is
            larger is refused like what exceeds `max_bytes`.
        floor_bytes: what the target never falls below. Give one that the largest item fits into
            if none may be refused.
        weight: the share of the budget beside the other members'.
        name: for people and metrics.

    Raises:
        TypeError: no bound was given, or an argument has the wrong type.
        ValueError: a bound is below 1, or `first_seq` below 0.
    """

    __slots__ = ("__weakref__", "_flushers")

    def __init__(
        self,
        *,
        max_items: int | None = None,
        max_bytes: int | None = None,
        sizeof: Callable[[T], int] | None = None,
        first_seq: int = 0,
        budget: Budget | None = None,
        floor_bytes: int = 0,
        weight: float = 1.0,
        name: str | None = None,
    ) -> None:
        super().__init__(
            max_items=max_items,
            max_bytes=max_bytes,
            sizeof=sizeof,
            first_seq=first_seq,
            budget=budget,
            floor_bytes=floor_bytes,
            weight=weight,
            name=name,
        )
        self._flushers: WeakValueDictionary[asyncio.AbstractEventLoop, Flusher] = (
            WeakValueDictionary()
        )

    def subscribe(
        self, *, replay: int = 0, after: int | None = None, on_lag: OnLag = "skip"
    ) -> Subscription[T]:
        """
        Return a reader of the items that are sent from now on, or from an earlier one on.

        >>> hub = Broadcast(max_items=3)
        >>> hub.send_many("abcde")
        >>> hub.subscribe(after=2).receive_nowait()
        'd'

        Args:
            replay: begin with the newest `replay` items in the ring, or all when there are fewer.
            after: begin with the item numbered ``after + 1``, as if all up to `after` had been
                received: what is gone of the later ones counts as missed. The number may lie in
                the future; then items up to it are passed over in silence.
            on_lag: what to do when items were missed. ``"skip"`` goes on with the oldest item in
                the ring, ``"latest"`` with the newest, and ``"close"`` closes the subscription.

        Raises:
            ValueError: both `replay` and `after` were given, `replay` is below 0, `after` below
                -1, or `on_lag` is no such word.
        """
        if on_lag not in get_args(OnLag):
            raise ValueError(f"on_lag must be one of {get_args(OnLag)}, got {on_lag!r}")
        return Subscription(self, self._start_of(replay, after), on_lag)

    def attach(
        self: "Broadcast[bytes]",
        write: Callable[[bytes], object],
        *,
        pending: Callable[[], int],
        high_water: int = 64 * KiB,
        gap: Callable[[int], bytes] | None = None,
        replay: int = 0,
        after: int | None = None,
    ) -> Sink:
        """
        Have `write` called with what is sent, joined, once in each tick of the running loop.

        This serves thousands of clients without a task for each. The items must be bytes-like.

        >>> import asyncio
        >>> async def main():
        ...     hub = Broadcast(max_items=100)
        ...     sink = hub.attach(print, pending=lambda: 0)
        ...     hub.send_many([b"one ", b"two ", b"three"])
        ...     await asyncio.sleep(0.01)
        >>> asyncio.run(main())
        b'one two three'

        Args:
            write: takes bytes and does not wait, like the ``write`` of a transport. If it raises,
                the sink is closed and the error logged.
            pending: the bytes that were written but not sent yet, like the
                ``get_write_buffer_size`` of a transport.
            high_water: write no further, until `Sink.resume`, while so many bytes are pending.
                At most one item and its gap go beyond it.
            gap: makes what to write in place of so many missed items; None writes nothing there.
            replay: begin with the newest `replay` items in the ring, as in `subscribe`.
            after: begin with the item numbered ``after + 1``, as in `subscribe`.

        Raises:
            RuntimeError: there is no running event loop.
            ValueError: `high_water` is below 1, or as in `subscribe`.
        """
        loop = asyncio.get_running_loop()
        start = self._start_of(replay, after)
        with self._lock:
            flusher = self._flushers.get(loop)
            if flusher is None:
                flusher = self._flushers[loop] = Flusher(self, loop)
        sink = Sink(flusher, start, write=write, pending=pending, high_water=high_water, gap=gap)
        flusher.add(sink)
        return sink

    def statistics(self) -> BroadcastStatistics:
        """
        Return the figures of this moment; looking changes none of them.

        >>> hub = Broadcast(max_items=2)
        >>> hub.send_many("abc")
        >>> figures = hub.statistics()
        >>> figures.sent, figures.evicted, figures.items
        (3, 1, 2)
        """
        with self._lock:
            return BroadcastStatistics(
                sent=self._first + self._held,
                evicted=self._dropped,
                items=self._held,
                current_bytes=self._bytes,
                evicted_bytes=self._dropped_bytes,
                peak_items=max(self._peak_items, self._held),
                peak_bytes=self.peak_bytes,
                max_items=self.max_items,
                max_bytes=self.max_bytes,
                first_seq=self.first_seq,
                next_seq=self.next_seq,
                rejected=self._rejected,
                waiting=len(self._parked),
                closed=self._closed,
            )
