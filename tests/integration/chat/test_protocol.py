import json
from typing import Any

import pytest

from chat.config import Limits
from chat.protocol import (
    Complete,
    Hello,
    Message,
    Refused,
    Since,
    Stop,
    Tool,
    ToolCall,
    completions_frame,
    cut,
    error_frame,
    history_frame,
    item_frame,
    parse,
    request_id,
    tool_frame,
)

LIMITS = Limits()
HELLO = {"type": "hello", "room": "lobby", "sender": "Ann", "epoch": None, "next_seq": None}
MESSAGE = {"type": "message", "text": "hi", "agent": False, "id": "m1"}
COMPLETE = {"type": "complete", "id": 1, "query": "read", "limit": 10}


BAD_FIELDS: list[tuple[dict[str, Any], str]] = [
    ({**HELLO, "room": ""}, "room must be 1 to 64 characters, got 0 characters"),
    ({**HELLO, "room": "x" * 65}, "room must be 1 to 64 characters, got 65 characters"),
    ({**HELLO, "room": "a b"}, "room must be letters, digits and - _ ., got 'a b'"),
    ({**HELLO, "room": "a/b"}, "room must be letters, digits and - _ ., got 'a/b'"),
    ({**HELLO, "room": 3}, "room must be a string, got a whole number"),
    ({**HELLO, "sender": "  "}, "sender must be 1 to 40 characters, got 0 characters"),
    ({**HELLO, "sender": "x" * 41}, "sender must be 1 to 40 characters, got 41 characters"),
    ({**HELLO, "sender": "x" * 999}, "sender must be 0 to 320 bytes, got 999 bytes"),
    ({**HELLO, "sender": "a\nb"}, r"sender must be without control characters, got 'a\nb'"),
    (
        {**HELLO, "sender": "a\u202eb"},
        r"sender must be without control characters, got 'a\u202eb'",
    ),
    ({**HELLO, "epoch": "x" * 65}, "epoch must be 0 to 64 bytes, got 65 bytes"),
    ({**HELLO, "next_seq": -1}, "next_seq must be 0 to 9007199254740991, got -1"),
    ({**HELLO, "next_seq": 1.0}, "next_seq must be a whole number, got a number"),
    ({**HELLO, "next_seq": True}, "next_seq must be a whole number, got a boolean"),
    ({**MESSAGE, "text": ""}, "text must be 1 to 16384 bytes, got 0 bytes"),
    ({**MESSAGE, "text": None}, "text must be a string, got nothing"),
    ({**MESSAGE, "agent": "yes"}, "agent must be true or false, got a string"),
    ({**MESSAGE, "agent": 1}, "agent must be true or false, got a whole number"),
    ({**MESSAGE, "id": "x" * 65}, "id must be 0 to 64 bytes, got 65 bytes"),
    ({"type": "message"}, "text must be a string, got nothing"),
    ({"type": "stop", "run": "x" * 65}, "run must be 0 to 64 bytes, got 65 bytes"),
    ({**COMPLETE, "limit": 0}, "limit must be 1 to 50, got 0"),
    ({**COMPLETE, "limit": 51}, "limit must be 1 to 50, got 51"),
    ({**COMPLETE, "query": "x" * 257}, "query must be 0 to 256 bytes, got 257 bytes"),
    ({**COMPLETE, "id": "1"}, "id must be a whole number, got a string"),
    ({**COMPLETE, "id": 10**400}, "id must be 0 to 9007199254740991, got 1" + "0" * 23),
    (
        {"type": "tool", "id": 1, "tool_use": "x" * 129},
        "tool_use must be 0 to 128 bytes, got 129 bytes",
    ),
    ({"type": "since", "next_seq": []}, "next_seq must be a whole number, got a list"),
]


def refusal(frame: object) -> Refused:
    text = frame if isinstance(frame, str) else json.dumps(frame)
    with pytest.raises(Refused) as caught:
        parse(text, LIMITS)
    return caught.value


NO_OBJECTS = [
    "",
    "{",
    "nonsense",
    "[1]",
    "3",
    "null",
    '"x"',
    "[" * 50_000,
    "1" * 5_000,
    "true",
    "NaN",
]


