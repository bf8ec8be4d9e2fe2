"""A process in the hands of a test, with a budget and a monitor that look at it."""

import gc
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from boundedcollections import MiB
from boundedcollections.memory import monitor as module
from boundedcollections.memory.budget import MemoryBudget
from boundedcollections.memory.monitor import MemoryMonitor
from boundedcollections.memory.policy import Level
from boundedcollections.memory.probe import Reading
from boundedcollections.testing import FakeClock

LIMIT = 1_000 * MiB


class FakeProbe:
    """A process that uses as much as a test says."""

    def __init__(self) -> None:
        self.reading = Reading(rss_bytes=100 * MiB)
        self.error: Exception | None = None
        self.closed = False
        self.reads = 0

    def use(self, mebibytes: float, **other: Any) -> None:
        self.reading = Reading(rss_bytes=int(mebibytes * MiB), **other)

    def read(self) -> Reading:
        self.reads += 1
        if self.error is not None:
            raise self.error
        return self.reading

    def close(self) -> None:
        self.closed = True


class Member:
    """A collection that gives up ten MiB in each slice."""

    def __init__(self, mebibytes: int = 0) -> None:
        self.claimed_bytes = mebibytes * MiB
        self.target_bytes = 0
        self.threads: set[int] = set()
        self.stuck = False

    def shed(self) -> bool:
        self.threads.add(threading.get_ident())
        if not self.stuck and self.claimed_bytes > self.target_bytes:
            self.claimed_bytes = max(self.claimed_bytes - 10 * MiB, self.target_bytes)
        return self.claimed_bytes > self.target_bytes


class Acts:
    """Counts what would take time."""

    def __init__(self) -> None:
        self.trimmed = self.collected = 0

    def trim(self) -> None:
        self.trimmed += 1

    def collect(self) -> None:
        self.collected += 1


class World:
    """A budget, a monitor, and all that they look at, in the hands of a test."""

    def __init__(self, acts: Acts | None = None, **settings: Any) -> None:
        self.acts = acts or Acts()
        self.clock = FakeClock()
        self.probe = FakeProbe()
        self.budget = MemoryBudget(max_bytes=LIMIT, clock=self.clock)
        self.levels: list[tuple[Level, Level]] = []
        self.monitor = MemoryMonitor(
            self.budget,
            **{
                "probe": self.probe,
                "clock": self.clock,
                "name": "main",
                "on_level": lambda previous, level: self.levels.append((previous, level)),
                **settings,
            },
        )

    def pass_seconds(self, seconds: float) -> None:
        end = self.clock() + seconds
        while self.clock() < end:
            self.clock.advance(self.monitor.tick())


def watched_world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Let a test have a world in which nothing is really collected or trimmed; for a fixture."""
    acts = Acts()
    monkeypatch.setattr(module, "find_trim", lambda: acts.trim)
    monkeypatch.setattr(gc, "collect", acts.collect)
    world = World(acts)
    yield world
    world.monitor.close()
