"""
What a collection and a budget know of each other.

The budget reads one integer of a member and writes one; it never calls into a member while
somebody writes to it, and never holds a lock meanwhile. A member obeys on its own writes, or in
small slices when it is asked to.
"""

import weakref
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


class Owner(Protocol):
    """What a collection of this library does as a member, under names that are its own affair."""

    def _claimed_bytes(self) -> int: ...

    def _aim(self, target_bytes: int) -> None: ...

    def _shed(self) -> bool: ...


class Place:
    """
    The place of a collection of this library in a budget.

    The budget's member is this object, which the collection keeps alive. So the names of the
    protocol stay away from the collection's own, and the account ends with the collection.

    Attributes:
        account: what the budget keeps of it.
        target_bytes: what it was told last.
    """

    __slots__ = ("__weakref__", "_owner", "_target_bytes", "account")

    def __init__(
        self,
        owner: Owner,
        budget: Budget,
        *,
        name: str,
        max_bytes: int | None,
        floor_bytes: int,
        weight: float,
    ) -> None:
        self._owner = weakref.ref(owner)
        self._target_bytes = 0
        self.account = budget.join(
            self, name=name, max_bytes=max_bytes, floor_bytes=floor_bytes, weight=weight
        )

    @property
    def claimed_bytes(self) -> int:
        """What the collection holds."""
        owner = self._owner()
        return 0 if owner is None else owner._claimed_bytes()  # noqa: SLF001  # its own affair

    @property
    def target_bytes(self) -> int:
        """What it was told last."""
        return self._target_bytes

    @target_bytes.setter
    def target_bytes(self, target_bytes: int) -> None:
        self._target_bytes = target_bytes
        owner = self._owner()
        if owner is not None:
            owner._aim(target_bytes)  # noqa: SLF001

    def shed(self) -> bool:
        """Have the collection evict a few items; say whether it is still above its target."""
        owner = self._owner()
        return owner is not None and owner._shed()  # noqa: SLF001
