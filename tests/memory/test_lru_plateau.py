"""Whatever is done to a cache, for however long, its memory stays flat."""

import random

import pytest
from memory.traced import OBJECT_BYTES, shallow, traced

from boundedcollections import SizeAwareLRU
from boundedcollections.testing import FakeClock


@pytest.mark.parametrize(
    "operations",
    [60_000, pytest.param(10_000_000, marks=[pytest.mark.long, pytest.mark.timeout(3_600)])],
)
def test_memory_is_flat_over_a_mixture_of_all_operations(operations: int) -> None:
    source = random.Random(7)
    clock = FakeClock()
    most = 100_000
    with traced() as memory:
        cache: SizeAwareLRU[int, bytes] = SizeAwareLRU(
            max_bytes=most, sizeof=shallow, clock=clock, max_entry_bytes=5_000
        )
        for number in range(operations):
            key = source.randint(0, 2_000)
            choice = source.random()
            if choice < 0.5:
                cache.get(key)
            elif choice < 0.7:
                cache.put(key, bytes(source.randint(0, 400)))
            elif choice < 0.8:
                cache.put(key, bytes(50), ttl_seconds=source.randint(1, 90))
            elif choice < 0.9:
                cache.get_or_load(key, lambda _: b"loaded")
            elif choice < 0.95:
                cache.pop(key, None)
            elif choice < 0.999:
                cache.put(key, bytes(6_000))
            else:
                cache.resize(max_bytes=source.randint(most // 2, most))
                clock.advance(10)
            if number % (operations // 10) == operations // 20:
                now, _ = memory()
                assert now <= most + 3 * OBJECT_BYTES
        _, peak = memory()
    assert peak <= most + 10 * OBJECT_BYTES
    cache._check()
    assert cache.statistics().evicted.items > 1_000
