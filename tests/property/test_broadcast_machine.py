"""Whatever happens in whatever order, every reader gets what a list of all that was sent says."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any, NamedTuple, get_args

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

from boundedcollections import Batch, Closed, WouldBlock
from boundedcollections.broadcast import Broadcast, OnLag, Subscription
from boundedcollections.testing import check_invariants

LIMITS = st.none() | st.integers(1, 4)
PICKS = st.integers(0, 999)
TIMEOUT_SECONDS = 0.002


class Item(NamedTuple):
    seq: int
    size: int


@dataclass(eq=False)
class Reader:
    """A subscription, and what the model knows of it."""

    subscription: Subscription[Item]
    on_lag: OnLag
    next_seq: int
    task: asyncio.Task[Batch[Item]] | None = None
    limits: tuple[int | None, int | None] = (None, None)
    start: int = 0
    received: int = 0
    closed: bool = False

    def __post_init__(self) -> None:
        self.start = self.next_seq


class Hub(RuleBasedStateMachine):
    """The model keeps everything that was ever sent, and computes the ring from it."""

    @initialize(
        bounds=st.tuples(LIMITS, st.none() | st.integers(5, 9)).filter(any),
        first_seq=st.integers(0, 3),
    )
    def start(self, bounds: tuple[int | None, int | None], first_seq: int) -> None:
        self.loop = asyncio.new_event_loop()
        self.bounds = bounds
        self.hub: Broadcast[Item] = Broadcast(
            max_items=bounds[0],
            max_bytes=bounds[1],
            sizeof=lambda item: item.size,
            first_seq=first_seq,
        )
        self.sent: list[Item] = []
        self.ring: list[Item] = []
        self.next_seq = first_seq
        self.readers: list[Reader] = []

    def teardown(self) -> None:
        if hasattr(self, "loop"):
            for reader in self.readers:
                if reader.task is not None:
                    reader.task.cancel()
            self.tick(3)
            self.loop.close()

    is_open = precondition(lambda self: not self.hub.closed)
    has_readers = precondition(lambda self: self.readers)

    @is_open
    @rule(sizes=st.lists(st.integers(1, 5), max_size=4))
    def send(self, sizes: list[int]) -> None:
        most_items, most_bytes = self.bounds
        for size in sizes:
            item = Item(self.next_seq, size)
            assert self.hub.send(item) == self.next_seq
            self.next_seq += 1
            self.sent.append(item)
            self.ring.append(item)
            while (most_items is not None and len(self.ring) > most_items) or (
                most_bytes is not None and sum(held.size for held in self.ring) > most_bytes
            ):
                self.ring.pop(0)

    @is_open
    @rule(n=st.integers(1, 3))
    def skip(self, n: int) -> None:
        self.hub.skip(n)
        self.next_seq += n

    @rule(discard=st.booleans())
    def close(self, discard: bool) -> None:
        self.hub.close(discard=discard)
        if discard:
            self.ring.clear()

    @rule(replay=st.integers(0, 4), on_lag=st.sampled_from(get_args(OnLag)))
    def subscribe(self, replay: int, on_lag: OnLag) -> None:
        begin = self.ring[-replay:][0].seq if replay and self.ring else self.next_seq
        subscription = self.hub.subscribe(replay=replay, on_lag=on_lag)
        self.add(Reader(subscription, on_lag, begin))

    @rule(after=st.integers(-1, 30), on_lag=st.sampled_from(get_args(OnLag)))
    def subscribe_after(self, after: int, on_lag: OnLag) -> None:
        subscription = self.hub.subscribe(after=after, on_lag=on_lag)
        self.add(Reader(subscription, on_lag, after + 1))

    def add(self, reader: Reader) -> None:
        self.readers.append(reader)
        if len(self.readers) > 4:
            forgotten = self.readers.pop(0)
            if forgotten.task is not None:
                forgotten.task.cancel()

    @has_readers
    @rule(pick=PICKS)
    def come_back(self, pick: int) -> None:
        reader = self.pick(pick)
        if reader.task is None and not reader.closed:
            position = reader.subscription.position
            assert position == reader.next_seq - 1
            reader.subscription = self.hub.subscribe(after=position, on_lag=reader.on_lag)
            reader.start, reader.received = reader.next_seq, 0

    @has_readers
    @rule(pick=PICKS)
    def receive_nowait(self, pick: int) -> None:
        reader = self.pick(pick)
        if reader.task is None:
            try:
                item = reader.subscription.receive_nowait()
            except (WouldBlock, Closed) as error:
                self.check_error(reader, error)
            else:
                expected = self.expected(reader, (1, None))
                assert expected is not None
                assert item == expected.items[0]
                self.check_batch(reader, expected._replace(missed=reader.subscription.missed))

    @has_readers
    @rule(
        pick=PICKS, max_items=LIMITS, max_bytes=LIMITS, timeout=st.none() | st.just(TIMEOUT_SECONDS)
    )
    def receive_many(
        self, pick: int, max_items: int | None, max_bytes: int | None, timeout: float | None
    ) -> None:
        reader = self.pick(pick)
        if reader.task is None:
            reader.limits = (max_items, max_bytes)
            steps = reader.subscription.receive_many(max_items, max_bytes, timeout)
            reader.task = self.loop.create_task(steps)

    @has_readers
    @rule(pick=PICKS)
    def cancel(self, pick: int) -> None:
        reader = self.pick(pick)
        if reader.task is not None:
            reader.task.cancel()
            self.settle()

    @has_readers
    @rule(pick=PICKS)
    def close_subscription(self, pick: int) -> None:
        reader = self.pick(pick)
        reader.subscription.close()
        reader.closed = True

    @rule()
    def one_tick(self) -> None:
        self.tick(1)

    @rule()
    def settle(self) -> None:
        self.tick(4)
        for reader in self.readers:
            if reader.task is not None:
                assert self.expected(reader, (1, None)) is None
                assert not reader.closed
                assert not self.hub.closed

    @rule()
    def let_time_pass(self) -> None:
        time.sleep(2 * TIMEOUT_SECONDS)
        self.settle()

    def pick(self, number: int) -> Reader:
        return self.readers[number % len(self.readers)]

    def tick(self, times: int) -> None:
        for _ in range(times):
            self.loop.run_until_complete(asyncio.sleep(0))
            for reader in self.readers:
                if reader.task is not None and reader.task.done():
                    self.check_task(reader, reader.task)
                    reader.task = None

    def check_task(self, reader: Reader, task: asyncio.Task[Batch[Item]]) -> None:
        if task.cancelled():
            return
        error = task.exception()
        if isinstance(error, Exception):
            self.check_error(reader, error)
        else:
            self.check_batch(reader, task.result())

    def check_batch(self, reader: Reader, batch: Batch[Item]) -> None:
        assert not reader.closed
        assert batch == self.expected(reader, reader.limits if reader.task else (1, None))
        reader.next_seq = batch.next_seq
        reader.received += len(batch.items)

    def check_error(self, reader: Reader, error: Exception) -> None:
        if isinstance(error, (WouldBlock, TimeoutError)):
            assert self.expected(reader, (1, None)) is None
            assert not reader.closed
            assert not self.hub.closed
        else:
            assert isinstance(error, Closed)
            expected = self.expected(reader, (1, None))
            lagged = reader.on_lag == "close" and expected is not None and expected.missed > 0
            assert reader.closed or lagged or (self.hub.closed and expected is None)
            if lagged and not reader.closed:
                assert expected is not None
                assert reader.subscription.closed
                assert reader.subscription.missed == expected.missed
                reader.closed = True
                reader.next_seq = expected.first_seq
            elif not reader.closed:
                assert reader.subscription.missed == max(self.next_seq - reader.next_seq, 0)

    def expected(self, reader: Reader, limits: tuple[int | None, int | None]) -> Batch[Item] | None:
        """Compute from the list what `reader` gets next, None if nothing."""
        ahead = [item for item in self.ring if item.seq >= reader.next_seq]
        if not ahead:
            return None
        if reader.on_lag == "latest" and ahead[0].seq > reader.next_seq:
            ahead = ahead[-1:]
        missed = ahead[0].seq - reader.next_seq
        taken = ahead[:1]
        for item in ahead[1:]:
            if item.seq != taken[-1].seq + 1:
                break
            if limits[0] is not None and len(taken) >= limits[0]:
                break
            if limits[1] is not None and sum(i.size for i in [*taken, item]) > limits[1]:
                break
            taken.append(item)
        return Batch(tuple(taken), missed, taken[0].seq, taken[-1].seq + 1)

    @invariant()
    def the_books_are_right(self) -> None:
        if not hasattr(self, "hub"):
            return
        check_invariants(self.hub)
        figures = self.hub.statistics()
        assert (figures.sent, figures.items) == (len(self.sent), len(self.ring))
        assert figures.sent == figures.evicted + figures.items
        assert figures.current_bytes == sum(item.size for item in self.ring)
        assert figures.next_seq == self.next_seq
        assert figures.first_seq == (self.ring[0].seq if self.ring else self.next_seq)
        for reader in self.readers:
            self.check_figures(reader)

    def check_figures(self, reader: Reader) -> None:
        figures: Any = reader.subscription.statistics()
        assert figures.sent == max(self.next_seq - reader.start, 0)
        assert figures.sent == figures.received + figures.missed + figures.buffered
        if reader.task is None:  # else it may have taken what the model has not seen yet
            assert figures.received == reader.received
            assert figures.buffered == sum(item.seq >= reader.next_seq for item in self.ring)


@pytest.mark.usefixtures("every_build", "weightless_streams")
def test_whatever_happens_the_model_foretells_it() -> None:
    run_state_machine_as_test(
        Hub, settings=settings(max_examples=40, stateful_step_count=40, deadline=None)
    )
