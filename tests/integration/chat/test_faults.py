"""Agents that go wrong, each in a way that has broken a server of this kind."""

import asyncio
from pathlib import Path

import pytest
from integration.chat.client import Client, eventually, faulty, serving

from boundedcollections import Line
from chat.agent import Agent
from chat.config import Limits
from chat.demo_agent.faults import HUGE, MANY
from chat.runner import Ended, Outcome, Runner

pytestmark = pytest.mark.usefixtures("nothing_left")


async def run(agent: Agent, root: Path, limits: Limits | None = None) -> tuple[Ended, list[Line]]:
    lines: list[Line] = []
    runner = Runner(agent, root=root, limits=limits or Limits(), on_line=lines.append)
    return await runner.run("list src"), lines


class TestOneRun:
    async def test_the_prompt_comes_on_stdin_whatever_is_in_it(self, root: Path) -> None:
        prompt = "--help; $(rm -rf /) `x` \0 ü " * 4_000
        lines: list[Line] = []
        runner = Runner(Agent.from_command("cat"), root=root, limits=Limits(), on_line=lines.append)
        assert (await runner.run(prompt)).outcome is Outcome.FINISHED
        assert "".join(line.text for line in lines) == prompt

    async def test_it_runs_in_the_folder_without_a_shell(self, root: Path) -> None:
        ended, lines = await run(Agent.from_command("ls '*' ."), root)
        assert [line.text for line in lines] == [".:", "README.md", "src"]
        assert ended.outcome is Outcome.FAILED
        assert "'*'" in (ended.error or "")

    async def test_nothing_in_the_folder_is_taken_for_a_part_of_the_agent(self, root: Path) -> None:
        """A folder that is looked into may hold anything, and must not be run."""
        for name in ("json.py", "chat.py", "argparse.py"):
            (root / name).write_text("raise SystemExit(99)\n")
        ended, _ = await run(Agent.bundled(root), root)
        assert ended.outcome is Outcome.FINISHED

    async def test_the_last_words_become_the_reason_without_the_paths_of_this_machine(
        self, root: Path
    ) -> None:
        agent = Agent(("sh", "-c", f"echo first >&2; echo no {root}/x >&2; exit 4"))
        ended, _ = await run(agent, root)
        assert ended.error == "exit status 4: no project/x"
        assert ended.stderr == f"first\nno {root}/x\n"

    async def test_a_death_by_signal_is_told_by_name(self, root: Path) -> None:
        ended, _ = await run(Agent(("sh", "-c", "kill -SEGV $$")), root)
        assert ended.error == "the agent was killed: Segmentation fault"

    async def test_what_it_wrote_before_it_died_is_not_lost(self, root: Path) -> None:
        ended, lines = await run(faulty(root, "crash"), root)
        assert ended.outcome is Outcome.FAILED
        assert ended.error == "exit status 3: OutOfCheese: please reinstall the universe"
        assert lines[-1].text == '{"type":"assistant","mess'

    async def test_all_of_a_flood_is_read(self, root: Path) -> None:
        ended, lines = await run(faulty(root, "flood"), root)
        assert ended.outcome is Outcome.FINISHED
        assert sum("flood" in line.text for line in lines) == MANY

    async def test_stderr_is_read_to_its_end_and_only_its_end_is_kept(self, root: Path) -> None:
        ended, lines = await run(faulty(root, "long-stderr"), root)
        assert ended.outcome is Outcome.FINISHED
        assert ended.stderr == "E" * Limits().max_stderr_bytes
        assert lines

    async def test_a_stop_before_the_start_is_a_stop(self, root: Path) -> None:
        runner = Runner(faulty(root, "slow"), root=root, limits=Limits(), on_line=lambda _: None)
        runner.stop()
        assert (await runner.run("x")).outcome is Outcome.STOPPED

    async def test_it_may_end_well_when_it_is_asked_to(self, root: Path) -> None:
        script = "trap 'echo goodbye; exit 0' INT; echo ready; while :; do sleep 0.01; done"
        lines: list[str] = []

        def hear(line: Line) -> None:
            lines.append(line.text)
            runner.stop()

        limits = Limits(interrupt_seconds=20.0)
        runner = Runner(Agent(("sh", "-c", script)), root=root, limits=limits, on_line=hear)
        assert (await runner.run("x")).outcome is Outcome.STOPPED
        assert lines == ["ready", "goodbye"]

    async def test_a_cancelled_run_leaves_neither_child_nor_grandchild_behind(
        self, root: Path
    ) -> None:
        heard: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        runner = Runner(
            Agent(("sh", "-c", "sleep 300 & echo $!; wait")),
            root=root,
            limits=Limits(),
            on_line=lambda line: heard.set_result(line.text),
        )
        task = asyncio.create_task(runner.run("x"))
        grandchild = int(await heard)
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()
        await eventually(lambda: not is_running(grandchild))

    async def test_whoever_escapes_with_the_pipes_does_not_hold_the_end_up(
        self, root: Path
    ) -> None:
        """A child that leads a session of its own cannot be found; it is not waited for."""
        escape = "setsid sh -c 'sleep 0.4; echo late' & printf 'here\\nhalf a line'"
        limits = Limits(drain_seconds=0.1)
        ended, lines = await run(Agent(("sh", "-c", escape)), root, limits)
        assert ended.outcome is Outcome.FINISHED
        assert [line.text for line in lines] == ["here", "half a line"]
        await asyncio.sleep(0.5)
        assert len(lines) == 2  # after the end, nothing is told

    def test_stop_is_over_within_a_second(self) -> None:
        limits = Limits()
        assert limits.interrupt_seconds + limits.terminate_seconds < 1


