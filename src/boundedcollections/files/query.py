"""What somebody typed, as it is compared."""

import unicodedata
from typing import Final

from boundedcollections.files.tree import encoded

_MOST_LETTERS: Final = 1_024
"""A longer query matches nothing; it would take long to score."""


class Query:
    """
    What somebody typed.

    A capital anywhere makes case count; otherwise it does not. Composed and decomposed characters
    are the same. Spaces separate terms, all of which must be found.

    >>> query = Query("./src/Foo bar")
    >>> query.terms, query.ignore_case
    (('src/Foo', 'bar'), False)

    Attributes:
        text: the whole of it, in the form that `scoring.fold` gives to paths.
        terms: what must be found; nothing, if there is nothing or if no path can hold it.
        ignore_case: whether case does not count.
    """

    __slots__ = ("ignore_case", "terms", "text")

    def __init__(self, text: str) -> None:
        self.terms: tuple[str, ...] = ()
        self.text = ""
        self.ignore_case = True
        if len(text) <= _MOST_LETTERS:
            text = unicodedata.normalize("NFC", text).removeprefix("./").lstrip("/")
            self.text = text
            self.ignore_case = text == text.lower()
            self.terms = tuple(text.split()) if _can_be_in_a_path(text) else ()


def _can_be_in_a_path(text: str) -> bool:
    try:
        return b"\0" not in encoded(text)
    except UnicodeEncodeError:
        return False
