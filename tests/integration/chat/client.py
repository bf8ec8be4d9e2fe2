"""The other side of the server in these tests: clients that read, and one that does not."""

import asyncio
import base64
import contextlib
import json
import os
import socket
import struct
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import aiohttp
from yarl import URL

from boundedcollections import GiB
from chat.agent import Agent
from chat.config import Limits
from chat.server import ChatServer

_EXAMPLES = str(Path(__file__).parents[3] / "examples")
_PATHS = [_EXAMPLES, *filter(None, [os.environ.get("PYTHONPATH")])]
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(_PATHS)}
"""For programs that are started as a user starts them."""

PATIENCE_SECONDS = 20.0


MOST_BYTES = 64 * GiB
"""The process of the tests may be larger than a server's, so it has another limit."""


@contextlib.asynccontextmanager
async def serving(
    root: Path,
    *,
    agent: Agent | None = None,
    limits: Limits | None = None,
    max_process_bytes: int = MOST_BYTES,
) -> AsyncIterator[str]:
    """Serve `root`, and yield the address; afterwards nothing of it is left."""
    limits = replace(limits or Limits(), max_process_bytes=max_process_bytes)
    async with server_of(root, agent=agent, limits=limits) as (_, url):
        yield url


@contextlib.asynccontextmanager
async def server_of(
    root: Path, *, agent: Agent | None = None, limits: Limits | None = None
) -> AsyncIterator[tuple[ChatServer, str]]:
    """Serve `root`, and yield the server with its address, for a look inside."""
    limits = limits or Limits(max_process_bytes=MOST_BYTES)
    server = ChatServer(agent or Agent.bundled(root), root=root, limits=limits)
    url = await server.start("127.0.0.1", 0)
    try:
        yield server, url
    finally:
        await server.aclose()


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait until `condition` holds, as it must soon."""
    for _ in range(1_000):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not happen")


def faulty(root: Path, fault: str) -> Agent:
    return Agent.bundled(root, "--fault", fault)


class Client:
    """A client that reads everything that it gets."""

    def __init__(self, url: str, *, origin: str | None = None) -> None:
        self._url = url
        self._origin = url.rstrip("/") if origin is None else origin

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            session = await stack.enter_async_context(aiohttp.ClientSession())
            self.socket = await stack.enter_async_context(
                session.ws_connect(self._url + "ws", origin=self._origin, max_msg_size=0)
            )
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def send(self, kind: str, **fields: Any) -> None:
        await self.socket.send_str(json.dumps({"type": kind, **fields}))

    async def receive(self, *kinds: str) -> dict[str, Any]:
        """Return the next frame that is of one of `kinds`; without any, the next but `members`."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                frame: dict[str, Any] = await self.socket.receive_json()
                if frame["type"] in kinds or (not kinds and frame["type"] != "members"):
                    return frame

    async def join(
        self,
        room: str = "lobby",
        sender: str = "Ann",
        epoch: str | None = None,
        next_seq: int | None = None,
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Say hello, and return the welcome and the history."""
        await self.send("hello", room=room, sender=sender, epoch=epoch, next_seq=next_seq)
        return await self.receive("welcome"), await self.receive("history")

    async def say(self, text: str, *, agent: bool = False, id: str = "") -> None:  # noqa: A002  # its name
        await self.send("message", text=text, agent=agent, id=id)

    async def members(self, expected: int) -> None:
        """Wait until so many are in the room."""
        while (await self.receive("members"))["members"] != expected:
            pass

    async def item(self, **expected: object) -> dict[str, Any]:
        """Return the next item with these fields."""
        while True:
            item: dict[str, Any] = (await self.receive("item"))["item"]
            if expected.items() <= item.items():
                return item

    async def run(self, prompt: str) -> list[dict[str, Any]]:
        """Have the agent do `prompt`, and return the items from its start to its end."""
        await self.say(prompt, agent=True)
        items = [await self.item(kind="run", state="started")]
        while items[-1]["kind"] != "run" or items[-1]["state"] == "started":
            items.append(await self.item())
        return items

    async def closed(self) -> int | None:
        """Return the code with which the server closes, whatever comes before that."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (await self.socket.receive()).type not in {
                aiohttp.WSMsgType.CLOSE,
                aiohttp.WSMsgType.CLOSED,
                aiohttp.WSMsgType.CLOSING,
            }:
                pass
        return self.socket.close_code


class Raw:
    """A client that speaks on a plain socket, and reads only when it is told to."""

    def __init__(self, url: str) -> None:
        self._url = URL(url)
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        self._socket.settimeout(0)
        self._unread = b""

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        await loop.sock_connect(self._socket, (self._url.host, self._url.port))
        authority = self._url.authority
        head = [
            "GET /ws HTTP/1.1",
            f"Host: {authority}",
            f"Origin: http://{authority}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
            "Sec-WebSocket-Version: 13",
        ]
        await loop.sock_sendall(self._socket, "\r\n".join([*head, "", ""]).encode())
        while b"\r\n\r\n" not in self._unread:
            self._unread += await loop.sock_recv(self._socket, 1_024)
        answer, _, self._unread = self._unread.partition(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 101"), answer
        return self

    async def __aexit__(self, *_: object) -> None:
        self._socket.close()

    async def send(self, kind: str, **fields: Any) -> None:
        """Send a frame with a mask of zeros, which the standard allows and nobody should use."""
        payload = json.dumps({"type": kind, **fields}, ensure_ascii=False).encode()
        head = struct.pack("!BBH", 0x81, 0x80 | 126, len(payload)) + bytes(4)
        await asyncio.get_running_loop().sock_sendall(self._socket, head + payload)

    async def join(self) -> None:
        await self.send("hello", room="lobby", sender="Raw")

    async def receive(self) -> dict[str, Any] | None:
        """Return the next text frame; None when the connection ends."""
        while True:
            first = await self._read(2)
            if first is None:
                return None
            size = first[1]
            if size == 126:
                (size,) = struct.unpack("!H", await self._read(2) or b"\0\0")
            elif size == 127:
                (size,) = struct.unpack("!Q", await self._read(8) or bytes(8))
            payload = await self._read(size)
            if first[0] == 0x81 and payload is not None:
                frame: dict[str, Any] = json.loads(payload)
                return frame

    async def _read(self, size: int) -> bytes | None:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(self._unread) < size:
                try:
                    data = await loop.sock_recv(self._socket, 65_536)
                except ConnectionError:
                    return None
                if not data:
                    return None
                self._unread += data
        data, self._unread = self._unread[:size], self._unread[size:]
        return data
