import json
from typing import Any

import pytest

from chat.stream_json import (
    Event,
    Result,
    Text,
    ToolResult,
    ToolUse,
    Unreadable,
    compact,
    parse,
    pretty,
)


def assistant(*blocks: object) -> str:
    return json.dumps({"type": "assistant", "message": {"content": list(blocks)}})


def tool_result(**block: Any) -> str:
    content = [{"type": "tool_result", "tool_use_id": "t", **block}]
    return json.dumps({"type": "user", "message": {"content": content}})


UNKNOWN = [
    "",
    "   \t",
    '{"type": "system", "subtype": "init"}',
    '{"type": "news"}',
    '{"type": 7}',
    "{}",
    '{"type": "assistant"}',
    '{"type": "assistant", "message": 5}',
    '{"type": "assistant", "message": {"content": 5}}',
    assistant(5, None, {"type": "text"}, {"type": "text", "text": 5}, {"type": ["x"]}),
    '{"type": "user", "message": {"content": [{"type": "text", "text": "echo"}]}}',
]


NO_EVENTS = ["plain words", "[1]", "null", "17", "[" * 50_000, '{"a":']


CONTENTS: list[tuple[object, str]] = [
    ("plain", "plain"),
    ([{"type": "text", "text": "one"}, {"type": "text", "text": "two"}], "one\ntwo"),
    ([{"type": "image", "source": {}}, {"type": "text", "text": "x"}], "[image]\nx"),
    ([5, {"no": "type"}], "[block]"),
    (None, ""),
    (5, ""),
]


ENDS: list[tuple[dict[str, object], str | None]] = [
    ({"is_error": False, "result": "done"}, None),
    ({}, None),
    ({"is_error": True, "result": "limit reached"}, "limit reached"),
    ({"is_error": True, "subtype": "error_max_turns"}, "error_max_turns"),
    ({"is_error": True}, "unknown error"),
]


class TestEvents:
    def test_text_and_tool_uses_come_in_their_order(self) -> None:
        line = assistant(
            {"type": "text", "text": "first"},
            {"type": "thinking", "thinking": "hm"},
            {"type": "tool_use", "id": "t1", "name": "read", "input": {"path": "a"}},
            {"type": "text", "text": "last"},
        )
        assert parse(line) == [Text("first"), ToolUse("t1", "read", {"path": "a"}), Text("last")]

    def test_a_tool_result_is_a_string_or_a_list_of_blocks(self) -> None:
        for content, output in CONTENTS:
            assert parse(tool_result(content=content)) == [ToolResult("t", output, is_error=False)]

    def test_an_error_of_a_tool_is_told(self) -> None:
        assert parse(tool_result(content="no", is_error=True)) == [
            ToolResult("t", "no", is_error=True)
        ]

    def test_the_end_says_whether_it_is_a_good_one(self) -> None:
        for fields, error in ENDS:
            assert parse(json.dumps({"type": "result", **fields})) == [Result(error)]

    def test_what_is_unknown_passes_in_silence(self) -> None:
        for line in UNKNOWN:
            assert parse(line) == []

    def test_what_is_no_event_is_said_to_be_unreadable(self) -> None:
        for line in NO_EVENTS:
            assert parse(line) == [Unreadable(line)]

    def test_content_may_be_a_plain_string(self) -> None:
        line = '{"type": "assistant", "message": {"content": "hello"}}'
        assert parse(line) == [Text("hello")]

    def test_ids_and_names_of_any_length_become_short_and_stay_a_pair(self) -> None:
        use = parse(assistant({"type": "tool_use", "id": "i" * 500, "name": "n" * 500}))[0]
        result = parse(tool_result(content="", tool_use_id="i" * 500))[0]
        assert isinstance(use, ToolUse)
        assert isinstance(result, ToolResult)
        assert use.id == result.id == "i" * 128
        assert use.name == "n" * 64

    @pytest.mark.parametrize("block", [{}, {"id": 5, "name": None}])
    def test_a_tool_use_without_an_id_or_a_name_is_still_one(self, block: dict[str, Any]) -> None:
        events: list[Event] = parse(assistant({"type": "tool_use", **block}))
        assert events == [ToolUse("", "tool", None)]


class TestShowing:
    def test_pretty_is_for_people_and_compact_for_one_line(self) -> None:
        assert pretty({"a": [1, "ü"]}, 1_000) == '{\n  "a": [\n    1,\n    "ü"\n  ]\n}'
        assert compact({"a": [1, "ü"]}) == '{"a":[1,"ü"]}'

    def test_pretty_is_cut_while_it_is_built(self) -> None:
        """Fully indented, this would be some 30 megabytes."""
        hostile: Any = [0] * 20_000
        for _ in range(200):
            hostile = [hostile]
        assert len(pretty(hostile, 10_000).encode()) == 10_000

    def test_nesting_that_python_cannot_write_is_said_to_be_too_deep(self) -> None:
        deep: Any = 0
        for _ in range(100_000):
            deep = [deep]
        assert pretty(deep, 10**9) == compact(deep) == "(nested too deeply to be shown)"
