"""What the agent says: stream-json, one event a line, each line out at once."""

import json
import secrets
import sys
import time
from collections.abc import Sequence
from typing import Any


class Voice:
    """Writes the events of one session to stdout."""

    def __init__(self) -> None:
        self._session = secrets.token_hex(8)
        self._started = time.monotonic()
        self._last_text = ""
        self._turns = 0

    def begin(self, tools: Sequence[str]) -> None:
        """Say who speaks, and with which tools."""
        self._emit({"type": "system", "subtype": "init", "model": "demo", "tools": list(tools)})

    def say(self, text: str) -> None:
        """Say something to the user."""
        self._last_text = text
        self._turns += 1
        self._message("assistant", [{"type": "text", "text": text}])

    def use(self, tool: str, arguments: dict[str, object]) -> str:
        """Announce the call of a tool, and return its id."""
        identifier = f"toolu_{secrets.token_hex(8)}"
        block = {"type": "tool_use", "id": identifier, "name": tool, "input": arguments}
        self._message("assistant", [block])
        return identifier

    def answer(self, identifier: str, output: str, *, is_error: bool = False) -> None:
        """Tell what the tool gave; an error as a string, output as blocks: both forms occur."""
        content: Any = output if is_error else [{"type": "text", "text": output}]
        block = {"type": "tool_result", "tool_use_id": identifier, "content": content}
        self._message("user", [{**block, "is_error": is_error}])

    def end(self) -> None:
        """Say that everything is said."""
        self._emit(
            {
                "type": "result",
                "subtype": "success",
                "is_error": False,
                "duration_ms": round((time.monotonic() - self._started) * 1_000),
                "num_turns": self._turns,
                "result": self._last_text,
            }
        )

    def _message(self, role: str, blocks: list[dict[str, Any]]) -> None:
        self._emit({"type": role, "message": {"role": role, "content": blocks}})

    def _emit(self, event: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps({**event, "session_id": self._session}) + "\n")
        sys.stdout.flush()
