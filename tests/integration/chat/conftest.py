"""A folder to serve, and a watch over what a server leaves behind."""

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small project with something to find in it."""
    folder = tmp_path / "project"
    (folder / "src").mkdir(parents=True)
    (folder / "README.md").write_text("# Project\n\nRead me.\n")
    (folder / "src" / "main.py").write_text("import os\n# TODO: tidy up\n")
    (folder / "src" / "long.txt").write_text("".join(f"line {n}\n" for n in range(1, 401)))
    return folder


@pytest.fixture
async def nothing_left() -> AsyncIterator[None]:
    """After the test there are no more tasks, processes and file descriptors than before."""
    tasks, children, files = len(asyncio.all_tasks()), processes(), descriptors()
    yield
    left = ""
    for _ in range(200):  # connections close, and processes are reaped, a moment later
        left = f"tasks: {asyncio.all_tasks()}, processes: {processes() - children}"
        if len(asyncio.all_tasks()) <= tasks and processes() <= children and descriptors() <= files:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"left behind: {left}, file descriptors: {descriptors() - files}")


@pytest.fixture
def silent_collector() -> Iterator[None]:
    """
    The garbage collector calls nobody.

    Where something is nested so deeply that no call is left, the recorder of its pauses cannot be
    called either. Python tells that on stderr, and the test would fail, though the server survives.
    """
    callbacks = gc.callbacks[:]
    gc.callbacks.clear()
    yield
    gc.callbacks[:] = callbacks


def processes() -> set[str]:
    """The children of this process, those that only wait to be reaped included."""
    found: set[str] = set()
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(FileNotFoundError):  # a thread may end between the two looks
            found.update((task / "children").read_text().split())
    return found


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())
