"""``python -m chat.demo_agent --root DIR``: a prompt on stdin, stream-json on stdout."""

import argparse
import contextlib
import os
import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path

from chat.demo_agent.faults import FAULTS
from chat.demo_agent.understanding import (
    FindFile,
    ListFolder,
    ReadFile,
    Request,
    SearchText,
    Unknown,
    understand,
)
from chat.demo_agent.voice import Voice
from chat.demo_agent.workspace import Answer, NotPossible, Workspace

MAX_PROMPT_BYTES = 1 << 20
HELP = """I am a small agent that works offline. I can look into this folder:

- `list src` — what is in a folder
- `read README.md lines 1-40` — a file, or some lines of it
- `search TODO in src` — every line that holds a text
- `find *.toml` — files by name

Several steps may be joined by "then"."""


class Agent:
    """Does one request after the other, and tells about each."""

    def __init__(self, workspace: Workspace, voice: Voice) -> None:
        self._workspace = workspace
        self._voice = voice

    def obey(self, prompt: str) -> None:
        """Do what `prompt` asks for."""
        for request in understand(prompt) or [Unknown(prompt)]:
            self._do(request)

    def _do(self, request: Request) -> None:
        match request:
            case ListFolder(path):
                self._list(path)
            case ReadFile():
                self._read(request)
            case SearchText(text, path):
                arguments: dict[str, object] = {"text": text, "path": path}
                self._use("search", arguments, lambda: self._workspace.search(text, path))
            case FindFile(name, path):
                self._find(name, path)
            case Unknown(prompt):
                asked = " ".join(prompt.split())[:80]
                self._voice.say(f"I do not understand “{asked}”.\n\n{HELP}" if asked else HELP)

    def _list(self, path: str) -> None:
        """List a folder; a file is read instead."""
        if self._workspace.is_file(path):
            self._read(ReadFile(path))
        else:
            self._use("list", {"path": path}, lambda: self._workspace.list(path))

    def _read(self, request: ReadFile) -> None:
        """Read a file; a folder is listed instead, and a bare name is looked for."""
        path, first, last = request.path, request.first, request.last
        if self._workspace.is_folder(path):
            self._list(path)
            return
        if not self._workspace.is_file(path) and "/" not in path:
            named = list(islice(self._workspace.named(path), 2))
            if len(named) > 1:
                self._voice.say(f"There is no `{path}` at the top, but elsewhere:")
                self._find(path, ".")
                return
            path = named[0] if named else path
        arguments: dict[str, object] = {"path": path, "first": first, "last": last}
        self._use("read", arguments, lambda: self._workspace.read(path, first, last))

    def _find(self, name: str, path: str) -> None:
        """Find files; where none has that name, it may be a text that was meant."""
        self._use("find", {"name": name, "path": path}, lambda: self._workspace.find(name, path))
        if not self._workspace.has(name, path):
            self._do(SearchText(name, path))

    def _use(self, tool: str, arguments: dict[str, object], work: Callable[[], Answer]) -> None:
        identifier = self._voice.use(tool, arguments)
        try:
            answer = work()
        except (NotPossible, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            self._voice.answer(identifier, f"{reason}", is_error=True)
            self._voice.say(f"That is not possible: {reason}.")
        else:
            self._voice.answer(identifier, answer.output)
            self._voice.say(answer.summary)


def main() -> None:
    """Read the prompt, obey, and say what was found."""
    parser = argparse.ArgumentParser(prog="chat.demo_agent", description=__doc__)
    parser.add_argument("--root", type=Path, default=Path(), help="the folder to look into")
    parser.add_argument("--fault", choices=sorted(FAULTS), help="go wrong in this way, for tests")
    arguments = parser.parse_args()
    voice = Voice()
    voice.begin(["list", "read", "search", "find"])
    prompt = sys.stdin.buffer.read(MAX_PROMPT_BYTES).decode(errors="replace")
    if arguments.fault is not None:
        FAULTS[arguments.fault](voice)
    Agent(Workspace(arguments.root), voice).obey(prompt)
    voice.end()


if __name__ == "__main__":
    try:
        with contextlib.suppress(KeyboardInterrupt):
            main()
            sys.exit(0)
        sys.exit(130)
    except BrokenPipeError:  # nobody listens any more; let the interpreter not stumble over it too
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
