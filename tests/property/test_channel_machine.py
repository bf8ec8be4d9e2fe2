"""Whatever happens in whatever order, a channel is a deque with losses that are all told."""

import asyncio
import threading
import time
from collections import deque
from typing import NamedTuple

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from boundedcollections import Batch, Closed, Lagged, TooLarge, WouldBlock
from boundedcollections.channel import DropOldestChannel
from boundedcollections.testing import check_invariants

SIZES = st.integers(0, 5)
LIMITS = st.none() | st.integers(1, 4)
TIMEOUT = 0.002


class Item(NamedTuple):
    seq: int
    size: int


class DequeWithLosses:
    """The model: plain, slow, and obviously right."""

    def __init__(self, max_items: int | None, max_bytes: int | None) -> None:
        self.max_items, self.max_bytes = max_items, max_bytes
        self.items: deque[Item] = deque()
        self.sent = self.received = self.missed = self.gap = 0

    def send(self, size: int) -> Item:
        item = Item(self.sent, size)
        self.sent += 1
        self.items.append(item)
        while self.exceeded():
            self.lose()
        return item

    def exceeded(self) -> bool:
        return (self.max_items is not None and len(self.items) > self.max_items) or (
            self.max_bytes is not None and self.bytes() > self.max_bytes
        )

    def bytes(self) -> int:
        return sum(item.size for item in self.items)

    def lose(self) -> None:
        self.items.popleft()
        self.missed += 1
        self.gap += 1

    def take(self, most_items: int | None, most_bytes: int | None) -> Batch[Item]:
        taken: list[Item] = []
        room = most_bytes
        while self.items and (most_items is None or len(taken) < most_items):
            size = self.items[0].size
            if room is not None and size > room and taken:
                break
            room = None if room is None else room - size
            taken.append(self.items.popleft())
        gap, self.gap = self.gap, 0
        self.received += len(taken)
        return Batch(tuple(taken), gap, taken[0].seq, taken[-1].seq + 1)


class Receiving(NamedTuple):
    task: asyncio.Task[object]
    limits: tuple[int | None, int | None] | None = None
    """Of a batch; None for a single item."""


