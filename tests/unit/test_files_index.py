import errno
import os
import shutil
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from trees import Gate, gated_project, in_thread, list_by, plant

from boundedcollections import KiB
from boundedcollections.files.index import ReplaceOnIndex
from boundedcollections.files.snapshot import IndexReport
from boundedcollections.testing import FakeClock


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return plant(tmp_path, "a", "b/c", "b/d.py")


@pytest.fixture
def gated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Gate, Path]]:
    with gated_project(tmp_path, monkeypatch) as gate_and_root:
        yield gate_and_root


class TestScans:
    def test_a_scan_finds_what_is_there(self, root: Path) -> None:
        index = ReplaceOnIndex(root)
        report = index.index()
        assert list(index) == ["a", "b/c", "b/d.py"]
        assert "b/c" in index
        assert report == IndexReport(
            files=3,
            directories=2,
            bytes=index.current_bytes,
            ignored_files=0,
            skipped=0,
            truncated=(),
            errors=0,
            seconds=report.seconds,
        )

    def test_before_the_first_scan_it_is_empty(self, root: Path) -> None:
        index = ReplaceOnIndex(root)
        assert (len(index), list(index), "a" in index) == (0, [], False)
        index._check()

    def test_a_scan_replaces_and_never_accumulates(self, root: Path) -> None:
        index = ReplaceOnIndex(root)
        figures = {replace(index.index(), seconds=0) for _ in range(5)}
        assert len(figures) == 1
        (root / "a").unlink()
        shutil.rmtree(root / "b")
        plant(root, "new")
        index.index()
        assert list(index) == ["new"]
        assert index.statistics().files == 1

    def test_ignore_rules_are_read_from_zero_each_time(self, root: Path) -> None:
        index = ReplaceOnIndex(root)
        (root / ".gitignore").write_text("*.py\n")
        index.index()
        assert "b/d.py" not in index
        (root / ".gitignore").write_text("a\n")
        index.index()
        assert list(index) == [".gitignore", "b/c", "b/d.py"]
        (root / ".gitignore").unlink()
        index.index()
        assert list(index) == ["a", "b/c", "b/d.py"]

    def test_a_snapshot_stays_what_it_was(self, root: Path) -> None:
        index = ReplaceOnIndex(root)
        index.index()
        before = index.snapshot()
        (root / "a").unlink()
        index.index()
        assert list(before) == ["a", "b/c", "b/d.py"]
        assert (before.generation, index.snapshot().generation) == (1, 2)

    def test_the_old_snapshot_is_let_go(self, root: Path) -> None:
        index = ReplaceOnIndex(root)
        index.index()
        old = weakref.ref(index.snapshot())
        index.index()
        assert old() is None

    def test_seconds_and_age_are_those_of_the_clock(self, root: Path) -> None:
        clock = FakeClock()
        index = ReplaceOnIndex(root, clock=clock)
        assert index.statistics().age_seconds is None
        index.index()
        clock.advance(7)
        statistics = index.statistics()
        assert statistics.age_seconds == 7
        assert statistics.report is not None
        assert statistics.report.seconds == 0

    def test_a_relative_root_stays_where_it_was(
        self, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(root.parent)
        index = ReplaceOnIndex(root.name)
        monkeypatch.chdir("/")
        assert index.index().files == 3
        assert index.root == root

    def test_a_root_may_be_a_link_and_may_be_replaced(self, root: Path, tmp_path: Path) -> None:
        other = plant(tmp_path / "b" / "other", "x")
        link = tmp_path.parent / f"{tmp_path.name}-link"
        link.symlink_to(root / "b")
        index = ReplaceOnIndex(link)
        index.index()
        assert list(index) == ["c", "d.py", "other/x"]
        link.unlink()
        link.symlink_to(other)
        index.index()
        assert list(index) == ["x"]
        link.unlink()


class TestFailures:
    def test_a_failed_scan_keeps_the_old_snapshot_and_says_so(self, tmp_path: Path) -> None:
        root = plant(tmp_path / "root", "a")
        index = ReplaceOnIndex(root)
        index.index()
        root.rename(tmp_path / "elsewhere")
        with pytest.raises(FileNotFoundError):
            index.index()
        statistics = index.statistics()
        assert list(index) == ["a"]
        assert (statistics.scans, statistics.failed_scans, statistics.generation) == (2, 1, 1)
        assert statistics.last_error == f"No such file or directory: {root}/"
        (tmp_path / "elsewhere").rename(root)
        index.index()
        assert index.statistics().last_error is None
        assert index.statistics().failed_scans == 1

    def test_a_failing_disk_does_not_empty_the_index(
        self, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        index = ReplaceOnIndex(root)
        index.index()
        scandir = os.scandir
        reason = errno.EIO

        def fail(path: bytes) -> Any:
            if path.endswith(b"/b/"):
                raise OSError(reason, "bad")
            return scandir(path)

        list_by(monkeypatch, fail)
        with pytest.raises(OSError, match="2 of 3 known files are out of reach"):
            index.index()
        assert len(index) == 3
        reason = errno.EACCES  # but who may not read a folder any more may not open its files
        assert index.index().errors == 1
        assert list(index) == ["a"]
        reason = errno.EIO  # and a small loss is believed
        assert index.index().errors == 1

    def test_a_root_that_becomes_too_broad_is_refused(self, tmp_path: Path) -> None:
        root = tmp_path / "root"
        plant(root, "a")
        index = ReplaceOnIndex(root)
        index.index()
        shutil.rmtree(root)
        root.symlink_to("/")
        with pytest.raises(PermissionError, match="too broad"):
            index.index()
        assert list(index) == ["a"]

    def test_an_error_of_another_kind_is_passed_on(
        self, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        index = ReplaceOnIndex(root)
        index.index()

        def fail(path: bytes) -> Any:
            raise MemoryError

        list_by(monkeypatch, fail)
        with pytest.raises(MemoryError):
            index.index()
        monkeypatch.undo()
        assert len(index) == 3
        assert index.index().files == 3

    def test_an_error_does_not_hold_on_to_the_walk(
        self, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        index = ReplaceOnIndex(root)

        def fail(path: bytes) -> Any:
            raise OSError(errno.EIO, "bad", path)

        list_by(monkeypatch, fail)
        with pytest.raises(OSError, match="bad") as caught:
            index.index()
        assert index.current_bytes == index.snapshot().bytes  # no walk is counted any more
        assert caught.value.filename == f"{root}/"


class TestArguments:
    @pytest.mark.parametrize(
        ("options", "error", "message"),
        [
            ({"max_files": 0}, ValueError, "max_files must be an integer of at least 1, got 0"),
            ({"max_bytes": 65_535}, ValueError, "max_bytes must be .* at least 65536, got 65535"),
            ({"max_directories": -1}, ValueError, "max_directories"),
            ({"max_depth": 0}, ValueError, "max_depth"),
            ({"max_seconds": 0}, ValueError, "max_seconds"),
            ({"max_ignored_files": -1}, ValueError, "max_ignored_files"),
            ({"max_files": None}, TypeError, "max_files"),
            ({"always_skip": ["a/b"]}, ValueError, "always_skip .* got 'a/b'"),
            ({"always_skip": [""]}, ValueError, "always_skip .* got ''"),
            ({"always_skip": [b"a"]}, TypeError, "always_skip must be names, got b'a'"),
            ({"on_index": 3}, TypeError, "listener"),
        ],
    )
    def test_a_wrong_argument_is_refused_with_its_value(
        self, root: Path, options: dict[str, Any], error: type[Exception], message: str
    ) -> None:
        with pytest.raises(error, match=message):
            ReplaceOnIndex(root, **options)

    def test_the_root_must_be_text(self, root: Path) -> None:
        with pytest.raises(TypeError, match="root must be a text"):
            ReplaceOnIndex(os.fsencode(root))  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            ReplaceOnIndex(3)  # type: ignore[arg-type]

    def test_one_name_to_skip_may_be_given_alone(self, root: Path) -> None:
        index = ReplaceOnIndex(root, always_skip="b")
        index.index()
        assert list(index) == ["a"]

    def test_a_broad_root_is_refused_unless_it_is_meant(
        self, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HOME", str(root / "b"))
        for broad in ("/", root, root / "b", root.parent, root / "b" / ".." / "b"):
            with pytest.raises(ValueError, match="allow_broad_root"):
                ReplaceOnIndex(broad)
        index = ReplaceOnIndex(root, allow_broad_root=True)
        assert index.index().files == 3
        plant(root, "b/project/x")
        assert ReplaceOnIndex(root / "b" / "project").index().files == 1

    def test_without_a_home_only_the_top_is_too_broad(
        self, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def no_home() -> Path:
            raise RuntimeError

        monkeypatch.setattr(Path, "home", no_home)
        assert ReplaceOnIndex(root).index().files == 3
        with pytest.raises(ValueError, match="allow_broad_root"):
            ReplaceOnIndex("/")

    def test_the_figures_are_shown(self, root: Path) -> None:
        index = ReplaceOnIndex(root, max_files=10, max_bytes=64 * KiB, name="docs")
        index.index()
        held = index.current_bytes
        assert repr(index) == f"<ReplaceOnIndex 'docs' 3/10 files, {held}/65536 bytes>"
        assert (index.max_files, index.max_bytes) == (10, 65_536)
        statistics = index.statistics()
        assert (statistics.max_files, statistics.max_bytes) == (10, 65_536)
        assert statistics.current_bytes == held <= statistics.peak_bytes == index.peak_bytes


class TestBytes:
    @pytest.mark.parametrize("max_bytes", [64 * KiB, 80 * KiB, 100 * KiB])
    def test_old_and_new_and_the_walk_between_them_stay_within_max_bytes(
        self, tmp_path: Path, max_bytes: int
    ) -> None:
        plant(tmp_path, *(f"d{a}/a-name-of-some-length-{b}" for a in range(30) for b in range(40)))
        index = ReplaceOnIndex(tmp_path, max_bytes=max_bytes)
        for _ in range(3):
            assert index.index().truncated == ("max_bytes",)
            assert index.search("name")
            assert 0 < index.current_bytes <= max_bytes / 2
            index._check()
        assert max_bytes / 3 < index.peak_bytes <= max_bytes

    def test_a_walk_under_way_is_counted(self, gated: tuple[Gate, Path]) -> None:
        gate, root = gated
        index = ReplaceOnIndex(root)
        thread = in_thread(index.index)
        gate.entered.acquire()
        assert index.current_bytes > index.snapshot().bytes
        gate.open()
        thread.join()
        assert index.current_bytes == index.snapshot().bytes
