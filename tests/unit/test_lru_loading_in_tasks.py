import asyncio
import contextlib
import contextvars
import gc
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from caches import AsyncGate, Cache, Gate, auntil, until, waiting

from boundedcollections import RecursiveLoad, SizeAwareLRU
from boundedcollections.lru import loads as loading


class Struck(Exception):
    """What is thrown into a thread from outside."""


@pytest.fixture
def cache() -> Cache:
    return SizeAwareLRU(max_bytes=10_000)


@pytest.fixture(autouse=True)
def _no_load_is_left_over(cache: Cache) -> Any:
    yield
    assert not cache._loads._flights


class TestInTasks:
    async def test_what_is_missing_is_loaded_once_for_all_tasks(self, cache: Cache) -> None:
        gate = AsyncGate()
        asked = [asyncio.create_task(cache.aget_or_load("k", gate)) for _ in range(5)]
        await auntil(lambda: waiting(cache, "k") == 5)
        gate.open.set()
        assert await asyncio.gather(*asked) == ["value"] * 5
        assert gate.loads == 1
        assert await cache.aget_or_load("k", gate) == "value"

    async def test_an_error_reaches_all_tasks_and_is_not_kept(self, cache: Cache) -> None:
        gate = AsyncGate(OSError("no such thing"))
        asked = [asyncio.create_task(cache.aget_or_load("k", gate)) for _ in range(3)]
        await auntil(lambda: waiting(cache, "k") == 3)
        gate.open.set()
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [OSError] * 3
        assert gate.loads == 1
        assert "k" not in cache

    @pytest.mark.parametrize("victim", [0, 1, 2])
    async def test_cancelling_one_who_waits_does_not_cancel_the_load(
        self, cache: Cache, victim: int
    ) -> None:
        gate = AsyncGate()
        asked = [asyncio.create_task(cache.aget_or_load("k", gate)) for _ in range(3)]
        await auntil(lambda: waiting(cache, "k") == 3)
        asked[victim].cancel()
        outcomes = asyncio.gather(*asked, return_exceptions=True)
        await auntil(lambda: waiting(cache, "k") == 2)
        gate.open.set()
        kinds = [type(outcome) for outcome in await outcomes]
        assert kinds.count(str) == 2
        assert kinds[victim] is asyncio.CancelledError
        assert (gate.loads, gate.cancelled) == (1, 0)

    async def test_a_load_that_nobody_waits_for_any_more_is_cancelled(self, cache: Cache) -> None:
        gate = AsyncGate()
        asked = [asyncio.create_task(cache.aget_or_load("k", gate)) for _ in range(2)]
        await auntil(lambda: waiting(cache, "k") == 2)
        for each in asked:
            each.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
        await auntil(lambda: gate.cancelled == 1)
        assert cache.statistics().load_errors == 1

    async def test_who_comes_while_a_load_is_being_cancelled_loads_afterwards(
        self, cache: Cache
    ) -> None:
        gate = AsyncGate()
        first = asyncio.create_task(cache.aget_or_load("k", gate))
        await gate.begun.wait()
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)

        async def loader(key: str) -> str:
            assert gate.cancelled == 1  # one load per key at a time, even now
            return "mine"

        assert await cache.aget_or_load("k", loader) == "mine"

    async def test_a_loader_that_is_cancelled_by_itself_says_so_to_its_caller_alone(
        self, cache: Cache
    ) -> None:
        gate = AsyncGate(asyncio.CancelledError())
        first = asyncio.create_task(cache.aget_or_load("k", gate))
        await gate.begun.wait()

        async def loader(key: str) -> str:
            return "mine"

        second = asyncio.create_task(cache.aget_or_load("k", loader))
        await auntil(lambda: waiting(cache, "k") == 2)
        gate.open.set()
        assert await second == "mine"
        with pytest.raises(asyncio.CancelledError):
            await first

    async def test_a_loader_that_asks_for_its_own_key_is_told_so(self, cache: Cache) -> None:
        async def loader(key: str) -> object:
            return await cache.aget_or_load(key, loader)

        with pytest.raises(RecursiveLoad, match="'k'"):
            await cache.aget_or_load("k", loader)

    async def test_a_circle_through_other_keys_tasks_and_threads_is_found_too(
        self, cache: Cache
    ) -> None:
        async def a(key: str) -> object:
            return await asyncio.gather(asyncio.create_task(cache.aget_or_load("b", b)))

        async def b(key: str) -> object:
            return await asyncio.to_thread(cache.get_or_load, "c", c)

        def c(key: str) -> object:
            return asyncio.run(cache.aget_or_load("a", a))

        with pytest.raises(RecursiveLoad, match="'a'"):
            await asyncio.wait_for(cache.aget_or_load("a", a), 20)

    async def test_a_thread_is_not_blocked_for_what_it_has_to_load_itself(
        self, cache: Cache
    ) -> None:
        gate = AsyncGate()
        task = asyncio.create_task(cache.aget_or_load("k", gate))
        await gate.begun.wait()
        with pytest.raises(RecursiveLoad):
            cache.get_or_load("k", str)
        gate.open.set()
        assert await task == "value"

    async def test_a_task_is_not_made_to_wait_for_a_load_that_is_below_it(
        self, cache: Cache
    ) -> None:
        def loader(key: str) -> object:
            return contextvars.Context().run(asyncio.run, cache.aget_or_load(key, AsyncGate()))

        with pytest.raises(RecursiveLoad):
            await asyncio.to_thread(cache.get_or_load, "k", loader)

    async def test_a_loader_may_clear_the_cache(self, cache: Cache) -> None:
        async def loader(key: str) -> str:
            cache.clear()
            return "value"

        assert await cache.aget_or_load("k", loader) == "value"
        assert dict(cache) == {"k": "value"}

    async def test_a_value_too_large_to_be_kept_is_returned(self, cache: Cache) -> None:
        async def loader(key: str) -> str:
            return "x" * 20_000

        assert len(await cache.aget_or_load("k", loader)) == 20_000
        assert len(cache) == 0

    async def test_the_load_runs_in_the_context_of_its_caller(self, cache: Cache) -> None:
        user = contextvars.ContextVar("user", default="nobody")
        user.set("ann")

        async def loader(key: str) -> str:
            return user.get()

        assert await cache.aget_or_load("k", loader) == "ann"

    async def test_what_a_loader_leaves_running_does_not_keep_the_value(self, cache: Cache) -> None:
        class Value:
            pass

        left: list[asyncio.Task[None]] = []

        async def loader(key: str) -> Value:
            left.append(asyncio.create_task(asyncio.sleep(20)))
            return Value()

        await cache.aget_or_load("k", loader)
        cache.clear()
        gc.collect()
        assert not [each for each in gc.get_objects() if isinstance(each, Value)]
        left[0].cancel()

    async def test_a_load_that_ended_just_before_is_not_repeated(self, cache: Cache) -> None:
        look, keep = (lambda: "there"), (lambda value: value)
        assert await cache._loads.arun("k", AsyncGate(), look, keep) == "there"
        assert cache.statistics().loads == 0

    def test_no_loop_no_load(self, cache: Cache) -> None:
        asking = cache.aget_or_load("k", AsyncGate)
        with pytest.raises(RuntimeError, match="no running event loop"):
            asking.send(None)


