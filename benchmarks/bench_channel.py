"""
Channels and broadcasts beside their peers, in one process, interleaved round by round.

    python benchmarks/bench_channel.py [--rounds 9] [--quick] [--uvloop] [--only NAME] [--save]

Every figure is nanoseconds per item, the median of the rounds, as CPU time of the whole process
and as wall time. Absolute figures vary with whatever else the machine does; so each has its ratio
to the first line of its table, the median of the ratios within a round. Peers that are not
installed are left out. Where items are dropped, the losses are shown.

What is saved is put into the table of docs/explanation/streams.md as well.
"""

import argparse
import asyncio
import gc
import importlib
import importlib.metadata
import queue
import statistics
import sys
import threading
import time
import tracemalloc
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Self

from report import environment, save

from boundedcollections.broadcast import Broadcast
from boundedcollections.channel import DropOldestChannel

PEERS = ("anyio", "janus", "culsans", "aiologic")
GUIDE = Path(__file__).parent.parent / "docs" / "explanation" / "streams.md"
HEAD_OF_THE_GUIDE = "| | `receive` | `receive_many` |\n|---|---|---|\n"
FROM_A_THREAD = "thread to asyncio; asyncio.Queue by call_soon_threadsafe for each item"
ROOM = 1 << 20  # a bound that no measurement reaches, so that nothing is dropped unless it says so


class Cost(NamedTuple):
    """Nanoseconds per item, and what there is to note."""

    cpu: float
    wall: float
    note: str = ""


Contender = Callable[[], Cost]
Tables = dict[str, dict[str, dict[str, Any]]]


class Peer(NamedTuple):
    """One way from a sender to a receiver: a plain function, and an awaitable one."""

    send: Callable[[int], object]
    receive: Callable[[], Awaitable[Any]]
    in_batches: bool = False
    send_from_thread: Callable[[int], object] | None = None


