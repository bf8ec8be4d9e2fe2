"""Numbers, and where in the stream a reader begins."""

from typing import Any

import pytest
from streams import drained

from boundedcollections import BoundedHistory, WouldBlock
from boundedcollections.broadcast import Broadcast


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
