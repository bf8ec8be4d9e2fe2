"""
What can go wrong, as one tree.

    BoundedError
    ├── TooLarge (ValueError)   one thing is larger than the whole bound
    ├── Closed                  the collection has been closed
    ├── WouldBlock              a non-waiting call found nothing to take
    ├── LimitReached            one more is refused; says which limit, and when to come back
    ├── RecursiveLoad (RuntimeError)   a load would have to wait for itself
    └── Lagged                  a strict reader missed items

Errors carry their figures as attributes, so that a handler never parses a message.
"""


class BoundedError(Exception):
    """
    The root of every error that this library defines.

    >>> issubclass(TooLarge, BoundedError)
    True
    """


class TooLarge(BoundedError, ValueError):
    """
    One item is larger than the bound it would have to fit into; nothing was changed.

    >>> error = TooLarge("history 'room'", size=300, limit=200)
    >>> print(error)
    history 'room' refuses an item of 300 bytes: the limit is 200 bytes
    >>> error.size, error.limit
    (300, 200)

    Attributes:
        size: bytes of the refused item, or the count of bytes at which measuring stopped.
        limit: bytes that would have been allowed.
    """

    def __init__(self, where: str, *, size: int, limit: int) -> None:
        super().__init__(f"{where} refuses an item of {size} bytes: the limit is {limit} bytes")
        self.where = where
        self.size = size
        self.limit = limit

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild_too_large, (self.where, self.size, self.limit)


def _rebuild_too_large(where: str, size: int, limit: int) -> TooLarge:
    return TooLarge(where, size=size, limit=limit)


class Closed(BoundedError):
    """
    The collection was closed: it takes nothing in, and has nothing left to give.

    >>> raise Closed("channel 'output' is closed")
    Traceback (most recent call last):
    ...
    boundedcollections._core.errors.Closed: channel 'output' is closed
    """


class WouldBlock(BoundedError):
    """
    A ``_nowait`` call would have had to wait.

    >>> raise WouldBlock("channel 'output' is empty")
    Traceback (most recent call last):
    ...
    boundedcollections._core.errors.WouldBlock: channel 'output' is empty
    """


class LimitReached(BoundedError):
    """
    One more would have been too many; nothing was changed.

    >>> error = LimitReached(
    ...     "ConnectionLimiter 'web'", reason="max_connections", limit=100, retry_after_seconds=2.5
    ... )
    >>> print(error)
    ConnectionLimiter 'web' refuses: max_connections=100 is reached; try again in 2.5 seconds
    >>> error.reason, error.limit, error.retry_after_seconds
    ('max_connections', 100, 2.5)

    Attributes:
        reason: which limit it was, by its name.
        limit: its figure.
        retry_after_seconds: when it is worth trying again, as far as can be told.
    """

    def __init__(self, where: str, *, reason: str, limit: int, retry_after_seconds: float) -> None:
        super().__init__(
            f"{where} refuses: {reason}={limit} is reached; "
            f"try again in {retry_after_seconds:.3g} seconds"
        )
        self.where = where
        self.reason = reason
        self.limit = limit
        self.retry_after_seconds = retry_after_seconds

    def __reduce__(self) -> tuple[object, ...]:
        figures = (self.where, self.reason, self.limit, self.retry_after_seconds)
        return _rebuild_limit_reached, figures


def _rebuild_limit_reached(
    where: str, reason: str, limit: int, retry_after_seconds: float
) -> LimitReached:
    return LimitReached(where, reason=reason, limit=limit, retry_after_seconds=retry_after_seconds)


class RecursiveLoad(BoundedError, RuntimeError):
    """
    A load would have to wait for itself, directly or through others, and so for ever.

    >>> raise RecursiveLoad("the load of 'a' would wait for itself")
    Traceback (most recent call last):
    ...
    boundedcollections._core.errors.RecursiveLoad: the load of 'a' would wait for itself
    """


class Lagged(BoundedError):
    """
    A strict reader missed items; raised once for each gap, before the item that follows it.

    >>> error = Lagged(7)
    >>> print(error, error.missed)
    7 items were dropped before they could be received 7

    Attributes:
        missed: how many items were lost in the gap.
    """

    def __init__(self, missed: int) -> None:
        super().__init__(f"{missed} items were dropped before they could be received")
        self.missed = missed

    def __reduce__(self) -> tuple[object, ...]:
        return Lagged, (self.missed,)
