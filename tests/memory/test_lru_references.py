"""A cache holds each key and value once, and lets go of it once, whatever is done and raised."""

import contextlib
import copy
import gc
import logging
import sys
from collections.abc import Callable
from typing import Any

import pytest
from caches import Cache

from boundedcollections import BoundedError, SizeAwareLRU
from boundedcollections.testing import FakeClock, _empty_caches

pytestmark = pytest.mark.usefixtures("every_cache")

CAUGHT = (BoundedError, KeyError, OSError, ValueError)


class Thing:
    """A key or a value that is told apart from all others by its references."""

    size = 1

    def __hash__(self) -> int:
        return 5

    def __eq__(self, other: object) -> bool:
        return self is other


def fail(*_: object) -> Any:
    raise OSError


ACTS: dict[str, Callable[[Cache, Any, Any], object]] = {
    "get": lambda cache, key, _: (cache.get(key), cache.get("absent", key)),
    "peek": lambda cache, key, value: (cache.peek(key), cache.peek("absent", value)),
    "[]": lambda cache, key, _: cache[key],
    "[] in vain": lambda cache, key, _: cache[key, key],
    "in": lambda cache, key, _: key in cache and "absent" not in cache,
    "write": lambda cache, key, value: cache.__setitem__(key, value),
    "write anew": lambda cache, key, value: (cache.pop(key), cache.put(key, value)),
    "write for a while": lambda cache, key, value: cache.put(key, value, ttl_seconds=3),
    "write what is too large": lambda cache, key, value: cache.__setitem__(key, [value] * 10_000),
    "write another": lambda cache, key, value: cache.put((key, 1), value),
    "write and evict": lambda cache, key, value: cache.put((key, 2), [value] * 3_000),
    "write what has no size": lambda cache, key, value: cache.put(fail, value),
    "setdefault": lambda cache, key, value: (
        cache.setdefault(key, value),
        cache.setdefault((key, 3), value),
    ),
    "load": lambda cache, key, value: cache.get_or_load((key, 4), lambda _: value),
    "load in vain": lambda cache, key, _: cache.get_or_load((key, 5), fail),
    "remeasure": lambda cache, key, _: cache.remeasure(key),
    "time": lambda cache, key, _: cache.expires_in(key),
    "expire": lambda cache, key, value: (
        cache.put(key, value, ttl_seconds=1),
        cache._clock.advance(2),  # type: ignore[attr-defined]
        cache.purge_expired(),
    ),
    "pop": lambda cache, key, value: (cache.pop(key), cache.pop(key, value)),
    "del": lambda cache, key, _: cache.__delitem__(key),
    "popitem": lambda cache, *_: cache.popitem(),
    "ends": lambda cache, *_: (cache.least_recent(), cache.most_recent()),
    "snapshot": lambda cache, *_: (cache.snapshot(), list(cache), dict(cache.items())),
    "copy": lambda cache, *_: copy.copy(cache),
    "figures": lambda cache, *_: (cache.statistics(), repr(cache)),
    "resize": lambda cache, *_: cache.resize(max_bytes=2_000, max_items=1, max_entry_bytes=1_000),
    "clear": lambda cache, *_: cache.clear(),
}


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
@pytest.mark.parametrize("listens", [False, True])
def test_no_reference_is_lost_or_kept(
    act: Callable[[Cache, Any, Any], object], listens: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What a listener raises is logged, and what is logged is kept for the report of a test.
    monkeypatch.setattr(logging.getLogger("boundedcollections"), "disabled", True)

    def sizeof(thing: object) -> int:
        return fail() if thing is fail else sys.getsizeof(thing)

    key, value = Thing(), Thing()
    before = sys.getrefcount(key), sys.getrefcount(value)
    for _ in range(20):
        cache: Cache = SizeAwareLRU(
            max_bytes=30_000,
            sizeof=sizeof,
            clock=FakeClock(),
            on_evict=fail if listens else None,
        )
        cache.update({key: value, "other": [value]})
        with contextlib.suppress(CAUGHT):
            act(cache, key, value)
        cache._check()
        del cache
    gc.collect()
    assert (sys.getrefcount(key), sys.getrefcount(value)) == before


def test_a_circle_through_the_cache_is_collected() -> None:
    died = []

    class Mortal(Thing):
        def __del__(self) -> None:
            died.append(self.cache.get("key"))

    cache: Cache = SizeAwareLRU(max_bytes=10_000, sizeof=lambda _: 1, on_evict=lambda *_: None)
    value = Mortal()
    value.cache = cache  # type: ignore[attr-defined]
    cache["key"] = cache["for a while"] = value
    cache.put("for a while", value, ttl_seconds=9)
    del cache, value
    gc.collect()
    assert len(died) == 1


def test_no_names_are_made_anew_for_the_interpreter_to_remember() -> None:
    """Python keeps up to 4,096 names that attributes were asked by, told apart by address."""

    def use(padding: int) -> None:
        held = [f"held {number}" for number in range(padding)]  # what is made now lies elsewhere
        cache: Cache = SizeAwareLRU({"key": 1}, max_bytes=10_000)
        del cache["key"], held

    _empty_caches()
    for padding in range(400):
        use(padding)
    with_names = sys.getallocatedblocks()
    _empty_caches()
    assert with_names - sys.getallocatedblocks() < 20
