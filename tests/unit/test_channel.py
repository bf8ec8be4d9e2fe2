import asyncio
import contextlib
import dataclasses
import gc
import logging
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from interruptions import interrupted_everywhere
from streams import BUILDS, make_weightless, pretend

from boundedcollections import Batch, Closed, Lagged, RemovalCause, TooLarge, WouldBlock
from boundedcollections._core import payload
from boundedcollections.channel import DropOldestChannel
from boundedcollections.testing import check_invariants


@pytest.fixture(autouse=True)
def _without_own_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    make_weightless(monkeypatch)


@pytest.fixture(params=BUILDS)
def _in_every_build(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """For what could go wrong in one build alone; in both, the state machine does all the rest."""
    pretend(request.param, monkeypatch)


Left = list[tuple[int, object, RemovalCause]]
Receive = Callable[[DropOldestChannel[Any]], Coroutine[Any, Any, object]]

RECEIVES: dict[str, Receive] = {
    "receive": lambda channel: channel.receive(),
    "receive_many": lambda channel: channel.receive_many(),
    "anext": lambda channel: channel.__anext__(),
}


@pytest.fixture(params=list(RECEIVES.values()), ids=list(RECEIVES))
def receive(request: pytest.FixtureRequest) -> Receive:
    how: Receive = request.param
    return how


async def until_parked(channel: DropOldestChannel[Any]) -> None:
    while not channel._parked:  # noqa: ASYNC110  # it is the state that is waited for
        await asyncio.sleep(0)


def drained(channel: DropOldestChannel[Any]) -> list[tuple[object, int]]:
    """Return what is left in `channel`, each item with the gap before it."""
    found: list[tuple[object, int]] = []
    while True:
        try:
            item = channel.receive_nowait()
        except (WouldBlock, Closed):
            return found
        found.append((item, channel.missed))


class TestBounds:
    def test_the_newest_items_stay_and_the_oldest_are_dropped(self) -> None:
        left: Left = []
        channel = DropOldestChannel[str](max_items=3, on_drop=lambda *drop: left.append(drop))
        assert [channel.send(item) for item in "abcde"] == [0, 1, 2, 3, 4]
        assert left == [(0, "a", RemovalCause.COUNT), (1, "b", RemovalCause.COUNT)]
        assert drained(channel) == [("c", 2), ("d", 0), ("e", 0)]

    def test_a_large_item_drops_as_many_as_its_bytes_need(self) -> None:
        left: Left = []
        channel = DropOldestChannel[bytes](max_bytes=10, on_drop=lambda *drop: left.append(drop))
        channel.send_many([b"aaa", b"bbb", b"ccc", b"dddddd"])
        assert left == [(0, b"aaa", RemovalCause.SIZE), (1, b"bbb", RemovalCause.SIZE)]
        assert channel.current_bytes == 9
        assert drained(channel) == [(b"ccc", 2), (b"dddddd", 0)]

    def test_an_item_that_exactly_fills_the_bound_is_kept(self) -> None:
        channel = DropOldestChannel[bytes](max_bytes=5)
        channel.send(b"12345")
        assert channel.current_bytes == channel.max_bytes == 5

    def test_an_item_above_max_bytes_is_refused_and_drops_nothing(self) -> None:
        channel = DropOldestChannel[bytes](max_bytes=5, name="output")
        channel.send(b"abc")
        with pytest.raises(TooLarge, match=r"'output'.* 6 bytes.* 5 bytes") as caught:
            channel.send(b"abcdef")
        assert (caught.value.size, caught.value.limit) == (6, 5)
        assert channel.statistics().rejected == 1
        assert drained(channel) == [(b"abc", 0)]

    def test_both_bounds_hold_together(self) -> None:
        channel = DropOldestChannel[bytes](max_items=2, max_bytes=5)
        channel.send_many([b"1", b"2", b"3"])
        assert (len(channel), channel.current_bytes) == (2, 2)
        channel.send(b"4444")
        assert (len(channel), channel.current_bytes) == (2, 5)
        channel.send(b"55555")
        assert drained(channel) == [(b"55555", 4)]

    @pytest.mark.parametrize("bound", ["max_items", "max_bytes"])
    @pytest.mark.parametrize("value", [0, -1, True, "10", 1.5])
    def test_a_bound_that_is_no_bound_is_refused(self, bound: str, value: object) -> None:
        with pytest.raises((TypeError, ValueError), match=bound):
            DropOldestChannel(**{bound: value})  # type: ignore[arg-type]

    def test_a_channel_without_any_bound_is_refused(self) -> None:
        with pytest.raises(TypeError, match="max_items, max_bytes"):
            DropOldestChannel()

    def test_an_endless_iterable_needs_no_endless_memory(self) -> None:
        channel = DropOldestChannel[int](max_items=3)
        channel.send_many(range(10_000))
        assert drained(channel) == [(9_997, 9_997), (9_998, 0), (9_999, 0)]


class TestSizes:
    @pytest.mark.parametrize(
        ("item", "size"),
        [
            (b"frame", 5),
            (bytearray(7), 7),
            (memoryview(bytearray(8)).cast("I"), 8),
            ("ascii", sys.getsizeof("ascii")),
            ("日本" * 10, sys.getsizeof("日本" * 10)),
            (b"", 0),
        ],
    )
    def test_a_message_that_is_its_own_payload_needs_no_sizeof(
        self, item: object, size: int
    ) -> None:
        channel = DropOldestChannel[object](max_bytes=1_000)
        channel.send(item)
        assert channel.current_bytes == size

    @pytest.mark.parametrize("item", [{"text": "hi"}, None, 3, type("Frame", (bytes,), {})(b"x")])
    def test_any_other_item_must_come_with_its_size(self, item: object) -> None:
        channel = DropOldestChannel[object](max_bytes=1_000)
        with pytest.raises(TypeError, match="give size= with the item, or sizeof= once"):
            channel.send(item)
        assert channel.statistics().sent == 0
        channel.send(item, size=40)
        assert channel.current_bytes == 40

    def test_a_given_size_is_taken_instead_of_asking(self) -> None:
        channel = DropOldestChannel[object](max_bytes=100, sizeof=lambda _: 1 // 0)
        channel.send("x", size=60)
        channel.send("y", 60)
        assert drained(channel) == [("y", 1)]

    def test_empty_items_are_bounded_too(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.undo()
        channel = DropOldestChannel[bytes](max_bytes=3 * payload.ENTRY_BYTES)
        channel.send_many([b""] * 10)
        assert len(channel) == 3

    def test_bytes_are_counted_without_a_bound_on_them_if_sizeof_is_given(self) -> None:
        channel = DropOldestChannel[str](max_items=2, sizeof=len)
        channel.send_many(["a", "bb", "ccc"])
        assert (channel.current_bytes, channel.peak_bytes) == (5, 5)
        assert channel.max_bytes is None
        assert channel.statistics().missed_bytes == 1

    def test_nothing_is_measured_without_a_bound_in_bytes(self) -> None:
        channel = DropOldestChannel[object](max_items=2)
        channel.send({"any": "thing"}, size=1_000)
        assert channel.current_bytes == 0

    @pytest.mark.parametrize("size", [-1, 1.5, "3"])
    def test_a_size_that_is_no_size_is_refused_and_changes_nothing(self, size: Any) -> None:
        channel = DropOldestChannel[str](max_bytes=10, sizeof=lambda _: size)
        for send in (lambda: channel.send("x"), lambda: channel.send("x", size)):
            with pytest.raises((TypeError, ValueError), match="size of an item"):
                send()
        assert channel.statistics().sent == 0

    def test_sizes_are_asked_without_the_lock(self) -> None:
        channel: DropOldestChannel[str]

        def sizeof(item: str) -> int:
            worker = threading.Thread(target=channel.statistics)
            worker.start()
            worker.join(5)
            assert not worker.is_alive()
            return len(item)

        channel = DropOldestChannel(max_bytes=10, sizeof=sizeof)
        channel.send("x")
        assert channel.current_bytes == 1


class TestReceiving:
    async def test_items_come_in_the_order_in_which_they_were_sent(self) -> None:
        channel = DropOldestChannel[int](max_items=10)
        channel.send_many(range(3))
        assert [await channel.receive() for _ in range(3)] == [0, 1, 2]

    async def test_a_receiver_waits_for_the_next_item(self, receive: Receive) -> None:
        channel = DropOldestChannel[str | None](max_items=10)
        waiting = asyncio.create_task(receive(channel))
        await until_parked(channel)
        assert channel.statistics().waiting
        channel.send(None)
        assert await waiting in (None, Batch((None,), 0, 0, 1))
        assert not channel.statistics().waiting
        assert channel._parked == {}

    async def test_a_batch_is_all_that_there_is(self) -> None:
        channel = DropOldestChannel[str](max_items=3)
        channel.send_many("abcde")
        assert await channel.receive_many() == Batch(("c", "d", "e"), 2, 2, 5)
        assert channel.missed == 2
        channel.send("f")
        assert await channel.receive_many() == Batch(("f",), 0, 5, 6)
        assert channel.missed == 0

    async def test_a_batch_has_at_most_max_items(self) -> None:
        channel = DropOldestChannel[str](max_items=4)
        channel.send_many("abcdef")
        assert await channel.receive_many(max_items=3) == Batch(("c", "d", "e"), 2, 2, 5)
        assert await channel.receive_many(max_items=3) == Batch(("f",), 0, 5, 6)

    async def test_a_batch_has_at_most_max_bytes_but_always_one_item(self) -> None:
        channel = DropOldestChannel[bytes](max_bytes=100)
        channel.send_many([b"aaa", b"bb", b"c", b"dddddd", b"e"])
        assert (await channel.receive_many(max_bytes=5)).items == (b"aaa", b"bb")
        assert (await channel.receive_many(max_items=1, max_bytes=5)).items == (b"c",)
        assert (await channel.receive_many(max_bytes=5)).items == (b"dddddd",)
        assert (await channel.receive_many(max_items=2, max_bytes=5)).items == (b"e",)
        assert channel.current_bytes == 0

    async def test_bytes_are_given_back_when_all_is_taken(self) -> None:
        channel = DropOldestChannel[bytes](max_bytes=100)
        channel.send_many([b"aaa", b"bb"])
        assert await channel.receive_many() == Batch((b"aaa", b"bb"), 0, 0, 2)
        assert channel.current_bytes == 0
        channel.send(b"c" * 100)
        assert await channel.receive() == b"c" * 100

    async def test_a_limit_in_bytes_needs_sizes(self) -> None:
        channel = DropOldestChannel[str](max_items=3, name="output")
        with pytest.raises(TypeError, match="'output' counts no bytes"):
            await channel.receive_many(max_bytes=10)

    @pytest.mark.parametrize("limit", ["max_items", "max_bytes"])
    @pytest.mark.parametrize("value", [0, -1, 1.5, True])
    async def test_a_limit_of_a_batch_is_checked(self, limit: str, value: Any) -> None:
        channel = DropOldestChannel[bytes](max_bytes=3)
        with pytest.raises((TypeError, ValueError), match=limit):
            await channel.receive_many(**{limit: value})

    def test_receive_nowait_takes_what_is_there_and_never_waits(self) -> None:
        channel = DropOldestChannel[str](max_items=2, name="output")
        with pytest.raises(WouldBlock, match="'output' is empty"):
            channel.receive_nowait()
        channel.send_many("abc")
        assert (channel.receive_nowait(), channel.missed) == ("b", 1)
        assert (channel.receive_nowait(), channel.missed) == ("c", 0)

    async def test_iteration_gives_batches_until_the_channel_is_closed(self) -> None:
        channel = DropOldestChannel[str](max_items=3)
        channel.send_many("abcd")
        batches = []
        async for batch in channel:
            batches.append(batch)
            if batch.next_seq == 4:
                channel.send("e")
                channel.close()
        assert batches == [Batch(("b", "c", "d"), 1, 1, 4), Batch(("e",), 0, 4, 5)]

    async def test_the_gap_is_told_just_before_the_item_that_follows_it(self) -> None:
        channel = DropOldestChannel[int](max_items=2)
        channel.send_many(range(3))
        assert (await channel.receive(), channel.missed) == (1, 1)
        channel.send_many(range(3, 6))
        assert (await channel.receive(), channel.missed) == (4, 2)
        assert (await channel.receive(), channel.missed) == (5, 0)


class TestFairness:
    async def test_a_receiver_of_single_items_lets_others_run_every_128_items(self) -> None:
        channel = DropOldestChannel[int](max_items=2_000)
        channel.send_many(range(1_280))
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(other())
        for expected in range(1_280):
            assert await channel.receive() == expected
        assert turns == 9
        task.cancel()

    async def test_a_receiver_of_batches_lets_others_run_once_a_batch(self) -> None:
        channel = DropOldestChannel[int](max_items=100)
        channel.send_many(range(100))
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(other())
        for expected in range(10):
            batch = await channel.receive_many(max_items=10)
            assert batch.first_seq == 10 * expected
        assert turns == 10
        task.cancel()

    async def test_one_receiver_that_never_comes_delays_nobody_else(self) -> None:
        dead, alive = (DropOldestChannel[int](max_items=8) for _ in range(2))
        got: list[int] = []

        async def read() -> None:
            async for batch in alive:
                got.extend(batch.items)

        reading = asyncio.create_task(read())
        for number in range(100):
            dead.send(number)
            alive.send(number)
            await asyncio.sleep(0)
        alive.close()
        await reading
        assert got == list(range(100))
        assert dead.statistics().missed == 92


@pytest.mark.usefixtures("_in_every_build")
class TestCancellation:
    """Whatever comes together with a cancellation, no item is lost."""

    async def test_send_then_cancel_in_one_tick(self, receive: Receive) -> None:
        channel = DropOldestChannel[str](max_items=5)
        task = asyncio.create_task(receive(channel))
        await until_parked(channel)
        channel.send("item")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert drained(channel) == [("item", 0)]

    async def test_cancel_then_send_in_one_tick(self, receive: Receive) -> None:
        channel = DropOldestChannel[str](max_items=5)
        task = asyncio.create_task(receive(channel))
        await until_parked(channel)
        task.cancel()
        channel.send("item")
        with pytest.raises(asyncio.CancelledError):
            await task
        assert channel._parked == {}
        assert drained(channel) == [("item", 0)]

    @pytest.mark.parametrize("how", ["timeout", "wait_for", "timeout_seconds"])
    async def test_a_deadline_in_the_tick_of_a_send(self, how: str, receive: Receive) -> None:
        channel = DropOldestChannel[str](max_items=5)

        async def patient() -> object:
            if how == "timeout":
                async with asyncio.timeout(0.01):
                    return await receive(channel)
            if how == "wait_for":
                return await asyncio.wait_for(receive(channel), 0.01)
            if receive is RECEIVES["receive"]:
                return await channel.receive(timeout_seconds=0.01)
            return await channel.receive_many(timeout_seconds=0.01)

        task = asyncio.create_task(patient())
        await until_parked(channel)
        asyncio.get_running_loop().call_later(0.01, channel.send, "item")
        time.sleep(0.03)  # noqa: ASYNC251  # a busy tick: deadline and send fall due together
        result = (await asyncio.gather(task, return_exceptions=True))[0]
        await asyncio.sleep(0)
        if isinstance(result, TimeoutError):
            assert drained(channel) == [("item", 0)]
        else:
            assert result in ("item", Batch(("item",), 0, 0, 1))
            assert drained(channel) == []
        assert channel._parked == {}

    async def test_a_cancellation_while_others_get_their_turn(self, receive: Receive) -> None:
        channel = DropOldestChannel[int](max_items=100)
        channel.send_many(range(100))
        for _ in range(64):
            channel.receive_nowait()
        for _ in range(3):
            channel._in_a_row = 128
            task = asyncio.create_task(receive(channel))
            await asyncio.sleep(0)
            assert channel.statistics().waiting  # it has given way, and taken nothing
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert [item for item, _ in drained(channel)] == list(range(64, 100))

    async def test_a_cancellation_at_every_await(self, receive: Receive) -> None:
        """Drive the coroutine by hand, and throw at its first await, its second, and so on."""

        class Cancelled(BaseException):
            pass

        for full in (False, True):
            for point in range(10):
                channel = DropOldestChannel[str](max_items=5)
                if full:
                    channel.send("item")
                    channel._in_a_row = 128
                steps = receive(channel)
                try:
                    for _ in range(point + 1):
                        pending = steps.send(None)
                        if pending is not None:  # asleep: wake it, and wake it in vain
                            wake_in_vain(channel)
                except StopIteration:
                    break
                with pytest.raises(Cancelled):
                    steps.throw(Cancelled())
                assert not channel.statistics().waiting
                assert channel._parked == {}
                channel.send("next")
                assert [item for item, _ in drained(channel)] == ["item"] * full + ["next"]

    async def test_after_a_cancelled_receiver_comes_the_next(self, receive: Receive) -> None:
        channel = DropOldestChannel[str](max_items=5)
        for _ in range(3):
            task = asyncio.create_task(receive(channel))
            await until_parked(channel)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        task = asyncio.create_task(receive(channel))
        await until_parked(channel)
        channel.send("item")
        assert await task in ("item", Batch(("item",), 0, 0, 1))

    async def test_a_task_group_that_fails_loses_nothing(self) -> None:
        channel = DropOldestChannel[int](max_items=5)

        async def fail_together() -> None:
            async with asyncio.TaskGroup() as group:
                receiving = group.create_task(channel.receive())
                await until_parked(channel)
                asyncio.get_running_loop().call_soon(channel.send, 1)
                receiving.get_loop().call_soon(receiving.cancel)
                raise ZeroDivisionError

        with pytest.raises(ExceptionGroup):
            await fail_together()
        assert drained(channel) == [(1, 0)]


def wake_in_vain(channel: DropOldestChannel[Any]) -> None:
    for waiter in list(channel._parked.values()):
        waiter.wake(asyncio.get_running_loop())


class TestTimeouts:
    async def test_a_receiver_gives_up_after_its_time(self) -> None:
        channel = DropOldestChannel[str](max_items=5, name="output")
        with pytest.raises(TimeoutError, match="'output' had nothing to give"):
            await channel.receive(timeout_seconds=0.01)
        with pytest.raises(TimeoutError):
            await channel.receive_many(timeout_seconds=0.01)
        assert channel._parked == {}
        assert not channel.statistics().waiting

    async def test_an_item_in_time_is_received_and_the_timer_is_gone(self) -> None:
        channel = DropOldestChannel[str](max_items=5)
        task = asyncio.create_task(channel.receive(timeout_seconds=60))
        await until_parked(channel)
        channel.send("item")
        assert await task == "item"
        timers = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]
        assert all(timer.cancelled() for timer in timers)

    async def test_a_wake_up_for_nothing_does_not_prolong_the_wait(self) -> None:
        channel = DropOldestChannel[str](max_items=5)
        task = asyncio.create_task(channel.receive(timeout_seconds=0.05))
        begin = time.monotonic()
        while not task.done():
            wake_in_vain(channel)
            await asyncio.sleep(0.001)
        with pytest.raises(TimeoutError):
            await task
        assert time.monotonic() - begin >= 0.05

    @pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), "1", True])
    async def test_a_timeout_that_is_none_is_refused(self, seconds: Any) -> None:
        channel = DropOldestChannel[str](max_items=5)
        channel.send("item")
        for receive in (channel.receive, channel.receive_many):
            with pytest.raises((TypeError, ValueError), match="timeout_seconds"):
                await receive(timeout_seconds=seconds)
        assert len(channel) == 1


