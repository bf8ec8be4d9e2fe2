"""What a channel keeps, drops and gives to its receiver."""

import asyncio
import dataclasses
import gc
import weakref
from typing import Any

import pytest
from streams import Receive, drained, until_parked

from boundedcollections import Batch, Closed, Lagged, RemovalCause, TooLarge, WouldBlock
from boundedcollections.channel import DropOldestChannel

pytestmark = pytest.mark.usefixtures("weightless_streams")


Left = list[tuple[int, object, RemovalCause]]


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

    async def test_a_batch_of_one_has_been_held_as_far_as_peaks_go(self) -> None:
        channel = DropOldestChannel[str](max_bytes=100, sizeof=len)
        channel.send("abc")
        assert await channel.receive_many() == Batch(("abc",), 0, 0, 1)
        statistics = channel.statistics()
        assert (statistics.peak_items, statistics.peak_bytes) == (1, 3)
        assert channel.current_bytes == 0

    def test_a_strict_channel_without_an_item_has_nothing_to_tell(self) -> None:
        channel = DropOldestChannel[str](max_items=2, strict=True)
        with pytest.raises(WouldBlock):
            channel.receive_nowait()

    async def test_the_gap_is_told_before_a_batch_of_one_and_only_once(self) -> None:
        channel = DropOldestChannel[str](max_items=1)
        channel.send_many("abc")
        assert await channel.receive_many() == Batch(("c",), 2, 2, 3)
        assert channel.missed == 2
        channel.send("d")
        assert await channel.receive_many() == Batch(("d",), 0, 3, 4)
        assert channel.missed == 0

    async def test_the_gap_is_told_just_before_the_item_that_follows_it(self) -> None:
        channel = DropOldestChannel[int](max_items=2)
        channel.send_many(range(3))
        assert (await channel.receive(), channel.missed) == (1, 1)
        channel.send_many(range(3, 6))
        assert (await channel.receive(), channel.missed) == (4, 2)
        assert (await channel.receive(), channel.missed) == (5, 0)


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


class TestClosing:
    def test_what_is_discarded_is_told_with_the_cause_cleared(self) -> None:
        left: Left = []
        channel = DropOldestChannel[str](max_items=2, on_drop=lambda *drop: left.append(drop))
        channel.send_many("abc")
        channel.close()
        channel.close(discard=True)
        assert left == [
            (0, "a", RemovalCause.COUNT),
            (1, "b", RemovalCause.CLEARED),
            (2, "c", RemovalCause.CLEARED),
        ]
        assert channel.current_bytes == 0


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
