"""
Wildcards as git reads them, turned into regular expressions.

The rules are those of git's ``wildmatch.c`` and ``dir.c``, odd ones included. Git compares bytes;
to do the same, give texts in which each character stands for one byte.

A regular expression that is written down naively takes exponential time on ``*a*a*a*b``. Here a
wildcard that is followed by another one never gives back what it took (an atomic group): the
first place where the part between the two fits is as good as any later one.
"""

import re
from collections.abc import Callable
from string import ascii_lowercase
from typing import Final, NamedTuple

NEVER: Final = r"(?!)"
"""Matches nothing."""

_ANY: Final = "[^/]"
_SPECIAL: Final = frozenset("*?[\\")
_QUOTING: Final = re.compile(r"[\[\\]")
_WILD: Final = re.compile(r"[*?]")
_SPECIAL_ENDS: Final = _SPECIAL | {"]"}
_POSIX_CLASSES: Final[dict[str, Callable[[str], bool]]] = {
    "alnum": str.isalnum,
    "alpha": str.isalpha,
    "blank": " \t".__contains__,
    "cntrl": lambda c: c < " " or c == "\x7f",
    "digit": str.isdigit,
    "graph": lambda c: "!" <= c <= "~",
    "lower": str.islower,
    "print": lambda c: " " <= c <= "~",
    "punct": lambda c: "!" <= c <= "~" and not c.isalnum(),
    "space": " \t\n\r".__contains__,  # git's own table knows no other
    "upper": str.isupper,
    "xdigit": "0123456789abcdefABCDEF".__contains__,
}


class _Unmatchable(Exception):
    """The pattern is malformed in a way that makes git match nothing with it."""


class Wildcards(NamedTuple):
    """
    A pattern as two regular expressions: for the folder (with its final ``/``), for the name.

    A path matches if both match in full.
    """

    folder: str
    name: str


def lower(text: str) -> str:
    """
    Return `text` with the letters A to Z in lower case, and no other character changed.

    >>> lower("Ä.TXT")
    'Ä.txt'
    """
    return text.lower() if text.isascii() else text.encode("latin-1").lower().decode("latin-1")


def literal_length(pattern: str) -> int:
    """Return how many characters of `pattern` come before its first special one."""
    return next((at for at, char in enumerate(pattern) if char in _SPECIAL), len(pattern))


def literal_ending(pattern: str) -> str:
    r"""
    Return the plain characters that whatever matches `pattern` ends with.

    >>> literal_ending("**/build/*.o"), literal_ending(r"*[ab]\cd")
    ('.o', 'd')
    """
    begin = 1 + max((at for at, char in enumerate(pattern) if char in _SPECIAL_ENDS), default=-1)
    return pattern[begin + (pattern[begin - 1 : begin] == "\\") :]


def literal_within(pattern: str) -> str:
    r"""
    Return plain characters that whatever matches `pattern` holds in a row, as many as are easy.

    >>> literal_within("*.py[co]"), literal_within("*~"), literal_within("[ab]*.c")
    ('.py', '~', '')
    """
    return max(_WILD.split(_QUOTING.split(pattern, maxsplit=1)[0]), key=len)


def translate(pattern: str, *, ignore_case: bool = False) -> str:
    r"""
    Return a regular expression that matches, in full, what git matches with `pattern`.

    A dot in it is meant to match anything (`re.DOTALL`).

    >>> bool(re.fullmatch(translate("src/**/*.py"), "src/a/b/c.py"))
    True
    >>> bool(re.fullmatch(translate("src/*.py"), "src/a/b.py"))
    False

    Args:
        pattern: a wildcard pattern; ``*`` and ``?`` do not match a ``/``, ``**/`` does.
        ignore_case: the letters A to Z count as a to z; subjects must be in lower case then.
    """
    try:
        return _expression(_tokens(pattern, ignore_case=ignore_case))
    except _Unmatchable:
        return NEVER


def translate_parted(pattern: str) -> Wildcards:
    """
    Return the same for a folder and a name apart; without a ``/`` any folder will do.

    >>> wildcards = translate_parted("src/**/*.py")
    >>> bool(re.fullmatch(wildcards.folder, "src/a/")), bool(re.fullmatch(wildcards.name, "b.py"))
    (True, True)
    """
    try:
        tokens = _tokens(pattern.removeprefix("/"), ignore_case=False)
    except _Unmatchable:
        return Wildcards(NEVER, NEVER)
    if "/" not in pattern:
        return Wildcards(".*", _expression(tokens))
    if tokens[-1:] == [_ANYTHING]:
        return Wildcards(_expression(tokens), f"{_ANY}*")
    ends = [at for at, token in enumerate(tokens, 1) if token in (_SLASH, _FOLDERS)]
    end = max(ends, default=0)
    return Wildcards(_expression(tokens[:end]), _expression(tokens[end:]))


# ── from the pattern to tokens ──────────────────────────────────────────────────────────────

_SLASH: Final = "/"
_STAR: Final = "*"  # any characters within one segment
_FOLDERS: Final = "**/"  # any number of whole segments, none included
_ANYTHING: Final = "**"  # any characters


