"""How many bytes an object is: pympler's figure, and where ours is larger on purpose."""

import collections
import gc
import importlib.util
import subprocess
import sys
import sysconfig
import types
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from meters import DEEP
from pympler.asizeof import Asizer

import boundedcollections._core
from boundedcollections._core import _deep, _footprint, _parts, _walking, sizing
from boundedcollections._core.sizing import sizing_fallbacks

Meter = Callable[..., int]


@pytest.fixture(params=DEEP)
def deep_size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Meter:
    monkeypatch.setattr(sizing, "deep_measure", request.param)
    return sizing.deep_size


def pympler_size(value: object) -> int:
    return int(Asizer().asizeof(value))


def big(size: int = 10_000) -> list[bytes]:
    """A value that pympler sees in full wherever it sees it at all."""
    return [bytes(size)]


BIG = pympler_size(big())

# ── pympler's figure ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "value",
    [
        *("", "x" * 100, "ü" * 100, "€" * 100, "😀" * 100, b"", bytes(1000), bytearray(1000)),
        *(0, 1, -1, 2**30 - 1, 2**30, -(2**30), 2**200, True, None, 1.5, 1j, ..., range(9)),
        *([], (), {}, set(), frozenset(), [[]], [None, None], {"a": {"b": {}}}, {1: 2, (3,): 4}),
        *([1.5] * 1000, [i * 1.5 for i in range(1000)], list(range(10**6, 10**6 + 5000))),
        *({i: str(i) for i in range(3000)}, {str(i) for i in range(3000)}, ["a", *range(3000)]),
        *([[str(i)] for i in range(3000)], tuple(str(i) * i for i in range(300))),
        *(gc, types.ModuleType("empty"), [gc], [print, len, dict, _deep.walk, object()]),
    ],
    ids=lambda value: type(value).__name__,  # the same in every process, unlike the text of a set
)
def test_a_value_has_pymplers_figure(deep_size: Meter, value: object) -> None:
    assert deep_size(value) == pympler_size(value)


def test_an_object_counts_once_however_often_it_is_met(deep_size: Meter) -> None:
    blob = bytes(1000)
    assert deep_size([blob, blob, (blob,), {"blob": blob}]) < 2000


def test_cycles_end(deep_size: Meter) -> None:
    value: list[object] = [{}]
    value.append(value)
    value[0]["back"] = value  # type: ignore[index]
    assert deep_size(value) == pympler_size(value)


def test_two_instances_may_share_one_dict(deep_size: Meter) -> None:
    first, second = types.SimpleNamespace(), Plain()
    third = Plain()
    second.payload = big()
    third.__dict__ = second.__dict__
    value = [first, second, third]
    assert deep_size(value) == pympler_size(value)
    assert deep_size(value) < 2 * BIG


def test_a_value_without_odd_types_does_not_import_pympler() -> None:
    program = (
        "import sys; from boundedcollections._core.sizing import deep_size;"
        "deep_size({'a': [1, 2.5, 'b', None, b'c', {3}]});"
        "print([name for name in sys.modules if name.startswith(('pympler', 'numpy'))])"
    )
    command = [sys.executable, "-c", program]
    assert subprocess.check_output(command, text=True).strip() == "[]"


# ── the limit ───────────────────────────────────────────────────────────────────────────────


def test_a_limit_that_holds_changes_nothing(deep_size: Meter) -> None:
    value = [[1.5, "text"], {"a": (2, 3)}]
    exact = deep_size(value)
    assert deep_size(value, exact) == exact
    assert deep_size(value, limit=10**9) == exact


@pytest.mark.parametrize("limit", [0, 1, 5_000, 100_000])
def test_measuring_stops_soon_above_the_limit(deep_size: Meter, limit: int) -> None:
    value = [[bytes(1000), [bytes(1000)]] for _ in range(1000)]
    assert limit < deep_size(value, limit) < limit + 300_000 < deep_size(value)


def test_a_long_list_stops_at_the_limit_before_its_end(deep_size: Meter) -> None:
    value = [[] for _ in range(100_000)]
    assert deep_size(value, 900_000) < 1_500_000 < deep_size(value)


def test_a_limit_must_be_a_count(deep_size: Meter) -> None:
    with pytest.raises(ValueError, match="limit must be an integer of at least 0, got -1"):
        deep_size([], -1)
    with pytest.raises(TypeError, match=r"limit must be an integer of at least 0, got 1\.5"):
        deep_size([], 1.5)


