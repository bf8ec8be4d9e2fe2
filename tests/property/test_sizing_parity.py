"""Whatever a value is made of, `deep_size` is pympler's figure to the byte, in every form."""

import collections
import dataclasses
import datetime as dt
import enum
import math
import pathlib
import random
import types
import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from meters import DEEP, DEEP_WALKS, SPENT, SPENT_WALKS
from pympler.asizeof import Asizer

from boundedcollections._core import _deep, _footprint
from boundedcollections._core._walking import BY_ID

Measure = Callable[[Any, float], int]


def pympler_size(value: object) -> int:
    return int(Asizer().asizeof(value))


# ── classes of every make ───────────────────────────────────────────────────────────────────


class Plain:
    def __init__(self, *values: object) -> None:
        self.name = values


@dataclasses.dataclass
class Record:
    name: object
    parts: object
    note: object = None


@dataclasses.dataclass(slots=True)
class Slotted:
    name: object = None
    parts: object = None
    note: object = None


class HalfEmpty:
    __slots__ = ("__private", "filled", "never")

    def __init__(self, *values: object) -> None:
        self.filled = values
        self.__private = list(values)


class Heir(HalfEmpty):
    """Slots of the base, and a dict beside them."""

    def __init__(self, *values: object) -> None:
        super().__init__(*values)
        self.extra = values


class _Hidden:
    """Its private slot is one that pympler does not find."""

    __slots__ = ("__missed", "seen")

    def __init__(self, *values: object) -> None:
        self.__missed = [1.5]
        self.seen = values


class OneName:
    __slots__ = "value"  # noqa: PLC0205  # pympler takes the letters of the string for names

    def __init__(self, *values: object) -> None:
        self.value = values


class Guessing:
    """Answers for names that it does not have."""

    __slots__ = ("__private", "real", "unset")

    def __init__(self, *values: object) -> None:
        self.real = values

    def __getattr__(self, name: str) -> object:
        if name.startswith("_"):
            raise AttributeError(name)
        return [name, self.real]


class Intercepting:
    def __init__(self, *values: object) -> None:
        self.values = values

    def __getattribute__(self, name: str) -> object:
        return super().__getattribute__(name)


class Named:
    __slots__ = ("label",)


class Computed(Named):
    """Has a property where its base has a slot; what it returns sits elsewhere, in one slot."""

    __slots__ = ("parts",)

    def __init__(self, *values: object) -> None:
        self.parts = [[value] for value in values]

    @property
    def label(self) -> object:
        return self.parts[0]


class Calling:
    def __init__(self, *values: object) -> None:
        self.values = values

    def __call__(self) -> None: ...


class Point(NamedTuple):
    x: object
    y: object = None


class Text(str):
    __slots__ = ("tag",)


class Number(int):
    pass


class Broken(Exception):
    pass


class Shade(enum.Enum):
    DARK = "dark"
    LIGHT = ("light", 2)


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 1_000_000


def text(value: object) -> Text:
    made = Text(repr(value))
    made.tag = [value]
    return made


MAKERS = [
    *(Plain, Record, Slotted, HalfEmpty, Heir, _Hidden, OneName, Guessing, Intercepting, Calling),
    Computed,
    *(Point, Broken),
    lambda a, _: text(a),
    lambda a, b: types.SimpleNamespace(a=a, b=b),
    lambda a, b: [inner := {"a": [a], 1: b}, types.MappingProxyType(inner)],
    lambda a, b: [held := Plain(a, b), weakref.WeakValueDictionary({"a": held})],
    lambda a, b: collections.OrderedDict(a=a, b=b),
    lambda a, b: collections.defaultdict(list, {"a": a, 1: b}),
    lambda a, b: collections.Counter({"a": 1, id(a): 2, id(b): 3}),
    lambda a, b: collections.ChainMap({"a": a}, {"b": b}),
    lambda a, b: collections.UserList([a, b]),
    lambda a, b: iter([a, b]),
    lambda a, b: (a, b, Shade.DARK, Shade.LIGHT, Level.HIGH, Number(7), Plain, len, print.__call__),
]

# ── values ──────────────────────────────────────────────────────────────────────────────────

scalars = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(), st.complex_numbers(), st.text()),
    *(st.binary(), st.binary().map(bytearray), st.dates(), st.datetimes(timezones=st.timezones())),
    *(st.times(), st.timedeltas(), st.decimals(), st.fractions(), st.uuids(), st.ip_addresses()),
    st.sampled_from(
        [..., NotImplemented, range(9), pathlib.PurePosixPath("a/b"), dt.UTC, object()]
    ),
)
keys = st.one_of(
    st.text(), st.integers(), st.tuples(st.text(), st.floats()), st.none(), st.binary()
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=60,
)
nested = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner),
        st.lists(inner).map(tuple),
        st.sets(keys),
        st.frozensets(keys),
        st.dictionaries(keys, inner),
        st.builds(lambda make, a, b: make(a, b), st.sampled_from(MAKERS), inner, inner),
    ),
    max_leaves=40,
)


