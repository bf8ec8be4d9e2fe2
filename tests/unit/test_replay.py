"""The replay of a trace is exact LRU: it equals a plain model, request by request."""

import gzip
import importlib.util
from collections import OrderedDict
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "replay.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("replay", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def plain(requests: list[tuple[str, int]], budget: int) -> list[bool]:
    """Return which requests hit in the simplest LRU bounded by bytes that there can be."""
    held: OrderedDict[str, int] = OrderedDict()
    used = 0
    answers = []
    for key, size in requests:
        known = held.get(key)
        answers.append(known == size)
        if known is not None:
            held.move_to_end(key)
        if known == size:
            continue
        used -= held.pop(key, 0)
        if size > budget:
            continue
        held[key] = size
        used += size
        while used > budget:
            used -= held.popitem(last=False)[1]
    return answers


@pytest.mark.usefixtures("weightless")
@pytest.mark.parametrize("budget", [30_000, 1_000_000, 30_000_000])
def test_it_equals_a_plain_model_request_by_request(script: ModuleType, budget: int) -> None:
    requests = list(script.zipf(20_000, objects=2_000))
    requests[::7] = [(key, size + 100) for key, size in requests[::7]]  # some have changed
    told: list[bool] = []
    outcome = script.replay(requests, budget, told.append)
    expected = plain(requests, budget)
    assert told == expected
    assert outcome.hits == sum(expected) > 500
    assert outcome.hit_bytes == sum(
        size for (_, size), hit in zip(requests, expected, strict=True) if hit
    )
    assert outcome.current_bytes <= budget


def test_a_trace_is_read_with_or_without_a_header_and_compression(
    script: ModuleType, tmp_path: Path
) -> None:
    plain_file, zipped = tmp_path / "trace.csv", tmp_path / "trace.csv.gz"
    plain_file.write_text("key,size\na,10\nb,0\n")
    with gzip.open(zipped, "wt") as file:
        file.write("a,10\nb,0\n")
    assert list(script.trace_of(plain_file)) == list(script.trace_of(zipped))
    assert list(script.trace_of(zipped)) == [("a", 10), ("b", 0)]
    assert [script.bytes_of(text) for text in ("2KiB", "1.5MiB", "70")] == [2048, 1_572_864, 70]


def test_it_prints_both_ratios_for_each_budget(
    script: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    trace = tmp_path / "trace.csv"
    trace.write_text("a,1000\na,1000\nb,3000\nb,3000\n")
    monkeypatch.setattr("sys.argv", ["replay.py", str(trace), "--budget", "1MiB"])
    script.main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "4 requests for 2 objects of 4000 bytes"
    assert lines[2].split()[:4] == ["1048576", "50.00%", "50.00%", "2"]
