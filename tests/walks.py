"""Walks within bounds that a test sets, and listings that it makes up."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self, cast

from boundedcollections.files.columns import Columns
from boundedcollections.files.tree import Bounds, Found
from boundedcollections.files.walk import Walk


def bounds(**limits: Any) -> Bounds:
    usual: dict[str, Any] = {
        "max_files": 10_000,
        "max_bytes": 10_000_000,
        "max_directories": 1_000,
        "max_depth": 100,
        "max_seconds": 1_000.0,
        "max_ignored_files": 100,
    }
    return Bounds(**(usual | limits))


def walk(
    root: Path,
    *,
    skip: frozenset[str] = frozenset({".git"}),
    use_gitignore: bool = True,
    clock: Callable[[], float] = time.monotonic,
    is_stopped: Callable[[], bool] = lambda: False,
    **limits: Any,
) -> Found:
    one = Walk(
        str(root),
        bounds(**limits),
        skip=skip,
        use_gitignore=use_gitignore,
        clock=clock,
        is_stopped=is_stopped,
    )
    found = one.run()
    columns = Columns(found.tree)
    columns.check()
    assert columns.bytes <= one.bytes <= bounds(**limits).max_bytes
    assert columns.files == found.files
    return found._replace(tree=cast("Any", columns))  # which have taken the tree to pieces


def paths(found: Found) -> list[str]:
    return list(cast("Columns", found.tree).paths(0))


class Counting:
    """`os.scandir` that counts the entries it gives out."""

    def __init__(self, scandir: Callable[..., Any]) -> None:
        self._scandir = scandir
        self.entries = 0

    def __call__(self, path: bytes) -> Any:
        return Listing(self, self._scandir(path))


class Listing:
    """What `os.scandir` gives, with faults of its own."""

    def __init__(self, counting: Counting | None, entries: Any) -> None:
        self._counting = counting
        self._entries = entries

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._entries.close()

    def __iter__(self) -> "Listing":
        return self

    def __next__(self) -> Any:
        if self._counting is not None:
            self._counting.entries += 1
        return next(self._entries)
