"""
The tools: list, read, search and find, in one folder and nowhere else.

Every answer is bounded, and says so when it is not the whole. A path is resolved before it is
judged, so neither ``..`` nor a symbolic link leads out; only regular files are opened, so a pipe
or a device does not hold the agent up.
"""

import fnmatch
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TextIO

MAX_ENTRIES = 500
MAX_MATCHES = 200
MAX_LINES = 400
MAX_LINE_CHARACTERS = 240
MAX_READ_BYTES = 64 << 10
MAX_SEARCHED_BYTES = 2 << 20
"""A larger file is hardly source; it is counted as skipped."""
MAX_SEARCH_SECONDS = 15.0
SKIPPED = frozenset(
    {".git", ".hg", ".svn", ".venv", ".tox", "node_modules", "__pycache__", ".mypy_cache"}
    | {".pytest_cache", ".ruff_cache", ".hypothesis"}
)


class NotPossible(Exception):
    """Something that cannot be done, with the reason in words."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a tool gave, and the same in one sentence."""

    output: str
    summary: str


class Workspace:
    """
    One folder to look into.

    Args:
        root: the folder; nothing outside of it is ever opened.
    """

    def __init__(self, root: Path) -> None:
        self._root = root.resolve(strict=True)

    def list(self, path: str) -> Answer:
        """Tell what is in a folder."""
        folder = self._resolve(path)
        if not folder.is_dir():
            raise NotPossible(f"`{self._name(folder)}` is not a folder")
        with os.scandir(folder) as entries:
            seen = [(not entry.is_dir(follow_symlinks=False), entry.name) for entry in entries]
        names = [name if is_file else f"{name}/" for is_file, name in sorted(seen)]
        output = "\n".join(names[:MAX_ENTRIES]) or "(empty)"
        folders = sum(name.endswith("/") for name in names)
        summary = (
            f"`{self._name(folder)}` holds {_count(folders, 'folder')}"
            f" and {_count(len(names) - folders, 'file')}."
        )
        return Answer(output + _more(len(names), MAX_ENTRIES, "entries"), summary)

    def read(self, path: str, first: int = 1, last: int | None = None) -> Answer:
        """Tell the lines of a file from `first` to `last`, or as many as fit."""
        file = self._resolve(path)
        self._must_be_text(file)
        wanted = MAX_LINES if last is None else min(last - first + 1, MAX_LINES)
        lines: list[str] = []
        size = 0
        with file.open(encoding="utf-8", errors="replace") as stream:
            for line in islice(_lines(stream), first - 1, first - 1 + wanted):
                size += len(line)
                if size > MAX_READ_BYTES:
                    break
                lines.append(line)
            complete = size <= MAX_READ_BYTES and next(_lines(stream), None) is None
        if not lines:
            return Answer("(nothing)", f"`{self._name(file)}` has no line {first}.")
        numbered = (f"{number:>5}  {line}" for number, line in enumerate(lines, first))
        end = first + len(lines) - 1
        rest = "" if complete else "; there is more after that"
        return Answer(
            "\n".join(numbered), f"These are lines {first} to {end} of `{self._name(file)}`{rest}."
        )

    def search(self, text: str, path: str) -> Answer:
        """Tell the lines that hold `text`; the case counts only if `text` has capital letters."""
        search = _Search(text)
        until = time.monotonic() + MAX_SEARCH_SECONDS
        for name, file in self._files(path):
            if search.is_full or time.monotonic() > until:
                search.is_complete = False
                break
            search.look(name, file)
        return search.answer()

    def find(self, name: str, path: str) -> Answer:
        """Tell the files whose name or path has `name` in it; ``*`` and ``?`` stand for others."""
        found = list(islice(self.named(name, path), MAX_MATCHES + 1))
        output = "\n".join(found[:MAX_MATCHES]) or "(no file)"
        number = f"more than {MAX_MATCHES} files" if len(found) > MAX_MATCHES else None
        summary = f"Found {number or _count(len(found), 'file')} for `{name}`."
        return Answer(output, summary)

    def named(self, name: str, path: str = ".") -> Iterator[str]:
        """Yield the paths that `find` tells."""
        pattern = name.lower()
        if not any(wildcard in pattern for wildcard in "*?["):
            pattern = f"*{pattern}*"
        for relative, _ in self._files(path):
            lower = relative.lower()
            if fnmatch.fnmatch(lower, pattern) or fnmatch.fnmatch(Path(lower).name, pattern):
                yield relative

    def has(self, name: str, path: str) -> bool:
        """Tell whether `find` would find anything."""
        try:
            return any(True for _ in self.named(name, path))
        except NotPossible:
            return True  # and that has been said

    def is_folder(self, path: str) -> bool:
        """Tell whether `path` is a folder in here."""
        try:
            return self._resolve(path).is_dir()
        except NotPossible:
            return False

    def is_file(self, path: str) -> bool:
        """Tell whether `path` is a file in here."""
        try:
            return self._resolve(path).is_file()
        except NotPossible:
            return False

    def _resolve(self, path: str) -> Path:
        """Return where `path` really leads; what is outside is not even said to exist or not."""
        try:
            target = (self._root / path).resolve()
            exists = target.is_relative_to(self._root) and target.exists()
        except (OSError, ValueError, RuntimeError):
            raise NotPossible(f"`{path}` is no path") from None
        if not target.is_relative_to(self._root):
            raise NotPossible(f"`{path}` is outside of the folder that I may look into")
        if not exists:
            raise NotPossible(f"there is no `{path}` here")
        return target

    def _name(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()

    def _must_be_text(self, file: Path) -> None:
        if not file.is_file():
            raise NotPossible(f"`{self._name(file)}` is not a file")
        with file.open("rb") as stream:
            if b"\0" in stream.read(8_192):
                raise NotPossible(f"`{self._name(file)}` is not a text file")

    def _files(self, path: str) -> Iterator[tuple[str, Path]]:
        """Yield the regular files below `path` in order, links not followed, for a limited time."""
        start = self._resolve(path)
        if start.is_file():
            yield self._name(start), start
            return
        for folder, folders, names in os.walk(start):
            folders[:] = sorted(set(folders) - SKIPPED)
            for name in sorted(names):
                file = Path(folder, name)
                if _is_regular(file):
                    yield self._name(file), file


class _Search:
    """The lines found so far."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._ignore_case = text == text.lower()
        self._matches: list[str] = []
        self._files = self._searched = self._skipped = 0
        self.is_complete = True

    @property
    def is_full(self) -> bool:
        return len(self._matches) >= MAX_MATCHES

    def look(self, name: str, file: Path) -> None:
        content = _content(file)
        if content is None:
            self._skipped += 1
            return
        self._searched += 1
        found = [
            f"{name}:{number}: {line.strip()[:MAX_LINE_CHARACTERS]}"
            for number, line in enumerate(content.splitlines(), 1)
            if self._text in (line.lower() if self._ignore_case else line)
        ]
        room = MAX_MATCHES - len(self._matches)
        self.is_complete = self.is_complete and len(found) <= room
        self._files += bool(found)
        self._matches += found[:room]

    def answer(self) -> Answer:
        lines = _count(len(self._matches), "line")
        rest = "" if self.is_complete else " That is not all: ask for a smaller folder."
        skipped = f", {self._skipped} skipped as binary or too large" if self._skipped else ""
        return Answer(
            "\n".join(self._matches) or "(no match)",
            f"Found {lines} with `{self._text}` in {_count(self._files, 'file')}"
            f" ({self._searched} searched{skipped}).{rest}",
        )


def _is_regular(file: Path) -> bool:
    try:
        return stat.S_ISREG(file.lstat().st_mode)
    except OSError:
        return False


def _content(file: Path) -> str | None:
    """Return the text of a file, or None if it is too large, not text, or not readable."""
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_SEARCHED_BYTES + 1)
    except OSError:
        return None
    if len(data) > MAX_SEARCHED_BYTES or b"\0" in data[:8_192]:
        return None
    return data.decode(errors="replace")


def _lines(stream: TextIO) -> Iterator[str]:
    """Yield the lines of a text file, an endless one in pieces."""
    while line := stream.readline(MAX_READ_BYTES):
        yield line.rstrip("\n")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _more(number: int, limit: int, noun: str) -> str:
    return f"\n… and {number - limit} more {noun}" if number > limit else ""
