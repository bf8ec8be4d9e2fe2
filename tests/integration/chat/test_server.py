"""The server with real clients, on a real port."""

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from integration.chat.client import (
    PATIENCE_SECONDS,
    Client,
    Raw,
    eventually,
    faulty,
    server_of,
    serving,
)
from yarl import URL

from boundedcollections import KiB
from chat.agent import Agent
from chat.config import Limits

pytestmark = pytest.mark.usefixtures("nothing_left")

SMALL = Limits(
    max_history_items=20, max_ring_items=10, max_history_bytes=100 * KiB, max_ring_bytes=100 * KiB
)


def seqs(items: list[dict[str, Any]]) -> list[int]:
    return [item["seq"] for item in items]


class TestJoining:
    async def test_a_client_is_welcomed_and_told_its_limits_but_no_path(self, root: Path) -> None:
        async with serving(root) as url, Client(url) as ann:
            welcome, history = await ann.join(sender=" Ann ")
            assert (welcome["room"], welcome["sender"]) == ("lobby", "Ann")
            assert (welcome["version"], welcome["run"], welcome["members"]) == (1, None, 1)
            assert welcome["root"] == "project"
            assert welcome["limits"]["max_message_bytes"] == 16_384
            assert int(welcome["epoch"], 16) > 0
            assert history == {"type": "history", "items": [], "missed": 0, "next_seq": 0}
            assert str(root.parent) not in json.dumps(welcome)

    async def test_everybody_in_the_room_hears_a_message_and_nobody_else(self, root: Path) -> None:
        async with serving(root) as url, Client(url) as ann, Client(url) as bob, Client(url) as eve:
            await ann.join(sender="Ann")
            await bob.join(sender="Bob")
            await eve.join(room="other")
            await ann.say("hello ü 👩", id="a1")
            for client in (ann, bob):
                item = await client.item()
                assert item["kind"] == "message"
                assert (item["sender"], item["text"]) == ("Ann", "hello ü 👩")
                assert (item["id"], item["agent"], item["seq"]) == ("a1", False, 0)
            await eve.say("alone")
            assert (await eve.item())["text"] == "alone"

    async def test_the_others_are_counted(self, root: Path) -> None:
        async with serving(root) as url, Client(url) as ann:
            await ann.join()
            async with Client(url) as bob:
                assert (await bob.join())[0]["members"] == 2
                await ann.members(2)
            await ann.members(1)

    async def test_who_comes_late_gets_the_tail_and_the_number_of_what_is_gone(
        self, root: Path
    ) -> None:
        async with serving(root, limits=SMALL) as url, Client(url) as ann, Client(url) as bob:
            await ann.join()
            for number in range(30):
                await ann.say(str(number))
            while (await ann.item())["seq"] < 29:
                pass
            _, history = await bob.join()
            assert (history["missed"], history["next_seq"]) == (10, 30)
            assert seqs(history["items"]) == list(range(10, 30))

    async def test_who_comes_back_gets_exactly_what_it_missed(self, root: Path) -> None:
        async with serving(root) as url, Client(url) as bob:
            async with Client(url) as ann:
                welcome, _ = await ann.join()
                await ann.say("first")
                await ann.item()
            await bob.join()
            await bob.say("second")
            await bob.item(text="second")
            async with Client(url) as ann:
                _, history = await ann.join(epoch=welcome["epoch"], next_seq=1)
                assert [item["text"] for item in history["items"]] == ["second"]
                await bob.say("third")
                assert (await ann.item())["text"] == "third"

    async def test_a_message_that_is_sent_again_after_a_broken_line_is_not_said_twice(
        self, root: Path
    ) -> None:
        async with serving(root) as url, Client(url) as bob:
            await bob.join(sender="Bob")
            for end in ("broken", "mended"):
                async with Client(url) as ann:
                    await ann.join()
                    await ann.say("once", id="7")
                    await ann.say(end)
                    await ann.item(text=end)
            await bob.say("once", id="7")  # the same from somebody else is another message
            await bob.say("twice", id="7")  # and so is another text
            texts = [(await bob.item(kind="message"))["text"] for _ in range(5)]
            assert texts == ["once", "broken", "mended", "once", "twice"]

    @pytest.mark.parametrize(("epoch", "next_seq"), [("0123", 1), (None, 1), ("same", 99)])
    async def test_numbers_of_another_life_are_not_believed(
        self, root: Path, epoch: str | None, next_seq: int
    ) -> None:
        async with serving(root) as url, Client(url) as ann, Client(url) as bob:
            welcome, _ = await ann.join()
            await ann.say("first")
            await ann.item()
            known = welcome["epoch"] if epoch == "same" else epoch
            _, history = await bob.join(epoch=known, next_seq=next_seq)
            assert seqs(history["items"]) == [0]

    async def test_joining_in_the_middle_of_a_storm_leaves_no_hole_and_no_duplicate(
        self, root: Path
    ) -> None:
        limits = Limits(frames_per_second=10_000.0, burst_frames=10_000)

        async def speak(client: Client) -> None:
            for number in range(200):
                await client.say(str(number))

        async def listen(url: str, delay: float) -> None:
            await asyncio.sleep(delay)
            async with Client(url) as client:
                _, history = await client.join()
                seen = seqs(history["items"])
                while len(seen) < 200:
                    seen.append((await client.item())["seq"])
                assert seen == list(range(200))

        async with serving(root, limits=limits) as url, Client(url) as ann:
            await ann.join()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(speak(ann))
                for number in range(12):
                    tasks.create_task(listen(url, number * 0.005))


