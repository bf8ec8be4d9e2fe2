"""
How many bytes is this object?

Two meters, because there are two questions. `deep_size` gives pympler's figure, which the field
knows. `footprint` gives what the allocator spends, which is what a bound in bytes is for. Neither
recurses nor keeps state between calls, and both may be called from any thread.
"""

import contextlib
import math
import os
from collections.abc import Callable
from typing import Any, NamedTuple

from boundedcollections._core import _deep, _footprint
from boundedcollections._core._walking import tally
from boundedcollections._core.units import non_negative_int

Measure = Callable[[Any, float], int]

deep_measure: Measure = _deep.measure
spent_measure: Measure = _footprint.measure
accelerated: bool = False
"""Whether both meters run as compiled code. The figures are the same."""

if os.environ.get("BOUNDEDCOLLECTIONS_PURE", "0") in ("", "0"):
    with contextlib.suppress(ImportError):  # the build had no compiler, or there is no GIL
        from boundedcollections._core import _compiled

        deep_measure, spent_measure = _compiled.deep_measure, _compiled.spent_measure
        accelerated = True

_str_bytes = str.__sizeof__
_bytes_bytes = bytes.__sizeof__


class SizingFallbacks(NamedTuple):
    """
    How often sizing had to leave its fast rules, in the whole process, since it started.

    Attributes:
        asked: objects of a type without a rule of its own, about which pympler was asked; the
            figure is pympler's, at pympler's speed.
        estimated: objects whose own code raised, or that count 0 bytes for pympler; the figure
            is what the interpreter and its garbage collector say.
    """

    asked: int
    estimated: int


def deep_size(obj: Any, limit: int | None = None) -> int:
    """
    Return the bytes of `obj` and all that it refers to, as Pympler 1.1 counts them.

    >>> deep_size("x" * 1000) - deep_size("x" * 800)
    200
    >>> blob = bytes(1000)
    >>> deep_size([blob, blob]) - deep_size([blob, None])  # an object counts once; None is 16
    -16
    >>> deep_size([0] * 1_000_000, limit=5_000) > 5_000  # found out at once
    True

    For every object its `sys.getsizeof`, rounded up to 8; each once, however often it is met.
    Shared and interned objects count in full in every value that holds them; functions, classes
    and plain ``object()`` count nothing inside a value.

    The figure equals that of a fresh ``pympler.asizeof.Asizer`` to the byte, except where pympler
    does not see what a value holds. There, ours is larger:

    - the items of a `collections.deque`, and of subclasses of list, set, frozenset, tuple and
      deque; those of a dict subclass whose ``items`` is its own or that can be called
    - the buffer behind a `memoryview`; the items of a numpy array of objects, and the attributes
      of a subclass of numpy's array
    - whatever lies more than 100 levels deep
    - instances of classes whose module is ``builtins`` or ``types``, as `exec` can make them

    and a numpy view counts its own header and the array it looks into, once, where pympler's
    figure depends on what the process measured before.

    Reading the ``__dict__`` of an instance makes CPython build that dict, some 64 bytes that the
    instance keeps; this figure needs it. `footprint` does not touch it.

    Args:
        obj: any object. Its properties and ``__getattr__`` may be run, as by pympler; what they
            raise is counted (`sizing_fallbacks`) and the object estimated.
        limit: bytes, at least 0. As soon as the sum exceeds it, measuring stops; the figure
            returned is then the count at that moment, above `limit`.

    Returns:
        Bytes, at least 1.

    Raises:
        TypeError: `limit` is not an integer.
        ValueError: `limit` is negative.
        RuntimeError: without the GIL, other threads did not let the value be read.

    Complexity: O(objects reached), O(limit) with a limit. Memory beside the value: some 50 kB, 8
    bytes per item of a container that is being read, and about 100 bytes per object that is
    referred to more than once.

    **Threads**: other threads may change the value meanwhile. Each container is read as it was at
    one moment, so whatever stays in its place is counted; a part of the sum is never returned for
    the whole.
    """
    if type(obj) is str:
        return (_str_bytes(obj) + 7) & -8
    if type(obj) is bytes:
        return (_bytes_bytes(obj) + 7) & -8
    return deep_measure(obj, math.inf if limit is None else non_negative_int("limit", limit))


def footprint(obj: Any, limit: int | None = None) -> int:
    """
    Return the bytes that the allocator spends on `obj` and all that it refers to.

    >>> footprint(1.5), footprint(bytes(1000))  # multiples of 16, with 8 of malloc's above 512
    (32, 1056)
    >>> footprint([None, True, 7, "a", ()]) == footprint([None] * 5)  # these exist anyway
    True
    >>> footprint([bytes(1000)] * 3) < 1_500  # an object counts once
    True

    What is counted, each object once:

    - every block as the allocator rounds it: up to 512 bytes to a multiple of 16, above that with
      malloc's 8 bytes; list, dict, set and others have two or more blocks
    - nothing for what exists anyway: None, booleans, integers from -5 to 256, strings and bytes
      of at most one character, the empty tuple, classes, functions, methods, modules and the
      members of an enumeration, with all that they refer to
    - a string with more than 7 references (interned names, literals, keys that a parser has
      reused) only in part: its bytes are divided among its references
    - all other objects in full, though they may be shared with what is outside of the value

    What an object refers to is what the garbage collector sees, and its size what its layout
    says: no code of a user is run, no ``__dict__`` is built or read. Over strings, numbers,
    containers, instances with and without slots, numpy arrays and pydantic models, the figure is
    within 2 % of the blocks that tracemalloc sees, rounded in that way. Memory that an extension
    module keeps by itself and does not report in ``__sizeof__`` is not seen.

    Args:
        obj: any object.
        limit: bytes, at least 0. As soon as the sum exceeds it, measuring stops; the figure
            returned is then the count at that moment, above `limit`.

    Returns:
        Bytes, at least 1.

    Raises:
        TypeError: `limit` is not an integer.
        ValueError: `limit` is negative.
        RuntimeError: without the GIL, other threads did not let the value be read.

    Complexity and threads are those of `deep_size`.
    """
    return spent_measure(obj, math.inf if limit is None else non_negative_int("limit", limit))


def sizing_fallbacks() -> SizingFallbacks:
    """
    Return how often sizing had to leave its fast rules since the process started.

    >>> before = sizing_fallbacks()
    >>> deep_size([1, 2.5, "text"]) > 0
    True
    >>> sizing_fallbacks() == before
    True
    """
    return SizingFallbacks(tally.asked, tally.estimated)
