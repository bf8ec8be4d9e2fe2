"""Files that are found by way of their folders, within limits."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from trees import plant

from boundedcollections.files import limits
from boundedcollections.files.across import AcrossFolders
from boundedcollections.files.chosen import Chosen
from boundedcollections.files.folder_hits import FolderHits
from boundedcollections.files.folder_table import FolderTable
from boundedcollections.files.index import ReplaceOnIndex
from boundedcollections.files.listings import FolderListings
from boundedcollections.files.name_hits import NameHits
from boundedcollections.files.query import Query
from boundedcollections.files.standard import StandardEngine
from boundedcollections.files.tables import Tables


def across(folder: Path, query: str, wanted: int = 10) -> tuple[AcrossFolders, Chosen]:
    """Return what finds files in five folders that hold four each."""
    plant(folder, *(f"x-ab-{n}/f{m}" for n in range(5) for m in range(4)))
    index = ReplaceOnIndex(folder)
    index.index()
    columns = index.snapshot().columns
    tables = Tables(columns, StandardEngine(), 1 << 20)
    chosen = Chosen(tables, Query(query), wanted)
    listings = FolderListings(tables)
    folders = FolderHits(tables, chosen, listings, {})
    return AcrossFolders(tables, chosen, listings, folders, NameHits(tables, chosen)), chosen


def chosen_paths(chosen: Chosen, folder: Path) -> list[str]:
    """Return the paths of the files that were chosen, in order."""
    index = ReplaceOnIndex(folder)
    index.index()
    return [index.snapshot()[file] for file in sorted(chosen.files)]


@pytest.mark.parametrize(("most", "files"), [(8, 8), (19, 16), (20, 20)])
def test_so_many_names_are_looked_at_in_folders_that_hold_the_query(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int, files: int
) -> None:
    monkeypatch.setattr(limits, "MOST_NAMES", most)
    search, chosen = across(tmp_path, "ab")
    search.add_folders(likely=True)
    assert (len(chosen.files), chosen.incomplete) == (files, files < 20)


def test_names_that_begin_with_the_end_count_among_those(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MOST_ENDS", 0)
    search, chosen = across(tmp_path, "xf")
    search.add_ends()
    found = len(chosen.files)
    monkeypatch.setattr(limits, "MOST_NAMES", 0)
    search, chosen = across(tmp_path, "xf")
    search.add_ends()
    assert (found, len(chosen.files)) == (limits.MOST_LISTED, 0)


def test_names_that_begin_with_the_end_are_in_folders_that_hold_the_beginning(
    tmp_path: Path,
) -> None:
    for query, files in ("xf", 20), ("zf", 0):
        search, chosen = across(tmp_path, query)
        search.add_ends()
        assert len(chosen.files) == files


def test_all_looks_at_names_together_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = ReplaceOnIndex(plant(tmp_path, *(f"ab{n}" for n in range(10))))
    index.index()
    monkeypatch.setattr(StandardEngine, "most_texts", 19)
    columns = index.snapshot().columns
    tables = Tables(columns, StandardEngine(), 1 << 20)
    chosen = Chosen(tables, Query("ab"), 10)
    hits = NameHits(tables, chosen)
    assert len(hits.of(b"ab", [range(10)]).numbers) == 10
    assert hits.of(b"ab", [range(10)]) == ([], True)
    assert len(hits.of(b"ab", [range(9)]).numbers) == 9  # for these there is time left
    assert chosen.incomplete


def test_the_name_of_each_number_is_one_name(tmp_path: Path) -> None:
    names = sorted(f"{n:02}" for n in range(70))  # more than one block
    index = ReplaceOnIndex(plant(tmp_path, *names))
    index.index()
    table = Tables(index.snapshot().columns, StandardEngine(), 1 << 20).names
    assert [table[number].decode() for number in range(len(table))] == names


@pytest.mark.parametrize("other", ["z", "ü"])
def test_a_listing_holds_what_begins_with_the_letters_or_has_them(
    tmp_path: Path, other: str
) -> None:
    index = ReplaceOnIndex(plant(tmp_path, "abc", "aXbc", "xabc", other))
    index.index()
    listings = FolderListings(Tables(index.snapshot().columns, StandardEngine(), 1 << 20))
    assert [name for _, _, name in listings.names(0, b"ab", at_start=True)] == [b"abc"]
    held = [(length, file, name) for length, file, name in listings.names(0, b"ab")]
    assert held == [(4, 0, b"axbc"), (3, 1, b"abc"), (4, 2, b"xabc")]
    assert len(list(listings.names(0))) == 4


@pytest.mark.parametrize(("query", "files"), [("ab/f", 5), ("ab/", 5), ("ab/1", 5)])
def test_folders_are_entered_until_more_names_begin_as_asked_than_are_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, query: str, files: int
) -> None:
    monkeypatch.setattr(limits, "MOST_CANDIDATES", 5)
    search, chosen = across(tmp_path, query, wanted=1)
    entered: list[int] = []
    blocks = FolderTable.blocks

    def noted(table: FolderTable, number: int) -> Sequence[int]:
        if number not in entered:
            entered.append(number)
        return blocks(table, number)

    monkeypatch.setattr(FolderTable, "blocks", noted)
    search.add_parted(likely=True)
    assert len(chosen.files) == files
    assert chosen.incomplete is (query != "ab/1")
    assert len(entered) == (5 if query == "ab/1" else 2)  # of those none begins with it


def test_a_folder_is_entered_once_for_the_same_letters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search, chosen = across(tmp_path, "x-ab/f")
    search.add_begun()
    assert len(chosen.files) == 20
    monkeypatch.setattr(FolderListings, "names", None)
    search.add_parted(likely=True)
    assert len(chosen.files) == 20


def test_of_a_large_folder_so_many_names_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = ReplaceOnIndex(plant(tmp_path, *(f"{n:03}{'-' * (3 - n // 50)}" for n in range(200))))
    index.index()
    listings = FolderListings(Tables(index.snapshot().columns, StandardEngine(), 1 << 20))
    assert listings.smallest(0, 2, 1_000) == [(3, 150), (3, 151)]
    assert listings.smallest(0, 2, 128) == [(4, 100), (4, 101)]


def test_a_large_folder_is_read_where_names_begin_as_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = [f"{word}{n:03}" for word in ("cab", "Cab", "CAB") for n in range(150)]
    others = [f"{letter}{n:03}" for letter in "ABDabdxz" for n in range(150)]
    index = ReplaceOnIndex(plant(tmp_path, *wanted, *others, *(f"é{n}" for n in range(9))))
    index.index()
    columns = index.snapshot().columns
    listings = FolderListings(Tables(columns, StandardEngine(), 1 << 20))

    def names(prefix: str) -> list[str]:
        found = listings.names(0, prefix.encode(), at_start=True)
        return sorted(columns.path(file) for _, file, _ in found)

    assert names("cab") == sorted(wanted)
    assert names("cab1") == sorted(name for name in wanted if name[3] == "1")
    assert (names("c"), names("cac"), names("0"), names("~")) == (sorted(wanted), [], [], [])
    monkeypatch.setattr(limits, "MOST_BLOCKS", 2)
    assert 3 <= len(names("cab")) <= 3 * 2 * 64
    assert names("é") == []  # too far behind
    monkeypatch.setattr(limits, "MOST_BLOCKS", 99)
    assert len(names("é")) == 9


def test_names_hold_what_is_behind_the_beginning_and_folders_the_rest(tmp_path: Path) -> None:
    plant(tmp_path, "merge/getRules.ts", "merge/other.ts", "m/getRules.ts", "x/mergerules.ts")
    search, chosen = across(tmp_path, "mergerules.ts")
    search.add_behind()
    columns = chosen_paths(chosen, tmp_path)
    assert columns == ["merge/getRules.ts", "x/mergerules.ts"]
    search.add_behind()  # in vain
    assert chosen_paths(chosen, tmp_path) == columns


def test_behind_a_slash_names_hold_the_rest(tmp_path: Path) -> None:
    plant(tmp_path, "src/ab.c", "s/r/c/abc", "sr/abc")
    search, chosen = across(tmp_path, "src/abc")
    search.add_behind()
    assert chosen_paths(chosen, tmp_path) == ["s/r/c/abc", "src/ab.c"]
    for query in "a", "src/", "src/ab", "bc":
        search, chosen = across(tmp_path, query)
        search.add_behind()  # what is behind is too short
        assert not chosen.files


def test_what_is_behind_is_asked_of_the_names_that_held_less_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = ReplaceOnIndex(plant(tmp_path, "xbc", "xbcd", "xb"))
    index.index()
    tables = Tables(index.snapshot().columns, StandardEngine(), 1 << 20)
    first = NameHits(tables, Chosen(tables, Query("abc"), 10))
    assert len(first.behind(1)) == 2
    monkeypatch.setattr(StandardEngine, "most_texts", 0)
    longer = Chosen(tables, Query("abcd"), 10)
    (number,) = NameHits(tables, longer, first.found).behind(1)
    assert (tables.names[number], longer.incomplete) == (b"xbcd", False)
    second = NameHits(tables, longer, first.found)
    assert second.behind(2) == []  # that is another part, and there is no time for it
    assert (longer.incomplete, second.found) == (True, None)
