"""
The cache beside its peers, in one process, interleaved round by round.

    python benchmarks/bench_lru.py [--rounds 9] [--quick] [--only TABLE] [--save] [--plot FILE.png]

Times are CPU time of the thread, medians of the rounds, in nanoseconds per operation unless said
otherwise; each with its ratio to ours, the median of the ratios within a round: above 1, we are
faster. Absolute figures vary with whatever else the machine does. Peers that are not installed are
left out. ``+lock`` is a peer with the lock that its users have to add.
"""

import argparse
import functools
import gc
import importlib
import importlib.metadata
import json
import random
import statistics
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path
from typing import Any

from report import PYTHON, environment, save

from boundedcollections import MiB, SizeAwareLRU, accelerated, deep_size
from boundedcollections.lru.keeper import Keeper
from boundedcollections.lru.surface import Surface

PEERS = ("cachetools", "cachebox", "theine", "moka_py", "lru", "pympler")
PACKAGES = ("cachetools", "cachebox", "theine", "moka-py", "lru-dict", "pympler")
OURS = "SizeAwareLRU"
IN_PYTHON = f"{OURS} in Python"

Get = Callable[[Any], Any]
Set = Callable[[Any, Any], object]
Contender = Callable[[int], tuple[Get, Set | None]]
Tables = dict[str, dict[str, dict[str, Any]]]


class PlainLRU(Keeper[Any, Any], Surface[Any, Any]):
    """Ours as it is where there is no compiler."""

    __slots__ = ("__weakref__", "_loads")


def peer(name: str) -> Any:
    """Import a peer; None where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def counted() -> dict[str, Contender]:  # noqa: C901  # one small function for each peer
    """Return caches bounded by a number of entries, ours with a size function that costs little."""

    def ours(entries: int) -> tuple[Get, Set]:
        cache: SizeAwareLRU[Any, Any] = SizeAwareLRU(
            max_bytes=1 << 40, max_items=entries, sizeof=sys.getsizeof
        )
        return cache.get, cache.__setitem__

    def ours_deep(entries: int) -> tuple[Get, Set]:
        cache: SizeAwareLRU[Any, Any] = SizeAwareLRU(max_bytes=1 << 40, max_items=entries)
        return cache.get, cache.__setitem__

    def in_python(entries: int) -> tuple[Get, Set]:
        cache = PlainLRU(max_bytes=1 << 40, max_items=entries, sizeof=sys.getsizeof)
        return cache.get, cache.__setitem__

    def cachetools(entries: int) -> tuple[Get, Set]:
        cache = peer("cachetools").LRUCache(entries)
        return cache.get, cache.__setitem__

    def cachetools_locked(entries: int) -> tuple[Get, Set]:
        return locked(peer("cachetools").LRUCache(entries))

    def cachebox(entries: int) -> tuple[Get, Set]:
        cache = peer("cachebox").LRUCache(entries)
        return cache.get, cache.__setitem__

    def theine(entries: int) -> tuple[Get, Set]:
        cache = peer("theine").Cache(entries)
        return cache.get, cache.set

    def moka(entries: int) -> tuple[Get, Set]:
        cache = peer("moka_py").Moka(entries, policy="lru")
        return cache.get, cache.set

    def lru_dict(entries: int) -> tuple[Get, Set]:
        cache = peer("lru").LRU(entries)
        return cache.get, cache.__setitem__

    def lru_cache(entries: int) -> tuple[Get, None]:
        return functools.lru_cache(entries)(lambda key: key), None

    found: dict[str, Contender] = {
        OURS: ours,
        f"{OURS}, deep_size": ours_deep,
        IN_PYTHON: in_python,
        "functools.lru_cache": lru_cache,
    }
    others: dict[str, dict[str, Contender]] = {
        "cachetools": {"cachetools": cachetools, "cachetools +lock": cachetools_locked},
        "cachebox": {"cachebox": cachebox},
        "theine": {"theine": theine},
        "moka_py": {"moka-py": moka},
        "lru": {"lru-dict": lru_dict},
    }
    for name, contenders in others.items():
        if peer(name):
            found.update(contenders)
    return found


def locked(cache: Any) -> tuple[Get, Set]:
    """Return reads and writes of a mapping under one lock."""
    lock = threading.RLock()

    def get(key: Any) -> Any:
        with lock:
            return cache.get(key)

    def put(key: Any, value: Any) -> None:
        with lock:
            cache[key] = value

    return get, put


def weighed() -> dict[str, Callable[[int], tuple[Get, Set]]]:
    """Return caches bounded by bytes: peers are given pympler's measure, ours has its own."""

    def ours(max_bytes: int) -> tuple[Get, Set]:
        cache: SizeAwareLRU[Any, Any] = SizeAwareLRU(max_bytes=max_bytes)
        return cache.get, cache.__setitem__

    def in_python(max_bytes: int) -> tuple[Get, Set]:
        cache = PlainLRU(max_bytes=max_bytes)
        return cache.get, cache.__setitem__

    def asizeof(thing: Any) -> int:
        return int(peer("pympler.asizeof").Asizer().asizeof(thing))

    def cachetools(max_bytes: int) -> tuple[Get, Set]:
        return locked(peer("cachetools").LRUCache(max_bytes, getsizeof=asizeof))

    def cachebox(max_bytes: int) -> tuple[Get, Set]:
        cache = peer("cachebox").LRUCache(max_bytes, getsizeof=lambda _, value: asizeof(value))
        return cache.get, cache.__setitem__

    def moka(max_bytes: int) -> tuple[Get, Set]:
        cache = peer("moka_py").Moka(
            max_bytes, policy="lru", weigher=lambda _, value: asizeof(value)
        )
        return cache.get, cache.set

    found: dict[str, Callable[[int], tuple[Get, Set]]] = {OURS: ours, IN_PYTHON: in_python}
    if peer("pympler"):
        others = {"cachetools": cachetools, "cachebox": cachebox, "moka_py": moka}
        found.update({name: way for name, way in others.items() if peer(name)})
    return found


