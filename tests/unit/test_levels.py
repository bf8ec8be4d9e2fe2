"""Steady targets change the level where something has happened, and eviction at a line all the time."""

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def script() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        yield import_module("bench_levels")
        for name in ("bench_levels", "report"):
            sys.modules.pop(name, None)


def run(script: Any, kind: str, scenario: str) -> dict[str, Any]:
    course = script.simulate(
        script.KINDS[kind], script.SCENARIOS[scenario], script.SECONDS, 1, weighted=True
    )
    figures: dict[str, Any] = course.figures()
    return figures


def test_two_bursts_change_the_level_four_times(script: Any) -> None:
    steady = run(script, "steady", "one burst of each size")
    reactive = run(script, "reactive", "one burst of each size")
    assert steady["level_changes"] == 4
    assert steady["entered_without_a_burst"] == 0
    assert reactive["level_changes"] > 25 * steady["level_changes"]
    assert reactive["entered_without_a_burst"] > 50
    assert steady["miss_cost"] < 1.1 * reactive["miss_cost"]


def test_bursts_that_come_again_are_expected(script: Any) -> None:
    steady = run(script, "steady", "bursts again and again")
    forgetful = run(script, "steady, no memory of peaks", "bursts again and again")
    assert steady["level_changes"] == 6, "the first two of one size, and the one of the other"
    assert forgetful["level_changes"] == 16
    assert steady["seconds_above_the_limit"] == 0
