import asyncio
import contextlib
import gc
import random
import signal
import threading
import time
from collections.abc import Callable

import pytest
from interruptions import untraced
from stress.storm import for_a_while, going_on, storm, switching_often

from boundedcollections import Closed, RemovalCause
from boundedcollections.channel import DropOldestChannel
from boundedcollections.testing import check_invariants

pytestmark = pytest.mark.usefixtures("every_build", "weightless_streams")

Item = tuple[str, int]


class Witness:
    """Reads a channel to its end, however often it is cancelled, and notes what it gets."""

    def __init__(self, channel: DropOldestChannel[Item]) -> None:
        self.channel = channel
        self.received: list[tuple[int, Item]] = []
        self.missed = 0
        self.position = 0
        self.cancellations = 0

    def run(self) -> None:
        asyncio.run(self.read())

    async def read(self) -> None:
        with contextlib.suppress(Closed):
            while True:
                try:
                    async with asyncio.timeout(random.choice([None, 0, 0.0001, 0.001])):
                        await self.take()
                except TimeoutError:
                    self.cancellations += 1

    async def take(self) -> None:
        if random.random() < 0.3:
            item = await self.channel.receive()
            self.note((item,), self.channel.missed, self.position + self.channel.missed)
        else:
            limit = random.choice([None, 1, 7, 50])
            batch = await self.channel.receive_many(limit, random.choice([None, 3, 90]))
            self.note(batch.items, batch.missed, batch.first_seq)

    def note(self, items: tuple[Item, ...], missed: int, first_seq: int) -> None:
        assert items
        assert first_seq == self.position + missed, "the gap is not just before the batch"
        self.received += enumerate(items, first_seq)
        self.missed += missed
        self.position = first_seq + len(items)


@for_a_while
def test_every_item_of_many_senders_is_received_or_told_as_a_gap_in_its_place(
    seconds: float,
) -> None:
    dropped: dict[int, Item] = {}
    numbers: dict[Item, int] = {}
    channel: DropOldestChannel[Item] = DropOldestChannel(
        max_items=40,
        max_bytes=200,
        sizeof=lambda item: item[1] % 11,
        on_drop=lambda seq, item, _: dropped.__setitem__(seq, item),
    )

    def sender(name: str) -> Callable[[], None]:
        sent = 0

        def send() -> None:
            nonlocal sent
            item = (name, sent)
            numbers[item] = channel.send(item)
            sent += 1
            assert len(channel) <= 40
            assert channel.current_bytes <= 200
            if sent % 50 == 0:
                time.sleep(0.0005)  # so that the receiver falls asleep now and then

        return send

    witness = Witness(channel)
    reading = threading.Thread(target=witness.run)
    reading.start()
    storm(
        *(sender("a"), sender("b"), sender("c"), channel.statistics),
        seconds=seconds,
        seen=lambda: witness.cancellations > 0,
    )
    channel.close()
    reading.join(30)
    assert not reading.is_alive()

    check_invariants(channel)
    figures = channel.statistics()
    assert figures.sent == len(numbers) == figures.received + figures.missed
    assert (figures.received, figures.missed) == (len(witness.received), witness.missed)
    elsewhere = [
        f"{item} was sent as {numbers[item]} and {fate} as {seq}"
        for fate, told in {"received": witness.received, "dropped": dropped.items()}.items()
        for seq, item in told
        if numbers[item] != seq
    ]
    assert not elsewhere, elsewhere[:20]  # two that changed places stand side by side
    assert {seq for seq, _ in witness.received} | dropped.keys() == set(range(figures.sent))
    assert figures.missed == len(dropped)
    for name in "abc":
        own = [number for _, (sender_name, number) in witness.received if sender_name == name]
        assert own == sorted(set(own))
    assert witness.cancellations > 0


@for_a_while
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer signal")
def test_a_signal_handler_may_send_while_the_same_thread_sends(seconds: float) -> None:
    handled = 0
    lengths: list[int] = []
    causes: list[RemovalCause] = []
    channel: DropOldestChannel[str] = DropOldestChannel(
        max_items=64, on_drop=lambda _seq, _item, cause: causes.append(cause)
    )

    def handle(*_: object) -> None:
        nonlocal handled
        handled += 1
        for _repeat in range(3):
            channel.send("from the handler")
        lengths.append(len(channel))

    def receive() -> int:
        """Count to the end; receives until the channel is closed."""
        received = 0

        async def read() -> None:
            nonlocal received
            async for batch in channel:
                received += len(batch.items)

        asyncio.run(read())
        return received

    totals: list[int] = []
    reading = threading.Thread(target=lambda: totals.append(receive()))
    reading.start()
    sent = 0
    with untraced():
        previous = signal.signal(signal.SIGALRM, handle)
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        try:
            with switching_often():
                go_on = going_on(seconds, lambda: handled > 10)
                while go_on():
                    channel.send("from the thread")
                    sent += 1
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, previous)
    channel.close()
    reading.join(30)
    assert handled > 10
    assert max(lengths) <= 64
    check_invariants(channel)
    figures = channel.statistics()
    assert figures.sent == sent + 3 * handled
    assert figures.received == totals[0]
    assert figures.missed == len(causes)
    assert figures.sent == figures.received + figures.missed


@for_a_while
def test_a_destructor_may_send_whenever_the_collector_comes_along(seconds: float) -> None:
    """On 3.11 the collector may run in the middle of a line, at any allocation."""
    channel: DropOldestChannel[object] = DropOldestChannel(
        max_items=5, max_bytes=30, sizeof=lambda _: 7
    )
    sent = 0

    class Cycle:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            nonlocal sent
            if not channel.closed:
                channel.send("from the grave")
                sent += 1
                assert len(channel) <= 4

    thresholds = gc.get_threshold()
    gc.set_threshold(1, 1, 1)
    try:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            channel.send(Cycle())
            sent += 1
            Cycle()
            if random.random() < 0.2:
                channel.receive_nowait()
            assert len(channel) <= 4
            gc.disable()  # the checker itself must not be interrupted
            check_invariants(channel)
            gc.enable()
    finally:
        gc.enable()
        gc.set_threshold(*thresholds)
    gc.collect()
    assert channel.statistics().sent == sent
    channel.close(discard=True)
    gc.collect()


@for_a_while
def test_a_loop_that_is_closed_under_its_receiver_harms_no_sender(seconds: float) -> None:
    channel: DropOldestChannel[int] = DropOldestChannel(max_items=10)
    received = left_asleep = 0

    def send() -> None:
        channel.send(1)
        time.sleep(0.0002)

    def live_and_die() -> None:
        nonlocal received, left_asleep
        loop = asyncio.new_event_loop()
        task = loop.create_task(channel.receive_many())
        for _ in range(random.randint(1, 3)):
            loop.run_until_complete(asyncio.sleep(0))
        if task.done():
            received += len(task.result().items)
            loop.close()
            return
        left_asleep += 1
        loop.close()
        time.sleep(random.choice([0, 0.0005]))  # senders wake it in vain
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        steps = task.get_coro()
        assert steps is not None
        steps.close()

    storm(send, send, live_and_die, seconds=seconds, seen=lambda: received > 0 < left_asleep)
    check_invariants(channel)
    assert received == channel.statistics().received > 0
    assert left_asleep > 0
