"""How many bytes an item counts."""

import sys
import threading
from typing import Any

import pytest
from streams import drained

from boundedcollections._core import payload
from boundedcollections.channel import DropOldestChannel

pytestmark = pytest.mark.usefixtures("weightless_streams")


class TestSizes:
    @pytest.mark.parametrize(
        ("item", "size"),
        [
            (b"frame", 5),
            (bytearray(7), 7),
            (memoryview(bytearray(8)).cast("I"), 8),
            ("ascii", sys.getsizeof("ascii")),
            ("日本" * 10, sys.getsizeof("日本" * 10)),
            (b"", 0),
        ],
    )
    def test_a_message_that_is_its_own_payload_needs_no_sizeof(
        self, item: object, size: int
    ) -> None:
        channel = DropOldestChannel[object](max_bytes=1_000)
        channel.send(item)
        assert channel.current_bytes == size

    @pytest.mark.parametrize("item", [{"text": "hi"}, None, 3, type("Frame", (bytes,), {})(b"x")])
    def test_any_other_item_must_come_with_its_size(self, item: object) -> None:
        channel = DropOldestChannel[object](max_bytes=1_000)
        with pytest.raises(TypeError, match="give size= with the item, or sizeof= once"):
            channel.send(item)
        assert channel.statistics().sent == 0
        channel.send(item, size=40)
        assert channel.current_bytes == 40

    def test_a_given_size_is_taken_instead_of_asking(self) -> None:
        channel = DropOldestChannel[object](max_bytes=100, sizeof=lambda _: 1 // 0)
        channel.send("x", size=60)
        channel.send("y", 60)
        assert drained(channel) == [("y", 1)]

    def test_empty_items_are_bounded_too(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.undo()
        channel = DropOldestChannel[bytes](max_bytes=3 * payload.ENTRY_BYTES)
        channel.send_many([b""] * 10)
        assert len(channel) == 3

    def test_bytes_are_counted_without_a_bound_on_them_if_sizeof_is_given(self) -> None:
        channel = DropOldestChannel[str](max_items=2, sizeof=len)
        channel.send_many(["a", "bb", "ccc"])
        assert (channel.current_bytes, channel.peak_bytes) == (5, 5)
        assert channel.max_bytes is None
        assert channel.statistics().missed_bytes == 1

    def test_nothing_is_measured_without_a_bound_in_bytes(self) -> None:
        channel = DropOldestChannel[object](max_items=2)
        channel.send({"any": "thing"}, size=1_000)
        assert channel.current_bytes == 0

    @pytest.mark.parametrize("size", [-1, 1.5, "3"])
    def test_a_size_that_is_no_size_is_refused_and_changes_nothing(self, size: Any) -> None:
        channel = DropOldestChannel[str](max_bytes=10, sizeof=lambda _: size)
        for send in (lambda: channel.send("x"), lambda: channel.send("x", size)):
            with pytest.raises((TypeError, ValueError), match="size of an item"):
                send()
        assert channel.statistics().sent == 0

    def test_sizes_are_asked_without_the_lock(self) -> None:
        channel: DropOldestChannel[str]

        def sizeof(item: str) -> int:
            worker = threading.Thread(target=channel.statistics)
            worker.start()
            worker.join(5)
            assert not worker.is_alive()
            return len(item)

        channel = DropOldestChannel(max_bytes=10, sizeof=sizeof)
        channel.send("x")
        assert channel.current_bytes == 1
