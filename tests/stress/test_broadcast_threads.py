import asyncio
import contextlib
import gc
import os
import random
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator

import pytest
from stress.storm import for_a_while, storm

from boundedcollections import BoundedHistory, Closed, WouldBlock
from boundedcollections.broadcast import Broadcast, Subscription
from boundedcollections.testing import check_invariants

pytestmark = pytest.mark.usefixtures("every_build", "weightless_streams")


class Witness:
    """Follows a broadcast to its end, however often it is cancelled, and notes what it gets."""

    def __init__(self, hub: Broadcast[int], *, lazy: bool) -> None:
        self.hub = hub
        self.reader: Subscription[int] = hub.subscribe()
        self.received: list[tuple[int, int]] = []
        self.missed = 0
        self.lazy = lazy

    async def read(self) -> None:
        with contextlib.suppress(Closed):
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(random.choice([None, 0, 0.0001, 0.001])):
                        await self.take()
                if self.lazy:
                    await asyncio.sleep(0.005)
                if random.random() < 0.1:  # lose the connection, and come back
                    self.reader = self.hub.subscribe(after=self.reader.position)

    async def take(self) -> None:
        before = self.reader.position
        batch = await self.reader.receive_many(random.choice([None, 1, 7]))
        assert batch.items
        assert batch.first_seq == before + 1 + batch.missed
        self.received += enumerate(batch.items, batch.first_seq)
        self.missed += batch.missed

    def check(self, sent: dict[int, int]) -> None:
        numbers = [seq for seq, _ in self.received]
        assert numbers == sorted(set(numbers))
        assert all(sent[seq] == value for seq, value in self.received)
        assert len(numbers) + self.missed == self.reader.position + 1


@contextlib.contextmanager
def followed(witnesses: list[Witness]) -> Iterator[None]:
    """Let the witnesses read in two loops, each in a thread of its own, until all have ended."""
    failures: list[BaseException] = []

    async def read(some: list[Witness]) -> None:
        async with asyncio.TaskGroup() as group:
            for witness in some:
                group.create_task(witness.read())

    def run(some: list[Witness]) -> None:
        try:
            asyncio.run(read(some))
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(witnesses[i::2],)) for i in range(2)]
    for thread in threads:
        thread.start()
    yield
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert failures == []


@for_a_while
def test_every_reader_in_every_loop_gets_each_item_or_is_told_of_the_gap(seconds: float) -> None:
    hub: Broadcast[int] = Broadcast(max_items=100, max_bytes=700, sizeof=lambda item: item % 11)
    sent: dict[int, int] = {}
    skipped = 0

    def sender() -> Callable[[], None]:
        count = 0

        def send() -> None:
            nonlocal count
            value = random.randint(0, 10**6)
            sent[hub.send(value)] = value
            assert len(hub) <= 100
            assert hub.current_bytes <= 700
            count += 1
            if count % 20 == 0:
                time.sleep(0.0005)

        return send

    def skip() -> None:
        nonlocal skipped
        hub.skip(3)
        skipped += 3
        time.sleep(0.001)

    witnesses = [Witness(hub, lazy=number % 2 == 1) for number in range(6)]

    with followed(witnesses):
        storm(
            *(sender(), sender(), skip, hub.statistics),
            seconds=seconds,
            seen=lambda: any(witness.missed > skipped for witness in witnesses),
        )
        hub.close()

    check_invariants(hub)
    assert hub.statistics().sent == len(sent) == hub.next_seq - skipped
    for witness in witnesses:
        witness.check(sent)
    assert any(witness.missed > skipped for witness in witnesses)


@for_a_while
@pytest.mark.parametrize("writers", [1, 2])
def test_from_history_to_live_there_is_no_hole_and_no_duplicate(
    seconds: float, writers: int
) -> None:
    """
    A writer adds to the history first, and a reader takes no lock: it may come in between.

    Several writers take a lock among themselves, so that both get the items in one order.
    """
    history: BoundedHistory[int] = BoundedHistory(max_items=10_000)
    hub: Broadcast[int] = Broadcast(max_items=1_000)
    came_in_between = live = 0

    in_turn = threading.Lock() if writers > 1 else contextlib.nullcontext()

    def write() -> None:
        with in_turn:
            number = history.append(history.next_seq)
            assert hub.send(number) == number
        if number % 20 == 0:
            time.sleep(0.0002)

    def join() -> None:
        nonlocal came_in_between, live
        batch = history.since(max(history.next_seq - 50, 0))
        reader = hub.subscribe(after=batch.next_seq - 1)
        came_in_between += hub.next_seq < batch.next_seq
        first = batch.first_seq
        assert list(batch.items) == list(range(first, first + len(batch.items)))
        wanted = batch.next_seq
        for _ in range(30):
            try:
                number = reader.receive_nowait()
            except WouldBlock:
                time.sleep(0.0001)
                continue
            assert number == wanted + reader.missed
            if reader.missed:  # this thread slept for so long that the ring went past it
                assert number <= hub.first_seq
            else:
                live += 1
            wanted = number + 1

    storm(*[write] * writers, join, join, seconds=seconds, seen=lambda: live > 0 < came_in_between)
    assert live > 0
    assert came_in_between > 0


@pytest.mark.parametrize(
    "times", [20_000, pytest.param(10**6, marks=[pytest.mark.long, pytest.mark.timeout(1_800)])]
)
def test_subscriptions_come_and_go_without_a_trace(times: int) -> None:
    hub: Broadcast[int] = Broadcast(max_items=100)
    hub.send_many(range(100))

    def churn(count: int) -> None:
        for number in range(count):
            reader = hub.subscribe(replay=number % 7)
            if number % 3 == 0:
                hub.send(number)
            if number % 2 == 0:
                with contextlib.suppress(WouldBlock):
                    reader.receive_nowait()
            if number % 5 == 0:
                reader.close()

    churn(1_000)
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        begin, _ = tracemalloc.get_traced_memory()
        churn(times)
        end, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gc.enable()
    assert end - begin < 8_192
    assert peak - begin < 65_536
    assert hub._parked == {}


@pytest.mark.parametrize("times", [300, pytest.param(100_000, marks=pytest.mark.long)])
async def test_readers_that_are_cancelled_asleep_leave_nothing_behind(times: int) -> None:
    hub: Broadcast[int] = Broadcast(max_items=10)
    for _ in range(times):
        task = asyncio.create_task(hub.subscribe().receive())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0)
        assert hub._parked == {}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_after_a_fork_parent_and_child_go_separate_ways() -> None:
    program = """
import asyncio, os, sys
from boundedcollections.broadcast import Broadcast
from boundedcollections.channel import DropOldestChannel

async def exchange(channel, reader, hub, word):
    channel.send(word)
    hub.send(word)
    return [await channel.receive(), await channel.receive(), await reader.receive()]

channel, hub = DropOldestChannel(max_items=5), Broadcast(max_items=5)
reader = hub.subscribe()
channel.send("before")
child = os.fork()
word = "parent" if child else "child"
assert asyncio.run(exchange(channel, reader, hub, word)) == ["before", word, word]
if child:
    _, status = os.waitpid(child, 0)
    sys.exit(os.waitstatus_to_exitcode(status))
os._exit(0)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)
