"""What every store of entries does alike: change under one lock, evict, and book its tables."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Final, TypeVar

from boundedcollections._core.budgets import Budget, Place
from boundedcollections._core.events import Departures, Notifier, RemovalCause, told
from boundedcollections._core.ledger import Ledger
from boundedcollections._core.tables import TableMeter, slots_for

R = TypeVar("R")


class _StorePlace(Place):
    """The place of a store, whose claim is read where it is booked: a budget does so often."""

    __slots__ = ("_ledger",)

    def __init__(self, owner: "Store", budget: Budget, *, ledger: Ledger, **settings: Any) -> None:
        self._ledger = ledger
        super().__init__(owner, budget, **settings)

    @property
    def claimed_bytes(self) -> int:
        return self._ledger.bytes


_SLICE: Final = 32
"""So many entries leave at once on the way to a target: well below a millisecond."""


class Store(ABC):
    """
    A collection that holds entries in tables, and evicts the oldest to keep its bounds.

    The tables are booked at their real size. A step of their growth is booked before it is made;
    what has to be evicted for it dies before the new tables come, so that the bound is kept in
    bytes at that moment, too. Tables with little left in them are replaced by smaller ones.

    In a budget it also has a target, which may fall far below what is held. Each write comes
    nearer to it by a slice; meanwhile the limit is what is held, so that nothing grows.
    """

    __slots__ = ("_ledger", "_lock", "_meter", "_notify", "_place", "_tidying", "name")

    name: str | None
    _ledger: Ledger
    _lock: threading.RLock
    _meter: TableMeter
    _notify: Notifier[*tuple[Any, ...]]
    _place: Place | None
    _tidying: bool

    @abstractmethod
    def _count(self) -> int:
        """Return how many entries the tables hold."""

    @abstractmethod
    def _release_oldest(self, cause: RemovalCause, left: Departures) -> object | None:
        """Let the oldest entry go; None if there is none."""

    @abstractmethod
    def _restate(self, left: Departures) -> None:
        """Bring everything in line with what is held, after an exception in the middle."""

    @abstractmethod
    def _table_bytes(self, slots: int) -> int:
        """Return the bytes of new tables with so many slots."""

    @abstractmethod
    def _measured_tables(self) -> int:
        """Return the bytes of the tables that there are."""

    @abstractmethod
    def _copy_tables(self) -> None:
        """Put everything into tables that fit it, if nothing interrupts that."""

    def _under_lock(self, act: Callable[[Departures], R]) -> R:
        """Run `act` under the lock; afterwards tell what left."""
        left: Departures = []
        try:
            with self._lock:
                try:
                    result = act(left)
                except BaseException:
                    self._restate(left)
                    raise
        finally:
            if left:
                self._notify(told(left))
        if not self._tidying and self._meter.is_worn(entries=self._ledger.items):
            self._tidy()
        return result

    def _join(self, budget: Budget | None, *, floor_bytes: int, weight: float) -> None:
        """Join `budget`, if there is one, before anything is held."""
        self._place = None
        if budget is None:
            return
        self._place = _StorePlace(
            self,
            budget,
            ledger=self._ledger,
            name=type(self).__name__ if self.name is None else self.name,
            max_bytes=self._ledger.max_bytes,
            floor_bytes=floor_bytes,
            weight=weight,
        )

    def _claimed_bytes(self) -> int:
        return self._ledger.bytes

    def _aim(self, target_bytes: int) -> None:
        self._ledger.target = target_bytes

    def _shed(self) -> bool:
        self._under_lock(self._obey)
        return self._ledger.obeyed != self._ledger.target

    def _press(self, size: int) -> None:
        """Tell the budget that its target is in the way of a write; without a lock."""
        assert self._place is not None  # or there would be no target
        self._place.account.press(size)

    def _resized(self) -> None:
        """Let the budget know of another bound."""
        if self._place is not None:
            self._place.account.max_bytes = self._ledger.max_bytes

    def _obey(self, left: Departures) -> None:
        """Come nearer to the target by one slice of evictions, and no further in one write."""
        for _ in range(_SLICE):
            if self._ledger.follow():
                return
            if self._release_oldest(RemovalCause.SIZE, left) is None:
                break
        if self._meter.is_worn(entries=self._count()) or not self._count():
            self._copy_tables()
        self._ledger.follow()

    def _admit(self, size: int, left: Departures) -> RemovalCause | None:
        """
        Book a new entry, after evicting what is in its way.

        Returns the bound that is in its way for good, if a write that this one interrupted has
        booked all of it; then the entry has to leave at once.
        """
        while (cause := self._ledger.admit(size)) is not None:
            if not self._evict_oldest(size, 1, left) and self._ledger.shortage(size) is not None:
                self._ledger.turn_away(size, cause)
                return cause
        return None

    def _evict_oldest(self, size: int, items: int, left: Departures) -> bool:
        """Evict one entry if `items` more of `size` bytes need it; say whether that was so."""
        cause = self._ledger.shortage(size, items=items)
        if cause is None:
            return False
        if self._release_oldest(cause, left) is not None:
            return True
        if not self._ledger.table_bytes:
            return False
        self._copy_tables()  # nothing is held, but the tables were made for more
        return True

    def _shrink(self, left: Departures) -> None:
        """Evict down to bounds that have become smaller, tables included."""
        while self._evict_oldest(0, 0, left):
            if self._meter.is_worn(entries=self._count()):
                self._copy_tables()

    def _growth(self) -> int:
        """Return the bytes of the new tables that an insert makes; 0 if it makes none."""
        slots = self._meter.next_slots(entries=self._count())
        return self._table_bytes(slots) if slots else 0

    def _prepare_tables(self) -> None:
        """Evict for new tables in a step of its own, so that the victims die before they come."""

        def evict(left: Departures) -> None:
            self._ledger.unreserve(self._reserve_tables(left))

        self._under_lock(evict)

    def _reserve_tables(self, left: Departures) -> int:
        """Book the bytes of the new tables, if an insert is going to make some."""
        while not self._ledger.reserve(growth := self._growth()):
            if not self._evict_oldest(growth, 0, left):
                return 0
        return growth

    def _settle_insert(self, reserved: int, left: Departures) -> None:
        """Book what the tables have become by an insert, in place of what was reserved."""
        self._ledger.unreserve(reserved)
        grown = self._settle_tables()
        self._meter.insert(entries=max(self._count() - 1, 0), grown=grown)
        if grown and not reserved:  # nobody foresaw it: an interruption has used up the slots
            self._shrink(left)

    def _settle_tables(self) -> bool:
        """Book what the tables have become; say whether they have grown."""
        grown = False
        while (size := self._measured_tables()) != self._ledger.table_bytes:
            grown = size > self._ledger.table_bytes
            self._ledger.retable(size)
        return grown

    def _tidy(self) -> None:
        """Make smaller tables, once there is room for them beside the old ones."""
        self._tidying = True
        try:
            self._under_lock(self._make_room_to_tidy)
            self._under_lock(self._replace_tables)
        finally:
            self._tidying = False

    def _make_room_to_tidy(self, left: Departures) -> None:
        """Evict in a step of its own, so that the victims die first; but never the newest."""
        while self._count() > 1 and self._evict_oldest(self._tidy_bytes(), 0, left):
            pass

    def _replace_tables(self, _left: Departures) -> None:
        if self._ledger.shortage(self._tidy_bytes(), items=0) is None:  # else the next time
            self._copy_tables()

    def _tidy_bytes(self) -> int:
        return self._table_bytes(slots_for(3 * self._count()))
