import copy
import inspect
import pickle
from collections.abc import Callable

import pytest
from caches import Cache, PlainLRU, filled, recorder

from boundedcollections import RemovalCause, SizeAwareLRU, Tally
from boundedcollections.testing import check_invariants

SIZE, REPLACED = RemovalCause.SIZE, RemovalCause.REPLACED
REMOVED, CLEARED = RemovalCause.REMOVED, RemovalCause.CLEARED

pytestmark = pytest.mark.usefixtures("weightless", "every_cache")


def pickled(cache: Cache) -> Cache:
    twin: Cache = pickle.loads(pickle.dumps(cache))  # noqa: S301  # our own bytes
    return twin


@pytest.mark.parametrize("name", ["get", "peek", "snapshot"])
def test_every_form_has_the_same_documentation_and_signature(name: str) -> None:
    ours, plain = getattr(SizeAwareLRU, name), getattr(PlainLRU, name)
    assert inspect.getdoc(ours) == inspect.getdoc(plain)
    assert list(inspect.signature(ours).parameters) == list(inspect.signature(plain).parameters)


def test_a_subclass_that_forgets_to_initialise_gets_errors_and_no_crash() -> None:
    class Forgetful(SizeAwareLRU[str, str]):
        def __init__(self) -> None:
            pass

    with pytest.raises((AttributeError, TypeError)):
        Forgetful()["a"] = "b"


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
