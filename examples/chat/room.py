"""
A room: what was said, who listens, and the one agent at work in it. Pure state, no sockets.

Each item is numbered and built into a frame once. The same bytes are kept for those who come
later and go to those who are here: neither waits for the other, and nobody waits for a reader.
"""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from boundedcollections import Batch, BoundedHistory, Broadcast, MemoryBudget, Subscription
from chat.config import Limits
from chat.protocol import item_frame, members_frame


@dataclass(frozen=True, slots=True)
class CurrentRun:
    """The agent at work: its run's id, and how to end it."""

    id: str
    stop: Callable[[], None]


class Room:
    """
    One room.

    Attributes:
        name: what its members call it.
        members: how many connections are in it.
        run: the agent at work, if there is one.
    """

    def __init__(
        self,
        name: str,
        limits: Limits,
        budget: MemoryBudget,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.name = name
        self.members = 0
        self.run: CurrentRun | None = None
        self._clock = clock
        self._history: BoundedHistory[bytes] = BoundedHistory(
            max_items=limits.max_history_items,
            max_bytes=limits.max_history_bytes,
            budget=budget,
            floor_bytes=limits.item_bytes(),
            name=f"history of {name}",
        )
        self._live: Broadcast[bytes] = Broadcast(
            max_items=limits.max_ring_items,
            max_bytes=limits.max_ring_bytes,
            budget=budget,
            floor_bytes=limits.item_bytes(),
            name=f"live in {name}",
        )
        self._heard: BoundedHistory[bytes] = BoundedHistory(
            max_bytes=limits.max_heard_bytes,
            unique=True,
            budget=budget,
            floor_bytes=limits.max_heard_bytes,
            name=f"heard in {name}",
        )
        self._counts: Broadcast[bytes] = Broadcast(max_items=1, name=f"members of {name}")

    @property
    def epoch(self) -> str:
        """What tells the numbers of this room from those of another life."""
        return self._history.epoch

    @property
    def next_seq(self) -> int:
        """The number that the next item will get."""
        return self._history.next_seq

    @property
    def is_idle(self) -> bool:
        """Whether nobody is here and nothing is going on."""
        return self.members == 0 and self.run is None

    def add(self, kind: str, **fields: Any) -> int:
        """Say something to everybody who is here or comes later; return its number."""
        frame = item_frame(self._history.next_seq, self._clock(), kind, fields)
        self._live.send(frame)
        return self._history.append(frame)

    def has_heard(self, *said: str) -> bool:
        """Whether the same was said before; a client whose line broke may say it again."""
        return _fingerprint(said) in self._heard

    def remember(self, *said: str) -> None:
        """Know the same when it is said again, unless much is said until then."""
        self._heard.append(_fingerprint(said))

    def join(self) -> None:
        """Count one more member, and tell the others."""
        self._count(+1)

    def leave(self) -> None:
        """Count one member less, and tell the others."""
        self._count(-1)

    def listen(self, next_seq: int) -> tuple[Batch[bytes], Subscription[bytes]]:
        """
        Return the item frames from `next_seq` on, and a subscription to those that come.

        The two meet exactly, because the ring and the history count alike.

        Raises:
            ValueError: there is no such number yet.
        """
        past = self._history.since(next_seq)
        return past, self._live.subscribe(after=past.next_seq - 1)

    def listen_for_members(self) -> Subscription[bytes]:
        """Return a subscription to how many are here; whoever is slow gets the newest figure."""
        return self._counts.subscribe(replay=1)

    def _count(self, change: int) -> None:
        self.members += change
        self._counts.send(members_frame(self.members))


def _fingerprint(said: tuple[str, ...]) -> bytes:
    return hashlib.blake2b(repr(said).encode(), digest_size=16).digest()
