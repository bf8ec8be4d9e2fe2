"""
What an agent says, one line of JSON at a time, as events. Pure: a line in, events out.

The form is that of ``--output-format stream-json``: `system`, `assistant` with text and tool_use
blocks, `user` with tool_result blocks, `result`. What is unknown passes without an error, so that
an agent that learns something new is not a broken one.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from chat.protocol import MAX_TOOL_USE_BYTES, cut

MAX_NAME_BYTES = 64


@dataclass(frozen=True, slots=True)
class Text:
    """The agent says something."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolUse:
    """The agent calls a tool; `input` is any JSON value."""

    id: str
    name: str
    input: Any


@dataclass(frozen=True, slots=True)
class ToolResult:
    """A tool has answered the call with the same id."""

    id: str
    output: str
    is_error: bool


@dataclass(frozen=True, slots=True)
class Result:
    """The agent is done; `error` says why it did not succeed."""

    error: str | None


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A line that is no event at all."""

    line: str


Event = Text | ToolUse | ToolResult | Result | Unreadable


def parse(line: str) -> list[Event]:
    """
    Return the events of one line, in order.

    >>> parse('{"type":"assistant","message":{"content":[{"type":"text","text":"Hello."}]}}')
    [Text(text='Hello.')]
    >>> parse('{"type":"something new"}')
    []
    >>> parse("Segmentation fault")
    [Unreadable(line='Segmentation fault')]
    """
    if not line or line.isspace():
        return []
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return [Unreadable(line)]
    if not isinstance(message, dict):
        return [Unreadable(line)]
    kind = message.get("type")
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    return [] if reader is None else list(reader(message))


def pretty(value: object, max_bytes: int) -> str:
    """
    Return `value` as JSON for people, cut at `max_bytes`.

    Indentation multiplies hostile nesting, so no more is built than is kept.

    >>> print(pretty({"path": "src"}, 100))
    {
      "path": "src"
    }
    """
    parts: list[str] = []
    size = 0
    try:
        for part in json.JSONEncoder(indent=2, ensure_ascii=False).iterencode(value):
            parts.append(part)
            size += len(part)
            if size > max_bytes:
                break
    except RecursionError:
        parts = ["(nested too deeply to be shown)"]
    return cut("".join(parts), max_bytes)[0]


def compact(value: object) -> str:
    """
    Return `value` as JSON in one line.

    >>> compact({"path": "src"})
    '{"path":"src"}'
    """
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    except RecursionError:
        return "(nested too deeply to be shown)"


def _assistant(message: dict[str, Any]) -> Iterator[Event]:
    for block in _blocks(message):
        match block.get("type"):
            case "text" if text := _string(block.get("text")):
                yield Text(text)
            case "tool_use":
                name = cut(_string(block.get("name")) or "tool", MAX_NAME_BYTES)[0]
                yield ToolUse(_identifier(block.get("id")), name, block.get("input"))


def _user(message: dict[str, Any]) -> Iterator[Event]:
    for block in _blocks(message):
        if block.get("type") == "tool_result":
            yield ToolResult(
                _identifier(block.get("tool_use_id")),
                _output(block.get("content")),
                is_error=block.get("is_error") is True,
            )


def _result(message: dict[str, Any]) -> Iterator[Event]:
    error = None
    if message.get("is_error") is True:
        error = _string(message.get("result")) or _string(message.get("subtype")) or "unknown error"
    yield Result(error)


_READERS: Mapping[str, Callable[[dict[str, Any]], Iterator[Event]]] = {
    "assistant": _assistant,
    "user": _user,
    "result": _result,
}


def _blocks(message: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the content blocks of a message; a content that is a string is one text block."""
    inner = message.get("message")
    content = inner.get("content") if isinstance(inner, dict) else None
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if not isinstance(content, list):
        return []
    return [block for block in content if isinstance(block, dict)]


def _output(content: object) -> str:
    """Return a tool's output, which is a string or a list of blocks, as text."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    return "\n".join(
        _string(block.get("text")) or f"[{_string(block.get('type')) or 'block'}]"
        for block in content
        if isinstance(block, dict)
    )


def _identifier(value: object) -> str:
    return cut(_string(value), MAX_TOOL_USE_BYTES)[0]


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""
