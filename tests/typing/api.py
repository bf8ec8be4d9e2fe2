"""Typed uses of the public surface: checked by mypy, never run."""

import asyncio
from typing import assert_type

from boundedcollections import (
    Batch,
    BoundedHistory,
    Broadcast,
    BudgetStatistics,
    BufferPool,
    ConnectionLimiter,
    DropOldestChannel,
    FileMatch,
    IndexReport,
    Level,
    Line,
    LineSplitter,
    MemoryBudget,
    MemoryMonitor,
    RemovalCause,
    ReplaceOnIndex,
    Reservation,
    SizeAwareLRU,
    Subscription,
    Tally,
    read_lines,
)
from boundedcollections.memory.policy import ONE_GIB_SERVICE, Plan


def history() -> None:
    numbers = BoundedHistory([1, 2, 3], max_items=3)
    assert_type(numbers, BoundedHistory[int])
    assert_type(numbers[0], int)
    assert_type(numbers[1:], tuple[int, ...])
    assert_type(numbers.append(4), int)
    assert_type(numbers.since(0), Batch[int])
    assert_type(numbers.since(0).items, tuple[int, ...])
    assert_type(numbers.last(2), tuple[int, ...])
    assert_type(numbers.statistics().left[RemovalCause.COUNT], Tally)
    numbers.append("four")  # type: ignore[arg-type]
    BoundedHistory([1], max_bytes=9, sizeof=len)  # type: ignore[arg-type]
    BoundedHistory[str](
        max_items=9, on_evict=lambda seq, item, cause: (seq + 1, item.upper(), cause.evicted)
    )


def cache() -> None:
    ages = SizeAwareLRU({"ann": 31}, max_bytes=1_000)
    assert_type(ages, SizeAwareLRU[str, int])
    assert_type(ages["ann"], int)
    assert_type(ages.get("bob"), int | None)
    assert_type(ages.get("bob", 0), int)
    assert_type(ages.get("bob", "nobody"), int | str)
    assert_type(ages.peek("bob"), int | None)
    assert_type(ages.put("bob", 32), bool)
    assert_type(ages.pop("bob"), int)
    assert_type(ages.pop("bob", None), int | None)
    assert_type(ages.popitem(), tuple[str, int])
    assert_type(ages.setdefault("bob", 33), int)
    assert_type(ages.snapshot(), tuple[tuple[str, int], ...])
    ages["ann"] = "old"  # type: ignore[assignment]
    ages[3] = 3  # type: ignore[index]
    SizeAwareLRU[str, int]()  # type: ignore[call-arg]


async def streams() -> None:
    channel = DropOldestChannel[bytes](max_items=9, max_bytes=9_000)
    channel.send(b"frame", size=5)
    assert_type(await channel.receive(timeout_seconds=1), bytes)
    assert_type(await channel.receive_many(max_items=3), Batch[bytes])
    async for batch in channel:
        assert_type(batch.items, tuple[bytes, ...])
    channel.send("text")  # type: ignore[arg-type]

    hub = Broadcast[str](max_items=9)
    assert_type(hub.send("news"), int)
    reader = hub.subscribe(after=3)
    assert_type(reader, Subscription[str])
    assert_type(reader.receive_nowait(), str)
    hub.subscribe(on_lag="wait")  # type: ignore[arg-type]


def files() -> None:
    index = ReplaceOnIndex("src", max_files=9)
    assert_type(index.index(), IndexReport)
    assert_type(index.search("app")[0], FileMatch)
    assert_type(index.search("app")[0].positions, tuple[int, ...])
    assert_type(index.snapshot()[0], str)


def lines() -> None:
    for line in LineSplitter(max_line_bytes=9).feed(b"one"):
        assert_type(line, Line)
        assert_type(line.text, str)


async def pipes(stdout: asyncio.StreamReader, descriptor: int) -> None:
    pool = BufferPool(max_buffers=4)
    async for line in read_lines(stdout, pool, max_line_bytes=9):
        assert_type(line, Line)
    read_lines(descriptor, pool, 9)
    read_lines(stdout, [bytearray(9)], 9)  # type: ignore[arg-type]
    read_lines("output", pool, 9)  # type: ignore[arg-type]


async def buffers() -> None:
    pool = BufferPool(max_buffers=4, buffer_bytes=9, budget=MemoryBudget(max_bytes=99))
    with await pool.acquire(timeout_seconds=1) as buffer:
        assert_type(buffer, memoryview)
    lease = pool.acquire_nowait()
    assert_type(lease.buffer, memoryview)
    assert_type(lease.released, bool)
    assert_type(pool.acquire_blocking().release(), None)
    assert_type(pool.drain(), int)
    BufferPool()  # type: ignore[call-arg]


async def limits() -> None:
    limiter = ConnectionLimiter(max_connections=9, max_per_key=2, budget=MemoryBudget(fraction=0.5))
    with limiter.acquire_nowait("10.0.0.7") as permit:
        assert_type(permit.released, bool)
    (await limiter.acquire(("any", "hashable"), timeout_seconds=1)).release()
    limiter.acquire_nowait(["a list"])  # type: ignore[arg-type]
    ConnectionLimiter(9)  # type: ignore[call-arg]


class Names:
    """A collection of one's own, that joins a budget."""

    target_bytes = 0

    @property
    def claimed_bytes(self) -> int:
        return 0

    def shed(self) -> bool:
        return False


def memory() -> None:
    budget = MemoryBudget(max_bytes=9)
    SizeAwareLRU[str, int](max_bytes=9, budget=budget, floor_bytes=1, weight=2)
    with budget.reserve(3) as reservation:
        assert_type(reservation, Reservation)
        assert_type(reservation.size, int)
    assert_type(budget.level, Level)
    assert_type(budget.statistics(), BudgetStatistics)
    assert_type(budget.statistics().members[0].name, str)
    account = budget.join(Names(), name="names", floor_bytes=1)
    assert_type(account.press(3), None)
    assert_type(budget.catch_up(0.001), bool)
    budget.join([])  # type: ignore[arg-type]
    MemoryBudget(9)  # type: ignore[call-arg]


async def watch(budget: MemoryBudget) -> None:
    def told(previous: Level, level: Level) -> bool:
        return level > previous

    with MemoryMonitor(budget, config=ONE_GIB_SERVICE, on_level=told) as monitor:
        assert_type(monitor, MemoryMonitor)
        assert_type(monitor.look(), Plan | None)
        assert_type(monitor.tick(), float)
        assert_type(monitor.statistics().pauses.longest_seconds, float)
    assert_type(await monitor.run(), None)
    MemoryMonitor(budget, on_level=lambda level: None)  # type: ignore[arg-type,misc]
