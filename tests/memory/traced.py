"""What tracemalloc sees of a piece of code."""

import gc
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from interruptions import untraced

from boundedcollections._core.tables import allocated

RESERVE_BYTES = 9_000 if sys.version_info >= (3, 14) else 0
"""What the interpreter keeps of freed lists and integers; from 3.14 on that is worth a mention."""
OBJECT_BYTES = 5_000 + RESERVE_BYTES
"""A collection itself, empty, with its ledger and lock; not a part of what it claims."""


def shallow(thing: object) -> int:
    """Measure a thing alone, as it is allocated: some Pythons pad more than they say."""
    return allocated(sys.getsizeof(thing))


@contextmanager
def traced() -> Iterator[Callable[[], tuple[int, int]]]:
    """Yield a function that gives the bytes traced since the start, now and at their peak."""
    with untraced():
        gc.collect()
        tracemalloc.start()
        base, _ = tracemalloc.get_traced_memory()

        def memory() -> tuple[int, int]:
            _, peak = tracemalloc.get_traced_memory()
            gc.collect()  # it empties the interpreter's lists of spare tuples, too
            now, _ = tracemalloc.get_traced_memory()
            return now - base, peak - base

        try:
            yield memory
        finally:
            tracemalloc.stop()
