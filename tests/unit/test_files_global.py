"""The user's own ignore file, where git looks for it."""

from pathlib import Path

import pytest

from boundedcollections.files import repository
from boundedcollections.files.index import ReplaceOnIndex


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setattr(repository, "_SYSTEM_CONFIG", tmp_path / "gitconfig")
    return home


@pytest.fixture
def root(tmp_path: Path, home: Path) -> Path:
    root = tmp_path / "project"
    for name in ("objects", "refs", "info"):
        (root / ".git" / name).mkdir(parents=True)
    (root / "sub").mkdir()
    for name in (".git/HEAD", "a.swp", "a.bak", "a.py", "sub/b.swp"):
        (root / name).touch()
    return root


def write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def indexed(root: Path, *, use_global_gitignore: bool = True) -> list[str]:
    index = ReplaceOnIndex(root, use_global_gitignore=use_global_gitignore)
    index.index()
    return list(index)


EVERYTHING = ["a.bak", "a.py", "a.swp", "sub/b.swp"]


def test_the_usual_place_is_looked_at(root: Path, home: Path) -> None:
    write(home / ".config" / "git" / "ignore", "*.swp\n")
    assert indexed(root) == ["a.bak", "a.py"]
    assert indexed(root / "sub") == []
    assert indexed(root, use_global_gitignore=False) == EVERYTHING


def test_the_folder_of_settings_may_be_another(
    root: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(home / ".config" / "git" / "ignore", "*.swp\n")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "settings"))
    assert indexed(root) == EVERYTHING
    write(home / "settings" / "git" / "ignore", "*.py\n")
    assert "a.py" not in indexed(root)


@pytest.mark.parametrize(
    "setting",
    [
        "[core]\n\texcludesFile = ~/mine\n",
        "[core]\nexcludesfile=~/mine ; why not\n",
        '[user]\nname = a\n[Core]\nExcludesFile = "~/mine" # so\n',
        "[core]\nexcludesfile = ~/other\nexcludesfile = ~/mine\n",
        '[core]\nexcludesfile = "~/mi\\ne"\n[remote "x"]\nexcludesfile = ~/other\n',
    ],
)
@pytest.mark.parametrize("place", ["home/.gitconfig", "home/.config/git/config", "gitconfig"])
def test_a_configuration_may_name_another_file(
    root: Path, home: Path, tmp_path: Path, place: str, setting: str
) -> None:
    write(home / ".config" / "git" / "ignore", "*.swp\n")
    write(home / "mine", "*.bak\n")
    write(tmp_path / place, setting)
    assert indexed(root) == ["a.py", "a.swp", "sub/b.swp"]


def test_the_repository_has_the_last_word_on_the_place(root: Path, home: Path) -> None:
    write(home / ".gitconfig", "[core]\nexcludesfile = ~/mine\n")
    write(home / "mine", "*.swp\n")
    write(home / "yours", "*.py\n")
    write(root / ".git" / "config", "[core]\n\texcludesfile = ~/yours\n")
    assert indexed(root) == ["a.bak", "a.swp", "sub/b.swp"]


def test_nearer_rules_come_first(root: Path, home: Path) -> None:
    write(home / ".config" / "git" / "ignore", "*.swp\n*.bak\n*.py\n")
    write(root / ".git" / "info" / "exclude", "!*.bak\n")
    write(root / ".gitignore", "!a.swp\n")
    assert indexed(root) == [".gitignore", "a.bak", "a.swp"]


def test_it_holds_in_a_repository_within_and_nowhere_else(
    root: Path, home: Path, tmp_path: Path
) -> None:
    write(home / ".config" / "git" / "ignore", "*.swp\n/b.swp\n")
    (root / "sub" / ".git").mkdir()
    for name in ("objects", "refs"):
        (root / "sub" / ".git" / name).mkdir()
    (root / "sub" / ".git" / "HEAD").touch()
    assert indexed(root) == ["a.bak", "a.py"]
    write(tmp_path / "plain" / "a.swp", "")
    assert indexed(tmp_path / "plain") == ["a.swp"]


def test_a_repository_that_ignores_case_does_so_without_any_rules_of_its_own(
    root: Path, home: Path
) -> None:
    write(root / ".git" / "config", "[core]\n\tignorecase = true\n")
    write(root / ".gitignore", "*.SWP\n")
    assert indexed(root) == [".gitignore", "a.bak", "a.py"]


@pytest.mark.parametrize("path", ["relative/path", ""])
def test_a_path_that_leads_nowhere_is_no_error(root: Path, home: Path, path: str) -> None:
    write(home / ".gitconfig", f"[core]\nexcludesfile = {path}\n")
    index = ReplaceOnIndex(root)
    assert index.index().errors == 0
    assert list(index) == EVERYTHING


def test_without_a_home_there_is_none(
    root: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(home / ".config" / "git" / "ignore", "*.swp\n")

    def no_home(_: Path) -> Path:
        raise RuntimeError

    monkeypatch.setattr(Path, "expanduser", no_home)
    assert indexed(root) == EVERYTHING
    assert ReplaceOnIndex(root).refresh().errors == 0


def test_a_change_of_it_is_noticed_by_a_refresh(root: Path, home: Path) -> None:
    index = ReplaceOnIndex(root)
    index.refresh()
    write(home / ".config" / "git" / "ignore", "*.swp\n")
    assert index.refresh().is_full
    assert list(index) == ["a.bak", "a.py"]
