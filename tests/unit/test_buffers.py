import asyncio
import contextlib
import gc
import threading
import time
import tracemalloc
from collections.abc import Callable, Coroutine

import pytest

from boundedcollections import BufferPool, Closed, KiB, WouldBlock
from boundedcollections.buffers import BufferLease, stock
from boundedcollections.buffers.lease import Buffer
from boundedcollections.memory.budget import MemoryBudget


def pool_of(max_buffers: int, **settings: object) -> BufferPool:
    return BufferPool(**{"max_buffers": max_buffers, "buffer_bytes": 8, "name": "p", **settings})


async def queued(pool: BufferPool, count: int = 1) -> None:
    while pool.statistics().waiting < count:  # noqa: ASYNC110  # no event tells it
        await asyncio.sleep(0)


class TestLeases:
    def test_a_buffer_is_lent_by_with_and_given_back(self) -> None:
        pool = pool_of(1)
        with pool.acquire_nowait() as buffer:
            assert bytes(buffer) == bytes(8)
            buffer[:3] = b"abc"
            assert pool.statistics().leased == 1
        figures = pool.statistics()
        assert (figures.leased, figures.idle, figures.granted, figures.released) == (0, 1, 1, 1)

    def test_a_lease_may_be_given_back_by_hand(self) -> None:
        pool = pool_of(1)
        lease = pool.acquire_nowait()
        lease.buffer[0] = 1
        assert not lease.released
        lease.release()
        assert lease.released

    def test_a_second_release_is_an_error_and_changes_nothing(self) -> None:
        pool = pool_of(1)
        lease = pool.acquire_nowait()
        lease.release()
        before = pool.statistics()
        with pytest.raises(RuntimeError, match="a lease of BufferPool 'p' was released already"):
            lease.release()
        assert pool.statistics() == before

    def test_the_end_of_a_block_tolerates_a_release_inside_it(self) -> None:
        pool = pool_of(1)
        lease = pool.acquire_nowait()
        with lease:
            lease.release()
        assert pool.statistics().released == 1

    def test_the_same_memory_is_lent_again_without_its_old_content(self) -> None:
        pool = pool_of(1)
        with pool.acquire_nowait() as buffer:
            first = id(buffer.obj)
            buffer[:] = b"password"
        with pool.acquire_nowait() as buffer:
            assert id(buffer.obj) == first
            assert bytes(buffer) == bytes(8)

    def test_the_memory_cannot_be_used_after_the_release(self) -> None:
        pool = pool_of(1)
        with pool.acquire_nowait() as buffer:
            pass
        with pytest.raises(ValueError, match="released memoryview"):
            buffer[0] = 1

    def test_the_repr_says_whose_it_is(self) -> None:
        pool = pool_of(1)
        lease = pool.acquire_nowait()
        assert repr(lease) == "<a lease of BufferPool 'p'>"
        lease.release()
        assert repr(lease) == "<a lease of BufferPool 'p' released>"


class TestViews:
    @pytest.mark.parametrize(
        "look", [lambda buffer: buffer[2:4], memoryview], ids=["a slice", "a view of the view"]
    )
    def test_memory_that_somebody_looks_at_is_not_lent_again(
        self, look: Callable[[memoryview], memoryview]
    ) -> None:
        pool = pool_of(1)
        with pool.acquire_nowait() as buffer:
            view = look(buffer)
        figures = pool.statistics()
        assert (figures.viewed, figures.idle, figures.current_bytes) == (1, 0, 8)
        with pytest.raises(WouldBlock):
            pool.acquire_nowait()
        view.release()
        del view, buffer
        gc.collect()
        assert pool.statistics().viewed == 0
        with pool.acquire_nowait():
            pass

    async def test_the_last_view_that_goes_wakes_who_waits(self) -> None:
        pool = pool_of(1)
        with pool.acquire_nowait() as buffer:
            view = buffer[:]
        waiting = asyncio.create_task(pool.acquire())
        await queued(pool)
        del view, buffer
        async with asyncio.timeout(10):
            (await waiting).release()


