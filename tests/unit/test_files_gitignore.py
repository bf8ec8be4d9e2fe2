import errno
import gc
import os
import tracemalloc
from pathlib import Path

import pytest

from boundedcollections.files.gitignore import IgnoreRules, Scope
from boundedcollections.files.repository import IgnoreFiles


def ignored_by(scope: Scope | None, path: str, *, is_folder: bool = False) -> bool:
    folder, slash, name = os.fsencode(path).rpartition(b"/")
    return scope is not None and scope.sift([name], folder + slash, is_folder=is_folder) == (
        [],
        [name],
    )


def ignores(
    content: bytes, path: str, *, is_folder: bool = False, ignore_case: bool = False
) -> bool:
    rules = IgnoreRules(content, ignore_case=ignore_case)
    return ignored_by(Scope(rules), path, is_folder=is_folder)


class TestLines:
    @pytest.mark.parametrize(
        ("content", "path", "expected"),
        [
            (b"a.log", "a.log", True),
            (b"a.log", "deep/down/a.log", True),
            (b"/a.log", "deep/a.log", False),
            (b"deep/a.log", "deep/a.log", True),
            (b"deep/a.log", "very/deep/a.log", False),
            (b"*.log", "x.tar.log", True),
            (b"*.log", "log", False),
            (b"*.tar.gz", "x.tar.gz", True),
            (b"*log", "catalog", True),
            (b"*.", "ends.", True),
            (b"*.lo[gx]", "a.log", True),
            (b"*.lo[gx]", "a.lox", True),
            (b"*.lo[gx]", "a.lo", False),
            (b"*.lo[gx]", "lox", False),
            (b"*.lo[gx]\n!*.log", "a.log", False),
            (b"*.[ab]", ".b", True),
            (b".env.*", ".env.local", True),
            (b".env.*", ".envy", False),
            (b"a*/b", "ax/b", True),
            (b"a/*/b/c", "a/x/b/c", True),
            (b"a/*/b/c", "a/x/y/c", False),
            (b"bin", "cabin.txt", False),  # a pattern is no substring
            (b"*~", "backup~", True),
            (b"a\r\nb\r\n", "a", True),
            (b"a\r\nb\r\n", "b", True),
            (b"a\r", "a", True),
            (b"\xef\xbb\xbfa", "a", True),
            (b"# a", "# a", False),
            (b"\\#a", "#a", True),
            (b"\\!a", "!a", True),
            (b" a", " a", True),
            (b"a  ", "a", True),
            (b"a\\ ", "a ", True),
            (b"a\\  ", "a ", True),
            (b"a\\\\ ", "a\\", True),
            (b"a\t", "a", False),
            (b"a\0b", "a", True),
            (b"!", "!", False),
            (b"\n\n/\n//\n", "a", False),
            (b"a?", "aü", False),
        ],
    )
    def test_a_line_means_what_it_means_to_git(
        self, content: bytes, path: str, expected: bool
    ) -> None:
        assert ignores(content, path) is expected

    def test_the_last_line_that_matches_decides(self) -> None:
        assert not ignores(b"*.log\n!a.log", "a.log")
        assert ignores(b"!a.log\n*.log", "a.log")
        assert ignores(b"a.*\n!*.log\na.lo[g]", "a.log")
        assert not ignores(b"a.lo[g]\n!/a.log", "a.log")
        assert ignores(b"!/a.log\n/a.lo[g]", "a.log")
        assert not ignores(b"a.lo[g]\n!a.l[o]g", "a.log")

    def test_a_line_with_a_slash_at_its_end_is_for_folders_only(self) -> None:
        assert ignores(b"build/", "build", is_folder=True)
        assert not ignores(b"build/", "build")
        assert not ignores(b"build\n!build/", "build", is_folder=True)
        assert ignores(b"build\n!build/", "build")

    def test_names_are_compared_byte_by_byte(self) -> None:
        assert not ignores(b"?", "ü")
        assert ignores(b"??", "ü")
        assert ignores("[ü]?".encode(), "ü")
        assert ignores(b"\xff", "\udcff")

    def test_case_counts_unless_told_otherwise(self) -> None:
        content = b"Foo\n*.LOG\na/B\nx[y]Z\nD/*/e"
        for path in ("fOO", "x.log", "X.LOg", "A/b", "XYz", "d/X/E"):
            assert ignores(content, path, ignore_case=True)
            assert not ignores(content, path)
        assert not ignores("\xe4".encode(), "\xc4", ignore_case=True)  # A to Z, and no other

    def test_a_scope_counts_from_the_folder_of_its_file(self) -> None:
        outer = Scope(IgnoreRules(b"*.log\n/src/a.py\n/src/*/c.py"))
        inner = Scope(IgnoreRules(b"!keep.log\n/b.py"), outer, skipped=len("src/"))
        ignored = {
            path
            for path in (
                *("src/keep.log", "src/x.log", "src/a.py", "src/b.py", "src/deep/b.py"),
                *("src/deep/c.py", "src/c.py"),
            )
            if ignored_by(inner, path)
        }
        assert ignored == {"src/x.log", "src/a.py", "src/b.py", "src/deep/c.py"}
        above = Scope(IgnoreRules(b"/project/src/a.py"), lead=b"project/")
        assert ignored_by(above, "src/a.py")

    def test_names_are_sifted_in_one_go(self) -> None:
        outer = Scope(IgnoreRules(b"*.log\n/src/b"))
        scope = Scope(IgnoreRules(b"!b\n!keep.log\nc"), outer, skipped=4)
        names = [b"a", b"a.log", b"b", b"c", b"keep.log"]
        kept, ignored = scope.sift(names, b"src/", is_folder=False)
        assert (sorted(kept), sorted(ignored)) == ([b"a", b"b", b"keep.log"], [b"a.log", b"c"])

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"a",
            b"\n".join(b"*%d*" % n for n in range(200)),
            b"\n".join(b"[!a]/%d?" % n for n in range(200)),
            b"\n".join(b"name-%d" % n for n in range(300)),
            b"\n".join(b"/path/%d" % n for n in range(300)),
            b"\n".join(b"*.%d" % n for n in range(300)),
            b"\n".join(b"*.%d" % n for n in range(32)),
            b"\n".join(b"*.%d[abcdefgh]" % n for n in range(200)),
            b"[!a]" * 150,
            b"*a" * 300,
            b"**/?*\n" * 150,
            b"a" * 60_000,
            b"[[:punct:][:alnum:]]" * 60,
        ],
    )
    def test_rules_take_no_more_than_they_say(self, content: bytes) -> None:
        IgnoreRules(content).sift(
            [b"x"], b"", is_folder=True
        )  # whatever is imported or cached along the way
        gc.collect()
        tracemalloc.start()
        try:
            rules = IgnoreRules(content)
            for table in (rules._for_files, rules._for_folders):
                table._names.last_match(b"x")  # what is compiled when it is needed
                table._paths.last_match(b"x")
            gc.collect()
            taken, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert taken <= rules.bytes


