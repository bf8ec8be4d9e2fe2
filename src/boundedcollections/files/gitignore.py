"""
Ignore files, read exactly as git reads them.

`IgnoreRules` is one file. `Scope` is a file together with the folder it counts from and the
scopes around it; of those, the innermost that says anything about a path decides. A walk that
goes from the top down and never enters an ignored folder needs nothing else: that a file below
an excluded folder cannot be re-included follows by itself.

Names and paths are bytes, and compared byte by byte, as git does it.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from sys import getsizeof
from typing import Final, NamedTuple

from boundedcollections.files.wildmatch import (
    NEVER,
    literal_ending,
    literal_length,
    literal_within,
    lower,
    translate,
)

_ANYWHERE: Final = "**/"
_BOM: Final = b"\xef\xbb\xbf"

# Past the process-wide cache of `re`, which would keep the patterns of trees that are long gone.
_compile: Final = getattr(getattr(re, "_compiler", re), "compile", re.compile)

_BY_EXTENSION: Final = re.compile(r"\*\.([^*?\[\\.]*)(?:\[([0-9A-Za-z]{1,8})\])?", re.DOTALL)
"""Patterns like ``*.log`` and ``*.py[co]``."""

_FEW: Final = 32
"""Up to so many signs of a match are looked for in all names of a folder at once."""

_BEGINNING: Final = 2
"""So many plain characters at the beginning of a pattern tell most names apart from it."""

# What compiled rules take, at most; a test compares it with what the allocator says.
_RULES_BYTES: Final = 6_200
_LINE_BYTES: Final = 150
_EXPRESSION_BYTES: Final = 130
_EXPRESSION_CHAR_BYTES: Final = 6


class _Line(NamedTuple):
    """
    One line of an ignore file: its pattern without ``!``, the first ``/`` and the last.

    The pattern has one character for each byte.
    """

    pattern: str
    negated: bool
    folders_only: bool
    has_slash: bool


class Sifted(NamedTuple):
    """
    Names of one folder, in no particular order, by what rules say about them.

    Attributes:
        kept: the rules re-include them.
        ignored: the rules leave them out.
        undecided: the rules say nothing.
    """

    kept: list[bytes]
    ignored: list[bytes]
    undecided: list[bytes]


class IgnoreRules:
    r"""
    The patterns of one ignore file; whatever its content, it is valid.

    >>> rules = IgnoreRules(b"*.log\n!keep.log\n/build/\n")
    >>> kept, ignored, undecided = rules.sift(
    ...     [b"a.log", b"a.py", b"build", b"keep.log"], b"", is_folder=False
    ... )
    >>> kept, ignored, sorted(undecided)  # in no particular order
    ([b'keep.log'], [b'a.log'], [b'a.py', b'build'])

    Attributes:
        bytes: what they take in memory, at most.
    """

    __slots__ = ("_for_files", "_for_folders", "bytes")

    def __init__(self, content: bytes, *, ignore_case: bool = False) -> None:
        lines = tuple(_lines(content))
        for_files = (line for line in lines if not line.folders_only)
        self._for_folders = _Table(lines, ignore_case=ignore_case)
        self._for_files = _Table(for_files, ignore_case=ignore_case)
        self.bytes = _RULES_BYTES + self._for_folders.bytes + self._for_files.bytes

    def __bool__(self) -> bool:
        return bool(self._for_folders)

    def sift(self, names: list[bytes], folder: bytes, *, is_folder: bool) -> Sifted | None:
        """
        Sort out names of one folder by the last line that matches each; None if all are undecided.

        Args:
            names: of files, or of folders.
            folder: their folder relative to that of the file, with a final ``/``.
            is_folder: whether they are real folders; links to some are not.
        """
        return (self._for_folders if is_folder else self._for_files).sift(names, folder)


class _Table:
    """Lines, found by the cheapest means: lookups first, and one search for the rest."""

    __slots__ = (
        "_by_extension",
        "_by_name",
        "_by_path",
        "_extensions",
        "_folder_beginnings",
        "_folder_endings",
        "_folders",
        "_ignore_case",
        "_ignores",
        "_names",
        "_paths",
        "_signs",
        "bytes",
    )

    def __init__(self, lines: Iterable[_Line], *, ignore_case: bool) -> None:
        self._ignore_case = ignore_case
        self._ignores: list[bool] = []  # what each line says
        self._by_name: dict[bytes, int] = {}
        self._by_extension: dict[bytes, int] = {}  # ``*.ext``
        self._by_path: dict[bytes, int] = {}
        names: dict[int, str] = {}
        paths: dict[int, str] = {}
        folders: set[str] = set()  # where alone a pattern with a slash may match
        beginnings: set[str] = set()  # or how the paths of such folders begin
        endings: set[str] = set()  # or how they end
        entries = 0
        for number, (pattern, negated, _, has_slash) in enumerate(lines):
            entries += 1
            self._ignores.append(not negated)
            plain = lower(pattern) if ignore_case else pattern
            beginning, ending = plain[: literal_length(plain)], literal_ending(plain)
            if has_slash:
                rest = plain[len(beginning) :]
                head = beginning[: beginning.rfind("/") + 1]
                tail = ending[: ending.rfind("/") + 1]
                if "/" not in rest and "**" not in rest:
                    folders.add(head)
                elif len(tail) > 1:  # every folder ends with a slash
                    endings.add(tail)
                else:
                    beginnings.add(head)
            if beginning == plain:
                (self._by_path if has_slash else self._by_name)[_raw(plain)] = number
            elif not has_slash and (extensions := _extensions(pattern, ignore_case=ignore_case)):
                self._by_extension.update(dict.fromkeys(map(_raw, extensions), number))
                entries += len(extensions) - 1
            else:
                (paths if has_slash else names)[number] = pattern
        self._folders = frozenset(map(_raw, folders))
        self._folder_beginnings = tuple(map(_raw, beginnings))
        self._folder_endings = tuple(map(_raw, endings))
        self._names = _Patterns(names, ignore_case=ignore_case)
        self._extensions = self._names.extensions.union(self._by_extension)
        self._paths = _Patterns(paths, ignore_case=ignore_case)
        signs = (
            *(b"\0" + beginning for beginning in self._names.beginnings),
            *(b"." + extension + b"\0" for extension in self._extensions),
            *self._names.literals,
        )
        self._signs = signs if len(signs) <= _FEW else None
        self.bytes: int = (
            _LINE_BYTES * entries
            + sum(map(len, (*self._by_name, *self._by_extension, *self._by_path)))
            + self._names.bytes
            + self._paths.bytes
            + sum(8 + getsizeof(sign) for sign in self._signs or ())
        )

    def __bool__(self) -> bool:
        return bool(self._ignores)

    def sift(self, names: list[bytes], folder: bytes) -> Sifted | None:
        if self._ignore_case:
            folder = folder.lower()  # A to Z only, as these are bytes
        if (
            folder in self._folders
            or folder.startswith(self._folder_beginnings)
            or (b"/" + folder).endswith(self._folder_endings)
        ):
            return self._sift_by(self._last_for_path, names, folder)
        suspects = names if self._ignore_case else self._suspects(names)
        if not suspects:
            return None
        sifted = self._sift_by(self._last_for_name, suspects, folder)
        others = set(names).difference(suspects)
        return sifted._replace(undecided=[*sifted.undecided, *others])

    def _suspects(self, names: list[bytes]) -> list[bytes]:
        """Return the names that a line may match; most names are none, and pass quickly."""
        plain, extensions = self._by_name, self._extensions
        patterns = self._names
        beginnings = patterns.beginnings
        text = b"\0" + b"\0".join(names) + b"\0"
        if self._signs is not None and plain.keys().isdisjoint(names):
            for sign in self._signs:
                if sign in text:
                    break
            else:
                return []
        if any(literal in text for literal in patterns.literals):
            matches_other = patterns.matches_other
            return [
                name
                for name in names
                if name in plain
                or name.rpartition(b".")[2] in extensions
                or name[:_BEGINNING] in beginnings
                or matches_other(name)
            ]
        return [
            name
            for name in names
            if name in plain
            or name.rpartition(b".")[2] in extensions
            or name[:_BEGINNING] in beginnings
        ]

    def _sift_by(
        self, last_for: Callable[[bytes, bytes], int], names: list[bytes], folder: bytes
    ) -> Sifted:
        sifted = Sifted([], [], [])
        for name in names:
            number = last_for(name.lower() if self._ignore_case else name, folder)
            if number < 0:
                sifted.undecided.append(name)
            elif self._ignores[number]:
                sifted.ignored.append(name)
            else:
                sifted.kept.append(name)
        return sifted

    def _last_for_name(self, name: bytes, _folder: bytes) -> int:
        """Return the number of the last line that matches; -1 if none does."""
        number = self._by_name.get(name, -1)
        _, dot, extension = name.rpartition(b".")
        if dot:
            number = max(number, self._by_extension.get(extension, -1))
        return max(number, self._names.last_match(name))

    def _last_for_path(self, name: bytes, folder: bytes) -> int:
        path = folder + name
        by_path = max(self._by_path.get(path, -1), self._paths.last_match(path))
        return max(by_path, self._last_for_name(name, folder))


class _Patterns:
    """
    Patterns with wildcards, by the numbers of their lines.

    Attributes:
        beginnings: how names begin that some of them may match.
        extensions: what such names have behind their last dot.
        matches_other: whether one matches that has neither a plain beginning nor an extension.
        literals: one of them is in each name that such a pattern matches.
        bytes: what they take in memory, at most.
    """

    __slots__ = (
        "_in_groups",
        "_last",
        "_numbers",
        "beginnings",
        "bytes",
        "extensions",
        "literals",
        "matches_other",
    )

    def __init__(self, patterns: dict[int, str], *, ignore_case: bool) -> None:
        self._numbers = sorted(patterns, reverse=True)
        beginnings, extensions, literals, expressions, others = set(), set(), set(), [], []
        for number in self._numbers:
            pattern = patterns[number]
            expressions.append(translate(pattern, ignore_case=ignore_case))
            if literal_length(pattern) >= _BEGINNING:
                beginnings.add(pattern[:_BEGINNING])
            elif "." in (ending := literal_ending(pattern)):
                extensions.add(ending.rpartition(".")[2])
            else:
                others.append(expressions[-1])
                literals.add(literal_within(pattern))
        self.beginnings = frozenset(map(_raw, beginnings))
        self.extensions = frozenset(map(_raw, extensions))
        self.literals = frozenset(map(_raw, literals))
        self.matches_other = _fullmatch("|".join(others)) if others else _nothing_matches
        self._in_groups = "|".join(f"({expression})" for expression in expressions)
        self._last: Callable[[bytes], re.Match[bytes] | None] | None = None
        self.bytes: int = sum(
            _EXPRESSION_BYTES + _EXPRESSION_CHAR_BYTES * len(text)
            for text in (*expressions, *others)
        )

    def last_match(self, subject: bytes) -> int:
        """Return the number of the last line that matches; -1 if none does."""
        if not self._numbers:
            return -1
        if self._last is None:  # it takes long to make, and is needed for few subjects
            self._last = _fullmatch(self._in_groups)
        match = self._last(subject)
        return self._numbers[match.lastindex - 1] if match and match.lastindex else -1


def _fullmatch(expression: str) -> Callable[[bytes], re.Match[bytes] | None]:
    compiled: re.Pattern[bytes] = _compile(_raw(expression), re.DOTALL)
    return compiled.fullmatch


def _raw(text: str) -> bytes:
    """Return the bytes that the characters of `text` stand for."""
    return text.encode("latin-1")


_nothing_matches: Final = _fullmatch(NEVER)


class Scope(NamedTuple):
    """
    Rules where they apply.

    Attributes:
        rules: of one file.
        outer: the scope that is asked where these rules say nothing.
        skipped: how many bytes of a path, as the walk sees it, lead to the file's folder.
        lead: what comes before that path, if the file is in a folder above the walk's root.
        ignore_case: whether this repository ignores the case of A to Z.
    """

    rules: IgnoreRules
    outer: "Scope | None" = None
    skipped: int = 0
    lead: bytes = b""
    ignore_case: bool = False

    def sift(
        self, names: list[bytes], folder: bytes, *, is_folder: bool
    ) -> tuple[list[bytes], list[bytes]]:
        """
        Return the names in `folder` that git does not ignore, and those that it does.

        It is taken for granted that `folder`, relative to the root of the walk, is not ignored.
        """
        kept: list[bytes] = []
        ignored: list[bytes] = []
        scope: Scope | None = self
        while scope is not None:
            local = scope.lead + folder[scope.skipped :]
            if sifted := scope.rules.sift(names, local, is_folder=is_folder):
                kept += sifted.kept
                ignored += sifted.ignored
                names = sifted.undecided
            scope = scope.outer
        return kept + names, ignored


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
        if pattern.startswith(_ANYWHERE) and "/" not in pattern[len(_ANYWHERE) :]:
            pattern, has_slash = pattern.removeprefix(_ANYWHERE), False  # it means the same
        if pattern:
            yield _Line(pattern, negated, folders_only, has_slash)


def _without_trailing_spaces(text: str) -> str:
    kept = text.rstrip(" ")
    backslashes = len(kept) - len(kept.rstrip("\\"))
    return text[: len(kept) + backslashes % 2]  # an odd one escapes the space behind it


def _extensions(pattern: str, *, ignore_case: bool) -> list[str]:
    """Return what names have behind their last dot, if that alone decides; otherwise nothing."""
    simple = _BY_EXTENSION.fullmatch(pattern)
    if simple is None:
        return []
    extension, last = simple.groups()
    if last is None:
        return [lower(extension) if ignore_case else extension]
    return [] if ignore_case else [extension + char for char in last]  # git keeps capitals there
