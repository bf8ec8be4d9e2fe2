import copy
import pickle
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from interruptions import interrupted_everywhere

from boundedcollections import Batch, BoundedHistory, RemovalCause, Tally, TooLarge, deep_size
from boundedcollections._core.ledger import Ledger
from boundedcollections.testing import FakeClock, check_invariants


def pickled(history: BoundedHistory[str]) -> BoundedHistory[str]:
    twin: BoundedHistory[str] = pickle.loads(pickle.dumps(history))  # noqa: S301  # our own bytes
    return twin


pytestmark = pytest.mark.usefixtures("weightless")

Left = list[tuple[int, object, RemovalCause]]


def recorder() -> tuple[Left, Callable[[int, object, RemovalCause], None]]:
    left: Left = []
    return left, lambda seq, item, cause: left.append((seq, item, cause))


class TestBounds:
    def test_the_newest_items_stay_and_the_oldest_leave(self) -> None:
        left, on_evict = recorder()
        history = BoundedHistory("abcde", max_items=3, on_evict=on_evict)
        assert list(history) == ["c", "d", "e"]
        assert left == [(0, "a", RemovalCause.COUNT), (1, "b", RemovalCause.COUNT)]

    def test_a_large_item_evicts_as_many_as_its_bytes_need(self) -> None:
        left, on_evict = recorder()
        history = BoundedHistory(max_bytes=10, sizeof=len, on_evict=on_evict)
        history.extend(["aaa", "bbb", "ccc", "dddddd"])
        assert list(history) == ["ccc", "dddddd"]
        assert history.current_bytes == 9
        assert left == [(0, "aaa", RemovalCause.SIZE), (1, "bbb", RemovalCause.SIZE)]

    def test_an_item_that_exactly_fills_the_bound_is_kept(self) -> None:
        history = BoundedHistory(["12345"], max_bytes=5, sizeof=len)
        assert history.current_bytes == history.max_bytes == 5

    def test_an_item_above_max_bytes_is_refused_and_evicts_nothing(self) -> None:
        history = BoundedHistory(["abc"], max_bytes=5, sizeof=len, name="room")
        with pytest.raises(TooLarge, match=r"BoundedHistory 'room'.* 6 bytes.* 5 bytes") as caught:
            history.append("abcdef")
        assert (caught.value.size, caught.value.limit) == (6, 5)
        assert list(history) == ["abc"]
        assert history.next_seq == 1
        assert history.statistics().rejected == 1

    def test_bytes_are_deep_sizes_unless_told_otherwise(self) -> None:
        message = {"text": "x" * 1_000, "tags": ["a", "b"]}
        history = BoundedHistory([message], max_bytes=10_000)
        assert history.current_bytes == deep_size(message)

    def test_nothing_is_measured_without_a_bound_in_bytes(self) -> None:
        history = BoundedHistory(["x" * 1_000], max_items=1)
        assert history.current_bytes == 0

    def test_items_are_gone_at_the_first_look_after_their_time(self) -> None:
        left, on_evict = recorder()
        clock = FakeClock()
        history = BoundedHistory(max_age_seconds=10, clock=clock, on_evict=on_evict)
        history.append("a")
        clock.advance(6)
        history.append("b")
        clock.advance(3.5)
        assert list(history) == ["a", "b"]
        clock.advance(0.5)
        assert len(history) == 1
        assert left == [(0, "a", RemovalCause.EXPIRED)]
        clock.advance(100)
        assert history.first_seq == 2
        assert history.current_bytes == 0

    @pytest.mark.parametrize("bound", ["max_items", "max_bytes", "max_age_seconds"])
    @pytest.mark.parametrize("value", [0, -1, True, "10", float("nan")])
    def test_a_bound_that_is_no_bound_is_refused(self, bound: str, value: object) -> None:
        with pytest.raises((TypeError, ValueError), match=bound):
            BoundedHistory(**{bound: value})  # type: ignore[arg-type]

    def test_a_history_without_any_bound_is_refused(self) -> None:
        with pytest.raises(TypeError, match="max_items, max_bytes, max_age_seconds"):
            BoundedHistory()

    def test_an_endless_iterable_needs_no_endless_memory(self) -> None:
        history = BoundedHistory[int](max_items=5)
        history.extend(range(100_000))
        assert history.snapshot() == (99_995, 99_996, 99_997, 99_998, 99_999)

    @pytest.mark.parametrize("size", [-1, 1.5, "3", None])
    def test_a_size_that_is_no_size_is_refused_and_changes_nothing(self, size: object) -> None:
        history = BoundedHistory[str](max_bytes=10, sizeof=lambda _: size)  # type: ignore[arg-type,return-value]
        with pytest.raises((TypeError, ValueError), match="size of an item"):
            history.append("x")
        assert history.next_seq == len(history) == 0

    def test_a_sizeof_that_raises_changes_nothing(self) -> None:
        history = BoundedHistory(max_bytes=10, sizeof=len)
        with pytest.raises(TypeError):
            history.append(3)  # type: ignore[arg-type]
        assert history.next_seq == len(history) == 0


