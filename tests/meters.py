"""The meters in every form that this interpreter can run; what holds for one holds for all."""

import pytest

from boundedcollections._core import _deep

DEEP = [pytest.param(_deep.measure, id="python")]
