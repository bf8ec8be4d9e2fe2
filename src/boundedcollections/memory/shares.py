"""Who may hold how much: the accounts of a budget, and what each of their targets is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from boundedcollections.memory.account import Account
from boundedcollections.memory.sharing import water_fill

RETRY_SECONDS: Final = 1.0
"""When what was refused is worth trying again: members have made room by then."""
_ASKED_SECONDS: Final = 10.0
"""How long a member is taken to need the room that it has asked for."""
_GROWTH_SHARE: Final = 16
"""A member needs a sixteenth more than it has, so that it can grow ..."""
_FIRST_STEPS: Final = 64
"""... and this part of an equal share, so that it can begin to."""


@dataclass(frozen=True, slots=True)
class _Range:
    """
    Claims with which the shares stay what they are.

    Whoever has less than it needs goes on needing more; whoever has that holds what it held.
    """

    total: int
    accounts: tuple[Account, ...]
    caps: list[int | None]
    least: list[int]
    most: list[int]


class Shares:
    """
    The targets of all members, and how they follow what each needs.

    Its owner calls every method under its own lock. What interrupts one of them in the middle (a
    destructor, a signal handler) may call another: `changes` tells whether figures still hold.

    Attributes:
        accounts: those of all members, in the order in which they joined.
        asked_bytes: the size of a reservation that was refused and may come again.
        changes: counts what is booked and shared out.
        max_bytes: the bound for members and reservations together.
        allowed_bytes: what a plan allows members to hold together.
        unmanaged_bytes: what is used beside members and reservations, by the same plan.
        grow: whether targets may rise.
        reserved_bytes: what is reserved.
        shared_at: when it was last looked whether the shares are right.
    """

    __slots__ = (
        "_asked_until",
        "_clock",
        "_is_told",
        "_range",
        "accounts",
        "allowed_bytes",
        "asked_bytes",
        "changes",
        "grow",
        "max_bytes",
        "reserved_bytes",
        "shared_at",
        "unmanaged_bytes",
    )

    def __init__(self, max_bytes: int, clock: Callable[[], float]) -> None:
        self.accounts: tuple[Account, ...] = ()
        self.changes = 0
        self.max_bytes = self.allowed_bytes = max_bytes
        self.unmanaged_bytes = self.reserved_bytes = 0
        self.grow = True
        self._clock = clock
        self._is_told = True  # of their targets: all members
        self._range: _Range | None = None
        self.asked_bytes = 0
        self._asked_until = self.shared_at = clock()

    # ── figures ─────────────────────────────────────────────────────────────────────────────

    def living(self) -> tuple[Account, ...]:
        """Return the accounts whose members are there, and forget the others."""
        while True:
            accounts = self.accounts
            living = tuple([account for account in accounts if account.member() is not None])
            if len(living) == len(accounts):
                return accounts
            if self.accounts is accounts:  # else something that interrupted this has added one
                self.accounts = living
                return living

    def floors(self) -> int:
        """Return what all members can count on."""
        return sum([account.floor_bytes for account in self.living()])

    def room(self) -> int:
        """Return how much may be reserved without exceeding the bound."""
        accounts = self.accounts
        held = sum(map(max, [account.target_bytes for account in accounts], claims_of(accounts)))
        return self.max_bytes - self.unmanaged_bytes - self.reserved_bytes - held

    def _total(self) -> int:
        """Return what the plan allows members to hold together."""
        return max(min(self.allowed_bytes, self._ceiling()), 0)

    def _ceiling(self) -> int:
        """Return what members may hold together without exceeding the bound."""
        asked = self.asked_bytes if self._clock() < self._asked_until else 0
        return self.max_bytes - self.unmanaged_bytes - self.reserved_bytes - asked

    # ── what is asked for ───────────────────────────────────────────────────────────────────

    def ask(self, size: int) -> None:
        """Keep room for a reservation of `size` bytes that was refused and may come again."""
        now = self._clock()
        self.asked_bytes = max(self.asked_bytes if now < self._asked_until else 0, size)
        self._asked_until = now + 2 * RETRY_SECONDS

    def press(self, account: Account, size: int) -> None:
        """Note that the target of `account` is in the way of a write; called without the lock."""
        account.asked_bytes = max(account.asked_bytes, size)
        account.asked_until = self._clock() + _ASKED_SECONDS
        if not account.is_short:
            self._range = None

    def is_due(self) -> bool:
        """Say whether it is time to look at the shares again."""
        return self._clock() - self.shared_at >= RETRY_SECONDS

    def _asked_by(self, account: Account) -> int:
        if self._clock() >= account.asked_until:
            account.asked_bytes = 0
        return account.asked_bytes

    # ── sharing ─────────────────────────────────────────────────────────────────────────────

    def follow(self) -> None:
        """Share out anew after another plan, unless all targets may stay."""
        if not (self._is_told and (self._are_in_range() or self._are_comfortable())):
            self.share_out()

    def serve(self) -> None:
        """Share out anew for somebody who lacks something, unless that could not help."""
        self.shared_at = self._clock()
        if not (self._is_told and self._are_in_range()):
            self.share_out()

    def _are_in_range(self) -> bool:
        """Say whether sharing out would set the same targets again."""
        known, accounts = self._range, self.accounts
        if known is None or known.accounts is not accounts or known.total != self._total():
            return False
        if known.caps != [account.max_bytes for account in accounts]:
            return False
        try:
            return all(
                (member := account.member()) is not None and least <= member.claimed_bytes <= most
                for account, least, most in zip(accounts, known.least, known.most, strict=True)
            )
        except Exception:  # noqa: BLE001  # rare; the account knows what to do about its member
            return False

    def _are_comfortable(self) -> bool:
        """Say whether no target is too high, and no member needs more."""
        accounts = self.accounts
        targets = [account.target_bytes for account in accounts]
        if sum(targets) > self._total():
            return False
        crowded = [
            account
            for account, target, claimed in zip(accounts, targets, claims_of(accounts), strict=True)
            if claimed + claimed // _GROWTH_SHARE >= target
        ]
        return all(account.target_bytes == account.max_bytes for account in crowded)

    def share_out(self) -> None:
        """
        Set all targets anew: what one has to give is taken at once, what one gets must be there.

        A target falls before the claim is read that it limits, and a member books before it reads
        its target; so whatever a write may still add is seen here, or not added.
        """
        self.shared_at = self._clock()
        self._is_told = False
        self._range = None
        self.changes = changes = self.changes + 1
        accounts, total = self.living(), self._total()
        claims = claims_of(accounts)
        needs, wanted = self._wanted(accounts, claims, total)
        lowered = [
            i
            for i, (account, want) in enumerate(zip(accounts, wanted, strict=True))
            if want < account.target_bytes
        ]
        for i in lowered:
            account, want = accounts[i], wanted[i]
            if self.changes != changes:
                return  # something that interrupted this has shared out by newer figures
            account.target_bytes = want
        for i in lowered:
            accounts[i].tell()
            claims[i] = accounts[i].claimed_bytes
        self._raise_targets(accounts, claims, wanted, changes)
        known = self._find_range(accounts, claims, needs, wanted)
        if self.changes == changes:
            self._range = known

    def _raise_targets(
        self,
        accounts: Sequence[Account],
        claims: Sequence[int],
        wanted: Sequence[int],
        changes: int,
    ) -> None:
        """Give each what it lacks, if there is room for all of that; otherwise a part of it."""
        grow = self.grow
        total, lacks = 0, []
        for account, claimed, want in zip(accounts, claims, wanted, strict=True):
            have = account.target_bytes
            if claimed > have:  # noqa: PLR1730  # a call each would be dear
                have = claimed
            total += have
            if want > have and (grow or account.is_new):
                lacks.append((account, have, want - have))
        room = max(self._ceiling() - total, 0)
        lacking = sum([lack for _, _, lack in lacks])
        for account, have, lack in lacks:
            more = lack if lacking <= room else lack * room // lacking
            if self.changes != changes:
                return
            if more:
                account.target_bytes = have + more
        is_told = True
        for account in accounts:
            if account.told_bytes != account.target_bytes:
                is_told &= account.tell()
        self._is_told = is_told

    def _wanted(
        self, accounts: Sequence[Account], claims: Sequence[int], total: int
    ) -> tuple[list[int], list[int]]:
        """Return what each needs, and the targets that are right, as if all could have them now."""
        floors = [account.floor_bytes for account in accounts]
        weights = [account.weight for account in accounts]
        needs, caps = [], []
        spare = _spare(accounts, total)
        for account, claimed, floor in zip(accounts, claims, floors, strict=True):
            cap = total if account.max_bytes is None else account.max_bytes
            if cap < floor:  # noqa: PLR1730  # a call each would be dear, here and below
                cap = floor
            need = claimed + claimed // _GROWTH_SHARE + spare
            if account.asked_bytes:
                need = max(need, claimed + self._asked_by(account))
            if need > cap:  # noqa: PLR1730
                need = cap
            needs.append(floor if need < floor else need)  # noqa: FURB136
            caps.append(cap)
        if sum(caps) <= total:
            return needs, caps
        for i, account in enumerate(accounts):
            if account.is_new:  # it would not have joined if it needed nothing
                needs[i] = water_fill(total, floors, caps, weights)[i]
        if sum(needs) > total:
            return needs, water_fill(total, floors, needs, weights)
        return needs, water_fill(total, needs, caps, weights)

    def _find_range(
        self,
        accounts: tuple[Account, ...],
        claims: Sequence[int],
        needs: Sequence[int],
        wanted: Sequence[int],
    ) -> _Range | None:
        """Return with which claims the targets stay the same, if some have less than they need."""
        total = self._total()
        spare = _spare(accounts, total)
        least, most = [], []
        for account, claimed, need, want in zip(accounts, claims, needs, wanted, strict=True):
            account.is_short = want < need
            if account.is_short:  # by its claim alone: what it has asked for will be forgotten
                enough = (want - spare) * _GROWTH_SHARE // (_GROWTH_SHARE + 1) + 2
                least.append(max(enough, 0))
                most.append(want)
            else:
                least.append(claimed if not account.asked_bytes else claimed + 1)  # not for long
                most.append(claimed)
        is_full = any(account.is_short for account in accounts)
        if not is_full or wanted != [account.target_bytes for account in accounts]:
            return None
        return _Range(total, accounts, [account.max_bytes for account in accounts], least, most)

    def check(self) -> None:
        """Assert the invariants."""
        floors = sum(account.floor_bytes for account in self.accounts)
        assert floors + self.reserved_bytes <= self.max_bytes
        assert all(a.target_bytes >= a.floor_bytes for a in self.accounts)
        targets = sum(account.target_bytes for account in self.accounts)
        assert targets + self.reserved_bytes <= self.max_bytes, targets


def claims_of(accounts: Sequence[Account]) -> list[int]:
    """Return what each member holds."""
    try:
        return [
            0 if (member := account.member()) is None else member.claimed_bytes
            for account in accounts
        ]
    except Exception:  # noqa: BLE001  # rare; the account knows what to do about its member
        return [account.claimed_bytes for account in accounts]


def _spare(accounts: Sequence[Account], total: int) -> int:
    """Return what each needs to begin to grow."""
    return total // (_FIRST_STEPS * max(len(accounts), 1))
