"""Files that hold the longest term of a query, and are looked at for the others."""

from pathlib import Path

import pytest
from trees import plant

from boundedcollections.files import limits
from boundedcollections.files.chosen import Chosen
from boundedcollections.files.index import ReplaceOnIndex
from boundedcollections.files.query import Query
from boundedcollections.files.standard import StandardEngine
from boundedcollections.files.tables import Tables


@pytest.fixture(autouse=True)
def _few_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_CHECKED", 5)


def chosen(folder: Path, query: str) -> Chosen:
    """Return what chooses from ten files that are called ``ab-0`` and so on."""
    index = ReplaceOnIndex(plant(folder, *(f"ab-{n}" for n in range(10))))
    index.index()
    tables = Tables(index.snapshot().columns, StandardEngine(), 1 << 20)
    return Chosen(tables, Query(query), 3)


def test_the_longest_term_comes_first_and_its_folders_are_told_apart(tmp_path: Path) -> None:
    one = chosen(tmp_path, "x Src/Äb")
    assert (one.main, one.others, one.text) == ("Src/Äb", ["x"], "src/äb")
    assert one.letters[: one.split] == b"src/"


def test_files_that_fail_are_looked_at_so_many_times(tmp_path: Path) -> None:
    one = chosen(tmp_path, "ab z")
    files = iter(range(10))
    one.add(files, 10)
    assert (list(one.files), one.incomplete, next(files)) == ([], True, 6)


def test_files_are_added_as_far_as_they_are_wanted(tmp_path: Path) -> None:
    one = chosen(tmp_path, "ab -")
    one.add(range(4), 4)
    assert (list(one.files), one.incomplete) == ([0, 1, 2, 3], False)
    one.add([3, 4, 5], 1)
    assert (list(one.files), one.incomplete) == ([0, 1, 2, 3, 4], True)


@pytest.mark.parametrize(("count", "is_incomplete"), [(5, False), (6, True)])
def test_the_shortest_are_looked_at_for_the_other_terms(
    tmp_path: Path, count: int, *, is_incomplete: bool
) -> None:
    one = chosen(tmp_path, "ab 4")
    one.add_shortest([(4, file) for file in range(count)], has_case=False)
    assert (list(one.files), one.incomplete) == ([4], is_incomplete)


def test_enough_that_begin_in_their_case_are_enough_however_many_do_in_another(
    tmp_path: Path,
) -> None:
    names = [
        *(f"AB{n}" for n in range(4)),
        *(f"ab{n}" for n in range(9)),
        "aAB",
        "Src/AB",
        "src/AB",
    ]
    index = ReplaceOnIndex(plant(tmp_path, *names))
    index.index()
    columns = index.snapshot().columns
    tables = Tables(columns, StandardEngine(), 1 << 20)
    numbers = {columns.path(file): file for file in range(columns.files)}

    def shortest(query: str, *paths: str) -> tuple[list[str], bool]:
        one = Chosen(tables, Query(query), 3)
        one.add_shortest([(1, numbers[path]) for path in paths], has_case=False)
        return [columns.path(file) for file in one.files], one.incomplete

    assert shortest("AB", "AB0", "AB1", "AB2", "AB3", "ab0", "ab1") == (
        ["AB0", "AB1", "AB2"],
        False,
    )
    assert shortest("AB", "AB0", "ab0", "aAB", "AB1") == (["AB0", "AB1"], False)
    assert shortest("AB", "AB0", *(f"ab{n}" for n in range(9))) == (["AB0"], True)
    assert shortest("Src/AB", "Src/AB", "src/AB") == (["Src/AB"], False)


@pytest.mark.parametrize(("has_case", "files"), [(True, [0, 1, 2]), (False, [])])
def test_a_term_is_looked_for_in_its_case_unless_it_was(
    tmp_path: Path, files: list[int], *, has_case: bool
) -> None:
    one = chosen(tmp_path, "AB")
    one.add_shortest([(4, file) for file in range(5)], has_case=has_case)
    assert list(one.files) == files
