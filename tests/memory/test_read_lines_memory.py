"""A hundred children that write lines of 1 MB, read in little memory: by a child of this test."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

MB = 1_000_000
CHILDREN, LINES = 100, 2
LONG_LINE = 1 * MB
BOUND = 64 << 10

pytestmark = [
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc"),
    pytest.mark.timeout(180),
]


def reading(way: str, *limits: int) -> dict[str, float]:
    script = Path(__file__).with_name("read_lines_child.py")
    arguments = [str(number) for number in (CHILDREN, LINES, LONG_LINE, *limits)]
    done = subprocess.run(
        [sys.executable, script, way, *arguments], check=True, capture_output=True, text=True
    )
    found: dict[str, float] = json.loads(done.stdout)
    assert found["status"] == 0
    return found


@pytest.mark.parametrize("way", ["stream", pytest.param("descriptor", marks=pytest.mark.long)])
def test_every_head_is_delivered_and_every_cut_told_in_little_memory(way: str) -> None:
    found = reading(way)
    assert found["lines"] == found["heads"] == found["cut"] == CHILDREN * LINES
    assert found["head_bytes"] == CHILDREN * LINES * BOUND
    assert found["buffers"] <= 4 * BOUND
    assert found["peak"] <= 60 * MB


def test_the_readline_of_asyncio_loses_every_line_at_its_default_limit() -> None:
    found = reading("readline", 64 << 10)
    assert found["errors"] >= CHILDREN * LINES
    assert found.get("heads", 0) == 0


def test_the_readline_of_asyncio_takes_it_all_at_a_limit_that_fits_the_lines() -> None:
    found = reading("readline", 2 << 20)
    assert found["heads"] == CHILDREN * LINES
    assert found["peak"] > 100 * MB
