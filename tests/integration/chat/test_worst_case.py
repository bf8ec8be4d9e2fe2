"""The promised worst case, tried: everybody does the worst thing at the same time."""

import asyncio
import contextlib
import re
import sys
from pathlib import Path

import pytest
from integration.chat.client import ENVIRONMENT, Raw

from boundedcollections import MiB
from chat.config import Limits

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("nothing_left")]

FLOOD_SECONDS = 4.0
LIMITS = {"max_connections": 24, "max_rooms": 8, "burst_frames": 1_000_000, "stall_seconds": 600}
PROGRAM = f"""
import asyncio
from pathlib import Path
from chat.agent import Agent
from chat.config import Limits

from boundedcollections import MiB
from chat.server import ChatServer

async def main():
    root = Path.cwd()
    server = ChatServer(Agent.bundled(root, "--fault", "flood"), root=root, limits=Limits(**{LIMITS}))
    print(await server.start("127.0.0.1", 0), flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""
WIDE = "\N{PILE OF POO}" + "x" * 16_000  # one wide character makes the text four times as large


async def flood(client: Raw, room: str) -> None:
    """Read nothing, ask for the longest answers, and send as much as anybody takes."""
    await client.send("hello", room=room, sender="Flooder")
    try:
        async with asyncio.timeout(FLOOD_SECONDS):
            while True:
                await client.send("message", text=WIDE, agent=True, id="x" * 64)
                await client.send("since", next_seq=0)
    except TimeoutError:
        pass  # by now the server reads no more of this one


def peak_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    (kilobytes,) = re.findall(r"VmHWM:\s+(\d+) kB", status)
    return int(kilobytes) * 1_024


async def test_all_together_stay_below_the_worst_case(root: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PROGRAM),
        cwd=root,
        env=ENVIRONMENT,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    url = (await process.stdout.readline()).decode().strip()
    idle = peak_bytes(process.pid)
    try:
        async with contextlib.AsyncExitStack() as stack:
            clients = [
                await stack.enter_async_context(Raw(url)) for _ in range(LIMITS["max_connections"])
            ]
            async with asyncio.TaskGroup() as tasks:
                for number, client in enumerate(clients):
                    tasks.create_task(flood(client, f"room{number % LIMITS['max_rooms']}"))
            peak = peak_bytes(process.pid)
    finally:
        process.terminate()
        await process.wait()
    promised = Limits(**LIMITS).worst_case_bytes()
    assert idle + LIMITS["max_connections"] * MiB < peak < promised
