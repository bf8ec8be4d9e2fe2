import asyncio
import contextlib
import random
import threading
import time
from collections import Counter

from stress.storm import for_a_while, storm

from boundedcollections import ConnectionLimiter, LimitReached
from boundedcollections.limiter import Permit
from boundedcollections.testing import check_invariants

MOST, MOST_PER_KEY = 4, 2


class Room:
    """Counts who is inside by itself."""

    def __init__(self, limiter: ConnectionLimiter) -> None:
        self.limiter = limiter
        self.inside: Counter[object] = Counter()
        self.lock = threading.Lock()
        self.visits = self.refusals = 0

    def enter(self, permit: Permit) -> None:
        with self.lock:
            self.inside[permit.key] += 1
            assert self.inside.total() <= MOST
            assert self.inside[permit.key] <= MOST_PER_KEY
            self.visits += 1

    def leave(self, permit: Permit) -> None:
        with self.lock:
            self.inside[permit.key] -= 1
        permit.release()

    def refused(self) -> None:
        with self.lock:
            self.refusals += 1

    def nowait(self) -> None:
        try:
            permit = self.limiter.acquire_nowait(random.choice("ab"))
        except LimitReached:
            self.refused()
            return
        self.enter(permit)
        time.sleep(0)
        self.leave(permit)

    def blocking(self) -> None:
        try:
            permit = self.limiter.acquire_blocking(
                random.choice("abc"), random.choice([None, 0.0001])
            )
        except LimitReached:
            self.refused()
            return
        self.enter(permit)
        self.leave(permit)

    def tasks(self) -> None:
        async def visit() -> None:
            seconds = random.choice([None, 0, 0.0001, 0.001])
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    try:
                        permit = await self.limiter.acquire(random.choice("abcd"))
                    except LimitReached:
                        self.refused()
                        return
                    self.enter(permit)
                    try:
                        await asyncio.sleep(0)
                    finally:
                        self.leave(permit)

        async def main() -> None:
            async with asyncio.TaskGroup() as group:
                for _ in range(8):
                    group.create_task(visit())

        asyncio.run(main())


@for_a_while
def test_threads_and_loops_never_exceed_a_bound_and_lose_no_place(seconds: float) -> None:
    limiter = ConnectionLimiter(max_connections=MOST, max_per_key=MOST_PER_KEY, max_waiting=6)
    room = Room(limiter)

    def look() -> None:
        check_invariants(limiter)
        assert limiter.statistics().waiting <= limiter.max_waiting
        time.sleep(0.0005)

    storm(
        room.nowait, room.blocking, room.blocking, room.tasks, room.tasks, look, seconds=seconds
    )  # fmt: skip
    figures = limiter.statistics()
    assert room.inside.total() == 0
    assert (figures.connections, figures.waiting, figures.keys) == (0, 0, 0)
    assert figures.admitted == figures.released >= room.visits > 0
    refused = figures.refused_full + figures.refused_by_key + figures.timed_out
    assert refused == room.refusals
