"""
What a budget costs: each write, each tick of a monitor, and the loop while much is given up.

    python benchmarks/bench_memory.py [--quick] [--only NAME] [--save]

Costs are CPU time of the thread; the machine's load is in the report. Results with
``BOUNDEDCOLLECTIONS_PURE=1`` in the environment, where nothing is compiled, are kept apart.
"""

import argparse
import asyncio
import gc
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from report import BUILD, environment, print_table, save

from boundedcollections import BoundedHistory, Broadcast, DropOldestChannel, MiB, SizeAwareLRU
from boundedcollections.memory.budget import MemoryBudget
from boundedcollections.memory.policy import LADDER, PolicyState, Sample, decide

KiB: Final = 1_024
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


# ── the report ──────────────────────────────────────────────────────────────────────────────────


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the work")
    parser.add_argument("--only", default="", help="only tables whose title contains this")
    parser.add_argument("--save", action="store_true", help="write results/memory-BUILD.json")
    options = parser.parse_args()
    quick = options.quick
    tables: dict[str, Callable[[], dict[str, dict[str, Any]]]] = {
        "what a claim adds to a write": lambda: cost_of_claims(quick=quick),
        "a tick": lambda: cost_of_ticks(quick=quick),
        "the loop, while a cache is given up": lambda: stalls(quick=quick),
    }
    found: Tables = {}
    for title, make in tables.items():
        if options.only in title:
            found[title] = make()
            print_table(title, found[title])
    if options.save:
        save(f"memory-{BUILD}", {"environment": environment(), "tables": found})


if __name__ == "__main__":
    main()
