"""A thousand rounds in which everything is created, used and closed leave nothing behind."""

import ast
import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest

import boundedcollections

MB = 1_000_000
SOAK = Path(__file__).with_name("soak.py")
MADE_BY = {"FileFinder": "finder", "Memoized": "memoize", "Reservation": "reserve", "Sink": "attach",
           "Subscription": "subscribe"}  # fmt: skip
"""What nobody makes by its name."""

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")


@pytest.mark.parametrize(
    "rounds",
    [
        pytest.param(1_000, marks=pytest.mark.timeout(180)),
        pytest.param(60_000, marks=[pytest.mark.long, pytest.mark.timeout(1_800)]),
    ],
)
def test_rounds_of_everything_leave_nothing_behind(rounds: int, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", SOAK, str(rounds), tmp_path],
        check=False, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert done.returncode == 0, "it has said why on stderr"
    report = json.loads(done.stdout)
    assert report["blocks_per_round"] <= 0.01  # no noise: it was 0.0 in every round looked at
    assert report["growth_bytes"] < 2 * MB


def test_everything_that_has_a_life_takes_part() -> None:
    used = {
        getattr(node, "id", None) or getattr(node, "attr", None)
        for node in ast.walk(ast.parse(SOAK.read_text()))
        if isinstance(node, (ast.Name, ast.Attribute))
    }
    alive = {
        name
        for name in boundedcollections.__all__
        if callable(thing := getattr(boundedcollections, name))
        and (not inspect.isclass(thing) or {"close", "release", "statistics"} & {*dir(thing)})
    }
    assert len(alive) > 12
    assert {MADE_BY.get(name, name) for name in alive} - {"accelerated"} <= used
