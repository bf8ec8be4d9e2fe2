import random
from pathlib import Path
from typing import Any

import pytest
from trees import plant

from boundedcollections.files.changes import IndexChanges
from boundedcollections.files.columns import Columns
from boundedcollections.files.index import ReplaceOnIndex
from boundedcollections.files.snapshot import IndexSnapshot


def snapshot_of(root: Path) -> IndexSnapshot:
    index = ReplaceOnIndex(root)
    index.index()
    return index.snapshot()


@pytest.mark.parametrize("seed", range(20))
def test_changes_are_what_sets_say(tmp_path: Path, seed: int) -> None:
    maker = random.Random(seed)
    every = [
        f"{folder}{number:03}"
        for folder in ("", "a/", "a/b/", "a-/", "c/", "c/ü/")
        for number in range(maker.randrange(0, 150))
    ]
    both: list[IndexSnapshot] = []
    for name, share in (("before", maker.random()), ("after", maker.random())):
        (tmp_path / name).mkdir()
        some = maker.sample(every, int(len(every) * share))
        both.append(snapshot_of(plant(tmp_path / name, *some)))
    before, after = both
    changes = IndexChanges(before, after)
    assert list(changes.added()) == sorted(set(after) - set(before))
    assert list(changes.removed()) == sorted(set(before) - set(after))
    assert bool(changes) == (list(before) != list(after))


def test_equal_blocks_are_not_taken_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(tmp_path, *(f"{n:02}/{m}" for n in range(30) for m in range(3)))
    before = snapshot_of(tmp_path)
    plant(tmp_path, "10/new")
    after = snapshot_of(tmp_path)
    taken_apart: list[bytes] = []
    module = "boundedcollections.files.changes"
    decoded = Columns.folder.__globals__["decoded"]

    def take_apart(block: bytes) -> Any:
        taken_apart.append(block)
        return decoded(block)

    monkeypatch.setattr(f"{module}.decoded", take_apart)
    assert list(IndexChanges(before, after).added()) == ["10/new"]
    assert len(taken_apart) == 4  # of each the one that differs, and the next, to get into step


def test_a_listener_is_told_what_has_come_and_gone(tmp_path: Path) -> None:
    told: list[tuple[list[str], list[str]]] = []
    reports: list[object] = []

    def listen(changes: IndexChanges) -> None:
        told.append((list(changes.added()), list(changes.removed())))
        assert len(reports) > len(told) - 1

    index = ReplaceOnIndex(plant(tmp_path, "a", "b"), on_change=listen, on_index=reports.append)
    index.index()
    index.index()
    index.refresh()
    assert told == [(["a", "b"], [])]
    (tmp_path / "a").unlink()
    plant(tmp_path, "c")
    index.refresh()
    assert told[1:] == [(["c"], ["a"])]
    assert len(reports) == 4


async def test_a_listener_is_told_of_scans_in_threads(tmp_path: Path) -> None:
    told: list[str] = []
    index = ReplaceOnIndex(plant(tmp_path, "a"), on_change=lambda c: told.append(repr(c)))
    await index.aindex()
    assert told == ["<IndexChanges 0 to 1>"]


def test_what_a_listener_raises_is_counted(tmp_path: Path) -> None:
    index = ReplaceOnIndex(plant(tmp_path, "a"), on_change=lambda _: 1 / 0)
    index.index()
    assert index.statistics().listener_errors == 1
    with pytest.raises(TypeError, match="listener"):
        ReplaceOnIndex(tmp_path, on_change=3)
