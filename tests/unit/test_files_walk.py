import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from trees import list_by, plant
from walks import paths, walk

from boundedcollections.files.tree import Tree

pytestmark = pytest.mark.usefixtures("every_reader")


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

    @pytest.mark.parametrize("ascii_names", [0, 100])  # in one block, or in several
    def test_odd_names_are_in_the_order_of_texts_though_bytes_have_another(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ascii_names: int
    ) -> None:
        odd = [
            os.fsdecode(b"\xff"),
            "\ue000",
            "\U0001f600",
            "\xe9",
            "e\u0301",
            "z",
            os.fsdecode(b"\x80"),
        ]
        assert sorted(odd) != [os.fsdecode(name) for name in sorted(map(os.fsencode, odd))]
        names = [*odd, *map(str, range(ascii_names))]
        plant(tmp_path, *names, *(f"{name}-/{inner}" for name in odd for inner in names))
        expected = sorted([*names, *(f"{name}-/{inner}" for name in odd for inner in names)])
        assert paths(walk(tmp_path)) == expected
        monkeypatch.setattr("boundedcollections.files.sorting._PIECE", 5)
        assert paths(walk(tmp_path)) == expected

    def test_always_skipped_names_are_left_out_everywhere(self, tmp_path: Path) -> None:
        plant(tmp_path, ".git/config", "a/.git", "a/node_modules/x", "node_modules/y", "kept")
        plant(tmp_path, "ü/\udcff")
        found = walk(tmp_path, skip=frozenset({".git", "node_modules", "\udcff"}))
        assert paths(found) == ["kept"]
        assert found.skipped == 5
        assert found.ignored == ()


class TestIgnoreRules:
    def test_an_ignored_folder_is_not_entered(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        plant(tmp_path, "build/deep/x", "src/y")
        (tmp_path / ".gitignore").write_text("build/\n")
        entered = []
        scandir = os.scandir

        def spy(path: bytes) -> Iterator[os.DirEntry[bytes]]:
            entered.append(os.path.relpath(os.fsdecode(path), tmp_path))
            return scandir(path)

        list_by(monkeypatch, spy)
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

        def gone(path: bytes) -> Iterator[os.DirEntry[bytes]]:
            if path.endswith(b"bad/"):
                raise FileNotFoundError(errno.ENOENT, "gone", path)
            return scandir(path)

        list_by(monkeypatch, gone)
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

    def test_an_ignored_folder_counts_once_whatever_is_in_it(self, tmp_path: Path) -> None:
        plant(tmp_path, "out/x", "a")
        os.mkfifo(tmp_path / "out" / "pipe")
        (tmp_path / ".gitignore").write_text("out/\n")
        found = walk(tmp_path)
        assert (found.ignored, found.skipped) == (("out/x",), 1)


def test_a_folder_knows_its_path_and_holds_nothing_yet() -> None:
    tree = Tree()
    (folder,) = tree.add([b"src/"])
    assert (tree.path(folder), tree.blocks(folder), tree.folders(folder)) == ("src/", [], [])