# ── where pympler does not see what a value holds ───────────────────────────────────────────


class Plain:
    pass


class Items(list[Any]):
    pass


class Unique(set[Any]):
    pass


class Frozen(frozenset[Any]):
    pass


class Row(tuple[Any, ...]):
    __slots__ = ()


class Queue(collections.deque[Any]):
    pass


class Masked(dict[Any, Any]):
    def items(self) -> Any:
        return ()


class Calling(dict[Any, Any]):
    def __call__(self) -> None: ...


class Coy(list[Any]):
    """Shows less than it holds."""

    def __iter__(self) -> Any:
        return iter(())

    def __len__(self) -> int:
        return 0


@pytest.mark.parametrize(
    "make",
    [
        *(collections.deque, Items, Row, Queue, Coy),
        lambda items: Masked(a=items[0]),
        lambda items: Calling(a=items[0]),
        lambda items: memoryview(items[0][0]),
    ],
)
def test_contents_that_pympler_does_not_see_are_counted(deep_size: Meter, make: Any) -> None:
    value = make([big()])
    assert pympler_size(value) < 2_000
    assert 10_000 < deep_size(value) < 12_000
    assert 10_000 < deep_size({"inside": [value, value]}) < 12_000


@pytest.mark.parametrize("make", [Unique, Frozen])
def test_items_of_set_subclasses_are_counted(deep_size: Meter, make: Any) -> None:
    value = make([bytes(10_000)])
    assert pympler_size(value) < 1_000
    assert 10_000 < deep_size(value) < 11_000


@pytest.mark.parametrize("make", [collections.deque, Items, Row, Queue])
def test_long_contents_are_counted_like_short_ones(deep_size: Meter, make: Any) -> None:
    items = [bytes([i % 256]) * 100 for i in range(5000)]
    per_item = pympler_size(items) - pympler_size(list(range(5000))) + 5000 * pympler_size(1)
    assert deep_size(make(items)) == pytest.approx(per_item, rel=0.1)


def test_views_of_one_buffer_count_it_once(deep_size: Meter) -> None:
    view = memoryview(bytes(10_000))
    assert deep_size([view[:10], view[10:], view]) < 11_000


def test_a_released_view_has_a_size(deep_size: Meter) -> None:
    view = memoryview(b"gone")
    view.release()
    assert 0 < deep_size(view) < 1_000


def test_nothing_is_too_deep_to_be_counted(deep_size: Meter) -> None:
    value: Any = big()
    for _ in range(500):
        value = [value]
    assert pympler_size(value) < BIG < deep_size(value)


@pytest.mark.parametrize("levels", [100_000, pytest.param(1_000_000, marks=pytest.mark.long)])
def test_levels_without_end_are_measured(deep_size: Meter, levels: int) -> None:
    value: Any = None
    for _ in range(levels):
        value = [value]
    assert deep_size(value) == levels * (pympler_size([[]]) - pympler_size([])) + pympler_size(None)
    while value:  # or the interpreter would take them apart by recursion
        value = value.pop()


def test_instances_of_a_class_made_without_a_module_are_counted(deep_size: Meter) -> None:
    names: dict[str, Any] = {}
    exec("class Made: pass", names)  # noqa: S102  # its module is `builtins`, which pympler skips
    value = names["Made"]()
    value.payload = big()
    assert pympler_size(value) == 0
    assert deep_size(value) > BIG


# ── code of a user that runs meanwhile ──────────────────────────────────────────────────────


class Lying:
    __slots__ = ("_answer", "payload")

    def __init__(self, answer: object) -> None:
        self._answer = answer
        self.payload = big()

    def __sizeof__(self) -> Any:
        if isinstance(self._answer, BaseException):
            raise self._answer
        return self._answer


@pytest.mark.parametrize(
    "answer", [-1, 2**70, "large", ValueError(), TypeError(), RuntimeError(), RecursionError()]
)
def test_an_impossible_size_is_replaced_and_the_rest_counted(
    deep_size: Meter, answer: object
) -> None:
    before = sizing_fallbacks()
    assert BIG + 1_000 < deep_size([Lying(answer), bytes(1000)]) < BIG + 1_500
    assert sizing_fallbacks().estimated == before.estimated + 1


def test_what_must_stop_the_program_stops_it(deep_size: Meter) -> None:
    with pytest.raises(KeyboardInterrupt):
        deep_size([Lying(KeyboardInterrupt())])


