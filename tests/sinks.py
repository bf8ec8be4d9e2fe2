"""Clients as a sink sees them."""

import asyncio
from typing import Any

from boundedcollections.broadcast import Broadcast, Sink


class Client:
    """A transport as a sink sees it: takes bytes, and sends them when the test says so."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.buffered = 0
        self.is_stalled = False

    def write(self, data: bytes) -> None:
        self.writes.append(data)
        if self.is_stalled:
            self.buffered += len(data)

    def pending(self) -> int:
        return self.buffered

    @property
    def received(self) -> bytes:
        return b"".join(self.writes)


def attached(hub: Broadcast[bytes], client: Client, **options: Any) -> Sink:
    return hub.attach(client.write, pending=client.pending, **options)


def told(missed: int) -> bytes:
    return b"<%d gone>" % missed


async def ticks(times: int = 3) -> None:
    for _ in range(times):
        await asyncio.sleep(0)