class Channel(RuleBasedStateMachine):
    """Rules look at the receiver themselves: a precondition must not depend on the clock."""

    @initialize(
        bounds=st.tuples(LIMITS, st.none() | st.integers(5, 9)).filter(any), strict=st.booleans()
    )
    def start(self, bounds: tuple[int | None, int | None], strict: bool) -> None:
        self.loop = asyncio.new_event_loop()
        self.told: list[int] = []
        self.channel: DropOldestChannel[Item] = DropOldestChannel(
            max_items=bounds[0],
            max_bytes=bounds[1],
            sizeof=lambda item: item.size,
            strict=strict,
            on_drop=lambda seq, item, _: self.told.append(seq) if seq == item.seq else 1 / 0,
        )
        self.model = DequeWithLosses(*bounds)
        self.strict = strict
        self.receiving: Receiving | None = None

    def teardown(self) -> None:
        if hasattr(self, "loop"):
            if self.receiving is not None:
                self.receiving.task.cancel()
                self.tick(3)
            self.loop.close()

    is_open = precondition(lambda self: not self.channel.closed)

    @is_open
    @rule(sizes=st.lists(SIZES, max_size=4))
    def send(self, sizes: list[int]) -> None:
        for size in sizes:
            self.channel.send(self.model.send(size))

    @is_open
    @rule(sizes=st.lists(SIZES, max_size=6))
    def send_from_another_thread(self, sizes: list[int]) -> None:
        items = [self.model.send(size) for size in sizes]
        thread = threading.Thread(target=self.channel.send_many, args=(items,))
        thread.start()
        thread.join()

    @is_open
    @rule()
    def send_too_much(self) -> None:
        if self.model.max_bytes is not None:
            with pytest.raises(TooLarge):
                self.channel.send(Item(-1, self.model.max_bytes + 1))

    @rule(discard=st.booleans())
    def close(self, discard: bool) -> None:
        self.channel.close(discard=discard)
        while discard and self.model.items:
            self.model.lose()

    @rule()
    def receive_nowait(self) -> None:
        if self.receiving is not None:
            return
        try:
            item = self.channel.receive_nowait()
        except (WouldBlock, Closed, Lagged) as error:
            self.check_error(error)
        else:
            self.check_item(item)

    @rule(timeout=st.none() | st.just(TIMEOUT))
    def receive(self, timeout: float | None) -> None:
        if self.receiving is None:
            self.receiving = Receiving(self.loop.create_task(self.channel.receive(timeout)))

    @rule(max_items=LIMITS, max_bytes=LIMITS, timeout=st.none() | st.just(TIMEOUT))
    def receive_many(
        self, max_items: int | None, max_bytes: int | None, timeout: float | None
    ) -> None:
        if self.receiving is None:
            steps = self.channel.receive_many(max_items, max_bytes, timeout)
            self.receiving = Receiving(self.loop.create_task(steps), (max_items, max_bytes))

    @rule()
    def cancel(self) -> None:
        """Cancel, whether or not the receiver has been woken; a cancelled one took nothing."""
        if self.receiving is not None:
            self.receiving.task.cancel()
            self.settle()

    @rule()
    def a_second_receiver_is_refused(self) -> None:
        if self.channel.statistics().waiting:
            with pytest.raises(RuntimeError, match="may have only one"):
                self.channel.receive_nowait()

    @rule()
    def one_tick(self) -> None:
        self.tick(1)

    @rule()
    def settle(self) -> None:
        """After a few ticks, whoever can go on has gone on."""
        self.tick(4)
        if self.receiving is not None:
            assert not self.model.items
            assert not self.channel.closed

    @rule()
    def let_time_pass(self) -> None:
        time.sleep(2 * TIMEOUT)
        self.settle()

    def tick(self, times: int) -> None:
        for _ in range(times):
            self.loop.run_until_complete(asyncio.sleep(0))
            if self.receiving is not None and self.receiving.task.done():
                self.check_result(self.receiving)
                self.receiving = None

    def check_result(self, receiving: Receiving) -> None:
        if receiving.task.cancelled():
            return
        error = receiving.task.exception()
        if isinstance(error, Exception):
            self.check_error(error)
        elif receiving.limits is None:
            self.check_item(receiving.task.result())
        else:
            assert receiving.task.result() == self.model.take(*receiving.limits)

    def check_item(self, item: object) -> None:
        batch = self.model.take(1, None)
        assert (item, self.channel.missed) == (batch.items[0], batch.missed)

    def check_error(self, error: Exception) -> None:
        if isinstance(error, Lagged):
            assert self.strict
            assert error.missed == self.model.gap > 0
            self.model.gap = 0
            return
        assert not self.model.items
        assert isinstance(error, Closed) == self.channel.closed, error
        if isinstance(error, Closed):
            assert self.channel.missed == self.model.gap

    @invariant()
    def the_books_are_right(self) -> None:
        if not hasattr(self, "channel"):
            return
        check_invariants(self.channel)
        figures = self.channel.statistics()
        model = self.model
        if self.receiving is None:  # else it may have taken what the model has not seen yet
            assert (figures.sent, figures.received) == (model.sent, model.received)
            assert (figures.missed, figures.buffered) == (model.missed, len(model.items))
            assert figures.current_bytes == model.bytes()
        assert figures.sent == figures.received + figures.missed + figures.buffered
        assert self.told == sorted(set(self.told))
        assert len(self.told) == figures.missed


@pytest.mark.usefixtures("every_build", "weightless_streams")
def test_whatever_happens_the_model_foretells_it() -> None:
    run_state_machine_as_test(
        Channel, settings=settings(max_examples=40, stateful_step_count=40, deadline=None)
    )
