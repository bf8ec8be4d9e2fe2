"""Folders that hold some letters, and what a query leaves for a longer one."""

from collections.abc import Iterable
from pathlib import Path

import pytest
from trees import plant

from boundedcollections.files import limits
from boundedcollections.files.chosen import Chosen
from boundedcollections.files.engines import Hits
from boundedcollections.files.folder_hits import FolderHits, FoundFolders
from boundedcollections.files.folder_table import FolderTable
from boundedcollections.files.index import ReplaceOnIndex
from boundedcollections.files.listings import FolderListings
from boundedcollections.files.query import Query
from boundedcollections.files.standard import StandardEngine
from boundedcollections.files.tables import Tables

FOLDERS = ("abc", "abd", "b-a", "xab", "xab/abc", "yy")


@pytest.fixture
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tables:
    """Six folders below the root, too many for all of them to be likely."""
    monkeypatch.setattr(StandardEngine, "quick_texts", 10)
    index = ReplaceOnIndex(plant(tmp_path, *(f"{folder}/file" for folder in FOLDERS)))
    index.index()
    return Tables(index.snapshot().columns, StandardEngine(), 1 << 20)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The letters that the engine was asked for, in the order of the questions."""
    letters_asked: list[bytes] = []
    hits = FolderTable.hits

    def noted(table: FolderTable, letters: bytes, places: Iterable[range], most: int) -> Hits:
        letters_asked.append(letters)
        return hits(table, letters, places, most)

    monkeypatch.setattr(FolderTable, "hits", noted)
    return letters_asked


def hits_for(tables: Tables, query: str, found: FoundFolders | None = None) -> FolderHits:
    chosen = Chosen(tables, Query(query), 10)
    return FolderHits(tables, chosen, FolderListings(tables), found or {})


def paths(tables: Tables, hits: Hits) -> list[bytes]:
    return sorted(map(tables.folders.path, hits.numbers))


def test_those_are_likely_whose_last_component_begins_as_the_last_part_does(
    tables: Tables,
) -> None:
    hits = hits_for(tables, "ab")
    assert paths(tables, hits.of(b"ab", likely=True)) == [b"abc/", b"abd/", b"xab/abc/"]
    assert paths(tables, hits.of(b"ab", likely=False)) == [b"xab/"]
    assert paths(tables, hits.of(b"x/a", likely=True)) == [b"xab/abc/"]
    assert paths(tables, hits.of(b"x/ab/", likely=True)) == [b"xab/abc/"]
    assert paths(tables, hits.everywhere(b"xa")) == [b"xab/", b"xab/abc/"]
    assert paths(tables, hits.of(b"/", likely=True)) == sorted(
        f"{folder}/".encode() for folder in FOLDERS
    )


def test_where_they_are_few_all_are_likely(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StandardEngine, "quick_texts", 1_000)
    hits = hits_for(tables, "ab")
    assert hits.is_quick
    assert len(hits.of(b"ab", likely=True).numbers) == 4
    assert hits.of(b"ab", likely=False).numbers == []


def test_a_longer_query_is_asked_of_the_few_that_have_held_its_beginning(
    tables: Tables, asked: list[bytes]
) -> None:
    first = hits_for(tables, "xa")
    assert len(first.everywhere(b"xa").numbers) == 2
    asked.clear()
    for order in (True, False), (False, True):
        hits = hits_for(tables, "xabc", first.kept())
        one, other = (hits.of(b"xabc", likely=likely).numbers for likely in order)
        assert paths(tables, Hits(one + other, is_cut=False)) == [b"xab/abc/"]
    assert asked == []


def test_the_same_letters_are_not_asked_for_again(tables: Tables, asked: list[bytes]) -> None:
    first = hits_for(tables, "ab/")
    before = first.everywhere(b"ab/")
    assert asked == [b"ab/", b"ab/"]
    assert hits_for(tables, "ab/c", first.kept()).everywhere(b"ab/") == before
    assert asked == [b"ab/", b"ab/"]


def test_letters_that_many_hold_are_asked_for_anew(
    tables: Tables, asked: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MOST_FOLDERS", 3)
    first = hits_for(tables, "a")
    known = [first.is_cut(b"a")]
    first.of(b"a", likely=True)
    known.append(first.is_cut(b"a"))
    assert first.everywhere(b"a").is_cut  # three here, two there
    known.append(first.is_cut(b"a"))
    assert known == [None, None, True]
    second = hits_for(tables, "ac", first.kept())
    assert paths(tables, second.everywhere(b"ac")) == [b"abc/", b"xab/abc/"]
    assert second.is_cut(b"ac") is False
    assert asked == [b"a", b"a", b"ac", b"ac"]
    monkeypatch.setattr(limits, "MOST_FOLDERS", 2)
    third = hits_for(tables, "a")
    third.of(b"a", likely=True)
    assert third.is_cut(b"a") is True  # whatever is elsewhere


def test_the_newest_finds_are_kept(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_KEPT", 3)
    hits = hits_for(tables, "abcd")
    for letters in (b"a", b"y", b"x", b"b"):
        hits.of(letters, likely=True)
    hits.of(b"y", likely=True)
    assert list(hits.kept()) == [(b"x", True), (b"b", True), (b"y", True)]


def test_what_there_is_no_time_for_is_not_looked_at_and_not_kept(
    tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StandardEngine, "most_texts", 13)  # three folders, and not the other four
    chosen = Chosen(tables, Query("ab"), 10)
    hits = FolderHits(tables, chosen, FolderListings(tables), {})
    assert (len(hits.of(b"ab", likely=True).numbers), chosen.incomplete) == (3, False)
    assert (hits.of(b"ab", likely=False), chosen.incomplete) == (([], True), True)
    assert list(hits.kept()) == [(b"ab", True)]


@pytest.mark.parametrize(
    ("parts", "found"),
    [
        ([b"ab"], [b"abc/", b"abd/", b"xab/abc/"]),
        ([b"x"], [b"xab/"]),
        ([b"x", b"a"], [b"xab/abc/"]),
        ([b"a", b"a"], []),
        ([b"b"], [b"b-a/"]),
        ([b"z"], []),
    ],
)
def test_folders_are_found_whose_components_begin_with_the_parts(
    tables: Tables, parts: list[bytes], found: list[bytes]
) -> None:
    hits = tables.folders.beginning(parts, 10)
    assert [tables.folders.path(number) for number in hits.numbers] == found
    assert not hits.is_cut


def test_the_closest_come_first_of_those_that_are_looked_at(tmp_path: Path) -> None:
    index = ReplaceOnIndex(plant(tmp_path, "z/a/x", "ab/x", "b/abc/x", "abd/x"))
    index.index()
    folders = Tables(index.snapshot().columns, StandardEngine(), 1 << 20).folders
    numbers, is_cut = folders.beginning([b"a"], 10)
    assert [folders.path(number) for number in numbers] == [b"z/a/", b"ab/", b"abd/", b"b/abc/"]
    assert not is_cut
    numbers, is_cut = folders.beginning([b"a"], 2)
    assert [folders.path(number) for number in numbers] == [b"z/a/", b"ab/"]
    assert is_cut
