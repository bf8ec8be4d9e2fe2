"""The only place where item and byte totals change: held, peak, accepted, and left by cause."""

import math
from typing import Any, Final, NamedTuple, Protocol

from boundedcollections._core.errors import TooLarge
from boundedcollections._core.events import RemovalCause
from boundedcollections._core.units import positive_int

_SIZE: Final = RemovalCause.SIZE  # an attribute of an enumeration is a call on 3.11
_COUNT: Final = RemovalCause.COUNT

REFUSED: Final = object()
"""Returned where an item does not fit."""


class Tally(NamedTuple):
    """
    Items and their bytes together, counted since the collection was created.

    >>> Tally(items=2, bytes=120)
    Tally(items=2, bytes=120)
    """

    items: int
    bytes: int


class Holding(Protocol):
    """
    An entry whose content can be exchanged for another's.

    Attributes:
        value: what is held.
        size: its bytes; negative as soon as the entry has left.
        deadline: when it expires, by the owner's clock, or None.
    """

    value: Any
    size: int
    deadline: float | None


class Ledger:
    """
    The books of one collection. Its owner calls every method under its own lock.

    **Books first**: a collection admits an item before it stores it, and releases it after it
    has let go. So the books are never below the truth, and whatever interrupts a write between
    two lines (a signal handler, a destructor that the garbage collector runs) may use the same
    collection and still finds the bound kept. For the same reason no method makes a call
    between its test and its booking: CPython runs foreign code only at calls and jumps.

    >>> ledger = Ledger("history", max_items=None, max_bytes=100)
    >>> ledger.admit(60), ledger.admit(60)
    (None, <RemovalCause.SIZE: 'size'>)
    >>> ledger.release(60, RemovalCause.SIZE)
    >>> ledger.admit(60), ledger.items, ledger.bytes
    (None, 1, 60)

    **The limit** in bytes is one number, `byte_limit`, and what asks whether something fits asks
    it here: `admit`, `reserve`, `exchange` and `shortage`. No owner compares bytes by itself.

    **The target** is what a budget allows. Whoever sets it does no more than that; the owner has
    the limit `follow` it, at the beginning of its next call. A limit never falls below what is
    held: it comes down together with it, so that the owner may take its time.

    Attributes:
        items: how many items are held.
        bytes: the sum of their sizes, and of the tables that hold them.
        table_bytes: the bytes of those tables, as far as they have been booked.
        peak_items: the most items ever held.
        peak_bytes: the most bytes ever held.
        rejected: how many items were refused because one alone exceeds the bound.
        byte_limit: how many bytes may be held at this moment.
        byte_goal: what that has to come to, `max_bytes` or less; infinity without any bound.
        target: what a budget allows; infinity without one. It may change at any moment.
        obeyed: the target that the limit has come to.
        crowded_at: from more bytes than this on it is the target that keeps a write from fitting.
    """

    __slots__ = (
        "_accepted_bytes",
        "_accepted_items",
        "_item_limit",
        "_max_bytes",
        "_tallies",
        "_where",
        "byte_goal",
        "byte_limit",
        "bytes",
        "crowded_at",
        "items",
        "obeyed",
        "peak_bytes",
        "peak_items",
        "rejected",
        "table_bytes",
        "target",
    )

    def __init__(self, where: str, *, max_items: int | None, max_bytes: int | None) -> None:
        self._where = where
        self._item_limit = _limit("max_items", max_items)
        self._max_bytes = self.byte_goal = self.byte_limit = _limit("max_bytes", max_bytes)
        self.target = self.obeyed = self.crowded_at = math.inf
        self.items = self.bytes = self.table_bytes = 0
        self.peak_items = self.peak_bytes = 0
        self.rejected = 0
        self._accepted_items = self._accepted_bytes = 0
        self._tallies = {cause: [0, 0] for cause in RemovalCause}

    @property
    def max_items(self) -> int | None:
        """The bound in items, if there is one."""
        return None if self._item_limit == math.inf else int(self._item_limit)

    @property
    def max_bytes(self) -> int | None:
        """The bound in bytes, if there is one."""
        return None if self._max_bytes == math.inf else int(self._max_bytes)

    @property
    def accepted(self) -> Tally:
        """What was ever admitted: what is held plus everything that left."""
        return Tally(self._accepted_items, self._accepted_bytes)

    @property
    def left(self) -> dict[RemovalCause, Tally]:
        """What left, by cause; every cause is present."""
        return {cause: Tally(*tally) for cause, tally in self._tallies.items()}

    def admit(self, size: int) -> RemovalCause | None:
        """Book one item of `size` bytes if it fits; otherwise only say which bound is in the way."""
        items = self.items + 1
        total = self.bytes + size
        if total > self.byte_limit:
            return _SIZE
        if items > self._item_limit:
            return _COUNT
        self.items = items
        self.bytes = total
        self._accepted_items += 1
        self._accepted_bytes += size
        if items > self.peak_items:
            self.peak_items = items
        if total > self.peak_bytes:
            self.peak_bytes = total
        return None

    def shortage(self, size: int = 0, *, items: int = 1) -> RemovalCause | None:
        """Return which bound `items` more of `size` bytes together would break, None if none."""
        if self.bytes + size > self.byte_limit:
            return _SIZE
        if self.items + items > self._item_limit:
            return _COUNT
        return None

    def release(self, size: int, cause: RemovalCause, *, items: int = 1) -> None:
        """Book out `items` items of `size` bytes together."""
        self.items -= items
        self.bytes -= size
        tally = self._tallies[cause]
        tally[0] += items
        tally[1] += size

    def reserve(self, size: int) -> bool:
        """Book `size` bytes more for what is held already, if they fit; see `unreserve`."""
        total = self.bytes + size
        if total > self.byte_limit:
            return False
        self.bytes = total
        if total > self.peak_bytes:
            self.peak_bytes = total
        return True

    def exchange(
        self,
        held: Holding,
        value: object,
        size: int,
        deadline: float | None,
        cause: RemovalCause | None,
    ) -> Any:
        """
        Give `held` another content if that fits, and return its old value and deadline.

        It is done and booked in one step, so that nothing can find the one without the other. With
        a `cause` it is another item that takes the place, without it the same one, measured anew.
        Returns `REFUSED`, with nothing changed, if it does not fit, or if `held` has left already.
        """
        old_size = held.size
        total = self.bytes + size - old_size
        if total > self.byte_limit or old_size < 0:
            return REFUSED
        old = held.value, held.deadline
        held.value = value
        held.size = size
        held.deadline = deadline
        self.bytes = total
        if total > self.peak_bytes:
            self.peak_bytes = total
        if cause is None:
            self._accepted_bytes += size - old_size
            return old
        self._accepted_items += 1
        self._accepted_bytes += size
        tally = self._tallies[cause]
        tally[0] += 1
        tally[1] += old_size
        return old

    def unreserve(self, size: int) -> None:
        """Give back what was reserved."""
        self.bytes -= size

    def retable(self, size: int) -> None:
        """Book that the tables have `size` bytes now."""
        self.bytes += size - self.table_bytes
        self.table_bytes = size
        self._note_peak()

    def turn_away(self, size: int, cause: RemovalCause) -> None:
        """Book an item that was accepted and had to leave at once, so that no count is lost."""
        self._accepted_items += 1
        self._accepted_bytes += size
        tally = self._tallies[cause]
        tally[0] += 1
        tally[1] += size

    def reject(self, size: int, *, limit: int | None = None) -> TooLarge:
        """Count an item that alone exceeds the bound (or `limit`), and return the error to raise."""
        self.rejected += 1
        limit = int(self.byte_limit) if limit is None else limit
        return refusal(self._where, size, limit, self.byte_goal < self._max_bytes)

    def follow(self) -> bool:
        """Bring the limit as near to the target as what is held allows; say whether it is there."""
        target = self.target
        if target < self._max_bytes:
            self.byte_goal = self.crowded_at = goal = target
        else:
            self.byte_goal = goal = self._max_bytes
            self.crowded_at = math.inf
        if self.bytes > goal:
            self.byte_limit = self.bytes
            return False
        self.byte_limit = goal
        self.obeyed = target
        return True

    def resize(self, *, max_items: int | None = None, max_bytes: int | None = None) -> None:
        """Change the bounds that are given. The owner evicts until `shortage` is None."""
        item_limit = self._item_limit if max_items is None else positive_int("max_items", max_items)
        most = self._max_bytes if max_bytes is None else positive_int("max_bytes", max_bytes)
        goal = min(most, self.target)
        limit = goal if self.bytes <= goal else min(self.byte_limit, most)
        self._item_limit = item_limit
        self._max_bytes = most
        self.byte_goal = goal
        self.byte_limit = limit
        self.crowded_at = goal if goal < most else math.inf

    def restate(self, items: int, size: int) -> None:
        """Book what an owner really holds after an exception struck in the middle of a write."""
        self.items = items
        self.bytes = size + self.table_bytes
        self._accepted_items = items + sum(tally[0] for tally in self._tallies.values())
        self._accepted_bytes = size + sum(tally[1] for tally in self._tallies.values())
        self._note_peak()

    def _note_peak(self) -> None:
        if self.peak_bytes < self.bytes <= self.byte_limit:  # what is above it is on its way out
            self.peak_bytes = self.bytes

    def __str__(self) -> str:
        return fullness(
            items=self.items,
            max_items=self.max_items,
            held_bytes=self.bytes,
            max_bytes=self.max_bytes,
        )

    def check(self, items: int, size: int) -> None:
        """Assert that the books equal what the owner counted, and keep every bound."""
        assert self.items == items, (self.items, items)
        assert self.bytes == size + self.table_bytes, (self.bytes, size, self.table_bytes)
        assert 0 <= self.items <= self.peak_items, (self.items, self.peak_items)
        assert 0 <= self.bytes <= self.peak_bytes, (self.bytes, self.peak_bytes)
        assert self.shortage(items=0) is None, (self.items, self.bytes)
        assert self.byte_goal <= self.byte_limit <= self._max_bytes
        assert self._accepted_items == items + sum(t[0] for t in self._tallies.values())
        assert self._accepted_bytes == size + sum(t[1] for t in self._tallies.values())


def refusal(where: str, size: int, limit: int, held_down: bool, /) -> TooLarge:
    """Return the error for an item above a limit, which a budget may hold down for the moment."""
    if held_down:
        where += ", held down by its budget,"
    return TooLarge(where, size=size, limit=max(limit, 0))


def fullness(*, items: int, max_items: int | None, held_bytes: int, max_bytes: int | None) -> str:
    """Say how full a collection is, for its ``repr``."""
    figures = (("items", items, max_items), ("bytes", held_bytes, max_bytes))
    parts = [f"{unit}={held}/{limit}" for unit, held, limit in figures if limit is not None]
    return " ".join(parts) or f"items={items}"


def _limit(name: str, value: int | None) -> float:
    return math.inf if value is None else positive_int(name, value)
