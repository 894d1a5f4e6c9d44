"""A compiled constraint whose matchers count how often they are advanced."""

from __future__ import annotations

from typing import Any

import rellm


class CountedMatcher:
    """A matcher of the core; `advance` is counted, in copies, too."""

    def __init__(self, inner: Any, calls: list[int]) -> None:
        self._inner = inner
        self._calls = calls

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def copy(self) -> CountedMatcher:
        return CountedMatcher(self._inner.copy(), self._calls)

    def advance(self, token_id: int) -> None:
        self._calls.append(token_id)
        self._inner.advance(token_id)


class _CountedServed:
    def __init__(self, compiled: rellm.CompiledConstraint, calls: list[int]) -> None:
        self._compiled = compiled
        self._calls = calls
        self.memory_bytes = compiled.memory_bytes

    def matcher(self) -> Any:
        return CountedMatcher(self._compiled.matcher(), self._calls)


def counted(constraint: Any, vocabulary: rellm.Vocabulary) -> tuple[rellm.CompiledConstraint, list[int]]:
    """The constraint compiled, and the list of the tokens that its matchers have been advanced by."""
    calls: list[int] = []
    compiled = rellm.compile(constraint, vocabulary)
    served = _CountedServed(compiled, calls)
    return rellm.CompiledConstraint(compiled.constraint, vocabulary, compiled.limits, served), calls
