"""How bench_lru.py measures: in CPU time, round by round, each beside ours."""

import gc
import statistics
import time
from collections.abc import Callable
from typing import Any

from lru_peers import OURS

Tables = dict[str, dict[str, dict[str, Any]]]


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