class TestTheSlow:
    async def test_who_does_not_read_delays_nobody_and_is_told_its_gap(self, root: Path) -> None:
        async with serving(root, limits=SMALL) as url, Client(url) as ann, Client(url) as bob:
            await ann.join()
            await bob.join()
            async with Raw(url) as stalled:
                await stalled.join()
                for number in range(50):
                    await ann.say(f"{number} " + "x" * 14_000)
                    assert (await bob.item())["seq"] == number  # although one does not read
                await ann.say("last")
                seen, missed, gaps = [], 0, 0
                while 50 not in seen:
                    frame = await stalled.receive()
                    assert frame is not None
                    if frame["type"] == "gap":
                        gaps += 1
                        missed += frame["missed"]
                    elif frame["type"] == "history":
                        seen += seqs(frame["items"])
                    elif frame["type"] == "item":
                        assert frame["item"]["seq"] == len(seen) + missed  # the gap is in its place
                        seen.append(frame["item"]["seq"])
                assert gaps > 0
                assert len(seen) + missed == 51
                # It asks for what it lacks, and gets what is still there.
                await stalled.send("since", next_seq=0)
                refill = await stalled.receive()
                assert refill is not None
                assert refill["type"] == "history"
                assert refill["missed"] + len(refill["items"]) == 51

    async def test_who_takes_nothing_for_too_long_is_cut_off(self, root: Path) -> None:
        limits = Limits(stall_seconds=0.3)
        async with (
            server_of(root, limits=limits) as (server, url),
            Client(url) as ann,
            Raw(url) as stalled,
        ):
            await stalled.join()
            await ann.join()
            for _ in range(40):
                await ann.say("x" * 16_000)
            await ann.members(1)
            sockets = server._runner.server
            assert sockets is not None
            await eventually(lambda: len(sockets.connections) == 1)  # without having read it

    async def test_a_flood_of_refills_is_written_one_after_the_other(self, root: Path) -> None:
        """Each answer waits for the one before it, so they do not pile up in the server."""
        async with (
            server_of(root) as (server, url),
            Client(url) as ann,
            Raw(url) as greedy,
        ):
            await ann.join()
            for number in range(25):
                await ann.say(f"{number} " + "x" * 16_000)
            await ann.item(seq=24)
            await greedy.join()
            for _ in range(10):
                await greedy.send("since", next_seq=0)
            await asyncio.sleep(0.2)
            waiting = [connection.unread_bytes for connection in server._connections]
            assert 100 * KiB < max(waiting) < 2 * 512 * KiB
            histories = 0
            while histories < 11:
                frame = await greedy.receive()
                assert frame is not None
                if frame["type"] == "history":
                    histories += 1
                    assert seqs(frame["items"]) == list(range(25))


