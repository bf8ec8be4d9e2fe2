"""How long the garbage collector has stopped the program, recorded without any lock."""

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

_KEPT: Final = 1_024
_GENERATIONS: Final = 3


class Pause(NamedTuple):
    """
    One collection.

    Attributes:
        generation: which one: 0 is the youngest.
        seconds: how long it took.
    """

    generation: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseStatistics:
    """
    The figures of one `PauseRecorder` at one moment. Totals count since it was started.

    Attributes:
        collections: how many there were, by generation, the youngest first.
        total_seconds: how long all of them took.
        longest_seconds: how long the longest of them took.
        newest_position: how many there were in all; for `PauseRecorder.since`.
    """

    collections: tuple[int, ...]
    total_seconds: float
    longest_seconds: float
    newest_position: int


class PauseRecorder:
    """
    Notes how long each garbage collection takes; the newest 1,024 are kept.

    >>> recorder = PauseRecorder()
    >>> recorder.start()
    >>> _ = gc.collect()
    >>> recorder.close()
    >>> recorder.statistics().collections[2] >= 1
    True

    A collection may strike at any allocation, in the middle of whatever holds a lock. So nothing
    here takes one: a collection is noted by two assignments, of which the last one shows it.
    One that strikes where no call is left before a `RecursionError` is not noted; Python says so on
    stderr.

    Args:
        clock: seconds, for differences.
    """

    __slots__ = ("_begin", "_clock", "_collections", "_count", "_longest", "_ring", "_total")

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._ring: list[Pause] = [Pause(0, 0.0)] * _KEPT
        self._count = 0
        self._collections = [0] * _GENERATIONS
        self._total = self._longest = 0.0
        self._begin: float | None = None

    def start(self) -> None:
        """Begin to record; again changes nothing."""
        if self._note not in gc.callbacks:
            gc.callbacks.append(self._note)

    def close(self) -> None:
        """End recording; again changes nothing."""
        if self._note in gc.callbacks:
            gc.callbacks.remove(self._note)

    def since(self, position: int) -> tuple[Pause, ...]:
        """
        Return the pauses from number `position` on, oldest first, as far as they are kept.

        >>> recorder = PauseRecorder()
        >>> recorder.since(recorder.statistics().newest_position)
        ()
        """
        newest = self._count
        oldest = max(position, newest - _KEPT, 0)
        return tuple([self._ring[number % _KEPT] for number in range(oldest, newest)])

    def statistics(self) -> PauseStatistics:
        """Return the figures of this moment."""
        return PauseStatistics(
            collections=tuple(self._collections),
            total_seconds=self._total,
            longest_seconds=self._longest,
            newest_position=self._count,
        )

    def _note(self, phase: str, info: dict[str, Any]) -> None:
        now = self._clock()
        if phase == "start":
            self._begin = now
            return
        begin, self._begin = self._begin, None
        if begin is None:  # it was running when recording began
            return
        pause = Pause(min(info["generation"], _GENERATIONS - 1), now - begin)
        self._ring[self._count % _KEPT] = pause
        self._collections[pause.generation] += 1
        self._total += pause.seconds
        if pause.seconds > self._longest:  # noqa: PLR1730  # max() would be a call
            self._longest = pause.seconds
        self._count += 1
