"""Loading what is missing."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, ParamSpec, TypeVar, cast, overload

from boundedcollections._core.units import positive_seconds
from boundedcollections.lru.entries import GONE
from boundedcollections.lru.loads import Loads
from boundedcollections.lru.memoized import Memoized, memoized
from boundedcollections.lru.structure import Structure

K = TypeVar("K")
V = TypeVar("V")
R = TypeVar("R")
P = ParamSpec("P")


class Loader(Structure[K, V]):
    """Loads what is missing, once at a time for each key."""

    __slots__ = ()

    _loads: Loads[K]

    def get_or_load(
        self, key: K, loader: Callable[[K], V], *, ttl_seconds: float | None = None
    ) -> V:
        """
        Return the value of `key`; if there is none, that of ``loader(key)``, which is kept.

        >>> from boundedcollections import SizeAwareLRU
        >>> cache = SizeAwareLRU(max_bytes=10_000)
        >>> cache.get_or_load("hello", str.upper), cache.get_or_load("hello", str.lower)
        ('HELLO', 'HELLO')

        **Once at a time**: whoever asks for the same key meanwhile, in another thread or in a task
        of any event loop, waits for this load and gets its value or its error. An error is not
        kept. What stops a program or a task (KeyboardInterrupt, a cancellation) ends the load of
        the caller alone; one of those that wait loads instead.

        A value too large to be kept is returned all the same. A value that was written under the
        key meanwhile is kept and returned instead of the loaded one; one that is removed meanwhile
        is no reason not to keep it.

        Args:
            key: what to look for.
            loader: called with the key, without any lock.
            ttl_seconds: how long the value may be held; by default as long as the cache says.

        Raises:
            RecursiveLoad: this call would have to wait for itself.
            Exception: whatever the loader raised.
        """
        seconds = time_to_live(ttl_seconds)
        value = self.get(key, GONE)
        if value is not GONE:
            return cast("V", value)
        keep = partial(self._keep_loaded, key, seconds)
        return cast("V", self._loads.run(key, loader, partial(self.peek, key, GONE), keep))

    async def aget_or_load(
        self, key: K, loader: Callable[[K], Awaitable[V]], *, ttl_seconds: float | None = None
    ) -> V:
        """
        Do what `get_or_load` does, with a loader that is awaited, in any loop of asyncio.

        >>> from boundedcollections import SizeAwareLRU
        >>> async def shout(text):
        ...     return text.upper()
        >>> cache = SizeAwareLRU(max_bytes=10_000)
        >>> import asyncio
        >>> asyncio.run(cache.aget_or_load("hello", shout))
        'HELLO'

        The load runs in a task of its own, with the context of the first caller. Cancelling one
        of those that wait does not touch it; when the last one is gone, it is cancelled, too.

        Args:
            key: what to look for.
            loader: called with the key; what it returns is awaited.
            ttl_seconds: how long the value may be held; by default as long as the cache says.

        Raises:
            RecursiveLoad: this call would have to wait for itself.
            RuntimeError: no event loop of asyncio is running, as under trio.
            Exception: whatever the loader raised.
        """
        seconds = time_to_live(ttl_seconds)
        value = self.get(key, GONE)
        if value is not GONE:
            return cast("V", value)
        keep = partial(self._keep_loaded, key, seconds)
        return cast("V", await self._loads.arun(key, loader, partial(self.peek, key, GONE), keep))

    @overload
    def memoize(self, function: Callable[P, R], /) -> Memoized[P, R]: ...
    @overload
    def memoize(
        self, function: None = None, /, *, ttl_seconds: float | None = None
    ) -> Callable[[Callable[P, R]], Memoized[P, R]]: ...
    def memoize(
        self,
        function: Callable[..., Any] | None = None,
        /,
        *,
        ttl_seconds: float | None = None,
    ) -> Any:
        """
        Decorate a function, or a coroutine function, so that this cache keeps its results.

        >>> from boundedcollections import SizeAwareLRU
        >>> cache = SizeAwareLRU(max_bytes=10_000)
        >>> @cache.memoize
        ... def square(n):
        ...     return n * n
        >>> square(3), square(3), square.cache_info().hits
        (9, 9, 1)

        Results are kept by function and arguments, as by `get_or_load`: so several functions may
        share one cache, and a result is computed once for all who wait for it. Arguments must be
        hashable, and count against the bound together with the result.

        Args:
            function: what to decorate; a coroutine function stays one.
            ttl_seconds: how long a result may be held; by default as long as the cache says.
        """
        seconds = time_to_live(ttl_seconds)
        if function is None:
            return lambda function: memoized(self, function, seconds)
        return memoized(self, function, seconds)

    def _keep_loaded(self, key: K, seconds: float | None, value: V) -> V:
        return self._keep(key, value, seconds)[0]


def time_to_live(ttl_seconds: float | None) -> float | None:
    """Return a time that an entry may be held, after checking it."""
    return None if ttl_seconds is None else positive_seconds("ttl_seconds", ttl_seconds)
