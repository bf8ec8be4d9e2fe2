"""
How a task reads what comes out of a pipe: into a buffer that it was lent, and nowhere else.

An asyncio ``StreamReader`` reads ahead into a buffer of its own, up to some 200 KiB for each pipe.
Here its transport is paused, what it has read ahead is taken first, and then the descriptor is
read directly. When that is over, the transport goes on, sees the end by itself, and tells whoever
waits for the process.
"""

import asyncio
import contextlib
import errno
import os
import stat
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import AbstractContextManager
from typing import Any, Protocol

from boundedcollections._core.waiters import _in_trio, checkpoint


class Buffers(Protocol):
    """What lends the buffers to read into."""

    @property
    def buffer_bytes(self) -> int:
        """The size of one buffer."""

    async def acquire(self) -> AbstractContextManager[memoryview]:
        """Wait for a buffer."""


class HasDescriptor(Protocol):
    """A file, a pipe, a socket."""

    def fileno(self) -> int:
        """Return its descriptor."""


Pipe = asyncio.StreamReader | HasDescriptor | int


async def chunks(pipe: Pipe, pool: Buffers) -> AsyncGenerator[bytes, None]:
    """Yield what comes out of `pipe` until its end, at most a buffer at a time."""
    if not isinstance(pipe, asyncio.StreamReader):
        fd = pipe if isinstance(pipe, int) else pipe.fileno()
        async with contextlib.aclosing(_chunks_of_descriptor(fd, pool)) as found:
            async for chunk in found:
                yield chunk
        return
    with _taken_over(pipe) as own:
        if own is not None:
            await asyncio.sleep(0)  # what has been read is handed on in the loop's next turn
            while chunk := _read_ahead(pipe, pool.buffer_bytes):
                yield chunk
            async with contextlib.aclosing(_chunks_of_descriptor(own, pool)) as found:
                async for chunk in found:
                    yield chunk
    while chunk := await pipe.read(pool.buffer_bytes):
        yield chunk


@contextlib.contextmanager
def _taken_over(reader: asyncio.StreamReader) -> Iterator[int | None]:
    """Keep asyncio from reading a pipe meanwhile; None where the loop does not let us."""
    transport: Any = getattr(reader, "_transport", None)
    is_open = isinstance(transport, asyncio.ReadTransport) and not transport.is_closing()
    pipe = transport.get_extra_info("pipe") if is_open else None
    if pipe is None or not isinstance(asyncio.get_running_loop(), asyncio.SelectorEventLoop):
        yield None
        return
    transport.pause_reading()
    try:
        yield pipe.fileno()
    finally:
        transport.resume_reading()


def _read_ahead(reader: asyncio.StreamReader, most_bytes: int) -> bytes:
    """Take something of what `reader` has read already, without waiting for more."""
    transport: Any = getattr(reader, "_transport", None)
    steps = reader.read(most_bytes)
    try:
        steps.send(None)
    except StopIteration as done:
        chunk: bytes = done.value
        return chunk
    finally:
        steps.close()
        transport.pause_reading()  # to ask for more may have resumed it
    return b""


async def _chunks_of_descriptor(fd: int, pool: Buffers) -> AsyncGenerator[bytes, None]:
    was_blocking = os.get_blocking(fd)
    os.set_blocking(fd, False)
    try:
        is_file = stat.S_ISREG(os.fstat(fd).st_mode)
        while True:
            await (checkpoint() if is_file else _readable(fd))
            with await pool.acquire() as buffer:
                count = _read(fd, buffer)
                chunk = bytes(buffer[:count]) if count else b""
            if chunk:
                yield chunk
            elif count == 0:
                return
    finally:
        with contextlib.suppress(OSError):  # the user has closed it
            os.set_blocking(fd, was_blocking)


def _read(fd: int, buffer: memoryview) -> int | None:
    """Return how many bytes were read, 0 at the end, None if there is nothing after all."""
    try:
        return os.readv(fd, [buffer])
    except BlockingIOError:
        return None
    except OSError as error:
        if error.errno == errno.EIO:  # how a terminal says that its other side is closed
            return 0
        raise


async def _readable(fd: int) -> None:
    """Wait until there is something to read, or the end."""
    if _in_trio():
        await sys.modules["trio"].lowlevel.wait_readable(fd)
        return
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    loop.add_reader(fd, _finish, ready)
    try:
        await ready
    finally:
        loop.remove_reader(fd)


def _finish(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
