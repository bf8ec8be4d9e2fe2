"""Rooms, tool calls and rates, without a socket."""

import asyncio
import json
from typing import Any

import pytest

from boundedcollections import Line, MemoryBudget, Subscription
from boundedcollections.testing import FakeClock
from chat.config import Limits
from chat.protocol import Refused
from chat.rate import TokenBucket
from chat.room import CurrentRun, Room
from chat.rooms import Rooms
from chat.runs import Narrator, pieces
from chat.stream_json import ToolResult, ToolUse
from chat.tools import ToolCalls

LIMITS = Limits(max_rooms=3, max_history_items=5, max_ring_items=5)
BUDGET = MemoryBudget(max_bytes=LIMITS.max_process_bytes)


def items(frames: tuple[bytes, ...]) -> list[dict[str, Any]]:
    return [json.loads(frame)["item"] for frame in frames]


def kept(room: Room) -> list[dict[str, Any]]:
    return items(room.listen(0)[0].items)


async def received(subscription: Subscription[bytes]) -> list[dict[str, Any]]:
    return items((await subscription.receive_many()).items)


class TestRoom:
    def test_items_are_numbered_and_kept(self) -> None:
        room = Room("lobby", LIMITS, BUDGET, clock=FakeClock(now=12.5))
        assert [room.add("notice", text=text, level="info") for text in "ab"] == [0, 1]
        assert kept(room) == [
            {"seq": 0, "time": 12.5, "kind": "notice", "text": "a", "level": "info"},
            {"seq": 1, "time": 12.5, "kind": "notice", "text": "b", "level": "info"},
        ]

    def test_what_is_gone_is_counted(self) -> None:
        room = Room("lobby", LIMITS, BUDGET)
        for number in range(8):
            room.add("notice", text=str(number))
        past, _ = room.listen(1)
        assert (past.missed, past.next_seq) == (2, 8)
        assert [item["seq"] for item in items(past.items)] == [3, 4, 5, 6, 7]

    async def test_the_past_and_the_present_meet_exactly(self) -> None:
        room = Room("lobby", LIMITS, BUDGET)
        room.add("notice", text="before")
        past, present = room.listen(0)
        room.add("notice", text="after")
        assert [item["text"] for item in items(past.items)] == ["before"]
        assert [item["text"] for item in await received(present)] == ["after"]

    async def test_whoever_is_here_gets_the_very_bytes_that_are_kept(self) -> None:
        room = Room("lobby", LIMITS, BUDGET)
        _, present = room.listen(0)
        room.add("notice", text="once")
        (live,) = (await present.receive_many()).items
        (old,) = room.listen(0)[0].items
        assert live is old

    async def test_who_is_slow_learns_how_much_it_missed(self) -> None:
        room = Room("lobby", LIMITS, BUDGET)
        _, present = room.listen(0)
        for number in range(9):
            room.add("notice", text=str(number))
        batch = await present.receive_many()
        assert (batch.missed, batch.first_seq) == (4, 4)

    def test_a_number_of_the_future_is_refused(self) -> None:
        with pytest.raises(ValueError, match="at most next_seq"):
            Room("lobby", LIMITS, BUDGET).listen(1)

    async def test_who_is_slow_gets_the_newest_count_of_members_only(self) -> None:
        room = Room("lobby", LIMITS, BUDGET)
        counts = room.listen_for_members()
        for _ in range(3):
            room.join()
        room.leave()
        (frame,) = (await counts.receive_many()).items
        assert json.loads(frame) == {"type": "members", "members": 2}

    def test_a_room_keeps_its_bounds_in_bytes(self) -> None:
        limits = Limits(max_history_items=10_000, max_ring_items=10_000)
        room = Room("lobby", limits, BUDGET)
        for _ in range(300):
            room.add("message", text="\x01" * limits.max_message_bytes)
        assert room._history.current_bytes <= limits.max_history_bytes
        assert room._live.current_bytes <= limits.max_ring_bytes
        assert 5 <= len(room._history) < 10


class TestRooms:
    def test_a_room_is_opened_once(self) -> None:
        rooms = Rooms(LIMITS, BUDGET)
        assert rooms.enter("a") is rooms.enter("a")
        assert rooms.enter("a").members == 3
        assert len(rooms) == 1

    def test_the_room_that_has_been_empty_longest_makes_place(self) -> None:
        rooms = Rooms(LIMITS, BUDGET)
        a, b, c = (rooms.enter(name) for name in "abc")
        for room in (b, a, c):
            rooms.leave(room)
        rooms.enter("d")
        assert len(rooms) == 3
        assert rooms.enter("a") is a
        assert rooms.enter("b") is not b  # it was the first to be empty; and now c made place
        with pytest.raises(Refused, match="all 3 rooms are in use"):
            rooms.enter("c")

    def test_a_room_with_somebody_or_something_in_it_stays(self) -> None:
        rooms = Rooms(LIMITS, BUDGET)
        a, b, c = (rooms.enter(name) for name in "abc")
        rooms.leave(a)
        a.run = CurrentRun("r", stop=lambda: None)
        with pytest.raises(Refused) as caught:
            rooms.enter("d")
        assert caught.value.code == "too_many_rooms"
        assert [room.members for room in (a, b, c)] == [0, 1, 1]
        a.run = None
        assert rooms.enter("d").members == 1

    def test_a_room_that_comes_again_has_another_epoch(self) -> None:
        rooms = Rooms(Limits(max_rooms=1), BUDGET)
        first = rooms.enter("a")
        rooms.leave(first)
        rooms.leave(rooms.enter("b"))
        assert rooms.enter("a").epoch != first.epoch


