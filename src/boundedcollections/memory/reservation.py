"""Bytes of a budget that nobody can evict, for as long as somebody needs them."""

from typing import Protocol, Self

from boundedcollections._core.lease import Lease
from boundedcollections.memory.shares import Shares


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


class Reserved:
    """
    All reservations of one budget, which calls this under its lock.

    Args:
        shares: where the bytes are booked, so that targets leave room for them.

    Attributes:
        count: how many reservations there are.
        peak_bytes: the most bytes ever reserved.
    """

    __slots__ = ("_shares", "count", "peak_bytes")

    def __init__(self, shares: Shares) -> None:
        self._shares = shares
        self.count = self.peak_bytes = 0

    def take(self, reservation: Reservation, size: int) -> bool:
        """Book `size` bytes for `reservation` if there is room; say whether there was."""
        shares = self._shares
        while True:
            changes = shares.changes
            room = shares.room()
            if shares.changes != changes:
                continue  # something that interrupted the sum has booked meanwhile
            if size > room:
                return False
            shares.changes = changes + 1  # no call from here on: nothing can come between
            shares.reserved_bytes += size
            self.count += 1
            reservation.size = size
            if shares.asked_bytes <= size:
                shares.asked_bytes = 0
            if shares.reserved_bytes > self.peak_bytes:  # noqa: PLR1730  # max() is a call
                self.peak_bytes = shares.reserved_bytes
            return True

    def give_back(self, reservation: Reservation) -> bool:
        """Book it off; return False if that was done before."""
        shares = self._shares
        size = reservation.size
        reservation.size = 0
        shares.changes += 1
        shares.reserved_bytes -= size
        if not size:
            return False
        self.count -= 1
        if not shares.reserved_bytes or shares.is_due():
            shares.share_out()
        return True

    def check(self) -> None:
        """Assert the invariants."""
        assert 0 <= self._shares.reserved_bytes <= self.peak_bytes
        assert (self.count == 0) == (self._shares.reserved_bytes == 0)
