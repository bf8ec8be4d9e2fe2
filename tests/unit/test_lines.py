import array
import codecs
import gc
import threading
import tracemalloc
from collections.abc import Callable

import pytest
from interruptions import interrupted_everywhere

from boundedcollections import Closed, Line, LineSplitter
from boundedcollections.testing import check_invariants


def texts(lines: list[Line]) -> list[str]:
    return [line.text for line in lines]


def split(splitter: LineSplitter, *chunks: bytes) -> list[Line]:
    lines = [line for chunk in chunks for line in splitter.feed(chunk)]
    tail = splitter.close()
    check_invariants(splitter)
    return lines if tail is None else [*lines, tail]


class TestLines:
    def test_lines_come_out_where_they_end(self) -> None:
        splitter = LineSplitter(100)
        assert texts(splitter.feed(b"one\ntwo\nthr")) == ["one", "two"]
        assert texts(splitter.feed(b"ee\n")) == ["three"]

    def test_a_carriage_return_before_the_line_feed_belongs_to_the_break(self) -> None:
        assert split(LineSplitter(100), b"one\r\ntwo\n\r\n") == [
            Line("one", 3, truncated=False),
            Line("two", 3, truncated=False),
            Line("", 0, truncated=False),
        ]

    def test_a_line_break_cut_in_two_is_one_line_break(self) -> None:
        assert texts(split(LineSplitter(100), b"one\r", b"\ntwo\r", b"", b"\n")) == ["one", "two"]

    def test_a_carriage_return_elsewhere_is_content(self) -> None:
        lines = split(LineSplitter(100), b"10%\r20%\r\r\nend\r")
        assert lines == [Line("10%\r20%\r", 8, truncated=False), Line("end\r", 4, truncated=False)]

    def test_an_empty_chunk_changes_nothing(self) -> None:
        splitter = LineSplitter(100)
        assert splitter.feed(b"") == []
        assert splitter.close() is None

    def test_the_unterminated_tail_comes_once(self) -> None:
        splitter = LineSplitter(100)
        splitter.feed(b"one\ntail")
        assert splitter.close() == Line("tail", 4, truncated=False)
        assert splitter.close() is None
        assert splitter.closed

    def test_after_the_end_nothing_is_taken(self) -> None:
        splitter = LineSplitter(100, name="stdout")
        splitter.close()
        with pytest.raises(Closed, match=r"LineSplitter 'stdout'.* is closed"):
            splitter.feed(b"late\n")
        assert splitter.statistics().fed_bytes == 0


class TestTheBound:
    def test_a_line_as_long_as_the_bound_is_whole(self) -> None:
        assert split(LineSplitter(5), b"12345\n12345") == [Line("12345", 5, truncated=False)] * 2

    @pytest.mark.parametrize("chunks", [[b"12345\r\n"], [b"12345\r", b"\n"], [b"12345", b"\r\n"]])
    def test_the_line_break_does_not_count(self, chunks: list[bytes]) -> None:
        assert split(LineSplitter(5), *chunks) == [Line("12345", 5, truncated=False)]

    def test_a_carriage_return_beyond_the_bound_counts_when_it_is_content(self) -> None:
        assert split(LineSplitter(5), b"12345\r", b"6\r\n") == [Line("12345", 7, truncated=True)]
        assert split(LineSplitter(5), b"12345\r") == [Line("12345", 6, truncated=True)]

    def test_a_longer_line_is_cut_and_told_once_with_its_true_length(self) -> None:
        splitter = LineSplitter(5)
        assert split(splitter, b"123", b"4567", b"89" * 1_000, b"\nnext\n") == [
            Line("12345", 2_007, truncated=True),
            Line("next", 4, truncated=False),
        ]
        assert splitter.statistics().truncated_lines == 1

    def test_a_long_line_within_one_chunk_is_cut_as_well(self) -> None:
        assert split(LineSplitter(3), b"a\nlonger\r\nb\n") == [
            Line("a", 1, truncated=False),
            Line("lon", 6, truncated=True),
            Line("b", 1, truncated=False),
        ]

    def test_a_long_tail_is_cut_as_well(self) -> None:
        assert split(LineSplitter(3), b"end", b"less") == [Line("end", 7, truncated=True)]

    def test_no_more_than_the_bound_is_held(self) -> None:
        splitter = LineSplitter(1_000)
        for _ in range(100):
            splitter.feed(b"x" * 999)
            assert splitter.current_bytes <= 1_000
        assert splitter.peak_bytes == splitter.current_bytes == splitter.max_line_bytes == 1_000
        assert splitter.statistics().unfinished_bytes == 99_900

    def test_an_endless_line_needs_no_endless_memory(self) -> None:
        splitter = LineSplitter(64 << 10)
        chunk = b"x" * (16 << 10)
        splitter.feed(b"warm\n")
        gc.collect()
        tracemalloc.start()
        try:
            for _ in range(200):
                splitter.feed(chunk)
            held, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert held < (64 << 10) * 9 // 8 + 2_048
        assert peak < held + 3 * len(chunk)

    def test_what_a_finished_line_took_is_given_back(self) -> None:
        splitter = LineSplitter(1 << 20)
        gc.collect()
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            splitter.feed(b"x" * (1 << 20))
            splitter.feed(b"\n")
            after = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
        assert after - before < 2_048

    def test_many_small_chunks_of_one_line_are_not_copied_again_and_again(self) -> None:
        splitter = LineSplitter(1 << 20)
        splitter.feed(b"x")
        held = splitter._state.held
        for _ in range(1_000):
            splitter.feed(b"y")
            assert splitter._state.held is held  # a longer bytearray, not a new one

    @pytest.mark.parametrize("bound", [0, -1, True, "10", 1.5, None])
    def test_a_bound_that_is_no_bound_is_refused(self, bound: object) -> None:
        with pytest.raises((TypeError, ValueError), match="max_line_bytes"):
            LineSplitter(bound)  # type: ignore[arg-type]


