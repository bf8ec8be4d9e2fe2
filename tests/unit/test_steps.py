import threading

import pytest
from streams import BUILDS, pretend, steps_of_streams

from boundedcollections._core import steps
from boundedcollections.channel import DropOldestChannel


class Guarded:
    def __init__(self) -> None:
        self._lock = threading.RLock()
        self.was_locked: list[bool] = []

    def note(self, _value: int) -> str:
        """Look whether the lock is held."""
        self.was_locked.append(self._lock._is_owned())
        return "noted"


@pytest.mark.parametrize("has_gil", [True, False])
def test_a_step_takes_the_lock_only_where_there_is_no_gil(
    has_gil: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "HAS_GIL", has_gil)
    guarded = Guarded()
    note = steps.step(Guarded.note)
    assert note(guarded, 1) == "noted"
    assert guarded.was_locked == [not has_gil]
    assert note.__doc__ == "Look whether the lock is held."


@pytest.mark.skipif(len(BUILDS) < 2, reason="here is only one build to test")
def test_both_builds_of_every_step_are_tested(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {name for _, name, _ in steps_of_streams()}
    assert {
        "_put",
        "_take_one",
        "_take_many",
        "_take_some",
        "_lay_down",
        "_claim",
        "_settle",
    } <= names
    for build, takes_lock in zip(BUILDS, (False, True), strict=True):
        pretend(build, monkeypatch)
        for stream, name, method in steps_of_streams():
            assert (method is getattr(method, steps.UNDER_LOCK)) == takes_lock, (stream, name)
        channel = DropOldestChannel[int](max_items=1)
        assert channel._room == (0 if takes_lock else 1)
        channel.send_many(range(3))
        assert channel._room == (0 if takes_lock else 1)
