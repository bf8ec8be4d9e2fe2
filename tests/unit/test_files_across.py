"""Files that are found by way of their folders, within limits."""

from pathlib import Path

import pytest
from trees import plant

from boundedcollections.files import limits
from boundedcollections.files.across import AcrossFolders
from boundedcollections.files.chosen import Chosen
from boundedcollections.files.folder_hits import FolderHits
from boundedcollections.files.index import ReplaceOnIndex
from boundedcollections.files.listings import FolderListings
from boundedcollections.files.name_hits import NameHits
from boundedcollections.files.query import Query
from boundedcollections.files.standard import StandardEngine
from boundedcollections.files.tables import Tables


def across(folder: Path, query: str) -> tuple[AcrossFolders, Chosen]:
    """Return what finds files in five folders that hold four each."""
    plant(folder, *(f"x-ab-{n}/f{m}" for n in range(5) for m in range(4)))
    index = ReplaceOnIndex(folder)
    index.index()
    columns = index.snapshot().columns
    tables = Tables(columns, StandardEngine(), 1 << 20)
    chosen = Chosen(tables, Query(query), 10)
    listings = FolderListings(tables)
    folders = FolderHits(tables, chosen, listings, {})
    return AcrossFolders(tables, chosen, listings, folders, NameHits(tables, chosen)), chosen


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