def test_no_size_is_below_one(deep_size: Meter) -> None:
    class Meta(type):
        def __sizeof__(cls) -> int:
            raise ValueError

    class Heavy(metaclass=Meta):
        pass

    before = sizing_fallbacks()
    values = [object(), len, test_no_size_is_below_one, Meta, Heavy]
    for value in values:
        assert pympler_size(value) == 0
        assert deep_size(value) >= 8
    assert sizing_fallbacks().estimated == before.estimated + len(values)


def test_an_object_that_refuses_to_be_read_is_estimated_with_what_it_holds(
    deep_size: Meter,
) -> None:
    class Closed:
        def __init__(self) -> None:
            self.payload = big()

        def __getattribute__(self, name: str) -> object:
            raise ValueError(name)

    before = sizing_fallbacks()
    assert BIG < deep_size([Closed(), Closed()][:1]) < BIG + 1_000
    after = sizing_fallbacks()
    assert after.estimated == before.estimated + 1
    assert after.asked > before.asked


def test_a_mapping_behind_a_proxy_may_fail_without_a_warning(deep_size: Meter) -> None:
    class Torn(dict[str, object]):
        def items(self) -> Any:
            raise TypeError

    before = sizing_fallbacks()
    assert BIG < deep_size(types.MappingProxyType(Torn(a=big()))) < BIG + 1_000
    assert sizing_fallbacks().estimated == before.estimated + 1


def test_a_metaclass_is_not_asked_to_compare_or_to_hash(deep_size: Meter) -> None:
    class Rude(type):
        __hash__ = None  # type: ignore[assignment]

        def __eq__(cls, other: object) -> bool:
            raise ValueError

    class Instance(metaclass=Rude):
        def __init__(self) -> None:
            self.payload = big()

    class Friendly(type):
        def __eq__(cls, other: object) -> bool:
            return True

        __hash__ = type.__hash__

    class Imposter(metaclass=Friendly):
        __slots__ = ()

    before = sizing_fallbacks()
    assert BIG < deep_size(Instance()) < BIG + 1_000
    for odd in (Instance, Imposter):
        for leaf in (1.5, "text", 10**9, b"bytes"):
            mixed = [leaf * i for i in range(2, 100)]
            mixed[50] = odd()
            assert deep_size(mixed) == _deep.walk(mixed, 10**9, _walking.BY_ID)
    assert sizing_fallbacks() == before


# ── a value that changes while it is measured ───────────────────────────────────────────────


class Meddler:
    """Does something to the value in the middle of being measured, `times` times."""

    __slots__ = ("_meddle", "times")

    def __init__(self, meddle: Callable[[], object], times: int = 1) -> None:
        self._meddle = meddle
        self.times = times

    def __sizeof__(self) -> int:
        if self.times:
            self.times -= 1
            self._meddle()
        return 100


def extend(value: Any) -> None:
    if isinstance(value, dict):
        value.update((str(i) * 9, i) for i in range(1000))
    elif isinstance(value, list):
        value.extend(range(1000))
    elif isinstance(value, collections.deque):
        value.extend(range(10))
        value.append(big())


@pytest.mark.parametrize("items", [1, 100])
@pytest.mark.parametrize("make", [list, collections.deque, dict, collections.OrderedDict, Items])
def test_a_container_that_grows_meanwhile_is_measured_again(
    deep_size: Meter, make: Any, items: int
) -> None:
    value = make()
    keep = [bytes(100 + i) for i in range(items)]
    members: list[Any] = [*keep, Meddler(lambda: extend(value)), big()]
    if isinstance(value, dict):
        value.update(enumerate(members))
    else:
        value.extend(members)
    assert sum(map(len, keep)) + BIG < deep_size(value) <= deep_size(value)


def turn(value: Any) -> None:
    """Move the first item behind the last; the length stays."""
    if isinstance(value, list):
        value.append(value.pop(0))
    else:
        key = next(iter(value))
        value[key] = value.pop(key)


@pytest.mark.parametrize("items", [5, 25, 5000])
@pytest.mark.parametrize("make", [list, lambda items: dict(enumerate(items))])
def test_items_that_move_within_a_container_meanwhile_are_counted(
    deep_size: Meter, items: int, make: Any
) -> None:
    members = [(Meddler(lambda: turn(value)), bytes(1000)) for _ in range(items)]
    value = make([leaf for pair in members for leaf in pair])
    assert deep_size(value) > 1000 * items


