"""What tests of channels and broadcasts need: both ends of either, and both builds."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, NamedTuple

import pytest

from boundedcollections import Closed, WouldBlock
from boundedcollections._core import payload, steps
from boundedcollections._core.receiver import Receiver
from boundedcollections._core.sender import Sender
from boundedcollections._core.waiters import wake_all
from boundedcollections.broadcast import Broadcast, Subscription
from boundedcollections.channel import DropOldestChannel

BUILDS = ("with a GIL", "without a GIL") if steps.HAS_GIL else ("without a GIL",)
"""Where there is no GIL, nobody can pretend that there is one."""

Reader = DropOldestChannel[Any] | Subscription[Any]
Receive = Callable[[Reader], Coroutine[Any, Any, Any]]

RECEIVES: dict[str, Receive] = {
    "receive": lambda reader: reader.receive(),
    "receive_many": lambda reader: reader.receive_many(),
    "anext": lambda reader: reader.__anext__(),
}


class Stream(NamedTuple):
    """Both ends of a stream."""

    sender: DropOldestChannel[Any] | Broadcast[Any]
    reader: Reader


def a_channel() -> Stream:
    channel = DropOldestChannel[Any](max_items=2_000, name="output")
    return Stream(channel, channel)


def a_broadcast() -> Stream:
    hub = Broadcast[Any](max_items=2_000, name="output")
    return Stream(hub, hub.subscribe())


STREAMS: dict[str, Callable[[], Stream]] = {"channel": a_channel, "broadcast": a_broadcast}


class Bell:
    """A waiter that only remembers."""

    has_rung = False

    def wake(self, at_work: asyncio.AbstractEventLoop | None) -> None:
        self.has_rung = True


async def until_parked(sender: Sender[Any], *, readers: int = 1) -> None:
    while len(sender._parked) < readers:  # noqa: ASYNC110  # it is the state that is waited for
        await asyncio.sleep(0)


def wake_in_vain(sender: Sender[Any]) -> None:
    wake_all(dict(sender._parked))


def give_way_next(stream: Stream) -> int:
    """Have the next single receive let others run first; return the number of the next item."""
    while True:
        statistics = stream.reader.statistics()
        if statistics.received % 256 == 255:
            return statistics.sent
        stream.sender.send("before")
        stream.reader.receive_nowait()


def drained(reader: Reader) -> list[tuple[object, int]]:
    """Return what is left for `reader`, each item with the gap before it."""
    found: list[tuple[object, int]] = []
    while True:
        try:
            item = reader.receive_nowait()
        except (WouldBlock, Closed):
            return found
        found.append((item, reader.missed))


def run_once(steps: Coroutine[Any, Any, object]) -> object:
    """Drive a coroutine to its end, or until it falls asleep."""
    try:
        while steps.send(None) is None:
            pass
    except StopIteration as stop:
        return stop.value
    steps.close()
    return None


def make_weightless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Charge nothing for the streams themselves."""
    monkeypatch.setattr(payload, "ENTRY_BYTES", 0)
    monkeypatch.setattr(payload, "NUMBER_BYTES", 0)


def pretend(build: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every step do without the lock, or take it."""
    has_gil = build == "with a GIL"
    monkeypatch.setattr(steps, "HAS_GIL", has_gil)
    for stream, name, method in steps_of_streams():
        bare = getattr(method, "__wrapped__", method)
        monkeypatch.setattr(stream, name, bare if has_gil else getattr(bare, steps.UNDER_LOCK))


def steps_of_streams() -> Iterator[tuple[type, str, object]]:
    for stream in (Sender, Receiver, DropOldestChannel, Subscription):
        for name, method in list(vars(stream).items()):
            if hasattr(method, steps.UNDER_LOCK):
                yield stream, name, method
