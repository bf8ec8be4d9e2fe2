"""
Is a bound in bytes kept? Caches filled to their bound, beside what the process then spends.

    python benchmarks/honest_bytes.py [--mib 40] [--only SHAPE] [--cache NAME] [--plot FILE] [--save]

Each cell is a new process that fills one cache with one shape of value until it has evicted for
a while. Then "claimed" is what the cache says that it holds, "traced" what tracemalloc sees, "spent"
the same blocks as the allocator rounds them, and "RSS" the growth of the process, all in per cent
of the bound. An honest cache claims what is spent, and neither is above 100. What is written
outside of Python's allocators (cachebox) is seen by RSS alone.
"""

import argparse
import collections
import contextlib
import ctypes
import dataclasses
import gc
import importlib
import importlib.metadata
import importlib.util
import itertools
import json
import os
import platform
import random
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator, MutableMapping
from functools import partial
from pathlib import Path
from typing import Any

from pympler.asizeof import Asizer
from report import versions

from boundedcollections import MiB, SizeAwareLRU, accelerated, deep_size, footprint
from boundedcollections._core.tables import allocated

REPORT = Path(__file__).parent / "results" / "honest_bytes.json"
OVERFILL = 0.3  # go on writing for this share of the bound after the first eviction

Table = dict[str, dict[str, dict[str, float]]]

# ── what is cached ──────────────────────────────────────────────────────────────────────────


@dataclasses.dataclass
class Plain:
    """Its attributes are kept as values, without a dict at first."""

    number: int
    name: str
    score: float
    note: object = None


@dataclasses.dataclass(slots=True)
class Slotted:
    """Its attributes are in slots."""

    number: int
    name: str
    score: float
    note: object = None


RECORD = json.dumps(
    {"id": 12345, "name": "somebody", "tags": ["one", "two", "three"], "geo": [1.5, 2.5]}
)
SHARED = bytes(10_000)
RNG = random.Random(1)


def written(number: int, size: int) -> bytes:
    """Bytes that are not 0: the kernel gives pages of zeros for nothing."""
    return bytes([number % 255 + 1]) * size


def mixed(number: int) -> object:
    """One of several shapes, small and large."""
    return RNG.choice(
        [
            lambda: number + 0.5,
            lambda: "x" * RNG.randrange(2_000),
            lambda: json.loads(RECORD),
            lambda: written(number, RNG.randrange(20_000)),
            lambda: Slotted(number, f"name {number}", number * 1.5),
            lambda: collections.deque(i + 0.5 for i in range(RNG.randrange(50))),
        ]
    )()


def numpy_array(number: int) -> object:
    """1 000 floats outside of the objects that Python tracks."""
    return importlib.import_module("numpy").full(1_000, number)


SHAPES: dict[str, Callable[[int], object]] = {
    "float": lambda i: i + 0.5,
    "str of 100": "{:0100}".format,
    "bytes of 1 kB": lambda i: written(i, 1_000),
    "bytes of 10 kB": lambda i: written(i, 10_000),
    "bytes of 1 MB": lambda i: written(i, 1_000_000),
    "list of 10 floats": lambda i: [i + j + 0.5 for j in range(10)],
    "dict, literal keys": lambda i: {"id": i, "name": None, "seen": True, "score": i * 1.5},
    "dict, parsed JSON": lambda _: json.loads(RECORD),
    "dataclass": lambda i: Plain(i, f"name {i}", i * 1.5),
    "dataclass, slots": lambda i: Slotted(i, f"name {i}", i * 1.5),
    "deque of 100 floats": lambda i: collections.deque(i + j + 0.5 for j in range(100)),
    "numpy array": numpy_array,
    "mixed": mixed,
    "one object for all": lambda _: SHARED,
}

# ── what caches it ──────────────────────────────────────────────────────────────────────────

Cache = MutableMapping[str, object]


def asizeof(value: object) -> int:
    """Pympler's figure, by a sizer of its own as threads need it."""
    return int(Asizer().asizeof(value))


def asizeof_both(key: object, value: object) -> int:
    """Pympler's figure of an entry."""
    return asizeof(key) + asizeof(value)


