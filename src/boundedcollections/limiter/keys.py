"""How many of each key are there, inside or waiting."""

from collections.abc import Hashable

from boundedcollections.limiter.permit import Permit, Share


class Keys:
    """The shares of all keys that have somebody there; the limiter calls it under its lock."""

    __slots__ = ("_shares",)

    def __init__(self) -> None:
        self._shares: dict[Hashable, Share] = {}

    def book(self, permit: Permit, most: int) -> bool:
        """Count `permit` among those of its key, unless there are `most`; say whether it is."""
        while True:
            share = self._shares.setdefault(permit.key, Share())
            # No call between these lines; a share without anybody in it may have been removed.
            if share.count >= most:
                return False
            share.count += 1
            permit._share = share  # noqa: SLF001  # the other half of one mechanism
            if self._shares.get(permit.key) is share:
                return True
            share.count -= 1
            permit._share = None  # noqa: SLF001

    def forget(self, key: Hashable, share: Share) -> None:
        """Remove the share of a key that has nobody there."""
        # No call in here: whoever interrupts this finds the share there, or gone.
        if not share.count and key in self._shares and self._shares[key] is share:
            del self._shares[key]

    def __len__(self) -> int:
        return len(self._shares)

    def counts(self) -> list[int]:
        """Return how many there are of each key."""
        return [share.count for share in self._shares.values()]
