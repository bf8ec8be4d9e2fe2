"""How a stream ends."""

import asyncio

import pytest
from streams import Receive, Stream, drained, until_parked

from boundedcollections import Batch, Closed
from boundedcollections.broadcast import Broadcast

pytestmark = pytest.mark.usefixtures("weightless_streams")


@pytest.mark.usefixtures("every_build")
class TestClosing:
    async def test_the_receiver_gets_what_is_left_and_then_the_end(self, stream: Stream) -> None:
        stream.sender.send_many("ab")
        stream.sender.close()
        stream.sender.close()
        assert stream.sender.closed
        with pytest.raises(Closed, match="'output' is closed"):
            stream.sender.send("c")
        assert await stream.reader.receive() == "a"
        assert stream.reader.receive_nowait() == "b"
        for _ in range(2):
            with pytest.raises(Closed, match="'output' is closed"):
                await stream.reader.receive()
            with pytest.raises(Closed):
                await stream.reader.receive_many()
            with pytest.raises(Closed):
                stream.reader.receive_nowait()
            assert [batch async for batch in stream.reader] == []
        assert stream.reader.statistics().sent == 2

    async def test_discarding_counts_the_rest_as_missed(self, stream: Stream) -> None:
        stream.sender.send_many("abc")
        stream.sender.close()
        assert len(stream.sender) == 3
        stream.sender.close(discard=True)
        assert [batch async for batch in stream.reader] == []
        assert stream.reader.missed == 3
        assert stream.reader.statistics().missed == 3
        assert len(stream.sender) == 0

    async def test_closing_wakes_a_receiver_that_waits(
        self, stream: Stream, receive: Receive
    ) -> None:
        task = asyncio.create_task(receive(stream.reader))
        await until_parked(stream.sender)
        stream.sender.close()
        with pytest.raises((Closed, StopAsyncIteration)):
            await task
        assert stream.sender._parked == {}

    async def test_an_item_sent_just_before_closing_is_still_received(
        self, stream: Stream, receive: Receive
    ) -> None:
        task = asyncio.create_task(receive(stream.reader))
        await until_parked(stream.sender)
        stream.sender.send("last")
        stream.sender.close()
        assert await task in ("last", Batch(("last",), 0, 0, 1))

    async def test_closing_from_another_thread_ends_the_iteration(self, stream: Stream) -> None:
        async def read() -> list[Batch[str]]:
            return [batch async for batch in stream.reader]

        task = asyncio.create_task(read())
        await until_parked(stream.sender)
        await asyncio.to_thread(stream.sender.close)
        assert await task == []

    async def test_what_is_left_is_there_for_late_readers_of_a_broadcast_too(self) -> None:
        hub = Broadcast[str](max_items=5)
        hub.send("a")
        hub.close()
        assert drained(hub.subscribe(replay=5)) == [("a", 0)]

    async def test_closing_wakes_every_reader(self, receive: Receive) -> None:
        hub = Broadcast[str](max_items=5)
        tasks = [asyncio.create_task(receive(hub.subscribe())) for _ in range(3)]
        await until_parked(hub, readers=3)
        hub.close()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            assert isinstance(result, (Closed, StopAsyncIteration))
        assert hub._parked == {}

    async def test_a_subscription_can_be_closed_alone(self, receive: Receive) -> None:
        hub = Broadcast[str](max_items=5)
        reader, other = hub.subscribe(), hub.subscribe()
        task = asyncio.create_task(receive(reader))
        await until_parked(hub)
        reader.close()
        reader.close()
        with pytest.raises((Closed, StopAsyncIteration)):
            await task
        assert hub._parked == {}
        hub.send("a")
        with pytest.raises(Closed, match="Subscription of Broadcast is closed"):
            reader.receive_nowait()
        assert drained(other) == [("a", 0)]
