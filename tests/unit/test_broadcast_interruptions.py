"""Whatever strikes a broadcast, wherever it strikes."""

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from interruptions import interrupted_everywhere
from streams import Receive, drained, run_once

from boundedcollections import Batch, Closed, WouldBlock
from boundedcollections.broadcast import Broadcast, Subscription
from boundedcollections.testing import check_invariants

pytestmark = pytest.mark.usefixtures("weightless_streams")


def send_its_number(hub: Broadcast[bytes]) -> None:
    hub.send(b"%d" % hub.next_seq)


Act = Callable[[Broadcast[Any], Subscription[Any]], object]


OPERATIONS: dict[str, Act] = {
    "send": lambda hub, _: hub.send(b"dd"),
    "skip": lambda hub, _: hub.skip(3),
    "close": lambda hub, _: hub.close(),
    "discard": lambda hub, _: hub.close(discard=True),
    "subscribe": lambda hub, _: hub.subscribe(replay=2),
    "receive_nowait": lambda _, reader: reader.receive_nowait(),
    "receive": lambda _, reader: run_once(reader.receive()),
    "receive_many": lambda _, reader: run_once(reader.receive_many()),
    "receive_some": lambda _, reader: run_once(reader.receive_many(max_items=2)),
    "statistics": lambda hub, reader: (hub.statistics(), reader.statistics()),
}


STRIKES: dict[str, Act] = {
    "send": lambda hub, _: send_its_number(hub),
    "skip": lambda hub, _: hub.skip(2),
    "receive": lambda _, reader: reader._receiver or reader.receive_nowait(),
    "close": lambda hub, _: hub.close(discard=True),
}


@pytest.mark.usefixtures("every_build")
class TestInterruptions:
    @pytest.mark.parametrize("operation", OPERATIONS)
    @pytest.mark.parametrize("max_bytes", [None, 4])
    @pytest.mark.parametrize("strike_by", STRIKES)
    async def test_whatever_interrupts_a_call_may_use_the_broadcast_itself(
        self, operation: str, max_bytes: int | None, strike_by: str
    ) -> None:
        hub: Broadcast[bytes]
        reader: Subscription[bytes]
        received: list[bytes] = []

        def act(how: Act) -> None:
            with contextlib.suppress(Closed, WouldBlock, StopIteration):
                result = how(hub, reader)
                if isinstance(result, bytes):
                    received.append(result)
                if isinstance(result, Batch):
                    assert result.next_seq == result.first_seq + len(result.items)
                    for seq, item in enumerate(result.items, result.first_seq):
                        assert item in (b"%d" % seq, b"dd")
                    received.extend(result.items)

        def prepare() -> Callable[[], object]:
            nonlocal hub, reader
            received.clear()
            hub = Broadcast(max_items=3, max_bytes=max_bytes)
            reader = hub.subscribe()
            hub.send_many([b"0", b"1"])
            hub.skip(2)
            hub.send_many([b"4", b"5"])
            return lambda: act(OPERATIONS[operation])

        def strike() -> None:
            check_invariants(hub)
            for _ in range(4):
                act(STRIKES[strike_by])
            check_invariants(hub)

        for _ in interrupted_everywhere(prepare, strike, within="boundedcollections"):
            check_invariants(hub)
            figures = reader.statistics()
            assert figures.sent == figures.received + figures.missed + figures.buffered
            assert figures.sent == hub.next_seq
            assert figures.received == len(received) == len(set(received))

    @pytest.mark.parametrize("operation", OPERATIONS)
    async def test_an_exception_out_of_the_blue_leaves_the_books_right_and_the_lock_free(
        self, operation: str
    ) -> None:
        hub: Broadcast[bytes]
        reader: Subscription[bytes]

        def prepare() -> Callable[[], object]:
            nonlocal hub, reader
            hub = Broadcast(max_items=3, max_bytes=4)
            reader = hub.subscribe()
            hub.send_many([b"aa", b"b", b"c"])
            return lambda: OPERATIONS[operation](hub, reader)

        def strike() -> None:
            raise KeyboardInterrupt

        for _ in interrupted_everywhere(prepare, strike, within="boundedcollections"):
            assert not hub._lock._is_owned()  # type: ignore[attr-defined]
            check_invariants(hub)
            figures = reader.statistics()
            assert figures.sent == figures.received + figures.missed + figures.buffered
            if not hub.closed:
                hub.send(b"x")  # still in working order
                assert drained(hub.subscribe(replay=1)) == [(b"x", 0)]

    async def test_the_end_is_told_only_when_nothing_is_left(self, receive: Receive) -> None:
        hub: Broadcast[bytes]
        reader: Subscription[bytes]

        def prepare() -> Callable[[], object]:
            nonlocal hub, reader
            hub = Broadcast(max_items=3)
            reader = hub.subscribe()
            return run

        def run() -> None:
            try:
                receive(reader).send(None)
            except (Closed, StopAsyncIteration):
                assert reader.statistics().buffered == 0, "an item is left"
            except StopIteration:
                pass

        def strike() -> None:
            hub.send(b"last")
            hub.close()

        for _ in interrupted_everywhere(prepare, strike, within="boundedcollections"):
            assert hub.statistics().sent == 1
