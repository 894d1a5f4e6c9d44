"""The type of a constraint's value, for type checkers: `int` makes a `Completion[int]`, a pattern one of `str`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

if TYPE_CHECKING:
    from typing_extensions import TypeVar as DefaultTypeVar

    Value = DefaultTypeVar("Value", covariant=True, default=Any)
else:
    Value = TypeVar("Value", covariant=True)

Default = TypeVar("Default")
T = TypeVar("T")

TextPattern: TypeAlias = str | re.Pattern[str]
"""Arguments that mean a `Regex`, whose value is its text."""


class Valued(Protocol[Value]):
    """A constraint whose `parse` declares the type of its values."""

    def parse(self, pieces: Any) -> Value: ...
