"""
Collections whose bounds are honest in bytes, for long-running services.

>>> from boundedcollections import BoundedHistory
>>> BoundedHistory("abcde", max_items=3).since(0)
Batch(items=('c', 'd', 'e'), missed=2, first_seq=2, next_seq=5)
"""

from boundedcollections._core.batch import Batch
from boundedcollections._core.errors import (
    BoundedError,
    Closed,
    Lagged,
    LimitReached,
    RecursiveLoad,
    TooLarge,
    WouldBlock,
)
from boundedcollections._core.events import RemovalCause
from boundedcollections._core.ledger import Tally
from boundedcollections._core.sizing import accelerated, deep_size, footprint
from boundedcollections._core.units import GiB, KiB, MiB
from boundedcollections.broadcast import (
    Broadcast,
    BroadcastStatistics,
    Sink,
    SinkStatistics,
    Subscription,
    SubscriptionStatistics,
)
from boundedcollections.buffers import BufferPool, BufferPoolStatistics
from boundedcollections.channel import ChannelStatistics, DropOldestChannel
from boundedcollections.files.changes import IndexChanges
from boundedcollections.files.finder import Answers, FileFinder
from boundedcollections.files.index import ReplaceOnIndex
from boundedcollections.files.index_statistics import IndexStatistics
from boundedcollections.files.search import FileMatch, FileMatches
from boundedcollections.files.snapshot import IndexReport, IndexSnapshot
from boundedcollections.history import BoundedHistory, HistoryStatistics
from boundedcollections.limiter import ConnectionLimiter, LimiterStatistics
from boundedcollections.lines import Line, LineSplitter, LineStatistics, read_lines
from boundedcollections.lru import CacheInfo, LRUStatistics, Memoized, SizeAwareLRU
from boundedcollections.memory.budget import (
    BudgetStatistics,
    MemberStatistics,
    MemoryBudget,
    Reservation,
)
from boundedcollections.memory.monitor import MemoryMonitor, MonitorStatistics
from boundedcollections.memory.policy import Level

__all__ = [
    "Answers",
    "Batch",
    "BoundedError",
    "BoundedHistory",
    "Broadcast",
    "BroadcastStatistics",
    "BudgetStatistics",
    "BufferPool",
    "BufferPoolStatistics",
    "CacheInfo",
    "ChannelStatistics",
    "Closed",
    "ConnectionLimiter",
    "DropOldestChannel",
    "FileFinder",
    "FileMatch",
    "FileMatches",
    "GiB",
    "HistoryStatistics",
    "IndexChanges",
    "IndexReport",
    "IndexSnapshot",
    "IndexStatistics",
    "KiB",
    "LRUStatistics",
    "Lagged",
    "Level",
    "LimitReached",
    "LimiterStatistics",
    "Line",
    "LineSplitter",
    "LineStatistics",
    "MemberStatistics",
    "Memoized",
    "MemoryBudget",
    "MemoryMonitor",
    "MiB",
    "MonitorStatistics",
    "RecursiveLoad",
    "RemovalCause",
    "ReplaceOnIndex",
    "Reservation",
    "Sink",
    "SinkStatistics",
    "SizeAwareLRU",
    "Subscription",
    "SubscriptionStatistics",
    "Tally",
    "TooLarge",
    "WouldBlock",
    "accelerated",
    "deep_size",
    "footprint",
    "read_lines",
]


def __getattr__(name: str) -> str:
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415  # only who asks pays for it

        return version("boundedcollections")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
