"""
What a budget costs: each write, each tick of a monitor, and the loop while much is given up.

    python benchmarks/bench_memory.py [--quick] [--only NAME] [--save] [--plot]

Costs are CPU time of the thread; the machine's load is in the report. The last table is a
simulation: four caches in a process with bursts of other memory, once with steady targets and once
with eviction whenever a line is crossed. ``--plot`` draws it (with matplotlib).
"""

import argparse
import asyncio
import gc
import importlib
import random
import statistics
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from report import PYTHON, RESULTS, environment, print_table, save

from boundedcollections import BoundedHistory, Broadcast, DropOldestChannel, MiB, SizeAwareLRU
from boundedcollections.memory.budget import MemoryBudget
from boundedcollections.memory.policy import (
    LADDER,
    Level,
    Plan,
    PolicyConfig,
    PolicyState,
    Sample,
    decide,
)

KiB: Final = 1_024
Controller = Callable[[Plan, "list[Simulated]"], None]
Tables = dict[str, dict[str, dict[str, Any]]]


# ── the cost of a write ─────────────────────────────────────────────────────────────────────────


def sizeof(_item: object) -> int:
    return 1_000


def writers(budget: MemoryBudget | None) -> Iterator[tuple[str, Callable[[int], object]]]:
    """Yield one write into each collection; it is full, so that each write evicts."""
    keys = [f"key {number}" for number in range(1_000)]
    cache = SizeAwareLRU[str, bytes](max_bytes=500_000, sizeof=sizeof, budget=budget)
    yield "SizeAwareLRU, new key", lambda i: cache.__setitem__(keys[i % 1_000], b"")
    hot = SizeAwareLRU[str, bytes](max_bytes=500_000, sizeof=sizeof, budget=budget)
    yield "SizeAwareLRU, same key", lambda _i: hot.__setitem__("key", b"")
    history = BoundedHistory[bytes](max_bytes=500_000, sizeof=sizeof, budget=budget)
    yield "BoundedHistory.append", lambda _i: history.append(b"")
    channel = DropOldestChannel[bytes](max_bytes=500_000, sizeof=sizeof, budget=budget)
    yield "DropOldestChannel.send", lambda _i: channel.send(b"")
    hub = Broadcast[bytes](max_bytes=500_000, sizeof=sizeof, budget=budget)
    yield "Broadcast.send", lambda _i: hub.send(b"")


def cost_of_claims(*, quick: bool) -> dict[str, dict[str, Any]]:
    """
    Compare writes without and with a budget, in short turns, one right after the other.

    Whatever the machine does meanwhile lasts longer than a pair of turns, and strikes both; who
    goes first alternates. So the median of the differences stands, with an error of its own.
    """
    calls, pairs = (200, 60) if quick else (500, 600)
    budget = MemoryBudget(max_bytes=1_000 * MiB)
    return {
        name: cost_of_claim(bare, claimed, calls, pairs)
        for (name, bare), (_, claimed) in zip(writers(None), writers(budget), strict=True)
    }


def cost_of_claim(
    bare: Callable[[int], object], claimed: Callable[[int], object], calls: int, pairs: int
) -> dict[str, Any]:
    found: list[tuple[float, float]] = []
    per_call(bare, 2 * calls), per_call(claimed, 2 * calls)
    gc.collect()
    gc.disable()
    for number in range(pairs):
        if number % 2:
            found.append((per_call(bare, calls), per_call(claimed, calls)))
        else:
            later = per_call(claimed, calls)
            found.append((per_call(bare, calls), later))
    gc.enable()
    differences = [after - before for before, after in found]
    low, middle, high = statistics.quantiles(differences, n=4)
    return {
        "bare_ns": round(statistics.median(before for before, _ in found), 1),
        "claim_ns": round(middle, 1),
        "error_ns": round(1.57 * (high - low) / pairs**0.5, 1),  # 95 % for a median
    }


def per_call(act: Callable[[int], object], calls: int) -> float:
    """Return nanoseconds of CPU time for each call."""
    began = time.thread_time_ns()
    for number in range(calls):
        act(number)
    return (time.thread_time_ns() - began) / calls


# ── the cost of a tick ──────────────────────────────────────────────────────────────────────────


