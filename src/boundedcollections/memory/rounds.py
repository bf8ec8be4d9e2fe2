"""Whose turn it is to evict: members above their targets go one after the other."""

from collections.abc import Callable

from boundedcollections.memory.shares import Shares, claims_of


class Rounds:
    """
    Has members come down to their targets, in slices, without any lock.

    Args:
        shares: what their targets are.
        clock: seconds, never going back.
    """

    __slots__ = ("_clock", "_done_at", "_shares", "_turn")

    def __init__(self, shares: Shares, clock: Callable[[], float]) -> None:
        self._shares = shares
        self._clock = clock
        self._turn = 0
        self._done_at = 0

    def go(self, until: float) -> bool:
        """Begin slices until that time, or until nothing is left; return whether something is."""
        changes, accounts = self._shares.changes, self._shares.accounts
        if changes == self._done_at:
            return False  # no target has fallen since there was nothing left
        claims = claims_of(accounts)
        above = [a for a, claim in zip(accounts, claims, strict=True) if claim > a.target_bytes]
        if not above:
            self._done_at = changes
        turn = self._turn % len(above) if above else 0
        above = above[turn:] + above[:turn]  # else the first would be served alone
        while above:
            self._turn += 1
            account = above.pop(0)
            if account.shed():
                above.append(account)
            if self._clock() >= until:
                break
        return bool(above)