def random_graph(seed: int, *, holders: int) -> list[Any]:
    """
    Containers that hold each other at random, cycles included, and leaves.

    Every leaf sits in one to three slots and is referred to from nowhere else, so that a count of
    references that is off by one in either direction shows in the sum. Some containers are long.
    """
    rng = random.Random(seed)
    pool: list[Any] = [rng.choice([list, dict, Plain, Slotted])() for _ in range(holders)]
    fresh = [
        rng.random,
        lambda: rng.getrandbits(rng.choice([9, 29, 31, 90])),
        lambda: "x" * rng.randrange(200) + str(rng.random()),
        lambda: "ü" * rng.randrange(2, 200),
        lambda: rng.randbytes(rng.randrange(2, 300)),
        lambda: (rng.random(), rng.random()),
        lambda: frozenset([rng.random()]),
        lambda: dt.timedelta(rng.random()),
        lambda: [str(rng.random()) for _ in range(rng.choice([0, 3, 70, 5000]))],
        lambda: {str(rng.random()): rng.random() for _ in range(rng.choice([0, 3, 70, 3000]))},
    ]
    kinds = rng.sample(fresh, k=rng.randint(1, len(fresh)))
    for _ in range(rng.randrange(5 * holders)):
        leaf = rng.choice(pool) if rng.random() < 0.2 else rng.choice(kinds)()
        for _ in range(rng.choice([1, 1, 2, 3])):
            put(rng.choice(pool), leaf, rng)
    return pool


def put(holder: Any, leaf: object, rng: random.Random) -> None:
    if isinstance(holder, list):
        holder.append(leaf)
    elif isinstance(holder, dict):
        key = leaf if type(leaf) in (str, float, tuple, bytes) else rng.random()
        holder[key] = leaf
    else:
        setattr(holder, rng.choice(["name", "parts", "note"]), leaf)


# ── the promise ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("measure", DEEP)
@given(value=json_values)
@settings(max_examples=50, deadline=None)
def test_a_json_document_has_pymplers_figure(measure: Measure, value: object) -> None:
    assert measure(value, math.inf) == pympler_size(value)


@pytest.mark.parametrize("measure", DEEP)
@given(value=nested)
@settings(max_examples=60, deadline=None)
def test_a_value_of_many_types_has_pymplers_figure(measure: Measure, value: object) -> None:
    inside = [value]  # alone, what is nothing for pympler has a size for us
    assert measure(inside, math.inf) == pympler_size(inside)


@pytest.mark.parametrize("holders", [1, 3, 20])
@pytest.mark.parametrize("measure", DEEP)
@given(seed=st.integers(0, 2**32))
@settings(max_examples=20, deadline=None)
def test_a_graph_of_shared_objects_and_cycles_has_pymplers_figure(
    measure: Measure, holders: int, seed: int
) -> None:
    graph = random_graph(seed, holders=holders)
    assert measure(graph, math.inf) == pympler_size(graph)


@given(seed=st.integers(0, 2**32))
@settings(max_examples=20, deadline=None)
def test_all_forms_agree_on_a_graph(seed: int) -> None:
    graph = random_graph(seed, holders=10)
    figures = {
        walk.values[0](graph, math.inf, single)
        for walk in DEEP_WALKS
        for single in (_deep.SINGLE, BY_ID)
    }
    assert len(figures) == 1
    figures = {
        walk.values[0](graph, math.inf, single)
        for walk in SPENT_WALKS
        for single in (_footprint.SINGLE, BY_ID)
    }
    assert max(figures) - min(figures) <= 1  # shares of strings are added as floats


@given(value=nested)
@settings(max_examples=50, deadline=None)
def test_all_forms_agree_on_what_the_allocator_spends(value: object) -> None:
    figures = [measure.values[0](value, math.inf) for measure in SPENT]
    assert figures[0] == pytest.approx(figures[-1], rel=0.01, abs=32)
    assert min(figures) >= 16


@pytest.mark.long
@pytest.mark.parametrize("measure", DEEP)
@given(value=nested, seed=st.integers(0, 2**32))
@settings(max_examples=5_000, deadline=None)
def test_many_more_values_have_pymplers_figure(measure: Measure, value: object, seed: int) -> None:
    graph = [value, *random_graph(seed, holders=5)]
    assert measure(graph, math.inf) == pympler_size(graph)
