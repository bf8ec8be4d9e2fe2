"""
How many bytes is this object?

`deep_size` gives pympler's figure, which the field knows, at a fraction of its price. It never
recurses, keeps no state between calls, and may be called from any thread.
"""

import math
from typing import Any, NamedTuple

from boundedcollections._core._deep import measure
from boundedcollections._core._walking import tally
from boundedcollections._core.units import non_negative_int

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

    Complexity: O(objects reached), O(limit) with a limit. Memory beside the value: some 50 kB, and
    about 100 bytes per object that is referred to more than once.

    **Threads**: a value that another thread changes meanwhile is measured again, from copies of
    its containers; a part of the sum is never returned for the whole.
    """
    if type(obj) is str:
        return (_str_bytes(obj) + 7) & -8
    if type(obj) is bytes:
        return (_bytes_bytes(obj) + 7) & -8
    return measure(obj, math.inf if limit is None else non_negative_int("limit", limit))


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
