"""What the allocator spends on a value: every block, nothing twice, and no code of the value."""

import collections
import dataclasses
import enum
import functools
import gc
import io
import sys
import types
import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from meters import SPENT, SPENT_WALKS

from boundedcollections._core import _footprint, _walking, sizing
from boundedcollections._core.tables import allocated

Meter = Callable[..., int]

BIG = 10_000
ABOUT = 600
"""What the wrapping of a big blob may take beside it."""


@pytest.fixture(params=SPENT)
def footprint(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Meter:
    monkeypatch.setattr(sizing, "spent_measure", request.param)
    return sizing.footprint


def blob() -> bytes:
    return bytes(BIG)


def blocks(*sizes: int) -> int:
    return sum(map(allocated, sizes))


# ── blocks ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "leaf", [1.5, 10**6, -(10**99), 10**1999, "x" * 99, "ü" * 99, "x" * 999, b"x" * 99, b"x" * 999]
)
def test_a_leaf_is_one_block(footprint: Meter, leaf: object) -> None:
    assert footprint(leaf) == blocks(sys.getsizeof(leaf))


@pytest.mark.parametrize("items", [0, 1, 9, 64, 65, 900, 9_000])
def test_containers_are_a_head_and_what_it_points_to(footprint: Meter, items: int) -> None:
    size = sys.getsizeof
    assert footprint([None] * items) == blocks(size([]), 8 * items)
    assert footprint([[(None,) * (items + 1)]][0]) == blocks(size([]), 8) + footprint(
        (None,) * (items + 1)
    )
    assert footprint((None,) * (items + 1)) == blocks(size((None,) * (items + 1)))
    numbers = range(1_000, 1_000 + items)
    for table, head in ((dict.fromkeys(numbers), size({})), (set(numbers), size(set()))):
        assert footprint(table) == blocks(head, size(table) - head) + items * blocks(size(1))
    assert footprint(frozenset(numbers)) == footprint(set(numbers))
    assert footprint(bytearray(items)) == blocks(size(bytearray()), items + 1 if items else 0)


def test_what_is_reached_is_counted_once(footprint: Meter) -> None:
    data = blob()
    assert BIG < footprint([data, (data, {"a": data}), {data}, [data] * 100]) < BIG + 3 * ABOUT


@pytest.mark.parametrize("count", [3, 30, 3_000])
def test_blocks_of_one_type_are_summed_like_single_leaves(footprint: Meter, count: int) -> None:
    for make in (str, float, lambda i: i * 1000, lambda i: b"%1000d" % i, lambda i: "x" * i):
        leaves = [make(i) for i in range(300, 300 + count)]
        shell = blocks(sys.getsizeof([]), sys.getsizeof(leaves) - sys.getsizeof([]))
        assert footprint(leaves) == shell + sum(footprint(leaf) for leaf in leaves)
        leaves[-1] = leaves[0]
        assert footprint(leaves) == shell + sum(footprint(leaf) for leaf in leaves[:-1])


# ── what exists anyway ──────────────────────────────────────────────────────────────────────


class Colour(enum.Enum):
    RED = "red"


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, False, ..., NotImplemented, 0, 256, -5, "", chr(97), "ÿ", b"", b"ab"[:1]),
        *((), len, gc, list, str.join, list.append, blob, blob.__code__, Colour, Colour.RED),
    ],
    ids=lambda value: repr(value)[:30].partition(" at 0x")[0],  # the same in every process
)
def test_what_exists_anyway_costs_only_its_slot(footprint: Meter, value: object) -> None:
    assert footprint([value, value, value]) == footprint([None, None, None])
    assert footprint(value) >= 16


def test_code_is_not_followed(footprint: Meter) -> None:
    data = blob()

    def closure() -> bytes:
        return data

    holder = Plain(data)
    assert footprint([closure, holder.__init__, Plain, sys]) < 200  # type: ignore[misc]


# ── strings that others hold too ────────────────────────────────────────────────────────────


def test_a_string_that_many_hold_is_divided_among_them(footprint: Meter) -> None:
    name = "n" * 9_951 + str(id(footprint))
    elsewhere = [name] * 99
    assert footprint([name]) < 300
    assert footprint(name) > 10_000
    del elsewhere
    assert footprint([name]) > 10_000


@pytest.mark.parametrize("times", [2, 6, 7, 8, 50, 5_000])
def test_a_string_held_many_times_by_the_value_alone_counts_in_full(
    footprint: Meter, times: int
) -> None:
    string = "n" * 9_951 + str(times)
    for make in (list, tuple, Items, collections.deque, lambda items: Plain(*items)):
        value = [make([string] * times)]
        shell = footprint([make([None] * times)])
        assert footprint(value) - shell > 0.8 * 10_000
    value = [[string] * times]
    keys = [{string: None} for _ in range(times)]
    shell = footprint([{"k": None} for _ in range(times)])
    assert footprint([value, keys]) > 0.8 * 10_000 + shell


