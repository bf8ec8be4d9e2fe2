"""The bundled agent really does what it says, and nothing outside of its folder."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from integration.chat.client import ENVIRONMENT

from chat.demo_agent.understanding import (
    FindFile,
    ListFolder,
    ReadFile,
    SearchText,
    Unknown,
    understand,
)
from chat.demo_agent.workspace import MAX_LINES, MAX_MATCHES, NotPossible, Workspace

SENTENCES = {
    "search TODO in src": SearchText("TODO", "src"),
    "search TODO in .": SearchText("TODO"),
    "please search for 'to do' in @src/deep, thanks!": SearchText("to do", "src/deep"),
    "search in src for TODO": SearchText("TODO", "src"),
    "grep main": SearchText("main"),
    "where is Ledger defined?": SearchText("Ledger"),
    "where do we use Ledger in src?": SearchText("Ledger", "src"),
    "which files contain Ledger": SearchText("Ledger"),
    'find all mentions of "a b" in src': SearchText("a b", "src"),
    "show me README.md": ReadFile("README.md"),
    "show me README.md.": ReadFile("README.md"),
    "cat @README.md": ReadFile("README.md"),
    "read src/main.py lines 2-3": ReadFile("src/main.py", 2, 3),
    "can you show me lines 2 to 3 of src/main.py?": ReadFile("src/main.py", 2, 3),
    "read src/main.py line 2": ReadFile("src/main.py", 2, 2),
    'open "my file.txt"': ReadFile("my file.txt"),
    "list src": ListFolder("src"),
    "ls": ListFolder("."),
    "what is in src?": ListFolder("src"),
    "list the files in src": ListFolder("src"),
    "find main.py": FindFile("main.py"),
    "find files named *.py in src": FindFile("*.py", "src"),
    "where is the file main.py": FindFile("main.py"),
    "what is the meaning of life?": Unknown("what is the meaning of life?"),
    "look": Unknown("look"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "served"
    (root / "src" / "deep").mkdir(parents=True)
    (root / "README.md").write_text("# Title\n\nSecond line.\nTODO: third\n")
    (root / "src" / "main.py").write_text("import os\n# TODO: tidy\nprint('todo')\n")
    (root / "src" / "deep" / "util.py").write_text("x = 1\n")
    (root / "src" / "image.png").write_bytes(b"\x89PNG\0TODO\0")
    (tmp_path / "secret.txt").write_text("TODO: the secret\n")
    return root


class TestUnderstanding:
    def test_a_sentence_is_understood_or_said_not_to_be(self) -> None:
        for prompt, request in SENTENCES.items():
            assert understand(prompt) == [request], prompt

    def test_several_steps_are_taken_in_order(self) -> None:
        assert understand("list src, then read README.md\nfind main; search TODO") == [
            ListFolder("src"),
            ReadFile("README.md"),
            FindFile("main"),
            SearchText("TODO"),
        ]

    def test_only_so_many_steps_are_taken(self) -> None:
        assert len(understand("ls\n" * 1_000)) == 8

    def test_a_long_prompt_does_not_take_long_to_be_not_understood(self) -> None:
        """Patterns that backtrack would be at this for hours; the time limit of the suite tells."""
        assert isinstance(understand("search " + "in a " * 3_000)[0], SearchText)
        assert isinstance(understand("where is " + "x " * 3_000)[0], SearchText)
        assert isinstance(understand("please " * 3_000 + "nothing")[0], Unknown)


class TestWorkspace:
    def test_list_tells_folders_first(self, folder: Path) -> None:
        answer = Workspace(folder).list(".")
        assert answer.output == "src/\nREADME.md"
        assert answer.summary == "`.` holds 1 folder and 1 file."

    def test_read_numbers_the_lines(self, folder: Path) -> None:
        answer = Workspace(folder).read("README.md", 3, 4)
        assert answer.output == "    3  Second line.\n    4  TODO: third"
        assert answer.summary == "These are lines 3 to 4 of `README.md`."

    def test_read_says_when_there_is_more(self, folder: Path) -> None:
        (folder / "long.txt").write_text("".join(f"{number}\n" for number in range(1, 2_000)))
        answer = Workspace(folder).read("long.txt")
        assert len(answer.output.splitlines()) == MAX_LINES
        assert answer.summary == "These are lines 1 to 400 of `long.txt`; there is more after that."
        assert "has no line 5000" in Workspace(folder).read("long.txt", 5_000).summary

    def test_one_endless_line_is_read_in_pieces(self, folder: Path) -> None:
        (folder / "endless.txt").write_text("x" * 5_000_000)
        assert len(Workspace(folder).read("endless.txt").output) < 100_000

    def test_search_tells_file_line_and_text(self, folder: Path) -> None:
        answer = Workspace(folder).search("TODO", ".")
        assert answer.output == "README.md:4: TODO: third\nsrc/main.py:2: # TODO: tidy"
        assert answer.summary.startswith("Found 2 lines with `TODO` in 2 files (3 searched, 1 ")

    def test_search_in_small_letters_ignores_the_case(self, folder: Path) -> None:
        assert "src/main.py:3: print('todo')" in Workspace(folder).search("todo", "src").output

    def test_search_stops_when_it_has_found_enough(self, folder: Path) -> None:
        for number in range(3):
            (folder / f"many{number}.txt").write_text("needle\n" * 150)
        answer = Workspace(folder).search("needle", ".")
        assert len(answer.output.splitlines()) == MAX_MATCHES
        assert "That is not all" in answer.summary

    def test_find_knows_parts_and_wildcards(self, folder: Path) -> None:
        workspace = Workspace(folder)
        assert workspace.find("UTIL", ".").output == "src/deep/util.py"
        assert workspace.find("*.py", ".").output == "src/main.py\nsrc/deep/util.py"
        assert workspace.find("nothing", ".").summary == "Found 0 files for `nothing`."

    @pytest.mark.parametrize(
        "path", ["..", "../secret.txt", "/etc/passwd", "src/../../secret.txt", "../nothing", "~/x"]
    )
    def test_no_path_leads_out(self, folder: Path, path: str) -> None:
        for use in (Workspace(folder).read, Workspace(folder).list):
            with pytest.raises(NotPossible, match=r"outside|there is no"):
                use(path)

    def test_no_link_leads_out(self, folder: Path) -> None:
        (folder / "file").symlink_to(folder.parent / "secret.txt")
        (folder / "dir").symlink_to(folder.parent)
        workspace = Workspace(folder)
        for path in ("file", "dir/secret.txt"):
            with pytest.raises(NotPossible, match="outside of the folder"):
                workspace.read(path)
        assert "secret" not in workspace.search("TODO", ".").output
        assert "secret" not in workspace.find("secret", ".").output

    def test_what_is_no_text_is_not_read(self, folder: Path) -> None:
        os.mkfifo(folder / "pipe")
        for path in ("src/image.png", "pipe", "src", "a\0b"):
            with pytest.raises(NotPossible):
                Workspace(folder).read(path)
        assert "(no match)" in Workspace(folder).search("anything", "pipe").output


class TestConversation:
    def ask(self, folder: Path, prompt: str) -> list[dict[str, Any]]:
        result = subprocess.run(
            [sys.executable, "-m", "chat.demo_agent", "--root", str(folder)],
            input=prompt.encode(),
            capture_output=True,
            check=True,
            env=ENVIRONMENT,
        )
        assert result.stderr == b""
        return [json.loads(line) for line in result.stdout.splitlines()]

    def test_it_says_who_it_is_what_it_does_and_what_it_found(self, folder: Path) -> None:
        first, use, result, text, last = self.ask(folder, "search TODO in src")
        assert first["subtype"] == "init"
        (called,) = use["message"]["content"]
        assert (called["name"], called["input"]) == ("search", {"text": "TODO", "path": "src"})
        (answered,) = result["message"]["content"]
        assert answered["tool_use_id"] == called["id"]
        assert answered["content"][0]["text"] == "src/main.py:2: # TODO: tidy"
        assert text["message"]["content"][0]["text"].startswith("Found 1 line with `TODO`")
        assert (last["type"], last["is_error"]) == ("result", False)

    def test_an_error_of_a_tool_is_told_in_words(self, folder: Path) -> None:
        _, _, result, text, _ = self.ask(folder, "read ../secret.txt")
        assert result["message"]["content"][0]["is_error"] is True
        assert "outside of the folder" in text["message"]["content"][0]["text"]

    def test_what_it_does_not_understand_gets_a_list_of_what_it_can(self, folder: Path) -> None:
        _, text, _ = self.ask(folder, "make me a sandwich")
        said = text["message"]["content"][0]["text"]
        assert "“make me a sandwich”" in said
        assert "`search TODO in src`" in said

    def test_it_helps_itself_to_what_was_meant(self, folder: Path) -> None:
        """A bare name is looked for, a folder is listed, a text that is no file is searched."""
        said = json.dumps(self.ask(folder, "read util.py; read src; find tidy"))
        assert "    1  x = 1" in said
        assert "`src` holds 1 folder and 2 files." in said
        assert "Found 1 line with `tidy`" in said
