import asyncio
import gc
import os
import subprocess
import sys
import threading
import time
from importlib import import_module
from importlib.util import find_spec

import pytest
from watched import LIMIT, FakeProbe, Member, watched_world

from boundedcollections import Closed
from boundedcollections.memory import monitor as module
from boundedcollections.memory import watch
from boundedcollections.memory.budget import MemoryBudget
from boundedcollections.memory.monitor import MemoryMonitor
from boundedcollections.memory.policy import Level, PolicyConfig
from boundedcollections.memory.probe import Reading

world = pytest.fixture(watched_world)


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

    def test_closing_does_not_wait_for_the_end_of_a_pause(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(watch, "LOOK_SECONDS", 1_000.0)
        config = PolicyConfig(slowest_seconds=1_000)
        probe = FakeProbe()
        monitor = MemoryMonitor(MemoryBudget(max_bytes=LIMIT), probe=probe, config=config)
        monitor.start()
        while not monitor.statistics().looks:
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
        monkeypatch.setattr(watch, "LOOK_SECONDS", 0.01)
        with MemoryMonitor(MemoryBudget(max_bytes=LIMIT), probe=probe):
            assert went_on.wait(30)
        assert "could not finish a tick" in caplog.text

    def test_its_thread_ends_with_the_monitor(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(watch, "LOOK_SECONDS", 0.01)
        monitor = MemoryMonitor(MemoryBudget(max_bytes=LIMIT), probe=FakeProbe())
        monitor.start()
        thread = monitor._runner
        assert isinstance(thread, threading.Thread)
        while not monitor.statistics().looks:
            time.sleep(0.001)
        del monitor
        gc.collect()
        thread.join(30)
        assert not thread.is_alive()

    def test_a_thread_whose_monitor_is_gone_between_two_ticks_ends(self) -> None:
        monitor = MemoryMonitor(MemoryBudget(max_bytes=LIMIT), probe=FakeProbe())
        thread = watch.Watch(monitor, "watch")
        monitor.close()
        assert thread._tick() is None
        thread._sleep(1_000)  # and does not sleep
        del monitor
        gc.collect()
        assert thread._tick() is None
        thread.run()  # and does nothing

    def test_a_thread_that_cannot_be_started_leaves_the_monitor_idle(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def start(_: object) -> None:
            raise RuntimeError("can't start new thread")

        monitor = MemoryMonitor(MemoryBudget(max_bytes=LIMIT), probe=FakeProbe())
        with monkeypatch.context() as patch:
            patch.setattr(watch.Watch, "start", start)
            with pytest.raises(RuntimeError, match="new thread"):
                monitor.start()
        assert not monitor.statistics().running
        monitor.start()
        monitor.close()

    def test_closed_before_its_thread_runs_it_never_ticks(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        probe = FakeProbe()
        monitor = MemoryMonitor(MemoryBudget(max_bytes=LIMIT), probe=probe)
        start = watch.Watch.start

        def start_late(thread: watch.Watch) -> None:
            monitor.close()
            start(thread)
            thread.join(30)

        monkeypatch.setattr(watch.Watch, "start", start_late)
        monitor.start()
        assert (probe.reads, monitor.running, monitor.closed) == (0, False, True)

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
    def test_a_listener_that_ends_the_thread_leaves_nobody_on_watch(self) -> None:
        probe, over, watching = FakeProbe(), threading.Event(), []

        def listen(previous: Level, level: Level) -> None:
            watching.append(threading.current_thread())
            over.set()
            raise SystemExit

        probe.use(990)
        budget = MemoryBudget(max_bytes=LIMIT)
        monitor = MemoryMonitor(budget, probe=probe, on_level=listen)
        monitor.start()
        assert over.wait(30)
        watching[0].join(30)
        assert not monitor.statistics().running
        assert budget.level is Level.NORMAL, "nobody would end another level"
        monitor.start()
        assert monitor.statistics().running
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
from boundedcollections.memory.policy import Level, PolicyConfig
from boundedcollections.memory.probe import Reading
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

    async def test_who_stops_watching_ends_the_level(self) -> None:
        probe, changed = FakeProbe(), asyncio.Event()
        budget = MemoryBudget(max_bytes=LIMIT)
        monitor = MemoryMonitor(budget, probe=probe, trim=False, on_level=lambda *_: changed.set())
        probe.use(990)
        task = asyncio.create_task(monitor.run())
        async with asyncio.timeout(30):
            await changed.wait()
        assert budget.statistics().level is Level.CRITICAL
        task.cancel()
        await asyncio.wait([task])
        budget.admit()
        assert budget.statistics().level is Level.NORMAL
        monitor.close()

    async def test_a_tick_that_raises_ends_nothing(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        ticks = []

        def look(monitor: MemoryMonitor) -> None:
            ticks.append(monitor)
            if len(ticks) == 1:
                raise ValueError("boom")
            monitor.close()

        monkeypatch.setattr(MemoryMonitor, "look", look)
        config = PolicyConfig(fastest_seconds=0.01, pressed_seconds=0.01, slowest_seconds=0.01)
        monitor = MemoryMonitor(MemoryBudget(max_bytes=LIMIT), probe=FakeProbe(), config=config)
        async with asyncio.timeout(30):
            await monitor.run()
        assert len(ticks) == 2
        assert caplog.text.count("could not finish a tick") == 1

    async def test_where_no_thread_can_be_had_it_trims_in_the_task(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        trimmed = []

        def start(_: object) -> None:
            raise RuntimeError("can't start new thread")

        def trim() -> None:
            trimmed.append(threading.get_ident())
            monitor.close()

        monkeypatch.setattr(module, "find_trim", lambda: trim)
        probe = FakeProbe()
        monitor = MemoryMonitor(MemoryBudget(max_bytes=LIMIT), probe=probe)
        monitor.look()
        probe.use(900)
        monkeypatch.setattr(threading.Thread, "start", start)
        async with asyncio.timeout(30):
            await monitor.run()
        assert trimmed == [threading.get_ident()]

    async def test_closed_before_the_thread_that_trims_begins_nothing_is_trimmed(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        trimmed: list[str] = []
        start = threading.Thread.start

        def start_late(thread: threading.Thread) -> None:
            monitor.close()
            start(thread)

        monkeypatch.setattr(module, "find_trim", lambda: lambda: trimmed.append("trimmed"))
        probe = FakeProbe()
        monitor = MemoryMonitor(MemoryBudget(max_bytes=LIMIT), probe=probe)
        monitor.look()
        probe.use(900)
        monkeypatch.setattr(threading.Thread, "start", start_late)
        async with asyncio.timeout(30):
            await monitor.run()
        assert not trimmed

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


def test_closing_again_is_nothing_to_the_monitor_that_came_after() -> None:
    budget, probe = MemoryBudget(max_bytes=LIMIT), FakeProbe()
    first, second = (MemoryMonitor(budget, probe=probe) for _ in range(2))
    first.close()
    probe.use(990)
    second.look()
    first.close()
    assert budget.level is Level.CRITICAL
    second.close()


def test_closed_in_the_middle_of_a_look_the_probe_stays_open_until_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    probe, budget = FakeProbe(), MemoryBudget(max_bytes=LIMIT)
    inside, go_on = threading.Event(), threading.Event()
    was_closed = []

    def read() -> Reading:
        inside.set()
        go_on.wait(30)
        was_closed.append(probe.closed)
        return Reading(rss_bytes=LIMIT)

    monkeypatch.setattr(module, "best_probe", lambda: probe)
    monkeypatch.setattr(probe, "read", read)
    monitor = MemoryMonitor(budget)
    thread = threading.Thread(target=monitor.look)
    thread.start()
    assert inside.wait(30)
    monitor.close()
    go_on.set()
    thread.join(30)
    assert was_closed == [False]
    assert probe.closed
    assert budget.level is Level.NORMAL, "what was measured came too late"
