"""A thousand rounds in which everything is created, used and closed leave nothing behind."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

MB = 1_000_000

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")


@pytest.mark.parametrize(
    "rounds",
    [
        pytest.param(1_000, marks=pytest.mark.timeout(180)),
        pytest.param(60_000, marks=[pytest.mark.long, pytest.mark.timeout(1_800)]),
    ],
)
def test_rounds_of_everything_leave_nothing_behind(rounds: int, tmp_path: Path) -> None:
    script = Path(__file__).with_name("soak.py")
    done = subprocess.run(
        [sys.executable, "-W", "error", script, str(rounds), tmp_path],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    report = json.loads(done.stdout)
    assert report["blocks_per_round"] <= 0.05
    assert report["growth_bytes"] < 2 * MB
