"""On any tree and any ignore files, the index holds exactly what git does not ignore."""

import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from boundedcollections.files.gitignore import IgnoreRules, Scope
from boundedcollections.files.index import ReplaceOnIndex

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is the judge")

NAMES = [
    *(
        "a",
        "b",
        "foo",
        "bar",
        "foobar",
        "foo.log",
        "a.log",
        "b.txt",
        "Foo",
        "FOO.LOG",
        "x y",
        "x ",
        " x",
    ),
    *(
        "ü",
        "ä.log",
        "#a",
        "!a",
        "a#",
        "[a]",
        "a\\b",
        "\\",
        "*",
        "?",
        "a*b",
        "-",
        "a-b",
        "]",
        "^",
        ".hid",
    ),
    *(
        "build",
        "dist",
        "1",
        "12",
        "tab\t",
        "new\nline",
        "cr\r",
        "b\udcff",
        "naïve",
        "A",
        "Z",
        "_",
        "a.b.c",
    ),
]
PIECES = [
    *(
        "*",
        "**",
        "?",
        "/",
        "a",
        "b",
        "foo",
        "bar",
        ".log",
        ".",
        "\\",
        "\\*",
        "\\ ",
        " ",
        "[",
        "]",
        "!",
        "^",
    ),
    *(
        "[a-c]",
        "[!a]",
        "[^b-z]",
        "[]a]",
        "[a-",
        "[[:digit:]]",
        "[[:alpha:]_]",
        "[![:upper:]]",
        "[[:bad:]]",
    ),
    *(
        "[\\]]",
        "[a\\-z]",
        "[-a]",
        "[z-a]",
        "[[:space:]]",
        "[[:punct:]]",
        "[[:]",
        "\xfc",
        "#",
        "-",
        "\t",
        "x",
    ),
    *(
        "[A-Z]",
        "[[:lower:]]",
        "build",
        "**/",
        "/**",
        "/**/",
        "A",
        "Foo",
        "\\A",
        "\\/",
        "\r",
        "\0",
        "\xc3",
    ),
]
PLAIN = [
    *(
        "*.log",
        "!*.log",
        "/foo",
        "foo/",
        "!foo/",
        "foo/bar",
        "**/foo",
        "foo/**",
        "a/**/b",
        "/a/*",
        "!a/b",
        "*",
    ),
    *(
        "!*/",
        "build/",
        "dist",
        "*.b.c",
        "*.lo[gx]",
        "!*.[cg]",
        "*.[bc]",
        "a.*",
        "foo*",
        "*foo",
        "fo?",
        "# no",
        "\\#a",
        "\\!a",
        "a ",
        "x\\ ",
        "",
    ),
    *(
        "/**",
        "**",
        "*/",
        "foo**/bar",
        "/*/foo",
        "!/a/",
        "ü",
        "*.[lt]*",
        "/a/b/",
        "!b.txt",
        "Foo",
        "foo.LOG",
    ),
]


class Maker:
    """Makes trees that are small, and odd in every way that matters to ignore rules."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def line(self) -> str:
        if self.random.random() < 0.5:
            return self.random.choice(PLAIN)
        pieces = self.random.choices(PIECES, k=self.random.randrange(1, 6))
        return "!" * (self.random.random() < 0.2) + "".join(pieces)

    def ignore_file(self) -> bytes:
        lines = [self.line() for _ in range(self.random.randrange(1, 8))]
        text = self.random.choice(["\n", "\n", "\r\n"]).join(lines)
        bom = b"\xef\xbb\xbf" * (self.random.random() < 0.1)
        return bom + text.encode("latin-1") + b"\n" * (self.random.random() < 0.8)

    def fill(self, folder: Path, depth: int = 0) -> None:
        if self.random.random() < (0.9 if depth == 0 else 0.25):
            (folder / ".gitignore").write_bytes(self.ignore_file())
        for name in self.random.sample(NAMES, k=self.random.randrange(2, 9)):
            path = folder / name
            if depth < 4 and self.random.random() < 0.45:
                path.mkdir()
                self.fill(path, depth + 1)
            elif self.random.random() < 0.1:
                path.symlink_to(self.random.choice(["a", "nowhere", ".", ".."]))
            else:
                path.touch()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))  # as for git below
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    run_git(tmp_path, "init", "--quiet")
    return tmp_path


def run_git(folder: Path, *arguments: str, given: bytes = b"") -> bytes:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "GIT_CONFIG_NOSYSTEM": "1",
        "LC_ALL": "C",
    }
    command = ["git", *arguments]
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        check=True,
        input=given,
        stdout=subprocess.PIPE,
        timeout=60,
    ).stdout


def not_ignored_by_git(folder: Path) -> list[str]:
    output = run_git(folder, "ls-files", "--others", "--exclude-standard", "-z")
    return sorted(os.fsdecode(path) for path in output.split(b"\0") if path)


def indexed(folder: Path) -> list[str]:
    index = ReplaceOnIndex(folder, allow_broad_root=True)  # for it is the home as well
    assert not index.index().truncated
    index._check()
    return list(index)


def emptied(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_symlink() or not entry.is_dir():
            entry.unlink()
        elif entry.name != ".git":
            shutil.rmtree(entry)


@pytest.mark.parametrize("ignore_case", [False, True])
@pytest.mark.parametrize(
    ("seed", "trees"),
    [(1, 15), pytest.param(2, 1_000, marks=[pytest.mark.long, pytest.mark.timeout(1_200)])],
)
def test_the_index_agrees_with_git_on_random_trees(
    repository: Path, seed: int, trees: int, ignore_case: bool
) -> None:
    run_git(repository, "config", "core.ignorecase", str(ignore_case).lower())
    maker = Maker(seed)
    for number in range(trees):
        emptied(repository)
        maker.fill(repository)
        (repository / ".git" / "info" / "exclude").write_bytes(maker.ignore_file())
        assert indexed(repository) == not_ignored_by_git(repository), f"tree {number}"


@pytest.mark.parametrize("ignore_case", [False, True])
@pytest.mark.parametrize("sign", ["", "!"])
def test_every_class_agrees_with_git_on_every_byte(
    repository: Path, sign: str, ignore_case: bool
) -> None:
    run_git(repository, "config", "core.ignorecase", str(ignore_case).lower())
    posix = [
        *("alnum", "alpha", "blank", "cntrl", "digit", "graph"),
        *("lower", "print", "punct", "space", "upper", "xdigit"),
    ]
    classes = [*(f"[:{name}:]" for name in posix), "a-z", "A-Z", "B-y", "Ab", "\x80-\xff", "]-a"]
    lines = [f"{number}[{sign}{name}]" for number, name in enumerate(classes)]
    content = "\n".join(lines).encode("latin-1")
    (repository / ".gitignore").write_bytes(content)
    names = [
        b"%d%c" % (number, byte)
        for number in range(len(classes))
        for byte in range(1, 256)
        if byte != ord("/")
    ]
    asked = b"".join(name + b"\0" for name in names)
    answer = run_git(repository, "check-ignore", "--stdin", "-z", "--no-index", given=asked)
    by_git = answer.split(b"\0")[:-1]
    rules = IgnoreRules(content, ignore_case=ignore_case)
    kept, ignored = Scope(rules).sift(names, b"", is_folder=False)
    assert sorted(ignored) == sorted(by_git)
    assert sorted(kept + ignored) == sorted(names)
