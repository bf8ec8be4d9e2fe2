"""How a receiver waits, and is woken."""

import asyncio
import contextlib
import signal
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from interruptions import interrupted_everywhere
from streams import (
    RECEIVES,
    STREAMS,
    Bell,
    Receive,
    Stream,
    drained,
    give_way_next,
    until_parked,
    wake_in_vain,
)

from boundedcollections import Batch, Closed

pytestmark = pytest.mark.usefixtures("weightless_streams")


class TestTimeouts:
    async def test_a_receiver_gives_up_after_its_time(self, stream: Stream) -> None:
        with pytest.raises(TimeoutError, match="'output' had nothing to give"):
            await stream.reader.receive(timeout_seconds=0.01)
        with pytest.raises(TimeoutError):
            await stream.reader.receive_many(timeout_seconds=0.01)
        assert stream.sender._parked == {}
        assert not stream.reader.statistics().waiting

    async def test_an_item_in_time_is_received_and_the_timer_is_gone(self, stream: Stream) -> None:
        task = asyncio.create_task(stream.reader.receive(timeout_seconds=60))
        await until_parked(stream.sender)
        stream.sender.send("item")
        assert await task == "item"
        timers = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]
        assert all(timer.cancelled() for timer in timers)

    async def test_a_wake_up_for_nothing_does_not_prolong_the_wait(self, stream: Stream) -> None:
        task = asyncio.create_task(stream.reader.receive(timeout_seconds=0.05))
        begin = time.monotonic()
        while not task.done():
            wake_in_vain(stream.sender)
            await asyncio.sleep(0.001)
        with pytest.raises(TimeoutError):
            await task
        assert time.monotonic() - begin >= 0.05

    @pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), "1", True])
    async def test_a_timeout_that_is_none_is_refused(self, stream: Stream, seconds: Any) -> None:
        stream.sender.send("item")
        for receive in (stream.reader.receive, stream.reader.receive_many):
            with pytest.raises((TypeError, ValueError), match="timeout_seconds"):
                await receive(timeout_seconds=seconds)
        assert len(stream.sender) == 1


@pytest.mark.usefixtures("every_build")
class TestOneReceiver:
    async def test_a_second_receiver_is_refused_while_the_first_waits(
        self, stream: Stream, receive: Receive
    ) -> None:
        first = asyncio.create_task(receive(stream.reader))
        await until_parked(stream.sender)
        for second in RECEIVES.values():
            with pytest.raises(RuntimeError, match="'output' has a receiver waiting"):
                await second(stream.reader)
        with pytest.raises(RuntimeError, match="may have only one"):
            stream.reader.receive_nowait()
        stream.sender.send("item")  # the first is woken, but has not run yet: it still is the one
        with pytest.raises(RuntimeError, match="'output' has a receiver waiting"):
            await receive(stream.reader)
        assert await first in ("item", Batch(("item",), 0, 0, 1))

    async def test_a_second_receiver_is_refused_while_the_first_gives_way(
        self, stream: Stream, receive: Receive
    ) -> None:
        number = give_way_next(stream)
        stream.sender.send("item")
        first = asyncio.create_task(receive(stream.reader))
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="has a receiver waiting"):
            stream.reader.receive_nowait()
        assert await first in ("item", Batch(("item",), 0, number, number + 1))
        stream.sender.send("next")
        assert stream.reader.receive_nowait() == "next"

    async def test_one_after_the_other_is_fine(self, stream: Stream, receive: Receive) -> None:
        for number in range(5):
            task = asyncio.create_task(receive(stream.reader))
            await asyncio.sleep(0)
            stream.sender.send(number)
            assert await task in (number, Batch((number,), 0, number, number + 1))


