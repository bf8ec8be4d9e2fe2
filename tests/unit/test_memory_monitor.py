import asyncio
import gc
import logging
import os
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import pytest

from boundedcollections import Closed, LimitReached, MiB
from boundedcollections.memory import monitor as module
from boundedcollections.memory.budget import MemoryBudget
from boundedcollections.memory.monitor import MemoryMonitor
from boundedcollections.memory.policy import LADDER, ONE_GIB_SERVICE, Level, decide
from boundedcollections.memory.probe import Reading
from boundedcollections.testing import FakeClock, check_invariants

LIMIT = 1_000 * MiB


class FakeProbe:
    """A process that uses as much as a test says."""

    def __init__(self) -> None:
        self.reading = Reading(rss_bytes=100 * MiB)
        self.error: Exception | None = None
        self.closed = False
        self.reads = 0

    def use(self, mebibytes: float, **other: Any) -> None:
        self.reading = Reading(rss_bytes=int(mebibytes * MiB), **other)

    def read(self) -> Reading:
        self.reads += 1
        if self.error is not None:
            raise self.error
        return self.reading

    def close(self) -> None:
        self.closed = True


class Member:
    """A collection that gives up ten MiB in each slice."""

    def __init__(self, mebibytes: int = 0) -> None:
        self.claimed_bytes = mebibytes * MiB
        self.target_bytes = 0
        self.threads: set[int] = set()
        self.stuck = False

    def shed(self) -> bool:
        self.threads.add(threading.get_ident())
        if not self.stuck and self.claimed_bytes > self.target_bytes:
            self.claimed_bytes = max(self.claimed_bytes - 10 * MiB, self.target_bytes)
        return self.claimed_bytes > self.target_bytes


class Acts:
    """Counts what would take time."""

    def __init__(self) -> None:
        self.trimmed = self.collected = 0

    def trim(self) -> None:
        self.trimmed += 1

    def collect(self) -> None:
        self.collected += 1


class World:
    """A budget, a monitor, and all that they look at, in the hands of a test."""

    def __init__(self, acts: Acts | None = None, **settings: Any) -> None:
        self.acts = acts or Acts()
        self.clock = FakeClock()
        self.probe = FakeProbe()
        self.budget = MemoryBudget(max_bytes=LIMIT, clock=self.clock)
        self.levels: list[tuple[Level, Level]] = []
        self.monitor = MemoryMonitor(
            self.budget,
            **{
                "probe": self.probe,
                "clock": self.clock,
                "name": "main",
                "on_level": lambda previous, level: self.levels.append((previous, level)),
                **settings,
            },
        )

    def pass_seconds(self, seconds: float) -> None:
        end = self.clock() + seconds
        while self.clock() < end:
            self.clock.advance(self.monitor.tick())


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    acts = Acts()
    monkeypatch.setattr(module, "find_trim", lambda: acts.trim)
    monkeypatch.setattr(module.gc, "collect", acts.collect)
    world = World(acts)
    yield world
    world.monitor.close()


