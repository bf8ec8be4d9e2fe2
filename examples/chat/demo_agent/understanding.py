"""
From a sentence to what is to be done. Pure, and honest about what it did not understand.

Each rule is a pattern; the first that fits wins. It is no language model, and does not pose as one.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

MAX_REQUESTS = 8


@dataclass(frozen=True, slots=True)
class ListFolder:
    """Tell what is in a folder."""

    path: str


@dataclass(frozen=True, slots=True)
class ReadFile:
    """Show a file, or its lines from `first` to `last`."""

    path: str
    first: int = 1
    last: int | None = None


@dataclass(frozen=True, slots=True)
class SearchText:
    """Search the files below a path for a text."""

    text: str
    path: str = "."


@dataclass(frozen=True, slots=True)
class FindFile:
    """Find files by name."""

    name: str
    path: str = "."


@dataclass(frozen=True, slots=True)
class Unknown:
    """None of these."""

    prompt: str


Request = ListFolder | ReadFile | SearchText | FindFile | Unknown

_WORD = r"""(?:"[^"]+"|'[^']+'|`[^`]+`|\S+)"""
_TEXT = rf"(?P<text>{_WORD}|.+?)"
_PATH = rf"(?P<path>{_WORD})"
_IN = (
    rf"(?:\s+(?:in|under|inside|within|below|of|from)\s+(?:the\s+)?(?:folder\s+|file\s+)?{_PATH})?"
)
_LINES = r"(?:,?\s+lines?\s+(?P<first>\d+)(?:\s*(?:-|to|until|through)\s*(?P<last>\d+))?)?"
_GREETING = re.compile(
    r"^(?:(?:please|can you|could you|would you|will you|hey|hello|hi|ok|okay|now|and|then|also"
    r"|i want to|i need to|i would like to|let us|let's|help me(?: to)?)\b[\s,]*)+",
    re.IGNORECASE,
)
_THANKS = re.compile(r"[\s,]+(?:please|thanks|thank you)[\s.!?]*$", re.IGNORECASE)
_NEXT = re.compile(r"\n+|;\s+|,?\s+(?:and\s+)?then\s+", re.IGNORECASE)

Fields = Mapping[str, str]


def understand(prompt: str) -> list[Request]:
    """
    Return what `prompt` asks for, at most `MAX_REQUESTS` things.

    >>> understand("please search TODO in src, then show me README.md lines 1-10")
    [SearchText(text='TODO', path='src'), ReadFile(path='README.md', first=1, last=10)]
    """
    parts = [part.strip() for part in _NEXT.split(prompt)]
    return [_understand(part) for part in parts if part][:MAX_REQUESTS]


def _understand(sentence: str) -> Request:
    plain = _THANKS.sub("", _GREETING.sub("", sentence)).rstrip("?! ")
    for pattern, build in _RULES:
        match = pattern.fullmatch(plain)
        if match is not None:
            return build({name: value or "" for name, value in match.groupdict().items()})
    return Unknown(sentence)


def _list(fields: Fields) -> Request:
    return ListFolder(_path(fields.get("path", "")))


def _read(fields: Fields) -> Request:
    first = int(fields.get("first") or 1)
    last = fields.get("last") or fields.get("first")
    return ReadFile(_path(fields["path"]), max(first, 1), int(last) if last else None)


def _search(fields: Fields) -> Request:
    return SearchText(_unquoted(fields["text"]), _path(fields.get("path", "")))


def _find(fields: Fields) -> Request:
    return FindFile(_path(fields["text"]), _path(fields.get("path", "")))


def _unquoted(token: str) -> str:
    if len(token) > 2 and token[0] == token[-1] and token[0] in "\"'`":  # noqa: PLR2004  # a pair
        return token[1:-1]
    return token


def _path(token: str) -> str:
    """Return a path as it was meant: without its quotes, the ``@`` of a mention, and the comma."""
    path = _unquoted(token.rstrip(",;:")).removeprefix("@")
    if path.endswith(".") and path.strip("./"):
        path = path.rstrip(".")
    return path or "."


def _rule(
    pattern: str, build: Callable[[Fields], Request]
) -> tuple[re.Pattern[str], Callable[[Fields], Request]]:
    return re.compile(pattern, re.IGNORECASE), build


_RULES = (
    _rule(
        rf"(?:search|grep|look|scan)\s+(?:in|through|into)\s+{_PATH}\s+for\s+(?P<text>.+)", _search
    ),
    _rule(rf"(?:search|grep|scan)(?:\s+for)?\s+{_TEXT}{_IN}", _search),
    _rule(rf"look\s+for\s+{_TEXT}{_IN}", _search),
    _rule(
        rf"(?:find|show|list|give)(?:\s+me)?\s+(?:all\s+|every\s+|each\s+|the\s+)*"
        rf"(?:occurrences?|uses?|usages?|mentions?|lines)\s+(?:of|with|that contain|containing)\s+{_TEXT}{_IN}",
        _search,
    ),
    _rule(
        rf"(?:which|what)\s+files?\s+(?:contains?|mentions?|uses?|has|have)\s+{_TEXT}{_IN}", _search
    ),
    _rule(rf"where\s+is\s+(?:the\s+)?file\s+{_TEXT}{_IN}", _find),
    _rule(
        rf"where(?:\s+(?:is|are|do (?:we|i) (?:use|call|set|define|have)|does|do))?\s+{_TEXT}"
        rf"(?:\s+(?:defined|used|use|mentioned|called|set|appear|occur|come from))?{_IN}",
        _search,
    ),
    _rule(
        rf"(?:find|locate)(?:\s+me)?(?:\s+(?:the|a|an|all|any))?(?:\s+files?)?"
        rf"(?:\s+(?:named|called|matching|like|with))?\s+{_TEXT}{_IN}",
        _find,
    ),
    _rule(
        rf"(?:which|what)\s+files?\s+(?:are\s+)?(?:named|called|match|matching)\s+{_TEXT}{_IN}",
        _find,
    ),
    _rule(
        r"(?:list|ls|dir|show)(?:\s+me)?(?:\s+(?:the|all|files?|folders?|everything|contents?|and))*"
        rf"{_IN}",
        _list,
    ),
    _rule(
        rf"(?:what|which files?)(?:'s|\s+is|\s+are|\s+files? are|\s+do we have)(?:\s+there)?{_IN}",
        _list,
    ),
    _rule(rf"(?:list|ls|dir)\s+{_PATH}", _list),
    _rule(
        r"(?:read|show|open|cat|print|display|view|see|give)(?:\s+me)?\s+lines?\s+(?P<first>\d+)"
        rf"(?:\s*(?:-|to|until|through)\s*(?P<last>\d+))?\s+(?:of|in|from)\s+{_PATH}",
        _read,
    ),
    _rule(
        r"(?:read|show|open|cat|print|display|view|see|what(?:'s| is) in)(?:\s+me)?"
        rf"(?:\s+(?:the|file|contents?|of))*\s+{_PATH}{_LINES}",
        _read,
    ),
)
