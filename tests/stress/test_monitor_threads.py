import gc
import os
import random
import subprocess
import sys
import threading
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest
from stress.storm import for_a_while, storm
from watched import LIMIT, FakeProbe, Member

from boundedcollections import Closed, LimitReached, MemoryBudget, MemoryMonitor
from boundedcollections.memory import monitor as module
from boundedcollections.memory.policy import Level, PolicyConfig
from boundedcollections.memory.probe import Reading
from boundedcollections.memory.watch import Watch
from boundedcollections.testing import check_invariants

HURRIED = PolicyConfig(
    calm_seconds=0.001, fastest_seconds=0.001, pressed_seconds=0.001, slowest_seconds=0.002
)
USES = (100, 760, 870, 990)
"""In MiB: one for each level."""


class Restless(FakeProbe):
    """A process whose use is another one each time; at times it cannot be measured."""

    def read(self) -> Reading:
        assert not self.closed, "nothing is measured with a probe that was given back"
        if random.random() < 0.05:
            raise OSError("gone")
        self.use(random.choice(USES))
        return super().read()


class Guarded:
    """A budget, and the monitor that guards it at present; its listener does what it should not."""

    def __init__(self) -> None:
        self.budget = MemoryBudget(max_bytes=LIMIT)
        self.member = Member(300)
        self.budget.join(self.member)
        self.seen = Counter[str]()
        self.monitor = self.new_monitor()

    def new_monitor(self) -> MemoryMonitor:
        return MemoryMonitor(self.budget, config=HURRIED, on_level=self.listen)

    def listen(self, _previous: Level, level: Level) -> None:
        deeds = {
            "raise": self.fail,
            "exit": sys.exit,
            "look": self.monitor.look,
            "tick": self.monitor.tick,
            "close": self.monitor.close,
            "reserve": self.reserve,
        }
        deed = random.choice(list(deeds))
        self.seen[deed] += 1
        deeds[deed]()

    def fail(self) -> None:
        raise ValueError("boom")

    def reserve(self) -> None:
        with suppress(LimitReached):
            self.budget.reserve(1).release()

    def renew(self) -> None:
        old, self.monitor = self.monitor, self.new_monitor()
        old.close()
        assert old.closed
        assert not old.running
        check_invariants(old)

    def start(self) -> None:
        with suppress(Closed, RuntimeError):  # closed meanwhile, or on watch already
            self.monitor.start()

    def look(self) -> None:
        with suppress(SystemExit):
            self.monitor.look()

    def tick(self) -> None:
        with suppress(SystemExit):
            self.monitor.tick()

    def tell(self) -> None:
        monitor = self.monitor
        assert monitor.statistics().looks >= 0
        assert repr(monitor)


@for_a_while
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_monitors_are_started_and_closed_by_everybody_at_once(
    seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "best_probe", Restless)
    monkeypatch.setattr(gc, "collect", lambda: 0)
    monkeypatch.setattr(module, "find_trim", lambda: lambda: None)
    it = Guarded()
    storm(
        it.start, it.start, it.look, it.tick, it.renew, it.tell,
        seconds=seconds, seen=lambda: len(it.seen) == 6,
    )  # fmt: skip
    it.monitor.close()
    for thread in threading.enumerate():
        if isinstance(thread, Watch):  # closed before it was started, it is about to end
            thread.join(30)
            assert not thread.is_alive()
    assert it.budget.level is Level.NORMAL
    it.budget.admit()
    check_invariants(it.budget, it.monitor)


FORK = """
import os, random, sys, threading, time, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # threads and fork: that is the test
sys.setswitchinterval(1e-6)
from boundedcollections import MemoryBudget, MemoryMonitor
from boundedcollections.memory.policy import Level, PolicyConfig
from boundedcollections.testing import check_invariants

budget = MemoryBudget(max_bytes=1)  # so that every process is critical
children, told = [], []

def listen(previous, level):
    told.append(level)
    if len(children) < 3 and os.getpid() == parent:
        children.append(os.fork())  # in the middle of a tick
        if not children[-1]:
            watch_myself()

def watch_myself():
    assert not monitor.running
    assert monitor.level is Level.NORMAL
    assert threading.active_count() == 1
    monitor.start()
    while monitor.level is not Level.CRITICAL:
        time.sleep(0)
    monitor.close()
    assert monitor.level is Level.NORMAL
    check_invariants(monitor, budget)
    os._exit(7)

parent = os.getpid()
config = PolicyConfig(fastest_seconds=0.001, pressed_seconds=0.001, slowest_seconds=0.001)
monitor = MemoryMonitor(budget, config=config, on_level=listen, collect=False, trim=False)
monitor.start()
over = threading.Event()

def look():
    while not over.is_set():
        monitor.look()
        monitor.statistics()

threads = [threading.Thread(target=look) for _ in range(2)]
for thread in threads:
    thread.start()
for _ in range(int(sys.argv[1])):
    child = os.fork()
    if not child:
        watch_myself()
    children.append(child)
over.set()
for thread in threads:
    thread.join()
monitor.close()
codes = {os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children}
assert codes == {7}, codes
assert told
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
@pytest.mark.parametrize("forks", [10, pytest.param(1_000, marks=pytest.mark.long)])
def test_children_that_are_forked_at_any_moment_can_be_watched(forks: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORK, str(forks)],
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
