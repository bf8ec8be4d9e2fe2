"""Whoever comes and goes, a limiter lets in whom a plain count lets in, and refuses the rest."""

import warnings
from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from boundedcollections import Closed, ConnectionLimiter, LimitReached
from boundedcollections.limiter import Permit
from boundedcollections.testing import FakeClock, check_invariants

KEYS = st.sampled_from(["ann", "bob", 3, None])


class Limiter(RuleBasedStateMachine):
    @initialize(bound=st.integers(1, 5), per_key=st.none() | st.integers(1, 3))
    def start(self, bound: int, per_key: int | None) -> None:
        self.clock = FakeClock()
        self.limiter = ConnectionLimiter(
            max_connections=bound, max_per_key=per_key, clock=self.clock
        )
        self.permits: list[Permit] = []
        self.came = self.leaked = self.refused = 0

    @rule(key=KEYS)
    def come(self, key: str | int | None) -> None:
        inside = Counter(permit.key for permit in self.permits)
        per_key = self.limiter.max_per_key
        try:
            permit = self.limiter.acquire_nowait(key)
        except Closed:
            assert self.limiter.closed
            return
        except LimitReached as refusal:
            self.refused += 1
            self.expect_sense(refusal, inside[key])
            return
        assert len(self.permits) < self.limiter.max_connections
        assert per_key is None or inside[key] < per_key
        self.permits.append(permit)
        self.came += 1

    def expect_sense(self, refusal: LimitReached, inside_of_key: int) -> None:
        assert 1 <= refusal.retry_after_seconds <= 60
        if refusal.reason == "max_per_key":
            assert self.limiter.max_per_key == inside_of_key == refusal.limit
        else:
            assert len(self.permits) == self.limiter.max_connections == refusal.limit

    @precondition(lambda self: self.permits)
    @rule(which=st.integers(0))
    def go(self, which: int) -> None:
        self.permits.pop(which % len(self.permits)).release()

    @precondition(lambda self: self.permits)
    @rule(which=st.integers(0))
    def vanish(self, which: int) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            del self.permits[which % len(self.permits)]
        self.leaked += 1

    @rule(seconds=st.floats(0.01, 100))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule()
    def close(self) -> None:
        self.limiter.close()

    @invariant()
    def the_figures_are_those_of_the_count(self) -> None:
        check_invariants(self.limiter)
        figures = self.limiter.statistics()
        assert figures.connections == len(self.limiter) == len(self.permits)
        assert (figures.admitted, figures.leaked) == (self.came, self.leaked)
        assert figures.refused_by_key + figures.refused_full == self.refused
        keys = {permit.key for permit in self.permits}
        assert figures.keys == (0 if figures.max_per_key is None else len(keys))

    def teardown(self) -> None:
        for permit in getattr(self, "permits", []):
            permit.release()


TestLimiter = Limiter.TestCase
TestLimiter.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
