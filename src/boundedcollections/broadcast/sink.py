"""A reader that is written to: no task for each client, one write for each tick."""

# ruff: noqa: SLF001  # a sink is a part of its broadcast, not a user of it

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, NamedTuple

from boundedcollections._core.units import NO_LIMIT, positive_int
from boundedcollections.broadcast.ring import Ring

_log = logging.getLogger("boundedcollections")

_SLICE_SECONDS: Final = 0.002
"""After so long, writing to sinks lets the rest of the loop run."""
_SINKS_BETWEEN_LOOKS: Final = 16
"""So many sinks are written to between two looks at the clock."""
_ITEMS_AT_ONCE: Final = 1_024
"""The most items in one write; a reader that is far behind takes several."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkStatistics:
    """
    The figures of one `Sink` at one moment. Totals count since its first number.

    Always ``sent == written + missed + buffered``.

    Attributes:
        sent: numbers that were given out, by `send` and by `skip`.
        written: items that were written.
        missed: items lost to this client, including those that it has not been told of yet.
        buffered: items in the ring that were not written yet.
        position: the number of the last item that was written or missed.
        paused: whether the client's buffer was full, so that it waits for `resume`.
        closed: whether it was closed.
    """

    sent: int
    written: int
    missed: int
    buffered: int
    position: int
    paused: bool
    closed: bool


class Piece(NamedTuple):
    """What is written to every sink that is at the same place with the same room."""

    data: bytes
    first_seq: int
    next_seq: int
    is_last: bool


class Sink:
    """
    One client that a `Broadcast` of bytes writes to; made by `Broadcast.attach`.

    Once in each tick of its event loop in which something was sent, all that is pending is
    written at once. Clients that are at the same place share the joined bytes. While a client's
    own buffer is full nothing is written and nothing is spent on it; `resume` goes on.

    It lives in the loop it was attached in, and its methods are for that loop's thread. Unlike a
    subscription it is registered: close it together with its connection.

    >>> import asyncio
    >>> from boundedcollections import Broadcast
    >>> async def main():
    ...     hub = Broadcast(max_items=2)
    ...     sink = hub.attach(print, pending=lambda: 0)
    ...     hub.send_many([b"one ", b"two ", b"three"])
    ...     await asyncio.sleep(0.01)
    ...     sink.close()
    ...     print(sink.statistics().missed)
    >>> asyncio.run(main())
    b'two three'
    1
    """

    __slots__ = (
        "__weakref__",
        "_closed",
        "_flusher",
        "_gap",
        "_high_water",
        "_missed",
        "_next_seq",
        "_paused",
        "_pending",
        "_start",
        "_write",
    )

    def __init__(
        self,
        flusher: "Flusher",
        start: int,
        *,
        write: Callable[[bytes], object],
        pending: Callable[[], int],
        high_water: int,
        gap: Callable[[int], bytes] | None,
    ) -> None:
        self._flusher = flusher
        self._start = self._next_seq = start
        self._write = write
        self._pending = pending
        self._high_water = positive_int("high_water", high_water)
        self._gap = gap
        self._missed = 0
        self._paused = self._closed = False

    @property
    def position(self) -> int:
        """The number of the last item that was written or missed."""
        return self._next_seq - 1

    @property
    def lag(self) -> int:
        """How many numbers this client is behind the newest, held or lost."""
        return max(self._flusher.ring.next_seq - self._next_seq, 0)

    @property
    def paused(self) -> bool:
        """Whether the client's buffer was full, so that it waits for `resume`."""
        return self._paused

    @property
    def closed(self) -> bool:
        """Whether it was closed: by `close`, by an error, or with its broadcast, all written."""
        return self._closed

    def resume(self) -> None:
        """
        Go on writing, now that the client's buffer has room again.

        Call it from ``resume_writing`` of the protocol, or from time to time where there is no
        such call. It is harmless at any time.
        """
        if self._paused and not self._closed:
            self._paused = False
            self._flusher.add(self)

    def close(self) -> None:
        """Write no more. Closing twice is harmless."""
        self._closed = True
        self._flusher.remove(self)

    def statistics(self) -> SinkStatistics:
        """Return the figures of this moment; looking changes none of them."""
        ring = self._flusher.ring
        with ring._lock:
            end = ring._first + ring._held
            sent = max(end + ring._offset - self._start, 0)
            written = self._next_seq - self._start - self._missed
            buffered = ring._buffered(self._next_seq, end)
            return SinkStatistics(
                sent=sent,
                written=written,
                missed=sent - written - buffered,
                buffered=buffered,
                position=self.position,
                paused=self._paused,
                closed=self._closed,
            )

    def __repr__(self) -> str:
        state = " closed" if self._closed else " paused" if self._paused else ""
        where = self._flusher.ring._where()
        return f"<{type(self).__name__} of {where} position={self.position} lag={self.lag}{state}>"

    def _flush(self, pieces: dict[tuple[int, int], Piece]) -> None:
        """Write what is pending, as far as the client's buffer has room."""
        try:
            is_last = False
            while not (is_last or self._closed):
                room = self._high_water - self._pending()
                if room <= 0:
                    self._paused = True
                    self._flusher.remove(self)
                    break
                place = (self._next_seq, room)
                piece = pieces.get(place)
                if piece is None:
                    piece = pieces[place] = self._flusher.piece(*place)
                is_last = piece.is_last
                if piece.next_seq != piece.first_seq:
                    self._write_piece(piece)
            if self._flusher.ring._closed and not self._flusher.ring._has(self._next_seq):
                self.close()
        except Exception:  # noqa: BLE001  # the client's own code may raise anything
            _log.exception("writing to a sink failed; the sink is closed, the others go on")
            self.close()

    def _write_piece(self, piece: Piece) -> None:
        data = piece.data
        missed = piece.first_seq - self._next_seq
        self._next_seq = piece.next_seq
        if missed:
            self._missed += missed
            if self._gap is not None:
                data = self._gap(missed) + data
        self._write(data)


