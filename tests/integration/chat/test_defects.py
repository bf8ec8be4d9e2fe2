"""
The six defects that this server was built to be free of.

Each is a demand, tried on a small naive variant, which fails it, and on what the server uses.
"""

import asyncio
import contextlib
import gc
import json
import os
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from integration.chat.client import PATIENCE_SECONDS, Client, Raw, faulty, serving

from boundedcollections import KiB, MemoryBudget, MiB
from chat.config import Limits
from chat.connection import Connection
from chat.files import Files
from chat.room import Room
from chat.runner import Outcome, Runner
from chat.session import Member, Session
from chat.stream_json import ToolResult, ToolUse
from chat.tools import ToolCalls

LIMITS = Limits()
BUDGET = MemoryBudget(max_bytes=LIMITS.max_process_bytes)


@contextmanager
def traced() -> Iterator[Callable[[], int]]:
    """Yield a function that tells how many bytes more are held than at the beginning."""
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]

        def held() -> int:
            gc.collect()
            return tracemalloc.get_traced_memory()[0] - before

        yield held
    finally:
        tracemalloc.stop()


class TestTheFileIndex:
    """Indexing again must not add to what was there before, nor keep what is gone."""

    class Naive:
        def __init__(self, root: Path) -> None:
            self._root = root
            self._paths: list[str] = []

        def index(self) -> None:
            for folder, _, names in os.walk(self._root):
                for name in names:
                    self._paths.append(os.path.relpath(Path(folder, name), self._root))

        def paths(self) -> list[str]:
            return sorted(self._paths)

    class Ours:
        def __init__(self, root: Path) -> None:
            self._index = Files(root, Limits(max_files=10), BUDGET)._index

        def index(self) -> None:
            self._index.index()

        def paths(self) -> list[str]:
            return sorted(self._index)

    def keeps_what_is_there(self, make: Callable[[Path], Any], root: Path) -> bool:
        (root / "gone.txt").touch()
        index = make(root)
        index.index()
        (root / "gone.txt").unlink()
        (root / "new.txt").touch()
        index.index()
        return bool(index.paths() == ["README.md", "new.txt", "src/long.txt", "src/main.py"])

    def stays_within_its_bound(self, make: Callable[[Path], Any], root: Path) -> bool:
        for number in range(30):
            (root / f"{number}.txt").touch()
        index = make(root)
        index.index()
        return len(index.paths()) <= 10

    def test_the_naive_one_accumulates(self, root: Path) -> None:
        assert not self.keeps_what_is_there(self.Naive, root)
        assert not self.stays_within_its_bound(self.Naive, root)

    def test_ours_replaces(self, root: Path) -> None:
        assert self.keeps_what_is_there(self.Ours, root)
        assert self.stays_within_its_bound(self.Ours, root)


class TestTheHistory:
    """What was said must not grow with the time that the server runs."""

    def stays_within(self, say: Callable[[str], object], bound: int) -> bool:
        with traced() as held:
            for number in range(3_000):
                say(f"{number} " + "x" * 1_000)
            return held() <= bound

    BOUND = LIMITS.max_history_bytes + LIMITS.max_ring_bytes + 100 * KiB

    def test_the_naive_one_grows(self) -> None:
        history: list[str] = []
        assert not self.stays_within(history.append, self.BOUND)

    def test_ours_does_not(self) -> None:
        room = Room("lobby", LIMITS, BUDGET)
        assert self.stays_within(lambda text: room.add("message", text=text), self.BOUND)
        assert room.next_seq == 3_000


class TestTheToolCache:
    """A thousand tool calls must not cost a thousand times their content."""

    LIMITS = Limits(max_tools_bytes=2 * MiB)

    def stays_within(self, keep: Callable[[str, str], object], bound: int) -> bool:
        with traced() as held:
            for number in range(200):
                keep(f"tool {number}", f"{number} " + "x" * 50_000)
            return held() <= bound

    def test_the_naive_one_grows_even_when_its_entries_are_counted(self) -> None:
        everything: dict[str, str] = {}
        assert not self.stays_within(everything.__setitem__, 2 * MiB)
        newest: dict[str, str] = {}

        def keep_a_hundred(key: str, value: str) -> None:
            newest[key] = value
            if len(newest) > 100:
                del newest[next(iter(newest))]

        assert not self.stays_within(keep_a_hundred, 2 * MiB)

    def test_ours_does_not(self) -> None:
        tools = ToolCalls(self.LIMITS, BUDGET)

        def keep(key: str, value: str) -> None:
            tools.begin("room", ToolUse(key, "read", {}))
            tools.finish("room", ToolResult(key, value, is_error=False))

        assert self.stays_within(keep, 2 * MiB + 100 * KiB)
        assert 20 < len(tools) < 200


