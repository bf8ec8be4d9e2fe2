import asyncio
import dataclasses
import threading
import time
from typing import Any

import pytest
from sinks import Client, attached, ticks, told

from boundedcollections.broadcast import Broadcast
from boundedcollections.broadcast import sink as sink_module

pytestmark = pytest.mark.usefixtures("weightless_streams")


class TestWriting:
    async def test_what_is_sent_in_a_tick_is_written_at_once(self) -> None:
        hub = Broadcast[bytes](max_items=10)
        client = Client()
        sink = attached(hub, client)
        for burst in ([b"one ", b"two "], [b"three"]):
            hub.send_many(burst)
            assert client.received.endswith(b"two ") or not client.writes
            await ticks()
        assert client.writes == [b"one two ", b"three"]
        assert (sink.position, sink.lag) == (2, 0)

    async def test_clients_at_the_same_place_share_the_joined_bytes(self) -> None:
        hub = Broadcast[bytes](max_items=10)
        clients = [Client() for _ in range(5)]
        for client in clients:
            attached(hub, client)
        hub.send_many([b"one", b"two"])
        await ticks()
        assert {id(client.writes[0]) for client in clients} == {id(clients[0].writes[0])}

    async def test_bytes_like_items_are_joined_too(self) -> None:
        hub = Broadcast[Any](max_items=10)
        client = Client()
        attached(hub, client)
        hub.send_many([bytearray(b"one "), memoryview(b"two "), b"three"])
        await ticks()
        assert client.writes == [b"one two three"]

    async def test_an_empty_item_is_an_item(self) -> None:
        hub = Broadcast[bytes](max_items=10)
        client = Client()
        sink = attached(hub, client)
        hub.send(b"")
        await ticks()
        assert client.writes == [b""]
        assert sink.statistics().written == 1

    @pytest.mark.parametrize(
        ("place", "expected"),
        [({}, b""), ({"replay": 2}, b"de"), ({"after": 3}, b"e"), ({"after": -1}, b"<2 gone>cde")],
    )
    async def test_a_client_may_begin_with_what_was_sent_before(
        self, place: dict[str, int], expected: bytes
    ) -> None:
        hub = Broadcast[bytes](max_items=3)
        hub.send_many([b"a", b"b", b"c", b"d", b"e"])
        client = Client()
        attached(hub, client, gap=told, **place)
        await ticks()
        assert client.received == expected

    async def test_a_gap_is_told_in_its_place(self) -> None:
        hub = Broadcast[bytes](max_items=2)
        client, silent = Client(), Client()
        sink = attached(hub, client, gap=told)
        attached(hub, silent)
        hub.send_many([b"a", b"b", b"c", b"d"])
        hub.skip(3)
        hub.send(b"e")
        await ticks()
        assert client.writes == [b"<3 gone>d", b"<3 gone>e"]
        assert silent.received == b"de"
        assert sink.statistics().missed == 6

    @pytest.mark.usefixtures("every_build")
    async def test_a_sender_in_another_thread_wakes_the_sinks_once(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hub = Broadcast[bytes](max_items=1_000)
        clients = [Client() for _ in range(3)]
        for client in clients:
            attached(hub, client)
        await ticks()
        loop = asyncio.get_running_loop()
        calls: list[object] = []
        schedule = loop.call_soon_threadsafe

        def counted(*args: Any, **kwargs: Any) -> asyncio.Handle:
            calls.append(args)
            return schedule(*args, **kwargs)

        monkeypatch.setattr(loop, "call_soon_threadsafe", counted)
        worker = threading.Thread(target=hub.send_many, args=([b"x"] * 1_000,))
        worker.start()
        worker.join()
        assert len(calls) == 1
        await asyncio.sleep(0.01)
        assert [client.received for client in clients] == [b"x" * 1_000] * 3

    async def test_sinks_live_in_the_loop_in_which_they_were_attached(self) -> None:
        hub = Broadcast[bytes](max_items=10)
        writers: list[int] = []

        async def follow() -> None:
            sink = hub.attach(lambda _: writers.append(threading.get_ident()), pending=lambda: 0)
            while not sink.statistics().written:  # noqa: ASYNC110  # the state is waited for
                await asyncio.sleep(0.001)
            sink.close()

        threads = [asyncio.create_task(asyncio.to_thread(asyncio.run, follow())) for _ in range(2)]
        here = asyncio.create_task(follow())
        while len(hub._parked) < 3:  # noqa: ASYNC110  # it is the state that is waited for
            await asyncio.sleep(0.001)
        hub.send(b"item")
        await asyncio.gather(here, *threads)
        assert len(set(writers)) == 3
        assert threading.get_ident() in writers

    async def test_what_a_client_sends_when_it_is_written_to_is_written_next(self) -> None:
        hub = Broadcast[bytes](max_items=10)
        client = Client()

        def echo(data: bytes) -> None:
            client.write(data)
            if len(client.writes) < 3:
                hub.send(b"again")

        hub.attach(echo, pending=client.pending)
        other = Client()
        attached(hub, other)
        hub.send(b"first")
        await ticks(6)
        assert client.writes == [b"first", b"again", b"again"]
        assert other.received == b"firstagainagain"

    def test_without_a_loop_there_is_no_sink(self) -> None:
        with pytest.raises(RuntimeError, match="no running event loop"):
            attached(Broadcast[bytes](max_items=1), Client())


class TestPressure:
    async def test_a_client_whose_buffer_is_full_is_left_alone_until_it_resumes(self) -> None:
        hub = Broadcast[bytes](max_items=100)
        slow, fast = Client(), Client()
        slow.is_stalled = True
        sink = attached(hub, slow, high_water=10)
        attached(hub, fast, high_water=10)
        for _ in range(10):
            hub.send(b"1234")
            await ticks()
        assert fast.received == b"1234" * 10
        assert (sink.paused, slow.received) == (True, b"1234" * 3)
        sink.resume()  # still full: nothing happens
        await ticks()
        assert (sink.paused, slow.received) == (True, b"1234" * 3)
        slow.is_stalled, slow.buffered = False, 0
        sink.resume()
        await ticks()
        assert (sink.paused, slow.received) == (False, b"1234" * 10)

    async def test_a_paused_sink_is_not_even_asked(self) -> None:
        hub = Broadcast[bytes](max_items=10)
        client = Client()
        asked = 0

        def pending() -> int:
            nonlocal asked
            asked += 1
            return 99

        sink = hub.attach(client.write, pending=pending, high_water=10)
        hub.send(b"a")
        await ticks()
        assert (sink.paused, asked) == (True, 1)
        for _ in range(5):
            hub.send(b"a")
            await ticks()
        assert asked == 1
        assert hub._parked == {}

    async def test_a_laggard_is_told_its_gap_when_it_resumes(self) -> None:
        hub = Broadcast[bytes](max_items=3)
        client = Client()
        client.buffered = 99
        sink = attached(hub, client, high_water=10, gap=told)
        for letter in b"abcdef":
            hub.send(bytes([letter]))
            await ticks()
        client.buffered = 0
        sink.resume()
        await ticks()
        assert client.writes == [b"<3 gone>def"]

    @pytest.mark.parametrize("buffered", [0, 7])
    async def test_no_write_goes_beyond_the_high_water_by_more_than_one_item(
        self, buffered: int
    ) -> None:
        hub = Broadcast[bytes](max_items=1_000)
        hub.send_many([b"x" * 30] * 1_000)
        client = Client()
        client.is_stalled, client.buffered = True, buffered
        attached(hub, client, high_water=100, replay=1_000)
        await ticks()
        assert client.buffered >= 100
        assert client.buffered < 100 + 30
        assert max(map(len, client.writes)) <= 100

    async def test_an_item_larger_than_the_high_water_is_written_alone(self) -> None:
        hub = Broadcast[bytes](max_items=10)
        client = Client()
        attached(hub, client, high_water=10)
        hub.send_many([b"small", b"x" * 50, b"small"])
        await ticks()
        assert client.writes == [b"small", b"x" * 50, b"small"]

    async def test_thousands_of_sinks_are_served_in_slices(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sink_module, "_SLICE_SECONDS", 0.001)
        hub = Broadcast[bytes](max_items=10)
        written = 0

        def write(_: bytes) -> None:
            nonlocal written
            written += 1
            time.sleep(0.0001)

        sinks = [hub.attach(write, pending=lambda: 0) for _ in range(100)]
        await ticks()
        hub.send(b"item")
        progress = []
        while written < 100:
            await asyncio.sleep(0)
            progress.append(written)
        assert len(progress) >= 5  # others had their turn in between
        assert all(sink.lag == 0 for sink in sinks)

    @pytest.mark.parametrize("high_water", [0, -1, True, "10"])
    async def test_a_high_water_that_is_none_is_refused(self, high_water: Any) -> None:
        with pytest.raises((TypeError, ValueError), match="high_water"):
            attached(Broadcast[bytes](max_items=1), Client(), high_water=high_water)


class TestFigures:
    async def test_what_was_sent_to_a_client_is_written_missed_or_buffered(self) -> None:
        hub = Broadcast[bytes](max_items=3)
        client = Client()
        client.is_stalled = True
        sink = attached(hub, client, high_water=2)
        for _ in range(6):
            hub.send(b"x")
            await ticks()
        assert dataclasses.asdict(sink.statistics()) == {
            "sent": 6,
            "written": 2,
            "missed": 1,
            "buffered": 3,
            "position": 1,
            "paused": True,
            "closed": False,
        }

    async def test_the_repr_shows_place_and_state(self) -> None:
        hub = Broadcast[bytes](max_items=3, name="room")
        sink = attached(hub, Client(), high_water=1)
        hub.send(b"a")
        assert repr(sink) == "<Sink of Broadcast 'room' position=-1 lag=1>"
        sink._paused = True
        assert repr(sink) == "<Sink of Broadcast 'room' position=-1 lag=1 paused>"
        sink.close()
        assert repr(sink) == "<Sink of Broadcast 'room' position=-1 lag=1 closed>"
