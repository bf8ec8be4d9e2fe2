"""
The HTTP side: who may connect, what is served, and how it all ends.

Everything that has an end is ended in `ChatServer.aclose`: sockets, agents, the index.
"""

import asyncio
import ipaddress
import logging
import math
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from aiohttp import WSCloseCode, web

from boundedcollections import ConnectionLimiter, LimitReached
from chat.agent import Agent
from chat.config import Limits
from chat.connection import Connection
from chat.files import Files
from chat.memory import Memory
from chat.protocol import VERSION
from chat.rooms import Rooms
from chat.runs import Runs
from chat.session import Services, Session
from chat.tools import ToolCalls

PAGE: Final = Path(__file__).with_name("page")
SECURITY_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; object-src 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

_log = logging.getLogger("chat")


class ChatServer:
    """
    The server: `start` it, and `aclose` it; in between it serves by itself.

    Args:
        agent: what answers; started in `root`.
        root: the folder that the agent and the completion look into.
        limits: what is allowed.
    """

    def __init__(self, agent: Agent, *, root: Path, limits: Limits) -> None:
        self._limits = limits
        self._memory = Memory(limits)
        budget = self._memory.budget
        tools = ToolCalls(limits, budget)
        self._services = Services(
            limits=limits,
            rooms=Rooms(limits, budget),
            runs=Runs(agent, root=root, limits=limits, tools=tools, budget=budget),
            tools=tools,
            files=Files(root, limits, budget),
        )
        self._places = ConnectionLimiter(
            max_connections=limits.max_connections, budget=budget, name="connections"
        )
        self._connections: set[Connection] = set()
        self._own_names = {"localhost", socket.gethostname().lower()}
        self._runner = web.AppRunner(
            self._application(),
            access_log=None,
            handle_signals=False,
            keepalive_timeout=15,
            shutdown_timeout=limits.close_seconds,
        )

    async def start(self, host: str, port: int) -> str:
        """Begin to serve, and return the address; port 0 takes any that is free."""
        self._own_names.add(host.lower())
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, port), family=family)
        self._listener.settimeout(0)
        await self._runner.setup()
        self._services.files.start()
        self._memory.start()
        self._accepting = asyncio.create_task(self._accept(), name="accept")
        shown = f"[{host}]" if family == socket.AF_INET6 else host
        return f"http://{shown}:{self._listener.getsockname()[1]}/"

    async def aclose(self) -> None:
        """Take nobody in, see everybody out, and return when nothing is left running."""
        self._accepting.cancel()
        await asyncio.wait({self._accepting})
        self._listener.close()
        async with asyncio.TaskGroup() as ending:
            ending.create_task(self._services.runs.aclose())
            for connection in tuple(self._connections):
                ending.create_task(connection.close(WSCloseCode.GOING_AWAY, b"the server stops"))
        await self._runner.cleanup()
        await self._services.files.aclose()
        await self._memory.aclose()

    async def _accept(self) -> None:
        """Take in sockets one by one, up to the limit, each with a small buffer in the kernel."""
        loop = asyncio.get_running_loop()
        protocols = self._runner.server
        assert protocols is not None
        while True:
            try:
                sock, _ = await loop.sock_accept(self._listener)
            except OSError as error:  # out of file descriptors, or the peer was quicker
                _log.warning("cannot accept: %s", error.strerror)
                await asyncio.sleep(1)
                continue
            if len(protocols.connections) >= self._limits.max_sockets:
                sock.close()
                continue
            try:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._limits.socket_send_bytes)
                await loop.connect_accepted_socket(protocols, sock)
            except OSError:  # the peer is gone already
                sock.close()

    def _application(self) -> web.Application:
        app = web.Application(middlewares=[self._own_host_only])
        app.router.add_get("/", self._page)
        app.router.add_get("/ws", self._websocket)
        app.router.add_get("/healthz", self._health)
        app.router.add_static("/static/", PAGE)
        app.on_response_prepare.append(_secure)
        return app

    @web.middleware
    async def _own_host_only(
        self,
        request: web.Request,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        """Refuse names that only a foreign page could have given us (DNS rebinding)."""
        name = _host_name(f"//{request.host}")
        if name not in self._own_names and not _is_address(name):
            raise web.HTTPMisdirectedRequest(text="this server has another name")
        return await handler(request)

    async def _page(self, _: web.Request) -> web.StreamResponse:
        return web.FileResponse(PAGE / "index.html")

    async def _health(self, _: web.Request) -> web.StreamResponse:
        services = self._services
        return web.json_response(
            {
                "status": "ok",
                "protocol": VERSION,
                "connections": len(self._connections),
                "rooms": len(services.rooms),
                "runs": len(services.runs),
                "tool_bytes": services.tools.current_bytes,
                "files": services.files.count,
                "memory": self._memory.figures(),
                "worst_case_bytes": self._limits.worst_case_bytes(),
            }
        )

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        if not _is_own_origin(request):
            raise web.HTTPForbidden(text="another origin may not connect")
        try:
            place = self._places.acquire_nowait()
        except LimitReached as refusal:
            raise _come_back_later(refusal) from None
        with place:
            connection = Connection(self._limits)
            self._connections.add(connection)
            try:
                response = await connection.accept(request)
                await Session(connection, self._services).serve()
            finally:
                self._connections.discard(connection)
                connection.cut_off()
        return response


async def _secure(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(SECURITY_HEADERS)
    response.headers.setdefault("Cache-Control", "no-cache")


def _come_back_later(refusal: LimitReached) -> web.HTTPServiceUnavailable:
    is_full = refusal.reason == "max_connections"
    return web.HTTPServiceUnavailable(
        text=f"all {refusal.limit} places are taken" if is_full else "memory is short",
        headers={"Retry-After": str(math.ceil(refusal.retry_after_seconds))},
    )


def _is_own_origin(request: web.Request) -> bool:
    """Whether the page that connects came from here; a browser always says where it came from."""
    scheme, _, host = request.headers.get("Origin", "").partition("://")
    return scheme in {"http", "https"} and host.lower() == request.host.lower()


def _host_name(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
