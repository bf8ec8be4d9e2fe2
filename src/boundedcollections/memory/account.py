"""What a budget keeps about one of its members, and how it deals with one that fails."""

import logging
import weakref
from collections.abc import Callable
from typing import Final

from boundedcollections._core.budgets import Member
from boundedcollections.memory.statistics import MemberStatistics

_log: Final = logging.getLogger("boundedcollections")


class Account:
    """
    The place of one member in a `MemoryBudget`; the member is held weakly.

    A member that raises does no harm to the others: it is counted, and logged once until it works
    again. One whose claim cannot be read is taken to hold what it may hold.

    Attributes:
        member: returns it, or None once it is gone or has left.
        name: for people and metrics.
        max_bytes: the most that the member ever holds, None if only its target limits it; for
            the owner to keep up to date.
        floor_bytes: what it can count on.
        weight: its share beside the others'.
        target_bytes: how much it may hold at present.
        asked_bytes: the size of a write that the target was in the way of.
        asked_until: when that is forgotten.
        is_new: whether it has had no share yet.
        is_short: whether its share is less than it needs.
        told_bytes: what the member was told of that; None before the first time.
        errors: how often the member has raised.
    """

    __slots__ = (
        "__weakref__",
        "_has_failed",
        "_leave",
        "_press",
        "asked_bytes",
        "asked_until",
        "errors",
        "floor_bytes",
        "is_new",
        "is_short",
        "max_bytes",
        "member",
        "name",
        "target_bytes",
        "told_bytes",
        "weight",
    )

    def __init__(
        self,
        member: Member,
        *,
        leave: Callable[[], None],
        press: Callable[["Account", int], None],
        name: str,
        max_bytes: int | None,
        floor_bytes: int,
        weight: float,
    ) -> None:
        self.member: Callable[[], Member | None] = weakref.ref(member)
        self._leave = leave
        self._press = press
        self.told_bytes: int | None = None
        self._has_failed = False
        self.asked_bytes = 0
        self.asked_until = 0.0
        self.is_new = True
        self.is_short = False
        self.errors = 0
        self.name = name
        self.max_bytes = max_bytes
        self.floor_bytes = floor_bytes
        self.weight = weight
        self.target_bytes = 0

    @property
    def claimed_bytes(self) -> int:
        """What the member holds by its own books; 0 when it is gone."""
        member = self.member()
        if member is None:
            return 0
        try:
            return member.claimed_bytes
        except Exception:  # noqa: BLE001  # a user's collection may raise anything
            self._complain("does not say what it claims")
            return self.target_bytes

    def statistics(self) -> MemberStatistics:
        """Return the figures of this moment; looking changes none of them."""
        return MemberStatistics(
            name=self.name,
            claimed_bytes=self.claimed_bytes,
            target_bytes=self.target_bytes,
            floor_bytes=self.floor_bytes,
            max_bytes=self.max_bytes,
            weight=self.weight,
            errors=self.errors,
        )

    def close(self) -> None:
        """Leave the budget, which counts the member no more; closing again changes nothing."""
        self.member = _nobody
        self._leave()

    def press(self, size: int) -> None:
        """
        Say that the target is in the way of a write of `size` bytes.

        Shares are set anew for it, once a second at most. Call it without holding a lock.
        """
        self._press(self, size)

    def tell(self) -> bool:
        """Let the member know its target, if that is new to it; say whether it does."""
        member = self.member()
        while member is not None and self.told_bytes != (target := self.target_bytes):
            try:
                member.target_bytes = target
            except Exception:  # noqa: BLE001
                self._complain("does not take its target")
                return False
            self.told_bytes = target  # and once more, if something interrupted this meanwhile
        return True

    def shed(self) -> bool:
        """Have the member evict a few items; return whether it did, and has more to evict."""
        member = self.member()
        if member is None:
            return False
        before = self.claimed_bytes
        try:
            has_more = member.shed()
        except Exception:  # noqa: BLE001
            self._complain("does not shed")
            return False
        self._has_failed = False
        return has_more and self.claimed_bytes < before

    def _complain(self, what: str) -> None:
        self.errors += 1
        if not self._has_failed:
            self._has_failed = True
            _log.exception("%s %s", self.name, what)


def _nobody() -> None:
    return None
