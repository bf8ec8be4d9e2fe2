"""Functions whose results a cache keeps."""

import functools
import inspect
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Any, ParamSpec, Protocol, Self, TypeVar, cast, overload

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)
R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheInfo:
    """
    The figures of one memoized function, and of the cache that keeps its results.

    Attributes:
        hits: calls that did not run the function: the result was kept, or on its way.
        misses: calls that ran it.
        errors: those of the misses that raised.
        items: how many entries the cache holds, of other functions, too.
        current_bytes: the bytes of them all.
        max_bytes: the bound of the cache.
    """

    hits: int
    misses: int
    errors: int
    items: int
    current_bytes: int
    max_bytes: int


class Memoized(Protocol[P, R_co]):
    """
    A function whose results are kept.

    Attributes:
        cache: the `SizeAwareLRU` that keeps them.
        __wrapped__: the function itself.
    """

    cache: Any
    __wrapped__: Callable[..., Any]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Return the result that is kept, or run the function."""

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type | None = None) -> Callable[..., R_co]: ...
    def __get__(self, instance: object | None, owner: type | None = None) -> Any:
        """Return the method of `instance`, if it stands in a class."""

    def cache_key(self, *args: P.args, **kwargs: P.kwargs) -> Hashable:
        """Return the key of a call's result, to look for it in the cache or to remove it."""

    def cache_info(self) -> CacheInfo:
        """Return the figures of this function."""

    def cache_clear(self) -> None:
        """Remove all results of this function from the cache; O(n) of all that it holds."""


class _Calls:
    __slots__ = ("all", "errors", "run")

    def __init__(self) -> None:
        self.all = self.run = self.errors = 0


def memoized(cache: Any, function: Callable[P, R], seconds: float | None) -> Memoized[P, R]:
    """Return `function` with its results kept by `cache`, each for `seconds`."""
    calls = _Calls()

    def key_of(*args: Any, **kwargs: Any) -> Hashable:
        return (wrapper, args, tuple(sorted(kwargs.items()))) if kwargs else (wrapper, args)

    def cache_info() -> CacheInfo:
        return CacheInfo(
            hits=calls.all - calls.run,
            misses=calls.run,
            errors=calls.errors,
            items=len(cache),
            current_bytes=cache.current_bytes,
            max_bytes=cache.max_bytes,
        )

    def cache_clear() -> None:
        for key in cache:
            if type(key) is tuple and key and key[0] is wrapper:
                cache.pop(key, None)

    make: Callable[..., Any] = _awaited if inspect.iscoroutinefunction(function) else _called
    wrapper: Any = functools.wraps(function)(make(cache, function, seconds, calls, key_of))
    wrapper.cache, wrapper.cache_key = cache, key_of
    wrapper.cache_info, wrapper.cache_clear = cache_info, cache_clear
    return cast("Memoized[P, R]", wrapper)


def _called(
    cache: Any,
    function: Callable[..., Any],
    seconds: float | None,
    calls: _Calls,
    key_of: Callable[..., Hashable],
) -> Callable[..., Any]:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        def load(_: object) -> Any:
            calls.run += 1
            try:
                return function(*args, **kwargs)
            except BaseException:
                calls.errors += 1
                raise

        calls.all += 1
        return cache.get_or_load(key_of(*args, **kwargs), load, ttl_seconds=seconds)

    return wrapper


def _awaited(
    cache: Any,
    function: Callable[..., Awaitable[Any]],
    seconds: float | None,
    calls: _Calls,
    key_of: Callable[..., Hashable],
) -> Callable[..., Any]:
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        async def load(_: object) -> Any:
            calls.run += 1
            try:
                return await function(*args, **kwargs)
            except BaseException:
                calls.errors += 1
                raise

        calls.all += 1
        return await cache.aget_or_load(key_of(*args, **kwargs), load, ttl_seconds=seconds)

    return wrapper
