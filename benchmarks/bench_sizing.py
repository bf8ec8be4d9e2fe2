"""
Both meters beside pympler and objsize, on the same values, interleaved round by round.

    python benchmarks/bench_sizing.py [--rounds 9] [--quick] [--only NAME] [--json PATH] [--save]

Times are medians of the rounds, in microseconds of CPU time of this thread; "x" is how many times
faster than pympler a meter is, the median of the ratios within a round; below 1 is a loss. Meters
that are not there (no compiler, not installed) are left out. What the figures differ by is shown
too: only `deep_size` is meant to equal pympler's.
"""

import argparse
import collections
import contextlib
import dataclasses
import datetime as dt
import gzip
import importlib
import importlib.metadata
import json
import math
import random
import statistics
import time
import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from pympler.asizeof import Asizer
from report import PYTHON, environment, save

from boundedcollections._core import _deep, _footprint, sizing

PACKAGES = ("pympler", "objsize", "numpy", "pydantic")

TARGET_SECONDS = 0.02  # a round of pympler repeats a value until it has taken about this long

Meter = Callable[[Any], int]
Rows = dict[str, dict[str, Any]]


# ── meters ──────────────────────────────────────────────────────────────────────────────────


def pympler(value: object) -> int:
    return int(Asizer().asizeof(value))


def deep_python(value: object) -> int:
    return _deep.measure(value, math.inf)


def footprint_python(value: object) -> int:
    return _footprint.measure(value, math.inf)


def meters() -> dict[str, Meter]:
    found: dict[str, Meter] = {"pympler": pympler}
    if sizing.accelerated:
        found |= {"deep_size": sizing.deep_size, "footprint": sizing.footprint}
    found |= {"deep_size, Python": deep_python, "footprint, Python": footprint_python}
    with contextlib.suppress(ImportError):
        found["objsize"] = importlib.import_module("objsize").get_deep_size
    return found


# ── values ──────────────────────────────────────────────────────────────────────────────────


@dataclasses.dataclass
class Plain:
    """Its attributes are in a dict, sooner or later."""

    number: int
    name: str
    score: float
    tags: list[int]
    note: object = None


@dataclasses.dataclass(slots=True)
class Slotted:
    """Its attributes are in slots."""

    number: int
    name: str
    score: float
    tags: list[int]
    note: object = None


class Row(NamedTuple):
    """A tuple with names."""

    number: int
    name: str
    score: float


def document(size: int) -> object:
    """A parsed JSON document of about so many characters, the same in every run."""
    rng = random.Random(size)
    text: list[str] = []
    length = 0
    while length < size:
        text.append(json.dumps(record(rng, len(text))))
        length += len(text[-1])
    return json.loads(f"[{','.join(text)}]")


def record(rng: random.Random, number: int) -> dict[str, object]:
    return {
        "id": number,
        "name": f"user {number}",
        "email": f"u{rng.getrandbits(30)}@example.com",
        "active": rng.random() < 0.5,
        "score": rng.random() * 100,
        "tags": [f"t{rng.getrandbits(8)}" for _ in range(rng.randrange(5))],
        "address": {
            "street": "s" * rng.randrange(30),
            "zip": str(rng.getrandbits(17)),
            "geo": [rng.random(), rng.random()],
        },
        "note": None,
        "followers": rng.getrandbits(40),
    }


