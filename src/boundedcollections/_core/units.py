"""
Units of size, and the validation of arguments.

Every rule has one function, every message one form: name, rule, value received.
"""

import math
import operator
import reprlib
import sys
from typing import Final, SupportsFloat, SupportsIndex, TypeVar

E = TypeVar("E", bound=Exception)

KiB = 1 << 10
MiB = 1 << 20
GiB = 1 << 30

NO_LIMIT: Final = sys.maxsize
"""A bound that was not given, where comparing integers costs less than asking for None."""


def positive_int(name: str, value: SupportsIndex) -> int:
    """
    Return `value` as an int of at least 1.

    >>> positive_int("max_items", 0)
    Traceback (most recent call last):
    ...
    ValueError: max_items must be an integer of at least 1, got 0

    Raises:
        TypeError: `value` is not an integer (booleans are not).
        ValueError: `value` is below 1.
    """
    return _integer(name, value, least=1)


def non_negative_int(name: str, value: SupportsIndex) -> int:
    """
    Return `value` as an int of at least 0.

    >>> non_negative_int("replay", 0)
    0

    Raises:
        TypeError: `value` is not an integer (booleans are not).
        ValueError: `value` is below 0.
    """
    return _integer(name, value, least=0)


def positive_seconds(name: str, value: SupportsFloat) -> float:
    """
    Return `value` as a finite float above 0.

    >>> positive_seconds("max_age_seconds", float("inf"))
    Traceback (most recent call last):
    ...
    ValueError: max_age_seconds must be a finite number of seconds above 0, got inf

    Raises:
        TypeError: `value` is not a number (booleans are not).
        ValueError: `value` is not finite, or not above 0.
    """
    rule = "a finite number of seconds above 0"
    if isinstance(value, (bool, str, bytes)):
        raise _wrong(TypeError, name, rule, value)
    try:
        seconds = float(value)
    except TypeError:
        raise _wrong(TypeError, name, rule, value) from None
    if not math.isfinite(seconds) or seconds <= 0:
        raise _wrong(ValueError, name, rule, value)
    return seconds


def at_least_one(**limits: object) -> None:
    """
    Refuse a collection without any bound.

    >>> at_least_one(max_items=None, max_bytes=None)
    Traceback (most recent call last):
    ...
    TypeError: give at least one of max_items, max_bytes: there is no unbounded collection here

    Raises:
        TypeError: every limit is None.
    """
    if all(limit is None for limit in limits.values()):
        names = ", ".join(limits)
        raise TypeError(f"give at least one of {names}: there is no unbounded collection here")


def measured_size(size: SupportsIndex) -> int:
    """
    Return what a size function gave, as an int of at least 0.

    >>> measured_size(-3)
    Traceback (most recent call last):
    ...
    ValueError: the size of an item must be an integer of at least 0, got -3

    Raises:
        TypeError: `size` is not an integer.
        ValueError: `size` is negative.
    """
    if type(size) is int and size >= 0:  # the hot path: one test for nearly every write
        return size
    return _integer("the size of an item", size, least=0)


def _integer(name: str, value: SupportsIndex, *, least: int) -> int:
    rule = f"an integer of at least {least}"
    if isinstance(value, bool):
        raise _wrong(TypeError, name, rule, value)
    try:
        number = operator.index(value)
    except TypeError:
        raise _wrong(TypeError, name, rule, value) from None
    if number < least:
        raise _wrong(ValueError, name, rule, value)
    return number


def _wrong(kind: type[E], name: str, rule: str, value: object) -> E:
    return kind(f"{name} must be {rule}, got {reprlib.repr(value)}")
