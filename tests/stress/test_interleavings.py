"""Streams whose senders and receiver are switched between at every point where CPython may."""

import asyncio
import contextlib
from collections.abc import Callable
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

import caches
import pytest
from interleavings import Act, Lock, Scene, Sleep, interleavings
from interruptions import untraced
from streams import run_once

import boundedcollections
from boundedcollections import Batch, BoundedHistory, Closed
from boundedcollections._core import receiver, steps
from boundedcollections.broadcast import Broadcast
from boundedcollections.channel import DropOldestChannel
from boundedcollections.testing import check_invariants

pytestmark = pytest.mark.usefixtures("every_build", "weightless_streams")

LIBRARY = str(Path(boundedcollections.__file__).parent)
Item = tuple[str, int]
Reader = Any
Receive = Callable[[Reader], Any]

some_runs = pytest.mark.parametrize(
    "runs", [60, pytest.param(20_000, marks=[pytest.mark.long, pytest.mark.timeout(1800)])]
)

RECEIVES: dict[str, Receive] = {
    "receive_blocking": lambda reader: reader.receive_blocking(),
    "receive_many_blocking": lambda reader: reader.receive_many_blocking(),
    "receive_some_blocking": lambda reader: reader.receive_many_blocking(2),
    "receive": lambda reader: run_once(reader.receive()),
    "receive_many": lambda reader: run_once(reader.receive_many()),
    "receive_some": lambda reader: run_once(
        reader.receive_many(3, 2 if reader._counts_bytes() else None)
    ),
    "cancelled": lambda reader: run_once(reader.receive()),
}
BOUNDS: dict[str, dict[str, Any]] = {
    "items": {"max_items": 3},
    "bytes": {"max_items": 3, "max_bytes": 4, "sizeof": lambda item: item[1]},
}


class Story:
    """What everybody saw of a stream; at the end it has to fit together."""

    def __init__(self) -> None:
        self.numbers: dict[Item, int] = {}
        self.dropped: dict[int, Item] = {}
        self.received: dict[int, Item] = {}
        self.position = self.missed = 0
        self.sending = 3

    def drop(self, seq: int, item: Item, _cause: object) -> None:
        assert self.dropped.setdefault(seq, item) is item, f"{seq} was dropped twice"

    def send(self, stream: Any, *items: Item) -> None:
        for item in items:
            with contextlib.suppress(Closed):
                self.numbers[item] = stream.send(item)
        self.sending -= 1

    def receive(self, reader: Reader, receive: Receive) -> None:
        taken = receive(reader)
        if not isinstance(taken, Batch):
            seq = self.position + reader.missed
            taken = Batch((taken,), reader.missed, seq, seq + 1)
        assert taken.items
        assert taken.first_seq == self.position + taken.missed, "the gap is told elsewhere"
        self.position = taken.first_seq + len(taken.items)
        assert taken.next_seq == self.position
        self.received.update(enumerate(taken.items, taken.first_seq))
        self.missed += taken.missed

    def receive_all(self, reader: Reader, receive: Receive) -> None:
        while True:
            try:
                self.receive(reader, receive)
            except asyncio.CancelledError:
                continue
            except Closed:
                self.missed += reader.missed
                return

    def check(self) -> None:
        assert self.received == {seq: self.item(seq) for seq in self.received}
        assert self.dropped == {seq: self.item(seq) for seq in self.dropped}
        assert not self.received.keys() & self.dropped.keys()

    def item(self, seq: int) -> Item | None:
        return next((item for item, number in self.numbers.items() if number == seq), None)


@pytest.fixture(autouse=True)
def _sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    async def checkpoint() -> None:
        pass

    monkeypatch.setattr(receiver, "checkpoint", checkpoint)


