"""What every collection of this library promises, whatever else it is."""

import dataclasses
import random
import re
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from caches import PlainLRU

from boundedcollections import (
    BoundedHistory,
    Broadcast,
    DropOldestChannel,
    LineSplitter,
    RemovalCause,
    ReplaceOnIndex,
    SizeAwareLRU,
    Tally,
    TooLarge,
)

pytestmark = pytest.mark.usefixtures("weightless")

MAX_ITEMS, MAX_BYTES = 7, 100


@dataclass(frozen=True)
class Kind:
    """How to use one class through the words that all of them share."""

    create: Callable[..., Any]
    add: Callable[[Any, str], object]
    accepted: Callable[[Any], int]
    gone: Callable[[Any], int]
    rejected: Callable[[Any], int]
    listener: str | None

    def new(self, **settings: Any) -> Any:
        return self.create(**{"max_items": MAX_ITEMS, "max_bytes": MAX_BYTES, **settings})


def departed(statistics: Any) -> int:
    left: dict[RemovalCause, Tally] = statistics.left
    return sum(tally.items for tally in left.values())


def key_is_free(thing: object) -> int:
    return len(thing) if isinstance(thing, str) else 0


KINDS = {
    "BoundedHistory": Kind(
        create=lambda **settings: BoundedHistory(sizeof=len, **settings),
        add=lambda history, item: history.append(item),
        accepted=lambda statistics: statistics.accepted.items,
        gone=departed,
        rejected=lambda statistics: statistics.rejected,
        listener="on_evict",
    ),
    "SizeAwareLRU": Kind(
        create=lambda **settings: SizeAwareLRU(sizeof=key_is_free, **settings),
        add=lambda cache, item: cache.__setitem__(len(item) % 21, item),
        accepted=lambda statistics: statistics.accepted.items,
        gone=departed,
        rejected=lambda statistics: statistics.rejected,
        listener="on_evict",
    ),
    "SizeAwareLRU in Python": Kind(
        create=lambda **settings: PlainLRU(sizeof=key_is_free, **settings),
        add=lambda cache, item: cache.__setitem__(len(item) % 21, item),
        accepted=lambda statistics: statistics.accepted.items,
        gone=departed,
        rejected=lambda statistics: statistics.rejected,
        listener="on_evict",
    ),
    "DropOldestChannel": Kind(
        create=lambda **settings: DropOldestChannel(sizeof=len, **settings),
        add=lambda channel, item: channel.send(item),
        accepted=lambda statistics: statistics.sent,
        gone=lambda statistics: statistics.received + statistics.missed,
        rejected=lambda statistics: statistics.rejected,
        listener="on_drop",
    ),
    "Broadcast": Kind(
        create=lambda **settings: Broadcast(sizeof=len, **settings),
        add=lambda hub, item: hub.send(item),
        accepted=lambda statistics: statistics.sent,
        gone=lambda statistics: statistics.evicted,
        rejected=lambda statistics: statistics.rejected,
        listener=None,
    ),
}
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
kinds_with_listeners = pytest.mark.parametrize(
    "kind", [pytest.param(kind, id=name) for name, kind in KINDS.items() if kind.listener]
)


def workload(seed: int, count: int = 300) -> list[str]:
    source = random.Random(seed)
    return ["x" * int(source.lognormvariate(2.5, 1.0) + 1) for _ in range(count)]


@every_kind
@pytest.mark.parametrize("seed", range(5))
def test_no_bound_is_ever_exceeded_and_no_item_lost_count_of(kind: Kind, seed: int) -> None:
    collection = kind.new()
    accepted = rejected = 0
    for item in workload(seed):
        try:
            kind.add(collection, item)
            accepted += 1
        except TooLarge as error:
            assert error.size == len(item) > error.limit == MAX_BYTES  # noqa: PT017  # some fit
            rejected += 1
        assert len(collection) <= MAX_ITEMS
        assert collection.current_bytes <= collection.max_bytes == MAX_BYTES
        statistics = collection.statistics()
        assert kind.accepted(statistics) == accepted == len(collection) + kind.gone(statistics)
        assert kind.rejected(statistics) == rejected
        collection._check()
    assert collection.max_items == MAX_ITEMS
    assert statistics.peak_items == MAX_ITEMS
    assert 0 < statistics.peak_bytes == collection.peak_bytes <= MAX_BYTES