class TestClosing:
    async def test_the_receiver_gets_what_is_left_and_then_the_end(self) -> None:
        channel = DropOldestChannel[str](max_items=5, name="output")
        channel.send_many("ab")
        channel.close()
        channel.close()
        assert channel.closed
        with pytest.raises(Closed, match="'output' is closed"):
            channel.send("c")
        assert await channel.receive() == "a"
        assert channel.receive_nowait() == "b"
        for _ in range(2):
            with pytest.raises(Closed, match="'output' is closed"):
                await channel.receive()
            with pytest.raises(Closed):
                await channel.receive_many()
            with pytest.raises(Closed):
                channel.receive_nowait()
            assert [batch async for batch in channel] == []
        assert channel.statistics().sent == 2

    async def test_discarding_counts_the_rest_as_missed(self) -> None:
        left: Left = []
        channel = DropOldestChannel[str](max_items=2, on_drop=lambda *drop: left.append(drop))
        channel.send_many("abc")
        channel.close()
        assert len(channel) == 2
        channel.close(discard=True)
        assert left == [
            (0, "a", RemovalCause.COUNT),
            (1, "b", RemovalCause.CLEARED),
            (2, "c", RemovalCause.CLEARED),
        ]
        assert [batch async for batch in channel] == []
        assert channel.missed == 3
        assert channel.statistics().missed == 3
        assert channel.current_bytes == 0

    async def test_closing_wakes_a_receiver_that_waits(self, receive: Receive) -> None:
        channel = DropOldestChannel[str](max_items=5)
        task = asyncio.create_task(receive(channel))
        await until_parked(channel)
        channel.close()
        with pytest.raises((Closed, StopAsyncIteration)):
            await task
        assert channel._parked == {}

    async def test_an_item_sent_just_before_closing_is_still_received(
        self, receive: Receive
    ) -> None:
        channel = DropOldestChannel[str](max_items=5)
        task = asyncio.create_task(receive(channel))
        await until_parked(channel)
        channel.send("last")
        channel.close()
        assert await task in ("last", Batch(("last",), 0, 0, 1))

    async def test_closing_from_another_thread_ends_the_iteration(self) -> None:
        channel = DropOldestChannel[str](max_items=5)

        async def read() -> list[Batch[str]]:
            return [batch async for batch in channel]

        task = asyncio.create_task(read())
        await until_parked(channel)
        await asyncio.to_thread(channel.close)
        assert await task == []


