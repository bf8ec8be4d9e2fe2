"""
A bounded number of buffers of one size, lent to whoever reads into them.

A program that reads from a thousand places at once, each into a buffer of its own, has a
thousand buffers. `BufferPool` lends a fixed number of them in turn. Its worth is the bound and
not the speed: up to some hundred KiB, a lease costs more than a new buffer.

    pool           BufferPool: what users borrow from, and wait for
    stock          the buffers that there are: lent, kept, wiped, let go
    lease          one buffer, and the loan of it
    statistics     the figures of one pool
"""

from boundedcollections.buffers.lease import BufferLease
from boundedcollections.buffers.pool import BufferPool
from boundedcollections.buffers.statistics import BufferPoolStatistics

__all__ = ["BufferLease", "BufferPool", "BufferPoolStatistics"]
