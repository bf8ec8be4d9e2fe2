"""A least-recently-used mapping that is bounded by the bytes of what it really holds."""

from boundedcollections.lru.cache import SizeAwareLRU
from boundedcollections.lru.memoized import CacheInfo, Memoized
from boundedcollections.lru.statistics import LRUStatistics

__all__ = ["CacheInfo", "LRUStatistics", "Memoized", "SizeAwareLRU"]
