"""Typed uses of the public surface: checked by mypy, never run."""

from typing import assert_type

from boundedcollections import (
    Batch,
    BoundedHistory,
    Broadcast,
    DropOldestChannel,
    FileMatch,
    IndexReport,
    Line,
    LineSplitter,
    RemovalCause,
    ReplaceOnIndex,
    SizeAwareLRU,
    Subscription,
    Tally,
)


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
