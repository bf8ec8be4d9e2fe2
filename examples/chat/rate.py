"""How often somebody may do something."""

import time
from collections.abc import Callable


class TokenBucket:
    """
    Allows `per_second` on average, and `burst` at once.

    >>> now = [0.0]
    >>> bucket = TokenBucket(per_second=2, burst=1, clock=lambda: now[0])
    >>> bucket.take(), bucket.take()
    (True, False)
    >>> now[0] = 0.5
    >>> bucket.take()
    True
    """

    def __init__(
        self, *, per_second: float, burst: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_second = per_second
        self._burst = burst
        self._clock = clock
        self._tokens = float(burst)
        self._filled_at = clock()

    def take(self) -> bool:
        """Take one token, if there is one."""
        now = self._clock()
        grown = self._tokens + (now - self._filled_at) * self._per_second
        self._tokens = min(grown, self._burst)
        self._filled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