NO_TYPES: list[object] = ["news", "", None, 3, ["hello"], {}]


IDS: list[tuple[str, object]] = [
    ('{"id": 7}', 7),
    ('{"id": "m"}', "m"),
    ('{"id": true}', None),
    ('{"id": 1e400}', None),
    ('{"id": "' + "x" * 65 + '"}', None),
    ('{"id": [1]}', None),
    ("[1]", None),
    ("nonsense", None),
    ("[" * 50_000, None),
]


FRAMES: list[tuple[object, object]] = [
    (HELLO, Hello("lobby", "Ann", None, None)),
    ({"type": "hello", "room": "a", "sender": "b"}, Hello("a", "b", None, None)),
    ({**HELLO, "epoch": "ab12", "next_seq": 7}, Hello("lobby", "Ann", "ab12", 7)),
    ({**HELLO, "sender": "  Zoë  "}, Hello("lobby", "Zoë", None, None)),
    ({**HELLO, "room": "Küche_1.b-"}, Hello("Küche_1.b-", "Ann", None, None)),
    (MESSAGE, Message("hi", agent=False, id="m1")),
    ({**MESSAGE, "more": [1]}, Message("hi", agent=False, id="m1")),
    ({"type": "stop", "run": "r"}, Stop("r")),
    (COMPLETE, Complete(1, "read", 10)),
    ({"type": "tool", "id": 2, "tool_use": "t"}, Tool(2, "t")),
    ({"type": "since", "next_seq": 0}, Since(0)),
]


