"""Budgets of one compiled constraint."""

from __future__ import annotations

from dataclasses import dataclass, fields

from rellm import _core

_DEEPEST = 500  # MAX_NESTING of crates/core/src/syntax


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Budgets of memory and work for one compiled constraint; `LimitExceededError` names the one that ran out.

    The budgets are spent inside the construction and while stepping: there is no time-out and no estimate.

    Args:
        memory_bytes: bytes that expressions, states, transitions and cached masks of one constraint may hold together.
        fuel: units of work (derivatives taken, nodes of the vocabulary's tree visited) of one call: a compilation, a
            mask, an advance. The default is below a second on today's machines. The search engine cannot count what
            the regex library does, and counts its time: 25,000,000 units are a second of matching for one call.
        nesting: depth of nested groups in a pattern, 500 at most: more might not fit on a thread's stack.
        pattern_length: length of a pattern in characters.
    """

    memory_bytes: int = 32 << 20
    fuel: int = 20_000_000
    nesting: int = 500
    pattern_length: int = 2_000_000

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f"Limits.{field.name} is a whole number, not {type(value).__name__}")
            highest = _DEEPEST if field.name == "nesting" else 2**64 - 1
            if not 0 < value <= highest:
                raise ValueError(f"Limits.{field.name} is between 1 and {highest}, not {value}")

    def native(self) -> _core.Limits:
        """The same limits, in the core's form."""
        return _core.Limits(self.memory_bytes, self.fuel, self.nesting, self.pattern_length)
