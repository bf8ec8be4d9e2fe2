"""After every test, every collection that it created must still keep its invariants."""

import gc
import weakref
from collections.abc import Iterator

import caches
import pytest
import trees
from streams import BUILDS, RECEIVES, STREAMS, Receive, Stream, make_weightless, pretend

import boundedcollections
from boundedcollections import BoundedHistory
from boundedcollections.files import folders
from boundedcollections.history import entries as entries_of_histories
from boundedcollections.lru import entries
from boundedcollections.lru.keeper import Keeper
from boundedcollections.testing import Checkable, check_invariants

CHECKED = tuple(
    cls
    for cls in (*vars(boundedcollections).values(), caches.PlainLRU)
    if isinstance(cls, type) and hasattr(cls, "_check")
)


def pytest_collection_finish() -> None:
    """What was imported stays: collecting garbage after each test need not look at it again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _every_collection_keeps_its_invariants(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    created: list[weakref.ref[Checkable]] = []

    def recorded(cls: type) -> object:
        original = cls.__init__  # type: ignore[misc]

        def initialise(self: Checkable, *args: object, **kwargs: object) -> None:
            original(self, *args, **kwargs)
            created.append(weakref.ref(self))

        return initialise

    for cls in CHECKED:
        monkeypatch.setattr(cls, "__init__", recorded(cls))
    frozen = gc.get_freeze_count()
    yield
    gc.collect()  # destructors of this test must not speak up in the next one
    if gc.get_freeze_count() < frozen:  # a test of freezing has undone ours
        gc.freeze()
    check_invariants(*(alive for ref in created if (alive := ref()) is not None))


@pytest.fixture
def weightless(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Charge nothing for the collections themselves: for tests of policy, with readable figures."""
    for name in ("ENTRY_BYTES", "INT_BYTES", "DEADLINE_BYTES"):
        monkeypatch.setattr(entries, name, 0)
    monkeypatch.setattr(entries_of_histories, "charge", lambda payload, **_: payload)
    monkeypatch.setattr(entries_of_histories, "LEAST_TABLE", 0)
    for collection in (Keeper, BoundedHistory):
        monkeypatch.setattr(collection, "_table_bytes", lambda _self, _slots: 0)
        monkeypatch.setattr(collection, "_measured_tables", lambda _self: 0)
    if not caches.IS_COMPILED:
        yield
        return
    from boundedcollections.lru import compiled  # noqa: PLC0415  # not every build has it

    compiled.set_charges(0, 0, 0)
    yield
    compiled.charge_as_allocated()


@pytest.fixture(params=list(caches.FORMS.values()), ids=list(caches.FORMS))
def every_cache(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a module of tests that says `SizeAwareLRU` mean each form of it in turn."""
    caches.mean(request.param, request.module, monkeypatch)


@pytest.fixture(params=list(caches.PLAIN.values()), ids=list(caches.PLAIN))
def every_plain_cache(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only those in Python: for what cannot happen where each change is a single step."""
    caches.mean(request.param, request.module, monkeypatch)


@pytest.fixture(params=list(trees.READERS.values()), ids=list(trees.READERS))
def every_reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have folders be read by each form of what reads them."""
    list_folder, stamp_of = request.param
    monkeypatch.setattr(folders, "list_folder", list_folder)
    monkeypatch.setattr(folders, "stamp_of", stamp_of)


@pytest.fixture
def weightless_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    """Charge nothing for channels and broadcasts, likewise."""
    make_weightless(monkeypatch)


@pytest.fixture(params=BUILDS)
def every_build(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a GIL and without: for what could go wrong in one of the two alone."""
    pretend(request.param, monkeypatch)


@pytest.fixture(params=list(STREAMS.values()), ids=list(STREAMS))
def stream(request: pytest.FixtureRequest) -> Stream:
    """Both ends of a channel, then of a broadcast."""
    made: Stream = request.param()
    return made


@pytest.fixture(params=list(RECEIVES.values()), ids=list(RECEIVES))
def receive(request: pytest.FixtureRequest) -> Receive:
    """Every way in which a task receives."""
    how: Receive = request.param
    return how
