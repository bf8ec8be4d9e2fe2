"""One budget for everything that the server keeps, and what it does when memory is short."""

import asyncio
import contextlib
import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from integration.chat.client import PATIENCE_SECONDS, Client, faulty, serving

from boundedcollections import GiB, MemoryBudget, MiB
from boundedcollections.memory.probe import Probe, best_probe
from chat.config import Limits
from chat.rooms import Rooms
from chat.stream_json import ToolResult, ToolUse
from chat.tools import ToolCalls


@contextlib.contextmanager
def ballast(share: float) -> Iterator[None]:
    """Hold so much more memory, as a part of what the process uses now."""
    held = mmap.mmap(-1, int(share * resident_bytes()))
    for start in range(0, len(held), mmap.PAGESIZE):
        held[start] = 1  # only pages that were written to are resident
    yield
    held.close()


def resident_bytes() -> int:
    probe: Probe = best_probe()
    with contextlib.closing(probe):
        return probe.read().rss_bytes


async def figures(url: str) -> dict[str, Any]:
    async with aiohttp.ClientSession() as session, session.get(url + "healthz") as response:
        told: dict[str, Any] = (await response.json())["memory"]
        return told


async def reaches(url: str, *levels: str) -> None:
    async with asyncio.timeout(2 * PATIENCE_SECONDS):
        while (await figures(url))["level"] not in levels:  # noqa: ASYNC110  # as a user asks
            await asyncio.sleep(0.1)


pytestmark = pytest.mark.usefixtures("nothing_left")


class TestWhatCanBeGivenUp:
    def test_rooms_and_tool_calls_share_one_bound(self) -> None:
        limits = Limits()
        budget = MemoryBudget(max_bytes=4 * MiB)
        rooms, tools = Rooms(limits, budget), ToolCalls(limits, budget)
        loud = [rooms.enter(name) for name in ("one", "two", "three")]
        for number in range(1_000):
            loud[number % 3].add("text", run="r", text=f"{number} " + "x" * 4_000)
            tools.begin("room", ToolUse(f"t{number}", "read", {}))
            tools.finish("room", ToolResult(f"t{number}", "y" * 20_000, is_error=False))
            assert budget.claimed_bytes <= budget.max_bytes
        assert budget.claimed_bytes > 2 * MiB
        assert 1 < len(tools) < 300

    def test_the_largest_item_of_a_room_is_taken_however_short_memory_is(self) -> None:
        limits = Limits(max_rooms=2)
        budget = MemoryBudget(max_bytes=5 * limits.item_bytes())
        room = Rooms(limits, budget).enter("lobby")
        text = "\0" * limits.max_message_bytes  # six bytes each, as JSON
        for _ in range(10):
            room.add("message", sender="Ann", text=text, id=None, agent=False)
        past, _ = room.listen(0)
        assert past.next_seq == 10
        assert len(past.items[-1]) > 6 * limits.max_message_bytes

    def test_a_room_that_was_given_up_leaves_the_budget(self) -> None:
        budget = MemoryBudget(max_bytes=4 * MiB)
        rooms = Rooms(Limits(max_rooms=1), budget)
        rooms.leave(rooms.enter("one"))
        members = len(budget.statistics().members)
        rooms.enter("two")
        assert len(budget.statistics().members) == members
        assert all("one" not in member.name for member in budget.statistics().members)


class TestWhenMemoryIsShort:
    async def test_newcomers_and_agents_have_to_wait_and_who_is_in_stays(self, root: Path) -> None:
        most = int(1.6 * resident_bytes())
        limits = Limits(max_rooms=4, max_runs=1)
        async with serving(root, limits=limits, max_process_bytes=most) as url, Client(url) as ann:
            await ann.join()
            with ballast(0.8):
                await reaches(url, "critical")
                with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                    async with Client(url):
                        pass
                assert caught.value.status == 503
                assert caught.value.headers is not None
                assert int(caught.value.headers["Retry-After"]) >= 1
                await ann.say("list src", agent=True)
                refusal = await ann.receive("error")
                assert (refusal["code"], refusal["message"][:15]) == (
                    "agent_busy",
                    "memory is short",
                )
                await ann.say("still here")
                assert await ann.item(text="still here")
            await reaches(url, "elevated", "normal")
            async with Client(url) as bob:
                await bob.join(sender="Bob")
                assert (await bob.run("list src"))[-1]["state"] == "finished"

    async def test_an_agent_at_work_has_its_memory_reserved(self, root: Path) -> None:
        limits = Limits()
        async with serving(root, agent=faulty(root, "slow")) as url, Client(url) as ann:
            await ann.join()
            await ann.say("list src", agent=True)
            started = await ann.item(kind="run", state="started")
            assert (await figures(url))["reserved_bytes"] == limits.run_bytes()
            await ann.send("stop", run=started["run"])
            await ann.item(kind="run", state="stopped")
            assert (await figures(url))["reserved_bytes"] == 0

    async def test_the_figures_are_told(self, root: Path) -> None:
        async with serving(root, max_process_bytes=32 * GiB) as url:
            told = await figures(url)
        assert told["level"] == "normal"
        assert told["limit_bytes"] == 32 * GiB
        assert 10 * MiB < told["rss_bytes"]
