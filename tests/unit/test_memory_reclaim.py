import gc
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boundedcollections.memory import reclaim
from boundedcollections.memory.reclaim import Pacer, Reclaimer, find_trim, trim_of, tune_gc
from boundedcollections.testing import FakeClock

MIB = 1 << 20


class TestPacer:
    def test_it_is_due_at_once_and_then_after_ten_seconds(self) -> None:
        clock = FakeClock()
        pacer = Pacer(clock)
        assert pacer.is_due()
        pacer.note(seconds=0.01, gain=0.5)
        clock.advance(9.9)
        assert not pacer.is_due()
        clock.advance(0.2)
        assert pacer.is_due()

    def test_little_gain_doubles_the_pause_up_to_five_minutes(self) -> None:
        clock = FakeClock()
        pacer = Pacer(clock)
        for pause in (20, 40, 80, 160, 300, 300):
            pacer.note(seconds=0, gain=0.01)
            clock.advance(pause - 0.1)
            assert not pacer.is_due()
            clock.advance(0.1)
            assert pacer.is_due()
        pacer.note(seconds=0, gain=0.05)
        clock.advance(10)
        assert pacer.is_due()

    def test_new_hope_shortens_the_pause(self) -> None:
        clock = FakeClock()
        pacer = Pacer(clock)
        for _ in range(5):
            pacer.note(seconds=0.01, gain=0)
        clock.advance(1)
        assert not pacer.is_due(hope=0.24)
        assert pacer.is_due(hope=0.25)
        clock.advance(9)
        assert not pacer.is_due(hope=0.04)
        assert pacer.is_due(hope=0.05)

    def test_what_takes_long_is_done_the_more_rarely_whatever_the_hope(self) -> None:
        clock = FakeClock()
        pacer = Pacer(clock)
        pacer.note(seconds=2.0, gain=0.5)
        clock.advance(39.9)
        assert not pacer.is_due(hope=1.0)
        clock.advance(0.1)
        assert pacer.is_due()

    @given(
        runs=st.lists(
            st.tuples(st.floats(0, 3), st.floats(-1, 1), st.floats(-1, 1)), min_size=1, max_size=12
        )
    )
    def test_it_never_takes_more_than_a_twentieth_of_the_time(
        self, runs: list[tuple[float, float, float]]
    ) -> None:
        clock = FakeClock()
        pacer = Pacer(clock)
        busy = 0.0
        for seconds, gain, hope in runs:
            pacer.note(seconds=seconds, gain=gain)
            busy += seconds
            while not pacer.is_due(hope=hope):
                clock.advance(0.5)
        assert busy <= 0.05 * clock() + 1e-6