def timed(act: Callable[[], object], count: int) -> float:
    """Return nanoseconds of CPU time for each of `count` operations."""
    gc.collect()
    gc.disable()
    try:
        begun = time.thread_time_ns()
        act()
        return (time.thread_time_ns() - begun) / count
    finally:
        gc.enable()


def measured(figures: dict[str, list[float]]) -> dict[str, dict[str, Any]]:
    """Return medians, and the medians of the ratios to ours within each round."""
    ours = figures[OURS]
    return {
        name: {
            "median": statistics.median(each),
            "ratio": statistics.median(a / b for a, b in zip(each, ours, strict=True)),
        }
        for name, each in figures.items()
    }


def table(title: str, unit: str, rows: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Print a table, the best first."""
    print(f"\n{title}")
    for name, row in sorted(rows.items(), key=lambda item: item[1]["median"]):
        print(f"  {name:26} {row['median']:>12,.0f} {unit:10} {row['ratio']:>7.2f} x ours")
    return rows


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


def bench_worst_write(entries: int) -> Tables:
    """
    The longest of 100,000 writes that evict from a full cache, those with new tables apart.

    A virtual machine that is halted for a moment counts that as CPU time, too. So beside it stands
    the longest of as many writes to a dict of one entry, which never take long by themselves.
    """
    settings: dict[str, Any] = {"max_bytes": 1 << 40, "max_items": entries}
    worst, _ = longest_write(SizeAwareLRU(sizeof=sys.getsizeof, **settings), entries)
    plain, with_tables = longest_write(PlainLRU(sizeof=sys.getsizeof, **settings), entries)
    found = {
        OURS: worst,
        IN_PYTHON: plain,
        f"{IN_PYTHON}, new tables": with_tables,
        "a dict of one entry": longest_write_to_a_dict(100_000),
    }
    rows = {name: {"median": ns, "ratio": ns / worst} for name, ns in found.items() if ns}
    title = f"worst of 100,000 writes, {entries:,} entries"
    return {title: table(title, "ns", rows)}


def longest_write(cache: Any, entries: int) -> tuple[int, int]:
    """Return the longest write, and the longest that made new tables: only dicts do at the bound."""
    for number in range(entries):
        cache[number] = 1.5
    for number in range(0, entries, 3):
        cache.get(number)
    worst = with_tables = 0
    meter = getattr(cache, "_meter", None)  # only the structure knows when it made new tables
    gc.collect()
    gc.disable()
    for number in range(entries, entries + 100_000):
        renewals = meter and meter.renewals
        begun = time.thread_time_ns()
        cache[number] = 1.5
        taken = time.thread_time_ns() - begun
        if (meter and meter.renewals) == renewals:
            worst = max(worst, taken)
        else:
            with_tables = max(with_tables, taken)
    gc.enable()
    return worst, with_tables


def longest_write_to_a_dict(count: int) -> int:
    held: dict[int, float] = {}
    longest = 0
    for _ in range(count):
        begun = time.thread_time_ns()
        held[0] = 1.5
        longest = max(longest, time.thread_time_ns() - begun)
    return longest


def bench_memory(entries: int) -> Tables:
    """Traced bytes for each entry, without key and value; what is not Python is not traced."""
    keys = [f"key:{number:07}" for number in range(entries)]
    values = [float(number) for number in range(entries)]
    rows = {}
    for name in (OURS, IN_PYTHON, "cachetools"):
        if name not in (contenders := counted()):
            continue
        gc.collect()
        tracemalloc.start()
        _, put = contenders[name](entries)
        assert put
        for key, value in zip(keys, values, strict=True):
            put(key, value)
        gc.collect()
        traced, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        rows[name] = {"median": traced / entries}
    for row in rows.values():
        row["ratio"] = row["median"] / rows[OURS]["median"]
    title = f"memory of an entry beside key and value, {entries:,} entries"
    return {title: table(title, "bytes", rows)}


def plot(found: Tables, path: Path) -> None:
    """Draw each table as a panel: to the right whoever is slower or larger than ours."""
    pyplot = importlib.import_module("matplotlib.pyplot")
    figure, axes = pyplot.subplots(
        -(-len(found) // 3), 3, figsize=(15, 2.1 * -(-len(found) // 3)), layout="constrained"
    )
    for axis in axes.flat[len(found) :]:
        axis.axis("off")
    for axis, (title, rows) in zip(axes.flat, found.items(), strict=False):
        ordered = sorted(rows.items(), key=lambda item: -item[1]["ratio"])
        ratios = [row["ratio"] for _, row in ordered]
        colors = ["tab:orange" if name.startswith(OURS) else "tab:blue" for name, _ in ordered]
        axis.barh([name for name, _ in ordered], [r - 1 for r in ratios], left=1, color=colors)
        axis.axvline(1, color="black", linewidth=0.8)
        axis.set_xscale("log")
        axis.set_xlim(0.2, 200)
        axis.set_xticks([0.5, 1, 2, 5, 10, 20, 50, 100], [".5", 1, 2, 5, 10, 20, 50, 100])
        axis.minorticks_off()
        axis.set_title(f"{title}, ÷ ours", fontsize=8, loc="left")
        axis.tick_params(labelsize=7)
    figure.savefig(path, dpi=90)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9, help="how often each contender runs")
    parser.add_argument("--quick", action="store_true", help="a tenth of the work")
    parser.add_argument("--only", default="", help="only the groups whose name contains this")
    parser.add_argument("--save", action="store_true", help="write the results directory")
    parser.add_argument("--plot", type=Path, help="draw a picture, with matplotlib")
    options = parser.parse_args()
    part = 10 if options.quick else 1
    groups: dict[str, Callable[[], Tables]] = {
        "operations": lambda: bench_operations(options.rounds, 1_000, 20_000 // part),
        "large": lambda: bench_operations(max(options.rounds // 2, 1), 100_000, 50_000 // part),
        "threads": lambda: bench_threads(options.rounds, 100_000 // part),
        "values": lambda: bench_values(max(options.rounds // 2, 1)),
        "reader": lambda: bench_reader_beside_writer(max(options.rounds // 2, 1), 1.0 / part),
        "worst": lambda: bench_worst_write(1_000_000 // part),
        "memory": lambda: bench_memory(100_000 // part),
    }
    found: Tables = {}
    for name, run in groups.items():
        if options.only in name:
            found.update(run())
    if options.save:
        here = environment(PACKAGES, accelerated=accelerated)
        save(f"lru-{PYTHON}", {"environment": here, "tables": found})
    if options.plot:
        plot(found, options.plot)


if __name__ == "__main__":
    main()
