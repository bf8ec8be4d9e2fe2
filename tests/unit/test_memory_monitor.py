import gc
import threading
import weakref
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from watched import LIMIT, FakeProbe, Member, World, watched_world

from boundedcollections import LimitReached, MiB
from boundedcollections.memory import monitor as module
from boundedcollections.memory.budget import MemoryBudget
from boundedcollections.memory.monitor import MemoryMonitor
from boundedcollections.memory.policy import LADDER, Level
from boundedcollections.memory.probe import Reading
from boundedcollections.testing import check_invariants

world = pytest.fixture(watched_world)


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

    def test_while_the_probe_fails_nothing_is_reclaimed(self, world: World) -> None:
        world.probe.use(900)
        world.monitor.tick()
        assert (world.acts.collected, world.acts.trimmed) == (1, 1)
        world.probe.error = OSError("gone")
        world.pass_seconds(60)
        assert (world.acts.collected, world.acts.trimmed) == (1, 1)

    def test_a_probe_that_fails_between_look_and_trim_leaves_that_undone(
        self, world: World
    ) -> None:
        world.pass_seconds(2)
        world.probe.use(300)
        read = world.probe.read

        def read_once() -> Reading:
            world.probe.error = None if world.probe.error else OSError("gone")
            return replace(read(), rss_bytes=300 * MiB)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(world.probe, "read", read_once)
            world.probe.error = OSError("gone")
            world.monitor.tick()
        assert world.acts.trimmed == 0
        world.probe.error = None
        world.monitor.tick()
        assert world.acts.trimmed == 1

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
