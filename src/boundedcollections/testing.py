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

import contextlib
import gc
import statistics
import sys
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Final, Protocol

from boundedcollections._core.units import positive_int, positive_seconds

_ROUNDS: Final = 3
"""What grows in so many measurements in a row does not stop growing."""
_TOLD_TYPES: Final = 5
_FROZEN_BY_PYTHON: Final = 1_000
"""Python 3.12 keeps some hundred objects of its own frozen."""
_empty_caches: Callable[[], None] = (
    getattr(sys, "_clear_internal_caches", None) or sys._clear_type_cache  # noqa: SLF001
)
"""What Python's own hunt for leaks calls; it has another name since 3.13."""


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


def assert_no_growth(
    operation: Callable[[], object],
    *,
    operations: int = 6_000,
    samples: int = 60,
    max_blocks: float = 0.05,
) -> float:
    """
    Assert that `operation` leaves nothing behind, however often it runs; return what it leaves.

    >>> assert_no_growth(lambda: [1, 2, 3], operations=600) < 0.05
    True
    >>> kept = []
    >>> assert_no_growth(lambda: kept.append(object()), operations=600)
    Traceback (most recent call last):
    ...
    AssertionError: each operation leaves 1.00 blocks of memory behind, allowed are 0.05...

    It counts the blocks of memory that Python has allocated, after each of `samples` batches and a
    garbage collection, and takes the median of the slopes between all pairs of them (Theil and
    Sen). So one object left behind in each operation is found, whatever its size. A cache that
    fills at first, or a table that grows once, is no leak: what grows is measured again, up to
    three times, and fails only if it has grown each time. The interpreter's own cache of
    attributes, which keeps a few thousand names and fills with every name that is made up at run
    time, is emptied before each count.

    Nothing else should run meanwhile in the process. What is there before is frozen until the end,
    unless something is already (see ``gc.freeze``): so collections walk only what is new.

    Args:
        operation: what is run again and again, with nothing passed.
        operations: how often for one measurement, after a tenth of that to warm up.
        samples: in how many batches.
        max_blocks: how many blocks an operation may leave behind.

    Raises:
        AssertionError: it leaves more, with the types of which there are more than before.
        ValueError: there are fewer operations than samples, or fewer than two samples.
        RuntimeError: this Python does not count its blocks, as under ``PYTHONMALLOC=malloc``.
    """
    count = positive_int("samples", samples)
    batch = positive_int("operations", operations) // count
    if count < 2 or not batch:  # noqa: PLR2004  # a slope takes two
        raise ValueError(
            f"operations must be at least samples, and samples at least 2, got {operations} and "
            f"{samples}"
        )
    if not sys.getallocatedblocks():
        raise RuntimeError("this Python does not count its blocks of memory")
    _repeat(operation, max(operations // 10, 1))
    with _old_objects_frozen():
        for _ in range(_ROUNDS):
            growth = _slope(operation, batch, count)
            if growth <= max_blocks:
                return growth
        newcomers = _newcomers(operation, batch)
    raise AssertionError(
        f"each operation leaves {growth:.2f} blocks of memory behind, allowed are {max_blocks}; "
        f"after {batch} more of them there are more of these: {newcomers}"
    )


@contextlib.contextmanager
def _old_objects_frozen() -> Iterator[None]:
    gc.collect()
    if gc.get_freeze_count() > _FROZEN_BY_PYTHON:  # to unfreeze is all or nothing
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _slope(operation: Callable[[], object], batch: int, samples: int) -> float:
    """Return how many blocks an operation leaves behind, as the median of all slopes."""
    found = array("q", bytes(8 * samples))  # made before, so that it does not grow itself
    for number in range(samples):
        _repeat(operation, batch)
        gc.collect()
        _empty_caches()
        found[number] = sys.getallocatedblocks()
    return statistics.median(
        (later - earlier) / (batch * (j - i))
        for (i, earlier), (j, later) in combinations(enumerate(found), 2)
    )


def _repeat(operation: Callable[[], object], times: int) -> None:
    for _ in range(times):
        operation()


def _newcomers(operation: Callable[[], object], times: int) -> str:
    """Name the types of which there are more after `operation` has run so many times."""
    before, after = Counter[str](), Counter[str]()
    _census(before)
    _repeat(operation, times)
    _census(after)
    more = (after - before).most_common(_TOLD_TYPES)
    return ", ".join(f"{name} +{count}" for name, count in more) or "none that can be listed"


def _census(types: Counter[str]) -> None:
    gc.collect()
    for thing in gc.get_objects():  # `update` would make objects itself, to tell what it is given
        types[type(thing).__qualname__] += 1
