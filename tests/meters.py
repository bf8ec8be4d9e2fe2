"""The meters in every form that this interpreter can run; what holds for one holds for all."""

import pytest

from boundedcollections._core import _deep, _footprint, sizing

DEEP = [pytest.param(_deep.measure, id="python")]
SPENT = [pytest.param(_footprint.measure, id="python")]
DEEP_WALKS = [pytest.param(_deep.walk, id="python")]
SPENT_WALKS = [pytest.param(_footprint.walk, id="python")]

if sizing.accelerated:
    from boundedcollections._core import _compiled

    DEEP.append(pytest.param(_compiled.deep_measure, id="compiled"))
    SPENT.append(pytest.param(_compiled.spent_measure, id="compiled"))
    DEEP_WALKS.append(pytest.param(_compiled.deep_walk, id="compiled"))
    SPENT_WALKS.append(pytest.param(_compiled.spent_walk, id="compiled"))
