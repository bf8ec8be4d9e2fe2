"""
Steady targets or eviction at a line: how often does the level change, and what do misses cost?

    python benchmarks/bench_levels.py [--quick] [--only NAME] [--rate N] [--save] [--plot]

A simulation of twenty minutes, second by second: four caches of different worth in a process with
a limit of 1,000 MiB, in which other memory comes in bursts. Steady targets are those of a budget,
by the policy as it is, and without its memory of peaks. Eviction at a line looks at the use of
the process and, where a level has begun, evicts down to the goal of that level; it shares what is
left by the same weights. Once its levels are those of the policy, with exits of their own, and
once they end where they begin. ``--plot`` draws the first scenario (with matplotlib).

The figures do not depend on the machine.
"""

import argparse
import importlib
import random
import statistics
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from report import PYTHON, RESULTS, environment, print_table, save

from boundedcollections import MiB
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
from boundedcollections.memory.sharing import water_fill

KiB: Final = 1_024
LIMIT: Final = 1_000 * MiB
SECONDS: Final = 1_200
SECONDS_BETWEEN_TRIMS: Final = 10


# ── the caches ──────────────────────────────────────────────────────────────────────────────────


@dataclass
class Simulated:
    """A cache that only counts: an LRU of keys, what they weigh, and what a miss costs."""

    name: str
    weight: float
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


def four_caches(rate: int, *, weighted: bool) -> list[Simulated]:
    """Return four caches; weights are what somebody might give them who knows what they hold."""
    caches = [
        Simulated("hot and cheap", 2, 20_000, 8 * KiB, 1, 400 * rate, 3.0),
        Simulated("hot and costly", 6, 3_000, 80 * KiB, 20, 100 * rate, 2.5),
        Simulated("cold and big", 2, 4_000, 250 * KiB, 5, 40 * rate, 1.3),
        Simulated("scan", 0.3, 60_000, 10 * KiB, 1, 200 * rate, 0.0),
    ]
    return caches if weighted else [replace(cache, weight=1.0) for cache in caches]


# ── the controllers ─────────────────────────────────────────────────────────────────────────────


class Steady:
    """Sets targets, and caches obey them on their own writes."""

    def __init__(self, caches: list[Simulated]) -> None:
        self.budget = MemoryBudget(max_bytes=LIMIT)
        self.accounts = [
            self.budget.join(cache, name=cache.name, weight=cache.weight) for cache in caches
        ]

    def __call__(self, plan: Plan, _sample: Sample, _config: PolicyConfig) -> None:
        """Hand on the target, and have the caches come down to it."""
        self.budget.apply(plan)
        while self.budget.catch_up():
            pass


class Reactive:
    """Above NORMAL, evicts until the use would be at the goal of the level."""

    def __init__(self, caches: list[Simulated]) -> None:
        self.caches = caches

    def __call__(self, plan: Plan, sample: Sample, config: PolicyConfig) -> None:
        """Evict what is too much, and let the caches grow again."""
        excess = sample.used_bytes - int(config.steps[plan.level].goal * LIMIT)
        if plan.level is Level.NORMAL or excess <= 0:
            return
        claims = [cache.claimed_bytes for cache in self.caches]
        shares = water_fill(
            max(sum(claims) - excess, 0),
            floors=[0] * len(claims),
            caps=claims,
            weights=[cache.weight for cache in self.caches],
        )
        for cache, share in zip(self.caches, shares, strict=True):
            cache.target_bytes = share
            while cache.shed():
                pass
            cache.target_bytes = LIMIT


@dataclass(frozen=True)
class Kind:
    """A controller, and how its levels are found."""

    control: type[Steady | Reactive]
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
    "steady": Kind(Steady, LADDER),
    "steady, no memory of peaks": Kind(Steady, FORGETFUL),
    "reactive": Kind(Reactive, LADDER),
    "reactive, no exits": Kind(Reactive, WITHOUT_EXITS),
}


# ── the process ─────────────────────────────────────────────────────────────────────────────────


def one_of_each(now: int) -> int:
    """One burst of 250 MiB and one of 400, a minute each."""
    return (250 if 300 <= now < 360 else 400 if 700 <= now < 760 else 0) * MiB


def again_and_again(now: int) -> int:
    """A burst of 250 MiB for 12 seconds in 150, and once 400 MiB for 15 seconds."""
    return (400 if 700 <= now < 715 else 250 if now >= 150 and now % 150 < 12 else 0) * MiB


