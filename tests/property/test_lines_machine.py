"""However a stream is cut into chunks, its lines are those of a plain split of the whole."""

import codecs

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from boundedcollections import Line, LineSplitter
from boundedcollections.testing import check_invariants

PIECES = st.sampled_from(
    [
        b"\n",
        b"\r\n",
        b"\r",
        b"a",
        b"bcd",
        "ü".encode(),
        "日本".encode(),
        b"\xff",
        b"\xe6\x97",
        b"e" * 9,
    ]
)
CHUNKS = st.lists(PIECES, max_size=6).map(b"".join)


def expected(stream: bytes, limit: int) -> list[Line]:
    *lines, tail = stream.split(b"\n")
    whole = [line.removesuffix(b"\r") for line in lines] + [tail] * bool(tail)
    return [Line(first(line, limit), len(line), len(line) > limit) for line in whole]


def first(line: bytes, limit: int) -> str:
    """Decode the first `limit` bytes of `line`, without a character that they cut in two."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    return decoder.decode(line[:limit], final=len(line) <= limit)


class Lines(RuleBasedStateMachine):
    @initialize(limit=st.integers(1, 12))
    def start(self, limit: int) -> None:
        self.splitter = LineSplitter(limit)
        self.stream = b""
        self.lines: list[Line] = []

    @precondition(lambda self: not self.splitter.closed)
    @rule(chunk=CHUNKS)
    def feed(self, chunk: bytes) -> None:
        self.lines += self.splitter.feed(chunk)
        self.stream += chunk

    @precondition(lambda self: not self.splitter.closed)
    @rule(chunk=CHUNKS)
    def feed_byte_by_byte(self, chunk: bytes) -> None:
        for byte in chunk:
            self.lines += self.splitter.feed(bytes([byte]))
        self.stream += chunk

    @rule()
    def close(self) -> None:
        tail = self.splitter.close()
        if tail is not None:
            self.lines.append(tail)

    @invariant()
    def the_lines_are_those_of_the_whole_stream(self) -> None:
        lines = expected(self.stream, self.splitter.max_line_bytes)
        if not self.splitter.closed and not self.stream.endswith(b"\n") and self.stream:
            lines.pop()
        assert self.lines == lines

    @invariant()
    def the_books_are_right(self) -> None:
        check_invariants(self.splitter)
        figures = self.splitter.statistics()
        assert figures.fed_bytes == len(self.stream)
        assert figures.lines == len(self.lines)


TestLines = Lines.TestCase
