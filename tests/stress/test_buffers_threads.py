import asyncio
import contextlib
import gc
import random
import threading
import time

import pytest
from stress.storm import for_a_while, storm

from boundedcollections import BufferPool, WouldBlock
from boundedcollections.testing import check_invariants


class Users:
    """Everybody writes a mark of his own into a buffer, and must find it, and nothing else."""

    def __init__(self, pool: BufferPool) -> None:
        self.pool = pool
        self.lent = self.refused = 0
        self.lock = threading.Lock()

    def use(self, buffer: memoryview) -> None:
        mark = random.randbytes(1)
        assert buffer[0:1] == buffer[-1:] == b"\0", "somebody was here"
        buffer[0:1] = buffer[-1:] = mark
        if random.random() < 0.1:
            time.sleep(0)
        assert bytes(buffer[0:1]) == bytes(buffer[-1:]) == mark
        with self.lock:
            self.lent += 1

    def nowait(self) -> None:
        with contextlib.suppress(WouldBlock), self.pool.acquire_nowait() as buffer:
            self.use(buffer)

    def blocking(self) -> None:
        with contextlib.suppress(TimeoutError):
            seconds = random.choice([None, 0.0001, 5])
            with self.pool.acquire_blocking(timeout_seconds=seconds) as buffer:
                self.use(buffer)

    def tasks(self) -> None:
        async def use() -> None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(random.choice([None, 0, 0.0001, 0.001])):
                    with await self.pool.acquire() as buffer:
                        if random.random() < 0.5:
                            await asyncio.sleep(0)
                        self.use(buffer)

        async def main() -> None:
            async with asyncio.TaskGroup() as group:
                for _ in range(10):
                    group.create_task(use())

        asyncio.run(main())


@for_a_while
def test_many_threads_and_loops_share_few_buffers(seconds: float) -> None:
    pool = BufferPool(max_buffers=2, buffer_bytes=64)
    users = Users(pool)

    def look() -> None:
        assert pool.current_bytes <= pool.max_bytes
        check_invariants(pool)
        time.sleep(0.0005)

    storm(
        users.nowait, users.blocking, users.blocking, users.tasks, users.tasks, look,
        seconds=seconds,
    )  # fmt: skip
    figures = pool.statistics()
    assert figures.granted == figures.released >= users.lent > 0
    assert (figures.leased, figures.waiting, figures.viewed) == (0, 0, 0)
    assert figures.peak_bytes == pool.max_bytes


@for_a_while
@pytest.mark.filterwarnings("ignore:.*was never released:ResourceWarning")
def test_leaks_in_many_threads_lose_no_slot(seconds: float) -> None:
    pool = BufferPool(max_buffers=2, buffer_bytes=64)

    def leak() -> None:
        try:
            lease = pool.acquire_blocking(0.01)
        except TimeoutError:
            gc.collect()  # they may all be in cycles
            return
        if random.random() < 0.3:
            view = lease.buffer[:2]
            lease.release()
            del view
        elif random.random() < 0.5:
            cycle = [lease]
            cycle.append(cycle)  # type: ignore[arg-type]

    def use() -> None:
        with contextlib.suppress(TimeoutError), pool.acquire_blocking(1):
            time.sleep(0)

    storm(leak, leak, use, seconds=seconds)
    gc.collect()
    figures = pool.statistics()
    assert figures.leaked > 0
    assert (figures.leased, figures.waiting, figures.viewed) == (0, 0, 0)
    check_invariants(pool)
