"""Whatever strikes a channel, wherever it strikes."""

import contextlib
import sys
from collections.abc import Callable
from typing import Any

import pytest
from interruptions import collected_everywhere, interrupted_everywhere
from streams import Bell, Receive, drained, run_once

from boundedcollections import Batch, Closed, Lagged, WouldBlock
from boundedcollections.channel import DropOldestChannel
from boundedcollections.testing import check_invariants

pytestmark = pytest.mark.usefixtures("weightless_streams")


AFTER_GIVING_WAY: dict[str, Receive] = {
    "receive_many": lambda channel: channel.receive_many(),
    "receive_some": lambda channel: channel.receive_many(max_items=2),
}


OPERATIONS: dict[str, Callable[[DropOldestChannel[Any]], object]] = {
    "send": lambda channel: channel.send(b"dd"),
    "send_many": lambda channel: channel.send_many([b"d", b"e"]),
    "close": lambda channel: channel.close(),
    "discard": lambda channel: channel.close(discard=True),
    "receive_nowait": lambda channel: channel.receive_nowait(),
    "receive": lambda channel: run_once(channel.receive()),
    "receive_many": lambda channel: run_once(AFTER_GIVING_WAY["receive_many"](channel)),
    "receive_some": lambda channel: run_once(AFTER_GIVING_WAY["receive_some"](channel)),
    "statistics": lambda channel: channel.statistics(),
}


STRIKES: dict[str, Callable[[DropOldestChannel[Any]], object]] = {
    "send": lambda channel: channel.send(b"s"),
    "receive": lambda channel: channel._receiver or channel.receive_nowait(),
    "close": lambda channel: channel.close(discard=True),
}


Bounds = tuple[int, int | None]


BOUNDS: list[Bounds] = [(3, None), (3, 4)]


