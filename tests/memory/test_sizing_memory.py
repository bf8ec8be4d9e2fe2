"""Measuring takes little memory, and keeps none."""

import json
import random
import sys
import tracemalloc
from typing import Any

import pytest
from meters import DEEP

from boundedcollections._core import sizing


@pytest.fixture(params=DEEP)
def deep_size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(sizing, "deep_measure", request.param)
    return sizing.deep_size


def document(records: int) -> object:
    """A parsed JSON document; 1 000 records measure about 1 MB."""
    rng = random.Random(1)
    text = json.dumps(
        [
            {
                "id": i,
                "name": f"user {rng.getrandbits(20)}",
                "active": rng.random() < 0.5,
                "score": rng.random(),
                "address": {"street": "x" * rng.randrange(30), "geo": [rng.random()] * 2},
                "tags": [f"tag {rng.getrandbits(30)}" for _ in range(rng.randrange(6))],
            }
            for i in range(records)
        ]
    )
    return json.loads(text)


@pytest.mark.parametrize("records", [1_000, pytest.param(40_000, marks=pytest.mark.long)])
def test_a_document_is_measured_in_a_small_part_of_its_own_memory(
    deep_size: Any, records: int
) -> None:
    value = document(records)
    deep_size(value)
    tracemalloc.start()
    try:
        size = deep_size(value)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert size > 1_000 * records
    assert peak < 200_000


@pytest.mark.parametrize("times", [300, pytest.param(1_000_000, marks=pytest.mark.long)])
def test_measuring_again_and_again_keeps_nothing(deep_size: Any, times: int) -> None:
    class Holder:
        def __init__(self, *values: object) -> None:
            self.values = values

    value = [{"a": [1.5, "text", None]}, {1, 2}, Holder(bytes(10), range(3)), memoryview(b"x")]
    for _ in range(100):
        deep_size(value)
    before = sys.getallocatedblocks()
    for _ in range(times):
        deep_size(value)
    assert abs(sys.getallocatedblocks() - before) < 100
