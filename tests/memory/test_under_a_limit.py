"""A service that would need far more than it has: with a budget and a monitor, and without."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from boundedcollections.memory.reclaim import find_trim

MB = 1_000_000

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or find_trim() is None, reason="needs /proc, RLIMIT_DATA and glibc"
)

Serve = Callable[..., dict[str, Any]]


@pytest.fixture(
    scope="module",
    params=[
        pytest.param((6.0, 1.0), id="short"),
        pytest.param((40.0, 5.0), id="long", marks=[pytest.mark.long, pytest.mark.timeout(300)]),
    ],
)
def serve(request: pytest.FixtureRequest) -> Serve:
    """Run the service in a child; how long the load lasts, and the calm, are in seconds."""
    seconds, calm = request.param

    def run(way: str, *, patience: float = 10.0) -> dict[str, Any]:
        script = Path(__file__).with_name("under_a_limit.py")
        arguments = [str(number) for number in (seconds, calm, patience)]
        done = subprocess.run(
            [sys.executable, script, way, *arguments], check=True, capture_output=True, text=True
        )
        report: dict[str, Any] = json.loads(done.stdout)
        return report

    return run


def test_under_guard_it_serves_refuses_at_once_and_shrinks_again(serve: Serve) -> None:
    report = serve("guarded")
    assert report["memory_errors"] == 0
    assert report["served"] > 0
    assert report["peak"] < 200 * MB
    assert "critical" in report["levels"], report
    assert report["refused_at_critical"] > 0
    assert report["slowest_refusal"] < 0.05  # of CPU time: a refusal waits for nothing
    assert report["changes_under_load"] <= 8, report["levels"]
    assert report["level"] == "normal"
    assert report["recovery_seconds"] is not None, report
    assert report["afterwards"] - report["baseline"] < 15 * MB


def test_without_trimming_it_stays_large(serve: Serve) -> None:
    report = serve("untrimmed")
    assert report["trims"] == 0
    assert report["recovery_seconds"] is None
    assert report["afterwards"] - report["baseline"] > 15 * MB


def test_alone_it_runs_out_of_memory(serve: Serve) -> None:
    assert serve("alone", patience=0)["memory_errors"] > 0
