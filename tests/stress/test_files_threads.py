"""Readers, scans and their ends in many threads at once, switching as often as they can."""

import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from trees import plant

from boundedcollections import Closed
from boundedcollections.files.index import ReplaceOnIndex

SHORT = 1.0
LONG = 30.0


@pytest.fixture(autouse=True)
def _switch_all_the_time() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


class Crowd:
    """Threads that repeat what they do until the time is over; the first error is raised."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._errors: list[BaseException] = []
        self._threads: list[threading.Thread] = []

    def add(self, work: Callable[[], object], count: int = 1) -> None:
        for _ in range(count):
            self._threads.append(threading.Thread(target=self._repeat, args=(work,)))

    def _repeat(self, work: Callable[[], object]) -> None:
        try:
            while time.monotonic() < self._end and not self._errors:
                work()
        except BaseException as error:
            self._errors.append(error)

    def run(self) -> None:
        for thread in self._threads:
            thread.start()
        for thread in self._threads:
            thread.join(120)
            assert not thread.is_alive(), "a thread waits for ever"
        if self._errors:
            raise self._errors[0]


@pytest.mark.parametrize(
    "seconds", [SHORT, pytest.param(LONG, marks=[pytest.mark.long, pytest.mark.timeout(300)])]
)
def test_readers_see_one_tree_or_the_other_and_never_half(tmp_path: Path, seconds: float) -> None:
    trees = [sorted(f"{letter}/{number:03}.{letter}" for number in range(150)) for letter in "ab"]
    places = [plant(tmp_path / str(n), *paths) for n, paths in enumerate(trees)]
    root = tmp_path / "root"
    root.symlink_to(places[0])
    index = ReplaceOnIndex(root)
    index.index()

    def switch_and_scan() -> None:
        other = tmp_path / "other"
        other.symlink_to(random.choice(places))
        other.replace(root)
        report = index.index()
        assert (report.files, report.truncated) == (150, ())

    def read() -> None:
        snapshot = index.snapshot()
        assert list(snapshot) in trees
        assert list(index) in trees
        assert len(index) == 150
        tree = trees[snapshot[0].startswith("b/")]
        assert snapshot[75] == tree[75]
        assert list(snapshot.prefix(tree[0][:4])) == tree[:10]

    def search() -> None:
        matches = index.search("07", limit=10)
        (letter,) = {match.path[0] for match in matches}
        assert [match.path for match in matches] == [
            f"{letter}/{n:03}.{letter}" for n in range(70, 80)
        ]

    def account() -> None:
        statistics = index.statistics()
        assert statistics.files == 150
        assert 0 < statistics.current_bytes <= statistics.max_bytes
        assert statistics.failed_scans == 0
        index._check()

    crowd = Crowd(seconds)
    crowd.add(switch_and_scan)  # one only: a scan during a switch would rightly see both
    crowd.add(read, 2)
    crowd.add(search, 2)
    crowd.add(account)
    crowd.run()
    index._check()


@pytest.mark.parametrize(
    "seconds", [SHORT, pytest.param(LONG, marks=[pytest.mark.long, pytest.mark.timeout(300)])]
)
def test_whoever_asks_for_a_scan_sees_what_was_there_when_they_asked(
    tmp_path: Path, seconds: float
) -> None:
    index = ReplaceOnIndex(plant(tmp_path, "some/file"))
    index.start(interval_seconds=0.001)

    def create_and_see() -> None:
        name = f"{threading.get_ident()}/{time.monotonic_ns()}"
        plant(tmp_path, name)
        report = index.index()
        assert report.errors == 0
        assert name in index
        (tmp_path / name).unlink()
        index.index()
        assert name not in index

    crowd = Crowd(seconds)
    crowd.add(create_and_see, 4)
    crowd.run()
    index.close()
    index._check()
    assert list(index) == ["some/file"]
    statistics = index.statistics()
    assert statistics.failed_scans == 0
    assert statistics.peak_bytes <= statistics.max_bytes


def test_closing_in_the_middle_of_everything_ends_everything(tmp_path: Path) -> None:
    plant(tmp_path, *(f"{a}/{b}" for a in range(20) for b in range(20)))
    for _ in range(20):
        index = ReplaceOnIndex(tmp_path)
        ready = threading.Barrier(5)

        def scan(index: ReplaceOnIndex = index, ready: threading.Barrier = ready) -> None:
            ready.wait()
            while True:
                try:
                    index.index()
                except Closed:
                    return

        threads = [threading.Thread(target=scan) for _ in range(4)]
        for thread in threads:
            thread.start()
        index.start(interval_seconds=0.001)
        ready.wait()
        time.sleep(random.random() / 100)
        index.close()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()
        index._check()