def make_repository(folder: Path, exclude: str = "", config: str = "") -> None:
    for name in ("objects", "refs", "info"):
        (folder / ".git" / name).mkdir(parents=True)
    (folder / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (folder / ".git" / "info" / "exclude").write_text(exclude)
    (folder / ".git" / "config").write_text(config)


class TestWhereIgnoreFilesAre:
    def test_without_a_repository_nothing_holds_at_the_root(self, tmp_path: Path) -> None:
        (tmp_path / ".gitignore").write_text("a")
        (tmp_path / "root").mkdir()
        assert IgnoreFiles(str(tmp_path / "root")).scope_at_root() is None

    def test_files_above_the_root_hold_up_to_the_top_of_the_repository(
        self, tmp_path: Path
    ) -> None:
        (tmp_path / ".gitignore").write_text("outside")
        top = tmp_path / "top"
        make_repository(top, exclude="excluded\n/app/src/by-path\n!shown")
        (top / ".gitignore").write_text("above\n/app/src/exact\n/exact2\nshown")
        root = top / "app" / "src"
        root.mkdir(parents=True)
        (top / "app" / ".gitignore").write_text("!above\n/src/near")
        (root / ".gitignore").write_text("own")
        scope = IgnoreFiles(str(root)).scope_at_root()
        ignored = {
            name
            for name in (
                *("outside", "excluded", "by-path", "deep/by-path", "above"),
                *("exact", "exact2", "near", "deep/near", "own", "shown"),
            )
            if ignored_by(scope, name)
        }
        assert ignored == {"excluded", "by-path", "exact", "near", "shown"}

    def test_a_folder_that_only_looks_like_a_repository_is_none(self, tmp_path: Path) -> None:
        (tmp_path / ".git" / "info").mkdir(parents=True)
        (tmp_path / ".git" / "info" / "exclude").write_text("a")
        assert IgnoreFiles(str(tmp_path)).scope_at_root() is None

    def test_a_repository_inside_begins_anew(self, tmp_path: Path) -> None:
        make_repository(tmp_path, exclude="outer")
        make_repository(tmp_path / "inner", exclude="/inner-only", config="[core]\nignorecase")
        (tmp_path / "inner" / ".gitignore").write_text("FILE")
        files = IgnoreFiles(str(tmp_path))
        outer = files.scope_at_root()
        scope = files.scope_in("inner/", outer, has_git=True)
        assert ignored_by(scope, "inner/inner-only")
        assert ignored_by(scope, "inner/file")
        assert not ignored_by(scope, "inner/outer")
        assert not ignored_by(files.scope_in("", outer, has_git=True), "file")

    def test_a_second_work_tree_finds_the_common_folder(self, tmp_path: Path) -> None:
        main = tmp_path / "main"
        make_repository(main, exclude="excluded", config="[core]\n\tignoreCase = TRUE ; yes")
        private = main / ".git" / "worktrees" / "second"
        private.mkdir(parents=True)
        (private / "HEAD").write_text("ref: refs/heads/second\n")
        (private / "commondir").write_text("../..\n")
        second = tmp_path / "second"
        second.mkdir()
        (second / ".git").write_text(f"gitdir: {private}\n")
        scope = IgnoreFiles(str(second)).scope_at_root()
        assert ignored_by(scope, "excluded")
        assert ignored_by(scope, "EXCLUDED")

    def test_a_git_file_that_is_no_link_is_no_repository(self, tmp_path: Path) -> None:
        (tmp_path / ".git").write_text("hello")
        assert IgnoreFiles(str(tmp_path)).scope_at_root() is None

    def test_a_link_is_not_an_ignore_file(self, tmp_path: Path) -> None:
        (tmp_path / "rules").write_text("a")
        (tmp_path / ".gitignore").symlink_to("rules")
        files = IgnoreFiles(str(tmp_path))
        assert files.scope_in("", None, has_git=False) is None
        assert files.errors == 1

    def test_a_pipe_or_a_folder_by_that_name_is_passed_over(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / ".gitignore")
        (tmp_path / "sub" / ".gitignore").mkdir(parents=True)
        files = IgnoreFiles(str(tmp_path))
        assert files.scope_in("", None, has_git=False) is None
        assert files.scope_in("sub/", None, has_git=False) is None

    def test_a_file_that_is_too_large_is_an_error_and_not_read(self, tmp_path: Path) -> None:
        (tmp_path / ".gitignore").write_bytes(b"a\n" * 33_000)
        files = IgnoreFiles(str(tmp_path))
        assert files.scope_in("", None, has_git=False) is None
        assert files.errors == 1

    def test_a_file_that_is_gone_is_no_error(self, tmp_path: Path) -> None:
        files = IgnoreFiles(str(tmp_path))
        assert files.scope_in("gone/", None, has_git=True) is None
        assert files.errors == 0

    @pytest.mark.parametrize("code", ["EMFILE", "ENFILE", "ENOMEM"])
    def test_a_process_without_resources_guesses_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str
    ) -> None:
        def fail(*_: object) -> int:
            raise OSError(getattr(errno, code), "no more")

        monkeypatch.setattr(os, "open", fail)
        with pytest.raises(OSError, match="no more"):
            IgnoreFiles(str(tmp_path)).scope_in("", None, has_git=False)