class TestLeaks:
    def test_a_dropped_lease_is_counted_and_told_and_its_slot_comes_back(self) -> None:
        pool = pool_of(1)
        with pytest.warns(ResourceWarning, match="a lease of BufferPool 'p' was never released"):
            pool.acquire_nowait()
        figures = pool.statistics()
        assert (figures.leaked, figures.leased, figures.current_bytes) == (1, 0, 0)
        pool.acquire_nowait().release()

    def test_a_lease_in_a_dead_cycle_is_found(self) -> None:
        pool = pool_of(1)
        cycle: list[object] = [pool.acquire_nowait()]
        cycle.append(cycle)
        del cycle
        with pytest.warns(ResourceWarning, match="never released"):
            gc.collect()
        assert pool.statistics().leaked == 1

    def test_a_leaked_buffer_that_is_still_viewed_keeps_its_slot(self) -> None:
        pool = pool_of(1)
        with pytest.warns(ResourceWarning):
            view = pool.acquire_nowait().buffer
        assert pool.statistics().viewed == 1
        with pytest.raises(WouldBlock):
            pool.acquire_nowait()
        del view
        assert pool.current_bytes == 0

    async def test_a_leak_wakes_who_waits(self) -> None:
        pool = pool_of(1)
        held = [pool.acquire_nowait()]
        waiting = asyncio.create_task(pool.acquire())
        await queued(pool)
        with pytest.warns(ResourceWarning):
            held.clear()
        async with asyncio.timeout(10):
            (await waiting).release()

    def test_a_pool_may_die_before_its_leases(self) -> None:
        leases = [pool_of(2).acquire_nowait()]
        gc.collect()
        leases[0].buffer[0] = 1
        leases.pop().release()


