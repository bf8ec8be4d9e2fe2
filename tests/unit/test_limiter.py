import asyncio
import contextlib
import gc
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from interruptions import interrupted_everywhere

from boundedcollections import Closed, ConnectionLimiter, LimitReached
from boundedcollections._core.turns import Turns
from boundedcollections.limiter import Permit
from boundedcollections.testing import FakeClock, check_invariants


def limiter_of(max_connections: int, **settings: Any) -> ConnectionLimiter:
    return ConnectionLimiter(**{"max_connections": max_connections, "name": "web", **settings})


async def queued(limiter: ConnectionLimiter, count: int = 1) -> None:
    while limiter.statistics().waiting < count:  # noqa: ASYNC110  # no event tells it
        await asyncio.sleep(0)


class Budget:
    def __init__(self) -> None:
        self.critical = False

    def admit(self) -> None:
        if self.critical:
            raise LimitReached("MemoryBudget", reason="memory", limit=9, retry_after_seconds=5)


class TestPermits:
    def test_a_permit_is_used_by_with(self) -> None:
        limiter = limiter_of(2)
        with limiter.acquire_nowait("ann") as permit:
            assert (permit.key, permit.released, len(limiter)) == ("ann", False, 1)
        assert permit.released
        figures = limiter.statistics()
        assert (figures.connections, figures.admitted, figures.released) == (0, 1, 1)

    def test_a_second_release_is_an_error_and_changes_nothing(self) -> None:
        limiter = limiter_of(1)
        permit = limiter.acquire_nowait()
        permit.release()
        before = limiter.statistics()
        with pytest.raises(RuntimeError, match="a permit of ConnectionLimiter 'web' was released"):
            permit.release()
        assert limiter.statistics() == before

    def test_a_lost_permit_is_told_and_its_place_comes_back(self) -> None:
        limiter = limiter_of(1, max_per_key=1)
        with pytest.warns(ResourceWarning, match="a permit of .*'web' was never released"):
            limiter.acquire_nowait("ann")
        figures = limiter.statistics()
        assert (figures.leaked, figures.connections, figures.keys) == (1, 0, 0)
        limiter.acquire_nowait("ann").release()

    async def test_a_lost_permit_lets_the_next_in(self) -> None:
        limiter = limiter_of(1, max_waiting=1)
        held = [limiter.acquire_nowait()]
        waiting = asyncio.create_task(limiter.acquire())
        await queued(limiter)
        with pytest.warns(ResourceWarning):
            held.clear()
        async with asyncio.timeout(10):
            (await waiting).release()

    def test_an_empty_limiter_is_still_a_limiter(self) -> None:
        assert limiter_of(1)


