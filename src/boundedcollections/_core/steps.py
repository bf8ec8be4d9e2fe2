"""
Steps: stretches of code that nothing else runs in, so that they need no lock where there is a GIL.

CPython switches threads, runs signal handlers and raises what they raise only where a function
begins, where a call has returned, and where a loop starts over. So a method that tests, counts and
acts **without a call in between** is one step, undisturbed by threads and handlers alike. Taking a
lock costs more than all the rest of such a method. In builds without a GIL, the lock is taken.

A step may end with a call, but of a function that is at hand: ``append(item)``, with
``append = self._items.append`` made long before. On 3.11, while a profiler, a debugger or a
measurement of coverage is at work, ``self._items.append(item)`` first makes a bound method. To make
one may run the garbage collector, and what that calls (a destructor, a callback) may do anything,
or have threads switched: after the counting, and before the acting.

Only a profiler or a debugger that is written in Python comes in between, as it may at any line.
"""

import functools
import sys
import sysconfig
from collections.abc import Callable
from typing import Any, Final, TypeVar

Method = TypeVar("Method", bound=Callable[..., Any])

HAS_GIL: bool = sys.implementation.name == "cpython" and not sysconfig.get_config_var(
    "Py_GIL_DISABLED"
)
"""Whether steps need no lock in this interpreter."""

UNDER_LOCK: Final = "under_lock"
"""The attribute of a step that is the same method, with the lock."""


def step(method: Method) -> Method:
    """
    Have `method`, which is one step, take the ``_lock`` of its object where there is no GIL.

    >>> import threading
    >>> class Counter:
    ...     def __init__(self):
    ...         self._lock = threading.RLock()
    ...         self.count = 0
    ...     @step
    ...     def add(self):
    ...         self.count = self.count + 1
    >>> counter = Counter()
    >>> counter.add()
    >>> counter.count
    1
    """

    @functools.wraps(method)
    def under_lock(self: Any, *args: Any) -> Any:
        with self._lock:
            return method(self, *args)

    for form in (method, under_lock):
        setattr(form, UNDER_LOCK, under_lock)
    return method if HAS_GIL else under_lock  # type: ignore[return-value]  # the same signature
