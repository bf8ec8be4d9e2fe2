import asyncio
import contextlib
import threading
import time
from collections.abc import Callable

import pytest
from interruptions import interrupted_everywhere

from boundedcollections import Batch, Closed
from boundedcollections._core.waiters import (
    ThreadWaiter,
    TrioWaiter,
    checkpoint,
    sleep_on,
    waiter_here,
    wake_all,
)
from boundedcollections.broadcast import Broadcast
from boundedcollections.channel import DropOldestChannel
from boundedcollections.testing import check_invariants

pytestmark = pytest.mark.usefixtures("every_build", "weightless_streams")


Waiting = asyncio.Future[None] | TrioWaiter


async def asleep(waiter: Waiting, seconds: float | None = None) -> asyncio.Task[None]:
    async def sleep() -> None:
        await sleep_on(waiter, seconds)

    task = asyncio.create_task(sleep())
    await asyncio.sleep(0)
    assert not task.done()
    return task


class TestTasksThatSleep:
    async def test_a_task_wakes_another_without_the_detour_over_the_selector(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        waiter = waiter_here()
        task = await asleep(waiter)
        monkeypatch.setattr(asyncio.get_running_loop(), "call_soon_threadsafe", None)
        wake_all({"sleeper": waiter})
        await task

    async def test_a_callback_wakes_the_safe_way(self) -> None:
        """The loop runs, but no task of it: so it may be a signal handler in the selector."""
        waiter = waiter_here()
        task = await asleep(waiter)
        asyncio.get_running_loop().call_soon(wake_all, {"sleeper": waiter})
        async with asyncio.timeout(10):
            await task

    async def test_another_thread_wakes_a_task(self) -> None:
        waiter = waiter_here()
        task = await asleep(waiter)
        await asyncio.to_thread(wake_all, {"sleeper": waiter})
        async with asyncio.timeout(10):
            await task

    async def test_to_be_woken_before_the_sleep_counts(self) -> None:
        waiter = waiter_here()
        wake_all({"sleeper": waiter})
        await sleep_on(waiter, None)

    async def test_to_be_woken_twice_is_harmless(self) -> None:
        waiter = waiter_here()
        task = await asleep(waiter)
        wake_all({"sleeper": waiter})
        wake_all({"sleeper": waiter})
        await task
        wake_all({"sleeper": waiter})

    async def test_to_be_woken_when_cancelled_is_harmless(self) -> None:
        waiter = waiter_here()
        task = await asleep(waiter)
        task.cancel()
        wake_all({"sleeper": waiter})
        with pytest.raises(asyncio.CancelledError):
            await task

    async def test_a_sleep_ends_after_its_time(self) -> None:
        begin = time.monotonic()
        task = await asleep(waiter_here(), seconds=0.02)
        await task
        assert time.monotonic() - begin > 0.01

    def test_a_waiter_of_a_closed_loop_can_be_woken_from_anywhere(self) -> None:
        async def main() -> Waiting:
            return waiter_here()

        waiter = asyncio.run(main())
        wake_all({"sleeper": waiter})
        thread = threading.Thread(target=wake_all, args=({"sleeper": waiter},))
        thread.start()
        thread.join()
        assert isinstance(waiter, asyncio.Future)
        assert not waiter.done()


class TestThreadWaiter:
    def test_another_thread_ends_the_sleep(self) -> None:
        waiter = ThreadWaiter()
        thread = threading.Thread(target=waiter.sleep, args=(None,))
        thread.start()
        wake_all({"sleeper": waiter})
        thread.join(10)
        assert not thread.is_alive()

    def test_to_be_woken_before_the_sleep_or_twice_is_harmless(self) -> None:
        waiter = ThreadWaiter()
        wake_all({"sleeper": waiter})
        wake_all({"sleeper": waiter})
        waiter.sleep(None)

    def test_a_sleep_ends_after_its_time(self) -> None:
        begin = time.monotonic()
        ThreadWaiter().sleep(0.02)
        assert time.monotonic() - begin > 0.01


def test_a_thread_may_wait_for_as_long_as_a_float_can_say() -> None:
    channel = DropOldestChannel[str](max_items=1)
    received: list[str] = []
    thread = threading.Thread(target=lambda: received.append(channel.receive_blocking(1e300)))
    thread.start()
    channel.send("item")
    thread.join(10)
    assert received == ["item"]


class TestThreadsThatReceive:
    def test_a_thread_waits_for_what_another_sends(self) -> None:
        channel = DropOldestChannel[int](max_items=100)
        received: list[int] = []

        def read() -> None:
            received.append(channel.receive_blocking())
            while True:
                try:
                    received.extend(channel.receive_many_blocking(max_items=7).items)
                except Closed:
                    return

        thread = threading.Thread(target=read)
        thread.start()
        for number in range(100):
            channel.send(number)
            if number % 10 == 0:
                time.sleep(0.001)
        channel.close()
        thread.join(10)
        assert received == list(range(100))

    def test_a_thread_follows_a_broadcast(self) -> None:
        hub = Broadcast[str](max_items=10)
        reader = hub.subscribe()
        batches: list[Batch[str]] = []
        thread = threading.Thread(target=lambda: batches.append(reader.receive_many_blocking()))
        thread.start()
        while not hub._parked:
            time.sleep(0.001)
        hub.send("item")
        thread.join(10)
        assert batches == [Batch(("item",), 0, 0, 1)]
        assert hub._parked == {}

    def test_a_thread_gives_up_after_its_time_and_loses_nothing(self) -> None:
        channel = DropOldestChannel[str](max_items=1, name="output")
        with pytest.raises(TimeoutError, match="'output' had nothing to give in time"):
            channel.receive_blocking(timeout_seconds=0.01)
        assert channel._parked == {}
        channel.send("item")
        assert channel.receive_blocking(timeout_seconds=0.01) == "item"

    def test_a_second_receiver_is_refused_while_a_thread_waits(self) -> None:
        channel = DropOldestChannel[str](max_items=1)
        thread = threading.Thread(target=channel.receive_blocking)
        thread.start()
        while not channel._parked:
            time.sleep(0.001)
        with pytest.raises(RuntimeError, match="may have only one"):
            channel.receive_blocking()
        with pytest.raises(RuntimeError, match="may have only one"):
            channel.receive_nowait()
        channel.send("item")
        thread.join(10)

    @pytest.mark.parametrize("strike_by", ["send", "close"])
    def test_what_happens_while_a_thread_lies_down_keeps_it_awake(
        self, strike_by: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        channel: DropOldestChannel[str]

        class FallsAsleep(Exception):
            pass

        def sleep(waiter: ThreadWaiter, seconds: float | None) -> None:
            if not waiter._bell.acquire(blocking=False):
                assert channel._held == 0, "it sleeps over an item"
                assert not channel._closed, "it sleeps over the end"
                raise FallsAsleep

        def prepare() -> Callable[[], object]:
            nonlocal channel
            channel = DropOldestChannel(max_items=3)
            return receive

        def receive() -> None:
            with contextlib.suppress(FallsAsleep, Closed):
                assert channel.receive_blocking() == "item"

        def strike() -> None:
            if strike_by == "send":
                channel.send("item")
            else:
                channel.close()

        monkeypatch.setattr(ThreadWaiter, "sleep", sleep)
        for _ in interrupted_everywhere(prepare, strike, within="boundedcollections"):
            check_invariants(channel)

    def test_an_exception_out_of_the_blue_leaves_nobody_waiting(self) -> None:
        channel: DropOldestChannel[str]

        def prepare() -> Callable[[], object]:
            nonlocal channel
            channel = DropOldestChannel(max_items=3)
            return receive

        def receive() -> None:
            with contextlib.suppress(TimeoutError):
                channel.receive_blocking(timeout_seconds=0.001)

        def strike() -> None:
            raise KeyboardInterrupt

        for _ in interrupted_everywhere(prepare, strike, within="boundedcollections"):
            assert not channel._lock._is_owned()  # type: ignore[attr-defined]
            assert not channel.statistics().waiting
            channel.send("item")
            assert channel.receive_nowait() == "item"


class TestWakeAll:
    def test_everybody_is_woken_even_if_something_strikes_in_the_middle(self) -> None:
        woken: list[str] = []

        class Struck:
            def __init__(self, name: str) -> None:
                self.name = name

            def wake(self, at_work: asyncio.AbstractEventLoop | None) -> None:
                if self.name == "b" and "b" not in woken:
                    woken.append("b")
                    raise KeyboardInterrupt
                woken.append(self.name)

        with pytest.raises(KeyboardInterrupt):
            wake_all({name: Struck(name) for name in "abc"})
        assert set(woken) == {"a", "b", "c"}
        assert woken.count("b") == 2

    async def test_a_task_beside_one_that_is_struck_wakes_all_the_same(self) -> None:
        class Struck:
            def wake(self, at_work: asyncio.AbstractEventLoop | None) -> None:
                if at_work is not None:
                    raise KeyboardInterrupt

        waiter = waiter_here()
        with pytest.raises(KeyboardInterrupt):
            wake_all({"struck": Struck(), "task": waiter})
        async with asyncio.timeout(10):
            await waiter

    async def test_a_checkpoint_lets_every_other_task_run_once(self) -> None:
        ran: list[int] = []

        async def note(number: int) -> None:
            ran.append(number)

        tasks = [asyncio.create_task(note(number)) for number in range(3)]
        await checkpoint()
        assert ran == [0, 1, 2]
        await asyncio.gather(*tasks)
