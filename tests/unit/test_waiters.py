import asyncio
import contextlib
import signal
import sys
import threading
import time
import types
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import pytest
from interruptions import interrupted_everywhere
from streams import BUILDS, make_weightless, pretend

from boundedcollections import Batch, Closed
from boundedcollections._core.waiters import (
    TaskWaiter,
    ThreadWaiter,
    checkpoint,
    waiter_here,
    wake_all,
)
from boundedcollections.broadcast import Broadcast
from boundedcollections.channel import DropOldestChannel
from boundedcollections.testing import check_invariants


@pytest.fixture(params=BUILDS, autouse=True)
def _in_every_build_and_without_own_cost(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_weightless(monkeypatch)
    pretend(request.param, monkeypatch)


async def asleep(waiter: TaskWaiter, seconds: float | None = None) -> asyncio.Task[None]:
    async def sleep() -> None:
        await waiter.sleep(seconds)

    task = asyncio.create_task(sleep())
    await asyncio.sleep(0)
    assert not task.done()
    return task


class TestTaskWaiter:
    async def test_a_task_wakes_another_without_the_detour_over_the_selector(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        waiter = TaskWaiter()
        task = await asleep(waiter)
        monkeypatch.setattr(asyncio.get_running_loop(), "call_soon_threadsafe", None)
        wake_all({"sleeper": waiter})
        await task

    async def test_a_callback_wakes_the_safe_way(self) -> None:
        """The loop runs, but no task of it: so it may be a signal handler in the selector."""
        waiter = TaskWaiter()
        task = await asleep(waiter)
        asyncio.get_running_loop().call_soon(wake_all, {"sleeper": waiter})
        async with asyncio.timeout(10):
            await task

    async def test_another_thread_wakes_a_task(self) -> None:
        waiter = TaskWaiter()
        task = await asleep(waiter)
        await asyncio.to_thread(wake_all, {"sleeper": waiter})
        async with asyncio.timeout(10):
            await task

    async def test_to_be_woken_before_the_sleep_counts(self) -> None:
        waiter = TaskWaiter()
        wake_all({"sleeper": waiter})
        await waiter.sleep(None)

    async def test_to_be_woken_twice_is_harmless(self) -> None:
        waiter = TaskWaiter()
        task = await asleep(waiter)
        wake_all({"sleeper": waiter})
        wake_all({"sleeper": waiter})
        await task
        wake_all({"sleeper": waiter})

    async def test_to_be_woken_when_cancelled_is_harmless(self) -> None:
        waiter = TaskWaiter()
        task = await asleep(waiter)
        task.cancel()
        wake_all({"sleeper": waiter})
        with pytest.raises(asyncio.CancelledError):
            await task

    async def test_a_sleep_ends_after_its_time(self) -> None:
        begin = time.monotonic()
        task = await asleep(TaskWaiter(), seconds=0.02)
        await task
        assert time.monotonic() - begin > 0.01

    def test_a_waiter_of_a_closed_loop_can_be_woken_from_anywhere(self) -> None:
        async def main() -> TaskWaiter:
            return TaskWaiter()

        waiter = asyncio.run(main())
        wake_all({"sleeper": waiter})
        thread = threading.Thread(target=wake_all, args=({"sleeper": waiter},))
        thread.start()
        thread.join()
        assert not waiter._future.done()


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

    def test_what_is_sent_while_a_thread_lies_down_keeps_it_awake(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        channel: DropOldestChannel[str]

        class FallsAsleep(Exception):
            pass

        def sleep(waiter: ThreadWaiter, seconds: float | None) -> None:
            if not waiter._bell.acquire(blocking=False):
                assert channel._held == 0, "it sleeps over an item"
                raise FallsAsleep

        def prepare() -> Callable[[], object]:
            nonlocal channel
            channel = DropOldestChannel(max_items=3)
            return receive

        def receive() -> None:
            with contextlib.suppress(FallsAsleep):
                assert channel.receive_blocking() == "item"

        monkeypatch.setattr(ThreadWaiter, "sleep", sleep)
        for _ in interrupted_everywhere(
            prepare, lambda: channel.send("item"), within="boundedcollections"
        ):
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


class FakeTrio(types.ModuleType):
    """As much of trio as a waiter uses, so that its steps can be tested where trio is absent."""

    class RunFinishedError(RuntimeError):
        pass

    class Cancelled(BaseException):
        pass

    class CancelScope:
        deadline = float("inf")

        def __enter__(self) -> "FakeTrio.CancelScope":
            return self

        def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
            return kind is FakeTrio.Cancelled and self.deadline < float("inf")

    def __init__(self) -> None:
        super().__init__("trio")
        self.calls: list[Callable[[], None]] = []
        self.rescheduled: list[object] = []
        self.finished = False
        self.lowlevel = self
        self.Abort = types.SimpleNamespace(SUCCEEDED="succeeded")

    def in_trio_task(self) -> bool:
        return not self.finished

    def current_task(self) -> str:
        return "task"

    def current_trio_token(self) -> "FakeTrio":
        return self

    def current_time(self) -> float:
        return 100.0

    def run_sync_soon(self, call: Callable[[], None]) -> None:
        if self.finished:
            raise self.RunFinishedError
        self.calls.append(call)

    def reschedule(self, task: object) -> None:
        self.rescheduled.append(task)

    @types.coroutine
    def wait_task_rescheduled(self, abort: Callable[[object], object]) -> Any:
        yield abort

    @types.coroutine
    def checkpoint(self) -> Any:
        yield "checkpoint"


@pytest.fixture
def fake_trio(monkeypatch: pytest.MonkeyPatch) -> FakeTrio:
    fake = FakeTrio()
    monkeypatch.setitem(sys.modules, "trio", fake)
    monkeypatch.setitem(sys.modules, "trio.lowlevel", fake)
    return fake


class TestTrioWaiter:
    def test_a_sleeper_is_rescheduled_once_when_it_is_woken(self, fake_trio: FakeTrio) -> None:
        channel = DropOldestChannel[str](max_items=3)
        steps = channel.receive()
        steps.send(None)
        channel.send("item")
        channel.send("next")
        (finish,) = fake_trio.calls
        finish()
        finish()
        assert fake_trio.rescheduled == ["task"]
        with pytest.raises(StopIteration) as stop:
            steps.send(None)
        assert stop.value.value == "item"

    def test_to_be_woken_before_the_sleep_counts(self, fake_trio: FakeTrio) -> None:
        waiter = waiter_here()
        wake_all({"sleeper": waiter})
        fake_trio.calls.pop()()
        with pytest.raises(StopIteration):
            waiter.sleep(None).__await__().send(None)
        assert fake_trio.rescheduled == []

    def test_a_sleeper_that_was_cancelled_is_not_rescheduled(self, fake_trio: FakeTrio) -> None:
        channel = DropOldestChannel[str](max_items=3)
        steps = channel.receive()
        abort: Any = steps.send(None)
        channel.send("item")
        assert abort(None) == "succeeded"
        fake_trio.calls.pop()()
        assert fake_trio.rescheduled == []
        with pytest.raises(FakeTrio.Cancelled):
            steps.throw(FakeTrio.Cancelled())
        assert channel.receive_nowait() == "item"

    def test_a_sleep_ends_after_its_time(self, fake_trio: FakeTrio) -> None:
        steps = waiter_here().sleep(5).__await__()
        next(steps)
        with pytest.raises(StopIteration):
            steps.throw(FakeTrio.Cancelled())

    def test_a_sleeper_of_a_run_that_is_over_harms_no_sender(self, fake_trio: FakeTrio) -> None:
        channel = DropOldestChannel[str](max_items=3)
        steps = channel.receive()
        steps.send(None)
        fake_trio.finished = True
        channel.send("item")
        steps.close()
        assert channel.receive_nowait() == "item"

    def test_a_receiver_of_batches_lets_other_tasks_run(self, fake_trio: FakeTrio) -> None:
        channel = DropOldestChannel[str](max_items=3)
        channel.send("item")
        steps = channel.receive_many()
        assert steps.send(None) == "checkpoint"
        with pytest.raises(StopIteration):
            steps.send(None)


trio: Any = import_module("trio") if find_spec("trio") else None


@pytest.mark.skipif(trio is None, reason="trio is not installed")
class TestTrio:
    def test_a_task_waits_for_what_a_thread_sends(self) -> None:
        channel = DropOldestChannel[int](max_items=1_000)
        hub = Broadcast[int](max_items=1_000)
        received: list[int] = []
        followed: list[int] = []

        async def read() -> None:
            received.append(await channel.receive())
            async for batch in channel:
                received.extend(batch.items)

        async def follow() -> None:
            async for batch in reader:
                followed.extend(batch.items)

        async def main() -> None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(read)
                nursery.start_soon(follow)
                await trio.to_thread.run_sync(flood)

        def flood() -> None:
            for number in range(500):
                channel.send(number)
                hub.send(number)
                if number % 50 == 0:
                    time.sleep(0.001)
            channel.close()
            hub.close()

        reader = hub.subscribe()
        trio.run(main)
        assert received == followed == list(range(500))

    def test_a_receiver_gives_up_after_its_time(self) -> None:
        channel = DropOldestChannel[str](max_items=1)

        async def main() -> None:
            with pytest.raises(TimeoutError):
                await channel.receive(timeout_seconds=0.01)
            channel.send("item")
            assert await channel.receive(timeout_seconds=10) == "item"

        trio.run(main)

    @pytest.mark.parametrize("order", ["send first", "cancel first"])
    def test_send_and_cancel_in_one_tick_lose_nothing(self, order: str) -> None:
        channel = DropOldestChannel[str](max_items=1)
        received: list[str] = []

        async def read() -> None:
            received.append(await channel.receive())

        async def main() -> None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(read)
                await import_module("trio.testing").wait_all_tasks_blocked()
                if order == "send first":
                    channel.send("item")
                    nursery.cancel_scope.cancel()
                else:
                    nursery.cancel_scope.cancel()
                    channel.send("item")

        trio.run(main)
        left = [channel.receive_nowait()] if len(channel) else []
        assert received + left == ["item"]
        assert channel._parked == {}

    @pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer signal")
    def test_a_signal_handler_wakes_a_run_that_sleeps(self) -> None:
        channel = DropOldestChannel[str](max_items=1)
        previous = signal.signal(signal.SIGALRM, lambda *_: channel.send("alarm"))
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            assert trio.run(channel.receive, 20) == "alarm"
        finally:
            signal.signal(signal.SIGALRM, previous)


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

    async def test_a_checkpoint_lets_every_other_task_run_once(self) -> None:
        ran: list[int] = []

        async def note(number: int) -> None:
            ran.append(number)

        tasks = [asyncio.create_task(note(number)) for number in range(3)]
        await checkpoint()
        assert ran == [0, 1, 2]
        await asyncio.gather(*tasks)
