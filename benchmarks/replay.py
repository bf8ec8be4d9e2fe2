"""
Replay a trace of requests: which part of them, and of their bytes, does a budget answer?

    python benchmarks/replay.py [TRACE.csv.gz] [--budget 1MiB,16MiB,...] [--requests 200000]

A trace has lines ``key,size``, in the order of the requests, gzipped or not; without one, requests
are drawn from a Zipf distribution, with sizes as objects on the web have them. What the cache
itself spends counts against the budget, as it does in production. A request for an object that
has changed its size is a miss: what is held is another version of it.
"""

import argparse
import csv
import gzip
import random
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate, islice
from pathlib import Path
from typing import NamedTuple

from boundedcollections import GiB, KiB, MiB, SizeAwareLRU

Request = tuple[str, int]

UNITS = {"KiB": KiB, "MiB": MiB, "GiB": GiB, "B": 1}
SHARES = (0.01, 0.03, 0.1, 0.3)
"""The budgets by default: parts of the bytes of all different objects."""


class Outcome(NamedTuple):
    """What a budget achieved: counts of requests and of their bytes."""

    requests: int
    hits: int
    requested_bytes: int
    hit_bytes: int
    items: int
    current_bytes: int
    seconds: float


def trace_of(path: Path) -> Iterator[Request]:
    """Yield the requests of a file; lines that are no ``key,size`` (a header) are left out."""
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", newline="") as lines:
        for line in csv.reader(lines):
            if len(line) >= 2 and line[1].strip().isdigit():
                yield line[0], int(line[1])


def zipf(requests: int, *, objects: int = 20_000, exponent: float = 0.9) -> Iterator[Request]:
    """Yield requests for objects of which a few are asked for again and again."""
    source = random.Random(11)
    sizes = [min(int(source.lognormvariate(9, 1.6)) + 50, 20 * MiB) for _ in range(objects)]
    weights = list(accumulate(1 / (rank + 1) ** exponent for rank in range(objects)))
    for number in source.choices(range(objects), cum_weights=weights, k=requests):
        yield f"object-{number}", sizes[number]


def replay(
    requests: Iterable[Request], budget: int, told: Callable[[bool], object] = bool
) -> Outcome:
    """Look for every object in a cache, and write what is missing; `told` hears of each hit."""
    cache: SizeAwareLRU[str, int] = SizeAwareLRU(
        max_bytes=budget, sizeof=lambda thing: thing if isinstance(thing, int) else 0
    )
    asked = hits = requested_bytes = hit_bytes = 0
    begun = time.perf_counter()
    for key, size in requests:
        asked += 1
        requested_bytes += size
        hit = cache.get(key) == size
        if hit:
            hits += 1
            hit_bytes += size
        else:
            cache.put(key, size)
        told(hit)
    seconds = time.perf_counter() - begun
    statistics = cache.statistics()
    return Outcome(
        asked,
        hits,
        requested_bytes,
        hit_bytes,
        statistics.items,
        statistics.current_bytes,
        seconds,
    )


def bytes_of(text: str) -> int:
    """
    Read a budget.

    >>> bytes_of("16MiB"), bytes_of("1000")
    (16777216, 1000)
    """
    for unit, factor in UNITS.items():
        if text.endswith(unit):
            return int(float(text.removesuffix(unit)) * factor)
    return int(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("trace", nargs="?", type=Path)
    parser.add_argument("--budget", help="budgets such as 1MiB,16MiB")
    parser.add_argument("--requests", type=int, default=200_000, help="the most to replay")
    arguments = parser.parse_args()
    source = trace_of(arguments.trace) if arguments.trace else zipf(arguments.requests)
    requests = list(islice(source, arguments.requests))
    different = dict(requests)
    print(
        f"{len(requests)} requests for {len(different)} objects of {sum(different.values())} bytes"
    )
    if arguments.budget:
        budgets = [bytes_of(each) for each in arguments.budget.split(",")]
    else:
        budgets = [max(int(share * sum(different.values())), 16 * KiB) for share in SHARES]
    print(f"{'budget':>14} {'object hits':>12} {'byte hits':>10} {'held':>8} {'us/request':>11}")
    for budget in budgets:
        outcome = replay(requests, budget)
        print(
            f"{budget:>14} {outcome.hits / outcome.requests:>12.2%}"
            f" {outcome.hit_bytes / max(outcome.requested_bytes, 1):>10.2%} {outcome.items:>8}"
            f" {1e6 * outcome.seconds / outcome.requests:>11.2f}"
        )


if __name__ == "__main__":
    main()
