"""
Getting memory back, at a limited rate: garbage collection, and what malloc keeps for later.

Both stop the program for as long as they take, and both gain nothing most of the time. So each is
done at most every ten seconds, takes at most a twentieth of the time, and waits twice as long
whenever it has gained too little, up to five minutes. But where much has become idle since, as
after a load is over, trimming does not wait for the end of that.
"""

import ctypes
import gc
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from boundedcollections._core.units import positive_int

_LEAST_PAUSE_SECONDS: Final = 10.0
_MOST_PAUSE_SECONDS: Final = 300.0
_SHARE_OF_TIME: Final = 0.05
_SHORTEST_PAUSE_SECONDS: Final = 1.0
_WORTHWHILE: Final = 0.05
"""The gain, as a share of what there was, below which the next try waits twice as long."""
_LARGE: Final = 0.25
"""The hope, as such a share, with which the next try hardly waits at all."""
_OTHER_ALLOCATORS: Final = ("mallctl", "mi_malloc", "tc_malloc")


class Pacer:
    """
    Says when something costly may be done again.

    >>> from boundedcollections.testing import FakeClock
    >>> clock = FakeClock()
    >>> pacer = Pacer(clock)
    >>> pacer.is_due()
    True
    >>> pacer.note(seconds=0.01, gain=0.0)
    >>> clock.advance(15)
    >>> pacer.is_due(), pacer.is_due(hope=0.1)
    (False, True)
    """

    __slots__ = ("_clock", "_last", "_pause", "_rest")

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last: float | None = None
        self._pause = _LEAST_PAUSE_SECONDS
        self._rest = 0.0

    def is_due(self, *, hope: float = 0.0) -> bool:
        """
        Say whether the pause is over.

        Args:
            hope: the share of what there is that may be gained now, and could not be the last time.
        """
        if self._last is None:
            return True
        pause = self._pause
        if hope >= _LARGE:
            pause = _SHORTEST_PAUSE_SECONDS
        elif hope >= _WORTHWHILE:
            pause = _LEAST_PAUSE_SECONDS
        return self._clock() - self._last >= max(pause, self._rest)

    def note(self, *, seconds: float, gain: float) -> None:
        """Begin a pause after a run that took `seconds` and gained this share of what there was."""
        longer = min(2 * self._pause, _MOST_PAUSE_SECONDS)
        self._pause = _LEAST_PAUSE_SECONDS if gain >= _WORTHWHILE else longer
        self._rest = seconds / _SHARE_OF_TIME
        self._last = self._clock()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReclaimStatistics:
    """
    The figures of one `Reclaimer` at one moment. Totals count since its creation.

    Attributes:
        collections: garbage collections it has run.
        collect_seconds: how long they took together.
        collected_blocks: how many blocks of memory fewer Python had after them.
        trims: how often it had malloc give back what it kept.
        trim_seconds: how long that took together.
        trimmed_bytes: how much smaller the process was after it.
        can_trim: whether there is a malloc that can.
    """

    collections: int
    collect_seconds: float
    collected_blocks: int
    trims: int
    trim_seconds: float
    trimmed_bytes: int
    can_trim: bool