class TestInARoom:
    async def test_a_flood_leaves_only_the_newest_and_the_number_of_the_rest(
        self, root: Path
    ) -> None:
        async with serving(root, agent=faulty(root, "flood")) as url, Client(url) as ann:
            await ann.join()
            await ann.say("go", agent=True)
            seen = missed = 0
            while True:
                frame = await ann.receive()
                missed += frame.get("missed", 0)
                seen += frame["type"] == "item"
                if frame["type"] == "item" and frame["item"].get("state") == "finished":
                    break
            last = frame["item"]["seq"]
            assert seen + missed == last + 1
            async with Client(url) as late:
                _, history = await late.join()
            assert len(history["items"]) <= 500
            assert history["missed"] + len(history["items"]) == history["next_seq"] == last + 1

    async def test_people_are_heard_during_a_flood(self, root: Path) -> None:
        async with (
            serving(root, agent=faulty(root, "flood")) as url,
            Client(url) as ann,
            Client(url) as bob,
        ):
            await ann.join()
            await bob.join(room="other", sender="Bob")
            await ann.say("go", agent=True)
            await ann.item(kind="text")
            for number in range(10):
                await bob.say(str(number))
                assert (await bob.item())["text"] == str(number)

    async def test_a_line_without_end_is_cut_told_and_the_rest_goes_on(self, root: Path) -> None:
        async with serving(root, agent=faulty(root, "long-line")) as url, Client(url) as ann:
            await ann.join()
            _, notice, *rest = await ann.run("list src")
            assert (notice["kind"], notice["level"]) == ("notice", "warning")
            size = int("".join(filter(str.isdigit, notice["text"])))
            assert HUGE < size < HUGE + 1_000
            assert [item["kind"] for item in rest] == ["tool_use", "tool_result", "text", "run"]
            assert rest[-1]["state"] == "finished"

    async def test_a_crash_is_told_with_its_reason(self, root: Path) -> None:
        async with serving(root, agent=faulty(root, "crash")) as url, Client(url) as ann:
            await ann.join()
            *_, failed = await ann.run("go")
            assert failed["state"] == "failed"
            assert failed["error"].startswith("exit status 3: OutOfCheese")

    async def test_an_agent_that_does_not_listen_is_stopped_all_the_same(self, root: Path) -> None:
        async with serving(root, agent=faulty(root, "ignore-sigint")) as url, Client(url) as ann:
            await ann.join()
            await ann.say("go", agent=True)
            item = await ann.item(kind="text")
            await ann.send("stop", run=item["run"])
            assert (await ann.item(kind="run"))["state"] == "stopped"

    async def test_a_child_of_the_agent_ends_with_it(self, root: Path) -> None:
        limits = Limits(drain_seconds=1_000.0)  # so it ends because the child does
        async with (
            serving(root, agent=faulty(root, "spawn-child"), limits=limits) as url,
            Client(url) as ann,
        ):
            await ann.join()
            _, text, ended = await ann.run("go")
            assert ended["state"] == "finished"
            child = int(text["text"].split()[1])
            await eventually(lambda: not is_running(child))

    @pytest.mark.usefixtures("silent_collector")
    async def test_garbage_is_told_once_counted_and_survived(self, root: Path) -> None:
        async with serving(root, agent=faulty(root, "garbage")) as url, Client(url) as ann:
            await ann.join()
            items = await ann.run("list src")
            notices = [item["text"] for item in items if item["kind"] == "notice"]
            assert notices == [
                "a line of the agent is not stream-json: plain words",
                "6 lines of the agent were not stream-json",
            ]
            texts = [item["text"] for item in items if item["kind"] == "text"]
            assert texts[:2] == ["half ? a pair", "after the garbage"]
            assert items[-1]["state"] == "finished"

    async def test_a_run_that_takes_too_long_is_ended(self, root: Path) -> None:
        limits = Limits(run_seconds=0.5)
        async with (
            serving(root, agent=faulty(root, "slow"), limits=limits) as url,
            Client(url) as ann,
        ):
            await ann.join()
            *_, ended = await ann.run("go")
            assert ended["state"] == "timed_out"

    async def test_a_failure_that_the_agent_reports_itself_is_one(self, root: Path) -> None:
        line = '{"type":"result","is_error":true,"result":"limit reached"}'
        agent = Agent(("echo", line))
        async with serving(root, agent=agent) as url, Client(url) as ann:
            await ann.join()
            _, failed = await ann.run("go")
            assert (failed["state"], failed["error"]) == ("failed", "limit reached")


def is_running(pid: int) -> bool:
    """Whether the process is there and alive; one that only waits to be reaped is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