@pytest.mark.usefixtures("_in_every_build")
class TestOneReceiver:
    async def test_a_second_receiver_is_refused_while_the_first_waits(
        self, receive: Receive
    ) -> None:
        channel = DropOldestChannel[str](max_items=5, name="output")
        first = asyncio.create_task(receive(channel))
        await until_parked(channel)
        for second in RECEIVES.values():
            with pytest.raises(RuntimeError, match="'output' has a receiver waiting"):
                await second(channel)
        with pytest.raises(RuntimeError, match="may have only one"):
            channel.receive_nowait()
        channel.send("item")  # the first is woken, but has not run yet: it still is the one
        with pytest.raises(RuntimeError, match="'output' has a receiver waiting"):
            await receive(channel)
        assert await first in ("item", Batch(("item",), 0, 0, 1))

    async def test_a_second_receiver_is_refused_while_the_first_gives_way(
        self, receive: Receive
    ) -> None:
        channel = DropOldestChannel[str](max_items=5)
        channel.send("item")
        channel._in_a_row = 128
        first = asyncio.create_task(receive(channel))
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="has a receiver waiting"):
            channel.receive_nowait()
        assert await first in ("item", Batch(("item",), 0, 0, 1))
        channel.send("next")
        assert channel.receive_nowait() == "next"

    async def test_one_after_the_other_is_fine(self, receive: Receive) -> None:
        channel = DropOldestChannel[int](max_items=5)
        for number in range(5):
            task = asyncio.create_task(receive(channel))
            await asyncio.sleep(0)
            channel.send(number)
            assert await task in (number, Batch((number,), 0, number, number + 1))