@some_runs
@pytest.mark.parametrize("bounds", BOUNDS)
@pytest.mark.parametrize("how", RECEIVES)
def test_every_item_sent_is_received_or_dropped_under_its_number(
    how: str, bounds: str, runs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    story: Story
    channel: DropOldestChannel[Item]
    fills = cycle(range(5))  # the last of them leave a gap behind

    def prepare(scene: Scene) -> list[Act]:
        nonlocal story, channel
        fill = next(fills)
        story = Story()
        channel = DropOldestChannel(**BOUNDS[bounds], on_drop=story.drop)
        sleep_in(scene, channel, CancelledSleep if how == "cancelled" else Sleep, monkeypatch)
        story.send(channel, *(("before", size) for size in range(fill)))
        return [
            lambda: story.send(channel, ("a", 3), ("a", 0), ("a", 1)),
            lambda: story.send(channel, ("b", 2), ("b", 1)),
            lambda: story.receive_all(channel, RECEIVES[how]),
            lambda: look(channel),
            lambda: close(scene),
        ]

    def close(scene: Scene) -> None:
        if len(channel) % 2:
            channel.close(discard=True)
        else:  # if nobody wakes the receiver, it is never empty
            scene.wait_for(lambda: story.sending == 0 and channel._held == 0)
            channel.close()

    with untraced():
        for _ in interleavings(prepare, within=LIBRARY, has_gil=steps.HAS_GIL, runs=runs):
            check_invariants(channel)
            story.check()
            figures = channel.statistics()
            assert figures.sent == len(story.numbers) == figures.received + figures.missed
            assert figures.received == len(story.received)
            assert figures.missed == len(story.dropped) == story.missed


class CancelledSleep(Sleep):
    """Cancelled in the moment in which it is woken."""

    def sleep(self, seconds: float | None) -> None:
        super().sleep(seconds)
        raise asyncio.CancelledError


def look(channel: DropOldestChannel[Item]) -> None:
    figures = channel.statistics()
    assert figures.sent == figures.received + figures.missed + figures.buffered
    assert figures.current_bytes <= (channel.max_bytes or 0)
    assert figures.peak_items <= 3


@some_runs
@pytest.mark.parametrize("bounds", BOUNDS)
@pytest.mark.parametrize("how", RECEIVES)
def test_every_subscriber_has_every_item_under_its_number_or_misses_it(
    how: str, bounds: str, runs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing: Story
    readings: list[Story]
    hub: Broadcast[Item]
    fills = cycle(range(5))

    def prepare(scene: Scene) -> list[Act]:
        nonlocal writing, readings, hub
        fill = next(fills)
        writing, readings = Story(), [Story(), Story()]
        hub = Broadcast(**BOUNDS[bounds])
        sleep_in(scene, hub, CancelledSleep if how == "cancelled" else Sleep, monkeypatch)
        readers = [hub.subscribe() for _ in readings]
        writing.send(hub, *(("before", size) for size in range(fill)))
        return [
            lambda: writing.send(hub, ("a", 3), ("a", 0), ("a", 1)),
            lambda: writing.send(hub, ("b", 2), ("b", 1)),
            *(
                partial(story.receive_all, reader, RECEIVES[how])
                for story, reader in zip(readings, readers, strict=True)
            ),
            lambda: close(scene, readers),
        ]

    def close(scene: Scene, readers: list[Reader]) -> None:
        if len(hub) % 2:
            hub.close(discard=True)
        else:
            end = lambda: hub._first + hub._held  # noqa: E731
            scene.wait_for(lambda: writing.sending == 0 and {r._cursor for r in readers} == {end()})
            hub.close()

    with untraced():
        for _ in interleavings(prepare, within=LIBRARY, has_gil=steps.HAS_GIL, runs=runs):
            check_invariants(hub)
            assert sorted(writing.numbers.values()) == list(range(hub.statistics().sent))
            for reading in readings:
                reading.numbers = writing.numbers
                reading.check()
                assert len(reading.received) + reading.missed == hub.statistics().sent


@some_runs
def test_every_item_of_a_history_is_held_or_evicted_under_its_number(runs: int) -> None:
    story: Story
    history: BoundedHistory[Item]

    def prepare(scene: Scene) -> list[Act]:
        nonlocal story, history
        story = Story()
        history = BoundedHistory(
            max_items=4, max_bytes=1_500, sizeof=lambda item: item[1], on_evict=story.drop
        )
        history._lock = Lock(scene)  # type: ignore[assignment]
        for size in range(3):
            append(("before", size))
        return [
            lambda: append(("a", 400)),
            lambda: append(("b", 700)),
            shrink,
            follow,
        ]

    def append(item: Item) -> None:
        story.numbers[item] = history.append(item)

    def shrink() -> None:
        history.resize(max_items=2)
        append(("c", 0))

    def follow() -> None:
        for _ in range(3):
            batch = history.since(story.position)
            assert batch.first_seq == story.position + batch.missed
            assert batch.next_seq == batch.first_seq + len(batch.items)
            story.position = batch.next_seq
            story.received.update(enumerate(batch.items, batch.first_seq))

    with untraced():
        for _ in interleavings(prepare, within=LIBRARY, has_gil=steps.HAS_GIL, runs=runs):
            check_invariants(history)
            held = history.since(0)
            assert sorted(story.numbers.values()) == list(range(history.next_seq))
            assert story.received == {seq: story.item(seq) for seq in story.received}
            left = {**story.dropped, **dict(enumerate(held.items, held.first_seq))}
            assert left == {seq: story.item(seq) for seq in range(history.next_seq)}


@some_runs
def test_every_value_of_a_cache_is_held_or_leaves_once(runs: int) -> None:
    left: list[str]
    cache: Any
    form: Any = caches.PlainLRU if steps.HAS_GIL else list(caches.PLAIN.values())[-1]

    def prepare(scene: Scene) -> list[Act]:
        nonlocal left, cache
        left = []
        cache = form(
            max_items=3,
            max_bytes=4_000,
            sizeof=lambda thing: len(thing) if isinstance(thing, str) else 0,
            on_evict=lambda _key, value, _cause: left.append(value),
        )
        cache._lock = Lock(scene)
        for key in range(3):
            cache[key] = f"before {key}"
        return [
            lambda: (cache.put(1, "a1"), cache.put(3, "a3" * 500)),
            lambda: (cache.put(1, "b1"), cache.get(0), cache.put(4, "b4")),
            lambda: cache.pop(1, None),
            lambda: cache.resize(max_items=2),
        ]

    values = {"before 0", "before 1", "before 2", "a1", "a3" * 500, "b1", "b4"}
    with untraced():
        for _ in interleavings(prepare, within=LIBRARY, has_gil=steps.HAS_GIL, runs=runs):
            check_invariants(cache)
            assert sorted([*left, *cache.values()]) == sorted(values)


def sleep_in(
    scene: Scene, stream: Any, sleep: type[Sleep], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Have the locks of `stream`, and the sleeps of its receivers, left to the scene."""
    stream._lock = Lock(scene)
    monkeypatch.setattr(receiver, "ThreadWaiter", lambda: sleep(scene))
    monkeypatch.setattr(receiver, "waiter_here", lambda: sleep(scene))


class Counter:
    def __init__(self) -> None:
        self.count = 0

    def step(self) -> None:
        self.count = self.count + 1

    def stumble(self) -> None:
        self.count = int(self.count) + 1


@pytest.mark.parametrize(
    ("count", "has_gil", "expected"),
    [
        (Counter.step, True, {2}),
        (Counter.stumble, True, {1, 2}),
        (Counter.step, False, {1, 2}),
    ],
)
def test_what_is_no_step_is_found(
    count: Callable[[Counter], None], has_gil: bool, expected: set[int]
) -> None:
    counter: Counter

    def prepare(_scene: Scene) -> list[Act]:
        nonlocal counter
        counter = Counter()
        return [partial(count, counter)] * 2

    with untraced():
        assert expected == {
            counter.count
            for _ in interleavings(prepare, within=__file__, has_gil=has_gil, runs=100)
        }


def test_who_is_never_woken_is_found() -> None:
    with untraced(), pytest.raises(AssertionError, match="wait for each other"):
        list(
            interleavings(
                lambda scene: [lambda: Sleep(scene).sleep(None)],
                within=LIBRARY,
                has_gil=True,
                runs=1,
            )
        )
