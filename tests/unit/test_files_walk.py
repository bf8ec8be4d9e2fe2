import errno
import gc
import os
import socket
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self, cast

import pytest

from boundedcollections import Closed
from boundedcollections.files.columns import Columns
from boundedcollections.files.tree import Bounds, Folder, Found
from boundedcollections.files.walk import Walk
from boundedcollections.testing import FakeClock


def plant(root: Path, *paths: str) -> Path:
    for path in paths:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return root


def bounds(**limits: Any) -> Bounds:
    usual: dict[str, Any] = {
        "max_files": 10_000,
        "max_bytes": 10_000_000,
        "max_directories": 1_000,
        "max_depth": 100,
        "max_seconds": 1_000.0,
        "max_ignored_files": 100,
    }
    return Bounds(**(usual | limits))


def walk(
    root: Path,
    *,
    skip: frozenset[str] = frozenset({".git"}),
    use_gitignore: bool = True,
    clock: Callable[[], float] = time.monotonic,
    is_stopped: Callable[[], bool] = lambda: False,
    **limits: Any,
) -> Found:
    one = Walk(
        str(root),
        bounds(**limits),
        skip=skip,
        use_gitignore=use_gitignore,
        clock=clock,
        is_stopped=is_stopped,
    )
    found = one.run()
    columns = Columns(found.root)
    columns.check()
    assert columns.bytes <= one.bytes <= bounds(**limits).max_bytes
    assert columns.files == found.files
    return found._replace(root=cast("Any", columns))  # which have taken the tree to pieces


def paths(found: Found) -> list[str]:
    return list(cast("Columns", found.root).paths(0))