class TestTheBound:
    def test_no_more_buffers_exist_than_the_bound_says(self) -> None:
        pool = pool_of(3)
        leases = [pool.acquire_nowait() for _ in range(3)]
        with pytest.raises(WouldBlock, match="BufferPool 'p' has all 3 buffers lent"):
            pool.acquire_nowait()
        assert pool.current_bytes == pool.peak_bytes == pool.max_bytes == 24
        assert pool.statistics().rejected == 1
        for lease in leases:
            lease.release()
        assert pool.statistics().idle == 3

    def test_to_lend_and_to_give_back_looks_at_no_other_buffer(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pool = pool_of(100, budget=MemoryBudget(max_bytes=10_000))
        pool.acquire_nowait().release()
        monkeypatch.setattr(stock.Stock, "alive", lambda _: pytest.fail("it counts them all"))
        pool.acquire_nowait().release()
        monkeypatch.undo()
        assert pool.statistics().idle == 1

    def test_what_it_says_is_what_the_process_spends(self) -> None:
        pool = BufferPool(max_buffers=50, buffer_bytes=64 * KiB)
        gc.collect()
        tracemalloc.start()
        try:
            leases = [pool.acquire_nowait() for _ in range(50)]
            spent, _ = tracemalloc.get_traced_memory()
            assert pool.current_bytes <= spent <= pool.current_bytes + 50 * 600
            for lease in leases:
                lease.release()
            leases.clear()
            kept, _ = tracemalloc.get_traced_memory()
            assert pool.current_bytes <= kept <= pool.current_bytes + 50 * 300
            assert pool.drain() == 50 * 64 * KiB
            drained, _ = tracemalloc.get_traced_memory()
            assert drained < 50 * 64 * KiB // 100  # other threads allocate, too
        finally:
            tracemalloc.stop()

    @pytest.mark.parametrize("bound", ["max_buffers", "buffer_bytes"])
    @pytest.mark.parametrize("value", [0, -1, 1.5, "3", True])
    def test_a_bound_that_is_no_bound_is_refused(self, bound: str, value: object) -> None:
        with pytest.raises((TypeError, ValueError), match=f"{bound} must be"):
            BufferPool(**{"max_buffers": 1, bound: value})

    def test_a_buffer_that_cannot_be_had_leaves_the_pool_as_it_was(self) -> None:
        pool = BufferPool(max_buffers=1, buffer_bytes=1 << 62)
        for _ in range(2):
            with pytest.raises((MemoryError, OverflowError)):
                pool.acquire_nowait()
        assert pool.statistics().current_bytes == pool.statistics().granted == 0

    def test_the_repr_shows_used_and_limit(self) -> None:
        pool = pool_of(2)
        with pool.acquire_nowait():
            assert repr(pool) == "<BufferPool 'p' buffers=1/2>"
        pool.close()
        assert repr(pool) == "<BufferPool 'p' buffers=0/2 closed>"
        assert repr(BufferPool(max_buffers=3)) == "<BufferPool buffers=0/3>"
        assert (pool.max_buffers, pool.buffer_bytes) == (2, 8)


class TestWaiting:
    async def test_who_came_first_is_served_first(self) -> None:
        pool = pool_of(1)
        first = pool.acquire_nowait()
        served: list[int] = []

        async def want(number: int) -> None:
            with await pool.acquire():
                served.append(number)
                await asyncio.sleep(0)

        tasks = [asyncio.create_task(want(number)) for number in range(5)]
        await queued(pool, 5)
        with pytest.raises(WouldBlock):
            pool.acquire_nowait()
        first.release()
        with pytest.raises(WouldBlock):  # free, but somebody was here before
            pool.acquire_nowait()
        await asyncio.gather(*tasks)
        assert served == list(range(5))

    async def test_two_that_come_back_at_once_serve_two(self) -> None:
        pool = pool_of(2)
        leases = [pool.acquire_nowait(), pool.acquire_nowait()]
        tasks = [asyncio.create_task(pool.acquire()) for _ in range(2)]
        await queued(pool, 2)
        for lease in leases:
            lease.release()
        async with asyncio.timeout(10):
            for lease in await asyncio.gather(*tasks):
                lease.release()

    async def test_a_task_gives_up_after_its_time(self) -> None:
        pool = pool_of(1)
        with pool.acquire_nowait():
            with pytest.raises(TimeoutError, match="BufferPool 'p' got no buffer back in time"):
                await pool.acquire(timeout_seconds=0.01)
            assert pool.statistics().waiting == 0
            assert pool.statistics().rejected == 1
        with await pool.acquire(timeout_seconds=10):
            pass

    @pytest.mark.parametrize("order", ["release first", "cancel first"])
    async def test_release_and_cancel_in_one_tick_lose_nothing(self, order: str) -> None:
        pool = pool_of(1)
        lease = pool.acquire_nowait()
        cancelled = asyncio.create_task(pool.acquire())
        await queued(pool)
        next_one = asyncio.create_task(pool.acquire())
        await queued(pool, 2)
        for act in (lease.release, cancelled.cancel)[:: 1 if order == "release first" else -1]:
            act()
        async with asyncio.timeout(10):
            (await next_one).release()
        with contextlib.suppress(asyncio.CancelledError):
            (await cancelled).release()
        assert pool.statistics().leased == pool.statistics().waiting == 0

    def test_a_thread_waits_and_gives_up(self) -> None:
        pool = pool_of(1)
        lease = pool.acquire_nowait()
        got: list[bytes] = []

        def want() -> None:
            with pool.acquire_blocking() as buffer:
                got.append(bytes(buffer))

        thread = threading.Thread(target=want)
        thread.start()
        while pool.statistics().waiting == 0:
            time.sleep(0.001)
        with pytest.raises(TimeoutError):
            pool.acquire_blocking(timeout_seconds=0.01)
        lease.release()
        thread.join(10)
        assert got == [bytes(8)]

    def test_a_thread_that_need_not_wait_does_not(self) -> None:
        with pool_of(1).acquire_blocking(timeout_seconds=1) as buffer:
            assert len(buffer) == 8

    @pytest.mark.parametrize("seconds", [0, -1, float("nan"), "1"])
    async def test_a_time_that_is_no_time_is_refused(self, seconds: object) -> None:
        pool = pool_of(1)
        with pytest.raises((TypeError, ValueError), match="timeout_seconds"):
            await pool.acquire(seconds)
        with pytest.raises((TypeError, ValueError), match="timeout_seconds"):
            pool.acquire_blocking(seconds)

    def test_a_waiting_task_destroyed_with_its_loop_leaves_the_line(self) -> None:
        pool = pool_of(1)
        lease = pool.acquire_nowait()

        async def begin() -> Coroutine[object, None, BufferLease]:
            steps = pool.acquire()
            steps.send(None)
            return steps

        steps = asyncio.run(begin())
        assert pool.statistics().waiting == 1
        steps.close()
        assert pool.statistics().waiting == 0
        lease.release()


class TestClose:
    async def test_who_waits_learns_of_it(self) -> None:
        pool = pool_of(1)
        lease = pool.acquire_nowait()
        tasks = [asyncio.create_task(pool.acquire()) for _ in range(3)]
        await queued(pool, 3)
        pool.close()
        async with asyncio.timeout(10):
            results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(result) for result in results] == [Closed] * 3
        lease.release()
        assert pool.current_bytes == 0

    def test_nothing_is_lent_after_it_and_what_is_out_stays_good(self) -> None:
        pool = pool_of(2)
        lease = pool.acquire_nowait()
        pool.acquire_nowait().release()
        pool.close()
        pool.close()
        assert pool.closed
        with pytest.raises(Closed, match="BufferPool 'p' is closed"):
            pool.acquire_nowait()
        with pytest.raises(Closed):
            pool.acquire_blocking()
        lease.buffer[0] = 7
        assert pool.current_bytes == 8
        lease.release()
        assert pool.current_bytes == 0


