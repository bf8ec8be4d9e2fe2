"""Caches bounded by bytes, which measure each value: writes, and a reader beside a writer."""

import json
import random
import sys
import threading
import time
from typing import Any

from lru_peers import Get, Set, weighed
from lru_ratios import Tables, measured, table, timed

from boundedcollections import MiB, deep_size


def documents(length: int, count: int) -> list[Any]:
    """Return decoded JSON values of about so many characters."""
    source = random.Random(length)
    line = {"id": 123456, "name": "some name", "tags": ["a", "bc", "def"], "score": 1.25}
    found = []
    for _ in range(count):
        lines = max(length // 80, 1)
        text = json.dumps([{**line, "id": source.randrange(10**6)} for _ in range(lines)])
        found.append(json.loads(text))
    return found


def bench_values(rounds: int) -> Tables:
    """Writes bounded by bytes, each measured by its cache, with eviction."""
    values: dict[str, list[Any]] = {
        f"JSON of {length // 1000} kB": documents(length, 8) for length in (1_000, 10_000, 100_000)
    }
    values["str of 1 kB"] = ["x" * 1_000 + str(number) for number in range(8)]
    values["bytes of 100 kB"] = [bytes(100_000 + number) for number in range(8)]
    tables: Tables = {}
    for kind, each in values.items():
        figures: dict[str, list[float]] = {}
        room = 20 * deep_size(each[0]) + 4_000
        repeat = 1 if kind.endswith("100 kB") and "JSON" in kind else 20
        for _ in range(rounds):
            for name, contender in weighed().items():
                _, put = contender(room)
                pairs = [(f"key:{n:07}", each[n % 8]) for n in range(30 + 8 * repeat)]
                for key, value in pairs[:30]:
                    put(key, value)
                left = pairs[30:]
                figures.setdefault(name, []).append(
                    timed(lambda left=left, put=put: [put(k, v) for k, v in left], len(left))
                )
        title = f"set + evict, bounded by bytes, {kind}"
        tables[title] = table(title, "ns", measured(figures))
    return tables


def bench_reader_beside_writer(rounds: int, seconds: float) -> Tables:
    """The 99th percentile of a get, alone and beside one who writes JSON values of 100 kB."""
    value = documents(100_000, 1)[0]
    tables: Tables = {}
    for writing in (False, True):
        figures: dict[str, list[float]] = {}
        for _ in range(rounds):
            for name, contender in weighed().items():
                get, put = contender(200 * MiB)
                for number in range(100):
                    put(f"key:{number}", b"small")
                figures.setdefault(name, []).append(
                    percentile(get, put, value if writing else None, seconds)
                )
        title = f"p99 of a get, {'beside a writer' if writing else 'alone'}"
        tables[title] = table(title, "ns", measured(figures))
    return tables


def percentile(get: Get, put: Set, value: Any, seconds: float) -> float:
    over = threading.Event()

    def write() -> None:
        number = 0
        while not over.is_set():
            put(f"large:{number % 10}", value)
            number += 1

    writer = threading.Thread(target=write)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # a reader that waits for the GIL is not what is measured here
    if value is not None:
        writer.start()
    taken = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        begun = time.perf_counter_ns()
        get("key:5")
        taken.append(time.perf_counter_ns() - begun)
    over.set()
    if value is not None:
        writer.join()
    sys.setswitchinterval(interval)
    return sorted(taken)[int(0.99 * len(taken))]
