"""
Ignore files, read exactly as git reads them.

`IgnoreRules` is one file. `Scope` is a file together with the folder it counts from and the
scopes around it; of those, the innermost that says anything about a path decides. A walk that
goes from the top down and never enters an ignored folder needs nothing else: that a file below
an excluded folder cannot be re-included follows by itself.

Paths are compared byte by byte, as git does it: `as_bytes` gives a text with one character for
each byte.
"""

import os
import re
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from boundedcollections.files.wildmatch import literal_length, lower, translate

_BOM: Final = b"\xef\xbb\xbf"

# Past the process-wide cache of `re`, which would keep the patterns of trees that are long gone.
_compile: Final = getattr(getattr(re, "_compiler", re), "compile", re.compile)

# What compiled rules take, at most; a test compares it with what the allocator says.
_RULES_BYTES: Final = 2_400
_LINE_BYTES: Final = 150
_EXPRESSION_BYTES: Final = 130
_EXPRESSION_CHAR_BYTES: Final = 6


class _Line(NamedTuple):
    """One line of an ignore file: its pattern without ``!``, the first ``/`` and the last."""

    pattern: str
    negated: bool
    folders_only: bool
    has_slash: bool


class IgnoreRules:
    r"""
    The patterns of one ignore file; whatever its content, it is valid.

    >>> rules = IgnoreRules(b"*.log\n!keep.log\n/build/\n")
    >>> rules.verdict("a.log", "src/a.log", is_folder=False)
    True
    >>> rules.verdict("keep.log", "src/keep.log", is_folder=False)
    False
    >>> print(rules.verdict("build", "build", is_folder=False))
    None

    Attributes:
        bytes: what they take in memory, at most.
    """

    __slots__ = ("_for_files", "_for_folders", "_ignore_case", "bytes")

    def __init__(self, content: bytes, *, ignore_case: bool = False) -> None:
        lines = tuple(_lines(content))
        self._ignore_case = ignore_case
        self._for_folders = _Table(lines, ignore_case=ignore_case)
        self._for_files = _Table(
            (line for line in lines if not line.folders_only), ignore_case=ignore_case
        )
        self.bytes = _RULES_BYTES + self._for_folders.bytes + self._for_files.bytes

    def verdict(self, name: str, path: str, *, is_folder: bool) -> bool | None:
        """
        Return whether the last line that matches ignores or re-includes; None if none matches.

        Args:
            name: the last segment of `path`.
            path: relative to the folder of the file.
            is_folder: whether it is a real folder; a link to one is not.
        """
        if self._ignore_case:
            name, path = lower(name), lower(path)
        table = self._for_folders if is_folder else self._for_files
        return table.verdict(name, path)


class _Table:
    """Lines, found by the cheapest means: lookups for the plain ones, one search for the rest."""

    __slots__ = ("_by_ending", "_by_name", "_by_path", "_ignores", "_names", "_paths", "bytes")

    def __init__(self, lines: Iterable[_Line], *, ignore_case: bool) -> None:
        self._ignores: list[bool] = []  # what each line says
        self._by_name: dict[str, int] = {}
        self._by_ending: dict[str, int] = {}  # ``*.ext``
        self._by_path: dict[str, int] = {}
        names: dict[int, str] = {}
        paths: dict[int, str] = {}
        for number, (pattern, negated, _, has_slash) in enumerate(lines):
            self._ignores.append(not negated)
            plain = lower(pattern) if ignore_case else pattern
            if literal_length(pattern) == len(pattern):
                (self._by_path if has_slash else self._by_name)[plain] = number
            elif not has_slash and _is_ending(pattern):
                self._by_ending[plain[1:]] = number
            else:
                expression = translate(pattern, ignore_case=ignore_case)
                (paths if has_slash else names)[number] = expression
        self._names = _Alternatives(names)
        self._paths = _Alternatives(paths)
        expressions = (*names.values(), *paths.values())
        self.bytes = (
            _LINE_BYTES * len(self._ignores)
            + sum(map(len, (*self._by_name, *self._by_ending, *self._by_path)))
            + sum(_EXPRESSION_BYTES + _EXPRESSION_CHAR_BYTES * len(text) for text in expressions)
        )

    def verdict(self, name: str, path: str) -> bool | None:
        number = self._by_name.get(name, -1)
        if self._by_ending:
            number = max(number, self._by_ending.get(name[name.rfind(".") :], -1))
        if self._by_path:
            number = max(number, self._by_path.get(path, -1))
        if self._names.numbers:
            number = max(number, self._names.last_match(name))
        if self._paths.numbers:
            number = max(number, self._paths.last_match(path))
        return None if number < 0 else self._ignores[number]