def ours(sizeof: Callable[[Any], int], max_bytes: int) -> Cache:
    """Our own, which charges keys, entries and tables too."""
    return SizeAwareLRU(max_bytes=max_bytes, sizeof=sizeof)


def cachetools_lru(max_bytes: int) -> Cache:
    """It hands the value alone to its size function."""
    module = importlib.import_module("cachetools")
    cache: Cache = module.LRUCache(max_bytes, getsizeof=asizeof)
    return cache


def cachebox_lru(max_bytes: int) -> Cache:
    """It hands key and value to its size function."""
    module = importlib.import_module("cachebox")
    cache: Cache = module.LRUCache(max_bytes, getsizeof=asizeof_both)
    return cache


CACHES: dict[str, Callable[[int], Cache]] = {
    "footprint": partial(ours, footprint),
    "deep_size": partial(ours, deep_size),
    "cachetools": cachetools_lru,
    "cachebox": cachebox_lru,
}
NEEDS = {"cachetools": "cachetools", "cachebox": "cachebox", "numpy array": "numpy"}


# ── one cell, in its own process ────────────────────────────────────────────────────────────


def fill(cache: Cache, make: Callable[[int], object]) -> None:
    """Write new entries until the cache has evicted for a while."""
    full_at = None
    for number in itertools.count():
        before = len(cache)
        cache[f"user:{number:010}"] = make(number)
        if full_at is None and len(cache) <= before:
            full_at = number
        if full_at is not None and number > full_at * (1 + OVERFILL):
            return


def claimed_bytes(cache: Any) -> int:
    """Return what a cache says that it holds, each by its own name for it."""
    for name in ("current_bytes", "currsize", "current_size"):
        claimed = getattr(cache, name, None)
        if claimed is not None:
            return int(claimed() if callable(claimed) else claimed)
    raise AttributeError(f"{type(cache)} does not say what it holds")


