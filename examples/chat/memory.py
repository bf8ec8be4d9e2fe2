"""What the server may use: one budget for all that it keeps, and a watch over the process."""

import asyncio
from typing import Final

from boundedcollections import MemoryBudget, MemoryMonitor
from chat.config import Limits

NAME: Final = "chat"


class Memory:
    """
    Keeps the process within `max_process_bytes`, as the system measures it.

    What can be given up, the rooms' past and the caches, is a member of `budget` and shrinks
    first; what cannot, an agent's output that is being read, is reserved there. When neither is
    enough, newcomers are refused until it is.

    Raises:
        RuntimeError: nothing here can measure the process; psutil can.
    """

    def __init__(self, limits: Limits) -> None:
        self.budget = MemoryBudget(max_bytes=limits.max_process_bytes, name=NAME)
        self._monitor = MemoryMonitor(self.budget, name=NAME)

    def start(self) -> None:
        """Keep watch in the event loop, to which the collections belong."""
        self._watch = asyncio.create_task(self._monitor.run(), name="memory")

    async def aclose(self) -> None:
        """End the watch."""
        self._monitor.close()
        await self._watch

    def figures(self) -> dict[str, str | int]:
        """Return how short memory is, and who has how much of it."""
        monitor, budget = self._monitor.statistics(), self.budget.statistics()
        return {
            "level": str(budget.level),
            "rss_bytes": monitor.rss_bytes,
            "limit_bytes": budget.max_bytes,
            "claimed_bytes": budget.claimed_bytes,
            "reserved_bytes": budget.reserved_bytes,
        }