def _tokens(pattern: str, *, ignore_case: bool) -> list[str]:
    """Return wildcards (the four constants above) and expressions of one character each."""
    tokens = []
    # Git compares what comes before the first special character by itself and then goes on as
    # if the pattern began there; so ``a**/b`` counts as ``**/b`` after an ``a``.
    beginning = literal_length(pattern)
    at = 0
    while at < len(pattern):
        char = pattern[at]
        if char == "*":
            end = at
            while pattern[end : end + 1] == "*":
                end += 1
            following = pattern[end : end + 1]
            is_whole_segment = (
                end - at > 1
                and (at == beginning or pattern[at - 1] == "/")
                and (following in ("", "/") or pattern[end : end + 2] == "\\/")
            )
            if not is_whole_segment:
                token = _STAR
            elif following == "/":
                token = _FOLDERS
                end += 1
            else:
                token = _ANYTHING
        elif char == "[":
            token, end = _character_class(pattern, at, ignore_case=ignore_case)
        elif char == "\\":
            token, end = _escaped(pattern, at, ignore_case=ignore_case), at + 2
        else:
            end = at + 1
            token = _single(lower(char) if ignore_case else char)
        tokens.append(token)
        at = end
    return tokens


def _single(char: str) -> str:
    if char == "?":
        return _ANY
    return _SLASH if char == "/" else re.escape(char)


def _escaped(pattern: str, at: int, *, ignore_case: bool) -> str:
    char = pattern[at + 1 : at + 2]
    if not char or (ignore_case and char != lower(char)):
        raise _Unmatchable  # git looks for a NUL, or for a capital in a text without capitals
    return _SLASH if char == "/" else re.escape(char)


def _character_class(pattern: str, at: int, *, ignore_case: bool) -> tuple[str, int]:
    """Return the expression for the class that begins at `at`, and where it ends."""
    at += 1
    is_negated = pattern[at : at + 1] in ("!", "^")
    at += is_negated
    members: list[str] = []
    previous = ""  # the character that may begin a range
    is_first = True
    while is_first or pattern[at : at + 1] != "]":
        is_first = False
        char = pattern[at : at + 1]
        if not char:
            raise _Unmatchable
        if char == "-" and previous and pattern[at + 1 : at + 2] not in ("", "]"):
            char, at = _member(pattern, at + 1)
            members += _range(previous, char, ignore_case=ignore_case)
            previous = ""
        elif char == "[" and pattern[at + 1 : at + 2] == ":":
            end = pattern.find("]", at + 2)
            if end < 0:
                raise _Unmatchable
            if end == at + 2 or pattern[end - 1] != ":":  # no ``:]``, so it is a plain ``[``
                members.append(r"\[")
                previous = char
                at += 1
            else:
                members += _posix_class(pattern[at + 2 : end - 1], ignore_case=ignore_case)
                previous = ""
                at = end + 1
        else:
            previous, at = _member(pattern, at)
            members.append(re.escape(previous))
    return _any_of(members, is_negated=is_negated), at + 1


def _member(pattern: str, at: int) -> tuple[str, int]:
    """Return the character at `at`, which may be escaped, and where the next one is."""
    if pattern[at] == "\\":
        at += 1
        if at == len(pattern):
            raise _Unmatchable
    return pattern[at], at + 1


def _range(first: str, last: str, *, ignore_case: bool) -> list[str]:
    members = [f"{re.escape(first)}-{re.escape(last)}"] if first <= last else []
    if ignore_case:
        members += [char for char in ascii_lowercase if first <= char.upper() <= last]
    return members


def _posix_class(name: str, *, ignore_case: bool) -> list[str]:
    belongs = _POSIX_CLASSES.get(name)
    if belongs is None:
        raise _Unmatchable
    if ignore_case and name == "upper":
        belongs = str.isalpha
    return [re.escape(chr(code)) for code in range(1, 128) if belongs(chr(code))]


def _any_of(members: list[str], *, is_negated: bool) -> str:
    return f"(?!/)[{'^' * is_negated}{''.join(members)}]"


# ── from tokens to an expression ────────────────────────────────────────────────────────────


def _expression(tokens: list[str]) -> str:
    blocks: list[list[str]] = [[]]
    jumps: list[str] = []  # the wildcard before each block but the first
    for token in tokens:
        if token in (_FOLDERS, _ANYTHING):
            jumps.append(token)
            blocks.append([])
        else:
            blocks[-1].append(token)
    *inner, last = blocks
    jump_of = {_FOLDERS: ("(?:.*?/)??", "(?:.*/)?"), _ANYTHING: (".*?", ".*")}
    parts = []
    for index, block in enumerate(inner):
        body = _block(block, closed=True)
        parts.append(body if index == 0 else f"(?>{jump_of[jumps[index - 1]][0]}{body})")
    if jumps:
        parts.append(jump_of[jumps[-1]][1])
    return f"{''.join(parts)}{_block(last, closed=False)}"


def _block(tokens: list[str], *, closed: bool) -> str:
    """
    Return the expression of tokens without ``**``.

    Args:
        tokens: what to express.
        closed: more follows, and it begins with a wildcard that takes whatever is left.
    """
    pieces: list[list[str]] = [[]]
    for token in tokens:
        if token is _STAR:
            pieces.append([])
        else:
            pieces[-1].append(token)
    first, *others = map("".join, pieces)
    if not others:
        return first
    *inner, last = others
    atoms = [f"(?>[^/]*?{piece})" for piece in inner]
    end = f"(?>[^/]*?{last})" if closed else f"[^/]*{last}"
    return "".join((first, *atoms, end))
