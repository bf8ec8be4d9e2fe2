"""One websocket: text in, frames out, neither without a bound in size and in time."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from aiohttp import WSCloseCode, WSMsgType, web

from chat.config import Limits


class Connection:
    """
    A websocket, once it has been accepted.

    `send` may be called by several tasks; they take turns. A frame is on its way as a whole or
    not at all, whatever happens to the task that sends it.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._socket = web.WebSocketResponse(
            compress=False,  # it would cost eleven times the memory, and a frame could not be shared
            heartbeat=limits.heartbeat_seconds,
            max_msg_size=limits.max_frame_bytes + 1,  # aiohttp refuses what reaches its limit
            timeout=limits.close_seconds,
            writer_limit=limits.max_write_bytes,
        )
        self._transport: asyncio.Transport | None = None
        self._turn = asyncio.Lock()

    @property
    def unread_bytes(self) -> int:
        """What waits in this process until the client reads on."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    async def accept(self, request: web.Request) -> web.WebSocketResponse:
        """Upgrade the request, and return what its handler must return."""
        await self._socket.prepare(request)
        self._transport = request.transport
        if self._transport is not None:
            self._transport.set_write_buffer_limits(high=self._limits.max_write_bytes)
        return self._socket

    async def receive(self) -> str | None:
        """
        Return the next frame, or None when there will be none.

        A frame that is no text is the empty string, which no parser accepts. Others run in
        between, even while a flood comes in.
        """
        await asyncio.sleep(0)
        message = await self._socket.receive()
        if message.type is WSMsgType.TEXT:
            return str(message.data)
        return "" if message.type is WSMsgType.BINARY else None

    async def send(self, frame: bytes) -> None:
        """
        Send a frame, and wait while the client has too much of it unread.

        Raises:
            ConnectionError: the client is gone.
            TimeoutError: it did not read for too long.
        """
        if self._is_keeping_up(frame):  # then it cannot have to wait, and a timer costs more
            await self._socket.send_frame(frame, WSMsgType.TEXT)
            return
        try:
            async with asyncio.timeout(self._limits.stall_seconds), self._turn:
                await self._socket.send_frame(frame, WSMsgType.TEXT)
        except asyncio.CancelledError:
            # aiohttp cancels a wait that its own ping shares when it gives the connection up.
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise ConnectionResetError("the connection was given up") from None

    def _is_keeping_up(self, frame: bytes) -> bool:
        return (
            self.unread_bytes == 0
            and len(frame) < self._limits.max_write_bytes // 2
            and not self._turn.locked()
        )

    @contextlib.asynccontextmanager
    async def pause(self) -> AsyncIterator[None]:
        """Keep every frame back that is not on its way yet."""
        async with self._turn:
            yield

    async def close(self, code: WSCloseCode, reason: bytes = b"") -> None:
        """Say goodbye, and wait for the answer, but not for long."""
        with contextlib.suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(self._limits.close_seconds):
                await self._socket.close(code=code, message=reason)

    def cut_off(self) -> None:
        """End the connection now, without a word; what the client did not read is dropped."""
        if self._transport is not None:
            self._transport.abort()
