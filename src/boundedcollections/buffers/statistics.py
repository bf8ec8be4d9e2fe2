"""The figures of one pool."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class BufferPoolStatistics:
    """
    The figures of one `BufferPool` at one moment. Totals count since its creation.

    Always ``granted == leased + released + leaked``, and ``idle + leased + viewed`` buffers exist.

    Attributes:
        buffer_bytes: the size of one buffer.
        max_buffers: the bound in buffers.
        max_bytes: the bound in bytes: `max_buffers` times `buffer_bytes`.
        leased: buffers lent at this moment.
        idle: buffers kept for the next lease.
        viewed: buffers whose lease is over while somebody still holds a view of their memory.
        current_bytes: the bytes of all buffers that exist.
        peak_bytes: the most bytes that ever existed.
        granted: leases ever given out.
        released: leases given back.
        leaked: leases dropped without being given back; their buffers are not used again.
        waiting: how many wait for a buffer.
        rejected: how often there was no buffer for somebody who would not wait, or no longer.
        closed: whether the pool was closed.
    """

    buffer_bytes: int
    max_buffers: int
    max_bytes: int
    leased: int
    idle: int
    viewed: int
    current_bytes: int
    peak_bytes: int
    granted: int
    released: int
    leaked: int
    waiting: int
    rejected: int
    closed: bool