def resident_bytes() -> int:
    """Return what the kernel counts for this process; 0 where that cannot be asked."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def one_cell(shape: str, name: str, max_bytes: int, *, traced: bool) -> dict[str, float]:
    """Fill a cache in this process; return what it holds in per cent of its bound."""
    make, build = SHAPES[shape], CACHES[name]
    fill(build(max(300_000, 3 * asizeof(make(0)))), make)  # what is set up once, is
    gc.collect()
    if traced:
        tracemalloc.start()
    before = resident_bytes()
    cache = build(max_bytes)
    fill(cache, make)
    gc.collect()
    after = resident_bytes()
    percent = 100 / max_bytes
    if not traced:
        claimed = claimed_bytes(cache) * percent
        return {"entries": len(cache), "claimed": claimed, "RSS": (after - before) * percent}
    sizes = [trace.size for trace in tracemalloc.take_snapshot().traces]
    return {"traced": sum(sizes) * percent, "spent": sum(map(allocated, sizes)) * percent}


def run_cell(shape: str, name: str, max_bytes: int) -> dict[str, float]:
    """Have a new process, without tracing and with it, fill the cache."""
    row: dict[str, float] = {}
    for flag in ("--plain", "--traced"):
        command = [sys.executable, __file__, "--cell", shape, name, str(max_bytes), flag]
        row |= json.loads(subprocess.check_output(command, text=True))
    return row


# ── what the process keeps when the load changes ────────────────────────────────────────────

PHASES = (100, 450, 3_000, 100)  # bytes of a value; each phase replaces all that is cached


def churn(max_bytes: int) -> dict[str, float]:
    """Return the growth of this process, in per cent of the bound, as the sizes of values change."""
    percent = 100 / max_bytes
    before = resident_bytes()
    cache = ours(footprint, max_bytes)
    grown: dict[str, float] = {}

    def note(moment: str) -> None:
        gc.collect()
        grown[moment] = (resident_bytes() - before) * percent

    number = 0
    for phase, size in enumerate(PHASES):
        for _ in range(3 * max_bytes // (size + 200)):
            cache[f"user:{number:010}"] = RNG.randbytes(RNG.randrange(size // 2, size * 2))
            number += 1
        note(f"{phase + 1}: values of about {size:,} bytes")
    cache.clear()
    note("cleared")
    with contextlib.suppress(OSError, AttributeError):  # only glibc has it
        ctypes.CDLL(None).malloc_trim(0)
        note("trimmed")
    return grown


def run_churn(max_bytes: int) -> dict[str, float]:
    """Have a new process do it."""
    command = [sys.executable, __file__, "--churn", str(max_bytes)]
    grown: dict[str, float] = json.loads(subprocess.check_output(command, text=True))
    return grown


# ── all of them ─────────────────────────────────────────────────────────────────────────────


def installed(name: str) -> bool:
    return name not in NEEDS or importlib.util.find_spec(NEEDS[name]) is not None


def cells(shapes: str, caches: str) -> Iterator[tuple[str, str]]:
    """Return the shapes and the caches to run, by parts of their names."""
    for shape in SHAPES:
        if shapes in shape and installed(shape):
            for name in CACHES:
                if caches in name and installed(name):
                    yield shape, name


PACKAGES = ("boundedcollections", "pympler", "cachetools", "cachebox", "numpy")


def environment(max_bytes: int) -> dict[str, object]:
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "system": f"{platform.system()} {platform.machine()}",
        "accelerated": accelerated,
        "max_bytes": max_bytes,
        "packages": versions(PACKAGES),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--mib", type=int, default=40, help="the bound of every cache")
    parser.add_argument("--only", default="", metavar="SHAPE", help="shapes whose name has this")
    parser.add_argument("--cache", default="", metavar="NAME", help="caches whose name has this")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw it, with matplotlib")
    parser.add_argument("--save", action="store_true", help="add to results/honest_bytes.json")
    parser.add_argument("--cell", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--churn", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--traced", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--plain", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.cell:
        shape, name, max_bytes = options.cell
        print(json.dumps(one_cell(shape, name, int(max_bytes), traced=options.traced)))
        return
    if options.churn:
        print(json.dumps(churn(options.churn)))
        return
    bound = options.mib * MiB
    report = load_report(environment(bound))
    found: Table = report["percent_of_the_bound"]
    print(f"per cent of a bound of {options.mib} MiB")
    for shape, name in cells(options.only, options.cache):
        row = found.setdefault(shape, {})[name] = run_cell(shape, name, bound)
        print(
            f"{shape:20} {name:12}claimed {row['claimed']:6.1f}   traced {row['traced']:7.1f}"
            f"   spent {row['spent']:7.1f}   RSS {row['RSS']:7.1f}   {row['entries']:9,.0f} entries",
            flush=True,
        )
        if options.save:
            save_report(report)
    if not options.only:
        churned = report["percent_of_the_bound_in_rss"] = run_churn(bound)
        print("\nRSS as the sizes of values change, footprint")
        for moment, grown in churned.items():
            print(f"  {moment:32}{grown:7.1f}")
        if options.save:
            save_report(report)
    if options.plot:
        plot(found, options.plot)


def load_report(here: dict[str, object]) -> dict[str, Any]:
    """Return what was saved in the same environment, to add to it, or an empty report."""
    with contextlib.suppress(FileNotFoundError):
        report: dict[str, Any] = json.loads(REPORT.read_text())
        if report["environment"] == here:
            return report
    return {"environment": here, "percent_of_the_bound": {}}


def save_report(report: dict[str, Any]) -> None:
    """Write what there is by now."""
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps(report, indent=2) + "\n")


def plot(found: Table, path: Path) -> None:
    """Draw one group of bars for each shape; the line is the bound."""
    pyplot = importlib.import_module("matplotlib.pyplot")
    figure, axes = pyplot.subplots(figsize=(12, 5), layout="constrained")
    names = [name for name in CACHES if any(name in row for row in found.values())]
    width = 0.8 / len(names)
    for i, name in enumerate(names):
        heights = [row.get(name, {}).get("RSS", 0) for row in found.values()]
        axes.bar([x + i * width for x in range(len(found))], heights, width, label=name)
    axes.axhline(100, color="black", linewidth=1)
    axes.set_yscale("log")
    axes.set_ylabel("resident memory, % of the bound")
    axes.set_xticks([x + 0.4 - width / 2 for x in range(len(found))], found, rotation=30)
    axes.legend()
    figure.savefig(path)


if __name__ == "__main__":
    main()
