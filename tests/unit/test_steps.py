import threading

import pytest
from streams import BUILDS, pretend, steps_of_streams

from boundedcollections._core import steps
from boundedcollections._core.sender import Sender
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


def test_both_builds_of_every_step_are_tested(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {name for _, name, _ in steps_of_streams()}
    assert {"_put", "_take_one", "_take_all", "_take_some", "_lay_down", "_claim"} <= names
    bare = []
    for build in BUILDS:
        pretend(build, monkeypatch)
        bare.append({name for name in names if hasattr(vars(Sender).get(name), steps.UNDER_LOCK)})
        channel = DropOldestChannel[int](max_items=1)
        assert channel._room == (1 if steps.HAS_GIL else 0)
        channel.send_many(range(3))
        assert channel._room == (1 if steps.HAS_GIL else 0)
    assert bare[0]
    assert not bare[1]