def test_a_value_that_never_stands_still_is_measured_all_the_same(deep_size: Meter) -> None:
    value: list[Any] = [big()]
    value.append(Meddler(lambda: value.append(None), times=10**9))
    assert BIG < deep_size(value) < BIG + 1_000


def test_a_value_that_cannot_even_be_copied_is_refused_not_counted_in_part(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    attempts: list[int] = []

    def disturbed(_obj: object, _ceiling: float, single: int) -> int:
        attempts.append(single)
        raise RuntimeError

    monkeypatch.setattr(_deep, "walk", disturbed)
    with pytest.raises(RuntimeError, match="list'> cannot be measured: it has changed in each of"):
        _deep.measure([], 100)
    assert set(attempts[1:]) == {_walking.BY_ID}
    assert len(attempts) > 50


def test_a_stack_without_room_is_the_callers_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(*_: object) -> int:
        raise RecursionError

    monkeypatch.setattr(_deep, "walk", no_room)
    with pytest.raises(RecursionError):
        _deep.measure([], 100)


# ── classes ─────────────────────────────────────────────────────────────────────────────────


def test_a_class_that_was_measured_can_be_forgotten(deep_size: Meter) -> None:
    def measured() -> tuple[int, "weakref.ref[type]"]:
        class Short:
            __slots__ = ("a", "b")

        class Lived(Short):
            pass

        deep_size([Short(), Lived(), Lived])
        assert id(Lived) in _parts._readers
        return id(Lived), weakref.ref(Lived)

    key, ref = measured()
    gc.collect()
    assert ref() is None
    assert key not in _parts._readers


def test_a_class_that_changed_is_read_anew(deep_size: Meter) -> None:
    class Base:
        pass

    class Other(Base):
        _fields = ()

        def __getattr__(self, name: str) -> object:
            if name == "late":
                return big()
            raise AttributeError(name)

    class Changing(Base):
        __slots__ = ("late",)

    value = Changing()
    value.early = [1.5]  # type: ignore[attr-defined]
    assert deep_size(value) == pympler_size(value) < BIG

    Base.__getattr__ = Other.__getattr__  # type: ignore[attr-defined]
    assert deep_size(value) == pympler_size(value) > BIG

    del Base.__getattr__  # type: ignore[attr-defined]
    assert deep_size(value) == pympler_size(value) < BIG

    Changing.__bases__ = (Other,)
    assert deep_size(value) == pympler_size(value) > BIG


@pytest.mark.parametrize(
    "names",
    [
        {"__getattribute__": lambda self, name: getattr(super(type(self), self), name)},
        {"__class__": property(lambda _: list)},
        {"__dict__": property(lambda _: {"shown": "instead"})},
        {"__getattr__": lambda _self, name: [name]},
        {"__slots__": ("payload", "clash"), "payload": None, "__init__": lambda _: None},
    ],
    ids=lambda names: next(iter(names)),
)
def test_a_class_with_lookups_of_its_own_is_left_to_pympler(
    deep_size: Meter, names: dict[str, Any]
) -> None:
    slots = {"__slots__": names["__slots__"]} if "__slots__" in names else {}
    base = type("Base", (), slots)
    content = {"__init__": lambda self: setattr(self, "payload", [1.5])} | names
    value = type("Odd", (base,), {k: v for k, v in content.items() if k != "__slots__"})()
    before = sizing_fallbacks()
    assert deep_size(value) == pympler_size(value)
    assert sizing_fallbacks().asked > before.asked


# ── numpy, where it is installed ────────────────────────────────────────────────────────────


def test_an_array_counts_itself_what_it_looks_into_and_the_objects_in_it(
    deep_size: Meter,
) -> None:
    class ndarray:  # noqa: N801  # as numpy's is recognised, without importing it
        __slots__ = ("base", "dtype", "flat")

        def __init__(self, kind: str, base: object) -> None:
            self.base = base
            self.dtype = types.SimpleNamespace(kind=kind)
            self.flat = big()

    class Masked(ndarray):
        pass

    ndarray.__module__, ndarray.__qualname__ = "numpy", "ndarray"
    owner = ndarray("f", None)
    assert deep_size(owner) < 1_000
    assert BIG < deep_size([ndarray("O", owner), owner]) < BIG + 1_000
    view = Masked("f", big())
    view.mask = big()
    assert 2 * BIG < deep_size(view) < 2 * BIG + 1_000


def test_numpy_arrays_count_their_data_once(deep_size: Meter) -> None:
    numpy = pytest.importorskip("numpy")
    array = numpy.zeros(10_000)
    assert deep_size(array) == pympler_size(array)
    views = [array[:10], array.T, numpy.broadcast_to(array, (1000, 10_000))]
    assert 80_000 < deep_size(views) < 82_000
    assert deep_size(numpy.array([big(), None], dtype=object)) > BIG
    assert deep_size(numpy.ma.masked_array(array, mask=array == 0)) > 90_000
    assert deep_size([numpy.float64(1.5), numpy.str_("")]) > 0


# ── the compiled form ───────────────────────────────────────────────────────────────────────


def fresh(name: str) -> Any:
    """Run a module once more, beside the one that everybody uses."""
    spec = importlib.util.find_spec(f"boundedcollections._core.{name}")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_without_the_compiled_form_the_walks_are_those_in_python(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(boundedcollections._core, "_compiled", raising=False)
    monkeypatch.setitem(sys.modules, "boundedcollections._core._compiled", None)
    plain = fresh("sizing")
    assert not plain.accelerated
    assert plain.deep_measure is _deep.measure
    assert plain.spent_measure is _footprint.measure


def test_the_walks_in_python_can_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOUNDEDCOLLECTIONS_PURE", "1")
    assert not fresh("sizing").accelerated


def test_the_compiled_form_is_taken_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BOUNDEDCOLLECTIONS_PURE", raising=False)
    handed_over: list[object] = []
    stand_in = types.SimpleNamespace(
        deep_walk=_deep.walk,
        spent_walk=_footprint.walk,
        set_up=lambda *args: handed_over.extend(args),
    )
    monkeypatch.setattr(boundedcollections._core, "_sizing", stand_in, raising=False)
    compiled = fresh("_compiled")
    assert _parts.take_apart in handed_over
    assert _footprint.open_up in handed_over
    monkeypatch.setattr(boundedcollections._core, "_compiled", compiled, raising=False)
    monkeypatch.setitem(sys.modules, "boundedcollections._core._compiled", compiled)
    fast = fresh("sizing")
    assert fast.accelerated
    assert fast.deep_size([1.5]) == pympler_size([1.5])
    assert fast.deep_size(len) > 0
    value: list[Any] = [big()]
    value.append(Meddler(lambda: value.append(None)))
    assert fast.deep_size(value) > BIG

    answers: Iterator[type[RuntimeError] | int] = iter([RuntimeError, RuntimeError, 7])

    def disturbed_twice(*_: object) -> int:
        answer = next(answers)
        if isinstance(answer, int):
            return answer
        raise answer

    monkeypatch.setattr(compiled, "spent_walk", disturbed_twice)
    assert fast.footprint([]) == 7


# ── the certificate ─────────────────────────────────────────────────────────────────────────


def test_the_certificate_is_used_on_this_build() -> None:
    assert (_deep.SINGLE > 0) == (not sysconfig.get_config_var("Py_GIL_DISABLED"))


def test_the_certificate_is_not_used_without_the_gil(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sysconfig, "get_config_var", {"Py_GIL_DISABLED": 1}.get)
    assert _walking.trusted(_deep.walk) == _walking.BY_ID


def test_a_count_that_misses_a_second_reference_is_not_trusted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(_walking, "_references_in_a_copy", lambda: _deep.SINGLE + 1)
        assert _walking.trusted(_deep.walk) == _walking.BY_ID
    assert _walking.trusted(_deep.walk) == _deep.SINGLE
    monkeypatch.setattr(_walking, "_IN_BLOCK", _walking._IN_BLOCK + 1)
    assert _walking.trusted(_deep.walk) == _walking.BY_ID


@pytest.mark.parametrize("items", [3, 3000])
def test_without_the_certificate_the_figures_are_the_same(items: int) -> None:
    shared = bytes(1000)
    value = [
        [str(i) for i in range(items)],
        {str(i): [shared, i * 1.5] for i in range(items)},
        {i: (shared, {i}) for i in range(items)},
        collections.deque(i * 1.5 for i in range(items)),
    ]
    by_id = _deep.walk(value, 10**12, _walking.BY_ID)
    assert by_id == _deep.walk(value, 10**12, _deep.SINGLE) == sizing.deep_size(value)
