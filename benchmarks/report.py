"""What every benchmark tells beside its figures: of the machine, and where they are kept."""

import importlib.metadata
import json
import os
import platform
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from boundedcollections import accelerated

RESULTS: Final = Path(__file__).parent / "results"
PYTHON: Final = ".".join(platform.python_version_tuple()[:2])
BUILD: Final = PYTHON if accelerated else f"{PYTHON}-pure"
"""For results that depend on whether anything of ours is compiled."""

Table = dict[str, dict[str, Any]]
"""A row of figures for each contender or case."""


def environment(packages: Iterable[str] = (), **more: object) -> dict[str, Any]:
    """Return what the figures depend on: the machine and its load, `packages`, and `more`."""
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "gil": getattr(sys, "_is_gil_enabled", lambda: True)(),
        "system": f"{platform.system()} {platform.machine()}",
        "accelerated": accelerated,
        "cpus": os.cpu_count(),
        "load": [round(load, 2) for load in os.getloadavg()],
        "packages": versions(["boundedcollections", *packages]),
        **more,
    }


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the version of each package that is installed."""
    found = {}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def print_table(title: str, table: Table) -> None:
    print(f"\n{title}")
    width = max(map(len, table), default=0) + 2
    for name, row in table.items():
        figures = "  ".join(f"{key} {value:,}" for key, value in row.items())
        print(f"  {name:{width}}{figures}")


def save(name: str, report: object) -> None:
    """Keep a report as ``results/<name>.json``."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(report, indent=2) + "\n")
    print(f"saved to {path.name}")