class TestLevels:
    def test_the_level_follows_the_use_and_is_told(self, world: World) -> None:
        world.monitor.tick()
        assert world.monitor.level is Level.NORMAL
        for use, level in ((760, Level.ELEVATED), (860, Level.HIGH), (940, Level.CRITICAL)):
            world.clock.advance(1)
            world.probe.use(use)
            world.monitor.tick()
            assert world.monitor.level is world.budget.level is level
        assert [level for _, level in world.levels] == [1, 2, 3]
        world.probe.use(100)
        world.pass_seconds(30)
        assert world.levels[-1][1] is Level.NORMAL
        figures = world.monitor.statistics()
        assert figures.level_changes == len(world.levels)
        assert figures.alerts == 1
        check_invariants(world.monitor)

    def test_at_critical_nothing_new_is_let_in(self, world: World) -> None:
        world.monitor.admit()
        world.probe.use(950)
        world.monitor.tick()
        with pytest.raises(LimitReached):
            world.monitor.admit()
        with pytest.raises(LimitReached):
            world.budget.reserve(1)

    def test_a_full_group_counts_as_well(self, world: World) -> None:
        world.probe.use(10, group_bytes=950, group_limit_bytes=1_000)
        world.monitor.tick()
        assert world.monitor.level is Level.CRITICAL

    def test_waiting_for_memory_raises_the_level(self, world: World) -> None:
        world.probe.use(10, stalled_percent=50.0)
        world.monitor.tick()
        assert world.monitor.level is Level.ELEVATED

    def test_a_listener_that_raises_is_logged_and_counted(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        def listen(previous: Level, level: Level) -> None:
            raise ValueError("boom")

        world = World(on_level=listen)
        world.probe.use(800)
        world.monitor.tick()
        assert world.monitor.statistics().listener_errors == 1
        assert "boom" in caplog.text
        world.monitor.close()

    def test_a_listener_may_use_the_monitor_that_calls_it(self) -> None:
        seen: list[object] = []

        def listen(previous: Level, level: Level) -> None:
            seen.append(world.monitor.look())
            seen.append(world.monitor.statistics().level)
            world.monitor.close()

        world = World(on_level=listen)
        world.probe.use(800)
        world.monitor.tick()
        assert seen[1] is Level.ELEVATED
        assert world.monitor.closed
        assert world.probe.reads <= 2


class TestActing:
    def test_members_shed_what_is_above_their_targets(self, world: World) -> None:
        member = Member()
        world.budget.join(member, name="cache")
        world.monitor.tick()
        member.claimed_bytes = 800 * MiB
        world.probe.use(900)
        world.clock.advance(1)
        world.monitor.tick()
        assert member.claimed_bytes <= member.target_bytes < 620 * MiB

    def test_a_member_that_cannot_shrink_holds_nobody_up(self, world: World) -> None:
        member = Member(800)
        member.stuck = True
        world.budget.join(member, name="cache")
        world.probe.use(900)
        world.monitor.tick()
        assert member.claimed_bytes == 800 * MiB

    def test_garbage_is_collected_from_high_on_when_due(self, world: World) -> None:
        world.probe.use(800)
        world.pass_seconds(3)
        assert world.acts.collected == 0
        world.probe.use(870)
        world.pass_seconds(3)
        assert world.acts.collected == 1
        world.pass_seconds(60)
        assert 1 < world.acts.collected <= 4
        assert world.monitor.statistics().reclaimed.collections == world.acts.collected

    def test_malloc_is_trimmed_when_it_keeps_much(self, world: World) -> None:
        world.pass_seconds(2)
        assert world.acts.trimmed == 0
        world.probe.use(300)
        world.pass_seconds(2)
        assert world.acts.trimmed == 1
        assert world.monitor.statistics().reclaimed.trims == 1

    def test_both_can_be_left_undone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "find_trim", lambda: pytest.fail("it was asked for"))
        world = World(collect=False, trim=False)
        world.probe.use(100)
        world.pass_seconds(1)
        world.probe.use(900)
        world.pass_seconds(30)
        figures = world.monitor.statistics().reclaimed
        assert (figures.collections, figures.trims, figures.can_trim) == (0, 0, False)
        world.monitor.close()

    def test_shedding_ends_when_the_next_look_is_due(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        slices = []

        def catch_up(budget: MemoryBudget, max_seconds: float) -> bool:
            slices.append(max_seconds)
            world.clock.advance(0.1)
            return True

        monkeypatch.setattr(MemoryBudget, "catch_up", catch_up)
        world.monitor.tick()
        assert 9 <= len(slices) <= 11


class TestProbes:
    def test_a_probe_that_fails_is_logged_once_and_the_level_stays(
        self, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        world.probe.use(800)
        world.monitor.tick()
        world.probe.error = OSError("gone")
        world.pass_seconds(5)
        assert world.monitor.level is Level.ELEVATED
        assert caplog.text.count("MemoryMonitor 'main' cannot measure the process") == 1
        assert world.monitor.statistics().probe_errors > 1
        world.probe.error = None
        world.monitor.tick()
        world.probe.error = OSError("gone again")
        world.monitor.tick()
        assert caplog.text.count("cannot measure") == 2

    def test_before_the_first_reading_there_is_no_plan(self, world: World) -> None:
        world.probe.error = OSError("gone")
        assert world.monitor.look() is None
        assert world.monitor.tick() == LADDER.slowest_seconds
        figures = world.monitor.statistics()
        assert (figures.looks, figures.rss_bytes, figures.unmanaged_bytes) == (0, 0, 0)
        check_invariants(world.monitor)

    def test_a_probe_of_ones_own_is_not_closed(self, world: World) -> None:
        world.monitor.close()
        assert not world.probe.closed

    def test_the_probe_of_the_system_is_closed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        probe = FakeProbe()
        monkeypatch.setattr(module, "best_probe", lambda: probe)
        monitor = MemoryMonitor(MemoryBudget(max_bytes=LIMIT))
        monitor.tick()
        monitor.close()
        assert probe.closed

    def test_a_monitor_that_dies_leaves_nothing_behind(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        probe = FakeProbe()
        monkeypatch.setattr(module, "best_probe", lambda: probe)
        before = len(gc.callbacks)
        monitor = MemoryMonitor(MemoryBudget(max_bytes=LIMIT))
        assert len(gc.callbacks) == before + 1
        ref = weakref.ref(monitor)
        del monitor
        gc.collect()
        assert ref() is None
        assert probe.closed
        assert len(gc.callbacks) == before


class TestLog:
    def lines(self, caplog: pytest.LogCaptureFixture) -> list[Any]:
        return [record for record in caplog.records if hasattr(record, "memory_level")]

    def test_a_line_comes_every_thirty_seconds_with_all_figures(
        self, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, "boundedcollections")
        for number in range(5):
            member = Member(10 * number)
            world.budget.join(member, name=f"cache {number}")
            world.levels.append(member)  # keep it alive
        reservation = world.budget.reserve(5 * MiB)
        world.probe.use(200)
        world.pass_seconds(61)
        lines = self.lines(caplog)
        assert len(lines) == 2
        line = lines[0]
        assert line.name == "boundedcollections"
        assert line.levelno == logging.INFO
        assert line.memory_level == "normal"
        assert line.rss_bytes == line.used_bytes == 200 * MiB
        assert line.limit_bytes == LIMIT
        assert line.claimed_bytes == 100 * MiB
        assert line.reserved_bytes == 5 * MiB
        assert line.unmanaged_bytes == pytest.approx(95 * MiB)
        assert line.top == [(f"cache {n}", 10 * n * MiB) for n in (4, 3, 2)]
        assert "200.0 MiB of 1000.0 MiB used, 100.0 MiB claimed" in line.getMessage()
        assert "cache 4 40.0 MiB, cache 3 30.0 MiB" in line.getMessage()
        reservation.release()

    def test_the_pauses_since_the_line_before_are_in_it(
        self, world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        caplog.set_level(logging.INFO, "boundedcollections")
        monkeypatch.undo()  # collect for real
        gc.disable()
        world.monitor.tick()
        world.monitor._logged_pauses = world.monitor._pauses.statistics().newest_position
        for _ in range(3):
            gc.collect()
        world.clock.advance(31)
        world.monitor.tick()
        world.clock.advance(31)
        world.monitor.tick()
        gc.enable()
        first, second = self.lines(caplog)
        assert first.gc_pauses == 3
        assert first.gc_longest_seconds > 0
        assert (second.gc_pauses, second.gc_longest_seconds) == (0, 0.0)
        assert world.monitor.statistics().pauses.collections[2] >= 3

    def test_each_entry_into_critical_is_one_alert(
        self, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, "boundedcollections")
        for _ in range(2):
            world.probe.use(950)
            world.pass_seconds(20)
            world.probe.use(100)
            world.pass_seconds(20)
        alerts = [line for line in self.lines(caplog) if line.levelno == logging.CRITICAL]
        assert [line.memory_level for line in alerts] == ["critical", "critical"]
        assert world.monitor.statistics().alerts == 2

    def test_shorter_is_a_warning_and_better_is_news(
        self, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, "boundedcollections")
        world.probe.use(800)
        world.monitor.tick()
        world.probe.use(100)
        world.pass_seconds(20)
        severities = [(line.levelno, line.memory_level) for line in self.lines(caplog)]
        assert severities == [(logging.WARNING, "elevated"), (logging.INFO, "normal")]

    def test_a_process_that_does_not_shrink_is_said_so_once(
        self, world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settled = [False, True, True, False, True]

        def decide_that(*given: Any) -> Any:
            plan, state = decide(*given)
            return replace(plan, settled=settled.pop(0)), state

        monkeypatch.setattr(module, "decide", decide_that)
        world.probe.use(800)
        counts = []
        while settled:
            world.monitor.tick()
            counts.append(caplog.text.count("the process stays at 800.0 MiB although nothing is"))
        assert counts == [0, 1, 1, 1, 2]

    def test_the_seeds_numbers_are_a_preset(self) -> None:
        world = World(config=ONE_GIB_SERVICE)
        world.budget.resize(max_bytes=1024 * MiB)
        for use, level in ((499, 0), (501, 1), (801, 3)):
            world.clock.advance(1)
            world.probe.use(use)
            world.monitor.tick()
            assert world.monitor.level == level
        assert ONE_GIB_SERVICE.log_seconds == 30
        assert ONE_GIB_SERVICE.collect_from is Level.ELEVATED
        world.monitor.close()


class TestThread:
    def test_it_ticks_until_it_is_closed(self) -> None:
        probe = FakeProbe()
        levels: list[Level] = []
        critical = threading.Event()

        def listen(previous: Level, level: Level) -> None:
            levels.append(level)
            critical.set()

        budget = MemoryBudget(max_bytes=LIMIT)
        monitor = MemoryMonitor(budget, probe=probe, on_level=listen, name="main")
        monitor.start()
        assert monitor.statistics().running
        with pytest.raises(RuntimeError, match="keeps watch already"):
            monitor.start()
        probe.use(990)
        assert critical.wait(30)
        assert levels[0] is Level.CRITICAL
        monitor.close()
        monitor.close()
        assert not monitor.statistics().running
        assert monitor.level is Level.NORMAL  # nobody measures any more
        assert not any("main" in thread.name for thread in threading.enumerate())
        with pytest.raises(Closed):
            monitor.start()

    def test_its_own_thread_may_close_it(self) -> None:
        probe, closed = FakeProbe(), threading.Event()

        def listen(previous: Level, level: Level) -> None:
            monitor.close()
            closed.set()

        probe.use(990)
        monitor = MemoryMonitor(MemoryBudget(max_bytes=LIMIT), probe=probe, on_level=listen)
        monitor.start()
        assert closed.wait(30)
        assert not monitor.statistics().running

    def test_closing_does_not_wait_for_the_end_of_a_pause(self) -> None:
        probe = FakeProbe()
        monitor = MemoryMonitor(MemoryBudget(max_bytes=LIMIT), probe=probe)
        monitor.start()
        while not isinstance(monitor._sleeper, module.ThreadWaiter):
            time.sleep(0.001)
        monitor.close()
        assert probe.reads == 1

    def test_a_block_is_watched(self) -> None:
        with MemoryMonitor(MemoryBudget(max_bytes=LIMIT), probe=FakeProbe()) as monitor:
            assert monitor.statistics().running
        assert monitor.statistics().closed

    def test_a_tick_that_raises_ends_nothing(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        probe, raised, went_on = FakeProbe(), threading.Event(), threading.Event()

        def tick(monitor: MemoryMonitor) -> float:
            if not raised.is_set():
                raised.set()
                raise ValueError("boom")
            went_on.set()
            return 0.01

        monkeypatch.setattr(MemoryMonitor, "tick", tick)
        monkeypatch.setattr(module, "_LOOK_SECONDS", 0.01)
        with MemoryMonitor(MemoryBudget(max_bytes=LIMIT), probe=probe):
            assert went_on.wait(30)
        assert "could not finish a tick" in caplog.text

    def test_its_thread_ends_with_the_monitor(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "_LOOK_SECONDS", 0.01)
        monitor = MemoryMonitor(MemoryBudget(max_bytes=LIMIT), probe=FakeProbe())
        monitor.start()
        thread = monitor._runner
        assert isinstance(thread, threading.Thread)
        while monitor._sleeper is None:
            time.sleep(0.001)
        del monitor
        gc.collect()
        thread.join(30)
        assert not thread.is_alive()

    def test_a_thread_whose_monitor_is_gone_between_two_ticks_ends(self) -> None:
        monitor = MemoryMonitor(MemoryBudget(max_bytes=LIMIT), probe=FakeProbe())
        watch = module._Watch(monitor)
        monitor.close()
        assert watch._tick() is None
        watch._sleep(module.ThreadWaiter(), 1_000)  # and does not sleep
        del monitor
        gc.collect()
        assert watch._tick() is None

    def test_a_thread_that_cannot_be_started_leaves_the_monitor_idle(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def start(_: object) -> None:
            raise RuntimeError("can't start new thread")

        monitor = MemoryMonitor(MemoryBudget(max_bytes=LIMIT), probe=FakeProbe())
        with monkeypatch.context() as patch:
            patch.setattr(module._Watch, "start", start)
            with pytest.raises(RuntimeError, match="new thread"):
                monitor.start()
        assert not monitor.statistics().running
        monitor.start()
        monitor.close()

    def test_a_program_that_forgets_to_close_it_ends_all_the_same(self) -> None:
        script = """
from boundedcollections.memory.budget import MemoryBudget
from boundedcollections.memory.monitor import MemoryMonitor
monitor = MemoryMonitor(MemoryBudget(max_bytes=1 << 40))
monitor.start()
"""
        subprocess.run([sys.executable, "-W", "error", "-c", script], check=True, timeout=60)

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
    def test_a_forked_child_is_not_watched_and_may_start_its_own(self) -> None:
        script = """
import os, threading, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # threads and fork: that is the test
from boundedcollections.memory.budget import MemoryBudget
from boundedcollections.memory.monitor import MemoryMonitor
from boundedcollections.memory.policy import Level
budget = MemoryBudget(max_bytes=1)  # so that every process is critical
with MemoryMonitor(budget) as monitor:
    while monitor.level is not Level.CRITICAL:
        pass
    monitor._lock.acquire()
    child = os.fork()
    if not child:
        assert not monitor.statistics().running
        assert monitor.level is Level.NORMAL
        assert threading.active_count() == 1
        monitor.start()
        while monitor.level is not Level.CRITICAL:
            pass
        monitor.close()
        os._exit(7)
    monitor._lock.release()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
"""
        subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


class TestTask:
    async def test_it_ticks_until_it_is_closed(self) -> None:
        probe, member = FakeProbe(), Member(700)
        changed = asyncio.Event()
        budget = MemoryBudget(max_bytes=LIMIT)
        budget.join(member, name="cache")
        monitor = MemoryMonitor(budget, probe=probe, trim=False, on_level=lambda *_: changed.set())
        probe.use(990)
        task = asyncio.create_task(monitor.run())
        async with asyncio.timeout(30):
            await changed.wait()
            while member.claimed_bytes > member.target_bytes:  # noqa: ASYNC110  # no event
                await asyncio.sleep(0)
        assert monitor.statistics().running
        with pytest.raises(RuntimeError, match="already"):
            await monitor.run()
        assert member.threads == {threading.get_ident()}
        monitor.close()
        async with asyncio.timeout(30):
            await task
        assert not monitor.statistics().running
        with pytest.raises(Closed):
            await monitor.run()

    async def test_between_two_slices_other_tasks_run(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        slices, others = [], []

        def catch_up(budget: MemoryBudget, max_seconds: float) -> bool:
            slices.append(len(others))
            return len(slices) < 5

        async def other() -> None:
            while True:
                others.append("ran")
                await asyncio.sleep(0)

        monkeypatch.setattr(MemoryBudget, "catch_up", catch_up)
        monitor = MemoryMonitor(MemoryBudget(max_bytes=LIMIT), probe=FakeProbe())
        tasks = [asyncio.create_task(other()), asyncio.create_task(monitor.run())]
        async with asyncio.timeout(30):
            while monitor._sleeper is None:  # noqa: ASYNC110  # no event tells it
                await asyncio.sleep(0)
        assert len(slices) == len(set(slices)) == 5
        monitor.close()
        tasks[0].cancel()
        await asyncio.wait(tasks)

    async def test_malloc_is_trimmed_in_a_thread(self, monkeypatch: pytest.MonkeyPatch) -> None:
        probe, trimmed = FakeProbe(), []
        monkeypatch.setattr(
            module, "find_trim", lambda: lambda: trimmed.append(threading.get_ident())
        )
        monitor = MemoryMonitor(MemoryBudget(max_bytes=LIMIT), probe=probe)
        monitor.look()
        probe.use(900)
        task = asyncio.create_task(monitor.run())
        async with asyncio.timeout(30):
            while monitor._sleeper is None:  # noqa: ASYNC110  # no event tells it
                await asyncio.sleep(0)
        assert len(trimmed) == 1
        assert trimmed[0] != threading.get_ident()
        monitor.close()
        await task

    async def test_it_can_be_cancelled_and_started_again(self) -> None:
        monitor = MemoryMonitor(MemoryBudget(max_bytes=LIMIT), probe=FakeProbe())
        for _ in range(2):
            task = asyncio.create_task(monitor.run())
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert not monitor.statistics().running
        monitor.close()

    async def test_closed_in_the_middle_of_a_tick_it_ends_without_a_sleep(self) -> None:
        probe = FakeProbe()
        monitor = MemoryMonitor(
            MemoryBudget(max_bytes=LIMIT), probe=probe, on_level=lambda *_: monitor.close()
        )
        probe.use(990)
        async with asyncio.timeout(30):
            await monitor.run()
        assert monitor.statistics().closed

    @pytest.mark.skipif(find_spec("trio") is None, reason="trio is not installed")
    def test_it_runs_in_trio_as_well(self) -> None:
        trio = import_module("trio")
        probe, levels = FakeProbe(), []

        def listen(previous: Level, level: Level) -> None:
            levels.append(level)

        async def main() -> None:
            monitor = MemoryMonitor(MemoryBudget(max_bytes=LIMIT), probe=probe, on_level=listen)
            probe.use(990)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(monitor.run)
                while not levels:
                    await trio.sleep(0.001)
                monitor.close()

        trio.run(main)
        assert levels == [Level.CRITICAL]


class TestFigures:
    def test_they_are_those_of_the_last_look(self, world: World) -> None:
        world.budget.join(member := Member(50), name="cache")
        world.probe.use(300)
        world.monitor.tick()
        figures = world.monitor.statistics()
        assert (figures.rss_bytes, figures.used_bytes) == (300 * MiB, 300 * MiB)
        assert (figures.claimed_bytes, figures.limit_bytes) == (50 * MiB, LIMIT)
        assert (figures.looks, figures.probe_errors) == (1, 0)
        assert figures.unmanaged_bytes > 0
        assert not figures.running
        assert not figures.closed
        assert member.claimed_bytes

    def test_the_repr_shows_used_and_limit(self, world: World) -> None:
        assert repr(world.monitor) == f"<MemoryMonitor 'main' bytes=0/{LIMIT} normal idle>"
        world.monitor.close()
        assert "closed" in repr(world.monitor)
        with MemoryMonitor(MemoryBudget(max_bytes=9), probe=FakeProbe()) as monitor:
            assert repr(monitor).startswith("<MemoryMonitor bytes=")
            assert repr(monitor).endswith("running>")

    def test_after_closing_it_looks_no_more(self, world: World) -> None:
        world.monitor.tick()
        world.monitor.close()
        reads = world.probe.reads
        world.monitor.tick()
        assert world.probe.reads == reads

    @pytest.mark.parametrize("listener", [3, "print"])
    def test_a_listener_that_cannot_be_called_is_refused(self, listener: Any) -> None:
        with pytest.raises(TypeError, match="listener"):
            MemoryMonitor(MemoryBudget(max_bytes=9), probe=FakeProbe(), on_level=listener)


def test_what_a_forked_child_does_first_is_to_forget_who_watched() -> None:
    """The whole of it is tested above; this is what happens in the child, where it can be seen."""
    monitor = MemoryMonitor(MemoryBudget(max_bytes=LIMIT), probe=FakeProbe())
    monitor.start()
    runner = monitor._runner
    module._forget_threads()
    assert not monitor.statistics().running
    assert monitor.look() is not None
    monitor._end(runner)  # too late: it is not the one who watches
    monitor.start()
    monitor._end(runner)
    assert monitor.statistics().running
    monitor.close()


def test_looks_of_two_threads_at_once_are_one(world: World) -> None:
    inside, go_on = threading.Event(), threading.Event()
    read: Callable[[], Reading] = world.probe.read

    def slow() -> Reading:
        inside.set()
        go_on.wait(30)
        return read()

    world.probe.read = slow  # type: ignore[method-assign]
    thread = threading.Thread(target=world.monitor.look)
    thread.start()
    inside.wait(30)
    assert world.monitor.look() is None
    go_on.set()
    thread.join(30)
    assert world.monitor.statistics().looks == 1
