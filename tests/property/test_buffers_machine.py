"""Whatever is done with its leases, a pool lends what a plain count says, and nothing else."""

import warnings

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from boundedcollections import BufferPool, Closed, WouldBlock
from boundedcollections.buffers import BufferLease
from boundedcollections.testing import check_invariants


class Pool(RuleBasedStateMachine):
    @initialize(bound=st.integers(1, 4))
    def start(self, bound: int) -> None:
        self.pool = BufferPool(max_buffers=bound, buffer_bytes=16)
        self.leases: list[BufferLease] = []
        self.views: list[memoryview] = []
        self.idle = self.granted = self.released = self.leaked = 0

    @property
    def existing(self) -> int:
        return len(self.leases) + self.idle + len(self.views)

    @rule(text=st.binary(min_size=16, max_size=16))
    def acquire(self, text: bytes) -> None:
        try:
            lease = self.pool.acquire_nowait()
        except Closed:
            assert self.pool.closed
        except WouldBlock:
            assert self.existing == self.pool.max_buffers
            assert self.idle == 0
        else:
            assert self.existing < self.pool.max_buffers or self.idle
            assert not self.pool.closed
            assert bytes(lease.buffer) == bytes(16)
            lease.buffer[:] = text
            self.leases.append(lease)
            self.granted += 1
            self.idle = max(self.idle - 1, 0)

    @precondition(lambda self: self.leases)
    @rule(which=st.integers(0), viewed=st.booleans())
    def release(self, which: int, viewed: bool) -> None:  # hypothesis draws it
        lease = self.leases.pop(which % len(self.leases))
        if viewed:
            self.views.append(lease.buffer[3:5])
        elif not self.pool.closed:
            self.idle += 1
        lease.release()
        self.released += 1

    @precondition(lambda self: self.leases)
    @rule(which=st.integers(0))
    def leak(self, which: int) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            del self.leases[which % len(self.leases)]
        self.leaked += 1

    @precondition(lambda self: self.views)
    @rule(which=st.integers(0))
    def look_away(self, which: int) -> None:
        del self.views[which % len(self.views)]

    @rule()
    def drain(self) -> None:
        assert self.pool.drain() == 16 * self.idle
        self.idle = 0

    @rule()
    def close(self) -> None:
        self.pool.close()
        self.idle = 0

    @invariant()
    def the_figures_are_those_of_the_count(self) -> None:
        check_invariants(self.pool)
        figures = self.pool.statistics()
        assert (figures.granted, figures.released) == (self.granted, self.released)
        assert (figures.leased, figures.leaked) == (len(self.leases), self.leaked)
        assert (figures.idle, figures.viewed) == (self.idle, len(self.views))
        assert figures.current_bytes == 16 * self.existing <= figures.max_bytes

    def teardown(self) -> None:
        for lease in getattr(self, "leases", []):
            lease.release()


TestPool = Pool.TestCase
TestPool.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
