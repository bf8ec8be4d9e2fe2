"""
The newest items only, each with a number, so that a reader learns exactly what it missed.

A log in memory that is only appended to is a leak with a delay. `BoundedHistory` keeps the
newest items within its bounds; at the bound the oldest is evicted, and the numbers that are
never used twice tell every reader how many items are gone.

    sequence       BoundedHistory: what users append to and read from
    shelf          the entries by their numbers: what is stored, what has to leave, what it costs
    entries        one item, and what the history spends on it
    statistics     the figures of one history
"""

from boundedcollections.history.sequence import BoundedHistory
from boundedcollections.history.statistics import HistoryStatistics

__all__ = ["BoundedHistory", "HistoryStatistics"]