@pytest.mark.usefixtures("nothing_left")
class TestTheOutputReader:
    """A line above the limit must not stop the reader, and so the agent, for ever."""

    async def test_the_naive_one_stops_and_the_agent_with_it(self, root: Path) -> None:
        agent = faulty(root, "long-line")
        process = await asyncio.create_subprocess_exec(
            *agent.argv,
            env={**os.environ, **agent.environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        with pytest.raises(ValueError, match="limit"):
            async for _ in process.stdout:
                pass
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await process.wait()  # the agent waits for somebody to read
        process.kill()
        await process.communicate()

    async def test_ours_goes_on_to_the_end(self, root: Path) -> None:
        lines: list[str] = []
        runner = Runner(
            faulty(root, "long-line"),
            root=root,
            limits=LIMITS,
            on_line=lambda line: lines.append(line.text),
        )
        assert (await runner.run("list src")).outcome is Outcome.FINISHED
        assert json.loads(lines[-1])["type"] == "result"
        assert max(map(len, lines)) == LIMITS.max_line_bytes


@pytest.mark.usefixtures("nothing_left")
class TestTheBroadcast:
    """One client that does not read must not keep anything from the others."""

    @asynccontextmanager
    async def naive(self) -> AsyncIterator[str]:
        members: list[web.WebSocketResponse] = []

        async def serve(request: web.Request) -> web.WebSocketResponse:
            line = web.WebSocketResponse(compress=False)
            await line.prepare(request)
            members.append(line)
            async for message in line:
                for member in members:
                    await member.send_str(message.data)
            return line

        async with naive_server(serve) as url:
            yield url

    async def others_hear(
        self, url: str, hear: Callable[[Client], Awaitable[object]], *, within_seconds: float
    ) -> bool:
        async with Client(url) as ann, Client(url) as bob, Raw(url) as stalled:
            for client in (ann, bob, stalled):
                await client.send("hello", room="lobby", sender="somebody")
            for _ in range(3):
                await hear(bob)  # all three are in the room
            try:
                async with asyncio.timeout(within_seconds):
                    for _ in range(500):
                        await ann.say("x" * 16_000)
                        await hear(bob)
            except TimeoutError:
                return False
            return True

    async def test_the_naive_one_stands_still(self) -> None:
        async with self.naive() as url:
            assert not await self.others_hear(
                url, lambda bob: bob.socket.receive(), within_seconds=1.5
            )

    async def test_ours_goes_on(self, root: Path) -> None:
        limits = Limits(frames_per_second=1e6)

        async def hear(bob: Client) -> None:
            frame = await bob.receive("welcome", "history", "members", "item")
            assert frame["type"] != "gap"

        async with serving(root, limits=limits) as url:
            assert await self.others_hear(url, hear, within_seconds=PATIENCE_SECONDS)


@pytest.mark.usefixtures("nothing_left")
class TestTheClients:
    """What a client sent is bounded while it is here, and gone when it is gone."""

    @asynccontextmanager
    async def naive(self) -> AsyncIterator[str]:
        last_message: dict[int, str] = {}

        async def serve(request: web.Request) -> web.WebSocketResponse:
            line = web.WebSocketResponse(compress=False, max_msg_size=0)
            await line.prepare(request)
            number = len(last_message)
            async for message in line:
                last_message[number] = message.data
                await line.send_str('{"type": "item", "item": {}}')
            return line

        async with naive_server(serve) as url:
            yield url

    async def forgets(self, url: str) -> bool:
        async def visit() -> None:
            async with Client(url) as ann:
                await ann.send("hello", room="lobby", sender="Ann")
                await ann.say("x" * 16_000)
                await ann.receive("item")

        await visit()
        with traced() as held:
            for _ in range(60):
                await visit()
            return held() < LIMITS.max_history_bytes

    async def takes_a_giant(self, url: str) -> bool:
        async with Client(url) as ann:
            await ann.send("hello", room="lobby", sender="Ann")
            with contextlib.suppress(ConnectionError):  # it is refused while it is still coming
                await ann.socket.send_str("x" * 5_000_000)
            while (message := await ann.socket.receive()).type is aiohttp.WSMsgType.TEXT:
                if json.loads(message.data)["type"] == "item":
                    return True
            return False

    async def test_the_naive_one_remembers_for_ever_whatever_its_size(self) -> None:
        async with self.naive() as url:
            assert not await self.forgets(url)
            assert await self.takes_a_giant(url)

    async def test_ours_forgets(self, root: Path) -> None:
        limits = Limits(max_history_items=5, close_seconds=0.2)
        async with serving(root, limits=limits) as url:
            assert await self.forgets(url)
            assert not await self.takes_a_giant(url)
            await asyncio.sleep(0.05)
            gc.collect()
            left = [o for o in gc.get_objects() if isinstance(o, Connection | Session | Member)]
            assert left == []


@asynccontextmanager
async def naive_server(
    serve: Callable[[web.Request], Awaitable[web.StreamResponse]],
) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/ws", serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    _, port = runner.addresses[0]
    yield f"http://127.0.0.1:{port}/"
    assert runner.server is not None
    for connection in runner.server.connections:
        if connection.transport is not None:
            connection.transport.abort()
    await runner.cleanup()
