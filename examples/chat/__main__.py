"""``python -m chat``: arguments, limits, serve; Ctrl-C ends it and leaves nothing behind."""

import argparse
import asyncio
import logging
import signal
import sys
from pathlib import Path

from chat.agent import Agent
from chat.config import Limits
from chat.server import ChatServer


def main() -> None:
    """Serve until a signal says stop."""
    arguments = _parser().parse_args()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    try:
        root = arguments.root.resolve(strict=True)
        if not root.is_dir():
            raise NotADirectoryError(f"{root} is not a folder")
        command = arguments.agent
        agent = Agent.bundled(root) if command is None else Agent.from_command(command)
        asyncio.run(serve(agent, root=root, host=arguments.host, port=arguments.port))
    except (OSError, ValueError) as error:
        sys.exit(f"chat: {error}")


async def serve(agent: Agent, *, root: Path, host: str, port: int) -> None:
    """Serve until SIGINT or SIGTERM; a second one does not wait for an orderly end."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    signals = (signal.SIGINT, signal.SIGTERM)
    for number in signals:
        loop.add_signal_handler(number, stop.set)
    server = ChatServer(agent, root=root, limits=Limits())
    address = await server.start(host, port)
    try:
        print(f"{address} serves {root.name or root}; Ctrl-C ends it", flush=True)
        await stop.wait()
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
        await server.aclose()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m chat", description="A chat room with an agent, in bounded memory."
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="port (%(default)s); 0: any")
    parser.add_argument(
        "--root", type=Path, default=Path(), help="folder that the agent may look into (this one)"
    )
    parser.add_argument(
        "--agent",
        metavar="COMMAND",
        help="what answers, by stream-json on its stdout and with the prompt on its stdin, such as "
        "'claude -p --output-format stream-json --verbose'; by default the bundled offline agent",
    )
    return parser


if __name__ == "__main__":
    main()
