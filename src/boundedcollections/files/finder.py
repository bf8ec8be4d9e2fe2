"""One person typing: an answer at once to each keystroke, and the complete one a moment later."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import NamedTuple

from boundedcollections.files.candidates import Narrowing
from boundedcollections.files.search import FileMatches, Search
from boundedcollections.files.searcher import Searcher
from boundedcollections.files.snapshot import IndexSnapshot


class Answers(NamedTuple):
    """
    What `FileFinder.search` returns.

    Attributes:
        first: what was found at once.
        complete: the last answer; the same, and already there, if the first is final.
    """

    first: FileMatches
    complete: "Future[FileMatches]"


class FileFinder:
    """
    Finds files while somebody types, one query after another.

    >>> from boundedcollections import ReplaceOnIndex
    >>> files = ReplaceOnIndex(project)
    >>> report = files.index()
    >>> finder = files.finder(limit=3)
    >>> first, complete = finder.search("apt")
    >>> [match.path for match in complete.result(timeout=10)]
    ['src/app_test.py']
    >>> finder.close()

    The first answer comes from names that begin with the first letter of the query and from
    folders. Where nothing can be better, it is final; otherwise the complete answer follows from
    a thread, which all finders of an index share and which ends when nobody waits for it. A query
    that begins as the one before is searched among what that has left.

    **Answers**: `complete` is a future, to be waited for (``result(timeout=)``), awaited
    (``asyncio.wrap_future``) or cancelled; it is cancelled by the next query of the same finder.
    Of one finder at most one query waits.

    **Threads and tasks**: any method may be called from any thread and task. Two that search at
    the same time cancel each other's queries; give each its own.

    Made by `ReplaceOnIndex.finder`.
    """

    __slots__ = (
        "__weakref__",
        "_future",
        "_limit",
        "_lock",
        "_narrowing",
        "_searcher",
        "_snapshot",
    )

    def __init__(
        self, searcher: Searcher, snapshot: Callable[[], IndexSnapshot], limit: int
    ) -> None:
        self._searcher = searcher
        self._snapshot = snapshot
        self._limit = limit
        self._lock = threading.RLock()
        self._future: Future[FileMatches] | None = None
        self._narrowing: Narrowing | None = None

    def search(self, query: str) -> Answers:
        """
        Return the first answer, and the complete one as a future.

        O(n) with small constants, bounded.

        Args:
            query: what was typed, as for `ReplaceOnIndex.search`.
        """
        if not isinstance(query, str):
            raise TypeError(f"query must be a text, got {query!r}")
        future: Future[FileMatches] = Future()
        with self._lock:
            before, self._future = self._future, future
        if before is not None:
            before.cancel()  # not under the lock: somebody's callback may run
        prepared = self._searcher.prepared(self._snapshot())
        search = Search(*prepared, query, self._limit, self._narrowing)
        first = search.first()
        if first.final:
            _settle(future, lambda: first)
        else:
            self._searcher.complete(self, lambda: self._complete(search, future))
        return Answers(first, future)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: at most {self._limit} of {len(self._snapshot())} files>"

    def close(self) -> None:
        """Cancel what is under way; the finder stays usable."""
        with self._lock:
            before, self._future = self._future, None
        if before is not None:
            before.cancel()

    def _complete(self, search: Search, future: "Future[FileMatches]") -> None:
        if not future.cancelled():
            _settle(future, search.complete)
        if not future.cancelled():
            self._narrowing = search.narrowing() or self._narrowing


def _settle(future: "Future[FileMatches]", answer: Callable[[], FileMatches]) -> None:
    """Give a future its result, unless it was cancelled; until then it can be."""
    try:
        matches = answer()
    except BaseException as error:  # noqa: BLE001  # it belongs to those who wait
        if future.set_running_or_notify_cancel():
            future.set_exception(error)
    else:
        if future.set_running_or_notify_cancel():
            future.set_result(matches)
