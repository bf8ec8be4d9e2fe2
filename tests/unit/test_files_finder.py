"""Two answers to each keystroke."""

import asyncio
import gc
import os
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError
from pathlib import Path

import pytest
from trees import plant

from boundedcollections.files.finder import FileFinder
from boundedcollections.files.index import ReplaceOnIndex
from boundedcollections.files.search import FileMatches, Search
from boundedcollections.files.standard import StandardEngine

PATHS = [
    *(f"src/x{n}/main_{n}.py" for n in range(20)),
    *(f"lib/{n}/domain.c" for n in range(5)),
    "m/a/i/n",
    "man",
]


@pytest.fixture
def index(tmp_path: Path) -> ReplaceOnIndex:
    index = ReplaceOnIndex(plant(tmp_path, *PATHS))
    index.index()
    return index


@pytest.fixture(autouse=True)
def _nothing_is_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StandardEngine, "quick_texts", 0)


class Gate:
    """Holds complete answers back until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached = threading.Semaphore(0)
        self.open = threading.Event()
        self.threads: set[str] = set()
        complete = Search.complete

        def complete_later(search: Search) -> FileMatches:
            self.threads.add(threading.current_thread().name)
            self.reached.release()
            assert self.open.wait(60)
            return complete(search)

        monkeypatch.setattr(Search, "complete", complete_later)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    gate = Gate(monkeypatch)
    yield gate
    gate.open.set()


def paths(matches: FileMatches) -> list[str]:
    return [match.path for match in matches]


class TestAnswers:
    def test_an_answer_that_cannot_be_better_is_final_at_once(self, index: ReplaceOnIndex) -> None:
        first, complete = index.finder(limit=3).search("main")
        assert (first.final, first.incomplete) == (True, False)
        assert complete.done()
        assert complete.result() is first
        assert paths(first) == ["src/x0/main_0.py", "src/x1/main_1.py", "src/x2/main_2.py"]

    def test_so_is_one_with_a_capital_among_many_that_have_none(self, tmp_path: Path) -> None:
        names = [*(f"test{n}" for n in range(500)), *(f"Test{n:04}" for n in range(5))]
        index = ReplaceOnIndex(plant(tmp_path, *names))
        index.index()
        first, _ = index.finder(limit=5).search("Te")
        assert first.incomplete  # the longest of them were not looked at
        for n in range(5):
            (tmp_path / f"Te{n}").touch()
        index.index()
        first, _ = index.finder(limit=5).search("Te")
        assert (first.final, first.incomplete) == (True, False)
        assert paths(first) == [f"Te{n}" for n in range(5)]

    def test_otherwise_the_complete_one_follows(self, index: ReplaceOnIndex) -> None:
        first, complete = index.finder().search("omn")
        assert (first.final, first.incomplete) == (False, True)
        matches = complete.result(timeout=60)
        assert (matches.final, matches.query) == (True, "omn")
        assert paths(matches) == [f"lib/{n}/domain.c" for n in range(5)]
        assert matches == index.search("omn")

    def test_a_query_without_terms_has_no_matches_at_once(self, index: ReplaceOnIndex) -> None:
        first, complete = index.finder().search(" ")
        assert (list(first), first.final, complete.result()) == ([], True, first)

    def test_typing_gives_what_searching_gives(self, index: ReplaceOnIndex) -> None:
        finder = index.finder()
        for text in ("mai", "dom/", "lib/3/dom", "mn py", "Mai", "xx"):
            for end in range(1, len(text) + 1):
                matches = finder.search(text[:end]).complete.result(timeout=60)
                assert paths(matches) == paths(index.search(text[:end]))

    def test_a_longer_query_is_narrowed(
        self, index: ReplaceOnIndex, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        finder = index.finder()
        finder.search("om").complete.result(timeout=60)
        finder.search("mm").complete.result(timeout=60)
        finder.search("om").complete.result(timeout=60)
        wait_for_threads()
        monkeypatch.setattr(StandardEngine, "most_texts", 0)
        matches = finder.search("omi").complete.result(timeout=60)
        assert paths(matches) == [f"lib/{n}/domain.c" for n in range(5)]
        assert list(finder.search("m").complete.result(timeout=60)) != []

    def test_an_index_that_is_replaced_is_searched_anew(
        self, index: ReplaceOnIndex, tmp_path: Path
    ) -> None:
        finder = index.finder()
        finder.search("om").complete.result(timeout=60)
        (tmp_path / "omega").touch()
        index.index()
        matches = finder.search("omg").complete.result(timeout=60)
        assert (paths(matches), matches.generation) == (["omega"], 2)

    def test_what_a_finder_keeps_for_a_longer_query_keeps_no_replaced_index(
        self, index: ReplaceOnIndex
    ) -> None:
        finder = index.finder()
        finder.search("om").complete.result(timeout=60)
        wait_for_threads()
        before = finder._narrowing
        assert before is not None
        assert before.tables() is not None
        index.index()
        index.search("om")
        gc.collect()
        assert finder._narrowing is before
        assert before.tables() is None

    def test_a_replaced_index_is_searched_to_the_end_as_it_was(
        self, index: ReplaceOnIndex, tmp_path: Path, gate: Gate
    ) -> None:
        complete = index.finder().search("omn").complete
        assert gate.reached.acquire(timeout=60)
        (tmp_path / "omni").touch()
        index.index()
        gate.open.set()
        matches = complete.result(timeout=60)
        assert (matches.generation, "omni" in paths(matches)) == (1, False)
        assert index.search("omni").generation == 2


class TestCancelling:
    def test_the_next_query_cancels_the_one_before(self, index: ReplaceOnIndex, gate: Gate) -> None:
        finder = index.finder()
        before = finder.search("omn").complete
        assert gate.reached.acquire(timeout=60)
        told: list[bool] = []
        before.add_done_callback(lambda future: told.append(future.cancelled()))
        after = finder.search("omni").complete
        assert before.cancelled()
        assert told == [True]
        gate.open.set()
        assert after.result(timeout=60).query == "omni"
        with pytest.raises(CancelledError):
            before.result()

    def test_of_what_waits_only_the_newest_is_completed(
        self, index: ReplaceOnIndex, gate: Gate
    ) -> None:
        busy, finder = index.finder(), index.finder()
        busy.search("omn")
        assert gate.reached.acquire(timeout=60)
        waiting = [finder.search(f"om{letter}").complete for letter in "abcdn"]
        assert [future.cancelled() for future in waiting] == [True] * 4 + [False]
        gate.open.set()
        waiting[-1].result(timeout=60)
        wait_for_threads()
        assert gate.reached.acquire(blocking=False)
        assert not gate.reached.acquire(blocking=False)  # two were completed, not six
        assert len(gate.threads) == 1

    def test_one_that_was_cancelled_is_not_completed(
        self, index: ReplaceOnIndex, gate: Gate
    ) -> None:
        busy, finder = index.finder(), index.finder()
        running = busy.search("omn").complete
        assert gate.reached.acquire(timeout=60)
        waiting = finder.search("omi").complete
        assert waiting.cancel()
        assert running.cancel()
        gate.open.set()
        wait_for_threads()
        assert not gate.reached.acquire(blocking=False)

    def test_waiting_has_a_timeout_and_then_goes_on(
        self, index: ReplaceOnIndex, gate: Gate
    ) -> None:
        complete = index.finder().search("omn").complete
        with pytest.raises(TimeoutError):
            complete.result(timeout=0.01)
        gate.open.set()
        assert len(complete.result(timeout=60)) == 5

    def test_closing_cancels_what_is_under_way(self, index: ReplaceOnIndex, gate: Gate) -> None:
        finder = index.finder()
        finder.close()
        complete = finder.search("omn").complete
        finder.close()
        assert complete.cancelled()
        gate.open.set()
        assert len(finder.search("omn").complete.result(timeout=60)) == 5

    async def test_a_task_can_wait_for_it_and_be_cancelled(
        self, index: ReplaceOnIndex, gate: Gate
    ) -> None:
        complete = index.finder().search("omn").complete
        task = asyncio.ensure_future(asyncio.wrap_future(complete))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0)  # the loop hands it on
        assert complete.cancelled()
        again = index.finder().search("omn").complete
        gate.open.set()
        assert len(await asyncio.wrap_future(again)) == 5

    def test_what_goes_wrong_is_told_to_who_waits(
        self, index: ReplaceOnIndex, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(search: Search) -> FileMatches:
            raise MemoryError("no more")

        with monkeypatch.context() as patch:
            patch.setattr(Search, "complete", fail)
            complete = index.finder().search("omn").complete
            with pytest.raises(MemoryError, match="no more"):
                complete.result(timeout=60)
        assert len(index.finder().search("omn").complete.result(timeout=60)) == 5

    def test_what_goes_wrong_when_nobody_waits_is_forgotten(
        self, index: ReplaceOnIndex, gate: Gate, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(search: Search) -> FileMatches:
            gate.reached.release()
            assert gate.open.wait(60)
            raise MemoryError("no more")

        with monkeypatch.context() as patch:
            patch.setattr(Search, "complete", fail)
            complete = index.finder().search("omn").complete
            assert gate.reached.acquire(timeout=60)
            complete.cancel()
            gate.open.set()
            wait_for_threads()
        assert len(index.finder().search("omn").complete.result(timeout=60)) == 5


class TestBadInput:
    def test_a_limit_below_one_is_refused(self, index: ReplaceOnIndex) -> None:
        with pytest.raises(ValueError, match="limit must be an integer of at least 1, got 0"):
            index.finder(limit=0)

    def test_a_query_must_be_a_text_and_cancels_nothing_otherwise(
        self, index: ReplaceOnIndex, gate: Gate
    ) -> None:
        finder = index.finder()
        complete = finder.search("omn").complete
        with pytest.raises(TypeError, match=r"query must be a text, got b'a'"):
            finder.search(b"a")  # type: ignore[arg-type]
        gate.open.set()
        assert len(complete.result(timeout=60)) == 5


class TestTables:
    def test_who_never_searches_pays_nothing(self, index: ReplaceOnIndex) -> None:
        before = index.current_bytes
        assert before == index.snapshot().bytes
        index.search("x")
        assert index.current_bytes > before

    def test_once_somebody_searches_a_scan_makes_them_before_it_ends(
        self, index: ReplaceOnIndex, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        index.search("x")
        index.index()
        monkeypatch.setattr(StandardEngine, "matcher", None)
        assert len(index.search("main", limit=5)) == 5

    def test_old_and_new_tables_count(self, index: ReplaceOnIndex) -> None:
        index.search("x")
        tables = index.current_bytes - index.snapshot().bytes
        index.index()
        assert index.peak_bytes >= 2 * index.snapshot().bytes + 2 * tables

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
    @pytest.mark.filterwarnings("ignore::DeprecationWarning")
    def test_a_forked_process_searches_with_threads_of_its_own(
        self, index: ReplaceOnIndex, gate: Gate
    ) -> None:
        finder = index.finder()
        finder.search("omn")
        assert gate.reached.acquire(timeout=60)  # the thread is busy, and is not in the child
        child = os.fork()
        if child == 0:
            gate.open = threading.Event()
            gate.open.set()
            status = 1
            try:
                if len(finder.search("omni").complete.result(timeout=60)) == 0:
                    status = 0
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_finder_shows_itself(index: ReplaceOnIndex) -> None:
    finder = index.finder(limit=7)
    assert isinstance(finder, FileFinder)
    assert repr(finder) == f"<FileFinder: at most 7 of {len(PATHS)} files>"


def wait_for_threads() -> None:
    for thread in threading.enumerate():
        if thread.name.endswith("search"):
            thread.join(60)


def test_a_forked_process_makes_threads_of_its_own(index: ReplaceOnIndex) -> None:
    finder = index.finder()
    assert finder.search("main").complete.result(30)
    searcher = index._searcher
    searcher._thread = threading.current_thread()  # of the parent; there is none in the child
    searcher._process = -1
    assert finder.search("xmain").complete.result(30)


def test_tables_that_another_thread_has_just_made_are_taken(index: ReplaceOnIndex) -> None:
    searcher = index._searcher
    snapshot = index.snapshot()

    class Awaited:
        def __enter__(self) -> None:
            searcher._made(snapshot)
            self.made = searcher._newest

        def __exit__(self, *_: object) -> None: ...

    searcher._newest = None
    awaited = searcher._making = Awaited()  # type: ignore[assignment]
    assert searcher.prepared(snapshot) is awaited.made


def test_an_empty_query_is_complete_as_soon_as_it_is_asked(index: ReplaceOnIndex) -> None:
    search = Search(*index._searcher.prepared(index.snapshot()), "", 10)
    assert search.first() == search.complete()
    assert search.complete().final
