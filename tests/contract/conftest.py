"""The contract is told in readable figures: nothing is charged for any collection itself."""

import pytest
from streams import make_weightless


@pytest.fixture
def weightless(weightless: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Charge nothing for streams either."""
    make_weightless(monkeypatch)
