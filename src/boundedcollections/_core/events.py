"""
How a collection tells what left it, and why.

A collection collects departures while it holds its lock and notifies after it has let go:
no callback ever runs under a lock, so a callback may use the collection that calls it.
"""

import enum
import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, Generic, Protocol, TypeAlias, TypeVarTuple

Departure = TypeVarTuple("Departure")

_log = logging.getLogger("boundedcollections")


class RemovalCause(enum.StrEnum):
    """
    Why an item left a collection.

    >>> RemovalCause.SIZE.evicted, RemovalCause.REPLACED.evicted
    (True, False)
    >>> print(RemovalCause.EXPIRED)
    expired
    """

    SIZE = "size"
    """Evicted, because the bytes would have exceeded ``max_bytes``."""
    COUNT = "count"
    """Evicted, because the items would have exceeded ``max_items``."""
    EXPIRED = "expired"
    """Evicted, because its time was over."""
    REPLACED = "replaced"
    """A newer value took its place."""
    REMOVED = "removed"
    """The user took it out."""
    CLEARED = "cleared"
    """The user emptied the collection."""
    DELIVERED = "delivered"
    """A receiver took it."""

    @property
    def evicted(self) -> bool:
        """Whether the collection itself decided, to keep a bound."""
        return self in _EVICTIONS


_EVICTIONS = frozenset({RemovalCause.SIZE, RemovalCause.COUNT, RemovalCause.EXPIRED})


class Leaver(Protocol):
    """What leaves a collection: an entry that can say what a listener is told of it."""

    def told(self) -> tuple[Any, ...]:
        """Return what a listener is told, but for the cause."""


Departures: TypeAlias = list[Any]
"""
What left during one call, kept alive until the lock is released, and then told of.

It is flat: an entry, its cause, the next entry; ``left += (entry, cause)`` is one step, which
nothing can interrupt. A tuple is made only while a listener is `told`: thousands of them at once,
in the middle of an eviction, would stay in the interpreter's hands and count against nobody's
bound.
"""


def told(left: Departures) -> Iterator[tuple[Any, ...]]:
    """Yield what a listener is told of each departure, in order."""
    each = iter(left)
    for leaver, cause in zip(each, each, strict=True):
        yield (*leaver.told(), cause)


class Notifier(Generic[*Departure]):
    """
    Calls a listener once for each departure; its errors are logged and counted, not passed on.

    The books were closed before: whatever the listener does or raises, the collection is right.
    What must stop the program (``KeyboardInterrupt``, ``SystemExit``) does pass on, after the
    remaining departures have been told.

    >>> left = []
    >>> tell = Notifier(lambda item, cause: left.append((item, cause.value)))
    >>> tell([("a", RemovalCause.SIZE), ("b", RemovalCause.CLEARED)])
    >>> left
    [('a', 'size'), ('b', 'cleared')]

    Attributes:
        listener: the callable that is told, or None.
        errors: how often it raised.
    """

    __slots__ = ("_count_lock", "errors", "listener")

    def __init__(self, listener: Callable[[*Departure], object] | None) -> None:
        if listener is not None and not callable(listener):
            raise TypeError(f"a listener must be callable, got {listener!r}")
        self.listener: Final = listener
        self._count_lock = threading.Lock()
        self.errors = 0

    def __call__(self, departures: Iterable[tuple[*Departure]]) -> None:
        """Tell the listener of each departure, in order. Call it without holding a lock."""
        listener = self.listener
        if listener is None:
            return
        remaining = iter(departures)
        for departure in remaining:
            try:
                listener(*departure)
            except Exception:  # noqa: BLE001  # a listener may raise anything; the log has it
                with self._count_lock:
                    self.errors += 1
                _log.exception("a listener of departures raised; the collection is unharmed")
            except BaseException:
                self(remaining)
                raise