class TestStrict:
    async def test_a_gap_is_raised_once_before_the_item_that_follows_it(self) -> None:
        channel = DropOldestChannel[str](max_items=2, strict=True)
        channel.send_many("abcd")
        with pytest.raises(Lagged) as caught:
            await channel.receive()
        assert caught.value.missed == 2
        assert (await channel.receive(), channel.missed) == ("c", 0)
        assert await channel.receive() == "d"

    @pytest.mark.parametrize("max_items", [None, 1])
    async def test_a_batch_after_the_error_has_no_gap(self, max_items: int | None) -> None:
        channel = DropOldestChannel[str](max_items=2, strict=True)
        channel.send_many("abc")
        with pytest.raises(Lagged):
            await channel.receive_many(max_items)
        assert (await channel.receive_many(max_items))[1:3] == (0, 1)

    async def test_iteration_can_be_taken_up_again(self) -> None:
        channel = DropOldestChannel[str](max_items=1, strict=True)
        channel.send_many("ab")
        channel.close()

        async def rest() -> list[str]:
            return [item async for batch in channel for item in batch.items]

        with pytest.raises(Lagged):
            await rest()
        assert await rest() == ["b"]

    async def test_what_closing_discards_is_raised_before_the_end(self) -> None:
        channel = DropOldestChannel[str](max_items=3, strict=True)
        channel.send_many("ab")
        channel.close(discard=True)
        with pytest.raises(Lagged) as caught:
            await channel.receive()
        assert caught.value.missed == 2
        with pytest.raises(Closed):
            await channel.receive()