@dataclass(frozen=True)
class Scenario:
    """What happens beside the caches, and what the allocator makes of freed memory."""

    bursts: Callable[[int], int]
    returned: float = 1.0  # of what is freed, the part that leaves the process by itself
    trims: bool = True  # whether nine tenths of what is kept can be had back, every ten seconds


SCENARIOS: Final = {
    "one burst of each size": Scenario(one_of_each),
    "bursts again and again": Scenario(again_and_again),
    "one of each, a tenth of freed memory returns": Scenario(one_of_each, returned=0.1),
    "one of each, a tenth returns, no trimming": Scenario(one_of_each, returned=0.1, trims=False),
}


@dataclass
class Course:
    """What became of one run: for each second the use, the claims and the level."""

    scenario: Scenario
    used: list[int] = field(default_factory=list)
    claimed: list[int] = field(default_factory=list)
    levels: list[int] = field(default_factory=list)
    cost: int = 0

    def figures(self) -> dict[str, Any]:
        """Count what the table shows."""
        changes = [
            (second, then, now)
            for second, (then, now) in enumerate(pairwise(self.levels), start=1)
            if now != then
        ]
        return {
            "level_changes": len(changes),
            "entered_without_a_burst": sum(
                now > then and not self.scenario.bursts(second) for second, then, now in changes
            ),
            "critical": sum(now == Level.CRITICAL for _, _, now in changes),
            "miss_cost": self.cost,
            "seconds_above_the_limit": sum(used > LIMIT for used in self.used),
            "mean_claimed_mib": round(statistics.mean(self.claimed) / MiB),
        }


def simulate(kind: Kind, scenario: Scenario, seconds: int, rate: int, *, weighted: bool) -> Course:
    rng = random.Random(7)
    caches = four_caches(rate, weighted=weighted)
    control = kind.control(caches)
    state, course, kept, before, next_trim = PolicyState(), Course(scenario), 0, 0, 0
    for tick in range(seconds):
        for cache in caches:
            cache.work(rng, tick)
        claimed = sum(cache.claimed_bytes for cache in caches)
        kept -= min(kept, max(claimed - before, 0))  # it is used before more is asked for
        sample = Sample(
            time_seconds=float(tick),
            used_bytes=50 * MiB + scenario.bursts(tick) + claimed + kept,
            limit_bytes=LIMIT,
            claimed_bytes=claimed,
        )
        plan, state = decide(sample, state, kind.config)
        control(plan, sample, kind.config)
        before = sum(cache.claimed_bytes for cache in caches)
        kept += int((claimed - before) * (1 - scenario.returned))
        if scenario.trims and plan.trim and tick >= next_trim:
            kept //= 10
            next_trim = tick + SECONDS_BETWEEN_TRIMS
        course.used.append(sample.used_bytes)
        course.claimed.append(claimed)
        course.levels.append(int(plan.level))
    course.cost = sum(cache.missed * cache.cost for cache in caches)
    return course


# ── the report ──────────────────────────────────────────────────────────────────────────────────


def plot(courses: dict[str, Course], path: Path) -> None:
    matplotlib = importlib.import_module("matplotlib")
    matplotlib.use("Agg")
    pyplot = importlib.import_module("matplotlib.pyplot")
    figure, panes = pyplot.subplots(len(courses), 1, sharex=True, figsize=(9, 2.6 * len(courses)))
    for pane, (kind, course) in zip(panes, courses.items(), strict=True):
        changes = course.figures()["level_changes"]
        pane.set_title(f"{kind}: {changes} level changes", loc="left", fontsize=10)
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--quick", action="store_true", help="a quarter of the time")
    parser.add_argument("--only", default="", help="only tables whose title contains this")
    parser.add_argument(
        "--rate", type=int, default=2, help="requests, as a multiple of 740 a second"
    )
    parser.add_argument("--save", action="store_true", help="write results/levels-<python>.json")
    parser.add_argument("--plot", action="store_true", help="draw results/memory.png")
    options = parser.parse_args()
    seconds = SECONDS // 4 if options.quick else SECONDS
    tables = {}
    for name, scenario in SCENARIOS.items():
        for weighted in (True, False):
            title = f"{name}, {'by weight' if weighted else 'equal shares'}"
            if options.only not in title:
                continue
            courses = {
                kind: simulate(how, scenario, seconds, options.rate, weighted=weighted)
                for kind, how in KINDS.items()
            }
            tables[title] = {kind: course.figures() for kind, course in courses.items()}
            print_table(title, tables[title])
            if options.plot and len(tables) == 1:
                plot(courses, RESULTS / "memory.png")
    if options.save:
        save(f"levels-{PYTHON}", {"environment": environment(rate=options.rate), "tables": tables})


if __name__ == "__main__":
    main()
