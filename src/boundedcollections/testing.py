"""
Helpers for tests of code that uses these collections.

>>> from boundedcollections import BoundedHistory
>>> clock = FakeClock()
>>> history = BoundedHistory(["old news"], max_age_seconds=60, clock=clock)
>>> clock.advance(60)
>>> list(history)
[]
>>> check_invariants(history)
"""

from typing import Protocol

from boundedcollections._core.units import positive_seconds


class Checkable(Protocol):
    """What every collection of this library can do: assert its own invariants."""

    def _check(self) -> None: ...


class FakeClock:
    """
    A clock that stands still until it is told to advance; give it as ``clock=``.

    >>> clock = FakeClock(now=100.0)
    >>> clock.advance(2.5)
    >>> clock()
    102.5

    Args:
        now: the first reading, in seconds.
    """

    def __init__(self, now: float = 0.0) -> None:
        self._now = now

    def __call__(self) -> float:
        """Return the current reading, in seconds."""
        return self._now

    def advance(self, seconds: float) -> None:
        """
        Move forward by `seconds`.

        Raises:
            ValueError: `seconds` is not above 0.
        """
        self._now += positive_seconds("seconds", seconds)


def check_invariants(*collections: Checkable) -> None:
    """
    Assert that the books of each collection equal what it holds, and that every bound is kept.

    It walks the whole collection under its lock: for tests, not for production.

    Raises:
        AssertionError: an invariant is broken; please report it, with the figures in it.
    """
    for collection in collections:
        collection._check()  # noqa: SLF001  # the checker is private to users, not to us
