"""
A service under load with 200 MB of memory, and what became of it, as JSON.

    python under_a_limit.py guarded|untrimmed|alone SECONDS CALM PATIENCE

SECONDS is how long the load lasts, CALM how long memory has to be enough before a level is left,
and PATIENCE how long to wait in the end for the process to be as small as at the beginning.

Six collections are written to all the time, each of them allowed more than there is; requests come
in bursts and need memory of their own; in the middle of it something that nobody counts takes as
much as there is, for a while. In the end all clients leave.
"""

import contextlib
import gc
import json
import random
import resource
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial

from boundedcollections import (
    BoundedHistory,
    Broadcast,
    DropOldestChannel,
    LimitReached,
    MemoryMonitor,
    SizeAwareLRU,
    TooLarge,
)
from boundedcollections.memory.budget import MemoryBudget
from boundedcollections.memory.policy import Level, PolicyConfig
from boundedcollections.memory.probe import LinuxProbe

MB = 1_000_000
HARD_LIMIT = 200 * MB
BUDGET = 120 * MB
CLOSE_TO_BASELINE = 15 * MB
HOG = 90 * MB
HOG_PER_SECOND = 40 * MB


class Collections:
    """Two histories, two caches, a channel and a broadcast, each allowed 60 MB."""

    def __init__(self, budget: MemoryBudget | None) -> None:
        room = {"max_bytes": 60 * MB, "budget": budget}
        self.histories = [
            BoundedHistory[bytes](sizeof=len, name=name, **room) for name in ("room", "audit")
        ]
        self.caches = [SizeAwareLRU[int, bytes](name=name, **room) for name in ("tools", "pages")]
        self.channel = DropOldestChannel[bytes](name="output", **room)
        self.hub = Broadcast[bytes](name="hub", **room)
        self.written = 0

    def write(self, sizes: Callable[[], int]) -> None:
        """Write to each of them."""
        for history in self.histories:
            history.append(b"x" * sizes())
        for cache in self.caches:
            self.written += 1
            cache[self.written] = b"x" * sizes()
        self.channel.send(b"x" * sizes())
        self.hub.send(b"x" * sizes())

    def clear(self) -> None:
        for collection in (*self.histories, *self.caches):
            collection.clear()
        self.channel.close(discard=True)
        self.hub.close(discard=True)


class Service:
    def __init__(self, budget: MemoryBudget | None) -> None:
        self.budget = budget
        self.collections = Collections(budget)
        self.over = threading.Event()
        self.memory_errors = self.served = self.refused = 0
        self.refusal_seconds: list[float] = []
        self.log: deque[bytes] = deque(maxlen=2_000)  # what a service remembers of each request
        self.lock = threading.Lock()

    def write(self) -> None:
        """Write to all collections, as much as the machine can."""
        source = random.Random(1)
        rounds = 0
        while not self.over.is_set():
            self.guarded(partial(self.try_to_write, lambda: source.randint(1_000, 30_000)))
            self.log.append(b"x" * 600)
            rounds += 1
            if rounds % 20 == 0:
                time.sleep(0.001)

    def try_to_write(self, sizes: Callable[[], int]) -> None:
        with contextlib.suppress(TooLarge):  # its target may be next to nothing
            self.collections.write(sizes)

    def serve(self) -> None:
        """Answer requests, in bursts; each needs up to 4 MB for a moment."""
        source = random.Random(2)
        while not self.over.is_set():
            for _ in range(source.randint(1, 10)):
                self.guarded(lambda: self.answer(source.randint(100_000, 4_000_000)))
            time.sleep(0.01)

    def answer(self, size: int) -> None:
        if self.budget is None:
            body = b"x" * size
            self.served += len(body) > 0
            return
        begin = time.thread_time()
        try:
            self.budget.admit()
            reservation = self.budget.reserve(size)
        except LimitReached:
            with self.lock:
                self.refused += 1
                if self.is_critical():
                    self.refusal_seconds.append(time.thread_time() - begin)
            return
        with reservation:
            parts = [b"x" * 20_000 for _ in range(size // 20_000)]
            self.log.append(b"x" * 600)
            time.sleep(0.002)
            self.served += len(parts) > 0

    def is_critical(self) -> bool:
        return self.budget is not None and self.budget.level is Level.CRITICAL

    def guarded(self, act: Callable[[], object]) -> None:
        """Do something, unless there is no memory for it: then it is all over."""
        try:
            act()
        except MemoryError:
            self.memory_errors += 1
            self.over.set()


def load(service: Service, probe: LinuxProbe, seconds: float) -> int:
    """Have everybody work for so long; return the most memory that the process had."""
    acts = (service.write, service.serve, service.serve)
    threads = [threading.Thread(target=act) for act in acts]
    for thread in threads:
        thread.start()
    peak = 0
    most = HOG
    hog: list[bytes] = []
    begin = time.monotonic()
    while (elapsed := time.monotonic() - begin) < seconds and not service.over.is_set():
        peak = max(peak, probe.read().rss_bytes)
        wanted = min((elapsed - seconds / 4) * HOG_PER_SECOND, most)
        if service.is_critical():
            most = 0  # it has done its work
        if elapsed > seconds * 3 / 4:
            hog.clear()
        elif len(hog) * MB < wanted:
            service.guarded(lambda: hog.append(b"x" * MB))
        time.sleep(0.005)
    service.over.set()
    for thread in threads:
        thread.join()
    return peak


def recover(service: Service, probe: LinuxProbe, baseline: int, patience: float) -> float | None:
    """Let all clients leave; return after how many seconds the process is small again."""
    service.collections.clear()
    begin = time.monotonic()
    while (elapsed := time.monotonic() - begin) < patience:
        is_calm = service.budget is None or service.budget.level is Level.NORMAL
        if is_calm and probe.read().rss_bytes - baseline < CLOSE_TO_BASELINE:
            return elapsed
        time.sleep(0.05)
    return None


def main(way: str, seconds: float, calm: float, patience: float) -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (HARD_LIMIT, HARD_LIMIT))
    threading.stack_size(512 << 10)
    levels: list[str] = []
    budget = MemoryBudget(max_bytes=BUDGET)
    monitor = MemoryMonitor(
        budget,
        config=PolicyConfig(calm_seconds=calm),
        trim=way != "untrimmed",
        on_level=lambda _, level: levels.append(str(level)),
    )
    if way != "alone":
        monitor.start()
    service = Service(None if way == "alone" else budget)
    probe = LinuxProbe()
    gc.collect()
    baseline = probe.read().rss_bytes
    peak = load(service, probe, seconds)
    changes = len(levels)
    recovery_seconds = recover(service, probe, baseline, patience)
    figures = monitor.statistics()
    report = {
        "memory_errors": service.memory_errors,
        "served": service.served,
        "refused": service.refused,
        "refused_at_critical": len(service.refusal_seconds),
        "slowest_refusal": max(service.refusal_seconds, default=0.0),
        "levels": levels,
        "changes_under_load": changes,
        "level": str(budget.level),
        "baseline": baseline,
        "peak": peak,
        "afterwards": probe.read().rss_bytes,
        "recovery_seconds": recovery_seconds,
        "trims": figures.reclaimed.trims,
        "trim_seconds": figures.reclaimed.trim_seconds,
    }
    monitor.close()
    print(json.dumps(report))  # noqa: T201  # this is what the parent reads


if __name__ == "__main__":
    main(sys.argv[1], *map(float, sys.argv[2:5]))
