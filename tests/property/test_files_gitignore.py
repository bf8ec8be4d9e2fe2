"""On any tree and any ignore files, the index holds exactly what git does not ignore."""

import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

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
def repository(tmp_path: Path) -> Path:
    run_git(tmp_path, "init", "--quiet")
    return tmp_path


def run_git(folder: Path, *arguments: str) -> bytes:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "GIT_CONFIG_NOSYSTEM": "1",
        "LC_ALL": "C",
    }
    command = ["git", *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment, check=True, stdout=subprocess.PIPE, timeout=60
    ).stdout


def not_ignored_by_git(folder: Path) -> list[str]:
    output = run_git(folder, "ls-files", "--others", "--exclude-standard", "-z")
    return sorted(os.fsdecode(path) for path in output.split(b"\0") if path)


def indexed(folder: Path) -> list[str]:
    index = ReplaceOnIndex(folder)
    assert not index.index().truncated
    index._check()
    return list(index)


def rewritten(folder: Path, maker: Maker) -> Iterator[int]:
    """Fill `folder` anew again and again."""
    for number in range(ROUNDS):
        for entry in folder.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                if entry.name != ".git":
                    shutil.rmtree(entry)
            else:
                entry.unlink()
        maker.fill(folder)
        yield number


ROUNDS = int(os.environ.get("ROUNDS", "60"))


@pytest.mark.parametrize("ignore_case", [False, True])
def test_the_index_agrees_with_git_on_random_trees(repository: Path, ignore_case: bool) -> None:
    seed = int(os.environ.get("SEED", "1"))
    run_git(repository, "config", "core.ignorecase", str(ignore_case).lower())
    maker = Maker(seed)
    for number in rewritten(repository, maker):
        exclude = repository / ".git" / "info" / "exclude"
        exclude.write_bytes(maker.ignore_file())
        assert indexed(repository) == not_ignored_by_git(repository), number