@pytest.mark.usefixtures("every_build")
class TestWaking:
    async def test_a_sender_in_another_thread_wakes_the_receiver(
        self, stream: Stream, receive: Receive
    ) -> None:
        task = asyncio.create_task(receive(stream.reader))
        await until_parked(stream.sender)
        await asyncio.to_thread(stream.sender.send, "item")
        assert await task in ("item", Batch(("item",), 0, 0, 1))

    async def test_a_flood_from_a_thread_wakes_a_sleeper_once(
        self, stream: Stream, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        loop = asyncio.get_running_loop()
        calls: list[object] = []
        schedule = loop.call_soon_threadsafe
        task = asyncio.create_task(stream.reader.receive_many())
        await until_parked(stream.sender)

        def counted(*args: Any, **kwargs: Any) -> asyncio.Handle:
            calls.append(args)
            return schedule(*args, **kwargs)

        monkeypatch.setattr(loop, "call_soon_threadsafe", counted)
        worker = threading.Thread(target=stream.sender.send_many, args=(range(1_000),))
        worker.start()
        worker.join()  # the loop has had no chance to run the receiver
        assert len(calls) == 1
        assert len((await task).items) == 1_000

    def test_a_receiver_may_live_in_any_loop(self, stream: Stream) -> None:
        async def take(number: int) -> int:
            asyncio.get_running_loop().call_soon(stream.sender.send, number)
            received: int = await stream.reader.receive()
            return received

        assert [asyncio.run(take(number)) for number in range(3)] == [0, 1, 2]

    async def test_a_sender_in_another_loop_wakes_the_receiver(self, stream: Stream) -> None:
        async def send() -> None:
            stream.sender.send("from afar")

        task = asyncio.create_task(stream.reader.receive())
        await until_parked(stream.sender)
        await asyncio.to_thread(asyncio.run, send())
        assert await task == "from afar"

    def test_a_loop_that_was_closed_under_its_receiver_harms_no_sender(
        self, stream: Stream
    ) -> None:
        loop = asyncio.new_event_loop()
        task = loop.create_task(stream.reader.receive())
        loop.run_until_complete(until_parked(stream.sender))
        loop.close()
        stream.sender.send("one")
        worker = threading.Thread(target=stream.sender.send, args=("two",))
        worker.start()
        worker.join()
        assert len(stream.sender) == 2
        with pytest.raises(RuntimeError, match="receiver waiting"):  # it never ended
            stream.reader.receive_nowait()
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        steps = task.get_coro()
        assert steps is not None
        steps.close()
        assert drained(stream.reader) == [("one", 0), ("two", 0)]

    async def test_a_callback_of_the_loop_wakes_the_receiver(self, stream: Stream) -> None:
        asyncio.get_running_loop().call_later(0.01, stream.sender.send, "item")
        async with asyncio.timeout(10):
            assert await stream.reader.receive() == "item"

    @pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer signal")
    def test_a_signal_handler_wakes_a_loop_that_sleeps_in_its_selector(
        self, stream: Stream
    ) -> None:
        async def main() -> float:
            begin = time.monotonic()
            await stream.reader.receive(timeout_seconds=20)  # nothing else would end the sleep
            return time.monotonic() - begin

        previous = signal.signal(signal.SIGALRM, lambda *_: stream.sender.send("alarm"))
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            assert asyncio.run(main()) < 10
        finally:
            signal.signal(signal.SIGALRM, previous)

    async def test_a_receiver_that_leaves_late_takes_nobody_else_from_his_bed(
        self, stream: Stream
    ) -> None:
        sender, sleeper = stream.sender, stream.reader
        early, late = Bell(), Bell()
        assert not sleeper._settle(sleeper._take_many, late)
        sleeper._forget(early)
        assert sender._parked == {sleeper: late}
        sleeper._forget(late)
        sleeper._receiver = None
        assert sender._parked == {}

    @pytest.mark.parametrize("make", STREAMS.values(), ids=STREAMS)
    @pytest.mark.parametrize("strike_by", ["send", "close"])
    async def test_what_happens_while_a_receiver_lies_down_keeps_it_awake(
        self, make: Callable[[], Stream], strike_by: str, receive: Receive
    ) -> None:
        stream: Stream
        steps: Coroutine[Any, Any, object]
        pending: list[asyncio.Future[None] | None] = []

        def prepare() -> Callable[[], object]:
            nonlocal stream, steps
            stream = make()
            steps = receive(stream.reader)
            pending.clear()
            return lie_down

        def lie_down() -> None:
            with contextlib.suppress(Closed, StopIteration, StopAsyncIteration):
                pending.append(steps.send(None))

        def strike() -> None:
            if strike_by == "send":
                stream.sender.send("item")
            else:
                stream.sender.close()

        for _ in interrupted_everywhere(prepare, strike, within="boundedcollections"):
            (future,) = pending or [None]
            is_asleep = future is not None and not future.done()
            assert not (is_asleep and (stream.sender.closed or stream.reader.statistics().buffered))
