import asyncio
import contextlib
import errno
import gc
import os
import socket
import sys
import threading
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from boundedcollections import BufferPool, Closed, Line, read_lines
from boundedcollections._core import pipes

PRINT = "import sys; sys.stdout.buffer.write(eval(sys.argv[1]))"


@pytest.fixture
def pool() -> BufferPool:
    return BufferPool(max_buffers=1, buffer_bytes=1_000)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    read_end, write_end = os.pipe()
    yield read_end, write_end
    for fd in (read_end, write_end):
        with contextlib.suppress(OSError):
            os.close(fd)


async def all_of(source: Any, pool: BufferPool, bound: int = 100) -> list[Line]:
    return [line async for line in read_lines(source, pool, bound)]


def written(text: bytes, write_end: int) -> None:
    os.write(write_end, text)
    os.close(write_end)


async def child_of(expression: str, **settings: Any) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-S", "-c", PRINT, expression, stdout=asyncio.subprocess.PIPE,
        **settings,
    )  # fmt: skip


class TestDescriptors:
    async def test_the_lines_of_a_pipe_come_until_its_end(
        self, pool: BufferPool, pipe: tuple[int, int]
    ) -> None:
        written("one\ntwo\r\nfür\nrest".encode(), pipe[1])
        assert await all_of(pipe[0], pool) == [
            Line("one", 3, truncated=False),
            Line("two", 3, truncated=False),
            Line("für", 4, truncated=False),
            Line("rest", 4, truncated=False),
        ]

    async def test_an_empty_pipe_has_no_lines(
        self, pool: BufferPool, pipe: tuple[int, int]
    ) -> None:
        os.close(pipe[1])
        assert await all_of(pipe[0], pool) == []

    async def test_a_line_comes_as_soon_as_it_is_written(
        self, pool: BufferPool, pipe: tuple[int, int]
    ) -> None:
        lines = read_lines(pipe[0], pool, 100)
        for text in ("first", "second"):
            waiting = asyncio.create_task(anext(lines))
            await asyncio.sleep(0.001)
            assert not waiting.done()
            os.write(pipe[1], f"{text}\n".encode())
            assert (await waiting).text == text
        await lines.aclose()

    async def test_a_long_line_is_cut_and_told_once_and_the_rest_is_read(
        self, pool: BufferPool, pipe: tuple[int, int]
    ) -> None:
        writer = threading.Thread(target=written, args=(b"y" * 300_000 + b"\nz\n", pipe[1]))
        writer.start()
        assert await all_of(pipe[0], pool, 5) == [
            Line("yyyyy", 300_000, truncated=True),
            Line("z", 1, truncated=False),
        ]
        writer.join()

    async def test_an_object_with_a_descriptor_is_read_and_left_open(
        self, pool: BufferPool, pipe: tuple[int, int]
    ) -> None:
        written(b"one\n", pipe[1])
        with os.fdopen(pipe[0], "rb", buffering=0) as file:
            assert await all_of(file, pool) == [Line("one", 3, truncated=False)]
            assert not file.closed

    async def test_a_socket_and_a_file_are_read_as_well(
        self, pool: BufferPool, tmp_path: Path
    ) -> None:
        ours, theirs = socket.socketpair()
        theirs.sendall(b"by wire\n")
        theirs.close()
        with ours:
            assert await all_of(ours, pool) == [Line("by wire", 7, truncated=False)]
        path = tmp_path / "log"
        path.write_bytes(b"line\n" * 1_000)
        with path.open("rb") as file:
            assert len(await all_of(file, pool)) == 1_000

    @pytest.mark.skipif(not hasattr(os, "openpty"), reason="there are no terminals here")
    async def test_a_terminal_ends_when_its_other_side_is_closed(self, pool: BufferPool) -> None:
        ours, theirs = os.openpty()
        os.write(theirs, b"prompt> ")
        lines = read_lines(ours, pool, 100)
        waiting = asyncio.create_task(anext(lines))
        await asyncio.sleep(0.01)
        os.close(theirs)
        assert (await waiting).text == "prompt> "
        with pytest.raises(StopAsyncIteration):
            await anext(lines)
        os.close(ours)

    async def test_the_end_of_a_terminal_is_told_as_an_error(
        self, pool: BufferPool, pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def read(fd: int, buffers: object) -> int:
            raise OSError(errno.EIO, "Input/output error")

        monkeypatch.setattr(os, "readv", read)
        os.write(pipe[1], b"x")
        assert await all_of(pipe[0], pool) == []

    async def test_any_other_error_is_passed_on(
        self, pool: BufferPool, pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def read(fd: int, buffers: object) -> int:
            raise OSError(errno.EISDIR, "Is a directory")

        monkeypatch.setattr(os, "readv", read)
        os.write(pipe[1], b"x")
        with pytest.raises(IsADirectoryError):
            await all_of(pipe[0], pool)
        assert pool.statistics().leased == 0

    async def test_a_pipe_that_is_empty_after_all_is_waited_for_again(
        self, pool: BufferPool, pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        read, calls = os.readv, []

        def late(fd: int, buffers: list[memoryview]) -> int:
            calls.append(fd)
            if len(calls) == 1:
                raise BlockingIOError
            return read(fd, buffers)

        monkeypatch.setattr(os, "readv", late)
        written(b"one\n", pipe[1])
        assert await all_of(pipe[0], pool) == [Line("one", 3, truncated=False)]

    @pytest.mark.parametrize("blocking", [True, False])
    async def test_the_mode_of_the_descriptor_is_put_back(
        self, pool: BufferPool, pipe: tuple[int, int], blocking: bool
    ) -> None:
        os.set_blocking(pipe[0], blocking)
        written(b"one\n", pipe[1])
        await all_of(pipe[0], pool)
        assert os.get_blocking(pipe[0]) is blocking

    async def test_a_descriptor_that_is_closed_meanwhile_harms_nothing(
        self, pool: BufferPool, pipe: tuple[int, int]
    ) -> None:
        os.write(pipe[1], b"one\ntwo\n")
        lines = read_lines(pipe[0], pool, 100)
        assert (await anext(lines)).text == "one"
        os.close(pipe[0])
        await lines.aclose()

    @pytest.mark.parametrize("bound", [0, -1, 1.5, True, "8"])
    async def test_a_bound_that_is_no_bound_is_refused(
        self, pool: BufferPool, pipe: tuple[int, int], bound: Any
    ) -> None:
        with pytest.raises((TypeError, ValueError), match="max_line_bytes"):
            await all_of(pipe[0], pool, bound)


class TestPools:
    async def test_one_buffer_serves_many_pipes(self, pool: BufferPool) -> None:
        ends = [os.pipe() for _ in range(20)]
        for _, write_end in ends:
            os.write(write_end, b"a line\n" * 3)
        readers = [asyncio.create_task(all_of(end, pool)) for end, _ in ends]
        await asyncio.sleep(0.01)
        for _, write_end in ends:
            written(b"the end\n", write_end)
        for lines in await asyncio.gather(*readers):
            assert [line.text for line in lines] == ["a line"] * 3 + ["the end"]
        assert pool.peak_bytes == pool.buffer_bytes
        for end, _ in ends:
            os.close(end)

    async def test_a_reader_waits_for_a_buffer_that_others_have(
        self, pool: BufferPool, pipe: tuple[int, int]
    ) -> None:
        written(b"one\n", pipe[1])
        lease = pool.acquire_nowait()
        reading = asyncio.create_task(all_of(pipe[0], pool))
        await asyncio.sleep(0.01)
        assert not reading.done()
        lease.release()
        assert await reading == [Line("one", 3, truncated=False)]

    async def test_no_buffer_is_kept_while_a_line_is_delivered(
        self, pool: BufferPool, pipe: tuple[int, int]
    ) -> None:
        os.write(pipe[1], b"one\ntwo\n")
        lines = read_lines(pipe[0], pool, 100)
        await anext(lines)
        assert pool.statistics().leased == 0
        await lines.aclose()

    async def test_a_closed_pool_ends_the_iteration_with_an_error(
        self, pool: BufferPool, pipe: tuple[int, int]
    ) -> None:
        os.write(pipe[1], b"one\n")
        pool.close()
        with pytest.raises(Closed):
            await all_of(pipe[0], pool)

    async def test_a_task_cancelled_at_any_time_gives_everything_back(
        self, pool: BufferPool, pipe: tuple[int, int]
    ) -> None:
        for ticks in range(12):
            reading = asyncio.create_task(all_of(pipe[0], pool))
            os.write(pipe[1], b"line\n" * 10)
            for _ in range(ticks):
                await asyncio.sleep(0)
            reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reading
            assert pool.statistics().leased == pool.statistics().waiting == 0
            assert os.get_blocking(pipe[0])
        assert asyncio.get_running_loop().remove_reader(pipe[0]) is False

    async def test_a_flood_of_empty_lines_costs_little_more_than_its_bytes(
        self, pipe: tuple[int, int]
    ) -> None:
        pool = BufferPool(max_buffers=1, buffer_bytes=64 << 10)
        os.write(pipe[1], b"\n" * 20_000)
        os.close(pipe[1])
        lines = read_lines(pipe[0], pool, 100)
        gc.collect()
        tracemalloc.start()
        try:
            count = 0
            async for _ in lines:
                count += 1
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert count == 20_000
        assert peak < 2 * (64 << 10) + 400_000  # a list of 20,000 lines alone takes 5 MB


class TestStreams:
    async def test_the_lines_of_a_child_come_and_its_end_is_seen(self, pool: BufferPool) -> None:
        child = await child_of("b'one\\n' + b'x' * 200_000 + b'\\nlast'")
        assert await all_of(child.stdout, pool) == [
            Line("one", 3, truncated=False),
            Line("x" * 100, 200_000, truncated=True),
            Line("last", 4, truncated=False),
        ]
        async with asyncio.timeout(30):
            assert await child.wait() == 0
        assert pool.statistics().granted > 0  # it was read into the pool's buffers

    async def test_what_the_stream_has_read_ahead_comes_first(self, pool: BufferPool) -> None:
        child = await child_of("b'line\\n' * 20_000", limit=1_000)
        assert child.stdout is not None
        assert await child.stdout.readexactly(3) == b"lin"
        await asyncio.sleep(0.05)
        lines = await all_of(child.stdout, pool)
        assert [line.text for line in lines] == ["e"] + ["line"] * 19_999
        await child.wait()

    async def test_a_child_that_ended_before_is_read_as_well(self, pool: BufferPool) -> None:
        child = await child_of("b'one\\ntwo\\n'")
        await child.wait()
        assert [line.text for line in await all_of(child.stdout, pool)] == ["one", "two"]
        assert await all_of(child.stdout, pool) == []

    async def test_who_stops_early_leaves_the_rest_to_the_stream(self, pool: BufferPool) -> None:
        child = await child_of("b'one\\ntwo\\n' + b'x' * 900_000")
        assert child.stdout is not None
        async with contextlib.aclosing(read_lines(child.stdout, pool, 100)) as lines:
            async for line in lines:
                assert line.text == "one"
                break
        rest = await child.stdout.read()
        assert rest == b"x" * len(rest)
        assert 900_000 - len(rest) <= pool.buffer_bytes
        async with asyncio.timeout(30):
            assert await child.wait() == 0

    async def test_a_stream_without_a_pipe_is_read_by_its_own_means(self, pool: BufferPool) -> None:
        reader = asyncio.StreamReader()
        reader.feed_data(b"one\nlong line\nend")
        reader.feed_eof()
        assert await all_of(reader, pool, 4) == [
            Line("one", 3, truncated=False),
            Line("long", 9, truncated=True),
            Line("end", 3, truncated=False),
        ]

    async def test_a_connection_is_read_by_its_own_means(self, pool: BufferPool) -> None:
        async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"x" * 500_000 + b"\nend\n")
            writer.close()
            await writer.wait_closed()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            lines = await all_of(reader, pool, 2)
            writer.close()
            await writer.wait_closed()
        assert lines == [Line("xx", 500_000, truncated=True), Line("en", 3, truncated=True)]

    async def test_an_error_of_the_stream_is_passed_on(self, pool: BufferPool) -> None:
        child = await child_of("b''")
        assert child.stdout is not None
        child.stdout.set_exception(ConnectionResetError("gone"))
        with pytest.raises(ConnectionResetError):
            await all_of(child.stdout, pool)
        await child.wait()

    async def test_another_loop_reads_streams_by_their_own_means(
        self, pool: BufferPool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(asyncio, "SelectorEventLoop", type("Another", (), {}))
        child = await child_of("b'one\\n'")
        assert [line.text for line in await all_of(child.stdout, pool)] == ["one"]
        assert pool.statistics().granted == 0
        await child.wait()

    async def test_both_pipes_of_a_child_are_read_at_once(self, pool: BufferPool) -> None:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c",
            "import sys\nfor _ in range(200): print('o' * 999); print('e' * 999, file=sys.stderr)",
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await asyncio.gather(all_of(child.stdout, pool), all_of(child.stderr, pool))
        assert [line.text for line in out] == ["o" * 100] * 200
        assert [line.text for line in err] == ["e" * 100] * 200
        assert await child.wait() == 0

    async def test_a_signal_from_a_pipe_that_was_seen_twice_harms_nothing(self) -> None:
        ready = asyncio.get_running_loop().create_future()
        pipes._finish(ready)
        pipes._finish(ready)
        assert ready.done()


@pytest.mark.skipif(find_spec("trio") is None, reason="trio is not installed")
def test_descriptors_are_read_in_trio_as_well(pool: BufferPool, pipe: tuple[int, int]) -> None:
    trio = import_module("trio")
    found: list[str] = []

    async def read() -> None:
        async with contextlib.aclosing(read_lines(pipe[0], pool, 100)) as lines:
            found.extend([line.text async for line in lines])

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            await trio.sleep(0.01)
            written(b"one\ntwo\n", pipe[1])

    trio.run(main)
    assert found == ["one", "two"]


def test_the_iteration_can_be_closed() -> None:
    async def main() -> None:
        lines: AsyncIterator[Line] = read_lines(0, BufferPool(max_buffers=1), 1)
        await lines.aclose()  # type: ignore[attr-defined]

    asyncio.run(main())
