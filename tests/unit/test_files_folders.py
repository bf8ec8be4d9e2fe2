"""Both forms of what a walk asks about a folder: compiled, where there is a build, and in Python."""

import errno
import gc
import importlib.util
import os
import random
import socket
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from trees import plant

from boundedcollections.files import folders
from boundedcollections.files.stamps import AT_ANY_TIME
from boundedcollections.testing import assert_no_growth

PLENTY = 1 << 40


def open_descriptors() -> int:
    return sum(1 for _ in Path("/dev/fd").iterdir())


def listed(folder: Path, most: int = PLENTY) -> tuple[list[str], list[str]] | None:
    """Return the names of the files and the folders; None if there is anything unusual."""
    found = folders.list_folder(os.fsencode(f"{folder}/"), most)
    if found is None:
        return None
    block, count, names = found
    files = block.split(b"\0")[1:]
    assert files == sorted(files)
    assert len(files) == count == block.count(b"\0")
    return list(map(os.fsdecode, files)), sorted(map(os.fsdecode, names))


@pytest.mark.usefixtures("every_reader")
class TestListing:
    def test_files_and_folders_are_told_apart(self, tmp_path: Path) -> None:
        plant(tmp_path, "b", "a", "B", ".hidden", "src/x", "..more/x", "-/x")
        assert listed(tmp_path) == ([".hidden", "B", "a", "b"], ["-", "..more", "src"])

    def test_an_empty_folder_is_nothing_unusual(self, tmp_path: Path) -> None:
        assert listed(tmp_path) == ([], [])
        (tmp_path / "inner").mkdir()
        assert listed(tmp_path, 1) == ([], ["inner"])

    def test_links_are_files_wherever_they_lead(self, tmp_path: Path) -> None:
        plant(tmp_path, "src/x")
        for name, target in {"to-folder": "src", "to-nothing": "gone", "loop": "loop"}.items():
            (tmp_path / name).symlink_to(target)
        assert listed(tmp_path) == (["loop", "to-folder", "to-nothing"], ["src"])

    def test_names_of_any_bytes_are_listed_in_the_order_of_bytes(self, tmp_path: Path) -> None:
        names = [
            b"\xff",
            b"\xc3\xa9",
            b"\n",
            b" ",
            b"\x01",
            b"\x80",
            b"e\xcc\x81",
            b"~",
            b"x" * 255,
        ]
        for name in names:
            (tmp_path / os.fsdecode(name)).touch()
        assert listed(tmp_path) == (list(map(os.fsdecode, sorted(names))), [])

    def test_many_long_names_are_listed(self, tmp_path: Path) -> None:
        names = [f"{number:0250}" for number in random.Random(3).sample(range(10**6), 700)]
        for name in names:
            (tmp_path / name).touch()
            (tmp_path / f"{name}.d").mkdir()
        assert listed(tmp_path) == (sorted(names), sorted(f"{name}.d" for name in names))

    @pytest.mark.parametrize("kind", ["pipe", "socket"])
    def test_other_things_are_unusual(self, tmp_path: Path, kind: str) -> None:
        plant(tmp_path, "a")
        if kind == "pipe":
            os.mkfifo(tmp_path / "pipe")
        else:
            with socket.socket(socket.AF_UNIX) as bound, pytest.MonkeyPatch.context() as patch:
                patch.chdir(tmp_path)  # the path of a socket may not be long
                bound.bind("socket")
        assert listed(tmp_path) is None

    def test_more_entries_than_wanted_are_unusual(self, tmp_path: Path) -> None:
        plant(tmp_path, "a", "b", "c/d")
        assert listed(tmp_path, 3) == (["a", "b"], ["c"])
        assert listed(tmp_path, 2) is listed(tmp_path, 0) is None

    def test_what_cannot_be_opened_is_unusual(self, tmp_path: Path) -> None:
        plant(tmp_path, "file")
        assert listed(tmp_path / "gone") is listed(tmp_path / "file") is None
        assert listed(tmp_path / ("x" * 300)) is None

    def test_a_path_with_a_nul_is_refused(self) -> None:
        with pytest.raises(ValueError, match="embedded null"):
            folders.list_folder(b"a\0b", 3)

    def test_nothing_is_left_behind(self, tmp_path: Path) -> None:
        plant(tmp_path / "usual", "a" * 200, "b/c")
        plant(tmp_path / "large", *map(str, range(40)))
        os.mkfifo(tmp_path / "usual" / "b" / "pipe")
        before = open_descriptors()

        def operation() -> None:
            for name, most in {"usual": 9, "usual/b": 9, "large": 30, "gone": 9}.items():
                listed(tmp_path / name, most)
                folders.stamp_of(os.fsencode(tmp_path), AT_ANY_TIME)

        assert_no_growth(operation, operations=600)
        tracemalloc.start()
        try:
            for _ in range(500):
                operation()
            assert tracemalloc.get_traced_memory()[0] < 50_000  # other threads allocate, too
        finally:
            tracemalloc.stop()
        gc.collect()
        assert open_descriptors() == before