# ── the layout is asked, not the object ─────────────────────────────────────────────────────


class Plain:
    def __init__(self, *values: Any) -> None:
        self.values = values


@dataclasses.dataclass
class Record:
    a: Any
    b: Any = None


@dataclasses.dataclass(slots=True)
class Slotted:
    a: Any
    b: Any = None


class Items(list[Any]):
    pass


class Row(NamedTuple):
    a: Any
    b: Any = None


class Text(str):
    __slots__ = ("more",)


class Table(dict[Any, Any]):
    pass


class Queue(collections.deque[Any]):
    pass


class WeakValues(weakref.WeakValueDictionary[str, Any]):
    """Also with an attribute that is not weak."""

    def __init__(self, kept: Any) -> None:
        self.kept = kept
        super().__init__()


def attribute(kind: Any, data: bytes) -> Any:
    value = kind()
    value.more = data
    return value


@pytest.mark.parametrize(
    "make",
    [
        *(Plain, Record, Slotted, Row, lambda b: Items([b]), lambda b: Table({1: b})),
        *(lambda b: Table({b: 1}), lambda b: Queue([b]), lambda b: collections.deque([b])),
        *(lambda b: collections.OrderedDict(a=b), lambda b: collections.defaultdict(int, a=b)),
        *(lambda b: collections.deque([*range(99), b]), lambda b: set(range(99)) | {b}),
        *(lambda b: collections.Counter({b: 1}), lambda b: {b}, lambda b: frozenset([b])),
        *(memoryview, bytearray, io.BytesIO, ValueError, slice, WeakValues),
        *(lambda b: types.SimpleNamespace(a=b), lambda b: types.MappingProxyType({1: b})),
        *(lambda b: functools.partial(len, b), lambda b: iter([b]), lambda b: (x for x in [b])),
        *(functools.partial(attribute, kind) for kind in (Items, Table, Queue, Text, Plain)),
        *(lambda b: [[[[b]]]], lambda b: {1: {2: b}}, lambda b: [Plain(b).values]),
    ],
)
def test_whatever_holds_data_is_seen_to_hold_it(footprint: Meter, make: Any) -> None:
    value = make(blob())
    assert BIG < footprint(value) < BIG + 9 * ABOUT
    assert BIG < footprint([value, value]) < BIG + 9 * ABOUT


def test_an_instance_is_measured_without_building_its_dict(footprint: Meter) -> None:
    values = [Record(i, i) for i in range(40)]
    before = [gc.get_referents(value) for value in values]
    sizes = {footprint(value) for value in values[-9:]}
    assert [gc.get_referents(value) for value in values] == before
    assert len(sizes) == 1
    assert sizes.pop() <= 128
    values[-1].__dict__["c"] = blob()
    assert BIG < footprint(values[-1]) < BIG + ABOUT


def test_slots_beside_a_dict_are_told_apart_from_attributes(footprint: Meter) -> None:
    class Base:
        __slots__ = ("x", "y")

    class Both(Base):
        def __init__(self) -> None:
            self.x, self.y = 1.5, 2.5

    values = [Both() for _ in range(40)]
    bare = footprint(values[-1])
    values[-1].__dict__ = {"a": 1}
    assert footprint(values[-1]) >= bare + footprint({"a": 1}) - 64


def test_no_code_of_a_user_is_run(footprint: Meter) -> None:
    def never(*_: object) -> Any:
        raise AssertionError

    class Meta(type):
        __eq__ = __hash__ = __getattribute__ = __instancecheck__ = never

    names = ["__getattribute__", "__getattr__", "__sizeof__", "__len__", "__iter__", "__hash__"]
    names += ["__eq__", "__class__", "__bool__", "__index__", "items", "keys", "values"]
    for base in (object, list, dict, tuple, int, collections.deque):
        content: dict[str, Any] = dict.fromkeys(names, property(never))
        kind = Meta("Touchy", (base,), content)
        value = base.__new__(kind)
        object.__setattr__(value, "data", blob())
        assert BIG < footprint([value]) < BIG + 4 * ABOUT


def test_a_borrowed_sizeof_is_not_taken(footprint: Meter) -> None:
    class Odd:
        __sizeof__ = list.__sizeof__

    assert footprint(Odd()) == footprint(Plain.__new__(Plain))


