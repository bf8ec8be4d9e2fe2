"""How a sink ends, and what it survives."""

import asyncio
import gc
import logging
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from sinks import Client, attached, ticks, told

from boundedcollections.broadcast import Broadcast

pytestmark = pytest.mark.usefixtures("weightless_streams")


class TestEnding:
    async def test_a_closed_sink_is_written_to_no_more(self) -> None:
        hub = Broadcast[bytes](max_items=10)
        client, other = Client(), Client()
        sink = attached(hub, client)
        attached(hub, other)
        hub.send(b"a")
        sink.close()
        sink.close()
        sink.resume()
        await ticks()
        assert (sink.closed, client.writes, other.writes) == (True, [], [b"a"])

    async def test_a_paused_sink_that_is_closed_does_not_resume(self) -> None:
        hub = Broadcast[bytes](max_items=10)
        client = Client()
        client.buffered = 99
        sink = attached(hub, client, high_water=10)
        await ticks()
        assert sink.paused
        sink.close()
        client.buffered = 0
        sink.resume()
        hub.send(b"a")
        await ticks()
        assert client.writes == []

    async def test_a_client_may_close_its_sink_while_it_is_written_to(self) -> None:
        hub = Broadcast[bytes](max_items=10)
        writes: list[bytes] = []

        def write(data: bytes) -> None:
            writes.append(data)
            sink.close()

        sink = hub.attach(write, pending=lambda: 0, high_water=1)
        hub.send_many([b"a", b"b"])
        await ticks()
        assert writes == [b"a"]

    @pytest.mark.parametrize("where", ["write", "pending", "gap"])
    async def test_an_error_closes_that_sink_and_no_other(
        self, where: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        hub = Broadcast[bytes](max_items=1)
        others = [Client() for _ in range(4)]

        def fail(*_: object) -> Any:
            raise ConnectionResetError("gone")

        for other in others[:2]:
            attached(hub, other)
        calls: dict[str, Callable[..., Any]] = {
            "write": lambda _: None,
            "pending": lambda: 0,
            "gap": told,
        }
        calls[where] = fail
        sink = hub.attach(calls["write"], pending=calls["pending"], gap=calls["gap"])
        for other in others[2:]:
            attached(hub, other)
        with caplog.at_level(logging.ERROR):
            hub.send_many([b"a", b"b"])
            await ticks()
        assert sink.closed
        assert "writing to a sink failed" in caplog.text
        assert [other.writes for other in others] == [[b"b"]] * 4

    async def test_an_item_that_is_not_bytes_closes_the_sinks_and_harms_nothing_else(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        hub = Broadcast[Any](max_items=10)
        reader = hub.subscribe()
        sink = attached(hub, Client())
        hub.send("text")
        await ticks()
        assert sink.closed
        assert reader.receive_nowait() == "text"

    @pytest.mark.usefixtures("every_build")
    async def test_what_stops_the_program_loses_no_other_sink(self) -> None:
        """Of two clients the one written to first strikes; the other is written to all the same."""
        hub = Broadcast[bytes](max_items=10)
        written: list[str] = []

        def writer(name: str) -> Callable[[bytes], None]:
            def write(_: bytes) -> None:
                written.append(name)
                if len(written) == 1:
                    raise KeyboardInterrupt

            return write

        flusher_of = hub.attach(writer("a"), pending=lambda: 0)._flusher
        hub.attach(writer("b"), pending=lambda: 0)
        await ticks()
        flusher_of._seen = flusher_of._state()
        hub.send(b"item")
        with pytest.raises(KeyboardInterrupt):
            flusher_of._go_round()
        await ticks()
        assert sorted(written) == ["a", "b"]

    async def test_closing_the_broadcast_writes_the_rest_and_closes_the_sinks(self) -> None:
        hub = Broadcast[bytes](max_items=10)
        client, slow = Client(), Client()
        slow.buffered = 99
        sink, paused = attached(hub, client), attached(hub, slow, high_water=10)
        await ticks()
        hub.send_many([b"a", b"b"])
        hub.close()
        await ticks()
        assert (client.writes, sink.closed, paused.closed) == ([b"ab"], True, False)
        slow.buffered = 0
        paused.resume()
        await ticks()
        assert (slow.writes, paused.closed) == ([b"ab"], True)
        assert hub._parked == {}

    async def test_a_connection_and_its_sink_die_together_without_the_collector(self) -> None:
        hub = Broadcast[bytes](max_items=10)
        client = Client()
        sink = attached(hub, client)
        hub.send(b"a")
        await ticks()
        sink.close()
        watch = weakref.ref(client)
        gc.disable()
        try:
            del client, sink
            await ticks()
            assert watch() is None
        finally:
            gc.enable()

    def test_a_loop_that_was_closed_is_forgotten_with_its_sinks(self) -> None:
        hub = Broadcast[bytes](max_items=10)
        client = Client()

        async def main() -> None:
            attached(hub, client)
            await ticks()

        asyncio.run(main())
        assert len(hub._parked) == len(hub._flushers) == 1
        hub.send(b"a")
        gc.collect()
        assert len(hub._parked) == len(hub._flushers) == 0
        assert client.writes == []
