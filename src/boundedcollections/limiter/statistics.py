"""The figures of one limiter."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LimiterStatistics:
    """
    The figures of one `ConnectionLimiter` at one moment. Totals count since its creation.

    Always ``admitted == connections + released + leaked``, and whoever came was admitted, or
    refused by one of the four, or gave up, or waits.

    Attributes:
        connections: how many are inside.
        waiting: how many wait in line.
        keys: how many different keys have somebody inside or waiting.
        max_connections: the bound inside.
        max_per_key: the bound for one key, inside and waiting together, or None.
        max_waiting: the bound in line.
        peak_connections: the most that were ever inside at once.
        admitted: how many were ever let in.
        released: how many went out again.
        leaked: how many were lost without going out; their places came back.
        refused_full: refused because all places were taken, and nobody may wait, or too many do.
        refused_by_key: refused because of `max_per_key`.
        refused_by_budget: refused because memory is critically short.
        timed_out: refused because no place came free in time.
        mean_seconds: the mean time inside, the last ones counting most; 0 while nobody has left.
        closed: whether the limiter was closed.
    """

    connections: int
    waiting: int
    keys: int
    max_connections: int
    max_per_key: int | None
    max_waiting: int
    peak_connections: int
    admitted: int
    released: int
    leaked: int
    refused_full: int
    refused_by_key: int
    refused_by_budget: int
    timed_out: int
    mean_seconds: float
    closed: bool