def test_arrays_count_their_data_and_what_they_look_into(footprint: Meter) -> None:
    class ndarray(Exception):  # noqa: N801  # recognised by its names; these are C too
        base = BaseException.__dict__["__cause__"]
        dtype = BaseException.__dict__["__context__"]
        flat = BaseException.__dict__["args"]

    ndarray.__module__, ndarray.__qualname__ = "numpy", "ndarray"
    data = blob()  # and so it has a reference more, or the collector's view would count twice
    view = ndarray(data)
    view.__cause__ = owner = ValueError(blob())
    view.__context__ = Exception()
    view.__context__.kind = "f"  # type: ignore[attr-defined]
    assert 2 * BIG < footprint([view, owner]) < 2 * BIG + 3 * ABOUT
    view.__context__.kind = "O"  # type: ignore[attr-defined]
    assert 2 * BIG < footprint([view, owner]) < 2 * BIG + 3 * ABOUT

    class Imposter:
        base = dtype = flat = property(lambda _: 1 / 0)

    Imposter.__module__, Imposter.__qualname__ = "numpy", "ndarray"
    assert footprint(Imposter()) < ABOUT


def test_numpy_arrays_count_their_data_once(footprint: Meter) -> None:
    numpy = pytest.importorskip("numpy")
    array = numpy.zeros(10_000)
    views = [array[:10], array.T, numpy.broadcast_to(array, (1000, 10_000))]
    for value in (array, views, [array, views]):
        assert 80_000 < footprint(value) < 80_000 + 2 * ABOUT
    assert BIG < footprint(numpy.array([blob(), None], dtype=object)) < BIG + ABOUT


# ── limits, depth, threads ──────────────────────────────────────────────────────────────────


def test_measuring_stops_soon_above_the_limit(footprint: Meter) -> None:
    value = [[bytes(1000), [bytes(1000)]] for _ in range(1000)]
    exact = footprint(value)
    assert footprint(value, exact) == exact
    assert 50_000 < footprint(value, limit=50_000) < 350_000 < exact
    with pytest.raises(ValueError, match="limit must be an integer of at least 0, got -1"):
        footprint(value, -1)


def test_levels_without_end_and_cycles_are_measured(footprint: Meter) -> None:
    value: Any = []
    value.append(value)
    assert footprint(value) == blocks(56, 32)
    value = None
    for _ in range(100_000):
        value = [value]
    assert footprint(value) == 100_000 * blocks(56, 8)
    while value:  # or the interpreter would take them apart by recursion
        value = value.pop()


@pytest.mark.parametrize("walk", SPENT_WALKS)
@pytest.mark.parametrize("items", [3, 3_000])
def test_without_the_certificate_the_figures_are_the_same(walk: Any, items: int) -> None:
    shared = bytes(1000)
    value = [
        [str(i) for i in range(items)],
        {str(i): [shared, i * 1.5, "a name"] for i in range(items)},
        {i: (shared, {i}) for i in range(items)},
        collections.deque(i * 1.5 for i in range(items)),
        [Record(i) for i in range(items)],
    ]
    by_id = walk(value, 10**12, _walking.BY_ID)
    assert walk(value, 10**12, 3) == pytest.approx(by_id, abs=2)  # shares are added as floats
    assert sizing.footprint(value) == pytest.approx(by_id, abs=2)


@pytest.mark.parametrize("items", [1, 100])
def test_a_list_that_grows_meanwhile_is_measured_again(
    footprint: Meter, monkeypatch: pytest.MonkeyPatch, items: int
) -> None:
    value: list[Any] = [Record(i) for i in range(items)]
    value.append(blob())
    grown = []

    def growing(kind: type) -> Any:  # as if another thread were just then given its turn
        if kind is Record and not grown:
            grown.append(kind)
            value.append(None)
        return original(kind)

    original = _footprint._opener_of
    monkeypatch.setattr(_footprint, "_opener_of", growing)
    assert BIG < footprint(value) < BIG + ABOUT + items * (footprint(Record(0)) + 8)
    assert grown


# ── what differs between interpreters ───────────────────────────────────────────────────────


def test_attributes_take_the_places_that_cpython_gives_them() -> None:
    spent = _footprint._instance_spent
    # five attributes: six places and their order; in one block with the instance from 3.13 on
    assert spent(48, 6, inline=False) == blocks(48, 8 + 6 * 8)
    assert spent(48, 6, inline=True) == blocks(48 + 8 + 7 * 8)


def test_a_buffer_that_the_collector_sees_is_not_counted_as_size_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_footprint, "_BUFFER_IS_SEEN", True)
    assert _footprint._sizeof_of(io.BytesIO) is object.__sizeof__
    monkeypatch.setattr(_footprint, "_BUFFER_IS_SEEN", False)
    assert _footprint._sizeof_of(io.BytesIO) is not object.__sizeof__