@pytest.mark.usefixtures("_in_every_build")
class TestWaking:
    async def test_a_sender_in_another_thread_wakes_the_receiver(self, receive: Receive) -> None:
        channel = DropOldestChannel[str](max_items=5)
        task = asyncio.create_task(receive(channel))
        await until_parked(channel)
        await asyncio.to_thread(channel.send, "item")
        assert await task in ("item", Batch(("item",), 0, 0, 1))

    async def test_a_flood_from_a_thread_wakes_a_sleeper_once(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        channel = DropOldestChannel[int](max_items=1_000)
        loop = asyncio.get_running_loop()
        calls: list[object] = []
        schedule = loop.call_soon_threadsafe
        task = asyncio.create_task(channel.receive_many())
        await until_parked(channel)

        def counted(*args: Any, **kwargs: Any) -> asyncio.Handle:
            calls.append(args)
            return schedule(*args, **kwargs)

        monkeypatch.setattr(loop, "call_soon_threadsafe", counted)
        worker = threading.Thread(target=channel.send_many, args=(range(1_000),))
        worker.start()
        worker.join()  # the loop has had no chance to run the receiver
        assert len(calls) == 1
        assert len((await task).items) == 1_000

    def test_a_receiver_may_live_in_any_loop(self) -> None:
        channel = DropOldestChannel[int](max_items=5)

        async def take(number: int) -> int:
            asyncio.get_running_loop().call_soon(channel.send, number)
            return await channel.receive()

        assert [asyncio.run(take(number)) for number in range(3)] == [0, 1, 2]

    async def test_a_sender_in_another_loop_wakes_the_receiver(self) -> None:
        channel = DropOldestChannel[str](max_items=5)

        async def send() -> None:
            channel.send("from afar")

        task = asyncio.create_task(channel.receive())
        await until_parked(channel)
        await asyncio.to_thread(asyncio.run, send())
        assert await task == "from afar"

    def test_a_loop_that_was_closed_under_its_receiver_harms_no_sender(self) -> None:
        channel = DropOldestChannel[str](max_items=5)
        loop = asyncio.new_event_loop()
        task = loop.create_task(channel.receive())
        loop.run_until_complete(until_parked(channel))
        loop.close()
        channel.send("one")
        worker = threading.Thread(target=channel.send, args=("two",))
        worker.start()
        worker.join()
        assert len(channel) == 2
        with pytest.raises(RuntimeError, match="receiver waiting"):  # it never ended
            channel.receive_nowait()
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        steps = task.get_coro()
        assert steps is not None
        steps.close()
        assert drained(channel) == [("one", 0), ("two", 0)]

    async def test_a_callback_of_the_loop_wakes_the_receiver(self) -> None:
        channel = DropOldestChannel[str](max_items=5)
        asyncio.get_running_loop().call_later(0.01, channel.send, "item")
        async with asyncio.timeout(10):
            assert await channel.receive() == "item"

    @pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer signal")
    def test_a_signal_handler_wakes_a_loop_that_sleeps_in_its_selector(self) -> None:
        channel = DropOldestChannel[str](max_items=5)

        async def main() -> float:
            begin = time.monotonic()
            await channel.receive(timeout_seconds=20)  # nothing else would end the sleep
            return time.monotonic() - begin

        previous = signal.signal(signal.SIGALRM, lambda *_: channel.send("alarm"))
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            assert asyncio.run(main()) < 10
        finally:
            signal.signal(signal.SIGALRM, previous)

    async def test_a_receiver_that_leaves_late_takes_nobody_else_from_his_bed(self) -> None:
        channel = DropOldestChannel[str](max_items=5)
        early, late = Bell(), Bell()
        channel._parked[channel] = late
        channel._forget(channel, early)
        assert channel._parked == {channel: late}
        channel._forget(channel, late)
        assert channel._parked == {}


@pytest.mark.usefixtures("_in_every_build")
class TestReentrancy:
    def test_a_listener_may_use_the_channel_that_calls_it(self) -> None:
        lengths: list[int] = []

        def on_drop(seq: int, item: str, cause: RemovalCause) -> None:
            lengths.append(len(channel))
            if item == "a":
                channel.send("from the listener")

        channel: DropOldestChannel[str] = DropOldestChannel(max_items=2, on_drop=on_drop)
        channel.send_many("abc")
        assert drained(channel) == [("c", 2), ("from the listener", 0)]
        assert max(lengths) == 2

    def test_a_raising_listener_stops_nothing_and_is_counted(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        channel = DropOldestChannel[str](max_items=1, on_drop=lambda *_: 1 // 0)
        with caplog.at_level(logging.ERROR):
            channel.send_many("abc")
        channel.close(discard=True)
        assert channel.statistics().listener_errors == 3
        assert "a listener of departures raised" in caplog.text

    def test_a_listener_must_be_callable(self) -> None:
        with pytest.raises(TypeError, match="a listener must be callable"):
            DropOldestChannel(max_items=1, on_drop="nobody")  # type: ignore[arg-type]

    def test_victims_die_and_listeners_run_without_the_lock(self) -> None:
        outcomes: list[bool] = []

        def others_can_use_it() -> None:
            worker = threading.Thread(target=lambda: outcomes.append(len(channel) <= 1))
            worker.start()
            worker.join(5)
            assert not worker.is_alive()

        class Dying:
            def __del__(self) -> None:
                others_can_use_it()

        channel: DropOldestChannel[object] = DropOldestChannel(
            max_items=1, on_drop=lambda *_: others_can_use_it()
        )
        channel.send(Dying())
        channel.send("next")
        channel.close(discard=True)
        assert outcomes == [True, True, True]

    def test_a_dropped_item_dies_at_once(self) -> None:
        class Item:
            pass

        channel = DropOldestChannel[Item](max_items=1)
        watch = []
        for _ in range(5):
            item = Item()
            watch.append(weakref.ref(item))
            channel.send(item)
        del item
        assert [ref() is None for ref in watch] == [True] * 4 + [False]

    @pytest.mark.parametrize("max_items", [1, 2, 5])
    def test_a_destructor_may_send_what_drops_the_next(self, max_items: int) -> None:
        class Phoenix:
            def __init__(self, lives: int) -> None:
                self.lives = lives

            def __del__(self) -> None:
                if self.lives:
                    channel.send(Phoenix(self.lives - 1))

        channel = DropOldestChannel[Phoenix](max_items=max_items)
        for _ in range(20):
            channel.send(Phoenix(lives=3))
            check_invariants(channel)
            assert len(channel) <= max_items
        figures = channel.statistics()
        assert figures.sent == figures.missed + figures.buffered > 20
        for phoenix in [channel.receive_nowait() for _ in range(len(channel))]:
            phoenix.lives = 0

    def test_a_collected_cycle_may_send(self) -> None:
        class Cycle:
            def __init__(self) -> None:
                self.me = self

            def __del__(self) -> None:
                channel.send("from the grave")

        channel = DropOldestChannel[str](max_items=100)
        Cycle()
        gc.collect()
        assert drained(channel) == [("from the grave", 0)]


AFTER_GIVING_WAY: dict[str, Receive] = {
    "receive_many": lambda channel: channel.receive_many(),
    "receive_some": lambda channel: channel.receive_many(max_items=2),
}
OPERATIONS: dict[str, Callable[[DropOldestChannel[Any]], object]] = {
    "send": lambda channel: channel.send(b"dd"),
    "send_many": lambda channel: channel.send_many([b"d", b"e"]),
    "close": lambda channel: channel.close(),
    "discard": lambda channel: channel.close(discard=True),
    "receive_nowait": lambda channel: channel.receive_nowait(),
    "receive": lambda channel: run_once(channel.receive()),
    "receive_many": lambda channel: run_once(AFTER_GIVING_WAY["receive_many"](channel)),
    "receive_some": lambda channel: run_once(AFTER_GIVING_WAY["receive_some"](channel)),
    "statistics": lambda channel: channel.statistics(),
}


STRIKES: dict[str, Callable[[DropOldestChannel[Any]], object]] = {
    "send": lambda channel: channel.send(b"s"),
    "receive": lambda channel: channel._receiver or channel.receive_nowait(),
    "close": lambda channel: channel.close(discard=True),
}


def run_once(steps: Coroutine[Any, Any, object]) -> object:
    """Drive a coroutine to its end, or until it falls asleep."""
    try:
        while steps.send(None) is None:
            pass
    except StopIteration as stop:
        return stop.value
    steps.close()
    return None


Bounds = tuple[int, int | None]
BOUNDS: list[Bounds] = [(3, None), (3, 4)]


@pytest.mark.usefixtures("_in_every_build")
class TestInterruptions:
    @pytest.mark.parametrize("operation", OPERATIONS)
    @pytest.mark.parametrize("bounds", BOUNDS)
    @pytest.mark.parametrize("strike_by", STRIKES)
    async def test_whatever_interrupts_a_call_may_use_the_channel_itself(
        self, operation: str, bounds: Bounds, strike_by: str
    ) -> None:
        told: list[int] = []
        results: list[object] = []
        channel: DropOldestChannel[bytes]

        def prepare() -> Callable[[], object]:
            nonlocal channel
            told.clear()
            results.clear()
            channel = DropOldestChannel(
                max_items=bounds[0],
                max_bytes=bounds[1],
                on_drop=lambda seq, *_: told.append(seq),
            )
            channel.send_many([b"aa", b"b", b"c"])
            return lambda: suppressed(lambda: results.append(OPERATIONS[operation](channel)))

        def strike() -> None:
            check_invariants(channel)
            for _ in range(4):
                suppressed(lambda: STRIKES[strike_by](channel))
            check_invariants(channel)

        for _ in interrupted_everywhere(prepare, strike, within="boundedcollections"):
            check_invariants(channel)
            figures = channel.statistics()
            assert figures.sent == figures.received + figures.missed + figures.buffered
            assert sorted(told) == sorted(set(told))
            assert len(told) == figures.missed
            for batch in results:
                if isinstance(batch, Batch):
                    assert batch.next_seq == batch.first_seq + len(batch.items)
                    assert batch.items
                    assert not set(told) & set(range(batch.first_seq, batch.next_seq))

    @pytest.mark.parametrize("operation", OPERATIONS)
    @pytest.mark.parametrize("bounds", BOUNDS)
    async def test_an_exception_out_of_the_blue_leaves_the_books_right_and_the_lock_free(
        self, operation: str, bounds: Bounds
    ) -> None:
        channel: DropOldestChannel[bytes]

        def prepare() -> Callable[[], object]:
            nonlocal channel
            channel = DropOldestChannel(max_items=bounds[0], max_bytes=bounds[1])
            channel.send_many([b"aa", b"b", b"c"])
            if operation not in AFTER_GIVING_WAY:
                return lambda: OPERATIONS[operation](channel)
            steps = AFTER_GIVING_WAY[operation](channel)
            steps.send(None)  # let others run: no exception strikes while a coroutine suspends
            return lambda: run_once(steps)

        def strike() -> None:
            raise KeyboardInterrupt

        for _ in interrupted_everywhere(prepare, strike, within="boundedcollections"):
            assert not channel._lock._is_owned()  # type: ignore[attr-defined]
            check_invariants(channel)
            assert not channel.statistics().waiting
            figures = channel.statistics()
            if not figures.closed:
                channel.send(b"x")  # still in working order
                assert drained(channel)[-1][0] == b"x"

    @pytest.mark.parametrize("operation", ["send", "close", "discard"])
    @pytest.mark.parametrize("strike_by", ["exception", "send"])
    def test_a_sender_that_is_struck_still_wakes_who_sleeps(
        self, operation: str, strike_by: str
    ) -> None:
        channel: DropOldestChannel[bytes]
        bell: Bell

        def prepare() -> Callable[[], object]:
            nonlocal channel, bell
            bell = Bell()
            channel = DropOldestChannel(max_items=3)
            channel._receiver = lambda: None
            channel._lay_down(channel, bell)
            return lambda: OPERATIONS[operation](channel)

        def strike() -> None:
            if strike_by == "exception":
                raise KeyboardInterrupt
            suppressed(lambda: channel.send(b"s"))

        for _ in interrupted_everywhere(prepare, strike, within="boundedcollections"):
            if len(channel) or channel.closed:
                assert bell.has_rung

    async def test_what_is_sent_while_a_receiver_lies_down_keeps_it_awake(
        self, receive: Receive
    ) -> None:
        channel: DropOldestChannel[bytes]
        pending: list[asyncio.Future[None] | None] = []

        def prepare() -> Callable[[], object]:
            nonlocal channel
            channel = DropOldestChannel(max_items=3)
            steps = receive(channel)
            pending.clear()
            return lambda: suppressed(lambda: pending.append(steps.send(None)))

        for _ in interrupted_everywhere(
            prepare, lambda: channel.send(b"s"), within="boundedcollections"
        ):
            assert not channel or not pending[0] or pending[0].done()

    async def test_the_end_is_told_only_when_nothing_is_left(self, receive: Receive) -> None:
        channel: DropOldestChannel[bytes]

        def prepare() -> Callable[[], object]:
            nonlocal channel
            channel = DropOldestChannel(max_items=3)
            return run

        def run() -> None:
            try:
                receive(channel).send(None)
            except (Closed, StopAsyncIteration):
                assert not len(channel), "an item is left"
            except StopIteration:
                pass

        def strike() -> None:
            channel.send(b"last")
            channel.close()

        for _ in interrupted_everywhere(prepare, strike, within="boundedcollections"):
            assert channel.statistics().sent == 1


class Bell:
    """A waiter that only remembers."""

    has_rung = False

    def wake(self, at_work: asyncio.AbstractEventLoop | None) -> None:
        self.has_rung = True


def suppressed(call: Callable[[], object]) -> None:
    with contextlib.suppress(Closed, WouldBlock, StopIteration, StopAsyncIteration):
        call()


class TestFigures:
    def test_what_was_sent_is_received_missed_or_buffered(self) -> None:
        channel = DropOldestChannel[bytes](max_items=4, max_bytes=8, name="output")
        channel.send_many([b"a", b"bb", b"ccc", b"dddd", b"e"])
        with pytest.raises(TooLarge):
            channel.send(b"x" * 9)
        channel.receive_nowait()
        assert dataclasses.asdict(channel.statistics()) == {
            "sent": 5,
            "received": 1,
            "missed": 2,
            "buffered": 2,
            "current_bytes": 5,
            "missed_bytes": 3,
            "peak_items": 3,
            "peak_bytes": 8,
            "max_items": 4,
            "max_bytes": 8,
            "rejected": 1,
            "waiting": False,
            "closed": False,
            "listener_errors": 0,
        }
        assert (channel.max_items, channel.max_bytes) == (4, 8)
        assert (channel.current_bytes, channel.peak_bytes) == (5, 8)

    def test_the_repr_shows_used_and_limit(self) -> None:
        channel = DropOldestChannel[bytes](max_items=4, max_bytes=10, name="output")
        channel.send(b"abc")
        assert repr(channel) == "<DropOldestChannel 'output' items=1/4 bytes=3/10>"
        channel = DropOldestChannel(max_bytes=10)
        channel.close()
        assert repr(channel) == "<DropOldestChannel bytes=0/10 closed>"
        assert repr(DropOldestChannel(max_items=2)) == "<DropOldestChannel items=0/2>"

    def test_a_channel_has_no_dict_and_can_be_referred_to_weakly(self) -> None:
        channel = DropOldestChannel[int](max_items=1)
        assert not hasattr(channel, "__dict__")
        assert weakref.ref(channel)() is channel

    async def test_a_forgotten_channel_is_collected_without_the_collector(self) -> None:
        channel = DropOldestChannel[int](max_items=1)
        task = asyncio.create_task(channel.receive())
        await until_parked(channel)
        channel.send(1)
        await task
        watch = weakref.ref(channel)
        gc.disable()
        try:
            del channel, task
            assert watch() is None
        finally:
            gc.enable()
