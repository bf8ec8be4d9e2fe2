import contextlib
import copy
import pickle
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from interruptions import interrupted_everywhere

from boundedcollections import RemovalCause, SizeAwareLRU, Tally, TooLarge, deep_size
from boundedcollections._core.ledger import Ledger
from boundedcollections.lru.entries import Entry
from boundedcollections.testing import check_invariants

Cache = SizeAwareLRU[Any, Any]
Left = list[tuple[object, object, RemovalCause]]

SIZE, COUNT = RemovalCause.SIZE, RemovalCause.COUNT
REPLACED, REMOVED, CLEARED = RemovalCause.REPLACED, RemovalCause.REMOVED, RemovalCause.CLEARED

pytestmark = pytest.mark.usefixtures("weightless")


@pytest.fixture(autouse=True, params=["without lock", "with lock"])
def _both_ways_to_hit(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Free-threaded builds take a lock on every hit: the same contract holds for both forms."""
    if request.param == "with lock":
        monkeypatch.setattr(SizeAwareLRU, "get", SizeAwareLRU._get_locked)


def filled(*values: str, **settings: Any) -> Cache:
    """Return a cache with values under the keys 0, 1, 2; each weighs its letters."""
    settings.setdefault("max_bytes", 10)
    cache: Cache = SizeAwareLRU(
        sizeof=lambda thing: 0 if isinstance(thing, int) else len(thing), **settings
    )
    for key, value in enumerate(values):
        cache[key] = value
    return cache


def recorder() -> tuple[Left, Callable[[object, object, RemovalCause], None]]:
    left: Left = []
    return left, lambda key, value, cause: left.append((key, value, cause))


def pickled(cache: Cache) -> Cache:
    twin: Cache = pickle.loads(pickle.dumps(cache))  # noqa: S301  # our own bytes
    return twin


class TestBounds:
    def test_the_least_recently_used_entries_leave_until_the_bytes_fit(self) -> None:
        left, on_evict = recorder()
        cache = filled("aaaa", "bbbb", on_evict=on_evict)
        cache[2] = "cccccc"
        assert dict(cache) == {1: "bbbb", 2: "cccccc"}
        assert left == [(0, "aaaa", SIZE)]
        assert cache.current_bytes == 10

    def test_a_bound_in_items_holds_beside_the_one_in_bytes(self) -> None:
        left, on_evict = recorder()
        cache = filled("a", "b", "c", max_items=2, on_evict=on_evict)
        assert list(cache) == [1, 2]
        assert left == [(0, "a", COUNT)]

    def test_keys_and_values_are_measured_deep_unless_told_otherwise(self) -> None:
        value = {"text": "x" * 100, "nested": [1.5, (2.5,)]}
        cache: Cache = SizeAwareLRU({"key": value}, max_bytes=10_000)
        assert cache.current_bytes == deep_size("key") + deep_size(value)

    def test_an_oversize_entry_is_refused_and_evicts_no_other(self) -> None:
        cache = filled("aaaa", "bbbb", name="tools")
        with pytest.raises(TooLarge, match=r"SizeAwareLRU 'tools'.* 11 bytes.* 10 bytes") as caught:
            cache[2] = "c" * 11
        assert (caught.value.size, caught.value.limit) == (11, 10)
        assert dict(cache) == {0: "aaaa", 1: "bbbb"}
        assert cache.put(2, "c" * 11) is False
        assert cache.statistics().rejected == 2

    def test_an_oversize_value_takes_the_stale_one_with_it(self) -> None:
        left, on_evict = recorder()
        cache = filled("aaaa", "bbbb", on_evict=on_evict)
        assert cache.put(0, "a" * 11) is False
        assert dict(cache) == {1: "bbbb"}
        assert left == [(0, "aaaa", REPLACED)]

    def test_one_entry_may_be_bounded_more_tightly_than_all(self) -> None:
        cache = filled("aaaa", max_entry_bytes=4)
        assert cache.max_entry_bytes == 4
        with pytest.raises(TooLarge, match=r"5 bytes.* 4 bytes"):
            cache[1] = "bbbbb"
        assert filled(max_entry_bytes=99).max_entry_bytes == 10

    @pytest.mark.parametrize("bound", ["max_bytes", "max_items", "max_entry_bytes"])
    @pytest.mark.parametrize("value", [0, -1, True, "10", 1.5])
    def test_a_bound_that_is_no_bound_is_refused(self, bound: str, value: object) -> None:
        settings: dict[str, Any] = {"max_bytes": 10, bound: value}
        with pytest.raises((TypeError, ValueError), match=bound):
            SizeAwareLRU(**settings)

    def test_an_unhashable_key_is_refused_and_changes_nothing(self) -> None:
        cache = filled("aaaa", max_bytes=100)
        with pytest.raises(TypeError, match="unhashable"):
            cache[[]] = "bbbb"
        assert dict(cache) == {0: "aaaa"}

    def test_a_sizeof_that_raises_changes_nothing(self) -> None:
        cache = filled("aaaa")
        with pytest.raises(TypeError, match="len"):
            cache[1] = 1.5
        assert dict(cache) == {0: "aaaa"}


class TestRecency:
    @pytest.mark.parametrize(
        "use",
        [
            lambda cache: cache[0],
            lambda cache: cache.get(0),
            lambda cache: cache.setdefault(0, "z"),
        ],
    )
    def test_reading_makes_an_entry_the_most_recent(self, use: Callable[[Cache], object]) -> None:
        cache = filled("a", "b", "c")
        assert use(cache) == "a"
        assert list(cache) == [1, 2, 0]

    @pytest.mark.parametrize(
        "look",
        [
            lambda cache: cache.peek(0),
            lambda cache: 0 in cache,
            lambda cache: list(cache.items()),
            lambda cache: list(cache.values()),
            lambda cache: (0, "a") in cache.items(),
            lambda cache: "a" in cache.values(),
            lambda cache: cache == {0: "a"},
            lambda cache: cache.snapshot(),
            lambda cache: list(reversed(cache)),
            repr,
        ],
    )
    def test_looking_touches_neither_recency_nor_counts(
        self, look: Callable[[Cache], object]
    ) -> None:
        cache = filled("a", "b", "c")
        assert look(cache) is not None
        assert list(cache) == [0, 1, 2]
        assert (cache.statistics().hits, cache.statistics().misses) == (0, 0)

    def test_writing_makes_an_entry_the_most_recent(self) -> None:
        cache = filled("a", "b", "c")
        cache[0] = "A"
        assert cache.snapshot() == ((1, "b"), (2, "c"), (0, "A"))


class TestMapping:
    def test_it_behaves_like_a_dict(self) -> None:
        cache = filled("a", "b", "c")
        assert len(cache) == 3
        assert cache.get(9) is None
        assert cache.get(9, "none") == "none"
        assert cache.peek(9, "none") == "none"
        with pytest.raises(KeyError, match="9"):
            cache[9]
        with pytest.raises(KeyError, match="9"):
            del cache[9]
        with pytest.raises(KeyError, match="9"):
            cache.pop(9)
        assert cache.pop(9, "none") == "none"
        del cache[1]
        assert cache.pop(0) == "a"
        assert cache == {2: "c"}
        assert 2 in cache
        assert list(reversed(filled("a", "b"))) == [1, 0]
        assert (2, "x") not in cache.items()
        assert (9, "x") not in cache.items()
        assert "x" not in cache.values()
        cache.update({3: "d"})
        cache["e"] = "f"
        assert list(cache.items()) == [(2, "c"), (3, "d"), ("e", "f")]

    def test_popitem_takes_the_least_recently_used(self) -> None:
        left, on_evict = recorder()
        cache = filled("a", "b", on_evict=on_evict)
        assert cache[0] == "a"
        assert cache.popitem() == (1, "b")
        assert cache.popitem() == (0, "a")
        assert left == [(1, "b", REMOVED), (0, "a", REMOVED)]
        with pytest.raises(KeyError, match="is empty"):
            cache.popitem()

    def test_clear_takes_everything(self) -> None:
        left, on_evict = recorder()
        cache = filled("a", "b", on_evict=on_evict)
        cache.clear()
        assert len(cache) == cache.current_bytes == 0
        assert left == [(0, "a", CLEARED), (1, "b", CLEARED)]

    def test_setdefault_writes_only_what_is_missing(self) -> None:
        cache = filled("a")
        assert cache.setdefault(0, "b") == "a"
        assert cache.setdefault(1, "b") == "b"
        assert cache[1] == "b"

    def test_setdefault_yields_to_a_value_written_while_it_measured(self) -> None:
        cache: Cache

        def sizeof(thing: object) -> int:
            if thing == "mine":
                cache["key"] = "theirs"
            return 1

        cache = SizeAwareLRU(max_bytes=10, sizeof=sizeof)
        assert cache.setdefault("key", "mine") == "theirs"

    def test_the_repr_shows_used_and_limit(self) -> None:
        assert repr(filled("abc", name="tools")) == "<SizeAwareLRU 'tools' bytes=3/10>"
        assert repr(filled("abc", max_items=4)) == "<SizeAwareLRU items=1/4 bytes=3/10>"

    def test_iteration_goes_over_a_snapshot(self) -> None:
        cache = filled("a", "b", "c")
        for key in cache:
            cache[key + 10] = "x"
            del cache[key]
        assert sorted(cache) == [10, 11, 12]


class TestMeasuring:
    def test_a_size_may_be_an_integer_of_any_kind(self) -> None:
        class Size(int):
            pass

        cache: Cache = SizeAwareLRU({0: "a"}, max_bytes=9, sizeof=lambda _: Size(2))
        assert cache.current_bytes == 4

    @pytest.mark.parametrize("size", [-1, 1.5, None])
    def test_a_size_that_is_none_is_refused_and_nothing_is_held(self, size: Any) -> None:
        cache: Cache = SizeAwareLRU(max_bytes=9, sizeof=lambda _: size)
        with pytest.raises((TypeError, ValueError)):
            cache[0] = "a"
        assert len(cache) == 0

    def test_an_overwrite_above_the_bound_of_one_entry_is_refused(self) -> None:
        cache = filled("a", max_entry_bytes=3)
        assert not cache.put(0, "xxxxx")
        assert len(cache) == 0

    def test_a_default_that_is_too_large_is_refused(self) -> None:
        cache = filled("a")
        with pytest.raises(TooLarge):
            cache.setdefault(1, "x" * 1_000)
        assert list(cache) == [0]

    def test_tables_that_fit_nowhere_are_not_booked_beforehand(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cache: Cache = SizeAwareLRU(max_bytes=9, sizeof=lambda _: 1)
        monkeypatch.setattr(SizeAwareLRU, "_growth", lambda _: 1_000)
        cache._meter.doubt()
        cache[0] = "a"
        assert cache.snapshot() == ((0, "a"),)


class TestReplacing:
    def test_the_old_size_is_given_back_first_so_nothing_that_fits_is_evicted(self) -> None:
        left, on_evict = recorder()
        cache = filled("aaa", "bbbb", on_evict=on_evict)
        cache[1] = "bbbbbbb"
        assert dict(cache) == {0: "aaa", 1: "bbbbbbb"}
        assert left == [(1, "bbbb", REPLACED)]

    def test_a_value_that_grows_evicts_others_and_never_itself(self) -> None:
        left, on_evict = recorder()
        cache = filled("aaa", "bbbb", "cc", on_evict=on_evict)
        cache[0] = "aaaaaaaa"
        assert dict(cache) == {2: "cc", 0: "aaaaaaaa"}
        assert left == [(1, "bbbb", SIZE), (0, "aaa", REPLACED)]

    def test_an_equal_key_of_another_size_is_charged_as_the_key_that_is_held(self) -> None:
        cache: Cache = SizeAwareLRU(max_bytes=10, sizeof=lambda thing: 8 if thing is True else 1)
        cache[True] = "a"
        cache[1] = "b"
        assert cache.current_bytes == 9
        assert list(cache) == [True]

    def test_an_equal_key_written_while_this_one_was_measured_is_replaced_with_its_value(
        self,
    ) -> None:
        left, on_evict = recorder()
        cache: Cache

        def sizeof(thing: object) -> int:
            if thing == "mine":
                cache[True] = "theirs"
            return 1

        cache = SizeAwareLRU(max_bytes=10, sizeof=sizeof, on_evict=on_evict)
        cache[1] = "mine"
        assert cache.snapshot() == ((1, "mine"),)
        assert next(iter(cache)) is not True
        assert left == [(True, "theirs", REPLACED)]


class TestRemeasure:
    def test_a_value_that_grew_in_place_is_charged_when_asked(self) -> None:
        cache = filled("aaa")
        value = ["b"]
        cache[1] = value
        value.extend("bbb")
        assert cache.current_bytes == 4
        assert cache.remeasure(1) == 4
        assert cache.current_bytes == 7
        assert cache.statistics().accepted == Tally(2, 7)

    def test_a_value_that_shrank_is_charged_less(self) -> None:
        cache = filled()
        value = ["b", "b"]
        cache[1] = value
        value.clear()
        assert cache.remeasure(1) == cache.current_bytes == 0

    def test_growth_evicts_others(self) -> None:
        left, on_evict = recorder()
        cache = filled("aaaa", on_evict=on_evict)
        value = ["b"]
        cache[1] = value
        value.extend("bbbbbbb")
        cache.remeasure(1)
        assert left == [(0, "aaaa", SIZE)]

    def test_a_value_that_outgrew_its_bound_leaves(self) -> None:
        left, on_evict = recorder()
        cache = filled("aaaa", on_evict=on_evict)
        value = ["b"]
        cache[1] = value
        value.extend("b" * 10)
        assert cache.remeasure(1) == 11
        assert left == [(1, value, SIZE)]
        assert dict(cache) == {0: "aaaa"}

    def test_a_missing_key_is_a_key_error(self) -> None:
        with pytest.raises(KeyError, match="9"):
            filled("a").remeasure(9)

    def test_a_value_overwritten_meanwhile_keeps_its_own_figure(self) -> None:
        cache: Cache
        armed = False

        def sizeof(thing: Any) -> int:
            if armed and thing == "old":
                cache["key"] = "newer"
            return 0 if thing == "key" else len(thing)

        cache = SizeAwareLRU({"key": "old"}, max_bytes=10, sizeof=sizeof)
        armed = True
        assert cache.remeasure("key") == cache.current_bytes == 5


class TestResize:
    def test_a_smaller_bound_evicts_at_once(self) -> None:
        left, on_evict = recorder()
        cache = filled("aaa", "bbb", "ccc", on_evict=on_evict)
        cache.resize(max_bytes=6)
        cache.resize(max_items=1)
        assert dict(cache) == {2: "ccc"}
        assert left == [(0, "aaa", SIZE), (1, "bbb", COUNT)]
        assert (cache.max_bytes, cache.max_items) == (6, 1)

    def test_a_tighter_bound_for_one_entry_concerns_what_is_written_next(self) -> None:
        cache = filled("aaa")
        cache.resize(max_entry_bytes=2)
        assert dict(cache) == {0: "aaa"}
        assert cache.put(1, "bbb") is False
        assert cache.put(1, "bb") is True

    def test_a_wrong_bound_changes_nothing(self) -> None:
        cache = filled("aaa", "bbb")
        with pytest.raises(ValueError, match="max_bytes"):
            cache.resize(max_items=1, max_bytes=-1)
        with pytest.raises(ValueError, match="max_entry_bytes"):
            cache.resize(max_items=1, max_entry_bytes=0)
        with pytest.raises(TypeError, match="at least one"):
            cache.resize()
        assert len(cache) == 2


class TestCopies:
    @pytest.mark.parametrize("duplicate", [copy.copy, pickled])
    def test_a_copy_keeps_content_order_and_settings(
        self, duplicate: Callable[[Cache], Cache]
    ) -> None:
        cache: Cache = SizeAwareLRU(
            {"a": [1], "b": [2]}, max_bytes=9_000, max_items=3, max_entry_bytes=5_000, name="tools"
        )
        assert cache["a"] == [1]
        twin = duplicate(cache)
        assert twin.snapshot() == cache.snapshot()
        assert repr(twin) == repr(cache)
        assert twin.max_entry_bytes == 5_000
        twin["c"] = 3
        assert "c" not in cache
        check_invariants(twin, cache)

    def test_a_copy_keeps_even_what_a_tighter_bound_would_refuse_today(self) -> None:
        cache = filled("aaaaaa")
        cache.resize(max_entry_bytes=2)
        assert copy.copy(cache) == cache


class TestStatistics:
    def test_what_was_accepted_is_held_or_has_left(self) -> None:
        cache = filled("aaaa", "bbbb", "cccc", max_items=5)
        cache[2] = "cc"
        del cache[2]
        cache.put(3, "d" * 11)
        assert (cache.get(1), cache.get(9)) == ("bbbb", None)
        statistics = cache.statistics()
        assert statistics.accepted == Tally(4, 14)
        assert (statistics.items, statistics.current_bytes) == (1, 4)
        assert statistics.left[SIZE] == Tally(1, 4)
        assert statistics.left[REPLACED] == Tally(1, 4)
        assert statistics.left[REMOVED] == Tally(1, 2)
        assert (statistics.peak_items, statistics.peak_bytes) == (2, 8)
        assert cache.peak_bytes == 8
        assert (statistics.hits, statistics.misses, statistics.hit_ratio) == (1, 1, 0.5)
        assert statistics.rejected == 1

    def test_the_hit_ratio_is_one_before_the_first_lookup(self) -> None:
        assert filled().statistics().hit_ratio == 1.0


class TestListeners:
    def test_a_listener_may_use_the_cache_that_calls_it(self) -> None:
        cache: Cache

        def on_evict(key: object, value: object, cause: RemovalCause) -> None:
            assert cache.current_bytes <= 10
            if cause is SIZE:
                cache[9] = "x"

        cache = filled("aaaa", "bbbb", on_evict=on_evict)
        cache[2] = "cccc"
        assert list(cache) == [1, 2, 9]

    def test_a_raising_listener_stops_nothing_and_is_counted(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        def on_evict(key: object, value: object, cause: RemovalCause) -> None:
            raise RuntimeError("boom")

        cache = filled("aaaa", "bbbb", "cccccc", on_evict=on_evict)
        assert list(cache) == [1, 2]
        assert cache.statistics().listener_errors == 1
        assert "a listener of departures raised" in caplog.text

    def test_victims_die_without_the_lock(self) -> None:
        outcomes: list[int] = []

        class Dying(str):
            __slots__ = ()

            def __del__(self) -> None:
                worker = threading.Thread(target=lambda: outcomes.append(cache.put(9, "x")))
                worker.start()
                worker.join(5)
                assert not worker.is_alive()

        cache = filled()
        cache[0] = Dying("aaaaaaaa")
        cache[1] = "bbbb"
        assert outcomes == [True]


def disturbed(_: object) -> Iterator[Any]:
    raise RuntimeError("OrderedDict mutated during iteration")


class Touchy:
    """A key whose comparison uses the cache it is a key of."""

    def __init__(self, name: str, on_compare: Callable[[], object]) -> None:
        self.name = name
        self.on_compare = on_compare

    def __hash__(self) -> int:
        return 42

    def __eq__(self, other: object) -> bool:
        self.on_compare()
        return isinstance(other, Touchy) and self.name == other.name


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
            assert not cache._lock._is_owned()  # type: ignore[attr-defined]
            check_invariants(cache)
            cache["after"] = "hi"  # still in working order
            check_invariants(cache)

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

        assert cache._end(look) == (0, "a")
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