class Process:
    """A process whose memory and time pass as a test wants."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.rss_bytes = 100 * MIB
        self.gain = 0
        self.seconds = 0.01
        self.acts = 0

    def rss(self) -> int:
        return self.rss_bytes

    def act(self) -> None:
        self.acts += 1
        self.clock.advance(self.seconds)
        self.rss_bytes -= self.gain


class TestTrimming:
    def test_it_is_done_when_due_and_its_gain_is_counted(self) -> None:
        process = Process()
        process.gain = 40 * MIB
        reclaimer = Reclaimer(rss=process.rss, clock=process.clock, trim=process.act)
        assert reclaimer.trim_is_due()
        assert reclaimer.trim_if_due()
        assert not reclaimer.trim_is_due()
        assert not reclaimer.trim_if_due()
        figures = reclaimer.statistics()
        assert (figures.trims, figures.trimmed_bytes, figures.can_trim) == (1, 40 * MIB, True)
        assert figures.trim_seconds == pytest.approx(0.01)
        process.clock.advance(10)
        assert reclaimer.trim_if_due()
        assert process.acts == 2

    def test_without_gain_it_is_done_more_rarely(self) -> None:
        process = Process()
        process.gain = -1  # somebody allocated meanwhile
        reclaimer = Reclaimer(rss=process.rss, clock=process.clock, trim=process.act)
        reclaimer.trim_if_due()
        process.clock.advance(11)
        assert not reclaimer.trim_if_due()
        process.clock.advance(10)
        assert reclaimer.trim_if_due()
        assert reclaimer.statistics().trimmed_bytes == 0

    def test_what_has_become_idle_since_does_not_wait_for_that(self) -> None:
        process = Process()
        process.gain = 0
        reclaimer = Reclaimer(rss=process.rss, clock=process.clock, trim=process.act)
        assert reclaimer.trim_if_due(40 * MIB)
        process.clock.advance(2)
        assert not reclaimer.trim_if_due(60 * MIB)
        assert reclaimer.trim_if_due(70 * MIB)
        process.clock.advance(11)
        assert not reclaimer.trim_if_due(74 * MIB)
        assert reclaimer.trim_if_due(76 * MIB)

    def test_what_cannot_be_measured_is_not_trimmed(self) -> None:
        sizes, trimmed = [0], []
        reclaimer = Reclaimer(rss=lambda: sizes[-1], trim=lambda: trimmed.append(sizes.pop()))
        assert not reclaimer.trim_if_due(100 * MIB)
        sizes.append(100 * MIB)
        assert reclaimer.trim_if_due(100 * MIB)
        assert trimmed == [100 * MIB]
        assert reclaimer.statistics().trimmed_bytes == 0, "nobody saw how much it was"

    def test_where_there_is_nothing_to_trim_nothing_is_done(self) -> None:
        reclaimer = Reclaimer(rss=lambda: 1)
        assert not reclaimer.trim_is_due()
        assert not reclaimer.trim_if_due()
        assert not reclaimer.statistics().can_trim


class TestCollecting:
    def test_it_is_done_when_due_and_its_gain_is_counted(self) -> None:
        clock = FakeClock()
        garbage: list[list[object]] = []
        for _ in range(20_000):
            cycle: list[object] = []
            cycle.append(cycle)
            garbage.append(cycle)
        reclaimer = Reclaimer(rss=lambda: 1, clock=clock)
        garbage.clear()
        assert reclaimer.collect_if_due()
        assert not reclaimer.collect_if_due()
        figures = reclaimer.statistics()
        assert figures.collections == 1
        assert figures.collected_blocks > 15_000

    def test_without_gain_it_is_done_more_rarely(self) -> None:
        process = Process()
        reclaimer = Reclaimer(rss=process.rss, clock=process.clock, collect=process.act)
        reclaimer.collect_if_due()
        process.clock.advance(15)
        assert not reclaimer.collect_if_due()
        process.clock.advance(10)
        assert reclaimer.collect_if_due()
        assert process.acts == 2
        assert reclaimer.statistics().collect_seconds == pytest.approx(0.02)

    def test_it_can_be_left_to_python(self) -> None:
        assert not Reclaimer(rss=lambda: 1, collect=None).collect_if_due()


class TestMalloc:
    def test_glibc_can_trim(self) -> None:
        called: list[int] = []

        def malloc_trim(pad: int) -> None:
            called.append(pad)

        trim = trim_of(SimpleNamespace(gnu_get_libc_version=1, malloc_trim=malloc_trim))
        assert trim is not None
        trim()
        assert called == [0]

    @pytest.mark.parametrize("name", ["mallctl", "mi_malloc", "tc_malloc"])
    def test_another_allocator_in_its_place_is_let_alone(self, name: str) -> None:
        library = SimpleNamespace(gnu_get_libc_version=1, malloc_trim=print, **{name: 1})
        assert trim_of(library) is None

    def test_another_c_library_is_let_alone(self) -> None:
        assert trim_of(SimpleNamespace(malloc_trim=print)) is None

    @pytest.mark.parametrize("error", [OSError, TypeError])
    def test_a_system_without_such_a_library_cannot_trim(
        self, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
    ) -> None:
        def refuse(_: object) -> object:
            raise error

        monkeypatch.setattr(reclaim.ctypes, "CDLL", refuse)
        assert find_trim() is None

    @pytest.mark.skipif(
        find_trim() is None or not Path("/proc/self/statm").exists(), reason="needs glibc and /proc"
    )
    def test_freed_memory_leaves_the_process(self) -> None:
        """In a child, whose heap is known: what is freed in the middle of it stays until a trim."""
        script = """
from boundedcollections.memory.probe import LinuxProbe
from boundedcollections.memory.reclaim import Reclaimer, find_trim
probe = LinuxProbe()
rss = lambda: probe.read().rss_bytes
blocks = [bytes(20_000) for _ in range(4_000)]
last = blocks[-1]
del blocks
before = rss()
reclaimer = Reclaimer(rss=rss, trim=find_trim())
assert reclaimer.trim_if_due()
assert before - rss() > 60_000_000, (before, rss())
assert reclaimer.statistics().trimmed_bytes > 60_000_000
"""
        subprocess.run([sys.executable, "-c", script], check=True)


class TestTuning:
    def test_what_is_there_is_frozen(self) -> None:
        thresholds = gc.get_threshold()
        try:
            count = tune_gc()
            assert count >= gc.get_freeze_count() - 10 > 1_000
            assert len(gc.get_objects()) < 1_000
            assert gc.get_threshold() == thresholds
        finally:
            gc.unfreeze()

    def test_the_first_threshold_may_be_set(self) -> None:
        thresholds = gc.get_threshold()
        try:
            tune_gc(threshold=200)
            assert gc.get_threshold() == (200, *thresholds[1:])
        finally:
            gc.unfreeze()
            gc.set_threshold(*thresholds)

    @pytest.mark.parametrize("threshold", [0, -1, True, 1.5])
    def test_a_threshold_that_is_none_is_refused(self, threshold: int) -> None:
        with pytest.raises((TypeError, ValueError), match="threshold must be"):
            tune_gc(threshold=threshold)
