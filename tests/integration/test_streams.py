"""Streams across processes, loops that end, and other libraries' ways to cancel."""

import asyncio
import os
import subprocess
import sys
import threading
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import pytest
from streams import Stream, drained

from boundedcollections.broadcast import Broadcast
from boundedcollections.channel import DropOldestChannel

anyio: Any = import_module("anyio") if find_spec("anyio") else None
BACKENDS = [name for name in ("asyncio", "trio") if find_spec(name)]


pytestmark = pytest.mark.usefixtures("every_build")

FORK = """
import os, sys, threading, time
from boundedcollections import DropOldestChannel

channel = DropOldestChannel(max_items=5)
idle = DropOldestChannel(max_items=5)
idle.send("inherited")
received = []
thread = threading.Thread(target=lambda: received.append(channel.receive_blocking()))
thread.start()
while not channel._parked:
    time.sleep(0.001)
child = os.fork()
if child == 0:
    channel.send("in the child")  # nobody is there to be woken
    try:
        channel.receive_nowait()
    except RuntimeError as error:
        refused = "may have only one" in str(error)
    fine = idle.receive_blocking(5) == "inherited" and len(channel) == 1
    os._exit(0 if refused and fine else 1)
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 0
assert received == []
channel.send("in the parent")
thread.join(10)
assert received == ["in the parent"]
assert idle.receive_nowait() == "inherited"
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_forked_while_a_thread_waits_has_the_items_but_not_the_receiver() -> None:
    options = ["-W", "ignore::DeprecationWarning"]  # 3.12 warns of forks beside threads
    subprocess.run([sys.executable, *options, "-c", FORK], check=True, timeout=60)


@pytest.mark.parametrize("times", [20, pytest.param(2_000, marks=pytest.mark.long)])
def test_a_loop_that_ends_while_threads_send_harms_nobody(times: int) -> None:
    channel = DropOldestChannel[int](max_items=50)
    hub = Broadcast[int](max_items=50)
    over = threading.Event()
    failures: list[BaseException] = []

    def flood() -> None:
        try:
            while not over.is_set():
                channel.send(1)
                hub.send(1)
        except BaseException as failure:
            failures.append(failure)

    received = missed = 0

    async def receive_a_little() -> None:
        nonlocal received, missed
        reader = hub.subscribe()
        asleep = [asyncio.create_task(hub.subscribe().receive()) for _ in range(3)]
        batch = await channel.receive_many()
        received, missed = received + len(batch.items), missed + batch.missed
        await reader.receive_many()
        await asyncio.sleep(0)
        del asleep  # the run cancels them, some of them just woken

    threads = [threading.Thread(target=flood) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(times):
        asyncio.run(receive_a_little())
    over.set()
    for thread in threads:
        thread.join(30)
    assert failures == []
    channel.close()
    while channel:
        received, missed = received + 1, missed + (channel.receive_nowait(), channel.missed)[1]
    figures = channel.statistics()
    assert (received, missed) == (figures.received, figures.missed)
    assert figures.sent == received + missed
    hub._check()
    assert hub._parked == {}


@pytest.mark.skipif(anyio is None, reason="anyio is not installed")
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("ticks", range(6))
@pytest.mark.parametrize("full", [False, True])
def test_a_scope_of_anyio_that_is_cancelled_at_any_tick_loses_nothing(
    backend: str, ticks: int, full: bool, stream: Stream
) -> None:
    sender, reader = stream
    items = [str(number) for number in range(200 if full else 1)]
    received: list[str] = []

    async def receive(scope: Any) -> None:
        with scope:
            while True:
                received.append(await reader.receive())
                received.extend((await reader.receive_many(max_items=3)).items)

    async def main() -> None:
        scope = anyio.CancelScope()
        async with anyio.create_task_group() as group:
            group.start_soon(receive, scope)
            if full:
                sender.send_many(items)
            for _ in range(ticks):
                await anyio.lowlevel.checkpoint()
            if not full:
                sender.send_many(items)
            scope.cancel()

    anyio.run(main, backend=backend)
    left = [item for item, _ in drained(reader)]
    assert received + left == items
    assert sender._parked == {}
    assert not reader.statistics().waiting