class TestTheAgent:
    async def test_it_searches_the_real_files(self, root: Path) -> None:
        async with serving(root) as url, Client(url) as ann, Client(url) as bob:
            await ann.join()
            await bob.join(sender="Bob")
            started, use, result, text, ended = await ann.run("search TODO in .")
            assert started["sender"] == "Ann"
            assert {item["run"] for item in (started, use, result, text, ended)} == {started["run"]}
            assert (use["kind"], use["name"]) == ("tool_use", "search")
            assert json.loads(use["input"]) == {"text": "TODO", "path": "."}
            assert (result["kind"], result["is_error"]) == ("tool_result", False)
            assert result["output"] == "src/main.py:2: # TODO: tidy up"
            assert (result["tool_use"], result["truncated"]) == (use["tool_use"], False)
            assert result["bytes"] == len(result["output"])
            assert text["text"].startswith("Found 1 line with `TODO` in 1 file")
            assert (ended["state"], ended["error"]) == ("finished", None)
            assert ended["duration_ms"] >= 0
            assert (await bob.item(kind="run", state="finished"))["run"] == started["run"]

    async def test_the_whole_of_a_tool_call_can_be_fetched(self, root: Path) -> None:
        async with serving(root) as url, Client(url) as ann:
            await ann.join()
            _, use, result, *_ = await ann.run("read src/long.txt")
            assert result["truncated"] is True
            assert len(result["output"].encode()) == 2_048 < result["bytes"]
            await ann.send("tool", id=7, tool_use=use["tool_use"])
            whole = await ann.receive("tool")
            assert (whole["id"], whole["found"], whole["name"]) == (7, True, "read")
            assert json.loads(whole["input"])["path"] == "src/long.txt"
            assert whole["output"].endswith("  400  line 400")
            assert len(whole["output"].encode()) == result["bytes"]

    async def test_a_tool_call_that_is_not_kept_is_said_not_to_be(self, root: Path) -> None:
        async with serving(root) as url, Client(url) as ann:
            await ann.join()
            await ann.send("tool", id=8, tool_use="unknown")
            gone = await ann.receive("tool")
            assert (gone["id"], gone["found"], gone["output"]) == (8, False, None)

    async def test_it_does_one_thing_at_a_time_in_a_room(self, root: Path) -> None:
        async with serving(root, agent=faulty(root, "slow")) as url, Client(url) as ann:
            await ann.join()
            await ann.say("work", agent=True, id="first")
            await ann.item(kind="run", state="started")
            await ann.say("work more", agent=True, id="second")
            error = await ann.receive("error")
            assert (error["code"], error["id"]) == ("agent_busy", "second")
            await ann.say("people may talk")
            item = await ann.item(kind="message")
            assert item["text"] == "people may talk"  # so the refused message was never said

    async def test_only_so_many_are_at_work_in_all_rooms(self, root: Path) -> None:
        limits = Limits(max_runs=1)
        async with (
            serving(root, agent=faulty(root, "slow"), limits=limits) as url,
            Client(url) as ann,
            Client(url) as bob,
        ):
            await ann.join()
            await bob.join(room="other")
            await ann.say("work", agent=True)
            run = (await ann.item(kind="run"))["run"]
            await bob.say("work too", agent=True, id="b1")
            assert (await bob.receive("error"))["code"] == "agent_busy"
            await ann.send("stop", run=run)
            await ann.item(kind="run", state="stopped")
            await bob.say("work now", agent=True)
            await bob.item(kind="run", state="started")

    async def test_stop_ends_it_for_everybody_and_twice_is_once(self, root: Path) -> None:
        async with (
            serving(root, agent=faulty(root, "slow")) as url,
            Client(url) as ann,
            Client(url) as bob,
        ):
            await ann.join()
            await ann.say("work", agent=True)
            run = (await ann.item(kind="run", state="started"))["run"]
            await ann.item(kind="text")
            welcome, _ = await bob.join()
            assert welcome["run"] == run
            await bob.send("stop", run="another")
            for _ in range(3):
                await bob.send("stop", run=run)
            for client in (ann, bob):
                stopped = await client.item(kind="run")
                assert (stopped["run"], stopped["state"]) == (run, "stopped")
                assert stopped["error"] is None
            await bob.send("stop", run=run)
            await bob.say("and now?")
            assert (await bob.item())["kind"] == "message"

    async def test_its_work_goes_on_when_the_one_who_asked_is_gone(self, root: Path) -> None:
        async with serving(root) as url, Client(url) as bob:
            await bob.join()
            async with Client(url) as ann:
                await ann.join()
                await ann.say("search TODO in .", agent=True)
                await ann.item(kind="run", state="started")
            await bob.item(kind="run", state="finished")

    async def test_completion_finds_files(self, root: Path) -> None:
        async with serving(root) as url, Client(url) as ann:
            await ann.join()
            for number in range(100):
                await ann.send("complete", id=number, query="main", limit=5)
                answer = await ann.receive("completions", "error")
                if answer.get("files"):  # the first index is there
                    break
                await asyncio.sleep(0.05)
            assert (answer["query"], answer["truncated"], answer["files"]) == ("main", False, 3)
            (found,) = answer["results"]
            assert found["path"] == "src/main.py"
            assert "".join(found["path"][place] for place in found["positions"]) == "main"
            await ann.send("complete", id=100, query="", limit=2)
            answer = await ann.receive("completions")
            assert [found["path"] for found in answer["results"]] == ["README.md", "src/long.txt"]


