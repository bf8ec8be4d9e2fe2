"""
Where git looks for ignore files: what holds at the root of a walk, and what further down.

A folder that is a repository begins anew, for git as for us. At the root of a walk the ignore
files of the folders above it hold too, up to the top of the repository, and behind them
``.git/info/exclude``. The user's own file of global patterns is not read: a service has no home.
"""

import errno
import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from boundedcollections.files.gitignore import IgnoreRules, Scope, as_bytes

GIT: Final = ".git"
IGNORE_FILE: Final = ".gitignore"
EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""What goes wrong with the process, not with the file; going on would be guesswork."""

_MAX_FILE_BYTES: Final = 64 << 10
"""A larger ignore file is not read: its patterns would be tried on every path."""

_MAX_PATH_BYTES: Final = 4 << 10
_GIT_LINK: Final = "gitdir: "
_ABSENT: Final = frozenset({errno.ENOENT, errno.ENOTDIR})
_TO_READ: Final = (
    os.O_RDONLY
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NONBLOCK", 0)  # or a FIFO of that name would hold us up
)
_NO_LINK: Final = getattr(os, "O_NOFOLLOW", 0)
_IGNORES_CASE: Final = re.compile(
    rb"^[ \t]*ignorecase[ \t]*(?:=[ \t]*(?:true|yes|on|1)[ \t]*)?(?:[;#].*)?\r?$",
    re.IGNORECASE | re.MULTILINE,
)


class IgnoreFiles:
    """
    Reads the ignore files of one walk; the next walk begins with nothing.

    Args:
        root: the absolute path of the folder that is walked.

    Attributes:
        errors: ignore files that are there and could not be read.
    """

    def __init__(self, root: str) -> None:
        self._root = Path(root)
        self.errors = 0

    def scope_at_root(self) -> Scope | None:
        """Return what holds at the root before its own ignore file is looked at."""
        root = self._root.resolve()
        for top in (root, *root.parents):
            if git := _git_folder(top):
                break
        else:
            return None
        below = root.relative_to(top).parts
        scope = self._repository(git, lead=_lead(below))
        folder = top
        for depth, name in enumerate(below):
            scope = self._with_file(folder, scope, lead=_lead(below[depth:]))
            folder /= name
        return scope

    def scope_in(self, folder: str, outer: Scope | None, *, has_git: bool) -> Scope | None:
        """
        Return what holds in `folder`.

        Args:
            folder: relative to the root, with a final ``/``; empty for the root.
            outer: what holds around it.
            has_git: whether it may be a repository.
        """
        path = self._root / folder
        skipped = len(as_bytes(folder))
        if folder and has_git and (git := _git_folder(path)):
            outer = self._repository(git, skipped=skipped)
        return self._with_file(path, outer, skipped=skipped)

    def _repository(self, git: Path, *, skipped: int = 0, lead: str = "") -> Scope | None:
        ignore_case = _IGNORES_CASE.search(self._read(git / "config")) is not None
        rules = IgnoreRules(self._read(git / "info" / "exclude"), ignore_case=ignore_case)
        has_say = rules or ignore_case
        return Scope(rules, None, skipped, lead, ignore_case) if has_say else None

    def _with_file(
        self, folder: Path, outer: Scope | None, *, skipped: int = 0, lead: str = ""
    ) -> Scope | None:
        content = self._read(folder / IGNORE_FILE, _NO_LINK)  # git follows no link there either
        ignore_case = outer is not None and outer.ignore_case
        rules = IgnoreRules(content, ignore_case=ignore_case)
        return Scope(rules, outer, skipped, lead, ignore_case) if rules else outer

    def _read(self, path: Path, flags: int = 0) -> bytes:
        """Return the content of a regular file that is not too large; otherwise nothing."""
        try:
            content = _beginning(path, _MAX_FILE_BYTES + 1, flags)
        except OSError as error:
            if error.errno in EXHAUSTED:
                raise
            self.errors += error.errno not in _ABSENT
            return b""
        if len(content) > _MAX_FILE_BYTES:
            self.errors += 1
            return b""
        return content


def _git_folder(folder: Path) -> Path | None:
    """Return where the repository at `folder` keeps its files, or None if it is none."""
    git = folder / GIT
    if not git.is_dir():  # in a submodule and in a second work tree it is a file
        link = _line(git)
        if not link.startswith(_GIT_LINK):
            return None
        git = folder / link.removeprefix(_GIT_LINK)
    common = git / _line(git / "commondir")
    is_repository = (
        os.path.lexists(git / "HEAD")
        and (common / "objects").is_dir()
        and (common / "refs").is_dir()
    )
    return common if is_repository else None


def _line(path: Path) -> str:
    """Return what one of git's small files says, or nothing."""
    try:
        return os.fsdecode(_beginning(path, _MAX_PATH_BYTES)).rstrip("\r\n")
    except OSError:
        return ""


def _beginning(path: Path, size: int, flags: int = 0) -> bytes:
    """Return the first bytes of a regular file; nothing of what is none."""
    with os.fdopen(os.open(path, _TO_READ | flags), "rb") as file:
        return file.read(size) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else b""


def _lead(names: Sequence[str]) -> str:
    return as_bytes("".join(f"{name}/" for name in names))