class TestNumbers:
    def test_every_item_gets_the_next_number(self) -> None:
        history = BoundedHistory[str](max_items=2)
        assert [history.append(item) for item in "abc"] == [0, 1, 2]
        assert (history.first_seq, history.next_seq) == (1, 3)

    def test_a_reader_that_comes_back_gets_what_it_lacks(self) -> None:
        history = BoundedHistory("abcde", max_items=10)
        assert history.since(3) == Batch(("d", "e"), missed=0, first_seq=3, next_seq=5)

    def test_a_reader_that_comes_too_late_learns_how_many_are_gone(self) -> None:
        history = BoundedHistory("abcde", max_items=2)
        assert history.since(1) == Batch(("d", "e"), missed=2, first_seq=3, next_seq=5)

    def test_a_reader_that_is_up_to_date_gets_nothing(self) -> None:
        history = BoundedHistory("abc", max_items=2)
        assert history.since(3) == Batch((), missed=0, first_seq=3, next_seq=3)

    def test_a_number_of_the_future_belongs_to_another_life(self) -> None:
        history = BoundedHistory("abc", max_items=2)
        with pytest.raises(ValueError, match="at most next_seq, which is 3, got 4"):
            history.since(4)
        with pytest.raises(ValueError, match="at least 0, got -1"):
            history.since(-1)

    def test_clearing_keeps_counting(self) -> None:
        left, on_evict = recorder()
        history = BoundedHistory("ab", max_items=2, on_evict=on_evict)
        history.clear()
        assert left == [(0, "a", RemovalCause.CLEARED), (1, "b", RemovalCause.CLEARED)]
        assert history.since(1) == Batch((), missed=1, first_seq=2, next_seq=2)
        assert history.append("c") == 2

    def test_each_history_has_an_epoch_of_its_own(self) -> None:
        first, second = BoundedHistory[str](max_items=1), BoundedHistory[str](max_items=1)
        assert first.epoch != second.epoch
        assert len(first.epoch) == 16


class TestSequence:
    def test_it_reads_like_a_sequence(self) -> None:
        history = BoundedHistory("abcdef", max_items=4)
        assert len(history) == 4
        assert [history[i] for i in (0, 3, -1, -4)] == ["c", "f", "f", "c"]
        assert history[1:3] == ("d", "e")
        assert history[::-1] == ("f", "e", "d", "c")
        assert list(reversed(history)) == ["f", "e", "d", "c"]
        assert "d" in history
        assert "a" not in history
        assert history.index("e") == 2
        assert history.count("e") == 1
        assert history.last(2) == ("e", "f")
        assert history.last(0) == ()
        assert history.last(99) == ("c", "d", "e", "f")

    @pytest.mark.parametrize("unique", [False, True])
    @pytest.mark.parametrize("index", [3, -4, 10**30])
    def test_an_index_out_of_range_is_an_index_error(self, unique: bool, index: int) -> None:
        history = BoundedHistory("abcdef", max_items=3, unique=unique)
        with pytest.raises(IndexError, match=str(index)):
            history[index]

    def test_a_negative_count_is_refused(self) -> None:
        with pytest.raises(ValueError, match="n must be an integer of at least 0, got -1"):
            BoundedHistory("abc", max_items=3).last(-1)

    def test_histories_are_equal_when_their_items_are(self) -> None:
        assert BoundedHistory("abc", max_items=2) == BoundedHistory("bc", max_items=9)
        assert BoundedHistory("abc", max_items=2) != BoundedHistory("ab", max_items=9)
        assert BoundedHistory("ab", max_items=2) != ["a", "b"]

    def test_a_history_has_no_hash(self) -> None:
        with pytest.raises(TypeError, match="unhashable"):
            hash(BoundedHistory(max_items=1))

    def test_iteration_goes_over_a_snapshot(self) -> None:
        history = BoundedHistory("abc", max_items=3)
        for item in history:
            history.append(item.upper())
        assert list(history) == ["A", "B", "C"]

    def test_the_repr_shows_used_and_limit(self) -> None:
        history = BoundedHistory(["abc"], max_items=4, max_bytes=10, sizeof=len, name="room")
        assert repr(history) == "<BoundedHistory 'room' items=1/4 bytes=3/10>"
        assert repr(BoundedHistory(max_age_seconds=1)) == "<BoundedHistory items=0>"


