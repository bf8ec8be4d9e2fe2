import contextlib
import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from caches import Cache, Left, Touchy, filled, holds_its_lock, recorder
from interruptions import interrupted_everywhere

from boundedcollections import RemovalCause, SizeAwareLRU
from boundedcollections._core.ledger import Ledger
from boundedcollections.lru.entries import Entry
from boundedcollections.testing import check_invariants

SIZE, REPLACED = RemovalCause.SIZE, RemovalCause.REPLACED

pytestmark = pytest.mark.usefixtures("weightless")


def disturbed(_: object) -> Iterator[Any]:
    raise RuntimeError("OrderedDict mutated during iteration")


def remeasured_if_there(cache: Cache, key: object) -> None:
    with contextlib.suppress(KeyError):
        cache.remeasure(key)


def evict_two(cache: Cache) -> None:
    cache.resize(max_bytes=1)
    cache.resize(max_bytes=3)


MakeKey = Callable[[str], Touchy]
COMPARING: dict[str, Callable[[Cache, MakeKey], object]] = {
    "insert": lambda cache, key: cache.put(key("c"), 3),
    "overwrite": lambda cache, key: cache.put(key("b"), 3),
    "pop": lambda cache, key: cache.pop(key("b"), None),
    "evict": lambda cache, key: evict_two(cache),
    "get": lambda cache, key: cache.get(key("b")),
    "contains": lambda cache, key: key("b") in cache,
}


@pytest.mark.usefixtures("every_plain_cache")
class TestInterruptions:
    OPERATIONS: tuple[tuple[str, Callable[[Cache], object]], ...] = (
        ("insert", lambda cache: cache.put(3, "dd")),
        ("grow", lambda cache: cache.put(0, "aaaaa")),
        ("shrink", lambda cache: cache.put(0, "")),
        ("refuse", lambda cache: cache.put(0, "a" * 11)),
        ("setdefault", lambda cache: cache.setdefault(3, "dd")),
        ("pop", lambda cache: cache.pop(0, None)),
        ("popitem", lambda cache: cache and cache.popitem()),
        ("clear", lambda cache: cache.clear()),
        ("resize", lambda cache: cache.resize(max_items=1)),
        ("remeasure", lambda cache: remeasured_if_there(cache, 0)),
        ("get", lambda cache: cache.get(0)),
    )

    @staticmethod
    def victim(left: Left) -> Cache:
        left.clear()
        return filled(
            "aaa", "bbb", "ccc", max_items=3, on_evict=lambda *departure: left.append(departure)
        )

    @pytest.mark.parametrize("operation", [pytest.param(act, id=name) for name, act in OPERATIONS])
    @pytest.mark.parametrize("strike_key", [0, 1, 3])
    def test_whatever_interrupts_a_call_may_use_the_cache_itself(
        self, operation: Callable[[Cache], object], strike_key: int
    ) -> None:
        left: Left = []
        cache: Cache

        def prepare() -> Callable[[], object]:
            nonlocal cache
            cache = self.victim(left)
            return lambda: operation(cache)

        def strike() -> None:
            cache[strike_key] = "xxxxxx"
            cache.pop(strike_key, None)
            cache.put(strike_key, "yyyyyyyyyy")
            assert cache.current_bytes <= 10

        for _ in interrupted_everywhere(prepare, strike, within="boundedcollections"):
            check_invariants(cache)
            assert len(cache) + len(left) == cache.statistics().accepted.items

    @pytest.mark.parametrize("operation", [pytest.param(act, id=name) for name, act in OPERATIONS])
    def test_an_exception_out_of_the_blue_leaves_the_books_right_and_the_lock_free(
        self, operation: Callable[[Cache], object]
    ) -> None:
        cache: Cache

        def prepare() -> Callable[[], object]:
            nonlocal cache
            cache = self.victim([])
            return lambda: operation(cache)

        def strike() -> None:
            raise KeyboardInterrupt

        for _ in interrupted_everywhere(prepare, strike, within="boundedcollections"):
            assert not holds_its_lock(cache)
            check_invariants(cache)
            cache["after"] = "hi"  # still in working order
            check_invariants(cache)

    def test_a_write_that_interrupts_another_leaves_at_once_if_there_is_no_room(self) -> None:
        left, on_evict = recorder()
        cache = filled("aa", on_evict=on_evict)

        class Interrupted(Ledger):
            __slots__ = ()

            def admit(self, size: int) -> RemovalCause | None:
                cause = super().admit(size)
                cache._ledger.__class__ = Ledger
                cache[7] = "i" * 8
                return cause

        cache._ledger.__class__ = Interrupted
        cache[1] = "bbbbbbbb"
        assert dict(cache) == {1: "bbbbbbbb"}
        assert left == [(0, "aa", SIZE), (7, "iiiiiiii", SIZE)]


