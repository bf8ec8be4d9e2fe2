"""
Where git looks for ignore files: what holds at the root of a walk, and what further down.

A folder that is a repository begins anew, for git as for us. At the root of a walk the ignore
files of the folders above it hold too, up to the top of the repository, behind them
``.git/info/exclude``, and behind that the user's own file of patterns: the one that
``core.excludesFile`` names in the configuration of the system, the user or the repository, or
otherwise ``git/ignore`` in the user's folder of settings. (Other files that a configuration may
include are not looked into.)
"""

import errno
import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from boundedcollections.files.gitignore import IgnoreRules, Scope
from boundedcollections.files.stamps import NO_RULES, stamp_of_files

GIT: Final = ".git"
IGNORE_FILE: Final = ".gitignore"
EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""What goes wrong with the process, not with the file; going on would be guesswork."""

_MAX_FILE_BYTES: Final = 64 << 10
"""A larger ignore file is not read: its patterns would be tried on every path."""

_MAX_PATH_BYTES: Final = 4 << 10
_SYSTEM_CONFIG: Final = Path("/etc/gitconfig")
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
_SECTION: Final = re.compile(rb"[ \t]*\[([^\]]*)\]")
_EXCLUDES_FILE: Final = re.compile(
    rb"[ \t]*excludesfile[ \t]*=[ \t]*(?:\"((?:[^\"\\]|\\.)*)\"|([^\"#;\r]*[^\"#; \t\r]))",
    re.IGNORECASE,
)


class IgnoreFiles:
    """
    Reads the ignore files of one walk; the next walk begins with nothing.

    Args:
        root: the absolute path of the folder that is walked.
        use_global: whether to read the user's own file of patterns, too.

    Attributes:
        errors: ignore files that are there and could not be read.
    """

    def __init__(self, root: str, *, use_global: bool = False) -> None:
        self._root = Path(root)
        self._use_global = use_global
        self.errors = 0

    def stamp_at_root(self) -> int:
        """Return the stamp of all that `scope_at_root` reads; it must be taken before."""
        root = self._root.resolve()
        top, git = _repository_around(root)
        if git is None:
            return NO_RULES
        folders = [folder for folder in root.parents if folder.is_relative_to(top)]
        files = [folder / IGNORE_FILE for folder in folders]
        return stamp_of_files([*files, *self._files_of(git)])

    def stamp_in(self, folder: str) -> int:
        """Return the stamp of all that `scope_in` reads for a folder; it must be taken before."""
        path = self._root / folder
        files = [path / IGNORE_FILE]
        if os.path.lexists(path / GIT) and (git := _git_folder(path)):
            files += self._files_of(git)
        return stamp_of_files(files)

    def scope_at_root(self) -> Scope | None:
        """Return what holds at the root before its own ignore file is looked at."""
        root = self._root.resolve()
        top, git = _repository_around(root)
        if git is None:
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
        skipped = len(os.fsencode(folder))
        if folder and has_git and (git := _git_folder(path)):
            outer = self._repository(git, skipped=skipped)
        return self._with_file(path, outer, skipped=skipped)

    def _repository(self, git: Path, *, skipped: int = 0, lead: bytes = b"") -> Scope | None:
        config = self._read(git / "config")
        ignore_case = _IGNORES_CASE.search(config) is not None
        scope: Scope | None = None
        excludes = [git / "info" / "exclude"]
        if self._use_global and (path := _global_file(config)):
            excludes.insert(0, path)
        for exclude in excludes:
            rules = IgnoreRules(self._read(exclude), ignore_case=ignore_case)
            if rules:
                scope = Scope(rules, scope, skipped, lead, ignore_case)
        if ignore_case and scope is None:
            scope = Scope(IgnoreRules(b""), None, skipped, lead, ignore_case)
        return scope

    def _files_of(self, git: Path) -> list[Path]:
        """Return what `_repository` reads."""
        files = [git / "config", git / "info" / "exclude"]
        if self._use_global:
            files += _user_configs()
            files += filter(None, [_global_file(_content(git / "config"))])
        return files

    def _with_file(
        self, folder: Path, outer: Scope | None, *, skipped: int = 0, lead: bytes = b""
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


def _repository_around(folder: Path) -> tuple[Path, Path | None]:
    """Return the top of the repository that a folder is in, and where that keeps its files."""
    for top in (folder, *folder.parents):
        if git := _git_folder(top):
            return top, git
    return folder, None


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


def _settings_folder() -> Path:
    """Return where the user keeps settings of git."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser() / "git"


def _user_configs() -> list[Path]:
    try:
        return [_SYSTEM_CONFIG, _settings_folder() / "config", Path("~/.gitconfig").expanduser()]
    except RuntimeError:  # there is no home
        return [_SYSTEM_CONFIG]


def _global_file(config: bytes) -> Path | None:
    """Return the user's own ignore file; `config` is that of the repository, and comes last."""
    named = None
    for content in (*map(_content, _user_configs()), config):
        named = _excludes_file(content) or named
    try:
        path = Path(named).expanduser() if named else _settings_folder() / "ignore"
    except RuntimeError:
        return None
    return path if path.is_absolute() else None


def _excludes_file(config: bytes) -> str | None:
    """Return the last ``core.excludesFile`` in a configuration."""
    named = None
    section = b""
    for line in config.splitlines():
        if header := _SECTION.match(line):
            section = header[1].lower()
        elif section == b"core" and (setting := _EXCLUDES_FILE.match(line)):
            named = re.sub(rb"\\(.)", rb"\1", setting[1] or setting[2])
    return None if named is None else os.fsdecode(named)


def _content(path: Path) -> bytes:
    """Return the content of a file that need not be there."""
    try:
        return _beginning(path, _MAX_FILE_BYTES)
    except OSError:
        return b""


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


def _lead(names: Sequence[str]) -> bytes:
    return os.fsencode("".join(f"{name}/" for name in names))
