"""
One number of bytes for all collections of a process, and for whatever else it holds.

Ten caches with ten limits add up to a limit that nobody has chosen. In a `MemoryBudget` they
share one: what one of them does not need, another may use, and none is ever evicted from while
somebody writes to it.
"""

import os
import sys
import threading
import time
import weakref
from collections.abc import Callable
from typing import Final

from boundedcollections._core.budgets import Member
from boundedcollections._core.errors import LimitReached, TooLarge
from boundedcollections._core.units import non_negative_int, positive_int, positive_seconds
from boundedcollections.memory.account import Account
from boundedcollections.memory.policy import Level, Plan
from boundedcollections.memory.probe import memory_limit
from boundedcollections.memory.reservation import Reservation, Reserved
from boundedcollections.memory.rounds import Rounds
from boundedcollections.memory.shares import RETRY_SECONDS, Shares, claims_of
from boundedcollections.memory.statistics import BudgetStatistics, MemberStatistics

__all__ = ["BudgetStatistics", "MemberStatistics", "MemoryBudget", "Reservation"]

_CRITICAL_RETRY_SECONDS: Final = 5.0
"""A critical level is not left sooner."""


class MemoryBudget:
    """
    A bound in bytes for many collections together, and for reservations beside them.

    >>> from boundedcollections import MiB
    >>> budget = MemoryBudget(max_bytes=100 * MiB)
    >>> with budget.reserve(30 * MiB):
    ...     budget.reserved_bytes // MiB
    30
    >>> budget
    <MemoryBudget bytes=0/104857600 normal>

    A collection that is given ``budget=`` joins it. It then keeps two bounds: its own `max_bytes`,
    and a *target* that the budget sets. All targets, claims above targets, and reservations
    together never exceed the budget's `max_bytes`; so neither do the bytes held, except for a
    while after a member with a floor has joined, until the others have made room for it.

    **Shares**: each member may have what it needs. Where that is too much for all, they share by
    `weight`, but none gets less than its `floor_bytes`, and what one does not need goes to the
    others. What nobody needs is room to grow. Shares follow the needs when members join or leave,
    when reservations come and go, and whenever a `MemoryMonitor` carries out a plan.

    **At the target** a collection evicts on its own writes, a slice at a time, so that no single
    write pays for a large change; `catch_up` does the rest, and a monitor calls it. An item
    that is larger than the target by itself is refused with `TooLarge`; so give a collection a
    floor in which its largest item fits if it must never refuse one.

    **Reservations** are for memory that nobody can evict, such as the body of a request. If there
    is no room, `reserve` raises `LimitReached`; members' targets are then lowered, so that there
    is room for the next try.

    **Levels**: how short memory is. A monitor, which measures the process, sets it; without one
    it stays NORMAL, and only claims and reservations count. At CRITICAL, `admit` and `reserve`
    refuse.

    **Threads and tasks**: every method may be called from any thread and any task, from a
    destructor and from a signal handler. The budget never waits for a collection, nor calls into
    one during a write to it; a collection never waits for the budget. A child process that comes
    by ``fork`` has a budget of its own, with the same members.

    **Complexity**: O(members) for everything but `admit`; writes to members cost nothing more.

    **When not to use it**: for a single collection, whose own `max_bytes` does the same.

    Args:
        max_bytes: the most bytes for all members and reservations together.
        fraction: the bound as a part of what the process may use: the limit of its control group,
            or the memory of the machine. Either this or `max_bytes` is required.
        name: for people and metrics.
        clock: seconds, never going back.

    Raises:
        TypeError: both bounds were given or none, or an argument has the wrong type.
        ValueError: the bound is below 1, or `fraction` not above 0 and at most 1.
        RuntimeError: `fraction` was given, and nothing here says what the process may use.
    """

    __slots__ = (
        "__weakref__",
        "_clock",
        "_generation",
        "_level",
        "_lock",
        "_refused_admissions",
        "_refused_reservations",
        "_reserved",
        "_rounds",
        "_shares",
        "name",
    )

    def __init__(
        self,
        *,
        max_bytes: int | None = None,
        fraction: float | None = None,
        name: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._shares = Shares(_bound(max_bytes, fraction), clock)
        self.name = name
        self._clock = clock
        self._rounds = Rounds(self._shares, clock)
        self._reserved = Reserved(self._shares)
        self._lock = threading.RLock()
        self._generation = 0  # of the plan that was carried out last
        self._level = Level.NORMAL
        self._refused_reservations = self._refused_admissions = 0
        _budgets.add(self)

    # ── figures ─────────────────────────────────────────────────────────────────────────────

    @property
    def max_bytes(self) -> int:
        """The bound in bytes."""
        return self._shares.max_bytes

    @property
    def claimed_bytes(self) -> int:
        """What all members hold together, by their own books; O(members)."""
        return sum(claims_of(self._shares.accounts))

    @property
    def reserved_bytes(self) -> int:
        """What is reserved beside them."""
        return self._shares.reserved_bytes

    @property
    def current_bytes(self) -> int:
        """What members hold and what is reserved; O(members)."""
        return self.claimed_bytes + self._shares.reserved_bytes

    @property
    def level(self) -> Level:
        """How short memory is, as of the last plan; NORMAL without a monitor."""
        return self._level

    def statistics(self) -> BudgetStatistics:
        """
        Return the figures of this moment; looking changes none of them.

        >>> budget = MemoryBudget(max_bytes=1_000)
        >>> reservation = budget.reserve(400)
        >>> budget.statistics().reserved_bytes, budget.statistics().target_bytes
        (400, 1000)
        >>> reservation.release()
        """
        with self._lock:
            members = tuple(
                [
                    account.statistics()
                    for account in self._shares.accounts
                    if account.member() is not None
                ]
            )
            return BudgetStatistics(
                max_bytes=self._shares.max_bytes,
                claimed_bytes=sum(member.claimed_bytes for member in members),
                reserved_bytes=self._shares.reserved_bytes,
                peak_reserved_bytes=self._reserved.peak_bytes,
                target_bytes=self._shares.allowed_bytes,
                level=self._level,
                reservations=self._reserved.count,
                refused_reservations=self._refused_reservations,
                refused_admissions=self._refused_admissions,
                members=members,
            )

    def __repr__(self) -> str:
        return (
            f"<{self._where()} bytes={self.current_bytes}/{self._shares.max_bytes} {self._level}>"
        )

    def _where(self) -> str:
        kind = type(self).__name__
        return kind if self.name is None else f"{kind} {self.name!r}"

    # ── members ─────────────────────────────────────────────────────────────────────────────

    def join(
        self,
        member: Member,
        *,
        name: str | None = None,
        max_bytes: int | None = None,
        floor_bytes: int = 0,
        weight: float = 1.0,
    ) -> Account:
        """
        Open an account for `member`, and set its first target.

        The collections of this library do that themselves when they are given ``budget=``; here
        is how one of your own does it.

        >>> class Names:
        ...     claimed_bytes = target_bytes = 0
        ...
        ...     def __init__(self, budget):
        ...         self.names = []
        ...         self.account = budget.join(self, name="names")
        ...
        ...     def add(self, name):
        ...         self.names.append(name)
        ...         self.claimed_bytes += len(name)
        ...         while self.shed():
        ...             pass
        ...
        ...     def shed(self):
        ...         if self.claimed_bytes > self.target_bytes:
        ...             self.claimed_bytes -= len(self.names.pop(0))
        ...         return self.claimed_bytes > self.target_bytes
        >>> names = Names(MemoryBudget(max_bytes=10))
        >>> for name in ("Anna", "Bela", "Carl"):
        ...     names.add(name)
        >>> names.names
        ['Bela', 'Carl']

        The member is held weakly; its account ends with it, or with `Account.close`.

        Args:
            member: has `claimed_bytes`, takes `target_bytes`, and can `shed`.
            name: for people and metrics; by default that of its class.
            max_bytes: the most it ever holds, if there is such a bound beside its target.
            floor_bytes: how much it may hold whatever happens.
            weight: its share beside the others'.

        Raises:
            TypeError: an argument has the wrong type.
            ValueError: the floor is above `max_bytes`, or all floors together are above that of
                the budget; a figure is below its least. Nothing was changed.
        """
        account = Account(
            member,
            leave=self._rebalance,
            press=self._press,
            name=type(member).__name__ if name is None else name,
            max_bytes=None if max_bytes is None else positive_int("max_bytes", max_bytes),
            floor_bytes=non_negative_int("floor_bytes", floor_bytes),
            weight=_number("weight", "a finite number above 0", weight, most=sys.float_info.max),
        )
        if max_bytes is not None and floor_bytes > max_bytes:
            raise ValueError(f"floor_bytes must be at most {max_bytes}, got {floor_bytes}")
        with self._lock:
            shares = self._shares
            room = shares.max_bytes - shares.reserved_bytes - shares.floors()
            if account.floor_bytes > room:
                raise ValueError(
                    f"floor_bytes must be at most {max(room, 0)}, what other floors and "
                    f"reservations leave of {self._where()}, got {floor_bytes}"
                )
            account.target_bytes = account.floor_bytes
            shares.accounts = (*shares.accounts, account)
            shares.share_out()
            account.is_new = False
        return account

    def _rebalance(self) -> None:
        with self._lock:
            self._shares.share_out()

    def _press(self, account: Account, size: int) -> None:
        self._shares.press(account, size)
        if self._shares.is_due():
            with self._lock:
                self._shares.serve()

    # ── reservations and admission ──────────────────────────────────────────────────────────

    def reserve(self, size: int) -> Reservation:
        """
        Set `size` bytes aside that nobody can evict, until they are released.

        >>> budget = MemoryBudget(max_bytes=1_000)
        >>> with budget.reserve(800):
        ...     budget.reserve(300)
        Traceback (most recent call last):
        ...
        boundedcollections._core.errors.LimitReached: MemoryBudget refuses: max_bytes=1000 is ...

        Reserve what is worth it: each reservation looks at all members.

        Raises:
            LimitReached: there is no room at present, or the level is CRITICAL.
            TooLarge: there never is so much room.
            ValueError: `size` is below 1.
        """
        size = positive_int("size", size)
        reservation = Reservation(self)
        with self._lock:
            most = self._shares.max_bytes - self._shares.floors()
            if size > most:
                self._refused_reservations += 1
                raise TooLarge(self._where(), size=size, limit=most)
            if self._level is Level.CRITICAL:
                self._refused_reservations += 1
                raise self._refusal(_CRITICAL_RETRY_SECONDS)
            if not self._reserved.take(reservation, size):
                self._shares.ask(size)
                self._shares.share_out()
                if not self._reserved.take(reservation, size):
                    self._refused_reservations += 1
                    raise self._refusal(RETRY_SECONDS)
        return reservation

    def admit(self) -> None:
        """
        Raise `LimitReached` if nothing new is to be let in, because the level is CRITICAL; O(1).

        >>> MemoryBudget(max_bytes=1_000).admit()

        For a server to ask before it accepts a connection or starts a child process.

        Raises:
            LimitReached: the level is CRITICAL.
        """
        if self._level is Level.CRITICAL:
            with self._lock:
                self._refused_admissions += 1
            raise self._refusal(_CRITICAL_RETRY_SECONDS)

    def _refusal(self, retry_after_seconds: float) -> LimitReached:
        return LimitReached(
            self._where(),
            reason="max_bytes",
            limit=self._shares.max_bytes,
            retry_after_seconds=retry_after_seconds,
        )

    def _release(self, reservation: Reservation) -> bool:
        with self._lock:
            return self._reserved.give_back(reservation)

    # ── plans ───────────────────────────────────────────────────────────────────────────────

    def apply(self, plan: Plan) -> None:
        """
        Take over the level and the target of `plan`, unless a newer plan has been applied.

        It sets targets, and evicts nothing: that is what `catch_up` and the members' own writes
        are for. A `MemoryMonitor` calls it.
        """
        with self._lock:
            if plan.generation < self._generation:
                return
            self._generation = plan.generation
            self._level = plan.level
            shares = self._shares
            shares.grow = plan.grow
            shares.allowed_bytes = min(plan.target_bytes, shares.max_bytes)
            shares.unmanaged_bytes = plan.unmanaged_bytes
            shares.follow()

    def forget_plan(self) -> None:
        """Go on as without a monitor: at the level NORMAL, by claims and reservations alone."""
        with self._lock:
            self._generation = 0
            self._level = Level.NORMAL
            shares = self._shares
            shares.grow = True
            shares.allowed_bytes, shares.unmanaged_bytes = shares.max_bytes, 0
            shares.share_out()

    def resize(self, *, max_bytes: int) -> None:
        """
        Change the bound, and the targets with it; `catch_up` does what members' writes leave.

        >>> budget = MemoryBudget(max_bytes=1_000)
        >>> budget.resize(max_bytes=2_000)
        >>> budget.max_bytes
        2000

        Raises:
            ValueError: it is less than all floors and reservations together; nothing was changed.
        """
        max_bytes = positive_int("max_bytes", max_bytes)
        with self._lock:
            shares = self._shares
            least = shares.floors() + shares.reserved_bytes
            if max_bytes < least:
                raise ValueError(
                    f"max_bytes must be at least {least}, the sum of floors and reservations, "
                    f"got {max_bytes}"
                )
            is_planned = self._generation > 0
            shares.allowed_bytes = min(shares.allowed_bytes, max_bytes) if is_planned else max_bytes
            shares.share_out()  # targets fall before the bound does
            shares.max_bytes = max_bytes
            shares.share_out()

    def catch_up(self, max_seconds: float = 0.001) -> bool:
        """
        Have members that are above their targets evict, in small slices; return whether more is left.

        It calls into the members without a lock, so what they tell their listeners of is told in
        the thread of the caller. A member that raises, or cannot shrink, is passed over.

        >>> MemoryBudget(max_bytes=1_000).catch_up()
        False

        Args:
            max_seconds: begin no further slice after so many seconds.
        """
        return self._rounds.go(self._clock() + positive_seconds("max_seconds", max_seconds))

    def _check(self) -> None:
        """Assert the invariants."""
        with self._lock:
            self._reserved.check()
            self._shares.check()


def _bound(max_bytes: int | None, fraction: float | None) -> int:
    if (max_bytes is None) == (fraction is None):
        raise TypeError(f"give either max_bytes or fraction, got {max_bytes!r} and {fraction!r}")
    if max_bytes is not None:
        return positive_int("max_bytes", max_bytes)
    part = _number("fraction", "a number above 0 and at most 1", fraction, most=1.0)
    limit = memory_limit()
    if limit is None:
        raise RuntimeError("nothing here says how much memory the process may use: give max_bytes")
    return max(int(limit * part), 1)


def _number(name: str, rule: str, value: object, *, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be {rule}, got {value!r}")
    if not 0 < value <= most:
        raise ValueError(f"{name} must be {rule}, got {value!r}")
    return float(value)


_budgets: Final = weakref.WeakSet["MemoryBudget"]()


def _renew_locks() -> None:  # pragma: no cover  # coverage does not see a forked child
    """Give the budgets of a forked child locks that none of its parent's threads holds."""
    for budget in list(_budgets):
        budget._lock = threading.RLock()  # noqa: SLF001


if hasattr(os, "register_at_fork"):  # pragma: no branch  # there is no fork elsewhere
    os.register_at_fork(after_in_child=_renew_locks)
