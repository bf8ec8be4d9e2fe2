"""Trees of files for tests, and scans of them that last as long as a test wants."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from boundedcollections.files import folders

PROJECT = "project"

READERS = {
    form.__module__.rpartition(".")[2]: (form, stamp)
    for form, stamp in (
        (folders.list_folder, folders.stamp_of),
        (folders.list_folder_in_python, folders.stamp_of_in_python),
    )
}
"""What tells a walk about folders, by the name of the module; compiled where there is a build."""


def plant(root: Path, *paths: str) -> Path:
    """Make empty files with these paths below `root`, and return it."""
    for path in paths:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return root


def list_by(patch: pytest.MonkeyPatch, scandir: Callable[[Any], Any]) -> None:
    """Have all folders be read entry by entry, by what a test has instead of `os.scandir`."""
    patch.setattr(os, "scandir", scandir)
    patch.setattr(folders, "list_folder", lambda *_: None)


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
    list_by(patch, gate)
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
