"""However a tree changes, a refresh finds what a scan of everything finds."""

import os
import random
import shutil
import time
from pathlib import Path

import pytest

from boundedcollections.files import refresh as refresh_module
from boundedcollections.files import stamps
from boundedcollections.files.index import ReplaceOnIndex

NAMES = ["a", "a-", "b", "b.log", "c.log", "out", "ü", "x\udcff", "z"]
LINES = ["*.log", "!b.log", "out/", "/a", "z", "a/b", "**/c.log"]
TICK_SECONDS = 0.02
"""The times of files move on in steps; no step is longer."""


@pytest.fixture(autouse=True)
def _settled_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take every time for one that is long past; the tests see to it that it is."""
    monkeypatch.setattr(stamps, "_RACY_NANOSECONDS", -3_600_000_000_000)
    monkeypatch.setattr(refresh_module, "_FEW", 1_000)


class Gardener:
    """Changes a tree in all the ways that there are."""

    def __init__(self, root: Path, seed: int) -> None:
        self.root = root
        self.random = random.Random(seed)

    def folders(self) -> list[Path]:
        found = [Path(folder) for folder, _, _ in os.walk(self.root)]
        return [folder for folder in found if ".git" not in folder.parts]

    def folder(self) -> Path:
        return self.random.choice(self.folders())

    def grow(self) -> None:
        place = self.folder()
        for _ in range(self.random.randrange(1, 4)):
            place /= self.random.choice(NAMES)
            if place.exists() and not place.is_dir():
                return
            place.mkdir(exist_ok=True)
        for name in self.random.sample(NAMES, 3):
            if not (place / name).exists():
                (place / name).touch()

    def fill(self) -> None:
        place = self.folder()
        for number in range(self.random.randrange(1, 90)):
            (place / f"file-{number:02}").touch()

    def prune(self) -> None:
        place = self.folder()
        if place == self.root:
            return
        shutil.rmtree(place)
        if self.random.random() < 0.3:
            place.touch()  # a file where a folder was

    def weed(self) -> None:
        for entry in list(self.folder().iterdir()):
            if not entry.is_dir() and self.random.random() < 0.5:
                entry.unlink()

    def move(self) -> None:
        source, target = self.folder(), self.folder() / self.random.choice(NAMES)
        if source != self.root and source not in target.parents and not target.exists():
            source.rename(target)

    def swap(self) -> None:
        """Put two folders into each other's place; their times stay what they were."""
        first, second = self.folder(), self.folder()
        if first in (second, *second.parents) or second in first.parents:
            return
        aside = self.root.parent / "aside"
        first.rename(aside)
        second.rename(first)
        aside.rename(second)

    def rule(self) -> None:
        rules = self.folder() / ".gitignore"
        if rules.exists() and self.random.random() < 0.3:
            rules.unlink()
        else:  # often in place
            rules.write_text("\n".join(self.random.choices(LINES, k=self.random.randrange(4))))

    def found(self) -> None:
        """Make a repository, or unmake it, or change what it excludes."""
        git = self.folder() / ".git"
        if git.exists() and self.random.random() < 0.5:
            shutil.rmtree(git)
            return
        for name in ("objects", "refs", "info"):
            (git / name).mkdir(parents=True, exist_ok=True)
        (git / "HEAD").touch()
        (git / "info" / "exclude").write_text(self.random.choice(LINES))

    def work(self) -> None:
        tasks = [self.grow, self.fill, self.prune, self.weed, self.move, self.swap]
        for _ in range(self.random.randrange(1, 4)):
            self.random.choice([*tasks, self.rule, self.rule, self.found])()


@pytest.mark.parametrize(
    ("seed", "rounds"),
    [
        *((seed, 12) for seed in range(3)),
        *(
            pytest.param(seed, 500, marks=[pytest.mark.long, pytest.mark.timeout(600)])
            for seed in range(3, 6)
        ),
    ],
)
def test_a_refresh_finds_what_a_scan_finds(tmp_path: Path, seed: int, rounds: int) -> None:
    root = tmp_path / "root"
    root.mkdir()
    gardener = Gardener(root, seed)
    for _ in range(12):
        gardener.grow()
    index = ReplaceOnIndex(root, full_every=10**9, max_ignored_files=100_000)
    refreshed = 0
    for number in range(rounds):
        gardener.work()
        time.sleep(TICK_SECONDS)
        refreshed += not index.refresh().is_full
        index._check()
        scanned = ReplaceOnIndex(root, max_ignored_files=100_000)
        scanned.index()
        assert list(index) == list(scanned), f"round {number}"
        shown = index.snapshot().ignored
        missing = set(scanned.snapshot().ignored).symmetric_difference(shown)
        assert all(is_below_ignored(path, index) for path in missing), f"round {number}"
    assert refreshed > rounds / 2


def is_below_ignored(path: str, index: ReplaceOnIndex) -> bool:
    """Whether an ignored file lies in an ignored folder, which a refresh does not look into."""
    return index.snapshot().columns.folder_number(path[: path.rfind("/") + 1]) is None
