"""Repositories as git makes them: work trees, submodules, clones within clones."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from boundedcollections.files.index import ReplaceOnIndex

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git makes the repositories")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The settings of whoever runs this are out of sight."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    return tmp_path / "home"


def run_git(folder: Path, *arguments: str) -> bytes:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "protocol.file.allow=always"]
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": os.environ["HOME"],
        "GIT_CONFIG_NOSYSTEM": "1",
        "LC_ALL": "C",
    }
    return subprocess.run(
        ["git", *identity, *arguments],
        cwd=folder,
        env=environment,
        check=True,
        stdout=subprocess.PIPE,
        timeout=60,
    ).stdout


def write(folder: Path, **files: str) -> None:
    for name, content in files.items():
        path = folder / name.replace("__", "/").replace("DOT", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def seen_by_git(folder: Path) -> list[str]:
    """Return what git tracks or would track below `folder`."""
    output = run_git(folder, "ls-files", "-z", "-co", "--exclude-standard", ".")
    return sorted({os.fsdecode(path) for path in output.split(b"\0") if path})


def indexed(folder: Path) -> list[str]:
    index = ReplaceOnIndex(folder)
    index.index()
    index._check()
    return list(index)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "main"
    folder.mkdir()
    run_git(folder, "init", "--quiet")
    write(
        folder, DOTgitignore="*.log\n/build/\n", readme="", src__app="", src__DOTgitignore="tmp\n"
    )
    run_git(folder, "add", ".")
    run_git(folder, "commit", "--quiet", "--message", "first")
    write(folder, build__out="", src__tmp="", src__new="", noteDOTlog="", secret="")
    (folder / ".git" / "info" / "exclude").write_text("secret\n")
    return folder


def test_a_repository_is_indexed_as_git_sees_it(repository: Path) -> None:
    assert indexed(repository) == seen_by_git(repository)
    assert "secret" not in indexed(repository)


def test_a_folder_within_is_indexed_by_the_rules_around_it(repository: Path) -> None:
    write(repository, src__deep__xDOTlog="", src__deep__tmp="", src__deep__build__x="")
    deep = repository / "src" / "deep"
    assert indexed(deep) == seen_by_git(deep) == ["build/x"]
    assert indexed(repository / "src") == seen_by_git(repository / "src")


def test_a_second_work_tree_shares_the_exclude_file(repository: Path, tmp_path: Path) -> None:
    second = tmp_path / "second"
    run_git(repository, "worktree", "add", "--quiet", str(second))
    write(second, secret="", xDOTlog="", new="")
    assert indexed(second) == seen_by_git(second)
    assert "secret" not in indexed(second)


def test_a_submodule_has_rules_of_its_own(repository: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    run_git(other, "init", "--quiet")
    write(other, DOTgitignore="hidden\n", file="")
    run_git(other, "add", ".")
    run_git(other, "commit", "--quiet", "--message", "first")
    run_git(repository, "submodule", "--quiet", "add", str(other), "sub")
    write(repository, sub__hidden="", sub__xDOTlog="", sub__secret="")
    within = [f"sub/{path}" for path in seen_by_git(repository / "sub")]
    around = [path for path in seen_by_git(repository) if path != "sub"]
    assert indexed(repository) == sorted(around + within)
    assert {"sub/x.log", "sub/secret"} <= set(within)
    excludes = repository / ".git" / "modules" / "sub" / "info" / "exclude"
    excludes.write_text("secret\n")
    assert "sub/secret" not in indexed(repository)


def test_a_clone_within_is_entered_unless_it_is_ignored(repository: Path) -> None:
    run_git(repository, "clone", "--quiet", ".", "vendor")
    write(repository, vendor__secret="", vendor__xDOTlog="", vendor__new="")
    within = [f"vendor/{path}" for path in seen_by_git(repository / "vendor")]
    around = [path for path in seen_by_git(repository) if path != "vendor/"]
    assert indexed(repository) == sorted(around + within)
    assert "vendor/secret" in within
    (repository / ".gitignore").write_text("vendor\n")
    assert not any(path.startswith("vendor") for path in indexed(repository))


@pytest.mark.parametrize("is_named", [False, True])
def test_the_users_own_ignore_file_holds_in_every_repository(
    repository: Path, home: Path, is_named: bool
) -> None:
    if is_named:
        write(home, DOTgitconfig="[core]\n\texcludesFile = ~/mine\n", mine="*.own\n!secret")
    else:
        write(home, DOTconfig__git__ignore="*.own\n!secret")
    write(repository, aDOTown="", src__bDOTown="")
    run_git(repository, "clone", "--quiet", ".", "vendor")
    write(repository, vendor__cDOTown="", vendor__new="")
    within = [f"vendor/{path}" for path in seen_by_git(repository / "vendor")]
    around = [path for path in seen_by_git(repository) if path != "vendor/"]
    assert indexed(repository) == sorted(around + within)
    assert "vendor/new" in within
    assert not any(path.endswith((".own", "secret")) for path in indexed(repository))


def test_what_git_tracks_against_its_rules_is_remembered_with_what_is_ignored(
    repository: Path,
) -> None:
    run_git(repository, "add", "--force", "note.log")
    assert "note.log" in seen_by_git(repository)
    index = ReplaceOnIndex(repository)
    index.index()
    assert "note.log" not in index
    assert [match.path for match in index.search("note.log")] == ["note.log"]
