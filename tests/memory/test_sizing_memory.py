"""Measuring takes little memory and keeps none; a footprint is what the allocator spends."""

import collections
import dataclasses
import datetime as dt
import gc
import json
import random
import sys
import tracemalloc
import uuid
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from memory.traced import RESERVE_BYTES
from meters import DEEP, SPENT

from boundedcollections._core import sizing
from boundedcollections._core.tables import allocated


@pytest.fixture(
    params=[
        *(pytest.param((sizing.deep_size, "deep_measure", *m.values), id=f"{m.id}") for m in DEEP),
        *(
            pytest.param((sizing.footprint, "spent_measure", *m.values), id=f"{m.id}-footprint")
            for m in SPENT
        ),
    ]
)
def meter(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    function, place, measure = request.param
    monkeypatch.setattr(sizing, place, measure)
    return function


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
def test_a_document_is_measured_in_a_small_part_of_its_own_memory(meter: Any, records: int) -> None:
    value = document(records)
    meter(value)
    tracemalloc.start()
    try:
        size = meter(value)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert size > 1_000 * records
    assert peak < 200_000 + 10 * records  # the longest list is read from a copy


@pytest.mark.parametrize("times", [300, pytest.param(1_000_000, marks=pytest.mark.long)])
def test_measuring_again_and_again_keeps_nothing(meter: Any, times: int) -> None:
    class Holder:
        def __init__(self, *values: object) -> None:
            self.values = values

    value = [{"a": [1.5, "text", None]}, {1, 2}, Holder(bytes(10), range(3)), memoryview(b"x")]
    for _ in range(100):
        meter(value)
    before = sys.getallocatedblocks()
    for _ in range(times):
        meter(value)
    assert abs(sys.getallocatedblocks() - before) < 100


# ── a footprint against the blocks that were allocated ──────────────────────────────────────


class Plain:
    def __init__(self, i: int) -> None:
        self.number = i
        self.name = None


@dataclasses.dataclass
class Record:
    number: int
    name: str
    score: float
    tags: list[float]
    note: object = None


@dataclasses.dataclass(slots=True)
class Slotted:
    number: int
    name: str
    score: float
    tags: list[float]


class Row(NamedTuple):
    number: float
    other: int
    note: object = None


class Items(list[float]):
    pass


TEXT = json.dumps({"id": 12345, "name": "somebody", "tags": ["one", "two"], "geo": [1.5, 2.5]})
SHAPES: dict[str, Callable[[int], object]] = {
    "float": lambda i: i + 0.5,
    "str 100": "{:0100}".format,
    "bytes 1000": lambda _: bytes(1000),
    "10 floats": lambda i: [i + j + 0.5 for j in range(10)],
    "dict of literals": lambda _: {"alpha": 1, "beta": 2, "gamma": None},
    "parsed JSON": lambda _: json.loads(TEXT),
    "keys of int": lambda i: {1000 * i + j: j + 0.5 for j in range(10)},
    "set of 20": lambda i: {i + j + 0.5 for j in range(20)},
    "OrderedDict": lambda i: collections.OrderedDict(a=i + 0.5, b=2),
    "deque of 100": lambda i: collections.deque(i + j + 0.5 for j in range(100)),
    "plain instance": Plain,
    "dataclass": lambda i: Record(i + 1000, f"name {i}", i * 1.5, [i + 0.5]),
    "slots": lambda i: Slotted(i + 1000, f"name {i}", i * 1.5, [i + 0.5]),
    "named tuple": lambda i: Row(i + 0.5, i + 1000),
    "list subclass": lambda i: Items([i + 0.5]),
    "memoryview": lambda _: memoryview(bytes(1000)),
    "datetime": lambda i: dt.datetime(2020, 1, 1 + i % 28, tzinfo=dt.UTC),
    "UUID": lambda i: uuid.UUID(int=i + 10**20),
}


def numpy_array(i: int) -> object:
    numpy = pytest.importorskip("numpy")
    return [numpy.full(100, i), numpy.zeros(100)[:10]]


def pydantic_model(i: int) -> object:
    pydantic = pytest.importorskip("pydantic")
    if not MODEL:
        MODEL.append(pydantic.create_model("Model", number=(int, ...), name=(str, ...)))
    return MODEL[0](number=i + 1000, name=f"name {i}")


MODEL: list[Any] = []
SHAPES |= {"numpy": numpy_array, "pydantic": pydantic_model}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_footprint_is_what_the_allocator_spends(shape: str) -> None:
    make = SHAPES[shape]
    values = [make(i) for i in range(200)]  # what is set up once, is
    values = [None] * 500
    gc.collect()
    tracemalloc.start()
    try:
        for i in range(500):
            values[i] = make(i)
        gc.collect()
        traces = tracemalloc.take_snapshot().traces
    finally:
        tracemalloc.stop()
    spent = sum(allocated(trace.size) for trace in traces)
    for measure in SPENT:
        claimed = sum(measure.values[0](value, float("inf")) for value in values)
        assert claimed == pytest.approx(spent, rel=0.02, abs=2_000 + RESERVE_BYTES)
