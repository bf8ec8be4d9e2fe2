"""The walks as compiled code, where the build made it; importing this fails where it did not."""

from typing import Any, Final

from boundedcollections._core import _deep, _footprint, _sizing
from boundedcollections._core._classes import GC_HEADER
from boundedcollections._core._parts import LEAVES, take_apart
from boundedcollections._core._walking import Walk, measured_by_id, trusted

deep_walk: Final[Walk] = _sizing.deep_walk
spent_walk: Final[Walk] = _sizing.spent_walk

_sizing.set_up(take_apart, _footprint.open_up, LEAVES, _footprint.FREE, GC_HEADER)

_DEEP_SINGLE: Final = trusted(deep_walk)
_SPENT_SINGLE: Final = trusted(spent_walk)


def deep_measure(obj: Any, ceiling: float) -> int:
    """Return the bytes of `obj` and all that it refers to, or any figure above `ceiling`."""
    try:  # here, not in `measured`: a frame more would cost as much as a small value
        total = deep_walk(obj, ceiling, _DEEP_SINGLE)
    except RuntimeError:
        total = measured_by_id(deep_walk, obj, ceiling)
    return total or _deep.estimate(obj)


def spent_measure(obj: Any, ceiling: float) -> int:
    """Return what is spent on `obj` and all it refers to, or any figure above `ceiling`."""
    try:
        total = spent_walk(obj, ceiling, _SPENT_SINGLE)
    except RuntimeError:
        total = measured_by_id(spent_walk, obj, ceiling)
    return total or _footprint.estimate(obj)
