"""The server as a user starts and ends it."""

import asyncio
import contextlib
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from integration.chat.client import ENVIRONMENT, PATIENCE_SECONDS, Client

pytestmark = pytest.mark.usefixtures("nothing_left")


@contextlib.asynccontextmanager
async def started(
    root: Path, *arguments: str
) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    command = [sys.executable, "-W", "always", "-m", "chat", "--port", "0", "--root", str(root)]
    process = await asyncio.create_subprocess_exec(
        *command,
        *arguments,
        env=ENVIRONMENT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(PATIENCE_SECONDS):
            line = (await process.stdout.readline()).decode()
        yield process, line
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def ended(process: asyncio.subprocess.Process) -> str:
    async with asyncio.timeout(PATIENCE_SECONDS):
        _, errors = await process.communicate()
    return errors.decode()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_the_server_and_its_agents(root: Path, number: signal.Signals) -> None:
    agent = f"{sys.executable} -m chat.demo_agent --root . --fault ignore-sigint"
    async with started(root, "--agent", agent) as (process, line):
        url, _, words = line.partition(" ")
        assert words == "serves project; Ctrl-C ends it\n"
        async with Client(url) as ann:
            await ann.join()
            await ann.say("go", agent=True)
            await ann.item(kind="text")
            (agent_pid,) = children(process.pid)
            process.send_signal(number)
            assert await ann.closed() == 1001
        errors = await ended(process)
        assert process.returncode == 0
        assert "Traceback" not in errors
        assert "Warning" not in errors
        assert agent_pid not in processes()


async def test_the_bundled_agent_answers_without_being_asked_for(root: Path) -> None:
    async with started(root) as (process, line), Client(line.split()[0]) as ann:
        await ann.join()
        items = await ann.run("show me README.md")
        assert "Read me." in items[2]["output"]
        process.send_signal(signal.SIGINT)
        assert await ended(process) == ""


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--root", "/no/such/folder"], "No such file or directory"),
        (["--root", __file__], "is not a folder"),
        (["--root", "/"], "must not be a whole file system"),
        (["--agent", ""], "the agent's command is empty"),
        (["--agent", "unclosed 'quotation"], "No closing quotation"),
        (["--host", "192.0.2.1"], "Cannot assign requested address"),
    ],
)
def test_what_cannot_be_served_is_said_in_one_line(arguments: list[str], reason: str) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "chat", "--port", "0", *arguments],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert result.stderr.startswith("chat: ")
    assert reason in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_port_that_is_taken_is_said_to_be(root: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = subprocess.run(
            [
                *(sys.executable, "-m", "chat", "--root", str(root)),
                *("--port", str(taken.getsockname()[1])),
            ],
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            check=False,
        )
    assert "Address already in use" in result.stderr


def children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def processes() -> list[str]:
    return [entry.name for entry in Path("/proc").iterdir()]
