import asyncio
import contextlib
import dataclasses
import gc
import sys
import threading
import weakref
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from interruptions import interrupted_everywhere
from streams import BUILDS, make_weightless, pretend

from boundedcollections import Batch, BoundedHistory, Closed, TooLarge, WouldBlock
from boundedcollections.broadcast import Broadcast, Subscription
from boundedcollections.testing import check_invariants


@pytest.fixture(autouse=True)
def _without_own_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    make_weightless(monkeypatch)


@pytest.fixture(params=BUILDS)
def _in_every_build(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """For what could go wrong in one build alone; in both, the state machine does all the rest."""
    pretend(request.param, monkeypatch)


Receive = Callable[[Subscription[Any]], Coroutine[Any, Any, object]]

RECEIVES: dict[str, Receive] = {
    "receive": lambda reader: reader.receive(),
    "receive_many": lambda reader: reader.receive_many(),
    "anext": lambda reader: reader.__anext__(),
}


@pytest.fixture(params=list(RECEIVES.values()), ids=list(RECEIVES))
def receive(request: pytest.FixtureRequest) -> Receive:
    how: Receive = request.param
    return how


async def until_parked(hub: Broadcast[Any], *, readers: int = 1) -> None:
    while len(hub._parked) < readers:  # noqa: ASYNC110  # it is the state that is waited for
        await asyncio.sleep(0)


def drained(reader: Subscription[Any]) -> list[tuple[object, int]]:
    """Return what is left for `reader`, each item with the gap before it."""
    found: list[tuple[object, int]] = []
    while True:
        try:
            item = reader.receive_nowait()
        except (WouldBlock, Closed):
            return found
        found.append((item, reader.missed))


class TestBounds:
    def test_the_ring_keeps_the_newest_items_whoever_has_read_them(self) -> None:
        hub = Broadcast[str](max_items=3)
        reader = hub.subscribe()
        for item in "abcde":
            hub.send(item)
            assert reader.receive_nowait() == item
        assert len(hub) == 3
        assert drained(hub.subscribe(replay=9)) == [("c", 0), ("d", 0), ("e", 0)]

    def test_bytes_are_bounded_too(self) -> None:
        hub = Broadcast[bytes](max_bytes=5)
        hub.send_many([b"aa", b"bb", b"ccc"])
        assert (hub.current_bytes, hub.peak_bytes, hub.max_bytes) == (5, 5, 5)
        assert drained(hub.subscribe(after=-1)) == [(b"bb", 1), (b"ccc", 0)]

    def test_an_item_above_max_bytes_is_refused_and_evicts_nothing(self) -> None:
        hub = Broadcast[bytes](max_bytes=5, name="room")
        hub.send(b"abc")
        with pytest.raises(TooLarge, match=r"Broadcast 'room'.* 6 bytes.* 5 bytes"):
            hub.send(b"abcdef")
        assert hub.next_seq == 1
        assert hub.statistics().rejected == 1

    def test_a_size_may_be_given_with_the_item(self) -> None:
        hub = Broadcast[object](max_bytes=50)
        hub.send({"any": "thing"}, size=30)
        assert hub.current_bytes == 30

    def test_a_broadcast_without_any_bound_is_refused(self) -> None:
        with pytest.raises(TypeError, match="max_items, max_bytes"):
            Broadcast()

    @pytest.mark.parametrize("first_seq", [-1, True, "0", 1.5])
    def test_a_first_number_that_is_none_is_refused(self, first_seq: Any) -> None:
        with pytest.raises((TypeError, ValueError), match="first_seq"):
            Broadcast(max_items=1, first_seq=first_seq)


class TestNumbers:
    def test_every_item_gets_the_next_number(self) -> None:
        hub = Broadcast[str](max_items=2)
        assert (hub.first_seq, hub.next_seq) == (0, 0)
        assert [hub.send(item) for item in "abc"] == [0, 1, 2]
        assert (hub.first_seq, hub.next_seq) == (1, 3)

    def test_numbers_may_go_on_from_those_of_a_history(self) -> None:
        history = BoundedHistory("abcde", max_items=3)
        hub = Broadcast[str](max_items=3, first_seq=history.next_seq)
        reader = hub.subscribe()
        assert history.append("f") == hub.send("f") == 5
        assert reader.position == 4
        assert reader.receive_nowait() == "f"
        assert reader.position == 5

    def test_nobody_listening_is_no_error(self) -> None:
        hub = Broadcast[str](max_items=2)
        hub.send_many("abc")
        assert hub.statistics().sent == 3


class TestSubscribing:
    def test_a_reader_gets_what_is_sent_after_it_came(self) -> None:
        hub = Broadcast[str](max_items=5)
        hub.send("before")
        reader = hub.subscribe()
        with pytest.raises(WouldBlock, match="Subscription of Broadcast is empty"):
            reader.receive_nowait()
        hub.send("after")
        assert drained(reader) == [("after", 0)]

    @pytest.mark.parametrize(("replay", "items"), [(0, ""), (1, "e"), (3, "cde"), (9, "cde")])
    def test_a_late_reader_may_begin_with_the_newest(self, replay: int, items: str) -> None:
        hub = Broadcast[str](max_items=3)
        hub.send_many("abcde")
        assert drained(hub.subscribe(replay=replay)) == [(item, 0) for item in items]

    def test_after_begins_with_the_number_that_follows(self) -> None:
        hub = Broadcast[str](max_items=3)
        hub.send_many("abcde")
        assert drained(hub.subscribe(after=4)) == []
        assert drained(hub.subscribe(after=3)) == [("e", 0)]
        assert drained(hub.subscribe(after=1)) == [("c", 0), ("d", 0), ("e", 0)]

    def test_after_counts_what_is_gone_as_missed(self) -> None:
        hub = Broadcast[str](max_items=3)
        hub.send_many("abcde")
        assert drained(hub.subscribe(after=0)) == [("c", 1), ("d", 0), ("e", 0)]
        assert drained(hub.subscribe(after=-1)) == [("c", 2), ("d", 0), ("e", 0)]

    def test_after_a_number_of_the_future_passes_over_what_comes_before_it(self) -> None:
        hub = Broadcast[str](max_items=3)
        reader = hub.subscribe(after=2)
        assert reader.lag == 0
        assert reader.statistics().sent == 0
        hub.send_many("abc")
        assert drained(reader) == []
        hub.send("d")
        assert drained(reader) == [("d", 0)]
        assert reader.statistics().sent == 1

    def test_a_reader_that_comes_back_goes_on_where_it_was(self) -> None:
        hub = Broadcast[str](max_items=3)
        first = hub.subscribe()
        hub.send_many("ab")
        first.receive_nowait()
        second = hub.subscribe(after=first.position)
        hub.send("c")
        assert drained(second) == drained(first) == [("b", 0), ("c", 0)]

    def test_a_reader_that_has_not_received_yet_can_come_back_too(self) -> None:
        hub = Broadcast[str](max_items=3)
        position = hub.subscribe().position
        hub.send("a")
        assert drained(hub.subscribe(after=position)) == [("a", 0)]

    def test_replay_and_after_exclude_each_other(self) -> None:
        with pytest.raises(ValueError, match="replay or after, not both: got 2 and 5"):
            Broadcast[str](max_items=3).subscribe(replay=2, after=5)

    @pytest.mark.parametrize("name", ["replay", "after"])
    @pytest.mark.parametrize("value", [-2, True, "1", 1.5, -1.0])
    def test_a_number_that_is_none_is_refused(self, name: str, value: Any) -> None:
        with pytest.raises((TypeError, ValueError), match=name):
            Broadcast[str](max_items=3).subscribe(**{name: value})

    def test_an_unknown_way_to_lag_is_refused(self) -> None:
        with pytest.raises(ValueError, match=r"on_lag must be one of .*skip.* got 'wait'"):
            Broadcast[str](max_items=3).subscribe(on_lag="wait")  # type: ignore[arg-type]


class TestReceiving:
    async def test_every_reader_gets_every_item(self, receive: Receive) -> None:
        hub = Broadcast[str](max_items=5)
        readers = [hub.subscribe() for _ in range(10)]
        waiting = [asyncio.create_task(receive(reader)) for reader in readers]
        await until_parked(hub, readers=10)
        assert hub.statistics().waiting == 10
        hub.send("item")
        results = await asyncio.gather(*waiting)
        assert all(result in ("item", Batch(("item",), 0, 0, 1)) for result in results)
        assert hub.statistics().waiting == 0

    async def test_readers_share_the_item_itself(self) -> None:
        hub = Broadcast[list[int]](max_items=5)
        readers = [hub.subscribe() for _ in range(3)]
        item = [1]
        hub.send(item)
        assert all(reader.receive_nowait() is item for reader in readers)

    async def test_a_batch_is_all_that_there_is(self) -> None:
        hub = Broadcast[str](max_items=3)
        reader = hub.subscribe()
        hub.send_many("abcde")
        assert await reader.receive_many() == Batch(("c", "d", "e"), 2, 2, 5)
        assert reader.missed == 2
        hub.send("f")
        assert await reader.receive_many() == Batch(("f",), 0, 5, 6)
        assert reader.missed == 0

    @pytest.mark.parametrize("limit", range(1, 9))
    async def test_a_batch_from_any_place_has_at_most_max_items(self, limit: int) -> None:
        hub = Broadcast[int](max_items=8)
        hub.send_many(range(12))
        reader = hub.subscribe(replay=8)
        got: list[int] = []
        while reader.lag:
            batch = await reader.receive_many(max_items=limit)
            assert len(batch.items) == min(limit, 8 - len(got))
            assert batch.first_seq == batch.items[0]
            got += batch.items
        assert got == list(range(4, 12))

    async def test_a_batch_has_at_most_max_bytes_but_always_one_item(self) -> None:
        hub = Broadcast[bytes](max_bytes=100)
        reader = hub.subscribe()
        hub.send_many([b"aaa", b"bb", b"c", b"dddddd", b"e"])
        assert (await reader.receive_many(max_bytes=5)).items == (b"aaa", b"bb")
        assert (await reader.receive_many(max_items=1, max_bytes=5)).items == (b"c",)
        assert (await reader.receive_many(max_bytes=5)).items == (b"dddddd",)
        assert (await reader.receive_many(max_bytes=5)).items == (b"e",)

    async def test_a_limit_in_bytes_needs_sizes(self) -> None:
        reader = Broadcast[str](max_items=3, name="room").subscribe()
        with pytest.raises(TypeError, match="Subscription of Broadcast 'room' counts no bytes"):
            await reader.receive_many(max_bytes=10)

    async def test_a_stalled_reader_delays_nobody_and_learns_its_gap(self) -> None:
        hub = Broadcast[int](max_items=10)
        stalled, lively = hub.subscribe(), hub.subscribe()
        got: list[int] = []

        async def read() -> None:
            async for batch in lively:
                got.extend(batch.items)

        reading = asyncio.create_task(read())
        for number in range(100):
            hub.send(number)
            await asyncio.sleep(0)
        assert hub._parked.keys() <= {lively}
        assert stalled.lag == 100
        hub.close()
        await reading
        assert got == list(range(100))
        assert await stalled.receive_many() == Batch(tuple(range(90, 100)), 90, 90, 100)

    @pytest.mark.usefixtures("_in_every_build")
    async def test_a_sender_in_another_thread_wakes_readers_in_several_loops(
        self, receive: Receive
    ) -> None:
        hub = Broadcast[str](max_items=5)

        async def read() -> object:
            return await receive(hub.subscribe())

        here = asyncio.create_task(read())
        elsewhere = asyncio.create_task(asyncio.to_thread(asyncio.run, read()))
        await until_parked(hub, readers=2)
        await asyncio.to_thread(hub.send, "item")
        for task in (here, elsewhere):
            assert await task in ("item", Batch(("item",), 0, 0, 1))

    async def test_one_receiver_at_a_time_for_each_subscription(self) -> None:
        hub = Broadcast[str](max_items=5)
        reader = hub.subscribe()
        first = asyncio.create_task(reader.receive())
        await until_parked(hub)
        with pytest.raises(RuntimeError, match="has a receiver waiting"):
            await reader.receive()
        hub.send("item")
        assert await first == "item"


@pytest.mark.usefixtures("_in_every_build")
class TestCancellation:
    @pytest.mark.parametrize("order", ["send first", "cancel first"])
    async def test_send_and_cancel_in_one_tick(self, order: str, receive: Receive) -> None:
        hub = Broadcast[str](max_items=5)
        reader = hub.subscribe()
        task = asyncio.create_task(receive(reader))
        await until_parked(hub)
        if order == "send first":
            hub.send("item")
            task.cancel()
        else:
            task.cancel()
            hub.send("item")
        with pytest.raises(asyncio.CancelledError):
            await task
        assert hub._parked == {}
        assert drained(reader) == [("item", 0)]

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

    async def test_short_timeouts_leave_nothing_behind(self) -> None:
        hub = Broadcast[str](max_items=5)
        reader = hub.subscribe()
        for _ in range(20):
            with pytest.raises(TimeoutError):
                await reader.receive(timeout_seconds=0.001)
        assert hub._parked == {}
        assert not reader.statistics().waiting


class TestLagging:
    def test_by_default_it_goes_on_with_the_oldest_that_is_left(self) -> None:
        hub = Broadcast[str](max_items=2)
        reader = hub.subscribe(on_lag="skip")
        hub.send_many("abcd")
        assert drained(reader) == [("c", 2), ("d", 0)]

    async def test_latest_goes_on_with_the_newest_and_counts_the_rest_as_missed(self) -> None:
        hub = Broadcast[str](max_items=3)
        reader = hub.subscribe(on_lag="latest")
        hub.send_many("abc")
        assert drained(reader) == [("a", 0), ("b", 0), ("c", 0)]  # it did not lag
        hub.send_many("defg")
        assert await reader.receive_many() == Batch(("g",), 3, 6, 7)
        figures = reader.statistics()
        assert (figures.sent, figures.received, figures.missed, figures.buffered) == (7, 4, 3, 0)

    async def test_latest_is_right_when_numbers_were_skipped_behind_the_newest(self) -> None:
        hub = Broadcast[str](max_items=1)
        reader = hub.subscribe(on_lag="latest")
        hub.send_many("ab")
        hub.skip(5)
        assert await reader.receive_many() == Batch(("b",), 1, 1, 2)
        hub.send("c")
        assert await reader.receive_many() == Batch(("c",), 5, 7, 8)

    async def test_close_ends_the_subscription_that_missed_something(self) -> None:
        hub = Broadcast[str](max_items=2, name="room")
        reader = hub.subscribe(on_lag="close")
        hub.send_many("ab")
        assert (await reader.receive_many()).items == ("a", "b")
        hub.send_many("cdef")
        for _ in range(2):
            with pytest.raises(Closed, match="Subscription of Broadcast 'room' is closed"):
                await reader.receive()
        assert (reader.closed, reader.missed) == (True, 2)
        assert not hub.closed
        assert drained(hub.subscribe(after=reader.position)) == [("e", 0), ("f", 0)]

    def test_lag_is_how_far_a_reader_is_behind(self) -> None:
        hub = Broadcast[str](max_items=2)
        reader = hub.subscribe()
        hub.send_many("abc")
        assert reader.lag == 3
        reader.receive_nowait()
        assert reader.lag == 1


class TestSkipping:
    async def test_every_reader_misses_the_numbers_left_out(self) -> None:
        hub = Broadcast[str](max_items=10)
        reader, late = hub.subscribe(), hub.subscribe(after=-1)
        hub.send_many("ab")
        hub.skip(7)
        assert hub.next_seq == 9
        assert hub.send("c") == 9
        for each in (reader, late):
            assert await each.receive_many() == Batch(("a", "b"), 0, 0, 2)  # not across the gap
            assert await each.receive_many() == Batch(("c",), 7, 9, 10)
        assert reader.statistics().missed == 7

    def test_a_gap_at_the_end_wakes_nobody_and_is_not_ready(self) -> None:
        hub = Broadcast[str](max_items=10)
        reader = hub.subscribe()
        for n in (1, 2):  # twice, for the second gap takes the place of the first
            hub.skip(n)
            assert not reader._is_ready()
        assert reader.lag == 3
        with pytest.raises(WouldBlock):
            reader.receive_nowait()

    async def test_a_gap_before_the_end_is_told_at_the_end(self) -> None:
        hub = Broadcast[str](max_items=10)
        reader = hub.subscribe()
        hub.skip(3)
        hub.close()
        assert [batch async for batch in reader] == []
        assert reader.missed == 3

    def test_gaps_in_a_row_are_one_gap(self) -> None:
        hub = Broadcast[str](max_items=10)
        reader = hub.subscribe()
        hub.send("a")
        for _ in range(1_000):
            hub.skip(2)
        assert len(hub._holes) == 1
        hub.send("b")
        assert drained(reader) == [("a", 0), ("b", 2_000)]

    def test_gaps_that_left_the_ring_are_forgotten(self) -> None:
        hub = Broadcast[int](max_items=4)
        for number in range(1_000):
            hub.send(number)
            hub.skip(1)
        assert len(hub._holes) <= 5
        assert hub.first_seq == 2 * 996
        assert hub.next_seq == 2_000
        assert drained(hub.subscribe(after=hub.first_seq - 1)) == [
            (996, 0),
            (997, 1),
            (998, 1),
            (999, 1),
        ]

    @pytest.mark.parametrize("after", range(-1, 12))
    def test_a_reader_may_begin_anywhere_around_the_gaps(self, after: int) -> None:
        hub = Broadcast[int](max_items=4)
        numbers = []
        for gap in (0, 3, 0, 2, 1):
            if gap:
                hub.skip(gap)
            numbers.append(hub.send(hub.next_seq))
        assert numbers == [0, 4, 5, 8, 10]
        expected, previous = [], after
        for number in numbers[1:]:
            if number > after:
                expected.append((number, number - previous - 1))
                previous = number
        reader = hub.subscribe(after=after)
        buffered = reader.statistics().buffered
        assert drained(reader) == expected
        assert buffered == len(expected)

    def test_a_reader_from_now_on_misses_nothing_of_a_gap_before(self) -> None:
        hub = Broadcast[str](max_items=10)
        hub.send("a")
        hub.skip(5)
        reader = hub.subscribe()
        hub.send("b")
        assert drained(reader) == [("b", 0)]
        assert drained(hub.subscribe(replay=2)) == [("a", 0), ("b", 5)]

    @pytest.mark.parametrize("n", [0, -1, True, "1"])
    def test_a_gap_that_is_none_is_refused(self, n: Any) -> None:
        with pytest.raises((TypeError, ValueError), match="n must be"):
            Broadcast[str](max_items=1).skip(n)

    def test_nothing_is_skipped_after_the_end(self) -> None:
        hub = Broadcast[str](max_items=1, name="room")
        hub.close()
        with pytest.raises(Closed, match="'room' is closed"):
            hub.skip(1)


@pytest.mark.usefixtures("_in_every_build")
class TestClosing:
    async def test_readers_get_what_is_left_and_then_the_end(self, receive: Receive) -> None:
        hub = Broadcast[str](max_items=5, name="room")
        reader = hub.subscribe()
        hub.send("a")
        hub.close()
        hub.close()
        assert hub.closed
        with pytest.raises(Closed, match="'room' is closed"):
            hub.send("b")
        assert await receive(reader) in ("a", Batch(("a",), 0, 0, 1))
        with pytest.raises((Closed, StopAsyncIteration)):
            await receive(reader)
        assert drained(hub.subscribe(replay=5)) == [("a", 0)]

    async def test_discarding_counts_the_rest_as_missed(self) -> None:
        hub = Broadcast[str](max_items=5)
        reader = hub.subscribe()
        hub.send_many("abc")
        hub.close(discard=True)
        assert [batch async for batch in reader] == []
        assert reader.missed == 3
        assert reader.statistics().missed == 3
        assert len(hub) == 0

    async def test_closing_wakes_every_reader(self, receive: Receive) -> None:
        hub = Broadcast[str](max_items=5)
        tasks = [asyncio.create_task(receive(hub.subscribe())) for _ in range(3)]
        await until_parked(hub, readers=3)
        hub.close()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            assert isinstance(result, (Closed, StopAsyncIteration))
        assert hub._parked == {}

    async def test_a_subscription_can_be_closed_alone(self, receive: Receive) -> None:
        hub = Broadcast[str](max_items=5)
        reader, other = hub.subscribe(), hub.subscribe()
        task = asyncio.create_task(receive(reader))
        await until_parked(hub)
        reader.close()
        reader.close()
        with pytest.raises((Closed, StopAsyncIteration)):
            await task
        assert hub._parked == {}
        hub.send("a")
        with pytest.raises(Closed, match="Subscription of Broadcast is closed"):
            reader.receive_nowait()
        assert drained(other) == [("a", 0)]


class TestMemory:
    def test_a_subscription_is_no_larger_than_120_bytes(self) -> None:
        reader = Broadcast[str](max_items=5).subscribe()
        assert sys.getsizeof(reader) <= 120
        assert not hasattr(reader, "__dict__")

    async def test_a_forgotten_reader_is_gone_at_once(self) -> None:
        hub = Broadcast[str](max_items=5)
        reader = hub.subscribe()
        with pytest.raises(TimeoutError):
            await reader.receive(timeout_seconds=0.001)
        hub.send("a")
        watch = weakref.ref(reader)
        gc.disable()
        try:
            del reader
            assert watch() is None
        finally:
            gc.enable()

    def test_an_evicted_item_dies_at_once_however_many_lag(self) -> None:
        class Item:
            pass

        hub = Broadcast[Item](max_items=1)
        readers = [hub.subscribe() for _ in range(10)]
        item = Item()
        watch = weakref.ref(item)
        hub.send(item)
        del item
        hub.send(Item())
        assert watch() is None
        assert readers[0].lag == 2

    def test_victims_die_without_the_lock(self) -> None:
        outcomes: list[int] = []

        class Dying:
            def __del__(self) -> None:
                worker = threading.Thread(target=lambda: outcomes.append(hub.next_seq))
                worker.start()
                worker.join(5)
                assert not worker.is_alive()

        hub: Broadcast[object] = Broadcast(max_items=1)
        hub.send(Dying())
        hub.send("next")
        assert outcomes == [2]


def send_its_number(hub: Broadcast[bytes]) -> None:
    hub.send(b"%d" % hub.next_seq)


Act = Callable[[Broadcast[Any], Subscription[Any]], object]

OPERATIONS: dict[str, Act] = {
    "send": lambda hub, _: hub.send(b"dd"),
    "skip": lambda hub, _: hub.skip(3),
    "close": lambda hub, _: hub.close(),
    "discard": lambda hub, _: hub.close(discard=True),
    "subscribe": lambda hub, _: hub.subscribe(replay=2),
    "receive_nowait": lambda _, reader: reader.receive_nowait(),
    "receive": lambda _, reader: run_once(reader.receive()),
    "receive_many": lambda _, reader: run_once(reader.receive_many()),
    "receive_some": lambda _, reader: run_once(reader.receive_many(max_items=2)),
    "statistics": lambda hub, reader: (hub.statistics(), reader.statistics()),
}
STRIKES: dict[str, Act] = {
    "send": lambda hub, _: send_its_number(hub),
    "skip": lambda hub, _: hub.skip(2),
    "receive": lambda _, reader: reader._receiver or reader.receive_nowait(),
    "close": lambda hub, _: hub.close(discard=True),
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


@pytest.mark.usefixtures("_in_every_build")
class TestInterruptions:
    @pytest.mark.parametrize("operation", OPERATIONS)
    @pytest.mark.parametrize("max_bytes", [None, 4])
    @pytest.mark.parametrize("strike_by", STRIKES)
    async def test_whatever_interrupts_a_call_may_use_the_broadcast_itself(
        self, operation: str, max_bytes: int | None, strike_by: str
    ) -> None:
        hub: Broadcast[bytes]
        reader: Subscription[bytes]
        received: list[bytes] = []

        def act(how: Act) -> None:
            with contextlib.suppress(Closed, WouldBlock, StopIteration):
                result = how(hub, reader)
                if isinstance(result, bytes):
                    received.append(result)
                if isinstance(result, Batch):
                    assert result.next_seq == result.first_seq + len(result.items)
                    for seq, item in enumerate(result.items, result.first_seq):
                        assert item in (b"%d" % seq, b"dd")
                    received.extend(result.items)

        def prepare() -> Callable[[], object]:
            nonlocal hub, reader
            received.clear()
            hub = Broadcast(max_items=3, max_bytes=max_bytes)
            reader = hub.subscribe()
            hub.send_many([b"0", b"1"])
            hub.skip(2)
            hub.send_many([b"4", b"5"])
            return lambda: act(OPERATIONS[operation])

        def strike() -> None:
            check_invariants(hub)
            for _ in range(4):
                act(STRIKES[strike_by])
            check_invariants(hub)

        for _ in interrupted_everywhere(prepare, strike, within="boundedcollections"):
            check_invariants(hub)
            figures = reader.statistics()
            assert figures.sent == figures.received + figures.missed + figures.buffered
            assert figures.sent == hub.next_seq
            assert figures.received == len(received) == len(set(received))

    @pytest.mark.parametrize("operation", OPERATIONS)
    async def test_an_exception_out_of_the_blue_leaves_the_books_right_and_the_lock_free(
        self, operation: str
    ) -> None:
        hub: Broadcast[bytes]
        reader: Subscription[bytes]

        def prepare() -> Callable[[], object]:
            nonlocal hub, reader
            hub = Broadcast(max_items=3, max_bytes=4)
            reader = hub.subscribe()
            hub.send_many([b"aa", b"b", b"c"])
            return lambda: OPERATIONS[operation](hub, reader)

        def strike() -> None:
            raise KeyboardInterrupt

        for _ in interrupted_everywhere(prepare, strike, within="boundedcollections"):
            assert not hub._lock._is_owned()  # type: ignore[attr-defined]
            check_invariants(hub)
            figures = reader.statistics()
            assert figures.sent == figures.received + figures.missed + figures.buffered
            if not hub.closed:
                hub.send(b"x")  # still in working order
                assert drained(hub.subscribe(replay=1)) == [(b"x", 0)]

    async def test_the_end_is_told_only_when_nothing_is_left(self, receive: Receive) -> None:
        hub: Broadcast[bytes]
        reader: Subscription[bytes]

        def prepare() -> Callable[[], object]:
            nonlocal hub, reader
            hub = Broadcast(max_items=3)
            reader = hub.subscribe()
            return run

        def run() -> None:
            try:
                receive(reader).send(None)
            except (Closed, StopAsyncIteration):
                assert reader.statistics().buffered == 0, "an item is left"
            except StopIteration:
                pass

        def strike() -> None:
            hub.send(b"last")
            hub.close()

        for _ in interrupted_everywhere(prepare, strike, within="boundedcollections"):
            assert hub.statistics().sent == 1


class TestFigures:
    def test_what_was_sent_is_in_the_ring_or_evicted(self) -> None:
        hub = Broadcast[bytes](max_items=4, max_bytes=8, name="room", first_seq=10)
        hub.send_many([b"a", b"bb", b"ccc", b"dddd", b"e"])
        hub.skip(5)
        assert dataclasses.asdict(hub.statistics()) == {
            "sent": 5,
            "evicted": 2,
            "items": 3,
            "current_bytes": 8,
            "evicted_bytes": 3,
            "peak_items": 3,
            "peak_bytes": 8,
            "max_items": 4,
            "max_bytes": 8,
            "first_seq": 12,
            "next_seq": 20,
            "rejected": 0,
            "waiting": 0,
            "closed": False,
        }

    def test_what_was_sent_to_a_reader_is_received_missed_or_buffered(self) -> None:
        hub = Broadcast[str](max_items=3, first_seq=10)
        reader = hub.subscribe()
        hub.send_many("abcdef")
        reader.receive_nowait()
        assert dataclasses.asdict(reader.statistics()) == {
            "sent": 6,
            "received": 1,
            "missed": 3,
            "buffered": 2,
            "position": 13,
            "waiting": False,
            "closed": False,
        }

    def test_the_repr_shows_used_and_limit(self) -> None:
        hub = Broadcast[bytes](max_items=4, max_bytes=10, name="room")
        reader = hub.subscribe()
        hub.send(b"abc")
        assert repr(hub) == "<Broadcast 'room' items=1/4 bytes=3/10>"
        assert repr(reader) == "<Subscription of Broadcast 'room' position=-1 lag=1>"
        reader.close()
        assert repr(reader) == "<Subscription of Broadcast 'room' position=-1 lag=1 closed>"
