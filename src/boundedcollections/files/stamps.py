"""
Stamps: numbers that change when a folder or an ignore file does.

A stamp is made of the times, the inode and the device that `os.stat` tells. Times alone would not
do: a folder that was moved into the place of another one brings its old times with it. Nor would
the time of change alone: some systems know none.

Clocks of file systems tick coarsely, so what was changed a moment ago may change once more without
its times changing. Such a thing gets the stamp 0, which counts as changed at the next look (git
calls its entries of that kind "racily clean").
"""

import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_RACY_NANOSECONDS: Final = 2_000_000_000
"""The coarsest clock of a usual file system: that of FAT."""

RACY: Final = 0
"""The stamp of what may have changed again since its times were taken."""

NO_RULES: Final = 1
"""The stamp of ignore files where there are none."""


def stamp_of_folder(path: bytes) -> int:
    """
    Return the stamp of a folder; it must be taken before the folder is read.

    Raises:
        OSError: it is out of reach.
    """
    status = os.stat(path)  # noqa: PTH116  # for each folder of a tree
    return stamp_of(status) if _is_settled(status) else RACY


def stamp_of(status: os.stat_result) -> int:
    """Return the stamp of what has this status, whether or not it is racy."""
    return hash((status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev)) or 1


def stamp_of_files(paths: Iterable[Path]) -> int:
    """Return one stamp of several files, of which some, or all, need not be there."""
    stamps = []
    for path in paths:
        try:
            status = path.stat()
        except OSError:
            continue
        if not _is_settled(status):
            return RACY
        stamps.append((str(path), stamp_of(status)))
    return hash(tuple(stamps)) if stamps else NO_RULES


def _is_settled(status: os.stat_result) -> bool:
    newest = max(status.st_mtime_ns, status.st_ctime_ns)
    return newest <= time.time_ns() - _RACY_NANOSECONDS
