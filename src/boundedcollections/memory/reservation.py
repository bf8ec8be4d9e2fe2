"""Bytes of a budget that nobody can evict, for as long as somebody needs them."""

from typing import Protocol, Self

from boundedcollections._core.lease import Lease


class Reserve(Protocol):
    """Who sets the bytes aside, and takes them back."""

    def _release(self, reservation: "Reservation") -> bool: ...

    def _where(self) -> str: ...


class Reservation(Lease):
    """
    Bytes of a `MemoryBudget` that are set aside until they are released; use it in a ``with``.

    Attributes:
        size: how many bytes; 0 after the release.
    """

    __slots__ = ("size",)

    _owner: Reserve

    def __init__(self, owner: Reserve) -> None:
        self.size = 0
        self._owner = owner

    @property
    def released(self) -> bool:
        """Whether the bytes were given back."""
        return not self.size

    def __enter__(self) -> Self:
        return self

    def _give_back(self, *, leaked: bool) -> bool:  # noqa: ARG002  # a leak is given back alike
        return self._owner._release(self)  # noqa: SLF001  # the two are one

    def _where(self) -> str:
        return f"a reservation of {self._owner._where()}"  # noqa: SLF001
