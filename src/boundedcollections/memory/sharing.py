"""How an amount is shared out: to each by its weight, between a floor and a ceiling."""

from collections.abc import Sequence


def water_fill(
    amount: int, floors: Sequence[int], caps: Sequence[int], weights: Sequence[float]
) -> list[int]:
    """
    Return shares of `amount`, each in proportion to its weight, but within its floor and its cap.

    It is water poured into vessels of different width that stand on steps of different height:
    those with a low cap are full first, those with a high floor stay dry, and in all others the
    water stands equally high.

    >>> water_fill(100, floors=[0, 0, 60], caps=[10, 90, 90], weights=[1, 1, 1])
    [10, 30, 60]

    The shares add up to no more than `amount`, unless the floors do by themselves. O(n) for each
    round, of which there are rarely more than a few.

    Args:
        amount: what there is.
        floors: the least for each.
        caps: the most for each, at least its floor.
        weights: the shares' proportions, above 0.
    """
    shares = list(floors)
    if sum(floors) >= amount:
        return shares
    if sum(caps) <= amount:
        return list(caps)
    open_ = list(range(len(shares)))
    left = float(amount)
    while open_:
        level = max(left, 0.0) / sum([weights[i] for i in open_])
        low = [i for i in open_ if weights[i] * level < floors[i]]
        high = [i for i in open_ if weights[i] * level > caps[i]]
        if not low and not high:
            for i in open_:
                shares[i] = int(weights[i] * level)
            break
        missing = sum([floors[i] - weights[i] * level for i in low])
        spare = sum([weights[i] * level - caps[i] for i in high])
        fixed = low if low and missing >= spare else high
        for i in fixed:
            shares[i] = floors[i] if fixed is low else caps[i]
            left -= shares[i]
        gone = set(fixed)
        open_ = [i for i in open_ if i not in gone]
    return shares
