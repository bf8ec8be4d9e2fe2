"""Gaps that are known from elsewhere."""

from typing import Any

import pytest
from streams import Bell, drained

from boundedcollections import Batch, Closed, WouldBlock
from boundedcollections.broadcast import Broadcast

pytestmark = pytest.mark.usefixtures("weightless_streams")


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
            assert not reader._settle(reader._take_one, Bell())
            reader._receiver = None
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
