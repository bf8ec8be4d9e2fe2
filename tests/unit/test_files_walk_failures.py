import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from trees import list_by, plant
from walks import Listing, paths, walk

NOBODY = 65_534


class Entry:
    """An entry of which the listing does not tell the kind; the call that would, fails."""

    def __init__(self, name: str, error: OSError | None) -> None:
        self.name = os.fsencode(name)
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

    def fail(path: bytes) -> Any:
        if Path(os.fsdecode(path)).name != name:
            return scandir(path)
        if isinstance(error, Listing):
            return error
        raise error

    list_by(monkeypatch, fail)


def after_the_root(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Act once, when the first folder of a walk has been listed and before the next one is."""
    scandir = os.scandir
    listed = 0

    def spy(path: bytes) -> Any:
        nonlocal listed
        listed += 1
        if listed == 2:
            list_by(monkeypatch, scandir)
            act()
        return scandir(path)

    list_by(monkeypatch, spy)


@contextmanager
def as_somebody(place: str) -> Iterator[None]:
    """Own `place` and be no superuser, whom nothing is forbidden."""
    if os.geteuid() != 0:
        yield
        return
    os.chown(place, NOBODY, -1)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


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

    def test_a_folder_that_is_forbidden_during_the_walk_is_counted(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with tempfile.TemporaryDirectory() as place, as_somebody(place):
            root = plant(Path(place), "a", "b/c", "secret/d")
            after_the_root(monkeypatch, lambda: (root / "secret").chmod(0))
            found = walk(root)
            (root / "secret").chmod(0o700)
        assert paths(found) == ["a", "b/c"]
        assert (found.errors, found.unreachable, found.truncated) == (1, (), ())

    @pytest.mark.parametrize("becomes", ["nothing", "a file"])
    def test_a_folder_that_vanishes_during_the_walk_is_as_if_it_never_was(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, becomes: str
    ) -> None:
        plant(tmp_path, "a", "b/c", "gone/d/e")

        def replace() -> None:
            shutil.rmtree(tmp_path / "gone")
            if becomes == "a file":
                plant(tmp_path, "gone")

        after_the_root(monkeypatch, replace)
        found = walk(tmp_path)
        assert paths(found) == ["a", "b/c"]
        assert (found.errors, found.unreachable) == (0, ())

    def test_a_folder_that_becomes_a_loop_during_the_walk_is_gone_round_once(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        plant(tmp_path, "a", "b/c")

        def replace() -> None:
            shutil.rmtree(tmp_path / "b")
            (tmp_path / "b").symlink_to(".")

        after_the_root(monkeypatch, replace)
        assert paths(walk(tmp_path)) == ["a", "b/a", "b/b"]
        assert paths(walk(tmp_path)) == ["a", "b"]

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
        failing(monkeypatch, "bad", Faulty(["a", OSError(code, "no more either")]))
        with pytest.raises(OSError, match="no more either"):
            walk(tmp_path)

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