def peer(name: str) -> Any:
    """Import a peer; None where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def ways() -> dict[str, Callable[[], Peer]]:
    """Return how to make each way; called within a running loop."""

    def of_queue() -> Peer:
        q: asyncio.Queue[int] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        return Peer(
            q.put_nowait,
            q.get,
            send_from_thread=lambda i: loop.call_soon_threadsafe(q.put_nowait, i),
        )

    def of_channel(*, in_batches: bool) -> Peer:
        channel = DropOldestChannel[int](max_items=ROOM)
        receive = channel.receive_many if in_batches else channel.receive
        return Peer(channel.send, receive, in_batches, channel.send)

    def of_broadcast() -> Peer:
        hub = Broadcast[int](max_items=ROOM)
        return Peer(
            hub.send, hub.subscribe().receive_many, in_batches=True, send_from_thread=hub.send
        )

    def of_anyio() -> Peer:
        sender, receiver = peer("anyio").create_memory_object_stream(ROOM)
        return Peer(sender.send_nowait, receiver.receive)

    def of_janus() -> Peer:
        both = peer("janus").Queue()
        return Peer(both.async_q.put_nowait, both.async_q.get, send_from_thread=both.sync_q.put)

    def of_culsans() -> Peer:
        both = peer("culsans").Queue()
        return Peer(both.async_q.put_nowait, both.async_q.get, send_from_thread=both.sync_q.put)

    def of_aiologic() -> Peer:
        q = peer("aiologic").SimpleQueue()
        return Peer(q.put, q.async_get, send_from_thread=q.put)

    found: dict[str, Callable[[], Peer]] = {
        "asyncio.Queue": of_queue,
        "channel, receive": lambda: of_channel(in_batches=False),
        "channel, receive_many": lambda: of_channel(in_batches=True),
        "broadcast, receive_many": of_broadcast,
    }
    others = {
        "anyio": ("anyio stream", of_anyio),
        "janus": ("janus", of_janus),
        "culsans": ("culsans", of_culsans),
        "aiologic": ("aiologic SimpleQueue", of_aiologic),
    }
    found.update({title: way for name, (title, way) in others.items() if peer(name)})
    return found


async def receive_all(way: Peer, total: int) -> None:
    receive = way.receive
    if not way.in_batches:
        for _ in range(total):
            await receive()
        return
    received = 0
    while received < total:
        received += len((await receive()).items)


class Stopwatch:
    """The CPU and wall time of a block, collector included but not left over from before."""

    def __enter__(self) -> Self:
        gc.collect()
        self.cpu, self.wall = -time.process_time_ns(), -time.perf_counter_ns()
        return self

    def __exit__(self, *_: object) -> None:
        self.cpu += time.process_time_ns()
        self.wall += time.perf_counter_ns()

    def cost(self, items: int, note: str = "") -> Cost:
        """Return what was measured, for each of so many items."""
        return Cost(self.cpu / items, self.wall / items, note)


def in_one_loop(make: Callable[[], Peer], burst: int, total: int) -> Cost:
    async def main() -> Cost:
        way = make()
        receiving = asyncio.create_task(receive_all(way, total))
        await asyncio.sleep(0)
        with Stopwatch() as watch:
            for _ in range(total // burst):
                for number in range(burst):
                    way.send(number)
                await asyncio.sleep(0)
            await receiving
        return watch.cost(total)

    return asyncio.run(main())


def from_a_thread(make: Callable[[], Peer], total: int) -> Cost:
    async def main() -> Cost:
        way = make()
        send = way.send_from_thread
        assert send is not None

        def flood() -> None:
            for number in range(total):
                send(number)

        receiving = asyncio.create_task(receive_all(way, total))
        await asyncio.sleep(0)
        thread = threading.Thread(target=flood)
        with Stopwatch() as watch:
            thread.start()
            await receiving
            thread.join()
        return watch.cost(total)

    return asyncio.run(main())


def losses_of_a_flood(max_items: int, total: int) -> Cost:
    """Flood a channel of a given size from a thread, and show what its reader misses."""

    async def main() -> Cost:
        channel = DropOldestChannel[int](max_items=max_items)

        def flood() -> None:
            for number in range(total):
                channel.send(number)
            channel.close()

        thread = threading.Thread(target=flood)
        with Stopwatch() as watch:
            thread.start()
            async for _ in channel:
                pass
            thread.join()
        figures = channel.statistics()
        share = figures.received / figures.sent
        return watch.cost(total, f"received {share:.1%}, missed {figures.missed:,} and told so")

    return asyncio.run(main())


def between_threads(
    send: Callable[[int], object], receive: Callable[[int], int], total: int
) -> Cost:
    """`receive` takes some of what is left, and returns how many it took."""

    def read() -> None:
        left = total
        while left:
            left -= receive(left)

    thread = threading.Thread(target=read)
    with Stopwatch() as watch:
        thread.start()
        for number in range(total):
            send(number)
        thread.join()
    return watch.cost(total)


def thread_contenders(total: int) -> Iterator[tuple[str, Contender]]:
    def of_queue(q: Any) -> Cost:
        return between_threads(q.put, lambda _: (q.get(), 1)[1], total)

    def one_by_one() -> Cost:
        channel = DropOldestChannel[int](max_items=ROOM)
        return between_threads(channel.send, lambda _: (channel.receive_blocking(), 1)[1], total)

    def in_batches() -> Cost:
        channel = DropOldestChannel[int](max_items=ROOM)
        return between_threads(
            channel.send, lambda _: len(channel.receive_many_blocking().items), total
        )

    yield "queue.Queue", lambda: of_queue(queue.Queue())
    yield "queue.SimpleQueue (C, unbounded)", lambda: of_queue(queue.SimpleQueue())
    yield "channel, receive_blocking", one_by_one
    yield "channel, receive_many_blocking", in_batches
    if peer("culsans"):
        yield "culsans", lambda: of_queue(peer("culsans").Queue().sync_q)
    if peer("aiologic"):
        q = peer("aiologic").SimpleQueue
        yield (
            "aiologic SimpleQueue",
            lambda: between_threads((made := q()).put, lambda _: (made.green_get(), 1)[1], total),
        )


def fan_out_to_queues(readers: int, burst: int, rounds: int) -> Cost:
    """A task and a queue of its own for each reader."""

    async def main() -> Cost:
        queues: list[asyncio.Queue[bytes]] = [asyncio.Queue(256) for _ in range(readers)]

        async def read(q: asyncio.Queue[bytes]) -> None:
            for _ in range(burst * rounds):
                await q.get()

        def send(frame: bytes) -> None:
            for q in queues:
                if q.full():
                    q.get_nowait()
                q.put_nowait(frame)

        return await measured(send, [read(q) for q in queues], readers, burst, rounds)

    return asyncio.run(main())


def fan_out_to_subscriptions(readers: int, burst: int, rounds: int) -> Cost:
    """A task for each reader, on one ring."""

    async def main() -> Cost:
        hub = Broadcast[bytes](max_items=256)

        async def read() -> None:
            reader = hub.subscribe()
            while reader.position < burst * rounds - 1:
                await reader.receive_many()

        return await measured(hub.send, [read() for _ in range(readers)], readers, burst, rounds)

    return asyncio.run(main())


async def measured(
    send: Callable[[bytes], object], reads: list[Any], readers: int, burst: int, rounds: int
) -> Cost:
    tasks = [asyncio.create_task(read) for read in reads]
    await asyncio.sleep(0)
    with Stopwatch() as watch:
        for _ in range(rounds):
            for _ in range(burst):
                send(b"x" * 200)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        await asyncio.gather(*tasks)
    return watch.cost(readers * burst * rounds, "per item and reader")


def fan_out_to_sinks(readers: int, burst: int, rounds: int) -> Cost:
    """No task for a reader; the write does nothing, for all would do the same there."""

    async def main() -> Cost:
        hub = Broadcast[bytes](max_items=256)

        def write(_: bytes) -> None:
            pass

        def pending() -> int:
            return 0

        sinks = [hub.attach(write, pending=pending) for _ in range(readers)]
        await asyncio.sleep(0.1)
        with Stopwatch() as watch:
            for _ in range(rounds):
                for _ in range(burst):
                    hub.send(b"x" * 200)
                while sinks[0].lag or sinks[-1].lag:  # noqa: ASYNC110  # no event tells it
                    await asyncio.sleep(0)
        assert all(sink.statistics().written == burst * rounds for sink in sinks)
        return watch.cost(readers * burst * rounds, "per item and reader")

    return asyncio.run(main())


def send_to_stalled_queues(readers: int, sends: int) -> Cost:
    queues: list[asyncio.Queue[int]] = [asyncio.Queue(64) for _ in range(readers)]
    for q in queues:
        for number in range(64):
            q.put_nowait(number)
    with Stopwatch() as watch:
        for number in range(sends):
            for q in queues:
                if q.full():
                    q.get_nowait()
                q.put_nowait(number)
    return watch.cost(sends)


def send_to_stalled_subscriptions(readers: int, sends: int) -> Cost:
    hub = Broadcast[int](max_items=64)
    stalled = [hub.subscribe() for _ in range(readers)]
    hub.send_many(range(64))
    with Stopwatch() as watch:
        for number in range(sends):
            hub.send(number)
    assert stalled[0].lag == 64 + sends
    return watch.cost(sends)


def send_into_full(total: int, **bounds: Any) -> Cost:
    """Send into a channel that is full, so that every send drops one item."""
    frame = b"x" * 200
    size = bounds.pop("size", None)
    channel = DropOldestChannel[bytes](**bounds)
    for _ in range(100):
        channel.send(frame, size)
    with Stopwatch() as watch:
        if size is None:
            for _ in range(total):
                channel.send(frame)
        else:
            for _ in range(total):
                channel.send(frame, size)
    missed = channel.statistics().missed
    return watch.cost(total, f"missed {missed:,} of {total + 100:,}")


def memory_of(make: Callable[[], object], count: int) -> float:
    kept: list[object] = [None] * count
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for number in range(count):
        kept[number] = make()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return (after - before) / count


def memory_table() -> dict[str, dict[str, Any]]:
    async def main() -> dict[str, float]:
        hub = Broadcast[bytes](max_items=256)
        hub.send_many([b"x"] * 300)

        def nothing(*_: object) -> int:
            return 0

        return {
            "asyncio.Queue": memory_of(lambda: asyncio.Queue(256), 2_000),
            "channel": memory_of(lambda: DropOldestChannel[int](max_items=256), 2_000),
            "subscription": memory_of(hub.subscribe, 2_000),
            "sink": memory_of(lambda: hub.attach(nothing, pending=nothing), 2_000),
        }

    sizes = asyncio.run(main())
    first = sizes["asyncio.Queue"]
    return {
        name: {"bytes": round(size), "ratio": round(size / first, 3)}
        for name, size in sizes.items()
    }


def compete(contenders: Mapping[str, Contender], rounds: int) -> dict[str, dict[str, Any]]:
    """Run all contenders once in each round, so that a noisy moment hits them all alike."""
    costs: dict[str, list[Cost]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, contender in contenders.items():
            costs[name].append(contender())
    base = next(iter(costs.values()))
    return {
        name: {
            "cpu_ns": round(statistics.median(cost.cpu for cost in found), 1),
            "cpu_ratio": ratio(
                [(cost.cpu, first.cpu) for cost, first in zip(found, base, strict=True)]
            ),
            "wall_ns": round(statistics.median(cost.wall for cost in found), 1),
            "wall_ratio": ratio(
                [(cost.wall, first.wall) for cost, first in zip(found, base, strict=True)]
            ),
            "note": found[-1].note,
        }
        for name, found in costs.items()
    }


def ratio(pairs: list[tuple[float, float]]) -> float:
    return round(statistics.median(cost / first for cost, first in pairs), 3)


def tables(*, quick: bool, rounds: int) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    scale = 10 if quick else 1
    readers = 1_000 if quick else 10_000
    flood = 30_000 // scale
    made = ways()
    threadable = {k: v for k, v in made.items() if k != "anyio stream"}

    def run(contenders: Mapping[str, Contender]) -> Callable[[], dict[str, Any]]:
        return partial(compete, contenders, rounds)

    for burst, total in ((1, 5_000), (16, 16 * 1_000), (256, 256 * 100)):
        items = max(total // scale // burst, 1) * burst
        one_loop = {name: partial(in_one_loop, make, burst, items) for name, make in made.items()}
        yield f"one loop, burst {burst}", run(one_loop)
    yield (
        FROM_A_THREAD,
        run({name: partial(from_a_thread, make, flood) for name, make in threadable.items()}),
    )
    yield (
        "a flood from a thread into a channel",
        run(
            {
                f"max_items={bound:,}": partial(losses_of_a_flood, bound, flood)
                for bound in (ROOM, 16_384, 1_024)
            }
        ),
    )
    yield "thread to thread", run(dict(thread_contenders(flood)))
    for burst, times in ((1, 5), (16, 2)):
        fans = {
            "task and asyncio.Queue each": partial(fan_out_to_queues, readers, burst, times),
            "task and subscription each": partial(fan_out_to_subscriptions, readers, burst, times),
            "sink each": partial(fan_out_to_sinks, readers, burst, times),
        }
        yield f"fan-out to {readers:,}, burst {burst}", run(fans)
    stalled = {
        "asyncio.Queue each": partial(send_to_stalled_queues, readers, 5),
        "subscription each": partial(send_to_stalled_subscriptions, readers, 2_000),
    }
    yield f"one send while {readers:,} stall", run(stalled)
    full = {
        "max_items": partial(send_into_full, flood, max_items=100),
        "max_bytes, size given": partial(send_into_full, flood, max_bytes=20_000, size=200),
        "max_bytes, by default": partial(send_into_full, flood, max_bytes=20_000),
        "max_bytes, sizeof=len": partial(send_into_full, flood, max_bytes=20_000, sizeof=len),
        "max_bytes, sizeof=sys.getsizeof": partial(
            send_into_full, flood, max_bytes=23_300, sizeof=sys.getsizeof
        ),
    }
    yield "send into a full channel", run(full)
    yield "memory of an idle one", memory_table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=9, help="how often each contender runs")
    parser.add_argument("--quick", action="store_true", help="a tenth of the items")
    parser.add_argument("--uvloop", action="store_true", help="run the loops of uvloop")
    parser.add_argument("--only", default="", help="only tables whose title contains this")
    parser.add_argument("--save", action="store_true", help="write results/channel.json")
    options = parser.parse_args()
    if options.uvloop:
        asyncio.set_event_loop_policy(importlib.import_module("uvloop").EventLoopPolicy())
    loop = "uvloop" if options.uvloop else "asyncio"
    found: Tables = {}
    for title, table in tables(quick=options.quick, rounds=options.rounds):
        if options.only in title:
            found[title] = table()
            print_table(title, found[title])
    if options.save:
        name = "channel-uvloop" if options.uvloop else "channel"
        here = environment((*PEERS, "uvloop"), loop=loop)
        save(name, {"environment": here, "tables": found})
        if not (options.quick or options.uvloop or options.only):
            refresh_guide(found)


def refresh_guide(found: Tables) -> None:
    """Put the ratios into the table that users read."""
    rows = {
        "one loop, 256 items sent between two turns of the reader": "one loop, burst 256",
        "one loop, 16 items": "one loop, burst 16",
        "one loop, each item by itself": "one loop, burst 1",
        "from a thread, against `call_soon_threadsafe` for each item": FROM_A_THREAD,
        "thread to thread, against `queue.Queue`": "thread to thread",
    }
    lines = []
    for words, title in rows.items():
        suffix = "_blocking" if title == "thread to thread" else ""
        ratios = (
            found[title][f"channel, {name}{suffix}"]["cpu_ratio"]
            for name in ("receive", "receive_many")
        )
        lines.append(" | ".join([f"| {words}", *(f"{ratio:.2f}" for ratio in ratios)]) + " |\n")
    before, head, after = GUIDE.read_text().partition(HEAD_OF_THE_GUIDE)
    _, blank, rest = after.partition("\n\n")
    GUIDE.write_text(before + head + "".join(lines).rstrip("\n") + blank + rest)


def print_table(title: str, table: dict[str, dict[str, Any]]) -> None:
    print(f"\n{title}")
    for name, row in table.items():
        if "bytes" in row:
            print(f"  {name:34}{row['bytes']:9,} B   x{row['ratio']:.3f}")
            continue
        print(
            f"  {name:34}CPU {row['cpu_ns']:11,.1f} ns x{row['cpu_ratio']:<7.3f}"
            f"wall {row['wall_ns']:11,.1f} ns x{row['wall_ratio']:<7.3f} {row['note']}"
        )


if __name__ == "__main__":
    main()
