"""
One run of an agent: a child process with a prompt, its lines, and a certain end.

The child leads a process group of its own, so that whatever it starts ends with it. Both of its
pipes are read to their end whatever comes, so that it never blocks on a full one. There is one
waiter: the event loop's, which calls `process_exited`.
"""

import asyncio
import contextlib
import enum
import os
import signal
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from boundedcollections import Line, LineSplitter
from chat.agent import Agent
from chat.config import Limits
from chat.protocol import cut

MAX_ERROR_BYTES: Final = 300
_STDOUT: Final = 1


class Outcome(enum.StrEnum):
    """How a run ended; the values are the states of the protocol."""

    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"
    TIMED_OUT = "timed_out"


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of a run: `error` is one line for the room, `stderr` the last words for the log."""

    outcome: Outcome
    error: str | None = None
    stderr: str = ""


class Runner:
    """
    Runs an agent once, in `root`; `on_line` gets each line of its output.

    `on_line` is called in the event loop and must not wait: a slow reader of the room never
    holds up an agent.
    """

    def __init__(
        self,
        agent: Agent,
        *,
        root: Path,
        limits: Limits,
        on_line: Callable[[Line], object],
    ) -> None:
        self._agent = agent
        self._root = root
        self._limits = limits
        self._on_line = on_line
        self._over = asyncio.get_running_loop().create_future()

    def stop(self) -> None:
        """End the run soon; calling it again, or after the end, changes nothing."""
        self._decide(Outcome.STOPPED)

    async def run(self, prompt: str) -> Ended:
        """Start the agent with `prompt` on its stdin, and return when it and its group are gone."""
        try:
            transport, child = await self._spawn(prompt)
        except OSError as error:
            return Ended(Outcome.FAILED, f"the agent cannot be started: {error.strerror}")
        pid = transport.get_pid()
        deadline = asyncio.get_running_loop().call_later(
            self._limits.run_seconds, self._decide, Outcome.TIMED_OUT
        )
        try:
            outcome = await self._over
            await self._end(pid, child)
            await _within(self._limits.drain_seconds, child.drained)
            transport.close()  # whoever escaped with the pipes is not heard any more
            await _within(self._limits.drain_seconds, child.drained)
        finally:
            deadline.cancel()
            _signal_group(pid, signal.SIGKILL)
            transport.close()
        return self._ended(outcome, transport.get_returncode(), child.stderr)

    async def _spawn(self, prompt: str) -> tuple[asyncio.SubprocessTransport, "_Child"]:
        """A file, not a pipe, takes the prompt to the child: writing it can neither wait nor fail."""
        with tempfile.TemporaryFile() as stdin:
            stdin.write(prompt.encode())
            stdin.seek(0)
            transport, child = await asyncio.get_running_loop().subprocess_exec(
                lambda: _Child(self._limits, self._on_line, self._exited),
                *self._agent.argv,
                stdin=stdin,
                cwd=self._root,
                env={**os.environ, **self._agent.environment},
                start_new_session=True,
            )
        return transport, child

    def _exited(self) -> None:
        self._decide(Outcome.FINISHED)

    def _decide(self, outcome: Outcome) -> None:
        """The first to say how it ends is right."""
        if not self._over.done():
            self._over.set_result(outcome)

    async def _end(self, pid: int, child: "_Child") -> None:
        """Ask for the end, more and more firmly, until the child has exited; then end the rest."""
        limits = self._limits
        for number, seconds in (
            (signal.SIGINT, limits.interrupt_seconds),
            (signal.SIGTERM, limits.terminate_seconds),
            (signal.SIGKILL, limits.drain_seconds),
        ):
            if child.exited.is_set():
                break
            _signal_group(pid, number)
            await _within(seconds, child.exited)
        _signal_group(pid, signal.SIGKILL)

    def _ended(self, outcome: Outcome, status: int | None, stderr: str) -> Ended:
        if outcome is not Outcome.FINISHED or status == 0:
            return Ended(outcome, stderr=stderr)
        return Ended(Outcome.FAILED, self._reason(status, stderr), stderr)

    def _reason(self, status: int | None, stderr: str) -> str:
        """One line for the room: how it exited and its last words, without paths of this machine."""
        how = "the agent did not exit" if status is None else f"exit status {status}"
        if status is not None and status < 0:
            how = f"the agent was killed: {signal.strsignal(-status)}"
        words = [line for line in stderr.splitlines() if line.strip()]
        if not words:
            return how
        last = words[-1].replace(str(self._root), self._root.name)
        return cut(f"{how}: {last.replace(str(Path.home()), '~')}", MAX_ERROR_BYTES)[0]


class _Child(asyncio.SubprocessProtocol):
    """What the event loop tells about the child."""

    def __init__(
        self, limits: Limits, on_line: Callable[[Line], object], on_exit: Callable[[], object]
    ) -> None:
        self._lines = LineSplitter(limits.max_line_bytes, name="agent")
        self._max_stderr_bytes = limits.max_stderr_bytes
        self._stderr = b""
        self._on_line = on_line
        self._on_exit = on_exit
        self.exited = asyncio.Event()
        self.drained = asyncio.Event()

    @property
    def stderr(self) -> str:
        return self._stderr.decode(errors="replace")

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == _STDOUT:
            for line in self._lines.feed(data):
                self._on_line(line)
        else:
            self._stderr = (self._stderr + data)[-self._max_stderr_bytes :]

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:  # noqa: ARG002  # theirs
        if fd == _STDOUT and (tail := self._lines.close()) is not None:
            self._on_line(tail)

    def process_exited(self) -> None:
        self.exited.set()
        self._on_exit()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # theirs
        self.drained.set()


async def _within(seconds: float, event: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


def _signal_group(pid: int, number: signal.Signals) -> None:
    """Signal whoever is left in the group; a group that is gone needs nothing more."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)
