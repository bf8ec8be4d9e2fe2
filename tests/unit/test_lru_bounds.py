from collections.abc import Callable
from typing import Any

import pytest
from caches import Cache, filled, recorder

from boundedcollections import RemovalCause, SizeAwareLRU, Tally, TooLarge, deep_size, footprint
from boundedcollections.memory.account import Account
from boundedcollections.memory.budget import MemoryBudget

SIZE, COUNT, REPLACED = RemovalCause.SIZE, RemovalCause.COUNT, RemovalCause.REPLACED

pytestmark = pytest.mark.usefixtures("weightless", "every_cache")


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


class TestMeasuring:
    @pytest.mark.parametrize("meter", [deep_size, footprint])
    def test_either_meter_may_say_what_keys_and_values_cost(
        self, meter: Callable[[object], int]
    ) -> None:
        value = [1.5, {"text": "x" * 100}]
        cache: Cache = SizeAwareLRU({("k", 7.5): value}, max_bytes=10_000, sizeof=meter)
        assert cache.current_bytes == meter(("k", 7.5)) + meter(value)
        assert cache.put("giant", "x" * 10_000) is False

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


WRITES: dict[str, Callable[[Cache], object]] = {
    "put": lambda cache: cache.put(9, "cccc"),
    "setdefault": lambda cache: cache.setdefault(9, "cccc"),
    "load": lambda cache: cache.get_or_load(9, lambda _: "cccc"),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
class TestTarget:
    def test_a_write_brings_what_is_held_down_to_the_target(
        self, write: Callable[[Cache], object]
    ) -> None:
        cache = filled("aaa", "bbb", "cc", budget=MemoryBudget(max_bytes=100))
        cache._aim(5)
        write(cache)
        assert dict(cache) == {9: "cccc"}

    def test_a_write_that_the_target_is_in_the_way_of_says_so(
        self, write: Callable[[Cache], object], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cache = filled("aa", budget=MemoryBudget(max_bytes=100))
        said: list[int] = []
        monkeypatch.setattr(Account, "press", lambda _, size: said.append(size))
        cache._aim(5)
        assert not cache._shed()
        write(cache)
        assert said == [4]
