"""The smallest members of a budget, and plans for it."""

from collections import deque
from dataclasses import replace
from typing import Any

from boundedcollections.memory.budget import MemoryBudget
from boundedcollections.memory.policy import Level, Plan

CALM = Plan(
    generation=1,
    level=Level.NORMAL,
    previous=Level.NORMAL,
    target_bytes=1_000,
    grow=True,
    admit=True,
    collect=False,
    trim=False,
    settled=False,
    unmanaged_bytes=0,
    kept_bytes=0,
    next_seconds=1.0,
)
CRITICAL = replace(CALM, level=Level.CRITICAL, admit=False, grow=False)


class Queue:
    """A collection of sizes: the smallest member there is."""

    def __init__(self, budget: MemoryBudget, **settings: Any) -> None:
        self.claimed_bytes = 0
        self.target_bytes = 0
        self.sizes: deque[int] = deque()
        self.account = budget.join(self, **settings)

    def add(self, size: int) -> bool:
        if self.claimed_bytes + size > self.target_bytes:
            self.account.press(size)
        if size > self.target_bytes:
            return False
        self.claimed_bytes += size
        self.sizes.append(size)
        while self.shed():
            pass
        return True

    def shed(self) -> bool:
        if self.claimed_bytes > self.target_bytes and self.sizes:
            self.claimed_bytes -= self.sizes.popleft()
        return self.claimed_bytes > self.target_bytes


class Rigid(Queue):
    """A member that never gives anything up."""

    def shed(self) -> bool:
        return False


def targets(*members: Queue) -> list[int]:
    return [member.target_bytes for member in members]