class Reclaimer:
    """
    Collects garbage and trims malloc, if that is due.

    >>> reclaimer = Reclaimer(rss=lambda: 1)
    >>> reclaimer.collect_if_due(), reclaimer.collect_if_due()
    (True, False)

    Args:
        rss: measures the resident bytes of the process; 0 where that fails.
        clock: seconds, never going back.
        collect: collects garbage; None to leave that to Python.
        trim: has malloc give back what it can; None where there is nothing that could.
    """

    def __init__(
        self,
        *,
        rss: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
        collect: Callable[[], object] | None = gc.collect,
        trim: Callable[[], object] | None = None,
    ) -> None:
        self._rss = rss
        self._clock = clock
        self._collect = collect
        self._trim = trim
        self._collecting = Pacer(clock)
        self._trimming = Pacer(clock)
        self._left_bytes = 0
        self._collections = self._collected_blocks = self._trims = self._trimmed_bytes = 0
        self._collect_seconds = self._trim_seconds = 0.0

    def collect_if_due(self) -> bool:
        """Collect garbage if that is wanted and due; say whether it was done."""
        if self._collect is None or not self._collecting.is_due():
            return False
        blocks, begin = sys.getallocatedblocks(), self._clock()
        self._collect()
        seconds = self._clock() - begin
        freed = blocks - sys.getallocatedblocks()
        self._collecting.note(seconds=seconds, gain=freed / max(blocks, 1))
        self._collections += 1
        self._collect_seconds += seconds
        self._collected_blocks += max(freed, 0)
        return True

    def trim_is_due(self, idle_bytes: int = 0) -> bool:
        """Say whether malloc can be trimmed, and it is time for that; see `trim_if_due`."""
        if self._trim is None:
            return False
        rss = self._rss()
        if not rss:  # nobody could see what trimming gains
            return False
        return self._trimming.is_due(hope=(idle_bytes - self._left_bytes) / rss)

    def trim_if_due(self, idle_bytes: int = 0) -> bool:
        """
        Have malloc give back what it keeps, if it can and that is due; say whether it was done.

        Args:
            idle_bytes: the memory that nobody claims, as far as is known; a part of it is malloc's.
        """
        if self._trim is None or not self.trim_is_due(idle_bytes):
            return False
        rss, begin = self._rss(), self._clock()
        self._trim()
        seconds = self._clock() - begin
        freed = rss - (self._rss() or rss)
        self._trimming.note(seconds=seconds, gain=freed / max(rss, 1))
        self._left_bytes = idle_bytes - freed
        self._trims += 1
        self._trim_seconds += seconds
        self._trimmed_bytes += max(freed, 0)
        return True

    def statistics(self) -> ReclaimStatistics:
        """Return the figures of this moment."""
        return ReclaimStatistics(
            collections=self._collections,
            collect_seconds=self._collect_seconds,
            collected_blocks=self._collected_blocks,
            trims=self._trims,
            trim_seconds=self._trim_seconds,
            trimmed_bytes=self._trimmed_bytes,
            can_trim=self._trim is not None,
        )


def find_trim() -> Callable[[], object] | None:
    """
    Return what makes malloc give back the memory that it keeps for later.

    None where there is no such thing: it takes glibc, and no other allocator in its place.
    """
    try:
        library: Any = ctypes.CDLL(None)
    except (OSError, TypeError):  # there is no library of the process itself on Windows
        return None
    return trim_of(library)


def trim_of(library: Any) -> Callable[[], object] | None:
    """Return the function of `library` that trims malloc, if it is glibc's that is at work."""
    if not hasattr(library, "gnu_get_libc_version"):
        return None
    if any(hasattr(library, name) for name in _OTHER_ALLOCATORS):
        return None
    trim = library.malloc_trim
    trim.argtypes, trim.restype = [ctypes.c_size_t], ctypes.c_int
    return lambda: trim(0)


def tune_gc(*, threshold: int | None = None) -> int:
    """
    Collect garbage once, and keep the collector away from everything that is there by then.

    To be called when a service has started, before its load comes: modules, classes and what was
    loaded are then walked by no later collection, which are the shorter for it. It pays where
    cold data is held as bytes or strings, which the collector does not walk either. Where lots of
    containers are held, full collections come more often after it. ``gc.unfreeze()`` undoes it.

    >>> tune_gc() > 1_000
    True
    >>> gc.unfreeze()

    It changes the whole process; so this library never calls it by itself.

    Args:
        threshold: new containers after which the young ones are collected. Bounded collections
            replace one by one, so that a lower figure (200) makes pauses shorter, and a higher one
            longer; None leaves it as it is.

    Returns:
        How many objects there are that the collector does not walk any more.

    Raises:
        TypeError: `threshold` is not an integer.
        ValueError: `threshold` is below 1, which would end all collections.
    """
    if threshold is not None:
        _, *older = gc.get_threshold()
        gc.set_threshold(positive_int("threshold", threshold), *older)
    gc.collect()
    gc.freeze()
    return gc.get_freeze_count()