@every_kind
def test_one_bound_alone_is_enough(kind: Kind) -> None:
    for settings in ({"max_bytes": 10}, {"max_items": 2, "max_bytes": 1_000}):
        collection = kind.create(**settings)
        for item in ("aaaa", "bbbb", "cccc"):
            kind.add(collection, item)
        assert len(collection) <= 2


@every_kind
@pytest.mark.parametrize("bound", ["max_items", "max_bytes"])
@pytest.mark.parametrize("value", [0, -5, 2.5, "7", True])
def test_a_bound_that_is_no_bound_is_refused_with_the_figure(
    kind: Kind, bound: str, value: object
) -> None:
    with pytest.raises(
        (TypeError, ValueError), match=f"{bound} must be .* got {re.escape(repr(value))}"
    ):
        kind.new(**{bound: value})


@every_kind
def test_an_oversize_item_is_refused_and_nothing_changes(kind: Kind) -> None:
    collection = kind.new()
    kind.add(collection, "small")
    before = collection.statistics()
    with pytest.raises(TooLarge, match="101 bytes: the limit is 100 bytes"):
        kind.add(collection, "x" * 101)
    after = collection.statistics()
    assert kind.rejected(after) == kind.rejected(before) + 1
    assert (kind.accepted(after), kind.gone(after)) == (kind.accepted(before), kind.gone(before))
    assert len(collection) == 1


@every_kind
def test_the_repr_shows_class_name_used_and_limit(kind: Kind) -> None:
    collection = kind.new(name="mine")
    kind.add(collection, "12345")
    text = repr(collection)
    assert type(collection).__name__ in text
    assert "'mine'" in text
    assert "1/7" in text
    assert "5/100" in text
    assert collection.name == "mine"


@every_kind
def test_statistics_are_frozen_documented_and_change_nothing(kind: Kind) -> None:
    collection = kind.new()
    kind.add(collection, "12345")
    statistics = collection.statistics()
    assert type(statistics).__name__.endswith("Statistics")
    assert statistics == collection.statistics()
    field = dataclasses.fields(statistics)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(statistics, field, 0)


@every_kind
def test_a_collection_is_slotted_and_can_be_referred_to_weakly(kind: Kind) -> None:
    collection = kind.new()
    assert not hasattr(collection, "__dict__")
    assert weakref.ref(collection)() is collection


@kinds_with_listeners
def test_a_listener_that_raises_or_uses_the_collection_harms_nothing(
    kind: Kind, caplog: pytest.LogCaptureFixture
) -> None:
    told = 0

    def listener(*departure: object) -> None:
        nonlocal told
        told += 1
        mine = told  # the count goes on while this one adds an item
        assert len(collection) <= MAX_ITEMS
        if mine % 5 == 0:
            kind.add(collection, "from the listener")
        if mine % 7 == 0:
            raise RuntimeError("boom")

    collection = kind.new(**{str(kind.listener): listener})
    for item in workload(1):
        if len(item) <= MAX_BYTES:
            kind.add(collection, item)
    statistics = collection.statistics()
    assert told == kind.gone(statistics)
    assert statistics.listener_errors == told // 7
    assert "listener" in caplog.text


@every_kind
def test_a_destructor_may_use_the_collection_that_lets_its_object_go(kind: Kind) -> None:
    class Dying(str):
        __slots__ = ()

        def __del__(self) -> None:
            if len(self) > 5:
                kind.add(collection, "last")

    collection = kind.new()
    for length in range(1, 40):
        kind.add(collection, Dying("x" * length))
        assert len(collection) <= MAX_ITEMS
        collection._check()


@pytest.mark.parametrize(
    "create",
    [
        lambda _: DropOldestChannel[str](max_items=1),
        lambda _: Broadcast[str](max_items=1),
        lambda _: LineSplitter(9),
        ReplaceOnIndex,
    ],
    ids=["DropOldestChannel", "Broadcast", "LineSplitter", "ReplaceOnIndex"],
)
def test_closing_again_changes_nothing(create: Callable[[Path], Any], tmp_path: Path) -> None:
    collection = create(tmp_path)
    collection.close()
    assert collection.closed
    before = collection.statistics()
    collection.close()
    assert collection.statistics() == before
