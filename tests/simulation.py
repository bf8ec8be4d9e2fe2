"""
A process in virtual time, with a real budget and the real policy, but memory that is only counted.

What the kernel would say is modelled: memory that nobody manages, an allocator that gives back a
part of what is freed, uses what it has kept before it asks for more, and gives up another part
when it is trimmed. Twenty-four hours pass in seconds.
"""

import random
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from boundedcollections import LimitReached, MiB
from boundedcollections.memory.budget import MemoryBudget, Reservation
from boundedcollections.memory.policy import (
    LADDER,
    Level,
    Plan,
    PolicyConfig,
    PolicyState,
    Sample,
    decide,
)
from boundedcollections.testing import FakeClock

Load = Callable[[float], int]
"""How many bytes something wants to hold at a time."""


def nothing(_seconds: float) -> int:
    return 0


class Cache:
    """A member that fills up to what it wants or may have, and forgets nothing by itself."""

    def __init__(self, wants: Load, *, bytes_per_second: int = 50 * MiB) -> None:
        self.claimed_bytes = 0
        self.target_bytes = 0
        self.evicted_bytes = 0
        self._wants = wants
        self._speed = bytes_per_second

    def live(self, now: float, elapsed: float) -> None:
        most = min(self._wants(now), self.target_bytes)
        growth = int(self._speed * elapsed)
        self.claimed_bytes = max(min(self.claimed_bytes + growth, most), self.claimed_bytes)

    def shed(self) -> bool:
        piece = min(self.claimed_bytes - self.target_bytes, 8 * MiB)
        if piece > 0:
            self.claimed_bytes -= piece
            self.evicted_bytes += piece
        return self.claimed_bytes > self.target_bytes


class Stubborn(Cache):
    """A member that cannot shrink."""

    def shed(self) -> bool:
        return self.claimed_bytes > self.target_bytes


class Broken(Cache):
    """A member that raises when it is asked to shrink."""

    def shed(self) -> bool:
        raise RuntimeError("cannot")


@dataclass
class Process:
    """What runs, and what became of it."""

    limit: int = 1_000 * MiB
    config: PolicyConfig = LADDER
    returned: float = 0.5  # of what is freed, the part that leaves the process by itself
    trimmed: float = 0.9  # of what the allocator has kept, the part that leaves it when trimmed
    unmanaged: Load = lambda _: 50 * MiB
    requests: Load = nothing  # bytes that are to be reserved
    jumps: Callable[[float], float] = lambda _: 0.0  # how far the clock of the samples is off
    stalls: Callable[[float], float] = lambda _: 0.0
    noise: float = 0.0  # of the limit
    seed: int = 1
    clock: FakeClock = field(default_factory=FakeClock)

    def __post_init__(self) -> None:
        self.budget = MemoryBudget(max_bytes=self.limit, clock=self.clock)
        self.members: list[Cache] = []
        self.kept = 0
        self.live = 0
        self.state = PolicyState()
        self.plan: Plan | None = None
        self.changes = self.refused = self.ticks_above = self.ticks = 0
        self.next_trim = 0.0
        self._random = random.Random(self.seed)
        self._reservation: Reservation | None = None

    def add(self, member: Cache, **settings: Any) -> Cache:
        self.members.append(member)
        self.budget.join(member, **settings)
        return member

    @property
    def used(self) -> int:
        return self.unmanaged(self.clock()) + self.live + self.kept

    def run(self, seconds: float) -> Iterator[Plan]:
        """Live for so long, and yield the plan after each tick."""
        end = self.clock() + seconds
        while self.clock() < end:
            pause = 1.0 if self.plan is None else self.plan.next_seconds
            self.clock.advance(pause)
            self._live(pause)
            yield self._govern()

    def last(self, seconds: float) -> Plan:
        """Live for so long, and return the last plan."""
        return deque(self.run(seconds), maxlen=1)[0]

    def _live(self, elapsed: float) -> None:
        for member in self.members:
            member.live(self.clock(), elapsed)
        self._request()
        self._touch()

    def _request(self) -> None:
        wanted = self.requests(self.clock())
        if self._reservation is not None and self._reservation.size != wanted:
            self._reservation.release()
            self._reservation = None
        if wanted and self._reservation is None:
            try:
                self._reservation = self.budget.reserve(wanted)
            except LimitReached:
                self.refused += 1

    def _touch(self) -> None:
        """Let the allocator take and give what has changed since the last time."""
        managed = sum(m.claimed_bytes for m in self.members) + self.budget.reserved_bytes
        growth = managed - self.live
        if growth > 0:
            self.kept -= min(self.kept, growth)
        else:
            self.kept += int(-growth * (1 - self.returned))
        self.live = managed

    def _govern(self) -> Plan:
        noise = self._random.uniform(-self.noise, self.noise) * self.limit
        now = self.clock()
        sample = Sample(
            time_seconds=now + self.jumps(now),
            used_bytes=max(int(self.used + noise), 0),
            limit_bytes=self.limit,
            claimed_bytes=self.budget.claimed_bytes,
            reserved_bytes=self.budget.reserved_bytes,
            stalled_percent=self.stalls(now),
        )
        plan, self.state = decide(sample, self.state, self.config)
        self.budget.apply(plan)
        while self.budget.catch_up():
            pass
        self._touch()
        if plan.trim and now >= self.next_trim:
            self.kept -= int(self.kept * self.trimmed)
            self.next_trim = now + 10
        self.plan = plan
        self.ticks += 1
        self.changes += plan.level is not plan.previous
        self.ticks_above += self.used > self.limit
        self._check(plan)
        return plan

    def _check(self, plan: Plan) -> None:
        """Assert what must hold after every single tick."""
        accounts = self.budget._shares.living()
        targets = sum(account.target_bytes for account in accounts)
        assert targets <= max(plan.target_bytes, sum(account.floor_bytes for account in accounts))
        assert 0 <= plan.target_bytes <= self.limit
        assert plan.admit == (plan.level < Level.CRITICAL)
        assert self.config.fastest_seconds <= plan.next_seconds <= self.config.slowest_seconds
        self.budget._check()
