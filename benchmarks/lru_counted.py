"""Caches bounded by a number of entries: single operations, and reads by several threads."""

import random
import threading
import time
from collections.abc import Callable
from itertools import accumulate

from lru_peers import Get, Set, counted
from lru_ratios import Tables, measured, table, timed


def fresh(keys: list[str]) -> list[str]:
    """Return equal keys that are not identical, as they come from outside."""
    return [str(key.encode(), "ascii") for key in keys]


def operations(entries: int, count: int) -> dict[str, Callable[[Get, Set | None], float | None]]:
    """Return what is measured of each cache, which holds `entries` when it begins."""
    source = random.Random(5)
    keys = [f"key:{number:07}" for number in range(entries + count)]
    hot = fresh(source.choices(keys[:entries], k=count))
    new = keys[entries : entries + count]
    absent = [f"absent:{number}" for number in range(count)]
    weights = list(accumulate(1 / (rank + 1) for rank in range(10 * entries)))
    drawn = source.choices(range(10 * entries), cum_weights=weights, k=count)
    mixed = [(f"key:{number:07}", source.random() < 0.1) for number in drawn]
    value = 2.5

    def hits(get: Get, _: Set | None) -> float:
        return timed(lambda: [None for key in hot if get(key) is None], count)

    def misses(get: Get, put: Set | None) -> float | None:
        return put and timed(lambda: [None for key in absent if get(key) is None], count)

    def overwrites(_: Get, put: Set | None) -> float | None:
        return put and timed(lambda: [put(key, value) for key in hot], count)

    def evictions(_: Get, put: Set | None) -> float | None:
        return put and timed(lambda: [put(key, value) for key in new], count)

    def zipf(get: Get, put: Set | None) -> float | None:
        def run() -> None:
            for key, write in mixed:
                if write and put:
                    put(key, value)
                else:
                    get(key)

        return put and timed(run, count)

    return {
        "get hit": hits,
        "get miss": misses,
        "overwrite": overwrites,
        "Zipf, 90 % get, 10 % set": zipf,
        "set + evict": evictions,
    }


def bench_operations(rounds: int, entries: int, count: int) -> Tables:
    figures: dict[str, dict[str, list[float]]] = {}
    contenders = counted()
    acts = operations(entries, count)
    keys = [f"key:{number:07}" for number in range(entries)]
    for _ in range(rounds):
        order = list(contenders)
        random.shuffle(order)
        for name in order:
            get, put = contenders[name](entries)
            for key in keys:
                put(key, 1.5) if put else get(key)
            for title, act in acts.items():
                nanoseconds = act(get, put)
                if nanoseconds is not None:
                    figures.setdefault(title, {}).setdefault(name, []).append(nanoseconds)
    return {
        f"{title}, {entries:,} entries": table(
            f"{title}, {entries:,} entries", "ns", measured(each)
        )
        for title, each in figures.items()
    }


def bench_threads(rounds: int, count: int) -> Tables:
    """Wall time of reads by one thread, and by four at once."""
    tables: Tables = {}
    for threads in (1, 4):
        figures: dict[str, list[float]] = {}
        for _ in range(rounds):
            for name, contender in counted().items():
                get, put = contender(1_000)
                keys = [f"key:{number:07}" for number in range(1_000)]
                for key in keys:
                    put(key, 1.5) if put else get(key)
                figures.setdefault(name, []).append(in_threads(get, fresh(keys), threads, count))
        title = f"get hit, {threads} thread{'s' * (threads > 1)}, wall time per get of all"
        tables[title] = table(title, "ns", measured(figures))
    return tables


def in_threads(get: Get, keys: list[str], threads: int, count: int) -> float:
    start = threading.Barrier(threads + 1)

    def read() -> None:
        start.wait()
        for _ in range(count // len(keys)):
            for key in keys:
                get(key)

    readers = [threading.Thread(target=read) for _ in range(threads)]
    for reader in readers:
        reader.start()
    start.wait()
    begun = time.perf_counter_ns()
    for reader in readers:
        reader.join()
    return (time.perf_counter_ns() - begun) / (threads * (count // len(keys)) * len(keys))
