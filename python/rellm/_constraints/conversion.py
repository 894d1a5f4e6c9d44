"""What a user may give where a constraint is asked for."""

from __future__ import annotations

import re
from typing import Any, TypeAlias

import regex

from rellm._constraints.base import kind_of
from rellm._constraints.choice import Choice, Literal
from rellm._constraints.regex import Regex

Constraint: TypeAlias = Regex | Choice | Literal


def as_constraint(value: Any) -> Constraint:
    """What a user may give where a constraint is asked for: a pattern or its text stands for `Regex`."""
    if isinstance(value, (Regex, Choice, Literal)):
        return value
    if isinstance(value, (str, bytes, re.Pattern, regex.Pattern)):
        return Regex(value)  # bytes are refused there
    if isinstance(value, (list, tuple, set, frozenset)):
        raise TypeError(
            f"a constraint was expected, not {kind_of(value)}: for one of several strings, use rellm.Choice"
        )
    raise TypeError(
        f"a constraint was expected, not {kind_of(value)}: "
        "use rellm.Regex, rellm.Choice or rellm.Literal, or a pattern of re or regex"
    )