class TestWhatIsRefused:
    async def test_a_frame_above_the_limit_closes_the_connection(self, root: Path) -> None:
        async with serving(root) as url, Client(url) as ann:
            await ann.join()
            await ann.socket.send_str("x" * Limits().max_frame_bytes)
            assert (await ann.receive("error"))["code"] == "bad_json"
            await ann.socket.send_str("x" * (Limits().max_frame_bytes + 1))
            assert await ann.closed() == aiohttp.WSCloseCode.MESSAGE_TOO_BIG

    async def test_a_bad_frame_is_answered_and_the_connection_goes_on(self, root: Path) -> None:
        async with serving(root) as url, Client(url) as ann:
            await ann.send("message", text="too early", agent=False, id="e")
            assert (await ann.receive())["code"] == "not_joined"
            await ann.send("hello", room="no spaces please", sender="Ann")
            assert (await ann.receive())["code"] == "bad_field"
            await ann.join()
            await ann.send("hello", room="other", sender="Ann")
            assert (await ann.receive())["code"] == "already_joined"
            await ann.socket.send_str("nonsense")
            assert (await ann.receive())["code"] == "bad_json"
            await ann.socket.send_bytes(b"\x00")
            assert (await ann.receive())["code"] == "bad_json"
            await ann.send("news", id=5)
            unknown = await ann.receive()
            assert (unknown["code"], unknown["id"]) == ("bad_type", 5)
            await ann.say("x" * 20_000, id="long")
            long = await ann.receive()
            assert (long["code"], long["id"]) == ("bad_field", "long")
            assert "text must be 1 to 16384 bytes, got 20000 bytes" in long["message"]
            await ann.send("since", next_seq=1)
            assert (await ann.receive())["message"] == "next_seq must be at most 0 here, got 1"
            await ann.say("still here")
            assert (await ann.item())["text"] == "still here"

    async def test_who_is_too_fast_is_told_which_frame_was_not_taken(self, root: Path) -> None:
        limits = Limits(frames_per_second=5.0, burst_frames=3)
        async with serving(root, limits=limits) as url, Client(url) as ann:
            await ann.join()
            for number in range(6):
                await ann.say(str(number), id=str(number))
            frames = [await ann.receive("item", "error") for _ in range(6)]
            refused = [frame["id"] for frame in frames if frame["type"] == "error"]
            said = [frame["item"]["id"] for frame in frames if frame["type"] == "item"]
            assert {frame.get("code") for frame in frames} == {None, "rate_limited"}
            assert refused[0] == "2"  # hello was the first of three
            assert sorted(refused + said) == list("012345")

    async def test_who_does_not_say_hello_makes_room(self, root: Path) -> None:
        limits = Limits(hello_seconds=0.2)
        async with serving(root, limits=limits) as url, Client(url) as silent:
            assert await silent.closed() == aiohttp.WSCloseCode.POLICY_VIOLATION

    async def test_one_room_too_many(self, root: Path) -> None:
        limits = Limits(max_rooms=1)
        async with serving(root, limits=limits) as url, Client(url) as bob:
            async with Client(url) as ann:
                await ann.join(room="first")
                await bob.send("hello", room="second", sender="Bob")
                assert (await bob.receive("error"))["code"] == "too_many_rooms"
            async with asyncio.timeout(PATIENCE_SECONDS):
                while True:  # until the server has noticed that the first is gone
                    await bob.send("hello", room="second", sender="Bob")
                    if (await bob.receive("error", "welcome"))["type"] == "welcome":
                        break
                    await asyncio.sleep(0.01)

    @pytest.mark.parametrize(
        "origin", ["", "http://evil.example", "null", "http://127.0.0.1:1", "http://["]
    )
    async def test_a_foreign_page_may_not_connect(self, root: Path, origin: str) -> None:
        async with serving(root) as url:
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                async with Client(url, origin=origin):
                    pass
            assert caught.value.status == 403

    async def test_one_connection_too_many_is_refused_before_the_upgrade(self, root: Path) -> None:
        limits = Limits(max_connections=2)
        async with serving(root, limits=limits) as url, Client(url):
            async with Client(url):
                with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                    async with Client(url):
                        pass
                assert caught.value.status == 503
                assert caught.value.headers is not None
                assert int(caught.value.headers["Retry-After"]) >= 1
            async with asyncio.timeout(PATIENCE_SECONDS):
                while True:  # until the server has noticed that one is gone
                    try:
                        async with Client(url) as ann:
                            await ann.join()
                            break
                    except aiohttp.WSServerHandshakeError:
                        await asyncio.sleep(0.01)

    async def test_one_socket_too_many_is_closed_at_once(self, root: Path) -> None:
        limits = Limits(max_sockets=2)
        async with serving(root, limits=limits) as url, Client(url), Client(url) as ann:
            with pytest.raises(aiohttp.ClientConnectionError):
                async with Client(url):
                    pass
            await ann.join()


