"""The place of one connection, and its share of what its key may have."""

import math
from collections.abc import Hashable
from typing import Protocol, Self

from boundedcollections._core.lease import Lease


class Host(Protocol):
    """Who lets a connection in, and takes its place back."""

    def _take_back(self, permit: "Permit", *, leaked: bool) -> bool: ...

    def _where(self) -> str: ...


class Share:
    """How many of one key are inside or waiting."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


class Permit(Lease):
    """
    The place of one connection; use it in a ``with``, or release it by hand.

    >>> from boundedcollections import ConnectionLimiter
    >>> limiter = ConnectionLimiter(max_connections=10)
    >>> with limiter.acquire_nowait():
    ...     limiter
    <ConnectionLimiter connections=1/10>

    Attributes:
        key: the key it was acquired for.
    """

    __slots__ = ("_inside", "_share", "_since", "key")

    _owner: Host

    def __init__(self, owner: Host, key: Hashable) -> None:
        self.key = key
        self._inside = False
        self._share: Share | None = None
        self._since = math.inf  # until it begins
        self._owner = owner

    @property
    def released(self) -> bool:
        """Whether the place was given back."""
        return not self._inside

    def __enter__(self) -> Self:
        return self

    def _give_back(self, *, leaked: bool) -> bool:
        return self._owner._take_back(self, leaked=leaked)  # noqa: SLF001  # one mechanism

    def _where(self) -> str:
        return f"a permit of {self._owner._where()}"  # noqa: SLF001