class TestToolCalls:
    def test_input_and_output_are_kept_whole_under_the_id(self) -> None:
        tools = ToolCalls(LIMITS, BUDGET)
        tools.begin("room", ToolUse("t", "read", {"path": "a"}))
        call = tools.get("room", "t")
        assert call is not None
        assert (call.name, call.input, call.output) == ("read", '{\n  "path": "a"\n}', "")
        tools.finish("room", ToolResult("t", "x" * 10_000, is_error=True))
        call = tools.get("room", "t")
        assert call is not None
        assert (call.name, call.output, call.is_error) == ("read", "x" * 10_000, True)

    def test_one_room_does_not_see_the_calls_of_another(self) -> None:
        tools = ToolCalls(LIMITS, BUDGET)
        tools.begin("room", ToolUse("t", "read", {}))
        assert tools.get("other", "t") is None

    def test_the_bound_is_in_bytes_and_the_oldest_leave(self) -> None:
        limits = Limits(max_tools_bytes=1_000_000)
        tools = ToolCalls(limits, BUDGET)
        for number in range(100):
            tools.begin("room", ToolUse(f"t{number}", "read", "i" * 30_000))
            tools.finish("room", ToolResult(f"t{number}", "o" * 30_000, is_error=False))
            assert tools.current_bytes <= limits.max_tools_bytes
        assert tools.get("room", "t0") is None
        assert tools.get("room", "t99") is not None

    def test_a_giant_is_cut_says_so_and_displaces_nothing(self) -> None:
        tools = ToolCalls(LIMITS, BUDGET)
        tools.begin("room", ToolUse("small", "read", {}))
        tools.begin("room", ToolUse("giant", "read", "😀" * 1_000_000))
        tools.finish("room", ToolResult("giant", "😀" * 1_000_000, is_error=False))
        call = tools.get("room", "giant")
        assert call is not None
        assert len(call.input.encode()) <= LIMITS.max_tool_bytes
        assert call.output.endswith("… cut here: 4000000 bytes in all")
        assert len(call.output.encode()) < LIMITS.max_tool_bytes + 100
        assert tools.get("room", "small") is not None

    def test_an_output_whose_input_has_left_is_still_kept(self) -> None:
        tools = ToolCalls(LIMITS, BUDGET)
        tools.finish("room", ToolResult("t", "late", is_error=False))
        call = tools.get("room", "t")
        assert call is not None
        assert (call.input, call.output) == ("(no longer kept)", "late")


class TestNarrator:
    def narrate(self, *lines: Line) -> list[dict[str, Any]]:
        room = Room("lobby", Limits(max_text_bytes=8), BUDGET)
        narrator = Narrator(
            room, "r", limits=Limits(max_text_bytes=8), tools=ToolCalls(LIMITS, BUDGET)
        )
        for line in lines:
            narrator.tell(line)
        return kept(room)

    def test_a_line_that_was_cut_is_told_with_its_true_length(self) -> None:
        (item,) = self.narrate(Line('{"type":"assist', 9_000_000, truncated=True))
        assert (item["kind"], item["level"]) == ("notice", "warning")
        assert "9000000 bytes" in item["text"]

    def test_a_long_text_is_several_items_and_nothing_is_lost(self) -> None:
        text = "one\ntwo\nthree four five\n"
        line = json.dumps({"type": "assistant", "message": {"content": text}})
        told = self.narrate(Line(line, len(line), truncated=False))
        assert {item["kind"] for item in told} == {"text"}
        assert "".join(item["text"] for item in told) == text

    @pytest.mark.parametrize("text", ["", "a", "a" * 100, "\n" * 20, "日本語" * 9, "a\nb" * 20])
    def test_pieces_are_within_the_limit_and_make_up_the_whole(self, text: str) -> None:
        parts = list(pieces(text, 7))
        assert "".join(parts) == text
        assert all(0 < len(part.encode()) <= 7 for part in parts)


class TestTokenBucket:
    def test_a_burst_and_then_the_rate(self) -> None:
        clock = FakeClock()
        bucket = TokenBucket(per_second=2, burst=3, clock=clock)
        assert [bucket.take() for _ in range(5)] == [True, True, True, False, False]
        clock.advance(1)
        assert [bucket.take() for _ in range(3)] == [True, True, False]

    def test_no_more_than_a_burst_is_saved(self) -> None:
        clock = FakeClock()
        bucket = TokenBucket(per_second=2, burst=3, clock=clock)
        clock.advance(1_000)
        assert [bucket.take() for _ in range(4)] == [True, True, True, False]


def test_no_step_of_a_message_waits() -> None:
    """A room can be used where there is no event loop at all."""
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()
    room = Room("lobby", LIMITS, BUDGET)
    room.join()
    assert room.add("message", text="hi") == 0
