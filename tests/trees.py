"""Trees of files for tests, and scans of them that last as long as a test wants."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

PROJECT = "project"


def plant(root: Path, *paths: str) -> Path:
    """Make empty files with these paths below `root`, and return it."""
    for path in paths:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return root


class Gate:
    """Holds up `os.scandir`, so that a scan lasts as long as a test wants."""

    def __init__(self) -> None:
        self._scandir = os.scandir
        self._is_open = threading.Event()
        self.entered = threading.Semaphore(0)
        self.scans = 0

    def __call__(self, path: bytes | int) -> Any:
        if isinstance(path, int):  # it is not our scan
            return self._scandir(path)
        self.scans += path.endswith(f"/{PROJECT}/".encode())
        self.entered.release()
        assert self._is_open.wait(30)
        return self._scandir(path)

    def open(self) -> None:
        self._is_open.set()


@contextmanager
def gated_project(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[tuple[Gate, Path]]:
    """Make a gate and a project with two files; all scans wait at the gate."""
    root = plant(folder / PROJECT, "a", "b/c")
    gate = Gate()
    patch.setattr(os, "scandir", gate)
    try:
        yield gate, root
    finally:
        gate.open()


def in_thread(function: Callable[[], object]) -> threading.Thread:
    """Return a thread that runs `function`."""
    thread = threading.Thread(target=function)
    thread.start()
    return thread


def until(condition: Callable[[], object]) -> None:
    """Wait until `condition` is true."""
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.001)