class TestUnique:
    def test_a_repeated_item_moves_to_the_end_under_a_new_number(self) -> None:
        left, on_evict = recorder()
        history = BoundedHistory("abc", max_items=3, unique=True, on_evict=on_evict)
        assert history.append("a") == 3
        assert list(history) == ["b", "c", "a"]
        assert left == [(0, "a", RemovalCause.REPLACED)]
        assert [history[i] for i in (0, -1)] == ["b", "a"]

    def test_replacing_frees_the_old_bytes_first_and_evicts_nothing_that_fits(self) -> None:
        history = BoundedHistory(max_bytes=6, sizeof=len, unique=True)
        history.extend(["aaa", "bbb", "aaa"])
        assert list(history) == ["bbb", "aaa"]

    def test_since_steps_over_the_numbers_that_moved(self) -> None:
        history = BoundedHistory("abcb", max_items=5, unique=True)
        assert history.since(1) == Batch(("c", "b"), missed=0, first_seq=2, next_seq=4)
        assert history.since(0) == Batch(("a", "c", "b"), missed=0, first_seq=0, next_seq=4)

    def test_the_oldest_of_distinct_items_is_evicted(self) -> None:
        history = BoundedHistory("abacad", max_items=3, unique=True)
        assert list(history) == ["c", "a", "d"]

    def test_an_unhashable_item_is_refused_and_changes_nothing(self) -> None:
        history: BoundedHistory[object] = BoundedHistory("ab", max_items=3, unique=True)
        with pytest.raises(TypeError, match="unhashable"):
            history.append([])
        assert list(history) == ["a", "b"]

    def test_the_newest_of_equal_objects_is_the_one_that_is_kept(self) -> None:
        class Id:
            def __init__(self, text: str) -> None:
                self.text = text

            def __eq__(self, other: object) -> bool:
                return isinstance(other, Id) and self.text == other.text

            def __hash__(self) -> int:
                return hash(self.text)

        first, second = Id("a"), Id("a")
        history = BoundedHistory([first, second], max_items=3, unique=True)
        watch = weakref.ref(first)
        del first
        assert history[0] is second
        assert watch() is None


