"""The figures of a cache."""

from dataclasses import dataclass

from boundedcollections._core.events import RemovalCause
from boundedcollections._core.ledger import Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class LRUStatistics:
    """
    The figures of one `SizeAwareLRU` at one moment. Totals count since its creation.

    Attributes:
        items: how many entries are held.
        current_bytes: the sum of their sizes, keys and the cache's own tables included.
        peak_items: the most entries ever held.
        peak_bytes: the most bytes ever held.
        max_items: the bound in entries, or None.
        max_bytes: the bound in bytes.
        max_entry_bytes: the bound of one entry, in bytes.
        hits: lookups that found their key: by ``[]``, `get`, `setdefault` and the loading calls,
            not by `peek` and ``in``.
        misses: lookups that did not.
        accepted: entries and bytes ever written; equals what is held plus all of `left`.
            Overwriting a key accepts the new value, and the old one leaves as REPLACED.
        left: entries and bytes that left, by cause; every cause is present.
        rejected: entries refused because one alone exceeds its bound; not in `accepted`.
        loads: how often a loader returned a value, whether or not it could be kept.
        load_errors: how often a loader raised, or was cancelled.
        listener_errors: how often `on_evict` raised.
    """

    items: int
    current_bytes: int
    peak_items: int
    peak_bytes: int
    max_items: int | None
    max_bytes: int
    max_entry_bytes: int
    hits: int
    misses: int
    accepted: Tally
    left: dict[RemovalCause, Tally]
    rejected: int
    loads: int
    load_errors: int
    listener_errors: int

    @property
    def hit_ratio(self) -> float:
        """The hits among all lookups, from 0 to 1; 1 before the first lookup."""
        lookups = self.hits + self.misses
        return self.hits / lookups if lookups else 1.0

    @property
    def evicted(self) -> Tally:
        """What the cache itself let go to keep its bounds: by SIZE, COUNT and EXPIRED."""
        tallies = [tally for cause, tally in self.left.items() if cause.evicted]
        return Tally(sum(tally.items for tally in tallies), sum(tally.bytes for tally in tallies))
