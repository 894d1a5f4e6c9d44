"""Every mode of `generate`, on every family, one test a cell; by the processor and by `Generator`."""

from __future__ import annotations

import pytest
from families import FAMILIES, REAL
from matrix import MODES, Case, GeneratorCase, Unsupported, family


@pytest.mark.parametrize("name", [*FAMILIES, REAL])
@pytest.mark.parametrize("mode", MODES)
def test_a_mode_stays_inside_the_constraint(mode: str, name: str) -> None:
    try:
        MODES[mode](Case(family(name)))
    except Unsupported as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize("name", [*FAMILIES, REAL])
@pytest.mark.parametrize("mode", MODES)
def test_the_generator_stays_inside_the_constraint(mode: str, name: str) -> None:
    try:
        MODES[mode](GeneratorCase(family(name)))
    except Unsupported as reason:
        pytest.skip(str(reason))
