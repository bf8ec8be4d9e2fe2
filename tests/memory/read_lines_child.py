"""
Read the output of many children in one way, and print what it took, as JSON.

    python read_lines_child.py stream|descriptor|readline CHILDREN LINES BYTES [LIMIT]
"""

import asyncio
import json
import os
import sys
import time
from collections import Counter
from pathlib import Path

from boundedcollections import BufferPool, read_lines

BOUND = 64 << 10
WRITE = """
import sys
kind, lines, size = sys.argv[1][0], int(sys.argv[2]), int(sys.argv[3])
for number in range(lines):
    head = f"{kind}{number}:".encode()
    sys.stdout.buffer.write(head + b"x" * (size - len(head)) + b"\\n")
"""


def memory(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) << 10
    raise LookupError(field)


def writer(lines: int, size: int) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", WRITE, "line", str(lines), str(size)]


async def by_stream(found: Counter[str], lines: int, size: int, pool: BufferPool) -> None:
    child = await asyncio.create_subprocess_exec(
        *writer(lines, size), stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    await count(found, child.stdout, pool, size)
    found["status"] += await child.wait()


async def by_descriptor(found: Counter[str], lines: int, size: int, pool: BufferPool) -> None:
    read_end, write_end = os.pipe()
    child = await asyncio.create_subprocess_exec(*writer(lines, size), stdout=write_end)
    os.close(write_end)
    await count(found, read_end, pool, size)
    os.close(read_end)
    found["status"] += await child.wait()


async def count(
    found: Counter[str], pipe: asyncio.StreamReader | int, pool: BufferPool, size: int
) -> None:
    number = 0
    async for line in read_lines(pipe, pool, BOUND):
        found["lines"] += 1
        found["heads"] += line.text.startswith(f"l{number}:x")
        found["head_bytes"] += len(line.text)
        found["cut"] += line.truncated and line.size == size
        number += 1


async def by_readline(found: Counter[str], lines: int, size: int, limit: int) -> None:
    child = await asyncio.create_subprocess_exec(
        *writer(lines, size), stdout=asyncio.subprocess.PIPE, limit=limit
    )
    assert child.stdout is not None
    while True:
        try:
            line = await child.stdout.readline()
        except ValueError:
            found["errors"] += 1
            continue
        if not line:
            break
        found["lines"] += 1
        found["heads"] += line.startswith(b"l") and len(line) == size + 1
    found["status"] += await child.wait()


async def main(way: str, children: int, lines: int, size: int, limit: int) -> None:
    before = memory("VmRSS")
    found: Counter[str] = Counter()
    pool = BufferPool(max_buffers=4)
    begin = time.process_time()
    async with asyncio.TaskGroup() as group:
        for _ in range(children):
            if way == "stream":
                group.create_task(by_stream(found, lines, size, pool))
            elif way == "descriptor":
                group.create_task(by_descriptor(found, lines, size, pool))
            else:
                group.create_task(by_readline(found, lines, size, limit))
    print(  # noqa: T201  # this is what the parent reads
        json.dumps(
            {
                **found,
                "before": before,
                "peak": memory("VmHWM"),
                "after": memory("VmRSS"),
                "cpu_seconds": time.process_time() - begin,
                "buffers": pool.peak_bytes,
            }
        )
    )


if __name__ == "__main__":
    children, lines, size, limit = map(int, [*sys.argv[2:], "0"][:4])
    asyncio.run(main(sys.argv[1], children, lines, size, limit))
