import pytest

from boundedcollections._core.steps import HAS_GIL


@pytest.fixture(autouse=True)
def _with_a_gil() -> None:
    """Without one, another allocator rounds differently and takes back what was freed later."""
    if not HAS_GIL:
        pytest.skip("the figures are those of builds with a GIL")