class TestResize:
    def test_a_smaller_bound_evicts_at_once(self) -> None:
        left, on_evict = recorder()
        clock = FakeClock()
        history = BoundedHistory(
            ["aa", "bb", "cc", "dd"],
            max_items=4,
            max_bytes=8,
            max_age_seconds=100,
            sizeof=len,
            on_evict=on_evict,
            clock=clock,
        )
        history.resize(max_items=3)
        history.resize(max_bytes=5)
        assert list(history) == ["cc", "dd"]
        assert [cause for _, _, cause in left] == [RemovalCause.COUNT, RemovalCause.SIZE]
        clock.advance(5)
        history.resize(max_age_seconds=5)
        assert list(history) == []
        assert (history.max_items, history.max_bytes, history.max_age_seconds) == (3, 5, 5)

    def test_a_larger_bound_lets_more_in(self) -> None:
        history = BoundedHistory("abc", max_items=3)
        history.resize(max_items=5)
        history.extend("defg")
        assert list(history) == ["c", "d", "e", "f", "g"]

    def test_a_wrong_bound_changes_nothing(self) -> None:
        history = BoundedHistory("abc", max_items=3, max_bytes=9, sizeof=len)
        with pytest.raises(ValueError, match="max_bytes"):
            history.resize(max_items=1, max_bytes=0)
        with pytest.raises(TypeError, match="at least one"):
            history.resize()
        assert list(history) == ["a", "b", "c"]

    def test_bytes_cannot_be_bounded_where_nothing_was_measured(self) -> None:
        with pytest.raises(TypeError, match="max_bytes needs sizes"):
            BoundedHistory("abc", max_items=3).resize(max_bytes=10)

    def test_an_item_measured_under_the_old_bound_cannot_pass_the_new_one(self) -> None:
        def sizeof(item: str) -> int:
            if item == "abcdef":
                history.resize(max_bytes=5)
            return len(item)

        history = BoundedHistory[str](["ab"], max_bytes=10, sizeof=sizeof)
        with pytest.raises(TooLarge):
            history.append("abcdef")
        assert list(history) == ["ab"]


class TestCopies:
    @pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickled])
    @pytest.mark.parametrize("unique", [False, True])
    def test_a_copy_keeps_content_numbers_and_settings_but_not_the_epoch(
        self, duplicate: Callable[[BoundedHistory[str]], BoundedHistory[str]], unique: bool
    ) -> None:
        history = BoundedHistory(
            ["aa", "bb", "cc", "dd", "cc"],
            max_items=3,
            max_bytes=9,
            sizeof=len,
            unique=unique,
            name="room",
        )
        twin = duplicate(history)
        assert twin == history
        assert twin.since(3) == history.since(3)
        assert (twin.first_seq, twin.next_seq) == (history.first_seq, history.next_seq)
        assert repr(twin) == repr(history)
        assert twin.epoch != history.epoch
        assert twin.append("ee") == 5
        assert history.next_seq == 5
        check_invariants(twin, history)

    def test_a_copy_remembers_how_old_its_items_are(self) -> None:
        clock = FakeClock()
        history = BoundedHistory(["a"], max_age_seconds=10, clock=clock)
        clock.advance(7)
        twin = copy.copy(history)
        clock.advance(3)
        assert list(twin) == []


class TestStatistics:
    def test_what_was_accepted_is_held_or_has_left(self) -> None:
        history = BoundedHistory(max_items=3, max_bytes=7, sizeof=len, unique=True)
        history.extend(["a", "bb", "ccc", "dddd", "dddd"])
        with pytest.raises(TooLarge):
            history.append("eeeeeeee")
        statistics = history.statistics()
        assert statistics.accepted == Tally(5, 14)
        assert statistics.left[RemovalCause.SIZE] == Tally(2, 3)
        assert statistics.left[RemovalCause.REPLACED] == Tally(1, 4)
        assert (statistics.items, statistics.current_bytes) == (2, 7)
        assert (statistics.peak_items, statistics.peak_bytes) == (3, 7)
        assert statistics.rejected == 1
        assert history.peak_bytes == 7


