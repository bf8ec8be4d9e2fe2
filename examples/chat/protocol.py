"""
The frames on the websocket: what a client may say, checked; what the server says, built.

Pure: no sockets, no clocks, no state. A frame of the server is bytes, built once, for however
many clients it goes to. The tables are in README.md.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from chat.config import Limits

VERSION: Final = 1
MAX_ID_BYTES: Final = 64
MAX_RUN_BYTES: Final = 64
MAX_ROOM_CHARACTERS: Final = 64
MAX_SENDER_CHARACTERS: Final = 40
MAX_EPOCH_BYTES: Final = 64
MAX_TOOL_USE_BYTES: Final = 128
MAX_QUERY_BYTES: Final = 256
MAX_INTEGER: Final = 2**53 - 1
"""The largest whole number that JavaScript keeps exact."""

_ITEM_PREFIX: Final = b'{"type":"item","item":'
_ITEM_SUFFIX: Final = b"}"

RequestId = int | str | None


class Refused(Exception):
    """
    A frame that is not obeyed; the client is told why, and the connection goes on.

    Attributes:
        code: one of the codes of the protocol, for the program.
        message: one sentence with the figures in it, for people.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Hello:
    """Join a room; `epoch` and `next_seq` are what a returning client has."""

    room: str
    sender: str
    epoch: str | None
    next_seq: int | None


@dataclass(frozen=True, slots=True)
class Message:
    """Say something in the room; with `agent`, ask the agent too."""

    text: str
    agent: bool
    id: str


@dataclass(frozen=True, slots=True)
class Stop:
    """End a run."""

    run: str


@dataclass(frozen=True, slots=True)
class Complete:
    """Find files by a part of their path."""

    id: int
    query: str
    limit: int


@dataclass(frozen=True, slots=True)
class Tool:
    """Fetch the whole of a tool call."""

    id: int
    tool_use: str


