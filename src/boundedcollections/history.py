"""
The newest items only, each with a number, so that a reader learns exactly what it missed.

A log in memory that is only appended to is a leak with a delay. `BoundedHistory` keeps the
newest items within its bounds; at the bound the oldest is evicted, and the numbers that are
never used twice tell every reader how many items are gone.
"""

import secrets
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Generic, NamedTuple, TypeVar, overload

from boundedcollections._core.batch import Batch
from boundedcollections._core.events import Notifier, RemovalCause
from boundedcollections._core.ledger import Ledger, Tally
from boundedcollections._core.sizing import deep_size
from boundedcollections._core.units import (
    at_least_one,
    measured_size,
    non_negative_int,
    positive_seconds,
)

T = TypeVar("T")

_COMPACT_FROM = 32
"""Evicted slots are cut off the list's front once there are this many, and half of it is them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryStatistics:
    """
    The figures of one `BoundedHistory` at one moment. Totals count since its creation.

    Attributes:
        items: how many items are held.
        current_bytes: the sum of their sizes; 0 when nothing is measured.
        peak_items: the most items ever held.
        peak_bytes: the most bytes ever held.
        max_items: the bound in items, or None.
        max_bytes: the bound in bytes, or None.
        max_age_seconds: the bound in seconds, or None.
        first_seq: the number of the oldest item held.
        next_seq: the number that the next item will get.
        accepted: items and bytes ever appended; equals what is held plus all of `left`.
        left: items and bytes that left, by cause; every cause is present.
        rejected: items refused because one alone exceeds `max_bytes`; not in `accepted`.
        listener_errors: how often `on_evict` raised.
    """

    items: int
    current_bytes: int
    peak_items: int
    peak_bytes: int
    max_items: int | None
    max_bytes: int | None
    max_age_seconds: float | None
    first_seq: int
    next_seq: int
    accepted: Tally
    left: dict[RemovalCause, Tally]
    rejected: int
    listener_errors: int


class _Entry(NamedTuple, Generic[T]):
    seq: int
    size: int
    since: float
    item: T


_seq_of = attrgetter("seq")


class BoundedHistory(Sequence[T]):
    """
    The newest items in order, bounded by count, bytes and age, each with a sequence number.

    >>> room = BoundedHistory(max_items=3, name="room")
    >>> room.extend(["hi", "hello", "how are you?", "fine"])
    >>> list(room)
    ['hello', 'how are you?', 'fine']
    >>> room.since(0)
    Batch(items=('hello', 'how are you?', 'fine'), missed=1, first_seq=1, next_seq=4)

    Numbers start at 0 and are never used twice. A reader keeps the `next_seq` of its last
    `Batch` together with the `epoch` of the history; when it comes back, `since` gives what it
    lacks and says how much is gone. Another `epoch` means that its numbers come from another
    life (the process restarted, or this is a copy).

    **At the bound** the oldest items are evicted, and `on_evict` is told. An item that is larger
    than `max_bytes` by itself is refused with `TooLarge` and evicts nothing.

    **Threads and tasks**: every method may be called from any thread and any task, from a signal
    handler, a destructor, and from `on_evict`. None waits for anything but the lock. Sizes are
    measured, and listeners called, without the lock; iteration goes over a snapshot.

    **Complexity**: `append`, index and `len` are O(1) amortised, `since` is O(log n) plus what
    it returns. With ``unique=True`` an append of an item that is held moves O(n) pointers.

    **When not to use it**: for readers that wait for new items, take a `Broadcast`; where only
    one reader takes each item, a `DropOldestChannel`.

    Args:
        items: appended one by one, as by `extend`.
        max_items: the most items to hold.
        max_bytes: the most bytes to hold, as `sizeof` counts them.
        max_age_seconds: how long an item may be held; it is gone at the first look after that.
            Seconds are those of `clock`. One of the three bounds is required.
        sizeof: the bytes of one item; called once per append, without the lock. By default
            `deep_size` where `max_bytes` is given; otherwise nothing is measured.
        unique: hold equal items once. A repeated item moves to the end under a new number;
            its old one leaves with the cause REPLACED. Items must then be hashable. Numbers given
            up like that, below `first_seq`, count as missed.
        on_evict: called as ``on_evict(seq, item, cause)`` for every item that leaves, after the
            lock is released. What it raises is logged and counted.
        name: for people and metrics.
        clock: seconds, never going back.

    Raises:
        TypeError: no bound was given, or an argument has the wrong type.
        ValueError: a bound is below 1, or a time is not above 0.
    """

    __slots__ = (
        "__weakref__",
        "_by_item",
        "_clock",
        "_entries",
        "_epoch",
        "_head",
        "_ledger",
        "_lock",
        "_max_age_seconds",
        "_next_seq",
        "_notify",
        "_sizeof",
        "name",
    )

    def __init__(
        self,
        items: Iterable[T] = (),
        *,
        max_items: int | None = None,
        max_bytes: int | None = None,
        max_age_seconds: float | None = None,
        sizeof: Callable[[T], int] | None = None,
        unique: bool = False,
        on_evict: Callable[[int, T, RemovalCause], object] | None = None,
        name: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        pass
