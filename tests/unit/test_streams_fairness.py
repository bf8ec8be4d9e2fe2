"""A receiver that finds data lets others run, and nobody waits for one that does not come."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from streams import Stream

from boundedcollections.channel import DropOldestChannel


@contextlib.asynccontextmanager
async def counted_turns() -> AsyncIterator[list[None]]:
    """Count the turns that another task gets meanwhile."""
    turns: list[None] = []

    async def other() -> None:
        while True:
            turns.append(None)
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    yield turns
    task.cancel()


async def test_a_receiver_of_single_items_lets_others_run_every_256_items(stream: Stream) -> None:
    stream.sender.send_many(range(1_792))
    async with counted_turns() as turns:
        for expected in range(1_792):
            assert await stream.reader.receive() == expected
        assert len(turns) == 7


@pytest.mark.usefixtures("every_build")
@pytest.mark.parametrize("lost", [1, 2, 255, 256, 1_000])
@pytest.mark.parametrize("received", [0, 253, 254, 255])
async def test_a_gap_at_the_turn_of_the_others_is_told_and_the_turn_is_given(
    received: int, lost: int
) -> None:
    channel = DropOldestChannel[int](max_items=1)
    for number in range(received):
        channel.send(number)
        assert await channel.receive() == number
    channel.send_many(range(received, received + lost + 1))
    is_due = (received + lost + 1) // 256 > received // 256
    async with counted_turns() as turns:
        assert await channel.receive() == received + lost
        assert channel.missed == lost
        assert len(turns) == is_due


@pytest.mark.parametrize("limit", [10, 100])
async def test_a_receiver_of_batches_lets_others_run_once_a_batch(
    stream: Stream, limit: int
) -> None:
    stream.sender.send_many(range(10 * limit))
    async with counted_turns() as turns:
        for expected in range(10):
            batch = await stream.reader.receive_many(max_items=limit)
            assert batch.first_seq == limit * expected
        assert len(turns) == 10


async def test_one_receiver_that_never_comes_delays_nobody_else() -> None:
    dead, alive = (DropOldestChannel[int](max_items=8) for _ in range(2))
    got: list[int] = []

    async def read() -> None:
        async for batch in alive:
            got.extend(batch.items)

    reading = asyncio.create_task(read())
    for number in range(100):
        dead.send(number)
        alive.send(number)
        await asyncio.sleep(0)
    alive.close()
    await reading
    assert got == list(range(100))
    assert dead.statistics().missed == 92
