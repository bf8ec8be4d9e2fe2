"""
Reading the output of many children: memory, time, and what becomes of long lines.

    python benchmarks/bench_lines.py [--rounds 3] [--quick] [--save]

Each way runs in a process of its own, all ways once in each round. Memory is the peak of the
process above what it had when the children were started; CPU time is that of the reading process.
Ratios are to the first line of each table, the median of those within a round. The last table is
the cost of a buffer, where the pool loses: its worth is the bound.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
import timeit
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from report import PYTHON, environment, print_table, save

from boundedcollections import BufferPool, KiB, LineSplitter, MiB, read_lines

BOUND = 64 * KiB
WRITE = """
import sys
lines, size = int(sys.argv[1]), int(sys.argv[2])
for _ in range(lines):
    sys.stdout.buffer.write(b"x" * size + b"\\n")
"""

Lines = AsyncIterator[tuple[int, bool]]
"""For each line how many bytes of it there are, and whether it is known to have been cut."""


async def by_readline(stream: asyncio.StreamReader, _: BufferPool) -> Lines:
    while True:
        try:
            line = await stream.readline()
        except ValueError:
            continue  # the line is lost
        if not line:
            return
        yield len(line) - 1, False


async def by_read(stream: asyncio.StreamReader, _: BufferPool) -> Lines:
    splitter = LineSplitter(BOUND)
    while chunk := await stream.read(64 * KiB):
        for line in splitter.feed(chunk):
            yield len(line.text), line.truncated


async def by_read_lines(pipe: asyncio.StreamReader | int, pool: BufferPool) -> Lines:
    async for line in read_lines(pipe, pool, BOUND):
        yield len(line.text), line.truncated


WAYS: dict[str, tuple[Callable[..., Lines], int, bool]] = {
    "readline, limit 2 MiB": (by_readline, 2 * MiB, False),
    "readline, default limit": (by_readline, 64 * KiB, False),
    "read(64 KiB), LineSplitter": (by_read, 64 * KiB, False),
    "read_lines, stream": (by_read_lines, 64 * KiB, False),
    "read_lines, descriptor": (by_read_lines, 64 * KiB, True),
}


def memory(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) * KiB
    raise LookupError(field)


async def read_all(way: str, children: int, lines: int, size: int) -> None:
    """Read in one way, and print what it took; runs in a process of its own."""
    read, limit, by_descriptor = WAYS[way]
    pool = BufferPool(max_buffers=4)
    found: Counter[str] = Counter()
    command = (sys.executable, "-I", "-S", "-c", WRITE, str(lines), str(size))

    async def count(pipe: asyncio.StreamReader | int) -> None:
        async for length, is_cut in read(pipe, pool):
            found["whole"] += length == size
            found["cut and told"] += is_cut
            found["wrong"] += length != size and not is_cut

    async def read_one() -> None:
        if by_descriptor:
            ours, theirs = os.pipe()
            child = await asyncio.create_subprocess_exec(*command, stdout=theirs)
            os.close(theirs)
            await count(ours)
            os.close(ours)
        else:
            child = await asyncio.create_subprocess_exec(
                *command, stdout=asyncio.subprocess.PIPE, limit=limit
            )
            assert child.stdout is not None
            await count(child.stdout)
        assert await child.wait() == 0

    before = memory("VmRSS")
    cpu, wall = time.process_time(), time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(children):
            group.create_task(read_one())
    told = found["whole"] + found["cut and told"]
    print(
        json.dumps(
            {
                "peak_bytes": memory("VmHWM") - before,
                "cpu_seconds": time.process_time() - cpu,
                "wall_seconds": time.perf_counter() - wall,
                "whole": found["whole"],
                "cut and told": found["cut and told"],
                "lost": children * lines - told,
                "wrong": found["wrong"],
            }
        )
    )


def measured(way: str, *load: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--way", way, "--load", *map(str, load)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def compete(rounds: int, *load: int) -> dict[str, dict[str, Any]]:
    found: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
    for _ in range(rounds):
        for way in WAYS:
            found[way].append(measured(way, *load))
    base = next(iter(found.values()))
    return {
        way: {
            "peak_mb": round(statistics.median(run["peak_bytes"] for run in runs) / 1e6, 1),
            "peak_ratio": ratio(runs, base, "peak_bytes"),
            "cpu_seconds": round(statistics.median(run["cpu_seconds"] for run in runs), 3),
            "cpu_ratio": ratio(runs, base, "cpu_seconds"),
            "wall_seconds": round(statistics.median(run["wall_seconds"] for run in runs), 3),
            **{name: runs[-1][name] for name in ("whole", "cut and told", "lost", "wrong")},
        }
        for way, runs in found.items()
    }


def ratio(runs: list[dict[str, Any]], base: list[dict[str, Any]], name: str) -> float:
    pairs = zip(runs, base, strict=True)
    return round(statistics.median(run[name] / first[name] for run, first in pairs), 3)


def buffer_costs(rounds: int) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for size in (4 * KiB, 64 * KiB, 1 * MiB):
        pool = BufferPool(max_buffers=1, buffer_bytes=size)

        def lease(pool: BufferPool = pool) -> None:
            with pool.acquire_nowait():
                pass

        def fresh(size: int = size) -> None:
            bytearray(size)

        times = 2_000 if size < MiB else 200
        costs = {
            name: min(timeit.repeat(act, number=times, repeat=3 * rounds)) / times * 1e6
            for name, act in (("fresh bytearray", fresh), ("lease of a pool", lease))
        }
        for name, cost in costs.items():
            found[f"{size // KiB:,} KiB, {name}"] = {
                "us": round(cost, 2),
                "ratio": round(cost / costs["fresh bytearray"], 2),
            }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=3, help="how often each way runs")
    parser.add_argument("--quick", action="store_true", help="a fifth of the children")
    parser.add_argument("--save", action="store_true", help="write results/lines-PYTHON.json")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--load", type=int, nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        asyncio.run(read_all(options.way, *options.load))
        return
    children = 20 if options.quick else 100
    tables = {
        f"{children} children, 3 lines of 1 MB each": compete(
            options.rounds, children, 3, 1_000_000
        ),
        "4 children, 25,000 lines of 200 bytes each": compete(options.rounds, 4, 25_000, 200),
        "a buffer for a moment": buffer_costs(options.rounds),
    }
    for title, table in tables.items():
        print_table(title, table)
    if options.save:
        save(f"lines-{PYTHON}", {"environment": environment(), "tables": tables})


if __name__ == "__main__":
    main()
