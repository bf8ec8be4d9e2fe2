from collections.abc import Iterable
from pathlib import Path

import pytest

from boundedcollections.files import limits, standard
from boundedcollections.files.index import ReplaceOnIndex
from boundedcollections.files.query import Query
from boundedcollections.files.scoring import align, best_possible, fold, holds
from boundedcollections.files.search import FileMatch, FileMatches
from boundedcollections.files.standard import StandardEngine


def index_of(root: Path, paths: Iterable[str], **options: int) -> ReplaceOnIndex:
    for path in paths:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    index = ReplaceOnIndex(root, **options)
    index.index()
    return index


def found(matches: FileMatches) -> list[str]:
    return [match.path for match in matches]


@pytest.fixture
def project(tmp_path: Path) -> ReplaceOnIndex:
    return index_of(
        tmp_path,
        [
            *("README.md", "setup.py", "src/app/main.py", "src/app/utils.py", "src/util/io.py"),
            *("src/util/text.py", "tests/test_main.py", "tests/test_utils.py", "docs/Manual.md"),
            *("docs/user guide.md", "src/app/MainWindow.py", "assets/müsli/Größe.png"),
        ],
    )


class TestWhatIsFound:
    def test_the_letters_must_occur_in_order(self, project: ReplaceOnIndex) -> None:
        assert found(project.search("sapm")) == ["src/app/main.py", "src/app/MainWindow.py"]
        assert found(project.search("pms")) == []

    def test_a_name_that_begins_with_the_query_comes_first(self, project: ReplaceOnIndex) -> None:
        assert found(project.search("main"))[:2] == ["src/app/main.py", "src/app/MainWindow.py"]
        assert found(project.search("util"))[:2] == ["src/app/utils.py", "src/util/io.py"]

    def test_a_capital_makes_case_count(self, project: ReplaceOnIndex) -> None:
        assert found(project.search("manual")) == ["docs/Manual.md"]
        assert found(project.search("Main")) == ["src/app/MainWindow.py"]
        assert found(project.search("mAin")) == []
        assert found(project.search("README")) == ["README.md"]

    def test_what_comes_before_a_slash_is_for_folders(self, project: ReplaceOnIndex) -> None:
        assert found(project.search("app/ut")) == ["src/app/utils.py"]
        assert found(project.search("sr/ma"))[0] == "src/app/main.py"
        assert found(project.search("sr/ut/te")) == ["src/util/text.py"]
        assert found(project.search("util/"))[:2] == ["src/util/io.py", "src/util/text.py"]
        assert found(project.search("src/app/main.py"))[0] == "src/app/main.py"
        assert found(project.search("nowhere/main")) == []

    def test_a_name_counts_only_in_the_folder_that_was_asked_for(self, tmp_path: Path) -> None:
        index = index_of(tmp_path, ["x/same.py", "y/same.py", "z/x/same.py"])
        assert found(index.search("x/same.py")) == ["x/same.py", "z/x/same.py"]
        assert found(index.search("x/sam")) == ["x/same.py", "z/x/same.py"]

    def test_a_leading_dot_or_slash_means_the_root(self, project: ReplaceOnIndex) -> None:
        for query in ("./src/app/main", "/src/app/main", ".//src/app/main"):
            assert found(project.search(query)) == [
                *("src/app/main.py", "src/app/MainWindow.py"),
            ]

    def test_spaces_separate_terms_in_any_order(self, project: ReplaceOnIndex) -> None:
        assert found(project.search("main test")) == ["tests/test_main.py"]
        assert found(project.search(" test   main ")) == ["tests/test_main.py"]
        assert found(project.search("user guide")) == ["docs/user guide.md"]
        assert found(project.search("main nowhere")) == []

    @pytest.mark.parametrize("query", ["", " ", "\t", "/", "./", "a\0b", "\ud800", "r" * 1_025])
    def test_a_query_that_can_match_nothing_matches_nothing(
        self, project: ReplaceOnIndex, query: str
    ) -> None:
        matches = project.search(query)
        assert (list(matches), matches.incomplete, matches.query) == ([], False, query)

    def test_signs_mean_themselves(self, tmp_path: Path) -> None:
        names = ["a[b].c", "x^y", "q-r", "s\\t", "$(u)", "v+w?", "]e", "^f"]
        index = index_of(tmp_path, names)
        for name in names:
            assert found(index.search(name)) == [name]
            assert found(index.search(f"{name[0]}{name[-1]}")) == [name]

    def test_a_long_query_is_found_as_a_whole(self, tmp_path: Path) -> None:
        path = "/".join(["abcdefghijklmnopqrstuvwxyz"] * 5)
        index = index_of(tmp_path, [path, "abc"])
        assert found(index.search(path)) == [path]
        assert found(index.search(path[:70] + path[90:])) == [path]
        assert found(index.search(path.replace("/", ""))) == [path]
        assert found(index.search(path.replace("/", "") + "z")) == []
        assert found(index.search("a" * 1_024)) == []

    def test_letters_beyond_ascii_are_found_in_either_case_and_composition(
        self, tmp_path: Path
    ) -> None:
        composed, decomposed, hangul = "Größe é.txt", "Gro\u0308ße\u0301.md", "\u1112\u1161\u11ab"
        index = index_of(tmp_path, [composed, decomposed, f"{hangul}/x"])
        assert found(index.search("göß")) == [decomposed, composed]
        assert found(index.search("go\u0308ß")) == [decomposed, composed]
        assert found(index.search("GRÖ")) == []
        assert found(index.search("é")) == [composed, decomposed]
        assert found(index.search("\ud55c")) == [f"{hangul}/x"]
        assert found(index.search("groe")) == []  # an accent is a part of its letter
        assert found(index.search("ö")) == [decomposed, composed]

    def test_names_that_are_not_utf_8_are_found_by_what_is_legible(self, tmp_path: Path) -> None:
        index = index_of(tmp_path, ["caf\udcff.txt"])
        (match,) = index.search("caft")
        assert match == FileMatch("caf\udcff.txt", (0, 1, 2, 5), match.score)


