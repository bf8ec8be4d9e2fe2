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

from boundedcollections.files import folders

_RACY_NANOSECONDS: Final = 2_000_000_000
"""The coarsest clock of a usual file system: that of FAT."""

RACY: Final = 0
"""The stamp of what may have changed again since its times were taken."""

AT_ANY_TIME: Final = 2**63 - 1
"""For a stamp that may be racy: to be compared with one that is not."""

NO_RULES: Final = 1
"""The stamp of ignore files where there are none."""


def settled() -> int:
    """Return the time, in nanoseconds, that what has not changed since may count as settled."""
    return time.time_ns() - _RACY_NANOSECONDS


def stamp_of_files(paths: Iterable[Path]) -> int:
    """Return one stamp of several files, of which some, or all, need not be there."""
    stamps = []
    for path in paths:
        try:
            stamp = folders.stamp_of(os.fsencode(path), settled())
        except OSError:
            continue
        if stamp == RACY:
            return RACY
        stamps.append((str(path), stamp))
    return hash(tuple(stamps)) if stamps else NO_RULES