class TestWhatAClientMaySay:
    def test_a_frame_becomes_what_it_means(self) -> None:
        for frame, parsed in FRAMES:
            assert parse(json.dumps(frame), LIMITS) == parsed

    @pytest.mark.parametrize("length", [LIMITS.max_message_bytes - 1, LIMITS.max_message_bytes])
    def test_a_message_up_to_the_limit_is_taken(self, length: int) -> None:
        frame = parse(json.dumps({**MESSAGE, "text": "x" * length}), LIMITS)
        assert isinstance(frame, Message)
        assert len(frame.text) == length

    def test_a_limit_counts_bytes_not_characters(self) -> None:
        text = "ü" * (LIMITS.max_message_bytes // 2 + 1)
        refused = refusal({**MESSAGE, "text": text})
        assert refused.message == "text must be 1 to 16384 bytes, got 16386 bytes"

    def test_the_largest_message_fits_into_the_largest_frame_however_it_is_written(self) -> None:
        text = "\x01" * LIMITS.max_message_bytes
        frame = json.dumps({**MESSAGE, "text": text, "id": "\x01" * 64})
        assert len(frame) <= LIMITS.max_frame_bytes
        assert parse(frame, LIMITS) == Message(text, agent=False, id="\x01" * 64)


class TestWhatAClientMayNotSay:
    def test_what_is_no_object_is_bad_json(self) -> None:
        for text in NO_OBJECTS:
            assert refusal(text).code == "bad_json"

    def test_an_unknown_type_is_bad_type(self) -> None:
        for kind in NO_TYPES:
            refused = refusal({"type": kind})
            assert refused.code == "bad_type"
            assert "hello, message, stop" in refused.message

    def test_a_bad_field_is_named_with_its_limit_and_what_came(self) -> None:
        for frame, message in BAD_FIELDS:
            refused = refusal(frame)
            assert (refused.code, refused.message) == ("bad_field", message)

    @pytest.mark.parametrize("field", ["text", "id"])
    def test_half_a_character_is_refused(self, field: str) -> None:
        assert "surrogate" in refusal({**MESSAGE, field: "a\ud800b"}).message

    def test_the_id_of_a_refused_frame_is_echoed_if_it_is_one(self) -> None:
        for text, expected in IDS:
            assert request_id(text) == expected


class TestWhatTheServerSays:
    def test_history_joins_items_without_building_them_again(self) -> None:
        items = [
            item_frame(4, 1.5, "text", {"run": "r", "text": "ü\n"}),
            item_frame(5, 2.0, "text", {"run": "r", "text": "}"}),
        ]
        history = json.loads(history_frame(items, missed=4, next_seq=6))
        assert history == {
            "type": "history",
            "missed": 4,
            "next_seq": 6,
            "items": [json.loads(item)["item"] for item in items],
        }
        assert json.loads(history_frame([], missed=0, next_seq=0))["items"] == []

    def test_an_item_carries_its_number_its_time_and_its_kind(self) -> None:
        assert json.loads(item_frame(4, 1.23456, "notice", {"text": "x", "level": "info"})) == {
            "type": "item",
            "item": {"seq": 4, "time": 1.235, "kind": "notice", "text": "x", "level": "info"},
        }

    def test_text_is_not_escaped_more_than_it_must_be(self) -> None:
        assert "zoë 👩".encode() in item_frame(0, 0, "text", {"text": "zoë 👩"})

    def test_half_a_character_of_an_agent_is_replaced(self) -> None:
        assert json.loads(item_frame(0, 0, "text", {"text": "a\ud800"}))["item"]["text"] == "a?"

    def test_a_tool_call_that_is_gone_has_no_content(self) -> None:
        gone = json.loads(tool_frame(Tool(3, "t"), None))
        assert gone == {
            "type": "tool",
            "id": 3,
            "tool_use": "t",
            "found": False,
            "is_error": False,
            "name": None,
            "input": None,
            "output": None,
        }
        kept = json.loads(tool_frame(Tool(3, "t"), ToolCall("read", "{}", "", is_error=True)))
        assert (kept["found"], kept["name"], kept["output"]) == (True, "read", "")
        assert kept["is_error"] is True

    def test_completions_say_what_was_asked_and_how_much_was_looked_through(self) -> None:
        frame: dict[str, Any] = json.loads(
            completions_frame(Complete(1, "a", 5), [("src/a", (4,))], files=9, truncated=True)
        )
        assert frame["results"] == [{"path": "src/a", "positions": [4]}]
        assert (frame["id"], frame["query"]) == (1, "a")
        assert (frame["files"], frame["truncated"]) == (9, True)

    def test_an_error_says_which_frame_it_answers(self) -> None:
        frame = json.loads(error_frame(Refused("bad_type", "no"), "m1"))
        assert frame == {"type": "error", "code": "bad_type", "message": "no", "id": "m1"}

    @pytest.mark.parametrize(
        ("text", "most", "expected"),
        [
            ("abc", 3, ("abc", False)),
            ("abcd", 3, ("abc", True)),
            ("日本", 5, ("日", True)),
            ("日本", 2, ("", True)),
            ("\ud800x", 2, ("\ud800x", False)),
        ],
    )
    def test_a_cut_never_goes_through_a_character(
        self, text: str, most: int, expected: tuple[str, bool]
    ) -> None:
        assert cut(text, most) == expected


class TestLimits:
    def test_the_worst_case_is_the_sum_of_what_is_documented(self) -> None:
        small = Limits(max_connections=1, max_sockets=1)
        per_connection = (LIMITS.worst_case_bytes() - small.worst_case_bytes()) / 99
        assert 2 << 20 < per_connection < 5 << 20
        assert LIMITS.worst_case_bytes() < 600 << 20

    @pytest.mark.parametrize("value", [0, -1, float("inf"), float("nan"), True])
    def test_a_limit_that_limits_nothing_is_refused(self, value: float) -> None:
        with pytest.raises(ValueError, match="stall_seconds must be finite and above 0"):
            Limits(stall_seconds=value)

    @pytest.mark.parametrize(
        "limits",
        [
            {"max_frame_bytes": 50_000},
            {"max_ring_bytes": 50_000},
            {"max_history_bytes": 50_000},
            {"max_text_bytes": 3},
        ],
    )
    def test_limits_that_contradict_each_other_are_refused(self, limits: dict[str, int]) -> None:
        with pytest.raises(ValueError, match=r"must be at least \d+ with these limits"):
            Limits(**limits)
