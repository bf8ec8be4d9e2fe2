"""The agents at work: a bounded number of them, one in a room, each told to its room."""

import asyncio
import contextlib
import logging
import math
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

from boundedcollections import ConnectionLimiter, LimitReached, Line, MemoryBudget
from chat.agent import Agent
from chat.config import Limits
from chat.protocol import Refused, cut
from chat.room import CurrentRun, Room
from chat.runner import MAX_ERROR_BYTES, Ended, Outcome, Runner
from chat.stream_json import Result, Text, ToolResult, ToolUse, Unreadable, compact, parse
from chat.tools import ToolCalls

_log = logging.getLogger("chat")


class Runs:
    """Starts agents, and ends them all when the server ends."""

    def __init__(
        self, agent: Agent, *, root: Path, limits: Limits, tools: ToolCalls, budget: MemoryBudget
    ) -> None:
        self._agent = agent
        self._root = root
        self._limits = limits
        self._tools = tools
        self._budget = budget
        self._places = ConnectionLimiter(
            max_connections=limits.max_runs, budget=budget, name="runs"
        )
        self._tasks: dict[asyncio.Task[None], Runner] = {}
        self._closed = False

    def __len__(self) -> int:
        return len(self._tasks)

    def take_place(self, room: Room) -> contextlib.ExitStack:
        """
        Take the place of an agent in `room`, and the memory to listen to it; close it to give both back.

        Raises:
            Refused: agent_busy; one is at work here, too many are elsewhere, memory is too short
                for one more, or it is all over.
        """
        if self._closed:
            raise Refused("agent_busy", "the server is about to end")
        if room.run is not None:
            raise Refused("agent_busy", "the agent is at work in this room; stop it, or wait")
        try:
            with contextlib.ExitStack() as place:
                place.enter_context(self._places.acquire_nowait())
                place.enter_context(self._budget.reserve(self._limits.run_bytes()))
                return place.pop_all()
        except LimitReached as refusal:
            raise Refused("agent_busy", self._why(refusal)) from None

    def start(self, room: Room, sender: str, prompt: str, place: contextlib.ExitStack) -> None:
        """Start the agent; the room is told at once, before anything can take time."""
        run = secrets.token_hex(8)
        narrator = Narrator(room, run, limits=self._limits, tools=self._tools)
        runner = Runner(self._agent, root=self._root, limits=self._limits, on_line=narrator.tell)
        room.run = CurrentRun(run, runner.stop)
        room.add("run", run=run, state="started", sender=sender)
        task = asyncio.create_task(self._follow(room, runner, narrator, prompt), name=f"run {run}")
        self._tasks[task] = runner
        task.add_done_callback(self._tasks.pop)
        task.add_done_callback(lambda _: place.close())

    async def aclose(self) -> None:
        """End all agents for good, and return when their processes are gone."""
        self._closed = True
        for runner in self._tasks.values():
            runner.stop()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _why(self, refusal: LimitReached) -> str:
        if refusal.reason == "max_connections":
            return f"{refusal.limit} agents are at work, which is the limit; wait"
        return f"memory is short; try again in {math.ceil(refusal.retry_after_seconds)} seconds"

    async def _follow(self, room: Room, runner: Runner, narrator: "Narrator", prompt: str) -> None:
        started = time.monotonic()
        ended = Ended(Outcome.FAILED, "the server made a mistake")
        try:
            ended = await runner.run(prompt)
        finally:
            room.run = None
            narrator.end(ended, duration_ms=round((time.monotonic() - started) * 1_000))


class Narrator:
    """Tells a room what an agent does, line by line, every item within its limit."""

    def __init__(self, room: Room, run: str, *, limits: Limits, tools: ToolCalls) -> None:
        self._room = room
        self._run = run
        self._limits = limits
        self._tools = tools
        self._error: str | None = None
        self._unreadable = 0

    def tell(self, line: Line) -> None:
        """Tell what one line of the agent says."""
        if line.truncated:
            self._notice(f"a line of the agent was cut: it had {line.size} bytes")
            return
        for event in parse(line.text):
            match event:
                case Text(text):
                    for piece in pieces(text, self._limits.max_text_bytes):
                        self._room.add("text", run=self._run, text=piece)
                case ToolUse():
                    self._begin_tool(event)
                case ToolResult():
                    self._finish_tool(event)
                case Result(error):
                    self._error = error
                case Unreadable(text):
                    self._count_unreadable(text)

    def end(self, ended: Ended, *, duration_ms: int) -> None:
        """Tell how the run ended; what the agent called a failure is one, whatever its status."""
        outcome, error = ended.outcome, ended.error
        if outcome is Outcome.FINISHED and self._error is not None:
            outcome, error = Outcome.FAILED, cut(self._error, MAX_ERROR_BYTES)[0]
        if self._unreadable > 1:
            self._notice(f"{self._unreadable} lines of the agent were not stream-json")
        if outcome is not Outcome.FINISHED:
            _log.warning(
                "run %s %s: %r; its last words: %r", self._run, outcome, error, ended.stderr
            )
        self._room.add(
            "run", run=self._run, state=outcome.value, duration_ms=duration_ms, error=error
        )

    def _begin_tool(self, use: ToolUse) -> None:
        self._tools.begin(self._room.epoch, use)
        text, truncated = cut(compact(use.input), self._limits.max_preview_bytes)
        self._room.add(
            "tool_use",
            run=self._run,
            tool_use=use.id,
            name=use.name,
            input=text,
            truncated=truncated,
        )

    def _finish_tool(self, result: ToolResult) -> None:
        self._tools.finish(self._room.epoch, result)
        text, truncated = cut(result.output, self._limits.max_preview_bytes)
        self._room.add(
            "tool_result",
            run=self._run,
            tool_use=result.id,
            output=text,
            truncated=truncated,
            bytes=len(result.output.encode(errors="replace")),
            is_error=result.is_error,
        )

    def _count_unreadable(self, line: str) -> None:
        """The first line is shown, for it may say what is wrong; the others are only counted."""
        self._unreadable += 1
        if self._unreadable == 1:
            words = cut(line.strip(), MAX_ERROR_BYTES)[0]
            self._notice(f"a line of the agent is not stream-json: {words}")

    def _notice(self, text: str) -> None:
        self._room.add("notice", text=text, level="warning")


def pieces(text: str, max_bytes: int) -> Iterator[str]:
    r"""
    Yield `text` in pieces of at most `max_bytes`, cut after a line break where there is one.

    >>> list(pieces("one\ntwo\nthree", 7))
    ['one\n', 'two\n', 'three']
    """
    while text:
        piece, is_cut = cut(text, max_bytes)
        if is_cut and "\n" in piece:
            piece = piece[: piece.rindex("\n") + 1]
        yield piece
        text = text[len(piece) :]