class TestText:
    @pytest.mark.parametrize("text", ["für", "日本語", "👩‍👩‍👧", "a\N{NO-BREAK SPACE}b"])
    def test_a_character_cut_by_a_chunk_is_whole_again(self, text: str) -> None:
        data = text.encode() + b"\n"
        chunks = [data[i : i + 1] for i in range(len(data))]
        assert split(LineSplitter(100), *chunks) == [Line(text, len(data) - 1, truncated=False)]

    @pytest.mark.parametrize(
        ("bound", "text"), [(1, ""), (2, ""), (3, "日"), (5, "日"), (6, "日本")]
    )
    def test_a_character_is_never_cut_in_two_at_the_bound(self, bound: int, text: str) -> None:
        splitter = LineSplitter(bound)
        assert split(splitter, "日本語\n".encode()) == [Line(text, 9, truncated=True)]
        assert splitter.statistics().dropped_bytes == 9 - len(text.encode())

    def test_bytes_that_are_no_text_are_replaced_not_refused(self) -> None:
        splitter = LineSplitter(100)
        assert texts(split(splitter, b"a\xff\xfeb\n\xe6\x97")) == ["a\ufffd\ufffdb", "\ufffd"]
        assert splitter.statistics().dropped_bytes == 0

    def test_a_line_separator_that_is_not_a_line_feed_is_content(self) -> None:
        text = "a\u2028b\x0bc\x0cd\x85e"
        assert texts(split(LineSplitter(100), text.encode())) == [text]


class TestChunks:
    @pytest.mark.parametrize(
        "chunk",
        [bytearray(b"one\n"), memoryview(b"one\n"), memoryview(b"o.n.e.\n.")[::2]],
        ids=["bytearray", "memoryview", "strided"],
    )
    def test_any_buffer_is_a_chunk(self, chunk: bytearray | memoryview) -> None:
        assert texts(LineSplitter(100).feed(chunk)) == ["one"]

    def test_a_buffer_of_wide_items_counts_in_bytes(self) -> None:
        wide = array.array("I", [0x0A414141 if codecs.BOM == codecs.BOM_LE else 0x4141410A])
        lines = LineSplitter(100).feed(memoryview(wide))
        assert lines == [Line("AAA", 3, truncated=False)]

    def test_a_buffer_that_changes_later_does_not_change_what_was_fed(self) -> None:
        splitter = LineSplitter(100)
        buffer = bytearray(b"one")
        splitter.feed(memoryview(buffer))
        buffer[:] = b"two"
        assert splitter.close() == Line("one", 3, truncated=False)

    def test_a_subclass_of_bytes_is_taken_for_its_bytes(self) -> None:
        class Odd(bytes):
            def split(self, *_: object) -> list[bytes]:
                raise AssertionError

        assert texts(LineSplitter(100).feed(Odd(b"one\n"))) == ["one"]

    @pytest.mark.parametrize("chunk", ["text\n", None, 3, [1]])
    def test_what_is_no_buffer_is_refused_and_changes_nothing(self, chunk: object) -> None:
        splitter = LineSplitter(100)
        with pytest.raises(TypeError):
            splitter.feed(chunk)  # type: ignore[arg-type]
        assert splitter.statistics().fed_bytes == 0


