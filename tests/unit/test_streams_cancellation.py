"""Whatever comes together with a cancellation, no item is lost."""

import asyncio
import contextlib
import inspect
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from interruptions import interrupted_everywhere
from streams import RECEIVES, Receive, Stream, drained, give_way_next, until_parked, wake_in_vain

from boundedcollections import Batch
from boundedcollections.broadcast import Broadcast

pytestmark = pytest.mark.usefixtures("weightless_streams")


@pytest.mark.usefixtures("every_build")
class TestCancellation:
    @pytest.mark.parametrize("order", ["send first", "cancel first"])
    async def test_send_and_cancel_in_one_tick(
        self, stream: Stream, order: str, receive: Receive
    ) -> None:
        task = asyncio.create_task(receive(stream.reader))
        await until_parked(stream.sender)
        if order == "send first":
            stream.sender.send("item")
            task.cancel()
        else:
            task.cancel()
            stream.sender.send("item")
        with pytest.raises(asyncio.CancelledError):
            await task
        assert stream.sender._parked == {}
        assert drained(stream.reader) == [("item", 0)]

    @pytest.mark.parametrize("how", ["timeout", "wait_for", "timeout_seconds"])
    async def test_a_deadline_in_the_tick_of_a_send(
        self, stream: Stream, how: str, receive: Receive
    ) -> None:

        async def patient() -> object:
            if how == "timeout":
                async with asyncio.timeout(0.01):
                    return await receive(stream.reader)
            if how == "wait_for":
                return await asyncio.wait_for(receive(stream.reader), 0.01)
            if receive is RECEIVES["receive"]:
                return await stream.reader.receive(timeout_seconds=0.01)
            return await stream.reader.receive_many(timeout_seconds=0.01)

        task = asyncio.create_task(patient())
        await until_parked(stream.sender)
        asyncio.get_running_loop().call_later(0.01, stream.sender.send, "item")
        time.sleep(0.03)  # noqa: ASYNC251  # a busy tick: deadline and send fall due together
        result = (await asyncio.gather(task, return_exceptions=True))[0]
        await asyncio.sleep(0)
        if isinstance(result, TimeoutError):
            assert drained(stream.reader) == [("item", 0)]
        else:
            assert result in ("item", Batch(("item",), 0, 0, 1))
            assert drained(stream.reader) == []
        assert stream.sender._parked == {}

    async def test_a_cancellation_while_others_get_their_turn(
        self, stream: Stream, receive: Receive
    ) -> None:
        stream.sender.send_many(range(300))
        for _ in range(255):
            stream.reader.receive_nowait()
        for _ in range(3):
            task = asyncio.create_task(receive(stream.reader))
            await asyncio.sleep(0)
            assert stream.reader.statistics().waiting  # it has given way, and taken nothing
            assert stream.sender._parked == {}  # nobody wakes who is awake
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert [item for item, _ in drained(stream.reader)] == list(range(255, 300))

    async def test_a_cancellation_at_every_await(self, stream: Stream, receive: Receive) -> None:
        """Drive the coroutine by hand, and throw at its first await, its second, and so on."""

        class Cancelled(BaseException):
            pass

        for full in (False, True):
            for point in range(10):
                if full:
                    give_way_next(stream)
                    stream.sender.send("item")
                steps = receive(stream.reader)
                try:
                    for _ in range(point + 1):
                        pending = steps.send(None)
                        if pending is not None:  # asleep: wake it, and wake it in vain
                            wake_in_vain(stream.sender)
                except StopIteration:
                    break
                with pytest.raises(Cancelled):
                    steps.throw(Cancelled())
                assert not stream.reader.statistics().waiting
                assert stream.sender._parked == {}
                stream.sender.send("next")
                assert [item for item, _ in drained(stream.reader)] == ["item"] * full + ["next"]

    async def test_what_strikes_a_cancelled_receiver_leaves_nobody_waiting(
        self, stream: Stream, receive: Receive
    ) -> None:
        class Cancelled(BaseException):
            pass

        steps: Coroutine[Any, Any, object]

        def prepare() -> Callable[[], object]:
            nonlocal steps
            steps = receive(stream.reader)
            steps.send(None)
            return cancel

        def cancel() -> None:
            with contextlib.suppress(Cancelled):
                steps.throw(Cancelled())

        def strike() -> None:
            raise KeyboardInterrupt

        home = inspect.getfile(type(stream.reader))  # what is thrown in strikes where it is
        for _ in interrupted_everywhere(prepare, strike, within=home):
            assert not stream.reader.statistics().waiting
            assert stream.sender._parked == {}

    async def test_after_a_cancelled_receiver_comes_the_next(
        self, stream: Stream, receive: Receive
    ) -> None:
        for _ in range(3):
            task = asyncio.create_task(receive(stream.reader))
            await until_parked(stream.sender)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        task = asyncio.create_task(receive(stream.reader))
        await until_parked(stream.sender)
        stream.sender.send("item")
        assert await task in ("item", Batch(("item",), 0, 0, 1))

    async def test_a_task_group_that_fails_loses_nothing(self, stream: Stream) -> None:
        async def fail_together() -> None:
            async with asyncio.TaskGroup() as group:
                receiving = group.create_task(stream.reader.receive())
                await until_parked(stream.sender)
                asyncio.get_running_loop().call_soon(stream.sender.send, 1)
                receiving.get_loop().call_soon(receiving.cancel)
                raise ZeroDivisionError

        with pytest.raises(ExceptionGroup):
            await fail_together()
        assert drained(stream.reader) == [(1, 0)]

    async def test_cancelling_one_reader_leaves_the_others_asleep(self, receive: Receive) -> None:
        hub = Broadcast[str](max_items=5)
        tasks = [asyncio.create_task(receive(hub.subscribe())) for _ in range(5)]
        await until_parked(hub, readers=5)
        tasks[2].cancel()
        await asyncio.sleep(0)
        assert len(hub._parked) == 4
        assert [task.done() for task in tasks] == [False, False, True, False, False]
        hub.send("item")
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert sum(isinstance(result, asyncio.CancelledError) for result in results) == 1

    async def test_short_timeouts_leave_nothing_behind(self, stream: Stream) -> None:
        for _ in range(20):
            with pytest.raises(TimeoutError):
                await stream.reader.receive(timeout_seconds=0.001)
        assert stream.sender._parked == {}
        assert not stream.reader.statistics().waiting
