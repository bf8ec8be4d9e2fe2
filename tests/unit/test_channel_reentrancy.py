"""Whatever a listener or a destructor does, and whatever strikes."""

import gc
import logging
import threading
import weakref

import pytest
from streams import drained

from boundedcollections import RemovalCause
from boundedcollections.channel import DropOldestChannel
from boundedcollections.testing import check_invariants

pytestmark = pytest.mark.usefixtures("weightless_streams")


@pytest.mark.usefixtures("every_build")
class TestReentrancy:
    def test_a_listener_may_use_the_channel_that_calls_it(self) -> None:
        lengths: list[int] = []

        def on_drop(seq: int, item: str, cause: RemovalCause) -> None:
            lengths.append(len(channel))
            if item == "a":
                channel.send("from the listener")

        channel: DropOldestChannel[str] = DropOldestChannel(max_items=2, on_drop=on_drop)
        channel.send_many("abc")
        assert drained(channel) == [("c", 2), ("from the listener", 0)]
        assert max(lengths) == 2

    def test_a_raising_listener_stops_nothing_and_is_counted(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        channel = DropOldestChannel[str](max_items=1, on_drop=lambda *_: 1 // 0)
        with caplog.at_level(logging.ERROR):
            channel.send_many("abc")
        channel.close(discard=True)
        assert channel.statistics().listener_errors == 3
        assert "a listener of departures raised" in caplog.text

    def test_a_listener_must_be_callable(self) -> None:
        with pytest.raises(TypeError, match="a listener must be callable"):
            DropOldestChannel(max_items=1, on_drop="nobody")  # type: ignore[arg-type]

    def test_victims_die_and_listeners_run_without_the_lock(self) -> None:
        outcomes: list[bool] = []

        def others_can_use_it() -> None:
            worker = threading.Thread(target=lambda: outcomes.append(len(channel) <= 1))
            worker.start()
            worker.join(5)
            assert not worker.is_alive()

        class Dying:
            def __del__(self) -> None:
                others_can_use_it()

        channel: DropOldestChannel[object] = DropOldestChannel(
            max_items=1, on_drop=lambda *_: others_can_use_it()
        )
        channel.send(Dying())
        channel.send("next")
        channel.close(discard=True)
        assert outcomes == [True, True, True]

    def test_a_dropped_item_dies_at_once(self) -> None:
        class Item:
            pass

        channel = DropOldestChannel[Item](max_items=1)
        watch = []
        for _ in range(5):
            item = Item()
            watch.append(weakref.ref(item))
            channel.send(item)
        del item
        assert [ref() is None for ref in watch] == [True] * 4 + [False]

    @pytest.mark.parametrize("max_items", [1, 2, 5])
    def test_a_destructor_may_send_what_drops_the_next(self, max_items: int) -> None:
        class Phoenix:
            def __init__(self, lives: int) -> None:
                self.lives = lives

            def __del__(self) -> None:
                if self.lives:
                    channel.send(Phoenix(self.lives - 1))

        channel = DropOldestChannel[Phoenix](max_items=max_items)
        for _ in range(20):
            channel.send(Phoenix(lives=3))
            check_invariants(channel)
            assert len(channel) <= max_items
        figures = channel.statistics()
        assert figures.sent == figures.missed + figures.buffered > 20
        for phoenix in [channel.receive_nowait() for _ in range(len(channel))]:
            phoenix.lives = 0

    def test_a_collected_cycle_may_send(self) -> None:
        class Cycle:
            def __init__(self) -> None:
                self.me = self

            def __del__(self) -> None:
                channel.send("from the grave")

        channel = DropOldestChannel[str](max_items=100)
        Cycle()
        gc.collect()
        assert drained(channel) == [("from the grave", 0)]
