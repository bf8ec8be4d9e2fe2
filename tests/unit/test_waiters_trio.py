"""How a task of trio waits, with as much of trio as it takes, and with trio itself."""

import signal
import sys
import time
import types
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import pytest

from boundedcollections._core.waiters import (
    sleep_on,
    waiter_here,
    wake_all,
)
from boundedcollections.broadcast import Broadcast
from boundedcollections.channel import DropOldestChannel

pytestmark = pytest.mark.usefixtures("every_build", "weightless_streams")


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
            sleep_on(waiter, None).__await__().send(None)
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
        steps = sleep_on(waiter_here(), 5).__await__()
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
