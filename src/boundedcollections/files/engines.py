"""
Engines: what finds texts that hold some letters in order. That is where a search spends its time.

All else is the same whichever engine is used: where to look and in which order, how files are
scored, what is cut off. An engine may give a text too many, because each is looked at again.
"""

import importlib
import warnings
from collections.abc import Iterable
from typing import Final, NamedTuple, Protocol


class Hits(NamedTuple):
    """
    What a matcher has found.

    Attributes:
        numbers: of texts, the best first.
        is_cut: whether there may be more.
    """

    numbers: list[int]
    is_cut: bool


class Matcher(Protocol):
    """
    Matches texts, which are numbered in the order in which they were given.

    Attributes:
        current_bytes: what it takes in memory.
    """

    current_bytes: int

    def hits(self, letters: bytes, spans: Iterable[range], most: int) -> Hits:
        """
        Return texts that hold `letters` in order.

        Args:
            letters: in lower case, encoded as file names are; one at least, and no NUL.
            spans: of numbers, in order; each begins and ends with a group.
            most: the most hits to return.
        """


class Engine(Protocol):
    """
    Makes matchers.

    Attributes:
        name: as `ReplaceOnIndex` takes it.
        bytes_per_text: what a text takes, besides its own bytes.
        fixed_bytes: what a matcher takes without any texts, however they are grouped.
        quick_texts: so many are matched in a few milliseconds.
        most_texts: so many are matched for one query.
        most_scored: of more paths at once, the engine's own order says which are worth scoring.
        shares: what its tables may take, as a multiple of what the snapshot may.
    """

    name: str
    bytes_per_text: int
    fixed_bytes: int
    quick_texts: int
    most_texts: int
    most_scored: int
    shares: int

    def matcher(self, groups: Iterable[Iterable[bytes]]) -> Matcher:
        """
        Return a matcher of texts.

        Args:
            groups: of texts, encoded as file names are, composed, and without NUL. Letters in
                them are matched in either case, unless they are beyond ASCII; then they are in
                lower case already.
        """


_MODULES: Final = {
    "standard": "boundedcollections.files.standard",
    "frizbee": "boundedcollections.files.frizbee",
}


def engine_named(name: str) -> Engine:
    """
    Return an engine; the standard one, with a warning, if it is not to be had.

    Raises:
        ValueError: there is no engine with that name.
    """
    if name not in _MODULES:
        raise ValueError(f"search_engine must be one of {', '.join(_MODULES)}, got {name!r}")
    try:
        engine: Engine = importlib.import_module(_MODULES[name]).engine()
    except Exception as error:  # noqa: BLE001  # a broken installation raises whatever it likes
        warnings.warn(
            f"the search engine {name} cannot be used ({type(error).__name__}: {error}); "
            "searching with the standard library",
            RuntimeWarning,
            stacklevel=3,  # who makes the index
        )
        return engine_named("standard")
    return engine
