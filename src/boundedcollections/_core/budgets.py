"""
What a collection and a budget know of each other.

The budget reads one integer of a member and writes one; it never calls into a member while
somebody writes to it, and never holds a lock meanwhile. A member obeys on its own writes, or in
small slices when it is asked to.
"""

from typing import Protocol

from boundedcollections._core.lease import Lease


class Member(Protocol):
    """
    What a collection has to have to join a budget. All three may be used from any thread.

    Attributes:
        claimed_bytes: what it holds, as counted by its own books; read without any lock, and
            changed before the memory is taken and after it was given up.
        target_bytes: how much it may hold. The budget sets it at any moment; setting it must do
            no more than remember the figure. A write that would lead above it evicts, or is
            refused; a member that is above it already does not grow.
    """

    target_bytes: int

    @property
    def claimed_bytes(self) -> int: ...

    def shed(self) -> bool:
        """Evict a few items if it is above its target; return whether it still is."""


class Membership(Protocol):
    """
    The place of one member in a budget.

    Attributes:
        max_bytes: the most that the member ever holds, None if only its target limits it; for
            the owner to keep up to date.
    """

    max_bytes: int | None

    def press(self, size: int) -> None:
        """Say, without holding a lock, that the target is in the way of a write of `size` bytes."""

    def close(self) -> None:
        """Leave the budget; what the member still holds is not counted any more."""


class Budget(Protocol):
    """What a collection uses of a `MemoryBudget`."""

    def join(
        self,
        member: Member,
        *,
        name: str | None = None,
        max_bytes: int | None = None,
        floor_bytes: int = 0,
        weight: float = 1.0,
    ) -> Membership:
        """Open an account for `member`, and tell it its first target."""

    def reserve(self, size: int) -> Lease:
        """Set `size` bytes aside that nobody can evict."""

    def admit(self) -> None:
        """Raise `LimitReached` when nothing new is to be let in."""
