"""Which program the agent is."""

import os
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_PACKAGES = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Agent:
    """
    The command that starts an agent; it gets the prompt on its stdin.

    Attributes:
        argv: the program and its arguments; no shell ever sees them.
        environment: what is added to this process's environment.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_command(cls, command: str) -> "Agent":
        """
        Return the agent of a command line.

        >>> Agent.from_command("claude -p --output-format stream-json").argv
        ('claude', '-p', '--output-format', 'stream-json')

        Raises:
            ValueError: there is no command in it, or a quotation mark without its partner.
        """
        argv = tuple(shlex.split(command))
        if not argv:
            raise ValueError("the agent's command is empty")
        return cls(argv)

    @classmethod
    def bundled(cls, root: Path, *arguments: str) -> "Agent":
        """
        Return the agent that comes with the server, for the folder `root`.

        It is started in that folder, so ``-P`` keeps Python from importing what lies there.
        """
        path = filter(None, [str(_PACKAGES), os.environ.get("PYTHONPATH")])
        return cls(
            (sys.executable, "-P", "-m", "chat.demo_agent", "--root", str(root), *arguments),
            {"PYTHONPATH": os.pathsep.join(path)},
        )
