import pytest

from boundedcollections import RemovalCause
from boundedcollections._core.events import Notifier


def test_only_what_the_collection_decided_itself_counts_as_evicted() -> None:
    evicted = {cause.value for cause in RemovalCause if cause.evicted}
    assert evicted == {"size", "count", "expired"}


def test_a_listener_that_cannot_be_called_is_refused() -> None:
    with pytest.raises(TypeError, match="callable, got 3"):
        Notifier(3)  # type: ignore[arg-type]


def test_what_must_stop_the_program_does_so_after_everyone_was_told() -> None:
    told: list[str] = []

    def listener(item: str) -> None:
        told.append(item)
        if item == "a":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Notifier(listener)([("a",), ("b",), ("c",)])
    assert told == ["a", "b", "c"]


def test_nobody_need_listen() -> None:
    notify: Notifier[str] = Notifier(None)
    notify([("a",)])
    assert notify.errors == 0
    assert notify.listener is None
