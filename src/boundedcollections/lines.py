"""
Chunks in, lines out, with a bound on the line that never ends.

A reader of lines that has no bound grows with the longest line that anybody sends; one that has
a bound and fails at it leaves the rest unread, and then the writer blocks on a full pipe for
ever. `LineSplitter` does neither: it cuts the long line, says how long it really was, and the
stream goes on.
"""

import codecs
import contextlib
import threading
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from boundedcollections._core.errors import Closed
from boundedcollections._core.pipes import Buffers, Pipe, chunks
from boundedcollections._core.units import positive_int

_MANY_LINES: Final = 256
"""A chunk with more lines than that is split piece by piece: a line costs more than its break."""
_LEAST_PIECE_BYTES: Final = 1_024


class Line(NamedTuple):
    r"""
    One line of text, without its line break.

    >>> Line(text="caf", size=9, truncated=True)
    Line(text='caf', size=9, truncated=True)

    Attributes:
        text: the line, decoded from UTF-8; bytes that are not UTF-8 become ``"\ufffd"``.
        size: bytes of the whole line as it came, the line break not counted.
        truncated: whether `text` is only the beginning of it. A character is never cut in two.
    """

    text: str
    size: int
    truncated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LineStatistics:
    """
    The figures of one `LineSplitter` at one moment. Totals count since its creation.

    Every byte is in exactly one place: `fed_bytes` = `delivered_bytes` + `dropped_bytes` +
    `break_bytes` + `unfinished_bytes`.

    Attributes:
        max_line_bytes: the bound.
        current_bytes: bytes held of the unfinished line.
        peak_bytes: the most bytes ever held.
        unfinished_bytes: how long the unfinished line is so far; above `current_bytes` when it
            has passed the bound.
        fed_bytes: bytes that came in.
        lines: lines given out.
        truncated_lines: how many of them were cut.
        delivered_bytes: bytes that are in the text of a line given out.
        dropped_bytes: bytes of lines given out that were cut off.
        break_bytes: bytes of the line breaks between them.
    """

    max_line_bytes: int
    current_bytes: int
    peak_bytes: int
    unfinished_bytes: int
    fed_bytes: int
    lines: int
    truncated_lines: int
    delivered_bytes: int
    dropped_bytes: int
    break_bytes: int


class _Totals(NamedTuple):
    """What was ever given out; the fields are those of `LineStatistics`."""

    lines: int = 0
    truncated_lines: int = 0
    delivered_bytes: int = 0
    dropped_bytes: int = 0
    break_bytes: int = 0


class _State(NamedTuple):
    """Everything that a splitter knows; replaced as a whole, but for the bytes added to `held`."""

    held: bytearray
    unfinished_bytes: int = 0
    ends_with_cr: bool = False
    peak_bytes: int = 0
    totals: _Totals = _Totals()
    closed: bool = False


class _RawLine(NamedTuple):
    r"""The beginning of a line, perhaps with its ``\r``; its size and that of its line break."""

    kept: bytes
    size: int
    break_bytes: int


