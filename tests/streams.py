"""What tests of channels and broadcasts need: figures without the own cost, and both builds."""

from collections.abc import Iterator

import pytest

from boundedcollections._core import payload, steps
from boundedcollections._core.receiver import Receiver
from boundedcollections._core.sender import Sender
from boundedcollections.channel import DropOldestChannel

BUILDS = ("with a GIL", "without a GIL")


def make_weightless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Charge nothing for the streams themselves."""
    monkeypatch.setattr(payload, "ENTRY_BYTES", 0)
    monkeypatch.setattr(payload, "NUMBER_BYTES", 0)


def pretend(build: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every step do without the lock, or take it, whatever interpreter this is."""
    has_gil = build == BUILDS[0]
    monkeypatch.setattr(steps, "HAS_GIL", has_gil)
    for stream, name, method in steps_of_streams():
        bare = getattr(method, "__wrapped__", method)
        monkeypatch.setattr(stream, name, bare if has_gil else getattr(bare, steps.UNDER_LOCK))


def steps_of_streams() -> Iterator[tuple[type, str, object]]:
    for stream in (Sender, Receiver, DropOldestChannel):
        for name, method in list(vars(stream).items()):
            if hasattr(method, steps.UNDER_LOCK):
                yield stream, name, method
