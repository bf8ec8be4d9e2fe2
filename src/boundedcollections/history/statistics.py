"""The figures of one history."""

from dataclasses import dataclass

from boundedcollections._core.events import RemovalCause
from boundedcollections._core.ledger import Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryStatistics:
    """
    The figures of one `BoundedHistory` at one moment. Totals count since its creation.

    Attributes:
        items: how many items are held.
        current_bytes: the sum of their sizes; 0 when nothing is measured.
        peak_items: the most items ever held.
        peak_bytes: the most bytes ever held.
        max_items: the bound in items, or None.
        max_bytes: the bound in bytes, or None.
        max_age_seconds: the bound in seconds, or None.
        first_seq: the number of the oldest item held.
        next_seq: the number that the next item will get.
        accepted: items and bytes ever appended; equals what is held plus all of `left`.
        left: items and bytes that left, by cause; every cause is present.
        rejected: items refused because one alone exceeds `max_bytes`; not in `accepted`.
        listener_errors: how often `on_evict` raised.
    """

    items: int
    current_bytes: int
    peak_items: int
    peak_bytes: int
    max_items: int | None
    max_bytes: int | None
    max_age_seconds: float | None
    first_seq: int
    next_seq: int
    accepted: Tally
    left: dict[RemovalCause, Tally]
    rejected: int
    listener_errors: int