class _Alternatives:
    """Expressions that are tried in one call, that of the last line first."""

    __slots__ = ("_match", "numbers")

    def __init__(self, expressions: dict[int, str]) -> None:
        self.numbers = sorted(expressions, reverse=True)
        self._match = _compile("|".join(f"({expressions[n]})" for n in self.numbers)).fullmatch

    def last_match(self, subject: str) -> int:
        match = self._match(subject)
        return self.numbers[match.lastindex - 1] if match and match.lastindex else -1


class Scope(NamedTuple):
    """
    Rules where they apply.

    Attributes:
        rules: of one file.
        outer: the scope that is asked where these rules say nothing.
        skipped: how many characters of a path, as the walk sees it, lead to the file's folder.
        lead: what comes before that path, if the file is in a folder above the walk's root.
        ignore_case: whether this repository ignores the case of A to Z.
    """

    rules: IgnoreRules
    outer: "Scope | None" = None
    skipped: int = 0
    lead: str = ""
    ignore_case: bool = False

    def ignores(self, name: str, path: str, *, is_folder: bool) -> bool:
        """Return whether git ignores `path`, given that it does not ignore its folder."""
        scope: Scope | None = self
        while scope is not None:
            local = scope.lead + path[scope.skipped :]
            verdict = scope.rules.verdict(name, local, is_folder=is_folder)
            if verdict is not None:
                return verdict
            scope = scope.outer
        return False

    def sift(
        self, names: list[str], folder: str, *, is_folder: bool
    ) -> tuple[list[str], list[str]]:
        """Return the names in `folder` that git does not ignore, and those that it does."""
        lead = as_bytes(folder)
        kept: list[str] = []
        ignored: list[str] = []
        for name in names:
            raw = as_bytes(name)
            is_ignored = self.ignores(raw, lead + raw, is_folder=is_folder)
            (ignored if is_ignored else kept).append(name)
        return kept, ignored


def as_bytes(text: str) -> str:
    """
    Return `text` as git sees it: one character for each byte of its name on disk.

    >>> as_bytes("ü")
    'Ã¼'
    """
    return text if text.isascii() else os.fsencode(text).decode("latin-1")


def _lines(content: bytes) -> Iterator[_Line]:
    for line in content.removeprefix(_BOM).decode("latin-1").split("\n"):
        if line.startswith("#"):
            continue
        pattern = _without_trailing_spaces(line.removesuffix("\r").partition("\0")[0])
        negated = pattern.startswith("!")
        pattern = pattern.removeprefix("!")
        folders_only = pattern.endswith("/")
        pattern = pattern.removesuffix("/")
        has_slash = "/" in pattern
        pattern = pattern.removeprefix("/")
        if pattern:
            yield _Line(pattern, negated, folders_only, has_slash)


def _without_trailing_spaces(text: str) -> str:
    kept = text.rstrip(" ")
    backslashes = len(kept) - len(kept.rstrip("\\"))
    return text[: len(kept) + backslashes % 2]  # an odd one escapes the space behind it


def _is_ending(pattern: str) -> bool:
    """Whether it is ``*.`` and then nothing special and no further dot."""
    rest = pattern[2:]
    return pattern.startswith("*.") and "." not in rest and literal_length(rest) == len(rest)