class TestRefusals:
    def test_one_too_many_is_refused_with_the_limit(self) -> None:
        limiter = limiter_of(2)
        permits = [limiter.acquire_nowait(), limiter.acquire_nowait()]
        with pytest.raises(LimitReached, match="'web' refuses: max_connections=2") as refusal:
            limiter.acquire_nowait()
        assert (refusal.value.reason, refusal.value.limit) == ("max_connections", 2)
        assert limiter.statistics().refused_full == 1
        for permit in permits:
            permit.release()

    async def test_without_a_line_nobody_waits(self) -> None:
        limiter = limiter_of(1)
        with limiter.acquire_nowait():
            with pytest.raises(LimitReached, match="max_connections=1"):
                await limiter.acquire()
            with pytest.raises(LimitReached, match="max_connections=1"):
                limiter.acquire_blocking()

    async def test_a_full_line_is_told_apart(self) -> None:
        limiter = limiter_of(1, max_waiting=2)
        permit = limiter.acquire_nowait()
        tasks = [asyncio.create_task(limiter.acquire()) for _ in range(2)]
        await queued(limiter, 2)
        with pytest.raises(LimitReached, match="max_waiting=2"):
            await limiter.acquire()
        permit.release()
        for task in tasks:
            (await task).release()

    def test_one_key_has_a_limit_of_its_own(self) -> None:
        limiter = limiter_of(10, max_per_key=2)
        permits = [limiter.acquire_nowait("ann"), limiter.acquire_nowait("ann")]
        with pytest.raises(LimitReached, match="max_per_key=2 is reached"):
            limiter.acquire_nowait("ann")
        permits.append(limiter.acquire_nowait("bob"))
        assert limiter.statistics().keys == 2
        permits.pop(0).release()
        permits.append(limiter.acquire_nowait("ann"))
        for permit in permits:
            permit.release()
        figures = limiter.statistics()
        assert (figures.keys, figures.refused_by_key, figures.refused_full) == (0, 1, 0)

    async def test_those_that_wait_count_against_their_key(self) -> None:
        limiter = limiter_of(1, max_per_key=2, max_waiting=10)
        permit = limiter.acquire_nowait("ann")
        waiting = asyncio.create_task(limiter.acquire("ann"))
        await queued(limiter)
        with pytest.raises(LimitReached, match="max_per_key"):
            await limiter.acquire("ann")
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        again = asyncio.create_task(limiter.acquire("ann"))
        await queued(limiter)
        permit.release()
        (await again).release()
        assert limiter.statistics().keys == 0

    def test_a_refusal_leaves_no_share_behind(self) -> None:
        limiter = limiter_of(1, max_per_key=5)
        with limiter.acquire_nowait("ann"):
            for _ in range(9):
                with pytest.raises(LimitReached, match="max_connections"):
                    limiter.acquire_nowait("bob")
            assert limiter.statistics().keys == 1

    def test_the_time_to_come_back_follows_from_how_long_others_stay(self) -> None:
        clock = FakeClock()
        limiter = limiter_of(2, clock=clock)
        for stay in (40, 20):
            permit = limiter.acquire_nowait()
            clock.advance(stay)
            permit.release()
        assert limiter.statistics().mean_seconds == pytest.approx(38)
        permits = [limiter.acquire_nowait(), limiter.acquire_nowait()]
        with pytest.raises(LimitReached) as refusal:
            limiter.acquire_nowait()
        assert refusal.value.retry_after_seconds == pytest.approx(19)
        for permit in permits:
            permit.release()

    @pytest.mark.parametrize(("stay", "told"), [(0.001, 1.0), (100_000, 60.0)])
    def test_the_time_to_come_back_stays_sensible(self, stay: float, told: float) -> None:
        clock = FakeClock()
        limiter = limiter_of(1, clock=clock)
        with limiter.acquire_nowait():
            clock.advance(stay)
        with limiter.acquire_nowait(), pytest.raises(LimitReached) as refusal:
            limiter.acquire_nowait()
        assert refusal.value.retry_after_seconds == told

    async def test_while_memory_is_short_everybody_new_is_refused(self) -> None:
        budget = Budget()
        limiter = limiter_of(5, max_per_key=3, budget=budget)
        with limiter.acquire_nowait("ann"):
            budget.critical = True
            with pytest.raises(LimitReached, match="memory=9"):
                limiter.acquire_nowait("bob")
            with pytest.raises(LimitReached, match="memory=9"):
                await limiter.acquire("bob")
            with pytest.raises(LimitReached, match="memory=9"):
                limiter.acquire_blocking("bob")
            figures = limiter.statistics()
            assert (figures.refused_by_budget, figures.keys, figures.connections) == (3, 1, 1)
            budget.critical = False
            with await limiter.acquire("bob"):
                pass

    async def test_memory_that_becomes_short_meanwhile_refuses_who_waited(self) -> None:
        budget = Budget()
        limiter = limiter_of(1, max_waiting=1, budget=budget)
        permit = limiter.acquire_nowait()
        waiting = asyncio.create_task(limiter.acquire())
        await queued(limiter)
        budget.critical = True
        permit.release()
        with pytest.raises(LimitReached, match="memory"):
            await waiting
        assert len(limiter) == 0

    @pytest.mark.parametrize("bound", ["max_connections", "max_per_key"])
    @pytest.mark.parametrize("value", [0, -1, 1.5, "3", True])
    def test_a_bound_that_is_no_bound_is_refused(self, bound: str, value: object) -> None:
        with pytest.raises((TypeError, ValueError), match=f"{bound} must be"):
            limiter_of(**{"max_connections": 1, bound: value})

    def test_a_negative_line_is_refused(self) -> None:
        with pytest.raises(ValueError, match="max_waiting must be"):
            limiter_of(1, max_waiting=-1)

    def test_a_key_that_is_no_key_is_refused_and_changes_nothing(self) -> None:
        limiter = limiter_of(1, max_per_key=1)
        with pytest.raises(TypeError, match="unhashable"):
            limiter.acquire_nowait([])
        assert limiter.statistics().admitted == 0
        limiter.acquire_nowait("ann").release()

    def test_the_repr_shows_used_and_limit(self) -> None:
        assert repr(limiter_of(3)) == "<ConnectionLimiter 'web' connections=0/3>"
        limiter = ConnectionLimiter(max_connections=3, max_waiting=4, max_per_key=2)
        limiter.close()
        assert repr(limiter) == "<ConnectionLimiter connections=0/3 waiting=0/4 closed>"
        assert (limiter.max_connections, limiter.max_per_key, limiter.max_waiting) == (3, 2, 4)