class TestPages:
    async def test_the_page_and_its_parts_are_served_with_their_types(self, root: Path) -> None:
        types = {
            "": "text/html",
            "static/app.js": "application/javascript",
            "static/styles/base.css": "text/css",
            "static/icon.svg": "image/svg+xml",
        }
        async with serving(root) as url, aiohttp.ClientSession() as session:
            for path, kind in types.items():
                async with session.get(url + path) as response:
                    assert (response.status, await response.read() != b"") == (200, True)
                    served = response.content_type.replace("text/java", "application/java")
                    assert served == kind
                    assert "default-src 'self'" in response.headers["Content-Security-Policy"]
                    assert response.headers["X-Content-Type-Options"] == "nosniff"
                    assert response.headers["Cache-Control"] == "no-cache"

    @pytest.mark.parametrize(
        "path", ["static/", "static/%2e%2e/server.py", "static/..%2fserver.py", "server.py"]
    )
    async def test_nothing_else_is_served(self, root: Path, path: str) -> None:
        async with (
            serving(root) as url,
            aiohttp.ClientSession() as session,
            session.get(URL(url + path, encoded=True)) as response,
        ):
            assert response.status in {403, 404}
            assert "Content-Security-Policy" in response.headers

    async def test_a_name_that_is_not_its_own_is_refused(self, root: Path) -> None:
        """A foreign page that has its name point here would be its own origin."""
        async with serving(root) as url, aiohttp.ClientSession() as session:
            for host in ("evil.example", "evil.example:80", "[", ""):
                async with session.get(url, headers={"Host": host}) as response:
                    assert response.status in {400, 421}
            for host in ("localhost:1", "127.0.0.1", "[::1]:80"):
                async with session.get(url, headers={"Host": host}) as response:
                    assert response.status == 200

    async def test_its_health_is_told_in_figures(self, root: Path) -> None:
        async with serving(root) as url, Client(url) as ann, aiohttp.ClientSession() as session:
            await ann.join()
            async with session.get(url + "healthz") as response:
                health = await response.json()
            assert (health["status"], health["connections"], health["rooms"]) == ("ok", 1, 1)
            assert health["worst_case_bytes"] == Limits().worst_case_bytes()


class TestTheEnd:
    async def test_the_server_sees_everybody_and_everything_out(self, root: Path) -> None:
        """That nothing is left is what the fixture of this module sees to."""
        agent = faulty(root, "ignore-sigint")
        async with contextlib.AsyncExitStack() as stack:
            async with serving(root, agent=agent) as url:
                clients = [await stack.enter_async_context(Client(url)) for _ in range(3)]
                for number, client in enumerate(clients[:2]):  # the third never says hello
                    await client.join(room=str(number))
                    await client.say("work", agent=True)
                    await client.item(kind="text")
                closed = [asyncio.create_task(client.closed()) for client in clients]
            assert await asyncio.gather(*closed) == [aiohttp.WSCloseCode.GOING_AWAY] * 3

    async def test_no_agent_starts_when_the_end_has_begun(self, root: Path) -> None:
        async with server_of(root) as (server, url), Client(url) as ann:
            await ann.join()
            await server._services.runs.aclose()
            await ann.say("work", agent=True)
            assert (await ann.receive("error"))["code"] == "agent_busy"

    async def test_a_client_that_does_not_read_does_not_hold_the_end_up(self, root: Path) -> None:
        limits = Limits(close_seconds=0.3)
        async with contextlib.AsyncExitStack() as stack, serving(root, limits=limits) as url:
            ann = await stack.enter_async_context(Client(url))
            stalled = await stack.enter_async_context(Raw(url))
            await stalled.join()
            await ann.join()
            for _ in range(40):
                await ann.say("x" * 16_000)
            await ann.item(seq=39)

    async def test_an_agent_that_is_not_there_is_told(self, root: Path) -> None:
        async with (
            serving(root, agent=Agent.from_command("no-such-program --at-all")) as url,
            Client(url) as ann,
        ):
            await ann.join()
            _, failed = await ann.run("work")
            assert failed["state"] == "failed"
            assert failed["error"] == "the agent cannot be started: No such file or directory"
            _, failed = await ann.run("again")
            assert failed["state"] == "failed"