class TestFigures:
    def test_every_byte_is_in_exactly_one_place(self) -> None:
        splitter = LineSplitter(4)
        splitter.feed(b"one\r\nlonger\ntail of a line")
        figures = splitter.statistics()
        assert figures.fed_bytes == 26
        assert (figures.lines, figures.truncated_lines) == (2, 1)
        assert (figures.delivered_bytes, figures.dropped_bytes, figures.break_bytes) == (7, 2, 3)
        assert (figures.unfinished_bytes, figures.current_bytes) == (14, 4)
        assert (figures.max_line_bytes, figures.peak_bytes) == (4, 4)

    def test_the_last_line_is_counted_like_any_other(self) -> None:
        splitter = LineSplitter(4)
        splitter.feed(b"longer")
        splitter.close()
        figures = splitter.statistics()
        assert (figures.lines, figures.truncated_lines, figures.dropped_bytes) == (1, 1, 2)
        assert (figures.unfinished_bytes, figures.current_bytes) == (0, 0)

    def test_looking_changes_nothing(self) -> None:
        splitter = LineSplitter(4)
        splitter.feed(b"ab\ncd")
        assert splitter.statistics() == splitter.statistics()

    def test_the_repr_shows_used_and_limit(self) -> None:
        splitter = LineSplitter(64, name="stdout")
        splitter.feed(b"abc")
        assert repr(splitter) == "<LineSplitter 'stdout' bytes=3/64>"
        assert repr(LineSplitter(64)) == "<LineSplitter bytes=0/64>"


class TestInterruptions:
    """Whatever strikes, and wherever: no byte is counted twice, none is forgotten."""

    CHUNKS = (b"more", b" than the bound", b"end\nnext\r\nrest", b"\n")

    @pytest.mark.parametrize("chunk", CHUNKS)
    def test_an_exception_out_of_the_blue_takes_the_whole_chunk_or_none_of_it(
        self, chunk: bytes
    ) -> None:
        splitter: LineSplitter

        def prepare() -> Callable[[], object]:
            nonlocal splitter
            splitter = LineSplitter(6)
            splitter.feed(b"one\nbe")
            return lambda: splitter.feed(chunk)

        def strike() -> None:
            raise KeyboardInterrupt

        for _ in interrupted_everywhere(prepare, strike, within="lines.py"):
            assert not splitter._lock._is_owned()  # type: ignore[attr-defined]
            check_invariants(splitter)
            assert splitter.statistics().fed_bytes in {6, 6 + len(chunk)}
            splitter.feed(b"\n")  # still in working order
            check_invariants(splitter)

    @pytest.mark.parametrize("inner", CHUNKS)
    @pytest.mark.parametrize("outer", [*CHUNKS, None], ids=repr)
    def test_a_feed_inside_a_feed_comes_before_it_or_after_it(
        self, outer: bytes | None, inner: bytes
    ) -> None:
        splitter: LineSplitter
        lines: list[Line]

        def prepare() -> Callable[[], object]:
            nonlocal splitter, lines
            splitter, lines = LineSplitter(6), []
            splitter.feed(b"one\nbe")
            if outer is None:
                return lambda: lines.extend([tail] if (tail := splitter.close()) else [])
            return lambda: lines.extend(splitter.feed(outer))

        def strike() -> None:
            if not splitter.closed:
                lines.extend(splitter.feed(inner))

        for _ in interrupted_everywhere(prepare, strike, within="lines.py"):
            check_invariants(splitter)
            figures = splitter.statistics()
            assert figures.lines == 1 + len(lines)
            assert figures.delivered_bytes == 3 + sum(len(line.text) for line in lines)

    def test_threads_lose_no_byte(self) -> None:
        splitter = LineSplitter(50)
        given: list[Line] = []

        def feed() -> None:
            for _ in range(500):
                given.extend(splitter.feed(b"12345\n1234567890\n"))

        threads = [threading.Thread(target=feed) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(given) == 4_000
        check_invariants(splitter)