def cost_of_ticks(*, quick: bool) -> dict[str, dict[str, Any]]:
    """
    Measure a tick but for reading ``/proc``: sum up, decide, apply, see whether to catch up.

    Each comes after 80 writes to each member, which leave little of it in the processor's caches;
    and once more at once.
    """
    rows = {}
    for members in (10, 200):
        for case, share in (("calm", 2.0), ("all at their targets", 0.5)):
            rows[f"{members} members, {case}"] = cost_of_tick(members, share, quick=quick)
    return rows


def cost_of_tick(members: int, share: float, *, quick: bool) -> dict[str, Any]:
    wanted = members * 100 * KiB
    budget = MemoryBudget(max_bytes=int(wanted * share))
    caches = [
        SizeAwareLRU[int, bytes](max_bytes=200 * KiB, sizeof=sizeof, budget=budget)
        for _ in range(members)
    ]
    state = PolicyState()

    def fill() -> None:
        for cache in caches:
            for key in range(80):
                cache[key] = b""

    def tick(number: int) -> None:
        nonlocal state
        sample = Sample(
            time_seconds=float(number),
            used_bytes=budget.max_bytes // 2,
            limit_bytes=budget.max_bytes,
            claimed_bytes=budget.claimed_bytes,
        )
        plan, state = decide(sample, state, LADDER)
        budget.apply(plan)
        budget.catch_up()

    costs, again = [], []
    for number in range(20 if quick else 200):
        fill()
        for found in (costs, again):
            began = time.thread_time_ns()
            tick(number)
            found.append((time.thread_time_ns() - began) / 1_000)
    return {
        "least_us": round(min(costs), 1),
        "median_us": round(statistics.median(costs), 1),
        "p99_us": round(sorted(costs)[len(costs) * 99 // 100], 1),
        "least_again_us": round(min(again), 1),
        "median_again_us": round(statistics.median(again), 1),
    }


# ── the loop while much is given up ─────────────────────────────────────────────────────────────


def stalls(*, quick: bool) -> dict[str, dict[str, Any]]:
    """Measure how late an event loop is while most of a cache is given up."""
    entries = 27_000 if quick else 270_000
    return {
        "nothing to shed": asyncio.run(stall_while(entries, shed_nothing)),
        "one write to a smaller cache, at once": asyncio.run(stall_while(entries, shed_at_once)),
        "catch_up in slices of 1 ms": asyncio.run(stall_while(entries, shed_in_slices)),
        "writes alone": asyncio.run(stall_while(entries, shed_by_writes)),
    }


@dataclass
class Shed:
    """What is to be given up."""

    budget: MemoryBudget
    cache: SizeAwareLRU[int, int]
    entries: int


async def stall_while(entries: int, shed: Callable[[Shed], Any]) -> dict[str, Any]:
    size = 1_000
    budget = MemoryBudget(max_bytes=entries * size * 4)
    cache = SizeAwareLRU[int, int](
        max_bytes=entries * size * 4, sizeof=lambda _: size // 2, budget=budget
    )
    for key in range(entries):
        cache[key] = key
    gc.collect()
    lags: list[float] = []
    over = False

    async def beat() -> None:
        while not over:
            began = time.perf_counter()
            await asyncio.sleep(0)
            lags.append((time.perf_counter() - began) * 1_000)

    heart = asyncio.create_task(beat())
    await asyncio.sleep(0.01)
    began = time.perf_counter()
    await shed(Shed(budget, cache, entries))
    seconds = time.perf_counter() - began
    over = True
    await heart
    lags.sort()
    return {
        "left": len(cache),
        "seconds": round(seconds, 3),
        "p99_ms": round(lags[len(lags) * 99 // 100], 2),
        "worst_ms": round(lags[-1], 2),
    }


async def shed_nothing(_: Shed) -> None:
    await asyncio.sleep(0.3)


async def shed_at_once(what: Shed) -> None:
    what.cache.resize(max_bytes=what.cache.max_bytes // 40)


async def shed_in_slices(what: Shed) -> None:
    what.budget.resize(max_bytes=what.budget.max_bytes // 40)
    while what.budget.catch_up(0.001):  # noqa: ASYNC110  # it does not wait, it takes turns
        await asyncio.sleep(0)


async def shed_by_writes(what: Shed) -> None:
    what.budget.resize(max_bytes=what.budget.max_bytes // 40)
    key = what.entries
    while what.cache.current_bytes > what.budget.max_bytes:
        key += 1
        what.cache[key] = key
        await asyncio.sleep(0)


# ── steady targets or eviction at a line ────────────────────────────────────────────────────────

LIMIT: Final = 1_000 * MiB
SECONDS: Final = 1_200


@dataclass
class Simulated:
    """A cache that only counts: an LRU of keys, what they weigh, and what a miss costs."""

    name: str
    keys: int
    size: int
    cost: int
    requests: int
    skew: float
    claimed_bytes: int = 0
    target_bytes: int = LIMIT
    missed: int = 0
    held: OrderedDict[int, None] = field(default_factory=OrderedDict)

    __hash__ = object.__hash__  # a budget holds its members weakly, by identity

    def work(self, rng: random.Random, tick: int) -> None:
        """Answer the requests of one second."""
        for number in range(self.requests):
            if self.skew:
                key = int(self.keys * rng.random() ** self.skew)
            else:
                key = (tick * self.requests + number) % self.keys
            if key in self.held:
                self.held.move_to_end(key)
                continue
            self.missed += 1
            self.held[key] = None
            self.claimed_bytes += self.size
            while self.shed():
                pass

    def shed(self) -> bool:
        """Evict the least recently used, if there is too much; say whether there still is."""
        if self.claimed_bytes > self.target_bytes:
            self.held.popitem(last=False)
            self.claimed_bytes -= self.size
        return self.claimed_bytes > self.target_bytes


def four_caches(rate: int) -> list[Simulated]:
    return [
        Simulated("hot and cheap", 20_000, 8 * KiB, 1, 400 * rate, 3.0),
        Simulated("hot and costly", 3_000, 80 * KiB, 20, 100 * rate, 2.5),
        Simulated("cold and big", 4_000, 250 * KiB, 5, 40 * rate, 1.3),
        Simulated("scan", 60_000, 10 * KiB, 1, 200 * rate, 0.0),
    ]


def others(now: float) -> int:
    """What the rest of the process uses: bursts of 250 and of 400 MiB."""
    burst = 400 if 700 <= now % 1_200 < 715 else 250 if now % 150 < 12 and now >= 150 else 0
    return (50 + burst) * MiB


def steady(budget: MemoryBudget) -> Controller:
    def control(plan: Plan, _caches: list[Simulated]) -> None:
        budget.apply(plan)
        while budget.catch_up():
            pass

    return control


def reactive(plan: Plan, caches: list[Simulated]) -> None:
    """Above NORMAL, evict from every cache alike until the use is at the goal of the level."""
    if plan.level is Level.NORMAL:
        return
    claimed = sum(cache.claimed_bytes for cache in caches)
    keep = min(plan.target_bytes / claimed, 1.0) if claimed else 1.0
    for cache in caches:
        cache.target_bytes = int(cache.claimed_bytes * keep)
        while cache.shed():
            pass
        cache.target_bytes = LIMIT


@dataclass
class Course:
    """What became of one run: for each second the use, the claims and the level."""

    used: list[int] = field(default_factory=list)
    claimed: list[int] = field(default_factory=list)
    levels: list[int] = field(default_factory=list)
    cost: int = 0


@dataclass(frozen=True)
class Kind:
    """A controller, and how it decides."""

    is_steady: bool
    config: PolicyConfig


FORGETFUL: Final = replace(LADDER, peak_seconds=1.0)
"""Leaves no room for peaks that have been seen."""
WITHOUT_EXITS: Final = replace(
    FORGETFUL,
    calm_seconds=0.001,
    elevated=replace(LADDER.elevated, leave=0.7499),
    high=replace(LADDER.high, leave=0.8499),
    critical=replace(LADDER.critical, leave=0.9299),
)
"""Leaves a level where it was entered, at once."""
KINDS: Final = {
    "steady": Kind(is_steady=True, config=LADDER),
    "steady, no memory of peaks": Kind(is_steady=True, config=FORGETFUL),
    "reactive": Kind(is_steady=False, config=FORGETFUL),
    "reactive, no exits": Kind(is_steady=False, config=WITHOUT_EXITS),
}


def simulate(kind: Kind, seconds: int, rate: int) -> Course:
    rng = random.Random(7)
    caches = four_caches(rate)
    budget = MemoryBudget(max_bytes=LIMIT)
    accounts = [budget.join(cache, name=cache.name) for cache in caches if kind.is_steady]
    control = steady(budget) if accounts else reactive
    config = kind.config
    state, course, kept, before = PolicyState(), Course(), 0, 0
    for tick in range(seconds):
        for cache in caches:
            cache.work(rng, tick)
        claimed = sum(cache.claimed_bytes for cache in caches)
        kept = kept - min(kept, claimed - before) if claimed > before else kept
        sample = Sample(
            time_seconds=float(tick),
            used_bytes=others(tick) + claimed + kept,
            limit_bytes=LIMIT,
            claimed_bytes=claimed,
        )
        plan, state = decide(sample, state, config)
        control(plan, caches)
        before = sum(cache.claimed_bytes for cache in caches)
        kept += (claimed - before) // 2  # half of what is freed leaves by itself, ...
        kept -= kept // 5  # and the rest when it is trimmed
        course.used.append(sample.used_bytes)
        course.claimed.append(claimed)
        course.levels.append(int(plan.level))
    course.cost = sum(cache.missed * cache.cost for cache in caches)
    return course


def courses(rate: int, *, quick: bool) -> dict[str, Course]:
    seconds = 200 if quick else SECONDS
    return {name: simulate(kind, seconds, rate) for name, kind in KINDS.items()}


def steady_or_reactive(found: dict[str, Course]) -> dict[str, dict[str, Any]]:
    return {
        kind: {
            "level_changes": sum(
                now != then for now, then in zip(course.levels, course.levels[1:], strict=False)
            ),
            "miss_cost": course.cost,
            "seconds_above_the_limit": sum(used > LIMIT for used in course.used),
            "mean_claimed_mib": round(statistics.mean(course.claimed) / MiB),
        }
        for kind, course in found.items()
    }


def plot(found: dict[str, Course], path: Path) -> None:
    matplotlib = importlib.import_module("matplotlib")
    matplotlib.use("Agg")
    pyplot = importlib.import_module("matplotlib.pyplot")
    figure, panes = pyplot.subplots(len(found), 1, sharex=True, figsize=(9, 2.6 * len(found)))
    for pane, (kind, course) in zip(panes, found.items(), strict=True):
        pane.set_title(kind, loc="left", fontsize=10)
        pane.plot([used / MiB for used in course.used], color="#444444", lw=0.9, label="use")
        pane.plot([c / MiB for c in course.claimed], color="#1f77b4", lw=0.9, label="claimed")
        for level in (Level.ELEVATED, Level.HIGH, Level.CRITICAL):
            pane.axhline(LADDER.steps[level].enter * LIMIT / MiB, color="#bbbbbb", lw=0.6)
        pane.fill_between(
            range(len(course.levels)),
            [level / 3 * LIMIT / MiB for level in course.levels],
            color="#d62728",
            alpha=0.15,
            step="mid",
            lw=0,
            label="level",
        )
        pane.set_ylabel("MiB")
        pane.set_ylim(0, 1.15 * LIMIT / MiB)
    panes[0].legend(loc="lower right", fontsize=8, ncols=3)
    panes[-1].set_xlabel("seconds")
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    print(f"drawn in {path.name}")


# ── the report ──────────────────────────────────────────────────────────────────────────────────


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the work")
    parser.add_argument("--only", default="", help="only tables whose title contains this")
    parser.add_argument("--save", action="store_true", help="write results/memory-<python>.json")
    parser.add_argument("--plot", action="store_true", help="draw results/memory.png")
    options = parser.parse_args()
    quick = options.quick
    lives: dict[str, Course] = {}

    def compare(rate: int) -> dict[str, dict[str, Any]]:
        lives.update(courses(rate, quick=quick))
        return steady_or_reactive(lives)

    tables: dict[str, Callable[[], dict[str, dict[str, Any]]]] = {
        "what a claim adds to a write": lambda: cost_of_claims(quick=quick),
        "a tick": lambda: cost_of_ticks(quick=quick),
        "the loop, while a cache is given up": lambda: stalls(quick=quick),
        "steady targets or eviction at a line": lambda: compare(1),
        "steady targets or eviction at a line, at twice the requests": lambda: compare(2),
    }
    found: Tables = {}
    for title, make in tables.items():
        if options.only in title:
            found[title] = make()
            print_table(title, found[title])
    if options.save:
        save(f"memory-{PYTHON}", {"environment": environment(), "tables": found})
    if options.plot and lives:
        plot(lives, RESULTS / "memory.png")


if __name__ == "__main__":
    main()