class LineSplitter:
    r"""
    Turns a stream of chunks into lines, each of them cut at `max_line_bytes`.

    >>> splitter = LineSplitter(8)
    >>> splitter.feed(b"one\r\ntw")
    [Line(text='one', size=3, truncated=False)]
    >>> splitter.feed(b"o\na very long line\nthe")
    [Line(text='two', size=3, truncated=False), Line(text='a very l', size=16, truncated=True)]
    >>> splitter.close()
    Line(text='the', size=3, truncated=False)

    A line ends with ``\n``, or with ``\r\n``. Decoding is right across chunks, wherever they cut
    a character.

    **At the bound** the rest of the line is counted and not kept; the line is given out once, at
    its end, with its true length. Between calls a splitter holds at most `max_line_bytes` bytes
    of the unfinished line (and the spare room of a bytearray, at most an eighth of that). While
    it works it also holds the chunk and what it gives out. A text can take up to four times its
    bytes in memory: such is `str`.

    **Threads and tasks**: every method may be called from any thread and any task, from a signal
    handler and from a destructor; none waits for anything but the lock. A `feed` takes the whole
    chunk, or, when an exception strikes it from outside, nothing of it. But a stream has an
    order, so one reader should feed it.

    **Complexity**: `feed` is O(bytes of the chunk), however small the chunks of one line are.

    **When not to use it**: for a text that is already in memory, where ``str.splitlines`` does.

    Args:
        max_line_bytes: the longest line that is given out whole; the line break is not counted.
        name: for people and metrics.

    Raises:
        TypeError: `max_line_bytes` is not an integer.
        ValueError: `max_line_bytes` is below 1.
    """

    __slots__ = ("__weakref__", "_lock", "_max_line_bytes", "_state", "name")

    def __init__(self, max_line_bytes: int, *, name: str | None = None) -> None:
        self._max_line_bytes = positive_int("max_line_bytes", max_line_bytes)
        self.name = name
        self._lock = threading.RLock()
        self._state = _State(bytearray())

    @property
    def max_line_bytes(self) -> int:
        """The longest line that is given out whole, in bytes."""
        return self._max_line_bytes

    @property
    def current_bytes(self) -> int:
        """The bytes held of the unfinished line."""
        with self._lock:
            return len(self._state.held)

    @property
    def peak_bytes(self) -> int:
        """The most bytes ever held."""
        return self._state.peak_bytes

    @property
    def closed(self) -> bool:
        """Whether the stream has ended."""
        return self._state.closed

    def feed(self, chunk: bytes | bytearray | memoryview) -> list[Line]:
        r"""
        Return the lines that end in `chunk`; keep the beginning of the line that does not.

        >>> splitter = LineSplitter(100)
        >>> splitter.feed("für".encode()[:2]), splitter.feed("für".encode()[2:] + b"\n")
        ([], [Line(text='für', size=4, truncated=False)])

        Raises:
            Closed: the splitter was closed.
            TypeError: `chunk` is not bytes-like.
        """
        data = chunk if type(chunk) is bytes else bytes(memoryview(chunk))
        with self._lock:
            while True:
                state = self._state
                if state.closed:
                    raise Closed(f"{self!r} is closed")
                lines, following, addition = self._split(state, data)
                held = following.held
                # No call between these lines: either all of it happens, or nothing. Whoever
                # interrupted the work above and fed something came first; then it is done anew.
                if self._state is state:
                    held += addition
                    self._state = following
                    return lines

    def close(self) -> Line | None:
        r"""
        End the stream, and return the last line if it has no line break; None otherwise.

        Closing again changes nothing and returns None.

        >>> splitter = LineSplitter(100)
        >>> splitter.feed(b"first\nlast")
        [Line(text='first', size=5, truncated=False)]
        >>> splitter.close(), splitter.close()
        (Line(text='last', size=4, truncated=False), None)
        """
        with self._lock:
            while True:
                state = self._state
                tail = _RawLine(bytes(state.held), state.unfinished_bytes, break_bytes=0)
                lines, totals = self._decode([tail] if tail.size else [], state.totals)
                following = _State(
                    bytearray(), peak_bytes=state.peak_bytes, totals=totals, closed=True
                )
                if self._state is state:  # as in feed()
                    self._state = following
                    return lines[0] if lines else None

    def statistics(self) -> LineStatistics:
        r"""
        Return the figures of this moment; looking changes none of them.

        >>> splitter = LineSplitter(4)
        >>> _ = splitter.feed(b"123456789\n123")
        >>> splitter.statistics().dropped_bytes, splitter.statistics().current_bytes
        (5, 3)
        """
        with self._lock:
            state = self._state
            totals = state.totals
            return LineStatistics(
                max_line_bytes=self._max_line_bytes,
                current_bytes=len(state.held),
                peak_bytes=state.peak_bytes,
                unfinished_bytes=state.unfinished_bytes,
                fed_bytes=totals.delivered_bytes
                + totals.dropped_bytes
                + totals.break_bytes
                + state.unfinished_bytes,
                lines=totals.lines,
                truncated_lines=totals.truncated_lines,
                delivered_bytes=totals.delivered_bytes,
                dropped_bytes=totals.dropped_bytes,
                break_bytes=totals.break_bytes,
            )

    def __repr__(self) -> str:
        name = "" if self.name is None else f" {self.name!r}"
        used = f"bytes={self.current_bytes}/{self._max_line_bytes}"
        return f"<{type(self).__name__}{name} {used}>"

    def _split(self, state: _State, data: bytes) -> tuple[list[Line], _State, bytes]:
        """Return the lines, the state that follows, and the bytes to add to what that holds."""
        limit = self._max_line_bytes
        first, *others = data.split(b"\n")
        size = state.unfinished_bytes + len(first)
        ends_with_cr = first.endswith(b"\r") if first else state.ends_with_cr
        room = limit - len(state.held)
        if not others:
            peak = max(state.peak_bytes, len(state.held) + min(room, len(first)))
            return [], _State(state.held, size, ends_with_cr, peak, state.totals), first[:room]

        last = others.pop()
        raw_lines = [
            _raw_line(bytes(state.held) + first[:room], size, ends_with_cr),
            *(_raw_line(piece[:limit], len(piece), piece.endswith(b"\r")) for piece in others),
        ]
        lines, totals = self._decode(raw_lines, state.totals)
        held = bytearray(last[:limit])
        peak = max(state.peak_bytes, len(held))
        return lines, _State(held, len(last), last.endswith(b"\r"), peak, totals), b""

    def _decode(self, raw_lines: list[_RawLine], totals: _Totals) -> tuple[list[Line], _Totals]:
        """Return the lines as text, and the totals with them counted."""
        lines = []
        delivered_bytes = 0
        for kept, size, _ in raw_lines:
            truncated = size > self._max_line_bytes
            text, used_bytes = codecs.utf_8_decode(kept[:size], "replace", not truncated)
            lines.append(Line(text, size, truncated))
            delivered_bytes += used_bytes
        return lines, _Totals(
            lines=totals.lines + len(lines),
            truncated_lines=totals.truncated_lines + sum(line.truncated for line in lines),
            delivered_bytes=totals.delivered_bytes + delivered_bytes,
            dropped_bytes=totals.dropped_bytes + sum(line.size for line in lines) - delivered_bytes,
            break_bytes=totals.break_bytes + sum(raw.break_bytes for raw in raw_lines),
        )

    def _check(self) -> None:
        """Assert the invariants."""
        with self._lock:
            state, totals = self._state, self._state.totals
            assert len(state.held) == min(state.unfinished_bytes, self._max_line_bytes)
            assert len(state.held) <= state.peak_bytes <= self._max_line_bytes
            assert 0 <= totals.truncated_lines <= totals.lines
            assert totals.truncated_lines <= totals.dropped_bytes
            assert totals.lines - 1 <= totals.break_bytes <= 2 * totals.lines
            assert state.unfinished_bytes == 0 or not state.closed


