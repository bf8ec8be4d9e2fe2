"""
The control group of Linux that this process is in, both versions: its limit and its use.

Whatever is parsed here was written by a kernel, but by which one nobody knows: so each parser
takes any text, and what makes no sense is as if it were not there.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

_UNLIMITED: Final = 1 << 60
"""The first version of control groups writes a figure near 2**63 where there is no limit."""


@dataclass(frozen=True, slots=True)
class Files:
    """
    Where a version of control groups keeps what we look for.

    Attributes:
        use: the file with the bytes in use.
        limits: the files with limits.
        inactive: the field of ``memory.stat`` with the page cache that can be dropped at once.
    """

    use: str
    limits: tuple[str, ...]
    inactive: str


VERSION_1: Final = Files("memory.usage_in_bytes", ("memory.limit_in_bytes",), "total_inactive_file")
VERSION_2: Final = Files("memory.current", ("memory.max", "memory.high"), "inactive_file")


@dataclass(frozen=True, slots=True)
class Group:
    """
    A control group with a limit on memory.

    Attributes:
        folder: where its files are.
        files: how they are called.
        limit_bytes: the least limit on the way from the top to it.
    """

    folder: Path
    files: Files
    limit_bytes: int


@dataclass(frozen=True, slots=True)
class Mount:
    """
    A hierarchy of control groups.

    Attributes:
        files: how its files are called.
        root: what part of the hierarchy is to be seen.
        point: where it is to be seen.
    """

    files: Files
    root: str
    point: str


def find_group(root: Path = Path("/")) -> Group | None:
    """Return the control group of this process; None if there is none that limits memory."""
    paths = parse_membership(read(root / "proc/self/cgroup"))
    for mount in parse_mounts(read(root / "proc/self/mountinfo")):
        path = paths.get(mount.files)
        if path is None:
            continue
        point = root / mount.point.lstrip("/")
        folder = point / _within(path, mount.root)
        if not (folder / mount.files.use).exists():  # a path of another namespace
            folder = point
        above = [folder, *folder.parents][: len(folder.relative_to(point).parts) + 1]
        limits = [
            limit
            for each in above
            for name in mount.files.limits
            if (limit := parse_limit(read(each / name))) is not None
        ]
        if limits and (folder / mount.files.use).exists():
            return Group(folder, mount.files, min(limits))
    return None


def parse_membership(text: str) -> dict[Files, str]:
    r"""
    Return the paths of this process's control groups, from ``/proc/self/cgroup``.

    >>> sorted(parse_membership("4:memory:/app\n0::/user.slice\n").values())
    ['/app', '/user.slice']
    """
    paths = {}
    for line in text.splitlines():
        fields = line.split(":", 2)
        if len(fields) != 3 or not fields[2].startswith("/"):  # noqa: PLR2004  # as it says
            continue
        if fields[0] == "0" and not fields[1]:
            paths[VERSION_2] = fields[2]
        elif "memory" in fields[1].split(","):
            paths[VERSION_1] = fields[2]
    return paths


def parse_mounts(text: str) -> Iterator[Mount]:
    """Yield the hierarchies that know of memory, from ``/proc/self/mountinfo``."""
    for line in text.splitlines():
        where, separator, what = line.partition(" - ")
        left, right = where.split(" "), what.split(" ")
        if not separator or len(left) < 5 or len(right) < 3:  # noqa: PLR2004  # fields used below
            continue
        root, point = unescape(left[3]), unescape(left[4])
        if right[0] == "cgroup2":
            yield Mount(VERSION_2, root, point)
        elif right[0] == "cgroup" and "memory" in right[2].split(","):
            yield Mount(VERSION_1, root, point)


def parse_limit(text: str) -> int | None:
    r"""
    Return a limit in bytes; None where there is none.

    >>> parse_limit("1048576\n"), parse_limit("max\n"), parse_limit("9223372036854771712\n")
    (1048576, None, None)
    """
    limit = parse_bytes(text)
    return limit if limit is not None and 0 < limit < _UNLIMITED else None


def parse_bytes(text: str) -> int | None:
    """Return the figure that `text` consists of, None if it is none."""
    found = re.fullmatch(r"\s*([0-9]{1,20})\s*", text)
    return int(found[1]) if found else None


def parse_field(text: str, name: str) -> int:
    r"""
    Return a field of ``memory.stat``, 0 where it is missing.

    >>> parse_field("anon 10\ninactive_file 4096\n", "inactive_file")
    4096
    """
    for line in text.splitlines():
        field, _, value = line.partition(" ")
        if field == name:
            return parse_bytes(value) or 0
    return 0


def parse_stalled(text: str) -> float:
    r"""
    Return the share of the last ten seconds in which some task waited for memory, in percent.

    >>> parse_stalled("some avg10=12.50 avg60=3.00 avg300=1.00 total=9\n")
    12.5
    """
    found = re.search(r"^some .*?\bavg10=(\d{1,3}(?:\.\d{1,9})?)(?![\d.])", text, re.MULTILINE)
    return min(float(found[1]), 100.0) if found else 0.0


def unescape(path: str) -> str:
    r"""
    Return a path as it is, which the kernel wrote with spaces and the like in octal.

    >>> unescape(r"/sys/my\040group")
    '/sys/my group'
    """
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), path)


def read(path: Path) -> str:
    """Return what a file says, nothing where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _within(path: str, root: str) -> PurePosixPath:
    """Return `path` as seen from `root`; nothing of it if it is not to be seen from there."""
    inner = PurePosixPath(path)
    if ".." in inner.parts or not inner.is_relative_to(root):
        return PurePosixPath()
    return inner.relative_to(root)