class TestPositions:
    def test_positions_count_characters_of_the_path(self, tmp_path: Path) -> None:
        index = index_of(tmp_path, ["ünïcödé/größe.py", "x/e\u0301te\u0301.md"])
        (match,) = index.search("gröe")
        assert [match.path[place] for place in match.positions] == ["g", "r", "ö", "e"]
        (match,) = index.search("ét.")
        assert match.positions == (2, 4, 7)  # the letter before its accent, and so on

    def test_terms_that_share_letters_give_each_place_once(self, tmp_path: Path) -> None:
        (match,) = index_of(tmp_path, ["abc"]).search("abc ab")
        assert match.positions == (0, 1, 2)

    def test_of_equal_alignments_the_one_in_the_name_is_shown(self, tmp_path: Path) -> None:
        (match,) = index_of(tmp_path, ["test/test"]).search("test")
        assert match.positions == (5, 6, 7, 8)


class TestOrder:
    def test_of_equal_scores_the_name_then_the_shorter_then_the_first(self, tmp_path: Path) -> None:
        paths = ["lib/b/x.c", "a/lib.c", "b/lib.c", "a/b/lib.c", "lib/a/x.c", "lib/x.c"]
        index = index_of(tmp_path, paths)
        matches = index.search("lib")
        assert found(matches) == [
            *("a/lib.c", "b/lib.c", "a/b/lib.c", "lib/x.c", "lib/a/x.c", "lib/b/x.c"),
        ]
        assert {match.score for match in matches} == {best_possible(3)}

    def test_lengths_are_those_of_characters(self, tmp_path: Path) -> None:
        index = index_of(tmp_path, ["a/ab123", "a/aéß", "ö/ü/ab"])
        assert found(index.search("a", limit=1)) == ["a/aéß"]
        assert found(index.search("a", limit=2)) == ["a/aéß", "ö/ü/ab"]

    def test_the_limit_keeps_the_best(self, project: ReplaceOnIndex) -> None:
        everything = project.search("s", limit=100)
        for limit in (1, 2, 3, 5):
            assert list(project.search("s", limit=limit)) == list(everything[:limit])

    def test_the_same_question_has_the_same_answer(self, project: ReplaceOnIndex) -> None:
        assert project.search("ts") == project.search("ts")