class TestWhatIsFound:
    def test_paths_are_relative_and_in_the_order_of_sorted(self, tmp_path: Path) -> None:
        names = ["a", "a-b/c", "a.txt", "aa/b", "b/c/d", "b/c.x", "b/cc", "b/c-/d", "z", ".x/y"]
        names.remove("a")
        found = walk(plant(tmp_path, *names, "a/x"))
        assert paths(found) == sorted([*names, "a/x"])
        assert (found.files, found.directories, found.errors, found.truncated) == (10, 8, 0, ())

    def test_an_empty_tree_has_no_files(self, tmp_path: Path) -> None:
        found = walk(tmp_path)
        assert paths(found) == []
        assert found.directories == 1

    def test_a_folder_with_thousands_of_files_is_read_in_batches(self, tmp_path: Path) -> None:
        names = [f"big/{number:05}" for number in range(2_500)]
        found = walk(plant(tmp_path, *names, "big/sub/x", "big/.gitignore"))
        assert paths(found) == sorted([*names, "big/sub/x", "big/.gitignore"])

    def test_a_great_many_names_are_sorted_in_pieces(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("boundedcollections.files.sorting._PIECE", 10)
        names = [f"{number * 7 % 101}" for number in range(101)]
        found = walk(plant(tmp_path, *names, *(f"d{name}/x" for name in names)))
        assert paths(found) == sorted([*names, *(f"d{name}/x" for name in names)])

    def test_rules_hold_for_a_folder_of_many_batches_wherever_its_ignore_file_is_listed(
        self, tmp_path: Path
    ) -> None:
        plant(tmp_path, *(f"{number}.log" for number in range(1_500)), "kept")
        plant(tmp_path, *(f"d{number}/x" for number in range(10)))
        (tmp_path / ".gitignore").write_text("*.log\nd?/\n")
        found = walk(tmp_path)
        assert paths(found) == [".gitignore", "kept"]
        assert found.skipped == 1_510

    def test_links_are_files_and_never_followed(self, tmp_path: Path) -> None:
        plant(tmp_path, "real/file")
        (tmp_path / "to-file").symlink_to("real/file")
        (tmp_path / "to-folder").symlink_to("real")
        (tmp_path / "nowhere").symlink_to("missing")
        (tmp_path / "self").symlink_to("self")
        (tmp_path / "real" / "up").symlink_to("..")
        assert paths(walk(tmp_path)) == [
            *("nowhere", "real/file", "real/up", "self", "to-file", "to-folder")
        ]

    def test_what_is_neither_file_nor_folder_is_skipped(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        plant(tmp_path, "file")
        os.mkfifo(tmp_path / "pipe")
        monkeypatch.chdir(tmp_path)  # the path of a socket has to be short
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("socket")
            found = walk(tmp_path)
        assert paths(found) == ["file"]
        assert found.skipped == 2

    @pytest.mark.parametrize(
        "name",
        [
            b"not-utf-8-\xff\xfe",
            b"new\nline",
            b"tab\tand\rreturn",
            b"-leading",
            b"x" * 255,
            "é".encode(),  # composed
            "e\u0301".encode(),  # decomposed
            "\u202egnp.exe".encode(),  # shown from right to left
            b" ",
            b"\\",
            b"a\x01b",
        ],
    )
    def test_odd_names_come_back_as_they_are(self, tmp_path: Path, name: bytes) -> None:
        plant(tmp_path, f"{os.fsdecode(name)}/{os.fsdecode(name)}")
        (found,) = paths(walk(tmp_path))
        assert os.fsencode(found) == name + b"/" + name

    def test_always_skipped_names_are_left_out_everywhere(self, tmp_path: Path) -> None:
        plant(tmp_path, ".git/config", "a/.git", "a/node_modules/x", "node_modules/y", "kept")
        found = walk(tmp_path, skip=frozenset({".git", "node_modules"}))
        assert paths(found) == ["kept"]
        assert found.skipped == 4
        assert found.ignored == ()


class TestIgnoreRules:
    def test_an_ignored_folder_is_not_entered(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        plant(tmp_path, "build/deep/x", "src/y")
        (tmp_path / ".gitignore").write_text("build/\n")
        entered = []
        scandir = os.scandir

        def spy(path: str) -> Iterator[os.DirEntry[str]]:
            entered.append(os.path.relpath(path, tmp_path))
            return scandir(path)

        monkeypatch.setattr(os, "scandir", spy)
        assert paths(walk(tmp_path, max_ignored_files=0)) == [".gitignore", "src/y"]
        assert entered == [".", "src"]

    def test_without_them_everything_is_found(self, tmp_path: Path) -> None:
        plant(tmp_path, "a.log")
        (tmp_path / ".gitignore").write_text("*.log")
        assert paths(walk(tmp_path, use_gitignore=False)) == [".gitignore", "a.log"]

    def test_an_ignore_file_that_cannot_be_read_is_an_error(self, tmp_path: Path) -> None:
        (tmp_path / ".gitignore").symlink_to("missing")
        found = walk(plant(tmp_path, "a"))
        assert paths(found) == [".gitignore", "a"]
        assert found.errors == 1

    def test_ignored_files_are_remembered_apart_the_shallow_ones_first(
        self, tmp_path: Path
    ) -> None:
        plant(tmp_path, "src/a.log", "top.log", "out/one", "out/deep/two", "out/deep/er/three")
        plant(tmp_path, "out/.git/hidden", "src/b.py")
        (tmp_path / ".gitignore").write_text("*.log\nout/\n")
        assert walk(tmp_path).ignored == (
            *("out/deep/er/three", "out/deep/two", "out/one", "src/a.log", "top.log"),
        )
        assert walk(tmp_path, max_ignored_files=3).ignored == ("out/one", "src/a.log", "top.log")
        assert walk(tmp_path, max_ignored_files=0).ignored == ()
        assert walk(tmp_path, max_depth=2).ignored == ("out/one", "src/a.log", "top.log")

    def test_remembering_never_truncates_and_survives_what_is_gone(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        plant(tmp_path, "out/one", "bad/two", "a.log")
        (tmp_path / ".gitignore").write_text("*.log\nout/\nbad/\n")
        scandir = os.scandir

        def gone(path: str) -> Iterator[os.DirEntry[str]]:
            if path.endswith("bad"):
                raise FileNotFoundError(errno.ENOENT, "gone", path)
            return scandir(path)

        monkeypatch.setattr(os, "scandir", gone)
        found = walk(tmp_path)
        assert found.ignored == ("a.log", "out/one")
        assert (found.truncated, found.errors, found.skipped) == ((), 0, 3)

    def test_remembering_ends_with_the_time(self, tmp_path: Path) -> None:
        plant(tmp_path, "out/one", "a.log")
        (tmp_path / ".gitignore").write_text("*.log\nout/\n")
        readings = iter([0.0, 1.0, 99.0])  # at the beginning, before the root, before ``out``
        found = walk(tmp_path, clock=lambda: next(readings), max_seconds=10.0)
        assert found.ignored == ("a.log",)
        assert found.truncated == ()


class TestBounds:
    def test_shallow_files_survive_max_files(self, tmp_path: Path) -> None:
        plant(tmp_path, *(f"a/deep/{n}" for n in range(50)), "a/x", "b/y", "c/d/z", "top")
        found = walk(tmp_path, max_files=3)
        assert paths(found) == ["a/x", "b/y", "top"]
        assert found.truncated == ("max_files",)

    def test_exactly_max_files_is_not_too_many(self, tmp_path: Path) -> None:
        found = walk(plant(tmp_path, "a", "b/c"), max_files=2)
        assert paths(found) == ["a", "b/c"]
        assert found.truncated == ()

    def test_a_folder_that_is_too_large_keeps_its_first_files(self, tmp_path: Path) -> None:
        found = walk(plant(tmp_path, "c", "a", "b"), max_files=2)
        assert paths(found) == ["a", "b"]
        assert found.truncated == ("max_files",)

    def test_a_huge_folder_is_not_read_to_its_end(self, tmp_path: Path) -> None:
        plant(tmp_path, *(f"{n}" for n in range(3_500)))
        read = Counting(os.scandir)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "scandir", read)
            found = walk(tmp_path, max_files=10, use_gitignore=False)
        assert len(paths(found)) == 10
        assert found.truncated == ("max_files",)
        assert read.entries <= 2_048

    def test_ignored_files_do_not_count_against_max_files(self, tmp_path: Path) -> None:
        plant(tmp_path, *(f"{n}.log" for n in range(2_100)), "kept")
        (tmp_path / ".gitignore").write_text("*.log\n")
        found = walk(tmp_path, max_files=2)
        assert paths(found) == [".gitignore", "kept"]
        assert found.truncated == ()

    @pytest.mark.parametrize("max_bytes", range(2_100, 6_000, 97))
    def test_max_bytes_holds_and_shallow_files_survive(
        self, tmp_path: Path, max_bytes: int
    ) -> None:
        plant(tmp_path, *(f"{n:03}-a-name-of-some-length" for n in range(30)))
        plant(tmp_path, *(f"a/b/c/{n}" for n in range(5)), "b/ü/ü")
        found = walk(tmp_path, max_bytes=max_bytes)  # which checks the bound itself
        listed = paths(found)
        if found.truncated:
            assert found.truncated == ("max_bytes",)
            depths = [path.count("/") for path in listed]
            assert "a/b/c/0" not in listed or depths.count(0) == 30
        else:
            assert len(listed) == 36

    def test_a_huge_folder_of_long_names_stops_at_max_bytes(self, tmp_path: Path) -> None:
        plant(tmp_path, *(f"{n:04}-{'x' * 200}" for n in range(3_000)))
        found = walk(tmp_path, max_bytes=300_000)
        assert found.truncated == ("max_bytes",)
        assert 900 < len(paths(found)) < 1_500

    def test_rules_that_are_too_large_stop_the_walk(self, tmp_path: Path) -> None:
        plant(tmp_path, "a")
        (tmp_path / ".gitignore").write_bytes(b"*x*\n" * 500)
        found = walk(tmp_path, max_bytes=20_000)
        assert found.truncated == ("max_bytes",)

    def test_the_same_rules_are_not_paid_twice(self, tmp_path: Path) -> None:
        plant(tmp_path, *(f"{n}/{n}/x" for n in range(50)))
        (tmp_path / ".gitignore").write_bytes(b"*y*\n" * 50)
        assert walk(tmp_path, max_bytes=120_000).truncated == ()

    def test_max_directories_holds(self, tmp_path: Path) -> None:
        plant(tmp_path, *(f"{n}/sub/x" for n in range(5)), "top")
        found = walk(tmp_path, max_directories=4)
        assert found.directories == 4
        assert paths(found) == ["top"]
        assert found.truncated == ("max_directories",)
        assert paths(walk(tmp_path, max_directories=7)) == ["0/sub/x", "top"]
        assert walk(tmp_path, max_directories=11).truncated == ()

    def test_folders_of_a_huge_folder_are_cut_while_it_is_read(self, tmp_path: Path) -> None:
        for number in range(2_100):
            (tmp_path / f"{number:04}").mkdir()
        found = walk(tmp_path, max_directories=3)
        assert found.directories == 3
        assert found.truncated == ("max_directories",)

    def test_max_depth_holds(self, tmp_path: Path) -> None:
        plant(tmp_path, "a", "b/c", "b/d/e")
        assert paths(walk(tmp_path, max_depth=1)) == ["a"]
        found = walk(tmp_path, max_depth=2)
        assert paths(found) == ["a", "b/c"]
        assert found.truncated == ("max_depth",)
        assert walk(tmp_path, max_depth=3).truncated == ()

    def test_more_than_one_bound_may_be_reached(self, tmp_path: Path) -> None:
        plant(tmp_path, "a/b/c", "a/d", "e/f")
        assert walk(tmp_path, max_depth=2, max_files=1).truncated == ("max_depth", "max_files")

    def test_max_seconds_keeps_what_was_found_by_then(self, tmp_path: Path) -> None:
        plant(tmp_path, "a", "b/c")
        readings = iter([0.0, 5.0, 10.0])
        found = walk(tmp_path, clock=lambda: next(readings), max_seconds=10.0)
        assert paths(found) == ["a"]
        assert found.truncated == ("max_seconds",)

    def test_max_seconds_holds_within_a_huge_folder(self, tmp_path: Path) -> None:
        plant(tmp_path, *(f"{n}" for n in range(4_000)))
        readings = iter([0.0, 5.0, 10.0])
        found = walk(tmp_path, clock=lambda: next(readings), max_seconds=10.0, use_gitignore=False)
        assert len(paths(found)) == 2_048
        assert found.truncated == ("max_seconds",)

    def test_what_is_found_takes_no_more_than_is_said(self, tmp_path: Path) -> None:
        plant(tmp_path, *(f"{a}/{b}/{c}.py" for a in "abcd" for b in range(20) for c in range(9)))
        plant(tmp_path, *(f"{'ü' * 60}{n}/日本語/x" for n in range(40)))
        walk(tmp_path)  # whatever is imported or cached along the way
        one = Walk(
            *(str(tmp_path), bounds()),
            skip=frozenset(),
            use_gitignore=False,
            clock=FakeClock(),
            is_stopped=lambda: False,
        )
        gc.collect()
        tracemalloc.start()
        try:
            found = one.run()
            gc.collect()
            taken, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert found.files == 760
        assert taken <= one.bytes <= 3 * taken

    def test_a_stopped_walk_is_abandoned(self, tmp_path: Path) -> None:
        answers = iter([False, True])
        with pytest.raises(Closed, match="stopped"):
            walk(plant(tmp_path, "a/b"), is_stopped=lambda: next(answers))


class Counting:
    """`os.scandir` that counts the entries it gives out."""

    def __init__(self, scandir: Callable[..., Any]) -> None:
        self._scandir = scandir
        self.entries = 0

    def __call__(self, path: str) -> Any:
        return Listing(self, self._scandir(path))


class Listing:
    """What `os.scandir` gives, with faults of its own."""

    def __init__(self, counting: Counting | None, entries: Any) -> None:
        self._counting = counting
        self._entries = entries

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._entries.close()

    def __iter__(self) -> "Listing":
        return self

    def __next__(self) -> Any:
        if self._counting is not None:
            self._counting.entries += 1
        return next(self._entries)


class Entry:
    """An entry of which the listing does not tell the kind; the call that would, fails."""

    def __init__(self, name: str, error: OSError | None) -> None:
        self.name = name
        self._error = error

    def is_file(self, *, follow_symlinks: bool) -> bool:
        if self._error is not None:
            raise self._error
        return True


class Faulty(Listing):
    def __init__(self, names: list[str | OSError]) -> None:
        self._names = iter(names)

    def __exit__(self, *_: object) -> None:
        pass

    def __next__(self) -> Any:
        name = next(self._names)
        if isinstance(name, OSError):
            return Entry("?", name)
        if name == "END":
            self._names = iter(())
            raise OSError(errno.EIO, "a bad block")
        return Entry(name, None)


def failing(monkeypatch: pytest.MonkeyPatch, name: str, error: OSError | Listing) -> None:
    scandir = os.scandir

    def fail(path: str) -> Any:
        if Path(path).name != name:
            return scandir(path)
        if isinstance(error, Listing):
            return error
        raise error

    monkeypatch.setattr(os, "scandir", fail)


class TestFailures:
    @pytest.mark.parametrize(
        ("code", "errors", "unreachable"),
        [
            (errno.EACCES, 1, ()),
            (errno.EPERM, 1, ()),
            (errno.ENAMETOOLONG, 1, ()),
            (errno.ENOENT, 0, ()),  # gone since its name was read: it is as if it never was
            (errno.ENOTDIR, 0, ()),
            (errno.EIO, 1, ("bad/",)),
            (errno.ESTALE, 1, ("bad/",)),
        ],
    )
    def test_a_folder_that_cannot_be_read_is_counted_and_the_walk_goes_on(
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        code: int,
        errors: int,
        unreachable: tuple[str, ...],
    ) -> None:
        plant(tmp_path, "a", "bad/b", "c/d")
        failing(monkeypatch, "bad", OSError(code, os.strerror(code)))
        found = walk(tmp_path)
        assert paths(found) == ["a", "c/d"]
        assert (found.errors, found.unreachable, found.directories) == (errors, unreachable, 2)

    @pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
    def test_a_forbidden_folder_is_counted(self, tmp_path: Path) -> None:
        plant(tmp_path, "a", "secret/b").joinpath("secret").chmod(0)
        found = walk(tmp_path)
        tmp_path.joinpath("secret").chmod(0o700)
        assert paths(found) == ["a"]
        assert found.errors == 1

    def test_a_root_that_cannot_be_read_fails_the_walk(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match="missing"):
            walk(tmp_path / "missing")
        with pytest.raises(NotADirectoryError):
            walk(plant(tmp_path, "file") / "file")

    @pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
    def test_a_process_without_resources_fails_the_walk(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
    ) -> None:
        failing(monkeypatch, "bad", OSError(code, "no more"))
        with pytest.raises(OSError, match="no more"):
            walk(plant(tmp_path, "bad/x"))

    def test_an_entry_that_cannot_be_told_is_counted_and_the_rest_is_kept(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        plant(tmp_path, "bad/x")
        failing(monkeypatch, "bad", Faulty(["a", OSError(errno.EACCES, "no"), "b"]))
        found = walk(tmp_path)
        assert paths(found) == ["bad/a", "bad/b"]
        assert (found.errors, found.unreachable) == (1, ())

    def test_an_entry_that_cannot_be_told_does_not_end_a_huge_folder(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        plant(tmp_path, "bad/x")
        names = [f"{n:04}" for n in range(2_000)]
        failing(monkeypatch, "bad", Faulty([OSError(errno.EIO, "bad"), *names]))
        found = walk(tmp_path)
        assert paths(found) == [f"bad/{name}" for name in names]
        assert found.errors == 1

    def test_a_listing_that_breaks_off_is_counted_and_what_was_read_is_kept(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        plant(tmp_path, "bad/x", "good/y")
        failing(monkeypatch, "bad", Faulty(["a", "END", "b"]))
        found = walk(tmp_path)
        assert paths(found) == ["bad/a", "good/y"]
        assert (found.errors, found.unreachable) == (1, ("bad/",))


def test_a_folder_knows_its_path_and_has_no_parts_yet() -> None:
    folder = Folder("src/")
    assert (folder.path, folder.parts) == ("src/", [])
