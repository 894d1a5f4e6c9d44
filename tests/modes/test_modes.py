"""Every mode of `generate`, on every family, one test a cell."""

from __future__ import annotations

import pytest
from families import FAMILIES, REAL
from matrix import MODES, Case, Unsupported, family


@pytest.mark.parametrize("name", [*FAMILIES, REAL])
@pytest.mark.parametrize("mode", MODES)
def test_a_mode_stays_inside_the_constraint(mode: str, name: str) -> None:
    try:
        MODES[mode](Case(family(name)))
    except Unsupported as reason:
        pytest.skip(str(reason))
