import pytest

from boundedcollections import SizeAwareLRU
from boundedcollections._core.steps import HAS_GIL


@pytest.fixture(params=["without lock", "with lock"] if HAS_GIL else ["with lock"])
def both_ways_to_hit(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Free-threaded builds take a lock on every hit: the same contract holds for both forms."""
    if request.param == "with lock":
        monkeypatch.setattr(SizeAwareLRU, "get", SizeAwareLRU._get_locked)