class TestIgnoredFiles:
    @pytest.fixture
    def index(self, tmp_path: Path) -> ReplaceOnIndex:
        (tmp_path / ".gitignore").write_text(".env\n/out/\n*.log\n")
        paths = [".env", ".env.example", "out/result.txt", "out/deep/other.txt", "a/b.log"]
        return index_of(tmp_path, [*paths, "src/result.py"])

    def test_one_that_is_named_in_full_has_its_place(self, index: ReplaceOnIndex) -> None:
        first, second = index.search(".env")
        assert (first.path, first.ignored) == (".env", True)
        assert (second.path, second.ignored) == (".env.example", False)
        assert found(index.search("out/deep/other.txt")) == ["out/deep/other.txt"]

    def test_one_that_is_named_by_its_beginning_comes_last(self, index: ReplaceOnIndex) -> None:
        assert found(index.search("res")) == ["src/result.py", "out/result.txt"]
        assert found(index.search("out/")) == ["out/result.txt", "out/deep/other.txt"]
        assert found(index.search("OUT/")) == []

    def test_one_that_is_not_named_is_not_shown(self, index: ReplaceOnIndex) -> None:
        assert found(index.search("env")) == [".env.example"]
        assert found(index.search("rslt")) == ["src/result.py"]
        assert found(index.search("log")) == []

    def test_they_are_not_in_the_index(self, index: ReplaceOnIndex) -> None:
        assert ".env" not in index
        assert ".env" not in list(index)
        assert index.snapshot().ignored == (
            *(".env", "a/b.log", "out/deep/other.txt", "out/result.txt"),
        )


