import copy
import pickle

import pytest

from boundedcollections import BoundedError, Closed, Lagged, LimitReached, TooLarge, WouldBlock


@pytest.mark.parametrize(
    "error",
    [
        TooLarge("cache", size=3, limit=2),
        LimitReached("server", reason="max_connections", limit=5, retry_after_seconds=1.5),
        Lagged(7),
        Closed("closed"),
        WouldBlock("empty"),
    ],
)
def test_errors_survive_a_journey_to_another_process(error: BoundedError) -> None:
    twin = pickle.loads(pickle.dumps(error))  # noqa: S301  # our own bytes
    assert type(twin) is type(error)
    assert str(twin) == str(error)
    assert vars(copy.copy(error)) == vars(twin) == vars(error)


def test_every_error_has_one_root_and_builtin_parents_where_they_fit() -> None:
    assert all(
        issubclass(kind, BoundedError)
        for kind in (TooLarge, Closed, WouldBlock, LimitReached, Lagged)
    )
    assert issubclass(TooLarge, ValueError)
