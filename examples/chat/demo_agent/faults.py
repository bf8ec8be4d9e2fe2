"""What a bad day looks like: each of these has broken a server of this kind before."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping

from chat.demo_agent.voice import Voice

MANY = 10_000
HUGE = 4 << 20


def slow(voice: Voice) -> None:
    """Work for a minute, a word at a time."""
    for second in range(60):
        voice.say(f"still at work, {second} s")
        time.sleep(1)


def flood(voice: Voice) -> None:
    """Say far more than anybody reads, and call tools with long answers."""
    for number in range(MANY):
        voice.say(f"flood {number} " + "~" * 100)
        if number % 100 == 0:
            identifier = voice.use("read", {"path": "x" * 4_000, "number": number})
            voice.answer(identifier, f"{number} " + "y" * 40_000)


def long_line(voice: Voice) -> None:
    """Write one line that is longer than any line should be."""
    voice.say("L" * HUGE)


def long_stderr(_: Voice) -> None:
    """Fill stderr, without a single line break."""
    sys.stderr.write("E" * HUGE)


def crash(voice: Voice) -> None:
    """Die in the middle of a line."""
    voice.say("about to crash")
    sys.stdout.write('{"type":"assistant","mess')
    sys.stdout.flush()
    sys.stderr.write("Traceback: many lines\nOutOfCheese: please reinstall the universe\n")
    sys.exit(3)


def ignore_sigint(voice: Voice) -> None:
    """Take no notice of a polite request, nor of a firm one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    voice.say("I am not listening")
    time.sleep(300)


def spawn_child(voice: Voice) -> None:
    """Leave a child behind that holds the pipes open."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
    voice.say(f"child {child.pid}")
    sys.exit(0)


def garbage(voice: Voice) -> None:
    """Write what is not JSON, not an event, or not of the right form."""
    out = sys.stdout.buffer
    out.write(b"plain words\n\xff\xfe\x00 binary \x80\n\n   \r\n[1, 2]\n17\nnull\n")
    out.write(b"[" * 100_000 + b"\n")
    out.write(b'{"type": "assistant"}\n{"type": "assistant", "message": 5}\n')
    out.write(b'{"type": 7}\n{"type": "news", "text": "unknown"}\n')
    out.write(b'{"type": "user", "message": {"content": [5, {"type": "tool_result"}]}}\n')
    out.write(b'{"type": "assistant", "message": {"content": "half \\ud800 a pair"}}\n')
    out.flush()
    voice.say("after the garbage")


FAULTS: Mapping[str, Callable[[Voice], None]] = {
    "slow": slow,
    "flood": flood,
    "long-line": long_line,
    "long-stderr": long_stderr,
    "crash": crash,
    "ignore-sigint": ignore_sigint,
    "spawn-child": spawn_child,
    "garbage": garbage,
}
