import subprocess
import sys

import pytest

import boundedcollections


def test_the_public_surface_is_what_all_says_sorted() -> None:
    public = {
        name
        for name, value in vars(boundedcollections).items()
        if not name.startswith("_") and not isinstance(value, type(sys))
    }
    assert boundedcollections.__all__ == sorted(boundedcollections.__all__)
    assert public == set(boundedcollections.__all__)


def test_the_version_is_read_only_when_somebody_asks() -> None:
    assert boundedcollections.__version__.count(".") >= 2
    assert "__version__" not in vars(boundedcollections)


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        boundedcollections.nonsense  # noqa: B018  # the access is the test


@pytest.mark.parametrize("heavy", ["numpy", "pympler", "aiohttp", "trio"])
def test_importing_the_library_does_not_import(heavy: str) -> None:
    script = f"import boundedcollections, sys; sys.exit({heavy!r} in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_importing_the_library_starts_no_thread() -> None:
    script = "import boundedcollections, threading as t; assert t.active_count() == 1"
    subprocess.run([sys.executable, "-c", script], check=True)