AUDIT = """
import sys
from boundedcollections.files import folders
told = []
sys.addaudithook(lambda event, arguments: event == "os.scandir" and told.append(arguments[0]))
for list_folder in folders.list_folder, folders.list_folder_in_python:
    list_folder(b".", 9)
assert told == [b".", b"."], told
"""


def test_whoever_audits_is_told() -> None:
    subprocess.run([sys.executable, "-c", AUDIT], check=True)  # a hook stays for good


@pytest.mark.usefixtures("every_reader")
class TestStamps:
    def test_it_changes_with_what_is_in_the_folder(self, tmp_path: Path) -> None:
        path = os.fsencode(tmp_path)
        before = folders.stamp_of(path, AT_ANY_TIME)
        assert before == folders.stamp_of(path, AT_ANY_TIME) != 0
        time.sleep(0.02)  # so coarse are the clocks of file systems
        plant(tmp_path, "new")
        assert folders.stamp_of(path, AT_ANY_TIME) != before

    def test_another_folder_in_its_place_has_another_one(self, tmp_path: Path) -> None:
        one, other = tmp_path / "one", tmp_path / "other"
        for folder in one, other:
            folder.mkdir()
            os.utime(folder, (1, 1))
        stamp = folders.stamp_of(os.fsencode(one), AT_ANY_TIME)
        one.rename(tmp_path / "gone")
        other.rename(one)
        assert folders.stamp_of(os.fsencode(one), AT_ANY_TIME) != stamp

    def test_what_has_changed_after_it_counted_as_settled_has_none(self, tmp_path: Path) -> None:
        file = plant(tmp_path, "a") / "a"
        path, changed = os.fsencode(file), file.stat().st_ctime_ns
        assert folders.stamp_of(path, changed) == folders.stamp_of(path, AT_ANY_TIME)
        assert folders.stamp_of(path, changed - 1) == 0
        os.utime(path, (1, 1))  # which is a change of its own
        assert folders.stamp_of(path, changed - 1) == 0
        os.utime(path, ns=(changed + 10**12, changed + 10**12))  # a time that is still to come
        assert folders.stamp_of(path, changed + 10**11) == 0

    def test_times_before_the_epoch_are_times(self, tmp_path: Path) -> None:
        os.utime(tmp_path, ns=(-(10**18), -(10**18)))
        assert folders.stamp_of(os.fsencode(tmp_path), AT_ANY_TIME) != 0

    def test_what_is_gone_is_an_error_with_its_name(self, tmp_path: Path) -> None:
        path = os.fsencode(tmp_path / "gone")
        with pytest.raises(FileNotFoundError) as caught:
            folders.stamp_of(path, AT_ANY_TIME)
        assert caught.value.errno == errno.ENOENT
        assert os.fsencode(caught.value.filename) == path


class TestForms:
    def fresh(self) -> ModuleType:
        """Run the module once more, beside the one that everybody uses."""
        spec = importlib.util.find_spec(folders.__name__)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    def test_the_form_in_python_can_be_asked_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("BOUNDEDCOLLECTIONS_PURE", "1")
        plain = self.fresh()
        assert plain.list_folder is plain.list_folder_in_python
        assert plain.stamp_of is plain.stamp_of_in_python

    def test_it_runs_where_there_is_no_other(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("BOUNDEDCOLLECTIONS_PURE", raising=False)
        monkeypatch.delattr("boundedcollections.files._folders", raising=False)
        monkeypatch.setitem(sys.modules, "boundedcollections.files._folders", None)
        plain = self.fresh()
        assert plain.list_folder is plain.list_folder_in_python

    def test_the_compiled_form_is_taken_where_it_is(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("BOUNDEDCOLLECTIONS_PURE", raising=False)
        stand_in = SimpleNamespace(list_folder=len, stamp_of=max)
        monkeypatch.setattr("boundedcollections.files._folders", stand_in, raising=False)
        monkeypatch.setitem(sys.modules, "boundedcollections.files._folders", stand_in)
        fast = self.fresh()
        assert (fast.list_folder, fast.stamp_of) == (len, max)