@pytest.mark.usefixtures("every_cache")
class TestCodeOfAUserInTheMiddle:
    MEASURING: tuple[tuple[str, Callable[[Cache], object]], ...] = tuple(
        (name, act)
        for name, act in TestInterruptions.OPERATIONS
        if name in {"insert", "grow", "shrink", "refuse", "setdefault", "remeasure"}
    )

    @pytest.mark.parametrize("operation", [pytest.param(act, id=name) for name, act in MEASURING])
    @pytest.mark.parametrize("strike_key", [0, 1, 3])
    @pytest.mark.parametrize("raises", [False, True])
    def test_what_is_measured_may_use_the_cache_or_fail(
        self, operation: Callable[[Cache], object], strike_key: int, raises: bool
    ) -> None:
        left: Left = []
        cache: Cache

        def prepare() -> Callable[[], object]:
            nonlocal cache
            cache = TestInterruptions.victim(left)
            return lambda: operation(cache)

        def strike() -> None:
            cache[strike_key] = "xxxxxx"
            cache.pop(strike_key, None)
            cache.put(strike_key, "yyyyyyyyyy")
            if raises:
                raise KeyboardInterrupt

        for _ in interrupted_everywhere(prepare, strike, within="caches.py"):
            check_invariants(cache)
            assert len(cache) + len(left) == cache.statistics().accepted.items

    @pytest.mark.parametrize("act", COMPARING)
    @pytest.mark.parametrize("meanwhile", ["same", "other", "remove", "clear"])
    def test_a_key_may_use_the_cache_while_it_is_compared(self, act: str, meanwhile: str) -> None:
        left, on_evict = recorder()
        cache: Cache = SizeAwareLRU(
            max_bytes=3,
            sizeof=lambda thing: 0 if isinstance(thing, Touchy) else 1,
            on_evict=on_evict,
        )
        armed = 0

        def on_compare() -> None:
            nonlocal armed
            if armed:
                armed -= 1
                key = Touchy("b" if meanwhile == "same" else "z", lambda: None)
                if meanwhile == "remove":
                    cache.pop(Touchy("b", lambda: None), None)
                elif meanwhile == "clear":
                    cache.clear()
                else:
                    cache[key] = "meanwhile"

        def key(name: str) -> Touchy:
            return Touchy(name, on_compare)

        for depth in range(1, 6):
            armed = 0
            cache.clear()
            cache.update({key("a"): 1, key("b"): 2})
            armed = depth
            COMPARING[act](cache, key)
            armed = 0
            check_invariants(cache)
            names = [held.name for held in cache]
            assert len(names) == len(set(names))
            assert len(cache) + len(left) == cache.statistics().accepted.items

    def test_a_key_that_raises_while_compared_leaves_the_cache_right(self) -> None:
        armed = False

        def fail() -> None:
            if armed:
                raise RuntimeError("no comparison today")

        cache: Cache = SizeAwareLRU(
            max_bytes=3, sizeof=lambda thing: 0 if isinstance(thing, Touchy) else 1
        )
        cache[Touchy("a", fail)] = 1
        armed = True
        with pytest.raises(RuntimeError, match="no comparison"):
            cache[Touchy("b", lambda: None)] = 2
        assert [held.name for held in cache] == ["a"]


@pytest.mark.usefixtures("every_plain_cache")
class TestTheIndexMayBeStaleForAMoment:
    def test_an_entry_that_comes_takes_the_place_of_one_that_has_left(self) -> None:
        cache = filled("a")
        gone = cache._entries[0]
        cache.clear()
        cache._entries[0] = gone
        fresh = Entry[Any, Any](0, "b", 1)
        cache._under_lock(lambda departures: cache._insert(fresh, departures))
        assert cache.snapshot() == ((0, "b"),)

    def test_a_look_at_an_end_begins_again_when_a_hit_has_moved_it(self) -> None:
        cache = filled("a", "b")
        looks: list[Callable[[Any], Iterator[Any]]] = [iter, disturbed]

        def look(order: Any) -> Iterator[Any]:
            return looks.pop()(order)

        assert cache._first(look) == (0, "a")
        assert not looks

    def test_a_hit_that_finds_its_entry_just_evicted_is_a_miss(self) -> None:
        cache = filled("a")
        entry = cache._entries[0]
        cache.clear()
        cache._entries[0] = entry  # what another thread sees between two lines of an eviction
        assert cache.get(0) is None
        assert 0 not in cache
        assert cache.statistics().misses == 1
        cache[0] = "b"
        assert cache[0] == "b"

    def test_an_entry_put_back_into_the_index_gives_way_to_a_newer_one(self) -> None:
        left, on_evict = recorder()
        key = Touchy("k", lambda: None)
        cache: Cache = SizeAwareLRU(
            {key: "first"}, max_bytes=9, sizeof=lambda _: 1, on_evict=on_evict
        )
        stray = copy.copy(cache._entries[key])

        class Meddling(dict[Any, Any]):
            armed = True

            def setdefault(self, other_key: Any, entry: Any = None, /) -> Any:
                if self.armed:
                    self.armed = False
                    cache[key] = "newer"
                return super().setdefault(other_key, entry)

        cache._entries = Meddling(cache._entries)
        cache._under_lock(lambda departures: cache._unmap(stray, departures))
        assert cache.snapshot() == ((key, "newer"),)
        assert left == [(key, "first", REPLACED)]

    def test_growth_that_finds_the_whole_bound_booked_by_what_it_interrupted_leaves(self) -> None:
        left, on_evict = recorder()
        cache = filled("a", on_evict=on_evict)

        class Interrupted(Ledger):
            __slots__ = ()

            def admit(self, size: int) -> RemovalCause | None:
                cause = super().admit(size)
                cache._ledger.__class__ = Ledger
                cache[0] = "aaa"
                return cause

        cache._ledger.__class__ = Interrupted
        cache[1] = "bbbbbbbbb"
        assert dict(cache) == {1: "bbbbbbbbb"}
        assert left == [(0, "a", SIZE), (0, "aaa", SIZE)]

    def test_tables_that_fit_nowhere_are_not_booked_beforehand(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cache: Cache = SizeAwareLRU(max_bytes=9, sizeof=lambda _: 1)
        monkeypatch.setattr(SizeAwareLRU, "_growth", lambda _: 1_000)
        cache._meter.doubt()
        cache[0] = "a"
        assert cache.snapshot() == ((0, "a"),)
