"""
Create, use and close everything there is, again and again, and print what is left of it, as JSON.

    python soak.py ROUNDS FOLDER
"""

import asyncio
import contextlib
import gc
import json
import os
import sys
import warnings
from pathlib import Path

from boundedcollections import (
    BoundedHistory,
    Broadcast,
    BufferPool,
    ConnectionLimiter,
    DropOldestChannel,
    LimitReached,
    LineSplitter,
    MemoryBudget,
    MemoryMonitor,
    MiB,
    ReplaceOnIndex,
    SizeAwareLRU,
    TooLarge,
    WouldBlock,
    deep_size,
    footprint,
    read_lines,
)
from boundedcollections.memory.probe import LinuxProbe
from boundedcollections.memory.reclaim import find_trim
from boundedcollections.testing import assert_no_growth


def stores() -> None:
    history = BoundedHistory[str](max_items=20, max_bytes=100_000, max_age_seconds=60, name="room")
    cache = SizeAwareLRU[str, str](max_bytes=100_000, name="tools")
    for number in range(100):
        history.append(f"message {number}" * 10)
        cache[f"tool {number % 40}"] = "x" * (number * 10)
    with contextlib.suppress(TooLarge):
        cache["large"] = "x" * 200_000
    assert history.since(0).missed > 0
    assert cache.statistics().current_bytes <= 100_000
    assert deep_size(history.snapshot()) > 0 < footprint(cache.snapshot())
    cache.clear()


async def loads() -> None:
    cache = SizeAwareLRU[str, str](max_bytes=100_000, ttl_seconds=60)

    async def load(key: str) -> str:
        await asyncio.sleep(0)
        if key == "broken":
            raise ValueError(key)
        return key * 10

    @cache.memoize
    def upper(text: str) -> str:
        return text.upper()

    assert await asyncio.gather(*(cache.aget_or_load("key", load) for _ in range(3)))
    with contextlib.suppress(ValueError):
        await cache.aget_or_load("broken", load)
    assert cache.get_or_load("other", lambda key: key * 10) == "other" * 10
    assert upper("text") == upper("text") == "TEXT"


async def streams() -> None:
    channel = DropOldestChannel[str](max_items=10)
    hub = Broadcast[bytes](max_items=10, max_bytes=10_000)
    written: list[bytes] = []
    sink = hub.attach(written.append, pending=lambda: 0)
    reader = hub.subscribe()
    receiving = asyncio.create_task(channel.receive())
    await asyncio.sleep(0)
    for number in range(30):
        channel.send(f"item {number}")
        hub.send(b"frame" * 10)
    await receiving
    cancelled = asyncio.create_task(reader.receive())
    await asyncio.sleep(0)
    cancelled.cancel()
    await asyncio.wait([cancelled])
    reader.close()
    sink.close()
    hub.close()
    channel.close(discard=True)


async def pipes() -> None:
    pool = BufferPool(max_buffers=2, buffer_bytes=4_096)
    read_end, write_end = os.pipe()
    os.write(write_end, b"line\n" * 50 + b"x" * 10_000)
    os.close(write_end)
    found = [line.size async for line in read_lines(read_end, pool, 100)]
    assert found == [4] * 50 + [10_000]
    os.close(read_end)
    leases = [pool.acquire_nowait(), await pool.acquire()]
    with contextlib.suppress(WouldBlock):
        pool.acquire_nowait()
    leases.pop().release()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        leases.clear()  # a leak, which must not last
    pool.close()
    splitter = LineSplitter(100)
    splitter.feed(b"one\ntwo" * 100)
    splitter.close()


async def limits() -> None:
    limiter = ConnectionLimiter(max_connections=3, max_per_key=2, max_waiting=2)
    permits = [limiter.acquire_nowait(number) for number in range(3)]
    waiting = [asyncio.create_task(limiter.acquire("late")) for _ in range(2)]
    await asyncio.sleep(0)
    with contextlib.suppress(LimitReached):
        await limiter.acquire("later")
    waiting[0].cancel()
    permits.pop().release()
    (await waiting[1]).release()
    for permit in permits:
        permit.release()
    limiter.close()


def budgets() -> None:
    budget = MemoryBudget(max_bytes=1_000 * MiB)
    with MemoryMonitor(budget, on_level=lambda *_: None) as monitor:
        with budget.reserve(MiB):
            monitor.look()
        assert monitor.statistics().limit_bytes == budget.max_bytes


async def members() -> None:
    """Have one of each kind share a bound that is lowered, and a task see to it."""
    budget = MemoryBudget(max_bytes=MiB)
    cache = SizeAwareLRU[int, str](max_bytes=MiB, budget=budget)
    history = BoundedHistory[str](max_bytes=MiB, budget=budget)
    channel = DropOldestChannel[str](max_bytes=MiB, budget=budget)
    hub = Broadcast[str](max_bytes=MiB, budget=budget)
    pool = BufferPool(max_buffers=2, buffer_bytes=4_096, budget=budget)
    for number in range(40):
        cache[number] = history_item = "x" * 1_000
        history.append(history_item)
        channel.send(history_item)
        hub.send(history_item)
    monitor = MemoryMonitor(MemoryBudget(max_bytes=1_000 * MiB))
    watching = asyncio.create_task(monitor.run())
    await asyncio.sleep(0)
    with pool.acquire_blocking():
        budget.resize(max_bytes=MiB // 10)
        while budget.catch_up():
            pass
    assert budget.claimed_bytes <= MiB // 10
    monitor.close()
    await watching


def indexes(folder: Path) -> None:
    index = ReplaceOnIndex(folder, max_files=100)
    index.index()
    assert index.search("file")
    finder = index.finder()
    assert finder.search("file")
    finder.close()
    index.close()


def round_of_everything(folder: Path) -> None:
    async def tasks() -> None:
        await streams()
        await pipes()
        await limits()
        await loads()
        await members()

    stores()
    asyncio.run(tasks())
    budgets()
    indexes(folder)


def main(rounds: int, folder: Path) -> None:
    for number in range(10):
        (folder / f"file {number}.txt").touch()
    for _ in range(50):
        round_of_everything(folder)
    before = settled_bytes()
    blocks = assert_no_growth(lambda: round_of_everything(folder), operations=rounds, samples=50)
    growth = settled_bytes() - before
    report = {"rounds": rounds, "blocks_per_round": blocks, "growth_bytes": growth}
    print(json.dumps(report))  # noqa: T201  # this is what the parent reads


def settled_bytes() -> int:
    gc.collect()
    trim = find_trim()
    if trim is not None:
        trim()
    probe = LinuxProbe()
    rss = probe.read().rss_bytes
    probe.close()
    return rss


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
