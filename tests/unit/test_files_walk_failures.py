import errno
import os
from pathlib import Path
from typing import Any

import pytest
from trees import plant
from walks import Listing, paths, walk


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
