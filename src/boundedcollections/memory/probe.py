"""
How much memory the process uses: measured in microseconds, so that it can be done often.

On Linux from ``/proc``, and from the control group if that has a limit: its figure includes child
processes, and the page cache is taken off it, since the kernel gives that up without being asked.
Elsewhere psutil measures, if it is installed (``pip install boundedcollections[psutil]``).
"""

import contextlib
import importlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from boundedcollections.memory import cgroups

_LONGEST_READ: Final = 1 << 13
_RSS_FIELD: Final = 1
"""The resident pages, in ``/proc/self/statm``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """
    What a probe finds at one moment.

    Attributes:
        rss_bytes: the resident memory of this process.
        group_bytes: what its control group uses without the page cache; 0 without one, or if it
            has no limit.
        group_limit_bytes: that limit; None without.
        stalled_percent: the share of the last ten seconds in which some task waited for memory; 0
            where nobody can tell.
    """

    rss_bytes: int
    group_bytes: int = 0
    group_limit_bytes: int | None = None
    stalled_percent: float = 0.0

    def used_of(self, limit_bytes: int) -> int:
        """
        Return the use to compare with `limit_bytes`: of the process, or of its group if that is fuller.

        >>> reading = Reading(rss_bytes=100, group_bytes=3_000, group_limit_bytes=4_000)
        >>> reading.used_of(1_000)
        750

        Four processes in one group, each with a quarter of its limit, so see it fill alike.
        """
        if self.group_limit_bytes is None:
            return self.rss_bytes
        return max(self.rss_bytes, self.group_bytes * limit_bytes // self.group_limit_bytes)


class Probe(Protocol):
    """What measures the process."""

    def read(self) -> Reading:
        """Measure now."""

    def close(self) -> None:
        """Give back what it needs for that."""


class LinuxProbe:
    """
    Reads ``/proc`` and the control group; a few microseconds each time.

    It keeps its files open, and opens them anew after a fork. What cannot be read counts as not
    being there; only ``statm`` is required.

    Args:
        root: where the file systems are; for tests.

    Raises:
        OSError: there is no ``/proc``.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._page_bytes = os.sysconf("SC_PAGE_SIZE")
        self._files: dict[str, int] = {}
        self._open()

    def _open(self) -> None:
        self._pid = os.getpid()
        self._statm = os.open(self._root / "proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
        self._files = {"statm": self._statm}
        self._group = cgroups.find_group(self._root)
        pressure = self._root / "proc/pressure/memory"
        if self._group is not None:
            self._keep("use", self._group.folder / self._group.files.use)
            self._keep("stat", self._group.folder / "memory.stat")
            if (own := self._group.folder / "memory.pressure").exists():
                pressure = own
        self._keep("pressure", pressure)

    def _keep(self, name: str, path: Path) -> None:
        with contextlib.suppress(OSError):
            self._files[name] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def read(self) -> Reading:
        """
        Measure now.

        Raises:
            OSError: the process cannot be measured.
            ValueError: likewise; ``statm`` makes no sense, or the probe was closed.
        """
        if os.getpid() != self._pid:  # a forked child has its own figures, and copies of the files
            self.close()
            self._open()
        if not self._files:
            raise ValueError("the probe is closed")
        rss = parse_statm(self._text("statm"), self._page_bytes)
        return Reading(
            rss_bytes=rss,
            group_bytes=self._group_bytes(),
            group_limit_bytes=None if self._group is None else self._group.limit_bytes,
            stalled_percent=cgroups.parse_stalled(self._text("pressure")),
        )

    def close(self) -> None:
        """Close the files; closing again changes nothing."""
        files, self._files = self._files, {}
        for fd in files.values():
            with contextlib.suppress(OSError):
                os.close(fd)

    def _group_bytes(self) -> int:
        use = cgroups.parse_bytes(self._text("use"))
        if self._group is None or use is None:
            return 0
        cache = cgroups.parse_field(self._text("stat"), self._group.files.inactive)
        return max(use - cache, 0)

    def _text(self, name: str) -> str:
        fd = self._files.get(name)
        if fd is None:
            return ""
        try:
            return os.pread(fd, _LONGEST_READ, 0).decode("ascii", "replace")
        except OSError:
            if name == "statm":
                raise
            return ""


class PsutilProbe:
    """
    Asks psutil, wherever that runs.

    Raises:
        ImportError: psutil is not installed.
    """

    def __init__(self) -> None:
        self._open()

    def _open(self) -> None:
        self._pid = os.getpid()
        self._process: Any = importlib.import_module("psutil").Process()

    def read(self) -> Reading:
        """Measure now."""
        if os.getpid() != self._pid:
            self._open()
        return Reading(rss_bytes=self._process.memory_info().rss)

    def close(self) -> None:
        """There is nothing to give back."""


def best_probe() -> LinuxProbe | PsutilProbe:
    """
    Return the probe for this system.

    Raises:
        RuntimeError: there is none without psutil.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            return LinuxProbe()
    try:
        return PsutilProbe()
    except ImportError:
        raise RuntimeError(
            "nothing here can measure the memory of a process: "
            "pip install boundedcollections[psutil]"
        ) from None


def memory_limit(root: Path = Path("/")) -> int | None:
    """
    Return what the process may use at most: the limit of its control group, or the host's memory.

    None where nobody can tell. On Linux; elsewhere it is for psutil to say.

    >>> memory_limit(Path("/there is no such folder")) is None
    True

    Args:
        root: where the file systems are; for tests.
    """
    group = cgroups.find_group(root)
    host = parse_meminfo(cgroups.read(root / "proc/meminfo"))
    if group is None or host is None:
        return host if group is None else group.limit_bytes
    return min(group.limit_bytes, host)


def parse_statm(text: str, page_bytes: int) -> int:
    r"""
    Return the resident bytes from ``/proc/self/statm``.

    >>> parse_statm("765 445 417 5 0 123 0\n", 4096) // 4096
    445

    Raises:
        ValueError: it makes no sense.
    """
    fields = text.split()
    pages = cgroups.parse_bytes(fields[_RSS_FIELD]) if len(fields) > _RSS_FIELD else None
    if pages is None:
        raise ValueError(f"statm must have a number of resident pages, got {text!r}")
    return pages * page_bytes


def parse_meminfo(text: str) -> int | None:
    r"""
    Return the memory of the host from ``/proc/meminfo``; None if it makes no sense.

    >>> parse_meminfo("MemTotal:       16384 kB\nMemFree:  9 kB\n")
    16777216
    """
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name == "MemTotal":
            kibibytes = cgroups.parse_bytes(value.removesuffix("kB"))
            return None if kibibytes is None else kibibytes << 10
    return None
