"""What is written about the example is true of it."""

import ast
import doctest
import importlib
import re
from pathlib import Path

import pytest

import chat
from boundedcollections import MiB
from chat.config import Limits
from chat.protocol import _PARSERS

FOLDER = Path(chat.__file__).parent
README = (FOLDER / "README.md").read_text()
MODULES = sorted(
    path.relative_to(FOLDER.parent).with_suffix("").as_posix().replace("/", ".")
    for path in FOLDER.rglob("*.py")
    if path.name != "__init__.py"
)


def imports(module: str) -> set[str]:
    """The modules of the example that one of them imports."""
    tree = ast.parse((FOLDER / f"{module}.py").read_text())
    names = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return {name.removeprefix("chat.") for name in names if name.startswith("chat.")}


def test_the_examples_in_its_docstrings_work() -> None:
    for module in MODULES:
        assert doctest.testmod(importlib.import_module(module)).failed == 0, module


def test_its_modules_know_only_those_above_them_in_the_table() -> None:
    told = re.findall(r"^\| `(\w+)\.py`", README, re.MULTILINE)
    assert sorted(told) == sorted(path.stem for path in FOLDER.glob("*.py"))[1:]
    for place, module in enumerate(told):
        assert imports(module) <= set(told[:place]), module


def test_it_uses_only_public_names_of_the_library() -> None:
    for path in FOLDER.rglob("*.py"):
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("bounded"):
                assert node.module == "boundedcollections", path


def test_the_worst_case_is_the_one_that_is_told() -> None:
    total = Limits().worst_case_bytes() / MiB
    (told,) = re.findall(r"\*\*(\d+) MiB\*\*", README)
    assert int(told) == int(total)
    terms = [float(term) for term in re.findall(r"\| ([\d.]+) \|$", README, re.MULTILINE)]
    assert sum(terms) == pytest.approx(total, abs=0.1)


def test_every_frame_and_every_code_is_in_the_tables() -> None:
    rows = set(re.findall(r"^\| `(\w+)` \|", README, re.MULTILINE))
    assert set(_PARSERS) <= rows
    source = "".join(path.read_text() for path in FOLDER.glob("*.py"))
    assert set(re.findall(r'"type": "(\w+)"', source)) <= rows
    assert set(re.findall(r'\.add\(\s*"(\w+)"', source)) <= rows
    (told,) = re.findall(r"^\| `error` \|.*\|(.*)\|$", README, re.MULTILINE)
    assert set(re.findall(r'Refused\(\s*"(\w+)"', source)) == set(re.findall(r"`(\w+)`", told))