class TestBudgets:
    def test_a_pool_makes_no_buffer_above_its_target(self) -> None:
        budget = MemoryBudget(max_bytes=1_000)
        pool = pool_of(10, buffer_bytes=100, budget=budget)
        assert budget.claimed_bytes == 0
        with budget.reserve(700):
            leases = [pool.acquire_nowait() for _ in range(3)]
            assert budget.claimed_bytes == pool.current_bytes == 300
            with pytest.raises(WouldBlock):
                pool.acquire_nowait()
            for lease in leases:
                lease.release()

    def test_idle_buffers_go_when_the_target_falls_and_lent_ones_when_they_come_back(self) -> None:
        budget = MemoryBudget(max_bytes=1_000)
        pool = pool_of(10, buffer_bytes=100, budget=budget)
        leases = [pool.acquire_nowait() for _ in range(8)]
        for lease in leases[:4]:
            lease.release()
        pool._aim(300)
        while pool._shed():
            if pool.statistics().idle == 0:
                break
        figures = pool.statistics()
        assert (figures.leased, figures.idle, figures.current_bytes) == (4, 0, 400)
        for lease in leases[4:]:
            lease.release()
        assert pool.current_bytes == 300
        assert not pool._shed()

    def test_who_is_asked_to_shed_within_its_target_keeps_its_idle_buffers(self) -> None:
        pool = pool_of(4, budget=MemoryBudget(max_bytes=1_000))
        pool.acquire_nowait().release()
        assert not pool._shed()
        assert pool.statistics().idle == 1

    def test_one_buffer_can_always_be_had(self) -> None:
        budget = MemoryBudget(max_bytes=250)
        pool = pool_of(10, buffer_bytes=100, budget=budget)
        greedy = pool_of(1, buffer_bytes=150, budget=budget, floor_bytes=150)
        greedy.acquire_nowait().release()
        with pool.acquire_nowait(), pytest.raises(WouldBlock):
            pool.acquire_nowait()

    def test_a_target_that_falls_while_a_buffer_is_made_holds_for_it(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pool = pool_of(2)

        def make(size: int) -> Buffer:
            pool._aim(8)
            return Buffer(size)

        with pool.acquire_nowait():
            monkeypatch.setattr(stock, "Buffer", make)
            with pytest.raises(WouldBlock):
                pool.acquire_nowait()
            assert pool.current_bytes == 8

    def test_a_pool_that_dies_leaves_its_budget(self) -> None:
        budget = MemoryBudget(max_bytes=1_000)
        pool = pool_of(10, buffer_bytes=100, budget=budget)
        pool.acquire_nowait().release()
        assert budget.claimed_bytes == 100
        del pool
        gc.collect()
        assert budget.claimed_bytes == 0

    def test_a_floor_that_is_none_is_refused(self) -> None:
        with pytest.raises(ValueError, match="floor_bytes"):
            pool_of(1, budget=MemoryBudget(max_bytes=100), floor_bytes=-1)
