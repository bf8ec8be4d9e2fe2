import asyncio
import threading
import time

import pytest

from boundedcollections._core.waiters import TaskWaiter, checkpoint, wake_all


async def asleep(waiter: TaskWaiter, seconds: float | None = None) -> asyncio.Task[None]:
    async def sleep() -> None:
        await waiter.sleep(seconds)

    task = asyncio.create_task(sleep())
    await asyncio.sleep(0)
    assert not task.done()
    return task


class TestTaskWaiter:
    async def test_a_task_wakes_another_without_the_detour_over_the_selector(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        waiter = TaskWaiter()
        task = await asleep(waiter)
        monkeypatch.setattr(asyncio.get_running_loop(), "call_soon_threadsafe", None)
        wake_all({"sleeper": waiter})
        await task

    async def test_a_callback_wakes_the_safe_way(self) -> None:
        """The loop runs, but no task of it: so it may be a signal handler in the selector."""
        waiter = TaskWaiter()
        task = await asleep(waiter)
        asyncio.get_running_loop().call_soon(wake_all, {"sleeper": waiter})
        async with asyncio.timeout(10):
            await task

    async def test_another_thread_wakes_a_task(self) -> None:
        waiter = TaskWaiter()
        task = await asleep(waiter)
        await asyncio.to_thread(wake_all, {"sleeper": waiter})
        async with asyncio.timeout(10):
            await task

    async def test_to_be_woken_before_the_sleep_counts(self) -> None:
        waiter = TaskWaiter()
        wake_all({"sleeper": waiter})
        await waiter.sleep(None)

    async def test_to_be_woken_twice_is_harmless(self) -> None:
        waiter = TaskWaiter()
        task = await asleep(waiter)
        wake_all({"sleeper": waiter})
        wake_all({"sleeper": waiter})
        await task
        wake_all({"sleeper": waiter})

    async def test_to_be_woken_when_cancelled_is_harmless(self) -> None:
        waiter = TaskWaiter()
        task = await asleep(waiter)
        task.cancel()
        wake_all({"sleeper": waiter})
        with pytest.raises(asyncio.CancelledError):
            await task

    async def test_a_sleep_ends_after_its_time(self) -> None:
        begin = time.monotonic()
        task = await asleep(TaskWaiter(), seconds=0.02)
        await task
        assert time.monotonic() - begin > 0.01

    def test_a_waiter_of_a_closed_loop_can_be_woken_from_anywhere(self) -> None:
        async def main() -> TaskWaiter:
            return TaskWaiter()

        waiter = asyncio.run(main())
        wake_all({"sleeper": waiter})
        thread = threading.Thread(target=wake_all, args=({"sleeper": waiter},))
        thread.start()
        thread.join()
        assert not waiter._future.done()


class TestWakeAll:
    def test_everybody_is_woken_even_if_something_strikes_in_the_middle(self) -> None:
        woken: list[str] = []

        class Struck:
            def __init__(self, name: str) -> None:
                self.name = name

            def wake(self, at_work: asyncio.AbstractEventLoop | None) -> None:
                if self.name == "b" and "b" not in woken:
                    woken.append("b")
                    raise KeyboardInterrupt
                woken.append(self.name)

        with pytest.raises(KeyboardInterrupt):
            wake_all({name: Struck(name) for name in "abc"})
        assert set(woken) == {"a", "b", "c"}
        assert woken.count("b") == 2

    async def test_a_checkpoint_lets_every_other_task_run_once(self) -> None:
        ran: list[int] = []

        async def note(number: int) -> None:
            ran.append(number)

        tasks = [asyncio.create_task(note(number)) for number in range(3)]
        await checkpoint()
        assert ran == [0, 1, 2]
        await asyncio.gather(*tasks)
