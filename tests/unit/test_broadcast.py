"""What a broadcast keeps, and where its readers are in it."""

import asyncio
import dataclasses
import gc
import sys
import threading
import weakref
from typing import Any

import pytest
from streams import Receive, drained, until_parked

from boundedcollections import Batch, Closed, TooLarge
from boundedcollections._core.tables import allocated
from boundedcollections.broadcast import Broadcast

pytestmark = pytest.mark.usefixtures("weightless_streams")


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

    @pytest.mark.usefixtures("every_build")
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

    @pytest.mark.parametrize("limit", [None, 1, 2])
    async def test_latest_takes_the_newest_whatever_lies_before_it(self, limit: int | None) -> None:
        hub = Broadcast[bytes](max_items=4, max_bytes=1_000)
        readers = [hub.subscribe(on_lag="latest") for _ in range(3)]
        hub.send_many([b"a", b"b", b"c"])
        hub.skip(5)
        hub.send_many([b"i", b"j"])
        assert await readers[0].receive_many(max_items=limit) == Batch((b"j",), 9, 9, 10)
        assert await readers[1].receive_many(max_bytes=limit) == Batch((b"j",), 9, 9, 10)
        assert (await readers[2].receive(), readers[2].missed) == (b"j", 9)

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

    def test_gaps_of_one_size_in_a_row_all_count(self) -> None:
        hub = Broadcast[int](max_items=1)
        reader = hub.subscribe()
        for number in (2, 5, 8):
            hub.send_many(range(number - 2, number + 1))
            assert reader.receive_nowait() == number
            assert reader.missed == 2
        assert reader.statistics().missed == 6
        hub.send(9)
        assert reader.receive_nowait() == 9
        assert (reader.missed, reader.statistics().missed) == (0, 6)


class TestMemory:
    def test_a_subscription_is_no_larger_than_120_bytes_with_its_number(self) -> None:
        reader = Broadcast[str](max_items=5, first_seq=1_000_000).subscribe()
        numbers = {id(number): number for number in (reader._start, reader._cursor)}
        size = sum(allocated(sys.getsizeof(number)) for number in numbers.values())
        weak_reference_beside = 8 if sys.version_info >= (3, 12) else 0
        assert sys.getsizeof(reader) + size <= 120 + weak_reference_beside
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