class TestAcrossLoopsAndThreads:
    def test_one_loop_after_the_other_uses_one_cache(self, cache: Cache) -> None:
        async def loader(key: str) -> str:
            await asyncio.sleep(0)
            return key.upper()

        async def ask_in_vain() -> None:
            asyncio.create_task(cache.aget_or_load("given up", AsyncGate()))  # noqa: RUF006
            await asyncio.sleep(0.01)  # the loop ends, and cancels it

        for key in "aab":
            asyncio.run(ask_in_vain())
            assert asyncio.run(cache.aget_or_load(key, loader)) == key.upper()
        assert (cache.statistics().loads, cache.statistics().load_errors) == (2, 3)

    def test_two_loops_and_a_thread_wait_for_one_load(
        self, cache: Cache, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(loading, "_LOOP_CHECK_SECONDS", 0.01)  # they look again and again
        loads = 0

        async def loader(key: str) -> str:
            nonlocal loads
            loads += 1
            await auntil(lambda: waiting(cache, "k") == 3)
            await asyncio.sleep(0.1)
            return "value"

        def in_a_loop() -> object:
            return asyncio.run(cache.aget_or_load("k", loader))

        with ThreadPoolExecutor(3) as pool:
            asked = [pool.submit(in_a_loop)]
            until(lambda: loads == 1)
            asked += [pool.submit(in_a_loop), pool.submit(cache.get_or_load, "k", str)]
            assert [each.result(20) for each in asked] == ["value"] * 3
        assert loads == 1

    async def test_a_task_waits_for_the_load_of_a_thread(self, cache: Cache) -> None:
        gate = Gate()
        with ThreadPoolExecutor(1) as pool:
            loading = pool.submit(cache.get_or_load, "k", gate)
            await asyncio.to_thread(gate.begun.wait, 20)
            asking = asyncio.create_task(cache.aget_or_load("k", AsyncGate("never")))
            await auntil(lambda: waiting(cache, "k") == 1)
            gate.open.set()
            assert await asking == loading.result(20) == "value"

    @pytest.mark.parametrize("other", ["thread", "loop"])
    def test_a_loop_that_is_closed_during_a_load_strands_nobody(
        self, cache: Cache, monkeypatch: pytest.MonkeyPatch, other: str
    ) -> None:
        monkeypatch.setattr(loading, "_LOOP_CHECK_SECONDS", 0.01)
        loop = asyncio.new_event_loop()
        gate = AsyncGate()
        first = loop.create_task(cache.aget_or_load("k", gate))
        loop.run_until_complete(gate.begun.wait())

        async def loader(key: str) -> str:
            return "mine"

        def ask() -> object:
            if other == "thread":
                return cache.get_or_load("k", lambda _: "mine")
            return asyncio.run(cache.aget_or_load("k", loader))

        with ThreadPoolExecutor(1) as pool:
            second = pool.submit(ask)
            until(lambda: waiting(cache, "k") == 2)
            load = cache._loads._flights["k"].task
            loop.close()
            assert second.result(20) == "mine"
        tasks: list[Any] = [first, load]
        for task in tasks:  # the loop was closed under them; spare the log its complaint
            task._log_destroy_pending = False

    async def test_who_leaves_from_another_loop_cancels_the_load_as_well(
        self, cache: Cache
    ) -> None:
        gate = AsyncGate()
        first = asyncio.create_task(cache.aget_or_load("k", gate))
        await gate.begun.wait()
        begun = threading.Event()

        async def give_up() -> None:
            begun.set()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(cache.aget_or_load("k", AsyncGate("never")), 0.2)

        other = asyncio.create_task(asyncio.to_thread(asyncio.run, give_up()))
        await auntil(lambda: waiting(cache, "k") == 2)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        assert gate.cancelled == 0
        await other
        await auntil(lambda: gate.cancelled == 1)


class TestStruckWhileLanding:
    """An asynchronous exception may strike before the first line of the landing of a load."""

    @pytest.fixture(autouse=True)
    def _first_landing_is_struck(self, monkeypatch: pytest.MonkeyPatch) -> None:
        land = loading.Loads._land
        strikes = [Struck()]

        def struck_once(*args: Any) -> None:
            if strikes:
                raise strikes.pop()
            land(*args)

        monkeypatch.setattr(loading.Loads, "_land", struck_once)

    async def test_a_load_that_was_done_still_wakes_who_waits(self, cache: Cache) -> None:
        gate = AsyncGate()
        asked = asyncio.create_task(cache.aget_or_load("k", gate))
        await gate.begun.wait()
        load = cache._loads._flights["k"].task
        assert load is not None
        gate.open.set()
        assert await asked == "value"
        with pytest.raises(Struck):
            await load

    async def test_a_load_without_a_task_is_not_left_for_others_to_wait_for(
        self, cache: Cache
    ) -> None:
        def refuse(_: Any, coroutine: Any, **__: Any) -> Any:
            coroutine.close()
            raise MemoryError

        loop = asyncio.get_running_loop()
        loop.set_task_factory(refuse)
        with pytest.raises(Struck) as caught:
            await cache.aget_or_load("k", AsyncGate())
        loop.set_task_factory(None)
        assert isinstance(caught.value.__context__, MemoryError)
        assert not cache._loads._flights


def test_the_interrupt_of_a_program_goes_through_the_loop(cache: Cache) -> None:
    async def loader(key: str) -> str:
        raise KeyboardInterrupt

    async def main() -> None:
        await cache.aget_or_load("k", loader)

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(main())
    assert cache.get_or_load("k", lambda _: "value") == "value"
