"""What a user has asked to be indexed: checked, and as scans take it."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from boundedcollections._core.units import KiB, positive_int
from boundedcollections.files.tree import Bounds

SHARES: Final = 3
"""The bytes are for the snapshot that is read, the walk under way, and what it turns into."""

LEAST_BYTES: Final = 64 * KiB
"""With less, an empty index would take a good part of it."""

MOST_COLUMN_BYTES: Final = (1 << 32) - 1
"""Offsets in the columns are 32 bits wide."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """
    What to scan, and how.

    Attributes:
        root: an absolute path.
        bounds: how far to go; the bytes are one share.
        skip: names to leave out wherever they occur.
        use_gitignore: whether to leave out what git would ignore.
        use_global_gitignore: whether to follow the user's own ignore file, too.
        allow_broad_root: whether the root may be as `is_broad` says.
        full_every: of so many refreshes in a row one reads all folders.
        clock: seconds, never going back.
    """

    root: str
    bounds: Bounds
    skip: frozenset[str]
    use_gitignore: bool
    use_global_gitignore: bool
    allow_broad_root: bool
    full_every: int
    clock: Callable[[], float]


def is_broad(root: str) -> bool:
    """Return whether `root` is a whole file system, the home directory, or around it."""
    real = Path(root).resolve()
    try:
        home = Path.home().resolve()
    except RuntimeError:  # there is none
        home = real.parent
    return real in (real.parent, home, *home.parents)


def allowed_root(root: str | os.PathLike[str], *, allow_broad_root: bool) -> str:
    """Return the absolute path of `root`, if it may be indexed."""
    path = os.fspath(root)
    if not isinstance(path, str):
        raise TypeError(f"root must be a text or a path of text, got {root!r}")
    path = os.path.abspath(path)  # noqa: PTH100  # links in it stay, and may be replaced
    if not allow_broad_root and is_broad(path):
        raise ValueError(
            "root must not be a whole file system, the home directory or a folder around it, "
            f"unless allow_broad_root is True, got {path!r}"
        )
    return path


def enough_bytes(max_bytes: int) -> int:
    """Return `max_bytes`, if an index can do with it."""
    number = positive_int("max_bytes", max_bytes)
    if number < LEAST_BYTES:
        raise ValueError(f"max_bytes must be an integer of at least {LEAST_BYTES}, got {number}")
    return number


def names_to_skip(always_skip: Iterable[str]) -> frozenset[str]:
    """Return names, if they are some."""
    names = frozenset([always_skip] if isinstance(always_skip, str) else always_skip)
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"always_skip must be names, got {name!r}")
        if not name or "/" in name:
            raise ValueError(f"always_skip must be names without a '/', got {name!r}")
    return names