def _raw_line(kept: bytes, size: int, ends_with_cr: bool) -> _RawLine:
    return _RawLine(kept, size - ends_with_cr, 1 + ends_with_cr)


async def read_lines(pipe: Pipe, pool: Buffers, max_line_bytes: int) -> AsyncGenerator[Line, None]:
    r"""
    Iterate over the lines that come out of `pipe`, until its end.

    >>> import asyncio, sys
    >>> from boundedcollections import BufferPool
    >>> async def main():
    ...     pool = BufferPool(max_buffers=4)
    ...     code = "print('hello'); print('x' * 200_000)"
    ...     child = await asyncio.create_subprocess_exec(
    ...         sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE
    ...     )
    ...     async for line in read_lines(child.stdout, pool, 8):
    ...         print(line)
    ...     return await child.wait()
    >>> asyncio.run(main())
    Line(text='hello', size=5, truncated=False)
    Line(text='xxxxxxxx', size=200000, truncated=True)
    0

    **However long a line is**, reading goes on: a long one is cut at `max_line_bytes` and told once,
    with its true length. (The ``readline`` of asyncio raises at 64 KiB, and loses what it has read.)

    **Memory** for each pipe: `max_line_bytes` of an unfinished line and an eighth, the line that is
    being delivered, and what was read of the pipe but not split yet, at most one buffer. Buffers
    are lent for the moment of reading, so a pool of one serves all pipes of an event loop.

    **When the consumer is slow**, nothing more is read, the pipe fills, and whoever writes to it
    waits. A consumer that stops before the end leaves the rest in the pipe, unless it closes that,
    and loses what was read of an unfinished line.

    **Tasks**: one at a time may read a pipe. A task that is cancelled ends the iteration. It runs
    in asyncio; with plain descriptors in trio, too.

    Args:
        pipe: an asyncio ``StreamReader``, such as the ``stdout`` of a subprocess; or a descriptor,
            or what has a ``fileno()``, of a pipe, a socket, a terminal or a file. What a file
            object of Python has read ahead is not seen. It is not closed at the end.
        pool: a `BufferPool`.
        max_line_bytes: the longest line that is given out whole; the line break is not counted.

    Raises:
        TypeError: `max_line_bytes` is not an integer.
        ValueError: `max_line_bytes` is below 1.
        Closed: the pool was closed.
        OSError: the pipe cannot be read.
    """
    splitter = LineSplitter(max_line_bytes)
    async with contextlib.aclosing(chunks(pipe, pool)) as found:
        async for chunk in found:
            for piece in _pieces(chunk):
                for line in splitter.feed(piece):
                    yield line
    tail = splitter.close()
    if tail is not None:
        yield tail


def _pieces(chunk: bytes) -> Iterator[bytes]:
    """Cut a chunk of very many lines, so that never more than some thousand are made at once."""
    step = len(chunk)
    if (lines := chunk.count(b"\n")) > _MANY_LINES:
        step = max(_LEAST_PIECE_BYTES, step * _MANY_LINES // lines)
    for start in range(0, len(chunk), step):
        yield chunk[start : start + step]
