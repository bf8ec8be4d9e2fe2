"""
Every limit of the server, in one place, with its unit in its name and its reason beside it.

Nothing else in this package holds a number that bounds memory or time. `worst_case_bytes` adds
them up: what the process can need, whatever its clients and its agents do.
"""

from dataclasses import dataclass, fields

from boundedcollections import KiB, MiB

JSON_GROWTH = 6
"""One byte of text is at most six in JSON: a control character becomes ``\\u0000``."""

TEXT_GROWTH = 4
"""One byte of UTF-8 is at most four in a `str`: a single emoji makes all its characters wide."""

PARSE_GROWTH = 48
"""One byte of hostile JSON is at most this many in objects; lists in lists in lists cost 45."""

RECEIVE_QUEUE_BYTES = 512 * KiB
"""What aiohttp queues of one websocket before it stops reading from the socket."""

CONNECTION_BYTES = 64 * KiB
"""An idle connection with its three tasks; 24 KiB measured, rounded up."""

ROOM_BYTES = 16 * KiB
"""An empty room."""

CHUNK_BYTES = 256 * KiB
"""What asyncio reads from a pipe at a time."""

BASE_BYTES = 64 * MiB
"""The interpreter with everything imported; 40 MiB measured, rounded up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """
    What the server allows. Every limit is finite, and at least 1.

    Raises:
        ValueError: a limit is not above 0, or two of them contradict each other.
    """

    # The whole process
    max_process_bytes: int = 640 * MiB
    """As the system measures it. Above the worst case by so much that newcomers are refused only
    if something takes more than it was ever meant to. With less, the caches give way first."""

    # Who may come
    max_connections: int = 100
    """Websockets; one more is refused before the upgrade. Each is worth about 3 MiB at worst."""
    max_sockets: int = 200
    """TCP connections of any kind, so that page loads and idle sockets are bounded as well."""
    max_rooms: int = 32
    """A new room evicts the one that has been empty longest; if none is empty, it is refused."""
    max_runs: int = 4
    """Agents at work at the same time; each is a process of its own."""

    # What a client may send
    max_message_bytes: int = 16 * KiB
    """A long prompt with a pasted stack trace; a whole file belongs into the served folder."""
    max_frame_bytes: int = 100 * KiB
    """A message at its worst in JSON (`JSON_GROWTH`) and the other fields."""
    frames_per_second: float = 20.0
    """Nobody types faster; completion asks once for each key."""
    burst_frames: int = 60
    """A page that comes back sends what was typed meanwhile at once."""

    # What a room keeps
    max_history_items: int = 500
    """About what a reader scrolls back through."""
    max_history_bytes: int = 512 * KiB
    """Sent to each client that joins in one frame, so it counts for every connection too."""
    max_ring_items: int = 256
    """How far a slow reader may lag behind before it gets a gap."""
    max_ring_bytes: int = 256 * KiB
    """The same in bytes; two of the largest items fit."""

    max_heard_bytes: int = 16 * KiB
    """Fingerprints of the last messages, so that one sent again is not said twice."""

    # What is on its way to a client
    max_batch_items: int = 64
    """Taken from the ring at once."""
    max_batch_bytes: int = 64 * KiB
    """The same in bytes: no more of a laggard's backlog leaves the ring at a time."""
    max_write_bytes: int = 64 * KiB
    """What may wait in the socket's buffer in this process before the writer waits."""
    socket_send_bytes: int = 64 * KiB
    """What may wait in the kernel; left to itself it grows to some 4 MB for a stalled reader."""

    # What an agent may say
    max_line_bytes: int = 1 * MiB
    """One line of an agent is one event; a longer one is cut, and the room is told."""
    max_text_bytes: int = 16 * KiB
    """One item of an agent's text; a longer text is several items, nothing is lost."""
    max_preview_bytes: int = 2 * KiB
    """Of a tool's input and output in the room; the whole is fetched on demand."""
    max_tool_bytes: int = 64 * KiB
    """Of a tool's input, and of its output, that is kept whole."""
    max_tools_bytes: int = 16 * MiB
    """All tool calls of all rooms together, least recently used leave first."""
    max_stderr_bytes: int = 16 * KiB
    """The end of what an agent writes there: that is where the reason stands."""

    # The files of the served folder
    max_files: int = 100_000
    """Paths known to completion; a larger tree is cut, shallow files first."""
    max_files_bytes: int = 32 * MiB
    """The same in bytes, a new index that is being built included."""
    max_completions: int = 50
    """Results of one question."""
    index_interval_seconds: float = 120.0
    """How soon a new file is found at the latest."""

    # How long
    hello_seconds: float = 10.0
    """A socket that does not say who it is makes room for others."""
    heartbeat_seconds: float = 30.0
    """A peer that vanished without a word is noticed within one and a half of these."""
    stall_seconds: float = 30.0
    """A client that takes nothing for so long is cut off."""
    run_seconds: float = 600.0
    """The longest run of an agent."""
    interrupt_seconds: float = 0.4
    """What an agent gets to end well after SIGINT; with the next one, Stop takes below 1 s."""
    terminate_seconds: float = 0.3
    """The same after SIGTERM. Then comes SIGKILL."""
    drain_seconds: float = 1.0
    """What is left in the pipes of an agent that ended is read for so long."""
    close_seconds: float = 2.0
    """A closing handshake; then the socket is cut off."""

    def __post_init__(self) -> None:
        for limit in fields(self):
            value = getattr(self, limit.name)
            if isinstance(value, bool) or not 0 < value < float("inf"):
                raise ValueError(f"{limit.name} must be finite and above 0, got {value!r}")
        self._needs("max_text_bytes", TEXT_GROWTH)  # one character at least
        self._needs("max_frame_bytes", JSON_GROWTH * self.max_message_bytes + 2 * KiB)
        for ring in ("max_ring_bytes", "max_history_bytes"):
            self._needs(ring, self.item_bytes())
        floors = self.max_rooms * self._room_floor_bytes() + self.tool_bytes() + self.files_bytes()
        runs = self.max_runs * self.run_bytes()
        self._needs("max_process_bytes", BASE_BYTES + floors + runs)

    def item_bytes(self) -> int:
        """The largest item of a room, as a frame."""
        largest_text = max(self.max_message_bytes, self.max_text_bytes, 2 * self.max_preview_bytes)
        return JSON_GROWTH * largest_text + 2 * KiB

    def tool_bytes(self) -> int:
        """The largest tool call that is kept: its input and its output."""
        return min(self.max_tools_bytes, 2 * TEXT_GROWTH * self.max_tool_bytes + 4 * KiB)

    def files_bytes(self) -> int:
        """What the index keeps however short memory is."""
        return self.max_files_bytes // 4

    def run_bytes(self) -> int:
        """The line that an agent is writing, one chunk of its pipe, and its last words."""
        return self.max_line_bytes * 9 // 8 + CHUNK_BYTES + 2 * self.max_stderr_bytes

    def _needs(self, name: str, least: int) -> None:
        value = getattr(self, name)
        if value < least:
            raise ValueError(f"{name} must be at least {least} with these limits, got {value}")

    def worst_case_bytes(self) -> int:
        """
        Return the memory that the server can need at most, its agents' processes not counted.

        >>> Limits().worst_case_bytes() // MiB
        555
        """
        return (
            BASE_BYTES
            + self.max_connections * self._connection_bytes()
            + self.max_sockets * CONNECTION_BYTES
            + self.max_rooms * self._room_bytes()
            + self.max_runs * self.run_bytes()
            + self.max_tools_bytes
            + self.max_files_bytes
            + self._parse_bytes()
        )

    def _connection_bytes(self) -> int:
        """What it sent and nobody read yet, what it is being sent, and what it lags behind."""
        received = TEXT_GROWTH * (RECEIVE_QUEUE_BYTES + self.max_frame_bytes)
        answer = max(self.max_history_bytes, 2 * JSON_GROWTH * self.max_tool_bytes)
        lagging = self.max_batch_bytes + 2 * self.max_write_bytes + self.max_frame_bytes
        return CONNECTION_BYTES + received + answer + lagging

    def _room_bytes(self) -> int:
        return ROOM_BYTES + self.max_history_bytes + self.max_ring_bytes + self.max_heard_bytes

    def _room_floor_bytes(self) -> int:
        """The newest item, in the history and in the ring, and what was heard."""
        return 2 * self.item_bytes() + self.max_heard_bytes

    def _parse_bytes(self) -> int:
        """One frame or one line at a time becomes text and objects; then they are gone again."""
        return (TEXT_GROWTH + PARSE_GROWTH) * max(self.max_frame_bytes, self.max_line_bytes)
