import gc
import logging
from dataclasses import replace
from typing import Any

import pytest
from watched import LIMIT, Member, World, watched_world

from boundedcollections import MiB
from boundedcollections.memory import lookout
from boundedcollections.memory.policy import ONE_GIB_SERVICE, Level, decide

world = pytest.fixture(watched_world)


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
        world.monitor._lookout._reporter._logged_pauses = (
            world.monitor._pauses.statistics().newest_position
        )
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

        monkeypatch.setattr(lookout, "decide", decide_that)
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