class TestListeners:
    def test_a_listener_may_use_the_history_that_calls_it(self) -> None:
        seen: list[tuple[str, int]] = []

        def on_evict(seq: int, item: str, cause: RemovalCause) -> None:
            seen.append((item, len(history)))
            if item == "a":
                history.append("from the listener")

        history: BoundedHistory[str] = BoundedHistory(max_items=2, on_evict=on_evict)
        history.extend("abc")
        assert list(history) == ["c", "from the listener"]
        assert [item for item, _ in seen] == ["a", "b"]
        assert max(length for _, length in seen) == 2

    def test_a_raising_listener_stops_nothing_and_is_counted(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        def on_evict(seq: int, item: str, cause: RemovalCause) -> None:
            raise RuntimeError("boom")

        history = BoundedHistory("abcd", max_items=2, on_evict=on_evict)
        assert list(history) == ["c", "d"]
        assert history.statistics().listener_errors == 2
        assert "a listener of departures raised" in caplog.text

    def test_victims_die_and_listeners_run_without_the_lock(self) -> None:
        history: BoundedHistory[object]
        outcomes: list[bool] = []

        def others_can_use_it() -> None:
            worker = threading.Thread(target=lambda: outcomes.append(len(history) >= 0))
            worker.start()
            worker.join(5)
            assert not worker.is_alive()

        class Dying:
            def __del__(self) -> None:
                others_can_use_it()

        history = BoundedHistory(max_items=1, on_evict=lambda *_: others_can_use_it())
        history.append(Dying())
        history.append("next")
        assert outcomes == [True, True]


class TestInterruptions:
    def test_an_append_that_interrupts_another_leaves_at_once_if_there_is_no_room(self) -> None:
        left, on_evict = recorder()
        history = BoundedHistory(["aa"], max_bytes=4, sizeof=len, on_evict=on_evict)

        class Interrupted(Ledger):
            __slots__ = ()

            def admit(self, size: int) -> RemovalCause | None:
                admitted = super().admit(size)
                history._ledger.__class__ = Ledger
                assert history.append("ccc") == 1
                return admitted

        history._ledger.__class__ = Interrupted
        assert history.append("bb") == 2
        assert list(history) == ["bb"]
        assert left == [(0, "aa", RemovalCause.SIZE), (1, "ccc", RemovalCause.SIZE)]
        assert history.since(0) == Batch(("bb",), missed=2, first_seq=2, next_seq=3)

    def test_a_finalizer_that_changes_the_history_in_the_middle_of_a_look_is_survived(self) -> None:
        class Disturbed(dict[int, Any]):
            disturbances = 1

            def values(self) -> Any:
                if self.disturbances:
                    self.disturbances -= 1
                    raise RuntimeError("dictionary changed size during iteration")
                return super().values()

        history = BoundedHistory("abc", max_items=5)
        disturbed = Disturbed(history._entries)
        history._entries = disturbed
        assert history.last(2) == ("b", "c")
        assert disturbed.disturbances == 0

    @pytest.mark.parametrize("unique", [False, True])
    @pytest.mark.parametrize("operation", ["append", "clear", "resize", "since", "len"])
    def test_whatever_interrupts_a_call_may_use_the_history_itself(
        self, operation: str, unique: bool
    ) -> None:
        history: BoundedHistory[str]
        left: Left = []

        def prepare() -> Callable[[], object]:
            nonlocal history
            left.clear()
            history = BoundedHistory(
                ["aa", "b", "c"],
                max_items=3,
                max_bytes=4,
                sizeof=len,
                unique=unique,
                max_age_seconds=9,
                clock=FakeClock(),
                on_evict=lambda *departure: left.append(departure),
            )
            return {
                "append": lambda: history.append("b" if unique else "dd"),
                "clear": history.clear,
                "resize": lambda: history.resize(max_items=1),
                "since": lambda: history.since(1),
                "len": lambda: len(history),
            }[operation]

        def strike() -> None:
            history.append("bbbb")
            history.append("b")

        for _ in interrupted_everywhere(prepare, strike, within="boundedcollections"):
            check_invariants(history)
            held, gone = len(history), len(left)
            assert held + gone == history.statistics().accepted.items
            assert sorted(seq for seq, _, _ in left) == sorted({seq for seq, _, _ in left})

    @pytest.mark.parametrize("unique", [False, True])
    @pytest.mark.parametrize("operation", ["append", "clear", "resize"])
    def test_an_exception_out_of_the_blue_leaves_the_books_right_and_the_lock_free(
        self, operation: str, unique: bool
    ) -> None:
        history: BoundedHistory[str]

        def prepare() -> Callable[[], object]:
            nonlocal history
            history = BoundedHistory(
                ["aa", "b", "c"], max_items=3, max_bytes=4, sizeof=len, unique=unique
            )
            return {
                "append": lambda: history.append("b" if unique else "dd"),
                "clear": history.clear,
                "resize": lambda: history.resize(max_items=1),
            }[operation]

        def strike() -> None:
            raise KeyboardInterrupt

        for _ in interrupted_everywhere(prepare, strike, within="boundedcollections"):
            assert not history._lock._is_owned()  # type: ignore[attr-defined]
            check_invariants(history)
            history.append("hi")  # still in working order
            check_invariants(history)
