"""The buffers that there are: lent, kept for the next lease, or still looked at by somebody."""

# ruff: noqa: SLF001  # a lease is the other half of this mechanism

import threading
import weakref
from collections.abc import Callable

from boundedcollections._core.receiver import NOTHING, Nothing
from boundedcollections.buffers.lease import Buffer, BufferLease


class Stock:
    """
    The buffers of one pool, and the books of its leases; nobody waits here.

    Args:
        max_buffers: the most that exist at once.
        buffer_bytes: the size of one.
        lock: that of the pool.
        came_back: called when a buffer has died, so that another one may be made.

    Attributes:
        target_bytes: no buffer is made or kept above that.
        idle: the buffers kept for the next lease.
        peak: the most buffers that ever existed.
        granted: leases ever given out.
        released: leases given back.
        closed: whether no more is lent or kept.
    """

    __slots__ = (
        "_came_back",
        "_lock",
        "_refs",
        "buffer_bytes",
        "closed",
        "granted",
        "idle",
        "max_buffers",
        "peak",
        "released",
        "target_bytes",
    )

    def __init__(
        self,
        max_buffers: int,
        buffer_bytes: int,
        lock: threading.RLock,
        came_back: Callable[[object], object],
    ) -> None:
        self.max_buffers = max_buffers
        self.buffer_bytes = buffer_bytes
        self.target_bytes = self.max_bytes
        self._lock = lock
        self._came_back = came_back
        self._refs: list[weakref.ref[Buffer]] = []
        self.idle: list[Buffer] = []
        self.peak = self.granted = self.released = 0
        self.closed = False

    @property
    def max_bytes(self) -> int:
        """The bound in bytes."""
        return self.max_buffers * self.buffer_bytes

    @property
    def current_bytes(self) -> int:
        """The bytes of all buffers that exist, lent or not."""
        return len(self.alive()) * self.buffer_bytes

    def alive(self) -> list[Buffer]:
        """Return all buffers that exist."""
        return [buffer for ref in self._refs if (buffer := ref()) is not None]

    def is_within_target(self) -> bool:
        """Say whether there are no more buffers than the target allows; rarely are they counted."""
        return self.target_bytes >= self.max_bytes or self.current_bytes <= self.target_bytes

    def lend(self, lease: BufferLease) -> BufferLease | Nothing:
        """Give `lease` a buffer, if there is one; under the lock."""
        # Each half ends without a call: an interruption comes before all of it, or after.
        while not self.closed:
            if self.idle:
                buffer = self.idle.pop()
                view = memoryview(buffer)
            else:
                refs = self._refs
                alive = [ref for ref in refs if ref() is not None]
                exist = len(alive) + 1
                if exist > self.max_buffers or exist * self.buffer_bytes > self.target_bytes:
                    return NOTHING
                buffer = Buffer(self.buffer_bytes)
                view = memoryview(buffer)
                alive.append(weakref.ref(buffer, self._came_back))
                if self._refs is not refs:  # whoever interrupted this has made one, too
                    continue
                self._refs = alive
                if exist * self.buffer_bytes > self.target_bytes:  # it may have just fallen
                    self._refs = refs
                    return NOTHING
                if exist > self.peak:  # noqa: PLR1730  # max() would be a call
                    self.peak = exist
            buffer.lent = True
            lease._memory = buffer
            lease.buffer = view
            self.granted += 1
            return lease
        return NOTHING

    def take_back(self, lease: BufferLease, *, leaked: bool) -> bool:
        """End `lease`, and keep its buffer if nobody can look at it any more; say whether it was lent."""
        with self._lock:
            memory = lease._memory
            if memory is None:
                return False
            lease._memory = None
            memory.lent = False
            if not leaked:
                self.released += 1
        if not leaked:
            self._keep(lease.buffer, memory)
        return True

    def drain(self) -> int:
        """Let the buffers go that nobody uses, and return how many bytes that were."""
        with self._lock:
            idle, self.idle = self.idle, []
        return len(idle) * self.buffer_bytes

    def close(self) -> None:
        """Lend and keep no more."""
        self.closed = True
        self.drain()

    def shed(self) -> bool:
        """Let one idle buffer go if the target is exceeded; say whether it still is."""
        with self._lock:
            victim = self.idle.pop() if self.idle and not self.is_within_target() else None
        del victim
        return not self.is_within_target()

    def _keep(self, view: memoryview, memory: Buffer) -> None:
        """Wipe `memory` for the next lease, or let it go if somebody still looks at it."""
        try:
            view.release()
            bytearray.__init__(memory, self.buffer_bytes)  # new zeros; fails where views are left
        except (BufferError, MemoryError):
            return
        with self._lock:
            if not self.closed and self.is_within_target():
                self.idle.append(memory)

    def check(self) -> None:
        """Assert the invariants; the pool calls it under the lock."""
        assert len(self.alive()) <= self.peak <= self.max_buffers, (self.peak, self.max_buffers)
        assert not (self.closed and self.idle), self.idle
        assert not any(buffer.lent for buffer in self.idle), self.idle
        assert all(buffer.count(0) == self.buffer_bytes for buffer in self.idle)