class TestBounds:
    def test_candidates_beyond_the_cap_are_passed_over_and_that_is_said(
        self, tmp_path: Path
    ) -> None:
        index = index_of(tmp_path, [f"x{n:03}a{n:03}b" for n in range(300)])
        matches = index.search("ab", limit=10)
        assert len(matches) == 10
        assert matches.incomplete

    def test_names_that_begin_with_the_query_need_no_further_look(self, tmp_path: Path) -> None:
        index = index_of(tmp_path, [*(f"ab{n:03}" for n in range(300)), "xaxb"])
        assert not index.search("ab", limit=10).incomplete

    def test_folders_that_do_need_no_further_look_either(self, tmp_path: Path) -> None:
        paths = [*(f"ab{n}/{m}/x{m}" for n in range(5) for m in range(5)), "xaxb", "ab0/zz/ab"]
        index = index_of(tmp_path, paths)
        matches = index.search("ab", limit=6)
        assert (found(matches), matches.incomplete) == (
            ["ab0/zz/ab", *(f"ab0/{m}/x{m}" for m in range(5))],
            False,
        )

    def test_a_name_below_a_folder_that_is_given_needs_no_further_look(
        self, tmp_path: Path
    ) -> None:
        paths = [f"{a}/lib/in{n}.c" for a in "xyz" for n in range(3)]
        index = index_of(tmp_path, [*paths, "lib/sub/in.c", "alib/in.c", "lib/x/int/a"])
        matches = index.search("lib/in", limit=9)
        assert (found(matches), matches.incomplete) == (paths, False)
        matches = index.search("lib/", limit=3)
        assert (found(matches), matches.incomplete) == (["lib/x/int/a", *paths[:2]], False)
        matches = index.search("x/int", limit=1)
        assert (found(matches), matches.incomplete) == (["lib/x/int/a"], False)

    def test_enough_names_that_hold_the_letters_leave_paths_unseen(self, tmp_path: Path) -> None:
        names = [f"a-b{n:02}" for n in range(20)]
        index = index_of(tmp_path, [*names, "a/x/b"])
        assert index.search("ab", limit=12).incomplete
        matches = index.search("ab", limit=22)
        assert (found(matches)[-1], len(matches), matches.incomplete) == ("a/x/b", 21, False)

    @pytest.mark.parametrize("query", ["ab", "c/ab", "cab", "c/a x", "AB", "zb"])
    @pytest.mark.parametrize(
        ("bound", "value"),
        [
            ("MOST_HITS", 5),
            ("MOST_CANDIDATES", 5),
            ("MOST_LISTED", 1),
            ("MOST_FOLDERS", 1),
            ("MOST_NAMES", 5),
            ("MOST_QUICK_NAMES", 5),
            ("MOST_CHECKED", 5),
        ],
    )
    def test_what_a_bound_cuts_off_is_said(
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        bound: str,
        value: int,
        query: str,
    ) -> None:
        paths = [
            *(f"c{n}/xa{n}b{n}" for n in range(9)),
            *(f"c{n}a/{m}b" for n in range(9) for m in range(4)),
            *(f"C/AB{n}" for n in range(9)),
            *(f"z{n}/a{m}/b" for n in range(5) for m in range(3)),
        ]
        index = index_of(tmp_path, paths)
        everything = index.search(query, limit=100)
        assert not everything.incomplete
        monkeypatch.setattr(limits, bound, value)
        matches = index.search(query, limit=3)
        assert set(matches) <= set(everything)
        assert matches.incomplete or matches[:] == everything[:3]

    def test_letters_are_looked_for_in_so_many_bytes(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        index = index_of(tmp_path, [f"{n:03}-ab" for n in range(300)])
        assert len(index.search("ab", limit=300)) == 300
        monkeypatch.setattr(standard, "_CHUNK_BYTES", 64)
        monkeypatch.setattr(standard, "_MOST_BYTES", 1_000)
        matches = index.search("ab", limit=300)
        assert matches.incomplete
        assert 100 <= len(matches) <= 200

    def test_no_more_hits_are_taken_than_some_times_what_is_wanted(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(standard, "_CHUNK_BYTES", 8)
        matcher = StandardEngine().matcher([[*[b"xxa"] * 90, *[b"a"] * 10]])
        assert matcher.hits(b"a", [range(100)], 2) == ([0, 1], True)
        assert matcher.hits(b"a", [range(100)], 7) == ([90, 91, 92, 93, 94, 95, 96], True)

    def test_letters_are_looked_for_in_so_many_names(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        index = index_of(tmp_path, [*(f"x{n}-ab" for n in range(30)), "a-b"])
        monkeypatch.setattr(StandardEngine, "quick_texts", 10)
        monkeypatch.setattr(StandardEngine, "most_texts", 20)
        matches = index.search("ab", limit=50)
        assert (found(matches), matches.incomplete) == (["a-b"], True)

    def test_files_that_are_asked_for_other_terms_are_bounded(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        index = index_of(tmp_path, [f"abc{n:03}" for n in range(100)])
        monkeypatch.setattr(limits, "MOST_CHECKED", 20)
        matches = index.search("abc 9", limit=100)
        assert matches.incomplete
        assert found(matches)[:2] == ["abc009", "abc019"]

    def test_chunks_hide_nothing_at_their_edges(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        paths = [f"d{a}/{b:03}-file{a}" for a in range(9) for b in range(90)]
        index = index_of(tmp_path, paths)
        for size in (1, 100, 701, 5_000):
            monkeypatch.setattr(standard, "_CHUNK_BYTES", size)
            for query in ("-file", "fl", "dfile", "d/fl"):
                assert sorted(found(index.search(query, limit=1_000))) == paths

    def test_files_for_which_there_is_no_room_are_not_found_and_that_is_said(
        self, tmp_path: Path
    ) -> None:
        names = [f"{n:03}" for n in range(900)]
        index = index_of(tmp_path, names, max_bytes=64 * 1024)
        assert len(index) == 900
        matches = index.search("0", limit=1_000)
        assert matches.incomplete
        assert 0 < len(matches) < len([name for name in names if "0" in name])
        assert index.current_bytes < 64 * 1024


class TestHostileQueries:
    @pytest.mark.parametrize(
        "query",
        [
            "a" * 10_240,
            "a" * 1_024,
            "ab/" * 341,
            "a b " * 256,
            "/" * 1_024,
            "a\nb",
            "a\0b",
            "\ud800",
            "caf\udcff",
            "\u202ea",
            "\u200f",
            "a\u0301\u0301\u0301",
            "\u0130",
            "İ/ẞ",
            "ﬀ",
            "[", "]", "(", ")*", "a{1000}", "(?i)a", "\\", "^$", "a|b", ".*", "[^a]*+", "\\0",
            "\x7f", "\xff", "中文", "\U0001f600", " ", "a//b", "//", "./", "../a", "~",
        ],
    )  # fmt: skip
    def test_no_query_breaks_a_search(self, tmp_path: Path, query: str) -> None:
        paths = ["ab/ab", "a\nb", "caf\udcff", "x/\u202ea", "i\u0307", "中文/文", "ff", "a(b)*"]
        index = index_of(tmp_path, paths)
        finder = index.finder(limit=5)
        matches = index.search(query, limit=5)
        assert finder.search(query).complete.result(timeout=60) == matches
        for match in matches:
            assert match.path in paths
            assert all(0 <= place < len(match.path) for place in match.positions)

    def test_what_is_in_the_name_is_found_whatever_it_is(self, tmp_path: Path) -> None:
        paths = ["a\nb", "caf\udcff", "\u202ea\u200f", "i\u0307x", "\U0001f600", "a{1,2}", "x\\y"]
        index = index_of(tmp_path, paths)
        for path in paths:
            assert path in found(index.search(path)) or path == "a\nb"  # a newline parts terms
        assert found(index.search("a\nb")) == ["a\nb"]


class TestResults:
    def test_an_answer_names_its_question(self, project: ReplaceOnIndex) -> None:
        matches = project.search("main", limit=1)
        assert (matches.query, matches.generation) == ("main", 1)
        assert (len(matches), matches[0], matches[:5]) == (1, matches.matches[0], matches.matches)
        assert matches[0] in matches

    @pytest.mark.parametrize("limit", [0, -1])
    def test_a_limit_below_one_is_refused(self, project: ReplaceOnIndex, limit: int) -> None:
        with pytest.raises(
            ValueError, match=f"limit must be an integer of at least 1, got {limit}"
        ):
            project.search("a", limit=limit)

    def test_a_query_must_be_a_text(self, project: ReplaceOnIndex) -> None:
        with pytest.raises(TypeError, match=r"query must be a text, got b'a'"):
            project.search(b"a")  # type: ignore[arg-type]

    def test_before_the_first_scan_there_is_nothing(self, tmp_path: Path) -> None:
        matches = ReplaceOnIndex(tmp_path).search("a")
        assert (list(matches), matches.generation, matches.incomplete) == ([], 0, False)


class TestScores:
    """The scale is fzf's: 16 a letter, 3 and 1 off for a gap, and something for beginnings."""

    @pytest.mark.parametrize(
        ("query", "path", "score"),
        [
            ("a", "a", 16 + 2 * 9),
            ("ab", "ab", 2 * 16 + 2 * 9 + 9),
            ("ab", "xab", 2 * 16 + 4),
            ("ab", "x_ab", 2 * 16 + 2 * 8 + 8),
            ("ab", "a_b", 2 * 16 + 2 * 9 - 3 + 8),
            ("ab", "axxb", 2 * 16 + 2 * 9 - 3 - 1),
            ("ab", "xa/b", 2 * 16 - 3 + 9),
            ("fb", "fooBar", 2 * 16 + 2 * 9 - 3 - 1 + 7),
            ("a1", "a1", 2 * 16 + 2 * 9 + 9),
            ("a1", "abc1", 2 * 16 + 2 * 9 - 3 - 1 + 7),
            ("a b", "a b", 3 * 16 + 2 * 9 + 2 * 9),
            ("a.", "a.", 2 * 16 + 2 * 9 + 9),
            ("ü", "ü", 16 + 2 * 9),
            ("中", "x 中", 16 + 2 * 8),
            ("²", "x²", 16 + 2 * 7),
        ],
    )
    def test_a_score_is_the_sum_of_its_parts(self, query: str, path: str, score: int) -> None:
        alignment = align(query, fold(path, ignore_case=True))
        assert alignment is not None
        assert alignment.score == score

    def test_a_row_broken_by_a_word_goes_on_with_its_bonus(self) -> None:
        alignment = align("foob", fold("xfoo/bar foo_b", ignore_case=True))
        assert alignment is not None
        assert alignment.positions == (9, 10, 11, 13)

    def test_an_earlier_end_may_be_better_than_a_later_match(self) -> None:
        alignment = align("abc", fold("/abc/xxxxxxxxxbxc", ignore_case=True))
        assert alignment is not None
        assert (alignment.score, alignment.positions) == (best_possible(3), (1, 2, 3))

    def test_what_does_not_hold_the_letters_has_no_alignment(self) -> None:
        text = fold("abc", ignore_case=True)
        assert align("ca", text) is None
        assert holds("ac", "abc")
        assert not holds("ca", "abc")

    def test_nothing_scores_more_than_the_beginning_of_a_name(self) -> None:
        alignment = align("name", fold("a/name.py", ignore_case=True))
        assert alignment is not None
        assert alignment.score == best_possible(4)


def test_a_query_is_folded_as_paths_are() -> None:
    assert Query("Fo\u0308o").terms == ("Föo",)
    assert Query("FOO").ignore_case is False
    assert Query("foo").ignore_case is True
