"""
How many may be inside at once: in all, and of one kind; the rest is refused, or waits a little.

A server that takes every connection fails for all of them at once. `ConnectionLimiter` lets in
so many, lets a bounded number wait in line, and refuses the rest at once, with the limit that was
reached and the time after which it is worth coming back.

    connections    ConnectionLimiter: who is let in, who waits, and why the rest is refused
    keys           how many of each key are there
    permit         the place of one connection
    statistics     the figures of one limiter
"""

from boundedcollections.limiter.connections import ConnectionLimiter
from boundedcollections.limiter.permit import Permit
from boundedcollections.limiter.statistics import LimiterStatistics

__all__ = ["ConnectionLimiter", "LimiterStatistics", "Permit"]