@pytest.mark.usefixtures("every_build")
class TestInterruptions:
    @pytest.mark.parametrize("operation", OPERATIONS)
    @pytest.mark.parametrize("bounds", BOUNDS)
    @pytest.mark.parametrize("strike_by", STRIKES)
    async def test_whatever_interrupts_a_call_may_use_the_channel_itself(
        self, operation: str, bounds: Bounds, strike_by: str
    ) -> None:
        told: list[int] = []
        results: list[object] = []
        channel: DropOldestChannel[bytes]

        def prepare() -> Callable[[], object]:
            nonlocal channel
            told.clear()
            results.clear()
            channel = DropOldestChannel(
                max_items=bounds[0],
                max_bytes=bounds[1],
                on_drop=lambda seq, *_: told.append(seq),
            )
            channel.send_many([b"aa", b"b", b"c"])
            return lambda: suppressed(lambda: results.append(OPERATIONS[operation](channel)))

        def strike() -> None:
            check_invariants(channel)
            for _ in range(4):
                suppressed(lambda: STRIKES[strike_by](channel))
            check_invariants(channel)

        for _ in interrupted_everywhere(prepare, strike, within="boundedcollections"):
            check_invariants(channel)
            figures = channel.statistics()
            assert figures.sent == figures.received + figures.missed + figures.buffered
            assert sorted(told) == sorted(set(told))
            assert len(told) == figures.missed
            for batch in results:
                if isinstance(batch, Batch):
                    assert batch.next_seq == batch.first_seq + len(batch.items)
                    assert batch.items
                    assert not set(told) & set(range(batch.first_seq, batch.next_seq))

    @pytest.mark.parametrize("operation", OPERATIONS)
    @pytest.mark.parametrize("bounds", BOUNDS)
    async def test_an_exception_out_of_the_blue_leaves_the_books_right_and_the_lock_free(
        self, operation: str, bounds: Bounds
    ) -> None:
        channel: DropOldestChannel[bytes]

        def prepare() -> Callable[[], object]:
            nonlocal channel
            channel = DropOldestChannel(max_items=bounds[0], max_bytes=bounds[1])
            channel.send_many([b"aa", b"b", b"c"])
            if operation not in AFTER_GIVING_WAY:
                return lambda: OPERATIONS[operation](channel)
            steps = AFTER_GIVING_WAY[operation](channel)
            steps.send(None)  # let others run: no exception strikes while a coroutine suspends
            return lambda: run_once(steps)

        def strike() -> None:
            raise KeyboardInterrupt

        for _ in interrupted_everywhere(prepare, strike, within="boundedcollections"):
            assert not channel._lock._is_owned()  # type: ignore[attr-defined]
            check_invariants(channel)
            assert not channel.statistics().waiting
            figures = channel.statistics()
            if not figures.closed:
                channel.send(b"x")  # still in working order
                assert drained(channel)[-1][0] == b"x"

    @pytest.mark.parametrize("operation", ["receive_nowait", "receive_many", "receive_some"])
    async def test_a_strict_receiver_never_passes_over_a_gap_that_comes_in_the_middle(
        self, operation: str
    ) -> None:
        channel: DropOldestChannel[bytes]
        lagged = 0

        def prepare() -> Callable[[], object]:
            nonlocal channel
            channel = DropOldestChannel(max_items=3, strict=True)
            channel.send_many([b"a", b"b", b"c"])
            return receive

        def receive() -> None:
            nonlocal lagged
            try:
                OPERATIONS[operation](channel)
            except Lagged:
                lagged += 1
            assert channel.missed == 0

        for _ in interrupted_everywhere(
            prepare, lambda: channel.send_many(b"xy"), within="boundedcollections"
        ):
            check_invariants(channel)
        assert lagged

    @pytest.mark.parametrize("operation", ["send", "close", "discard"])
    @pytest.mark.parametrize("strike_by", ["exception", "send"])
    def test_a_sender_that_is_struck_still_wakes_who_sleeps(
        self, operation: str, strike_by: str
    ) -> None:
        channel: DropOldestChannel[bytes]
        bell: Bell

        def prepare() -> Callable[[], object]:
            nonlocal channel, bell
            bell = Bell()
            channel = DropOldestChannel(max_items=3)
            channel._receiver = lambda: None
            channel._lay_down(channel, bell)
            return lambda: OPERATIONS[operation](channel)

        def strike() -> None:
            if strike_by == "exception":
                raise KeyboardInterrupt
            suppressed(lambda: channel.send(b"s"))

        for _ in interrupted_everywhere(prepare, strike, within="boundedcollections"):
            if len(channel) or channel.closed:
                assert bell.has_rung

    async def test_the_end_is_told_only_when_nothing_is_left(self, receive: Receive) -> None:
        channel: DropOldestChannel[bytes]

        def prepare() -> Callable[[], object]:
            nonlocal channel
            channel = DropOldestChannel(max_items=3)
            return run

        def run() -> None:
            try:
                receive(channel).send(None)
            except (Closed, StopAsyncIteration):
                assert not len(channel), "an item is left"
            except StopIteration:
                pass

        def strike() -> None:
            channel.send(b"last")
            channel.close()

        for _ in interrupted_everywhere(prepare, strike, within="boundedcollections"):
            assert channel.statistics().sent == 1


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="the collector waits for a better moment")
@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("bounds", [*BOUNDS, (9, None), (9, 18)])
@pytest.mark.parametrize("strike_by", ["send", "discard"])
async def test_whatever_the_collector_runs_leaves_every_item_under_its_number(
    operation: str, bounds: Bounds, strike_by: str
) -> None:
    told: dict[int, Any]
    numbers: dict[Any, int]
    channel: DropOldestChannel[bytes]

    def send(*items: bytes) -> None:
        for item in items:
            suppressed(lambda item=item: numbers.__setitem__(item, channel.send(item)))  # type: ignore[misc]

    def prepare() -> Callable[[], object]:
        nonlocal told, numbers, channel
        told, numbers = {}, {}
        channel = DropOldestChannel(
            max_items=bounds[0],
            max_bytes=bounds[1],
            on_drop=lambda seq, item, _: told.__setitem__(seq, item),
        )
        send(b"aa", b"b", b"c")
        if operation == "send":
            return lambda: send(b"dd")
        return lambda: suppressed(lambda: note(OPERATIONS[operation](channel)))

    def note(result: object) -> None:
        if isinstance(result, Batch):
            told.update(enumerate(result.items, result.first_seq))

    def strike() -> None:
        send(b"s", b"tt")
        if strike_by == "discard":
            channel.close(discard=True)

    for _ in collected_everywhere(prepare, strike, within="boundedcollections"):
        check_invariants(channel)
        oldest = channel._first
        told.update(enumerate((item for item, _ in drained(channel)), oldest))
        assert all(numbers.get(item, seq) == seq for seq, item in told.items())


def suppressed(call: Callable[[], object]) -> None:
    with contextlib.suppress(Closed, WouldBlock, StopIteration, StopAsyncIteration):
        call()