class TestWaiting:
    async def test_who_came_first_goes_first(self) -> None:
        limiter = limiter_of(1, max_waiting=10)
        first = limiter.acquire_nowait()
        entered: list[int] = []

        async def enter(number: int) -> None:
            with await limiter.acquire():
                entered.append(number)
                await asyncio.sleep(0)

        tasks = [asyncio.create_task(enter(number)) for number in range(5)]
        await queued(limiter, 5)
        first.release()
        with pytest.raises(LimitReached):  # free, but others were here before
            limiter.acquire_nowait()
        await asyncio.gather(*tasks)
        assert entered == list(range(5))

    async def test_who_gives_up_is_told_the_limit_and_when_to_come_back(self) -> None:
        limiter = limiter_of(1, max_waiting=1, max_per_key=2)
        with limiter.acquire_nowait("ann"):
            with pytest.raises(LimitReached, match="max_connections=1") as refusal:
                await limiter.acquire("ann", timeout_seconds=0.01)
            assert refusal.value.retry_after_seconds >= 1
            with pytest.raises(LimitReached, match="max_connections=1"):
                limiter.acquire_blocking("ann", timeout_seconds=0.01)
            assert limiter.statistics().timed_out == 2
        assert limiter.statistics().keys == 0

    @pytest.mark.parametrize("order", [1, -1], ids=["release first", "cancel first"])
    async def test_release_and_cancel_in_one_tick_lose_no_place(self, order: int) -> None:
        limiter = limiter_of(1, max_waiting=5)
        permit = limiter.acquire_nowait()
        cancelled = asyncio.create_task(limiter.acquire())
        await queued(limiter)
        following = asyncio.create_task(limiter.acquire())
        await queued(limiter, 2)
        for act in (permit.release, cancelled.cancel)[::order]:
            act()
        async with asyncio.timeout(10):
            (await following).release()
        with contextlib.suppress(asyncio.CancelledError):
            (await cancelled).release()
        assert len(limiter) == limiter.statistics().waiting == 0

    def test_threads_and_loops_wait_in_one_line(self) -> None:
        limiter = limiter_of(1, max_waiting=10)
        permit = limiter.acquire_nowait()
        entered: list[str] = []

        def in_thread(name: str) -> None:
            with limiter.acquire_blocking():
                entered.append(name)

        async def in_task(name: str) -> None:
            with await limiter.acquire():
                entered.append(name)

        def in_loop(name: str) -> None:
            asyncio.run(in_task(name))

        threads = []
        for number, name in enumerate("abcd"):
            run = in_thread if number % 2 else in_loop
            threads.append(threading.Thread(target=run, args=(name,)))
            threads[-1].start()
            while limiter.statistics().waiting <= number:
                time.sleep(0.001)
        permit.release()
        for thread in threads:
            thread.join(10)
        assert entered == list("abcd")

    async def test_closing_tells_those_that_wait(self) -> None:
        limiter = limiter_of(1, max_waiting=3)
        permit = limiter.acquire_nowait()
        tasks = [asyncio.create_task(limiter.acquire()) for _ in range(3)]
        await queued(limiter, 3)
        limiter.close()
        limiter.close()
        assert limiter.closed
        async with asyncio.timeout(10):
            results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(result) for result in results] == [Closed] * 3
        with pytest.raises(Closed, match="ConnectionLimiter 'web' is closed"):
            limiter.acquire_nowait()
        permit.release()

    def test_a_line_that_is_changed_while_it_is_looked_at_is_looked_at_again(self) -> None:
        class Struck(OrderedDict[Any, None]):
            strikes = 1

            def __iter__(self) -> Iterator[Any]:
                if Struck.strikes:
                    Struck.strikes -= 1
                    raise RuntimeError("OrderedDict mutated during iteration")
                return super().__iter__()

        turns = Turns(threading.RLock(), max_waiting=1)
        turns._line = Struck({"place": None})
        assert turns._first() == ["place"]