def values(*, quick: bool, documents: list[Path]) -> Iterator[tuple[str, object]]:
    yield "str of 100", "x" * 100
    yield "bytes of 10 kB", bytes(10_000)
    yield "dict of 10", {f"key {i}": None for i in range(10)}
    sizes = {"1 kB": 1_000, "10 kB": 10_000, "100 kB": 100_000, "1 MB": 10**6, "10 MB": 10**7}
    for name in list(sizes)[: 3 if quick else None]:
        yield f"JSON of {name}", document(sizes[name])
    for path in documents:
        yield f"JSON {path.name}", parsed(path)
    count = 10**5 if quick else 10**6
    yield f"list of {count:,} ints", list(range(10**6, 10**6 + count))
    yield (
        f"list of {count // 10:,} mixed leaves",
        [leaf for i in range(count // 40) for leaf in (i + 0.5, str(i), 10**6 + i, None)],
    )
    yield "dict of 10,000 int keys", {10**6 + i: i + 0.5 for i in range(10**4)}
    yield "set of 10,000 floats", {i + 0.5 for i in range(10**4)}
    yield "1 dataclass", Plain(1000, "name", 1.5, [1, 2])
    for kind in (Plain, Slotted):
        many = [kind(1000 + i, f"name {i}", i * 1.5, [1, 2]) for i in range(100)]
        yield f"100 dataclasses{', slots' * (kind is Slotted)}", many
    yield "100 named tuples", [Row(1000 + i, f"name {i}", i * 1.5) for i in range(100)]
    start = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    yield "100 datetimes", [start + dt.timedelta(days=i) for i in range(100)]
    yield "OrderedDict of 100", collections.OrderedDict((str(i), i + 0.5) for i in range(100))
    yield "deque of 1,000 floats", collections.deque(i + 0.5 for i in range(1000))
    yield from values_of_others()


def values_of_others() -> Iterator[tuple[str, object]]:
    try:
        numpy = importlib.import_module("numpy")
    except ImportError:
        pass
    else:
        yield "100 numpy arrays of 100", [numpy.full(100, i) for i in range(100)]
    try:
        pydantic = importlib.import_module("pydantic")
    except ImportError:
        pass
    else:
        model = pydantic.create_model("Model", number=(int, ...), name=(str, ...))
        yield "100 pydantic models", [model(number=1000 + i, name=f"n{i}") for i in range(100)]


def parsed(path: Path) -> object:
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        return json.load(file)


# ── measuring ───────────────────────────────────────────────────────────────────────────────


def compare(value: object, contenders: dict[str, Meter], rounds: int) -> Rows:
    """Return, for each meter, its figure, its median time and its median ratio to pympler."""
    repeats = {name: repeats_of(meter, value) for name, meter in contenders.items()}
    times: dict[str, list[float]] = {name: [] for name in contenders}
    order = list(contenders)
    rng = random.Random(rounds)
    for _ in range(rounds):
        rng.shuffle(order)
        for name in order:
            times[name].append(timed(contenders[name], value, repeats[name]))
    return {
        name: {
            "microseconds": statistics.median(times[name]) * 1e6,
            "times_faster": statistics.median(
                theirs / ours for theirs, ours in zip(times["pympler"], times[name], strict=True)
            ),
            "bytes": meter(value),
        }
        for name, meter in contenders.items()
    }


def timed(meter: Meter, value: object, repeats: int) -> float:
    start = time.thread_time()
    for _ in range(repeats):
        meter(value)
    return (time.thread_time() - start) / repeats


def repeats_of(meter: Meter, value: object) -> int:
    """Return how often to repeat a value so that the clock's steps do not show."""
    return max(1, round(TARGET_SECONDS / max(timed(meter, value, 1), 1e-7)))


def refusal(value: object, rounds: int) -> Rows:
    """Return what it takes to find that a value is larger than a fortieth of its size."""
    limit = sizing.deep_size(value) // 40
    forms = {"deep_size": sizing.deep_size, "footprint": sizing.footprint}
    rows: Rows = {}
    for name, meter in forms.items():
        full, early = [], []
        for _ in range(rounds):
            full.append(timed(meter, value, 1))
            early.append(timed(partial(meter, limit=limit), value, 1))
        rows[name] = {
            "full_microseconds": statistics.median(full) * 1e6,
            "refused_microseconds": statistics.median(early) * 1e6,
            "share_of_the_walk": statistics.median(e / f for e, f in zip(early, full, strict=True)),
        }
    return rows


def transient(value: object, contenders: dict[str, Meter]) -> dict[str, int]:
    """Return the bytes that each meter holds at most beside the value."""
    peaks = {}
    for name, meter in contenders.items():
        tracemalloc.start()
        meter(value)
        peaks[name] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peaks


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=9, help="how often each meter runs")
    parser.add_argument("--quick", action="store_true", help="without the large values")
    parser.add_argument("--only", default="", metavar="NAME", help="values whose name has this")
    parser.add_argument(
        "--json", type=Path, action="append", default=[], metavar="PATH", help="a document more"
    )
    parser.add_argument("--save", action="store_true", help="write results/sizing.json")
    options = parser.parse_args()
    contenders = meters()
    here = environment(PACKAGES)
    print(json.dumps(here))
    found: dict[str, Rows] = {}
    for title, value in values(quick=options.quick, documents=options.json):
        if options.only in title:
            found[title] = compare(value, contenders, options.rounds)
            print_rows(title, found[title])
    large = document(10**5 if options.quick else 10**7)
    refused, peaks = refusal(large, options.rounds), transient(large, contenders)
    report = {
        "environment": here,
        "values": found,
        "refusal": refused,
        "transient_bytes": peaks,
    }
    print(f"\n{sizing.deep_size(large):,} bytes of JSON: refused at a fortieth of it, and memory")
    for name, row in refused.items():
        print(
            f"  {name:20}{row['full_microseconds']:13,.1f} us in full,"
            f"{row['refused_microseconds']:11,.1f} us refused, {row['share_of_the_walk']:.4f}"
        )
    for name, peak in peaks.items():
        print(f"  {name:20}{peak:13,} bytes beside the value")
    if options.save:
        save(f"sizing-{PYTHON}", report)


def print_rows(title: str, rows: Rows) -> None:
    print(f"\n{title}")
    for name, row in rows.items():
        print(
            f"  {name:20}{row['microseconds']:13,.2f} us  x{row['times_faster']:<9.2f}"
            f"{row['bytes']:14,} bytes"
        )


if __name__ == "__main__":
    main()