class Flusher:
    """
    All sinks of one broadcast in one event loop.

    While they have nothing to do it is parked like a sleeping receiver, so that whoever sends
    wakes it once: however much is sent in a tick, it writes once. It goes round its sinks in
    slices of time, and parks again when a whole round found nothing new.
    """

    __slots__ = ("__weakref__", "_active", "_due", "_is_scheduled", "_loop", "_seen", "ring")

    def __init__(self, ring: Ring[bytes], loop: asyncio.AbstractEventLoop) -> None:
        self.ring = ring
        self._loop = loop
        self._active: dict[Sink, None] = {}
        self._due: list[Sink] = []  # what is left of the round
        self._seen = self._state()  # when the round began
        self._is_scheduled = False

    def add(self, sink: Sink) -> None:
        """Write to `sink` soon, and from now on."""
        self._active[sink] = None
        self._due.append(sink)
        self._schedule()

    def remove(self, sink: Sink) -> None:
        """Write to `sink` no more."""
        self._active.pop(sink, None)

    def piece(self, seq: int, room: int) -> Piece:
        """Join what there is from `seq` on, up to `room` bytes but at least one item."""
        ring = self.ring
        with ring._lock:
            items, first_seq = ring._read(seq, _ITEMS_AT_ONCE, NO_LIMIT)
            end = ring.next_seq
        if not items:
            return Piece(b"", seq, seq, is_last=True)
        count = 0
        for item in items:
            room -= len(item) if type(item) is bytes else memoryview(item).nbytes
            if count and room < 0:
                break
            count += 1
        next_seq = first_seq + count
        return Piece(b"".join(items[:count]), first_seq, next_seq, is_last=next_seq == end)

    def wake(self, at_work: asyncio.AbstractEventLoop | None) -> None:
        """Start a round, from any thread."""
        if at_work is self._loop:
            self._schedule()
        else:
            with suppress(RuntimeError):  # the loop is closed, and with it all connections
                self._loop.call_soon_threadsafe(self._go_round)

    def _schedule(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._go_round)

    def _go_round(self) -> None:
        self._is_scheduled = False
        if not self._due:
            self._due = list(self._active)
            self._seen = self._state()
        pieces: dict[tuple[int, int], Piece] = {}
        end = time.perf_counter() + _SLICE_SECONDS
        try:
            while self._due and time.perf_counter() < end:
                for _ in range(min(len(self._due), _SINKS_BETWEEN_LOOKS)):
                    self._due.pop()._flush(pieces)
        finally:
            if self._due:
                self._schedule()
            elif self._active:
                self._rest()

    def _rest(self) -> None:
        self.ring._lay_down(self, self)
        if self._seen != self._state():  # something was sent during the round
            self._schedule()

    def _state(self) -> tuple[int, bool]:
        return self.ring.next_seq, self.ring.closed
