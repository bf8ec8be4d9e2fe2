"""The contract is told in readable figures, and by a clock that stands still."""

import pytest
from streams import make_weightless

from boundedcollections import KiB
from boundedcollections.memory.budget import MemoryBudget
from boundedcollections.testing import FakeClock


@pytest.fixture
def weightless(weightless: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Charge nothing for streams either."""
    make_weightless(monkeypatch)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def budget(clock: FakeClock) -> MemoryBudget:
    return MemoryBudget(max_bytes=1_000 * KiB, clock=clock)
