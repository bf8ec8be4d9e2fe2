"""`water_fill` against what defines it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boundedcollections.memory.sharing import water_fill

vessels = st.lists(
    st.tuples(
        st.integers(0, 10**12),
        st.integers(0, 10**12),
        st.floats(0.01, 100.0),
    ).map(lambda v: (min(v[0], v[1]), max(v[0], v[1]), v[2])),
    max_size=12,
)


@given(vessels=vessels, amount=st.integers(0, 10**13))
def test_the_water_stands_equally_high_where_neither_floor_nor_cap_holds_it(
    vessels: list[tuple[int, int, float]], amount: int
) -> None:
    floors, caps, weights = ([v[part] for v in vessels] for part in range(3))
    shares = water_fill(amount, floors, caps, weights)
    assert len(shares) == len(vessels)
    assert all(f <= s <= c for f, s, c in zip(floors, shares, caps, strict=True))
    assert sum(shares) <= max(amount, sum(floors))
    spare = min(amount, sum(caps)) - sum(shares)
    assert spare <= max(len(vessels), amount // 10**12), "all is shared out, but for roundings"
    if sum(floors) <= amount:
        highest = max(
            (s / w for s, f, w in zip(shares, floors, weights, strict=True) if s > f), default=0.0
        )
        for share, cap, weight in zip(shares, caps, weights, strict=True):
            if share < cap:  # not full: so it stands no lower than any that got more than its floor
                assert (share + 1) / weight >= highest * (1 - 1e-9)


@pytest.mark.parametrize(
    ("amount", "floors", "caps", "weights", "shares"),
    [
        (0, [], [], [], []),
        (90, [0, 0, 0], [90, 90, 90], [1, 1, 1], [30, 30, 30]),
        (90, [0, 0, 0], [90, 90, 90], [1, 2, 6], [10, 20, 60]),
        (90, [0, 0, 0], [90, 10, 90], [1, 1, 1], [40, 10, 40]),
        (90, [50, 0, 0], [90, 90, 90], [1, 1, 1], [50, 20, 20]),
        (90, [50, 0, 0], [90, 5, 90], [1, 1, 1], [50, 5, 35]),
        (90, [60, 50, 0], [90, 90, 90], [1, 1, 1], [60, 50, 0]),
        (90, [0, 0], [20, 30], [1, 1], [20, 30]),
        (10, [0, 3], [7, 90], [100, 0.7], [7, 3]),  # 0.7 * (3 / 0.7) is a little less than 3
        (100, [0, 70, 0, 0], [10, 90, 90, 12], [1, 1, 1, 1], [10, 70, 10, 10]),
    ],
)
def test_shares_that_can_be_worked_out_by_hand(
    amount: int, floors: list[int], caps: list[int], weights: list[float], shares: list[int]
) -> None:
    assert water_fill(amount, floors, caps, weights) == shares
