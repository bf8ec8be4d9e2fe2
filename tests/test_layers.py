"""The house has floors, and a module imports only from the floors below its own."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import boundedcollections

SOURCE = Path(boundedcollections.__file__).parent
MODULES = sorted(SOURCE.rglob("*.py"))
ABOVE = {"memory", "observe", "engines", "testing"}
DEPENDENCIES = {"pympler", "sortedcontainers"}


def room(path: Path) -> str:
    """Return the first part of a module's path: ``_core``, ``history``, ``files``, ..."""
    relative = path.relative_to(SOURCE)
    return relative.parts[0].removesuffix(".py")


def floor(name: str) -> int:
    if name == "__init__":
        return 3
    if name == "_core":
        return 0
    return 2 if name in ABOVE else 1


def imported(path: Path) -> Iterator[tuple[str, bool]]:
    """Yield every imported module, and whether it is imported as soon as this one is."""
    tree = ast.parse(path.read_text())
    at_once = set(ast.iter_child_nodes(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node in at_once
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield str(node.module), node in at_once


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_module_imports_only_from_below(path: Path) -> None:
    here = room(path)
    for name, _ in imported(path):
        package, _, rest = name.partition(".")
        if package != "boundedcollections":
            continue
        there = rest.partition(".")[0] if rest else "__init__"
        assert there == here or floor(there) < floor(here), f"{here} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_what_is_imported_at_once_is_the_standard_library_or_a_core_dependency(path: Path) -> None:
    allowed = sys.stdlib_module_names | DEPENDENCIES | {"boundedcollections"}
    at_once = {name.partition(".")[0] for name, at_once in imported(path) if at_once}
    assert at_once <= allowed
