import asyncio
import contextlib
import gc
import threading
import time
from collections.abc import Callable, Coroutine
from functools import partial

import pytest
from interruptions import interrupted_everywhere

from boundedcollections import BufferPool, Closed, WouldBlock
from boundedcollections._core.turns import Turns
from boundedcollections._core.waiters import ThreadWaiter
from boundedcollections.buffers import BufferLease
from boundedcollections.testing import check_invariants


def pool_of(max_buffers: int) -> BufferPool:
    return BufferPool(max_buffers=max_buffers, buffer_bytes=8, name="p")


async def queued(pool: BufferPool, count: int = 1) -> None:
    while pool.statistics().waiting < count:  # noqa: ASYNC110  # no event tells it
        await asyncio.sleep(0)


def strike_with_an_interrupt() -> None:
    raise KeyboardInterrupt


def borrow(pool: BufferPool) -> None:
    with contextlib.suppress(WouldBlock), pool.acquire_nowait() as buffer:
        buffer[0] = 1


@pytest.mark.filterwarnings("ignore:.*was never released:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
class TestInterruptions:
    """Whatever strikes, and wherever: every buffer is counted, and can be lent again."""

    def expect_whole(self, pool: BufferPool) -> None:
        assert not pool._lock._is_owned()  # type: ignore[attr-defined]
        gc.collect()
        check_invariants(pool)
        assert pool.statistics().waiting == 0
        leases = [pool.acquire_nowait() for _ in range(pool.max_buffers)]
        for lease in leases:
            lease.release()

    @pytest.mark.parametrize("way", ["nowait", "blocking"])
    @pytest.mark.parametrize("idle", [0, 1])
    def test_an_exception_out_of_the_blue_loses_no_buffer(self, way: str, idle: int) -> None:
        pool: BufferPool

        def prepare() -> Callable[[], object]:
            nonlocal pool
            pool = pool_of(1)
            if idle:
                pool.acquire_nowait().release()
            return use

        def use() -> None:
            acquire = pool.acquire_nowait if way == "nowait" else pool.acquire_blocking
            with acquire() as buffer:
                buffer[0] = 1

        for _ in interrupted_everywhere(prepare, strike_with_an_interrupt, within="collections/"):
            self.expect_whole(pool)

    def test_an_exception_while_waiting_loses_no_place_in_line(self) -> None:
        pool: BufferPool
        held: BufferLease

        def prepare() -> Callable[[], object]:
            nonlocal pool, held
            pool = pool_of(1)
            held = pool.acquire_nowait()
            return wait

        def wait() -> None:
            with contextlib.suppress(TimeoutError):
                pool.acquire_blocking(timeout_seconds=0.001)

        for _ in interrupted_everywhere(prepare, strike_with_an_interrupt, within="collections/"):
            held.release()
            self.expect_whole(pool)

    def test_an_exception_while_a_task_leaves_the_line_leaves_nobody_in_it(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pool = pool_of(1)
        lease = pool.acquire_nowait()
        leave = Turns._leave
        strikes = [KeyboardInterrupt]

        def struck(turns: Turns, place: object) -> None:
            if strikes:
                raise strikes.pop()
            leave(turns, place)

        async def begin() -> Coroutine[object, None, BufferLease]:
            steps = pool.acquire()
            steps.send(None)
            return steps

        steps = asyncio.run(begin())
        monkeypatch.setattr(Turns, "_leave", struck)
        with pytest.raises(KeyboardInterrupt):
            steps.throw(asyncio.CancelledError())
        lease.release()
        self.expect_whole(pool)

    def test_an_exception_while_a_pool_is_closed_leaves_nobody_asleep(self) -> None:
        pool: BufferPool
        threads: list[threading.Thread]

        def prepare() -> Callable[[], object]:
            nonlocal pool, threads
            pool = pool_of(1)
            held = pool.acquire_nowait()

            def wait() -> None:
                with contextlib.suppress(Closed):
                    pool.acquire_blocking()

            threads = [threading.Thread(target=wait) for _ in range(2)]
            for thread in threads:
                thread.start()
            while pool.statistics().waiting < 2:
                time.sleep(0.0005)

            def close() -> None:
                try:
                    pool.close()
                finally:
                    held.release()

            return close

        for point in interrupted_everywhere(
            prepare, strike_with_an_interrupt, within="collections/"
        ):
            if not pool.closed:
                assert point < 2, "closing is the first thing that is done"
                pool.close()
            for thread in threads:
                thread.join(10)
            assert not any(thread.is_alive() for thread in threads), point

    def test_a_handler_may_borrow_in_the_middle_of_everything(self) -> None:
        pool: BufferPool

        def prepare() -> Callable[[], object]:
            nonlocal pool
            pool = pool_of(1)
            return partial(borrow, pool)

        def strike() -> None:
            with contextlib.suppress(WouldBlock), pool.acquire_nowait() as buffer:
                buffer[1] = 2
            check_invariants(pool)

        for _ in interrupted_everywhere(prepare, strike, within="collections/"):
            self.expect_whole(pool)

    def test_a_handler_that_keeps_what_it_borrows_keeps_the_bound(self) -> None:
        pool: BufferPool
        kept: list[object] = []

        def prepare() -> Callable[[], object]:
            nonlocal pool
            kept.clear()
            pool = pool_of(1)
            return partial(borrow, pool)

        def strike() -> None:
            with contextlib.suppress(WouldBlock):
                kept.append(pool.acquire_nowait())

        for _ in interrupted_everywhere(prepare, strike, within="collections/"):
            check_invariants(pool)
            for lease in kept:
                lease.release()
            self.expect_whole(pool)

    def test_what_comes_back_while_a_thread_lies_down_keeps_it_awake(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pool: BufferPool
        held: list[object] = []

        class FallsAsleep(Exception):
            pass

        def sleep(waiter: ThreadWaiter, seconds: float | None) -> None:
            if not waiter._bell.acquire(blocking=False):
                assert not pool._stock.idle, "it sleeps over a free buffer"
                raise FallsAsleep

        def prepare() -> Callable[[], object]:
            nonlocal pool
            pool = pool_of(1)
            held[:] = [pool.acquire_nowait()]
            return wait

        def wait() -> None:
            with contextlib.suppress(FallsAsleep):
                pool.acquire_blocking().release()

        def strike() -> None:
            held[0].release()

        monkeypatch.setattr(ThreadWaiter, "sleep", sleep)
        for _ in interrupted_everywhere(prepare, strike, within="collections/"):
            self.expect_whole(pool)
        held[0].release()

    def test_an_exception_while_buffers_die_loses_no_slot(self) -> None:
        pool: BufferPool

        def prepare() -> Callable[[], object]:
            nonlocal pool
            pool = pool_of(2)
            leases = [pool.acquire_nowait(), pool.acquire_nowait()]
            for lease in leases:
                lease.release()
            return pool.drain

        for _ in interrupted_everywhere(prepare, strike_with_an_interrupt, within="collections/"):
            self.expect_whole(pool)
