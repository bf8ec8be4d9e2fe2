"""
Strike a piece of code at every point where CPython may run somebody else's code.

Signal handlers, asynchronous exceptions and thread switches strike where a function starts and
where a call has returned. A profile function is told of exactly these points; so by running an
operation again and again, and acting at the first point, then at the second, and so on, a test
visits every interruption that there can be.

On 3.11 the garbage collector has more points: wherever something is made that it looks after. It
may run destructors and callbacks, and so switch threads as well. `collected_everywhere` visits
these. From 3.12 on the collector waits for one of the other points.

From 3.14 on there is one point more: in a ``with``, after the lock was taken and before the block
begins. An exception that a signal handler raises there leaves the lock taken, for ever. Nothing
that is written in Python can close this gap, so it is left out.
"""

import contextlib
import cProfile
import gc
import inspect
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any


@contextlib.contextmanager
def untraced() -> Iterator[None]:
    """
    Keep test tools out of this thread and of those that are started meanwhile.

    They would be struck as well: coverage might then hold its own lock forever, and what is raised
    in hypothesis's watch over the collector nobody can catch. Or their memory would be measured.
    """
    tracer, tracer_of_threads = sys.gettrace(), threading.gettrace()
    watching_the_collector = gc.callbacks[:]
    sys.settrace(None)
    threading.settrace(None)
    gc.callbacks.clear()
    try:
        yield
    finally:
        gc.callbacks[:] = watching_the_collector
        threading.settrace(tracer_of_threads)
        sys.settrace(tracer)


_POINTS = frozenset({"call", "return", "c_return"})


def interrupted_everywhere(
    prepare: Callable[[], Callable[[], object]],
    strike: Callable[[], object],
    *,
    within: str,
    at_most: int = 2_000,
) -> Iterator[int]:
    """
    Run ``prepare()`` and then what it returns, once for each point; call `strike` at that point.

    Yields the number of the point after each run, so that the caller checks the outcome. `within`
    is a part of the file name of the code that is struck. The operation may fail with what
    `strike` raises, if that is a KeyboardInterrupt.
    """
    for point in range(at_most):
        operation = prepare()
        striker = _Striker(strike, point, within)
        previous = sys.getprofile()
        sys.setprofile(striker)
        try:
            operation()
        except KeyboardInterrupt:
            if not striker.has_struck:
                raise
        finally:
            sys.setprofile(previous)
        if not striker.has_struck:
            assert point > 0, f"nothing in {within} was ever called"
            return
        yield point
    raise AssertionError(f"more than {at_most} points: is the operation endless?")


def collected_everywhere(
    prepare: Callable[[], Callable[[], object]],
    strike: Callable[[], object],
    *,
    within: str,
    at_most: int = 2_000,
) -> Iterator[int]:
    """
    Do likewise wherever the garbage collector of 3.11 may come along while a profiler is at work.

    Any profiler, debugger or measurement of coverage will do, also one that is written in C:
    then a call like ``items.append(item)`` makes a bound method first, which it does not otherwise.
    """
    for point in range(at_most):
        operation = prepare()
        striker = _CollectorsCallback(strike, point, within)
        thresholds = gc.get_threshold()
        profiler = cProfile.Profile()
        gc.callbacks.append(striker)
        gc.set_threshold(1, 1_000_000, 1_000_000)
        profiler.enable()
        try:
            operation()
        finally:
            profiler.disable()
            gc.set_threshold(*thresholds)
            gc.callbacks.remove(striker)
        if striker.failure is not None:
            raise striker.failure
        if not striker.has_struck:
            assert point > 0, f"the collector never came along in {within}"
            return
        yield point
    raise AssertionError(f"more than {at_most} points: is the operation endless?")


class _CollectorsCallback:
    def __init__(self, strike: Callable[[], object], point: int, within: str) -> None:
        self._strike = strike
        self._left = point
        self._within = within
        self._made: list[object] = []
        self.has_struck = False
        self.failure: BaseException | None = None

    def __call__(self, phase: str, _info: dict[str, int]) -> None:
        if phase == "stop":  # have it come again with the next thing that is made
            self._made += [[] for _ in range(20)]
            return
        if self.has_struck or self._within not in sys._getframe(1).f_code.co_filename:
            return
        if self._left > 0:
            self._left -= 1
            return
        self.has_struck = True
        try:
            self._strike()
        except BaseException as failure:  # the collector would only print it
            self.failure = failure


class _Striker:
    def __init__(self, strike: Callable[[], object], point: int, within: str) -> None:
        self._strike = strike
        self._left = point
        self._within = within
        self.has_struck = False

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        if self.has_struck or event not in _POINTS or _is_between_lock_and_block(event, argument):
            return
        code = frame.f_code
        if self._within not in code.co_filename or code.co_flags & inspect.CO_GENERATOR:
            return  # a generator that is being closed swallows what strikes it
        if self._left > 0:
            self._left -= 1
            return
        self.has_struck = True
        self._strike()


def _is_between_lock_and_block(event: str, argument: Any) -> bool:
    """Before 3.14, entering is not an event of its own."""
    return event == "c_return" and getattr(argument, "__name__", "") == "__enter__"
