"""The caches that bench_lru.py compares: ours, and those peers that are installed."""

import functools
import importlib
import sys
import threading
from collections.abc import Callable
from typing import Any, Final

from boundedcollections import SizeAwareLRU
from boundedcollections.lru.keeper import Keeper
from boundedcollections.lru.surface import Surface

PACKAGES: Final = ("cachetools", "cachebox", "theine", "moka-py", "lru-dict", "pympler")
OURS: Final = "SizeAwareLRU"
IN_PYTHON: Final = f"{OURS} in Python"

Get = Callable[[Any], Any]
Set = Callable[[Any, Any], object]
Contender = Callable[[int], tuple[Get, Set | None]]


class PlainLRU(Keeper[Any, Any], Surface[Any, Any]):
    """Ours as it is where there is no compiler."""

    __slots__ = ("__weakref__", "_loads")


def peer(name: str) -> Any:
    """Import a peer; None where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def counted() -> dict[str, Contender]:  # noqa: C901  # one small function for each peer
    """Return caches bounded by a number of entries, ours with a size function that costs little."""

    def ours(entries: int) -> tuple[Get, Set]:
        cache: SizeAwareLRU[Any, Any] = SizeAwareLRU(
            max_bytes=1 << 40, max_items=entries, sizeof=sys.getsizeof
        )
        return cache.get, cache.__setitem__

    def ours_deep(entries: int) -> tuple[Get, Set]:
        cache: SizeAwareLRU[Any, Any] = SizeAwareLRU(max_bytes=1 << 40, max_items=entries)
        return cache.get, cache.__setitem__

    def in_python(entries: int) -> tuple[Get, Set]:
        cache = PlainLRU(max_bytes=1 << 40, max_items=entries, sizeof=sys.getsizeof)
        return cache.get, cache.__setitem__

    def cachetools(entries: int) -> tuple[Get, Set]:
        cache = peer("cachetools").LRUCache(entries)
        return cache.get, cache.__setitem__

    def cachetools_locked(entries: int) -> tuple[Get, Set]:
        return locked(peer("cachetools").LRUCache(entries))

    def cachebox(entries: int) -> tuple[Get, Set]:
        cache = peer("cachebox").LRUCache(entries)
        return cache.get, cache.__setitem__

    def theine(entries: int) -> tuple[Get, Set]:
        cache = peer("theine").Cache(entries)
        return cache.get, cache.set

    def moka(entries: int) -> tuple[Get, Set]:
        cache = peer("moka_py").Moka(entries, policy="lru")
        return cache.get, cache.set

    def lru_dict(entries: int) -> tuple[Get, Set]:
        cache = peer("lru").LRU(entries)
        return cache.get, cache.__setitem__

    def lru_cache(entries: int) -> tuple[Get, None]:
        return functools.lru_cache(entries)(lambda key: key), None

    found: dict[str, Contender] = {
        OURS: ours,
        f"{OURS}, deep_size": ours_deep,
        IN_PYTHON: in_python,
        "functools.lru_cache": lru_cache,
    }
    others: dict[str, dict[str, Contender]] = {
        "cachetools": {"cachetools": cachetools, "cachetools +lock": cachetools_locked},
        "cachebox": {"cachebox": cachebox},
        "theine": {"theine": theine},
        "moka_py": {"moka-py": moka},
        "lru": {"lru-dict": lru_dict},
    }
    for name, contenders in others.items():
        if peer(name):
            found.update(contenders)
    return found


def locked(cache: Any) -> tuple[Get, Set]:
    """Return reads and writes of a mapping under one lock."""
    lock = threading.RLock()

    def get(key: Any) -> Any:
        with lock:
            return cache.get(key)

    def put(key: Any, value: Any) -> None:
        with lock:
            cache[key] = value

    return get, put


def weighed() -> dict[str, Callable[[int], tuple[Get, Set]]]:
    """Return caches bounded by bytes: peers are given pympler's measure, ours has its own."""

    def ours(max_bytes: int) -> tuple[Get, Set]:
        cache: SizeAwareLRU[Any, Any] = SizeAwareLRU(max_bytes=max_bytes)
        return cache.get, cache.__setitem__

    def in_python(max_bytes: int) -> tuple[Get, Set]:
        cache = PlainLRU(max_bytes=max_bytes)
        return cache.get, cache.__setitem__

    def asizeof(thing: Any) -> int:
        return int(peer("pympler.asizeof").Asizer().asizeof(thing))

    def cachetools(max_bytes: int) -> tuple[Get, Set]:
        return locked(peer("cachetools").LRUCache(max_bytes, getsizeof=asizeof))

    def cachebox(max_bytes: int) -> tuple[Get, Set]:
        cache = peer("cachebox").LRUCache(max_bytes, getsizeof=lambda _, value: asizeof(value))
        return cache.get, cache.__setitem__

    def moka(max_bytes: int) -> tuple[Get, Set]:
        cache = peer("moka_py").Moka(
            max_bytes, policy="lru", weigher=lambda _, value: asizeof(value)
        )
        return cache.get, cache.set

    found: dict[str, Callable[[int], tuple[Get, Set]]] = {OURS: ours, IN_PYTHON: in_python}
    if peer("pympler"):
        others = {"cachetools": cachetools, "cachebox": cachebox, "moka_py": moka}
        found.update({name: way for name, way in others.items() if peer(name)})
    return found