def strike_with_an_interrupt() -> None:
    raise KeyboardInterrupt


@pytest.mark.filterwarnings("ignore:.*was never released:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
class TestInterruptions:
    """Whatever strikes, and wherever: no place is lost, none is given twice."""

    def expect_whole(self, limiter: ConnectionLimiter) -> None:
        assert not limiter._lock._is_owned()  # type: ignore[attr-defined]
        gc.collect()
        check_invariants(limiter)
        assert limiter.statistics().waiting == 0
        permits = [limiter.acquire_nowait("ann") for _ in range(limiter.max_connections)]
        with pytest.raises(LimitReached):
            limiter.acquire_nowait("bob")
        for permit in permits:
            permit.release()
        check_invariants(limiter)
        assert len(limiter) == 0

    @pytest.mark.parametrize("way", ["nowait", "blocking"])
    def test_an_exception_out_of_the_blue_loses_no_place(self, way: str) -> None:
        limiter: ConnectionLimiter

        def prepare() -> Callable[[], object]:
            nonlocal limiter
            limiter = limiter_of(2, max_per_key=2, max_waiting=1)
            return use

        def use() -> None:
            acquire = limiter.acquire_nowait if way == "nowait" else limiter.acquire_blocking
            with acquire("ann"):
                pass

        for _ in interrupted_everywhere(prepare, strike_with_an_interrupt, within="collections/"):
            self.expect_whole(limiter)

    def test_an_exception_while_waiting_or_giving_up_loses_no_place(self) -> None:
        limiter: ConnectionLimiter
        permit: Permit

        def prepare() -> Callable[[], object]:
            nonlocal limiter, permit
            limiter = limiter_of(1, max_per_key=2, max_waiting=1)
            permit = limiter.acquire_nowait("ann")
            return wait

        def wait() -> None:
            with contextlib.suppress(LimitReached):
                limiter.acquire_blocking("ann", timeout_seconds=0.001)

        for _ in interrupted_everywhere(prepare, strike_with_an_interrupt, within="collections/"):
            permit.release()
            self.expect_whole(limiter)

    def test_a_handler_may_come_and_go_in_the_middle_of_everything(self) -> None:
        limiter: ConnectionLimiter

        def prepare() -> Callable[[], object]:
            nonlocal limiter
            limiter = limiter_of(1, max_per_key=1)
            return use

        def use() -> None:
            with contextlib.suppress(LimitReached), limiter.acquire_nowait("ann"):
                assert len(limiter) == limiter.statistics().keys == 1

        def strike() -> None:
            use()
            check_invariants(limiter)

        for _ in interrupted_everywhere(prepare, strike, within="collections/"):
            self.expect_whole(limiter)
            assert limiter.statistics().keys == 0

    def test_a_handler_that_stays_keeps_the_bounds(self) -> None:
        limiter: ConnectionLimiter
        stayed: list[Permit] = []

        def prepare() -> Callable[[], object]:
            nonlocal limiter
            stayed.clear()
            limiter = limiter_of(1, max_per_key=1)
            return use

        def use() -> None:
            with contextlib.suppress(LimitReached), limiter.acquire_nowait("ann"):
                assert len(limiter) == 1

        def strike() -> None:
            with contextlib.suppress(LimitReached):
                stayed.append(limiter.acquire_nowait("ann"))

        for _ in interrupted_everywhere(prepare, strike, within="collections/"):
            check_invariants(limiter)
            assert len(limiter) == len(stayed)
            for permit in stayed:
                permit.release()
            self.expect_whole(limiter)
