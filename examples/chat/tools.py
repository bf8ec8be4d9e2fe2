"""The whole of the tool calls, for those who ask: a cache bounded in bytes."""

from boundedcollections import MemoryBudget, SizeAwareLRU
from chat.config import Limits
from chat.protocol import ToolCall, cut
from chat.stream_json import ToolResult, ToolUse, pretty


class ToolCalls:
    """
    Keeps inputs and outputs by room and id; the least recently used leave first.

    The scope, a room's epoch, keeps one room from seeing or displacing by name what is another's.
    """

    def __init__(self, limits: Limits, budget: MemoryBudget) -> None:
        self._max_text_bytes = limits.max_tool_bytes
        self._calls: SizeAwareLRU[tuple[str, str], ToolCall] = SizeAwareLRU(
            max_bytes=limits.max_tools_bytes,
            max_entry_bytes=limits.tool_bytes(),
            budget=budget,
            floor_bytes=limits.tool_bytes(),
            name="tool calls",
        )

    def begin(self, scope: str, use: ToolUse) -> None:
        """Keep the input of a call."""
        text = pretty(use.input, self._max_text_bytes)
        self._calls.put((scope, use.id), ToolCall(use.name, text, output="", is_error=False))

    def finish(self, scope: str, result: ToolResult) -> None:
        """Keep the output of a call, beside its input if that is still here."""
        output, is_cut = cut(result.output, self._max_text_bytes)
        if is_cut:
            size = len(result.output.encode(errors="replace"))
            output += f"\n… cut here: {size} bytes in all"
        begun = self._calls.peek((scope, result.id))
        name, input_ = ("tool", "(no longer kept)") if begun is None else (begun.name, begun.input)
        self._calls.put((scope, result.id), ToolCall(name, input_, output, result.is_error))

    def get(self, scope: str, identifier: str) -> ToolCall | None:
        """Return a call, if it is still kept."""
        return self._calls.get((scope, identifier))

    @property
    def current_bytes(self) -> int:
        """The bytes that all calls take."""
        return self._calls.current_bytes

    def __len__(self) -> int:
        return len(self._calls)
