"""Every example that a user can read is executed: in docstrings, in prose, in examples/quick."""

import doctest
import importlib
import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

import boundedcollections

ROOT = Path(__file__).parent.parent
PROSE = sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md")])
QUICK = sorted(ROOT.glob("examples/quick/*.py"))
PYTHON = Sybil(parsers=[PythonCodeBlockParser()])


def modules() -> list[ModuleType]:
    found = pkgutil.walk_packages(boundedcollections.__path__, "boundedcollections.")
    names = [info.name for info in found if not info.name.endswith("._sizing")]
    return [boundedcollections, *map(importlib.import_module, names)]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The small tree that examples about files look at."""
    for name in ("README.md", "src/app.py", "src/app_test.py"):
        path = tmp_path / "project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "project"


@pytest.mark.parametrize("module", modules(), ids=lambda module: module.__name__)
def test_every_example_in_a_docstring_is_true(module: ModuleType, project: Path) -> None:
    results = doctest.testmod(module, optionflags=doctest.ELLIPSIS, extraglobs={"project": project})
    assert results.failed == 0


@pytest.mark.parametrize("path", PROSE, ids=lambda path: path.name)
def test_every_example_in_prose_runs(path: Path) -> None:
    for example in PYTHON.parse(path).examples():
        example.evaluate()


@pytest.mark.parametrize("path", QUICK, ids=lambda path: path.name)
def test_every_quick_example_is_short_and_runs(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 25
    subprocess.run([sys.executable, "-W", "error", path], check=True, timeout=30)


def test_the_readme_shows_code_that_runs() -> None:
    examples = list(PYTHON.parse(ROOT / "README.md").examples())
    assert examples
    first = examples[0].parsed
    assert len(str(first).strip().splitlines()) <= 15


@pytest.mark.parametrize("name", boundedcollections.__all__)
def test_every_public_name_is_explained(name: str) -> None:
    thing = getattr(boundedcollections, name)
    if inspect.isclass(thing) and name.endswith("Statistics"):
        documented = inspect.getdoc(thing) or ""
        fields = getattr(thing, "__dataclass_fields__", {})
        assert fields
        missing = [field for field in fields if f"\n    {field}:" not in f"\n{documented}"]
        assert not missing, f"{name} does not say what {missing} mean"
    elif inspect.isclass(thing) or inspect.isfunction(thing):
        documented = inspect.getdoc(thing) or ""
        # What users only receive says what its attributes mean; the rest shows how to use it.
        assert ">>>" in documented or "Attributes:" in documented
