"""Whatever happens to a tree, after a scan the index is what a plain model says."""

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from boundedcollections.files.index import ReplaceOnIndex
from boundedcollections.files.snapshot import IndexSnapshot

NAMES = st.sampled_from(["a", "a-", "b", "b.log", "c.log", "out", "ü", "z"])
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
LINES = st.lists(st.sampled_from(["*.log", "!b.log", "out/", "/a", "z"]), max_size=4)


def verdict(lines: list[str], path: str, *, is_folder: bool) -> bool:
    """What the few lines above mean, said in another way than the index does."""
    name = path.rpartition("/")[2]
    meanings = {
        "*.log": (name.endswith(".log"), True),
        "!b.log": (name == "b.log", False),
        "out/": (name == "out" and is_folder, True),
        "/a": (path == "a", True),
        "z": (name == "z", True),
    }
    matching = [meanings[line][1] for line in lines if meanings[line][0]]
    return bool(matching) and matching[-1]


def is_ignored(lines: list[str], path: str) -> bool:
    parts = path.split("/")
    folders = ["/".join(parts[:end]) for end in range(1, len(parts))]
    return any(verdict(lines, folder, is_folder=True) for folder in folders) or verdict(
        lines, path, is_folder=False
    )


def breadth_first(path: str) -> tuple[int, tuple[str, ...], str]:
    """Sort as a walk meets files: by level, then by folder, then by name."""
    *folders, name = path.split("/")
    return len(folders), tuple(f"{folder}/" for folder in folders), name


class Trees(RuleBasedStateMachine):
    @initialize(max_files=st.integers(1, 12), max_depth=st.integers(1, 5))
    def start(self, max_files: int, max_depth: int) -> None:
        self.place = Path(tempfile.mkdtemp())
        self.root = self.place / "root"
        self.root.mkdir()
        self.max_files, self.max_depth = max_files, max_depth
        self.index = ReplaceOnIndex(self.root, max_files=max_files, max_depth=max_depth)
        self.files: set[str] = set()
        self.lines: list[str] = []
        self.expected: list[str] = []
        self.held: list[tuple[IndexSnapshot, list[str]]] = []
        self.scans = self.failures = 0

    def teardown(self) -> None:
        shutil.rmtree(self.place)

    @rule(path=PATHS)
    def create(self, path: str) -> None:
        file = self.root / path
        if any((self.root / part).is_file() for part in (path, *map(str, Path(path).parents))):
            return
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
            self.files.add(path)

    @rule(path=PATHS)
    def delete(self, path: str) -> None:
        gone = self.root / path
        if gone.is_dir():
            shutil.rmtree(gone)
        elif gone.exists():
            gone.unlink()
        self.files = {f for f in self.files if f != path and not f.startswith(f"{path}/")}

    @rule(path=PATHS, name=NAMES)
    def rename(self, path: str, name: str) -> None:
        source, target = self.root / path, (self.root / path).with_name(name)
        if not source.exists() or target.exists():
            return
        source.rename(target)
        moved = str(target.relative_to(self.root))
        self.files = {
            moved + file[len(path) :] if file == path or file.startswith(f"{path}/") else file
            for file in self.files
        }

    @rule(lines=LINES)
    def write_rules(self, lines: list[str]) -> None:
        (self.root / ".gitignore").write_text("\n".join(lines))
        self.lines = lines
        self.files.add(".gitignore")

    @precondition(lambda self: ".gitignore" in self.files)
    @rule()
    def delete_rules(self) -> None:
        (self.root / ".gitignore").unlink()
        self.lines = []
        self.files.remove(".gitignore")

    @rule()
    def scan(self) -> None:
        report = self.index.index()
        self.scans += 1
        shown = sorted((f for f in self.files if not is_ignored(self.lines, f)), key=breadth_first)
        shallow = [file for file in shown if file.count("/") < self.max_depth]
        self.expected = sorted(shallow[: self.max_files])
        assert (report.files, report.errors) == (len(self.expected), 0)
        assert ("max_files" in report.truncated) == (len(shallow) > self.max_files)
        hidden = {
            file
            for file in self.files
            if is_ignored(self.lines, file) and file.count("/") < self.max_depth
        }
        if not report.truncated:
            assert set(self.index.snapshot().ignored) == hidden

    @rule()
    def fail(self) -> None:
        elsewhere = self.place / "elsewhere"
        self.root.rename(elsewhere)
        with pytest.raises(FileNotFoundError):
            self.index.index()
        elsewhere.rename(self.root)
        self.scans += 1
        self.failures += 1

    @rule()
    def hold(self) -> None:
        self.held.append((self.index.snapshot(), list(self.expected)))

    @rule(text=st.one_of(PATHS, NAMES))
    def look(self, text: str) -> None:
        assert list(self.index.prefix(text)) == [f for f in self.expected if f.startswith(text)]
        assert (text in self.index) == (text in self.expected)
        below = self.index.snapshot().below(f"{text}/")
        assert below == sum(file.startswith(f"{text}/") for file in self.expected)

    @invariant()
    def the_index_is_what_the_model_says(self) -> None:
        self.index._check()
        assert list(self.index) == self.expected
        statistics = self.index.statistics()
        assert (statistics.scans, statistics.failed_scans) == (self.scans, self.failures)
        for snapshot, expected in self.held:
            assert list(snapshot) == expected


TestTrees = Trees.TestCase
TestTrees.settings = settings(max_examples=150, stateful_step_count=25, deadline=None)
