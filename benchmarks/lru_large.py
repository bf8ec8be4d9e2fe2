"""Caches of many entries: the longest write into one, and the memory of an entry."""

import gc
import sys
import time
import tracemalloc
from typing import Any

from lru_peers import IN_PYTHON, OURS, PlainLRU, counted
from lru_ratios import Tables, table

from boundedcollections import SizeAwareLRU


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