@dataclass(frozen=True, slots=True)
class Since:
    """Fill a gap: everything from `next_seq` on."""

    next_seq: int


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The whole of a tool call: its input as JSON for people, its output as text."""

    name: str
    input: str
    output: str
    is_error: bool


ClientFrame = Hello | Message | Stop | Complete | Tool | Since


def parse(text: str, limits: Limits) -> ClientFrame:
    """
    Return the frame in `text`, every field of it checked.

    Raises:
        Refused: it is not a frame; the code is bad_json, bad_type or bad_field.
    """
    try:
        frame = json.loads(text)
    except (ValueError, RecursionError):
        raise Refused("bad_json", "a frame must be one JSON object") from None
    if not isinstance(frame, dict):
        raise Refused("bad_json", f"a frame must be one JSON object, got {_kind(frame)}")
    kind = frame.get("type")
    parser = _PARSERS.get(kind) if isinstance(kind, str) else None
    if parser is None:
        known = ", ".join(_PARSERS)
        raise Refused("bad_type", f"type must be one of {known}")
    return parser(_Fields(frame), limits)


def request_id(text: str) -> RequestId:
    """Return the id of a frame that was not obeyed, for the answer; None if it has none."""
    try:
        frame = json.loads(text)
    except (ValueError, RecursionError):
        return None
    value = frame.get("id") if isinstance(frame, dict) else None
    if type(value) is int and abs(value) <= MAX_INTEGER:
        return value
    if isinstance(value, str) and len(value.encode(errors="replace")) <= MAX_ID_BYTES:
        return value
    return None


class _Fields:
    """The fields of one frame, each with its rule; a violation names field, limit and value."""

    def __init__(self, frame: Mapping[str, Any]) -> None:
        self._frame = frame

    def text(self, name: str, *, most: int, least: int = 0) -> str:
        value = self._frame.get(name)
        if not isinstance(value, str):
            raise _bad_field(name, "a string", _kind(value))
        try:
            size = len(value.encode())
        except UnicodeEncodeError:
            raise _bad_field(name, "whole characters", "half of a surrogate pair") from None
        if not least <= size <= most:
            raise _bad_field(name, f"{least} to {most} bytes", f"{size} bytes")
        return value

    def integer(self, name: str, *, least: int = 0, most: int = MAX_INTEGER) -> int:
        value = self._frame.get(name)
        if type(value) is not int:
            raise _bad_field(name, "a whole number", _kind(value))
        if not least <= value <= most:
            raise _bad_field(name, f"{least} to {most}", str(value)[:24])
        return value

    def flag(self, name: str) -> bool:
        value = self._frame.get(name)
        if not isinstance(value, bool):
            raise _bad_field(name, "true or false", _kind(value))
        return value

    def given(self, name: str) -> bool:
        return self._frame.get(name) is not None

    def room(self) -> str:
        value = self.text("room", most=4 * MAX_ROOM_CHARACTERS)
        if not 1 <= len(value) <= MAX_ROOM_CHARACTERS:
            rule = f"1 to {MAX_ROOM_CHARACTERS} characters"
            raise _bad_field("room", rule, f"{len(value)} characters")
        if not all(character.isalnum() or character in "._-" for character in value):
            raise _bad_field("room", "letters, digits and - _ .", ascii(value))
        return value

    def sender(self) -> str:
        value = self.text("sender", most=8 * MAX_SENDER_CHARACTERS).strip()
        if not 1 <= len(value) <= MAX_SENDER_CHARACTERS:
            rule = f"1 to {MAX_SENDER_CHARACTERS} characters"
            raise _bad_field("sender", rule, f"{len(value)} characters")
        if not value.isprintable():
            raise _bad_field("sender", "without control characters", ascii(value))
        return value


def _hello(fields: _Fields, _: Limits) -> Hello:
    return Hello(
        room=fields.room(),
        sender=fields.sender(),
        epoch=fields.text("epoch", most=MAX_EPOCH_BYTES) if fields.given("epoch") else None,
        next_seq=fields.integer("next_seq") if fields.given("next_seq") else None,
    )


def _message(fields: _Fields, limits: Limits) -> Message:
    return Message(
        text=fields.text("text", least=1, most=limits.max_message_bytes),
        agent=fields.flag("agent"),
        id=fields.text("id", most=MAX_ID_BYTES),
    )


def _stop(fields: _Fields, _: Limits) -> Stop:
    return Stop(run=fields.text("run", most=MAX_RUN_BYTES))


def _complete(fields: _Fields, limits: Limits) -> Complete:
    return Complete(
        id=fields.integer("id"),
        query=fields.text("query", most=MAX_QUERY_BYTES),
        limit=fields.integer("limit", least=1, most=limits.max_completions),
    )


def _tool(fields: _Fields, _: Limits) -> Tool:
    return Tool(id=fields.integer("id"), tool_use=fields.text("tool_use", most=MAX_TOOL_USE_BYTES))


def _since(fields: _Fields, _: Limits) -> Since:
    return Since(next_seq=fields.integer("next_seq"))


_PARSERS: Final[Mapping[str, Callable[[_Fields, Limits], ClientFrame]]] = {
    "hello": _hello,
    "message": _message,
    "stop": _stop,
    "complete": _complete,
    "tool": _tool,
    "since": _since,
}


def _bad_field(name: str, rule: str, got: str) -> Refused:
    return Refused("bad_field", f"{name} must be {rule}, got {got}")


def _kind(value: object) -> str:
    """Name the JSON type of `value`, for messages: the value itself may be of any size."""
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean"}
    names |= {int: "a whole number", float: "a number", type(None): "nothing"}
    return names[type(value)]


def welcome_frame(
    *,
    room: str,
    sender: str,
    epoch: str,
    root: str,
    limits: Limits,
    run: str | None,
    members: int,
) -> bytes:
    """Build the answer to `Hello`."""
    return _encoded(
        {
            "type": "welcome",
            "version": VERSION,
            "room": room,
            "sender": sender,
            "epoch": epoch,
            "root": root,
            "limits": {
                "max_message_bytes": limits.max_message_bytes,
                "max_frame_bytes": limits.max_frame_bytes,
                "max_completions": limits.max_completions,
                "max_history_items": limits.max_history_items,
            },
            "run": run,
            "members": members,
        }
    )


def item_frame(seq: int, time: float, kind: str, fields: Mapping[str, Any]) -> bytes:
    """Build the frame of one item, for the history and for everybody in the room."""
    item = {"seq": seq, "time": round(time, 3), "kind": kind, **fields}
    return _ITEM_PREFIX + _encoded(item) + _ITEM_SUFFIX


def history_frame(item_frames: Iterable[bytes], *, missed: int, next_seq: int) -> bytes:
    """Join item frames, as `item_frame` built them, into one."""
    items = b",".join(frame[len(_ITEM_PREFIX) : -len(_ITEM_SUFFIX)] for frame in item_frames)
    head = b'{"type":"history","missed":%d,"next_seq":%d,"items":[' % (missed, next_seq)
    return b"".join((head, items, b"]}"))


def gap_frame(missed: int) -> bytes:
    """Build the word that `missed` items are gone just before the next one."""
    return _encoded({"type": "gap", "missed": missed})


def members_frame(members: int) -> bytes:
    """Build the word of how many are in the room now."""
    return _encoded({"type": "members", "members": members})


def completions_frame(
    request: Complete, results: Sequence[tuple[str, Sequence[int]]], *, files: int, truncated: bool
) -> bytes:
    """Build the answer to `Complete`: paths, each with the indices of the characters that match."""
    return _encoded(
        {
            "type": "completions",
            "id": request.id,
            "query": request.query,
            "results": [
                {"path": path, "positions": list(positions)} for path, positions in results
            ],
            "files": files,
            "truncated": truncated,
        }
    )


def tool_frame(request: Tool, call: ToolCall | None) -> bytes:
    """Build the answer to `Tool`; None says that the call is no longer kept."""
    return _encoded(
        {
            "type": "tool",
            "id": request.id,
            "tool_use": request.tool_use,
            "found": call is not None,
            "name": None if call is None else call.name,
            "input": None if call is None else call.input,
            "output": None if call is None else call.output,
            "is_error": call is not None and call.is_error,
        }
    )


def error_frame(refused: Refused, request: RequestId) -> bytes:
    """Build the word that the frame with the id `request` was not obeyed."""
    return _encoded(
        {"type": "error", "code": refused.code, "message": refused.message, "id": request}
    )


def cut(text: str, max_bytes: int) -> tuple[str, bool]:
    """
    Return `text` within `max_bytes` bytes of UTF-8, and whether that is only its beginning.

    >>> cut("für", 4), cut("für", 2)
    (('für', False), ('f', True))
    """
    data = text.encode(errors="replace")
    if len(data) <= max_bytes:
        return text, False
    return data[:max_bytes].decode(errors="ignore"), True


def _encoded(value: Mapping[str, Any]) -> bytes:
    """Return `value` as JSON; half a surrogate pair, which an agent may send, becomes ``?``."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode(errors="replace")
