"""Several constraints of which one must match: their matchers side by side.

A list of patterns in ReLLM's calls means OR. The patterns may come from different libraries, with flags, groups and
references of their own, so they are not joined into one pattern.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rellm._engines.compile import compile as compile_constraint
from rellm._errors import TokenRejectedError, UnsatisfiableError
from rellm._generate.apply_mask import Packed, packed_words


def any_of(patterns: Any, vocabulary: Any) -> Any:
    """One compiled constraint of a pattern, or of a list of them that means OR."""
    if not isinstance(patterns, (list, tuple)):
        return compile_constraint(patterns, vocabulary)
    if not patterns:
        raise UnsatisfiableError("an empty list of patterns matches nothing: pass at least one")
    compiled = []
    failed: UnsatisfiableError | None = None
    for pattern in patterns:
        try:
            compiled.append(compile_constraint(pattern, vocabulary))
        except UnsatisfiableError as error:  # one that nothing matches adds nothing, as long as another is left
            failed = error
    if not compiled:
        raise failed or UnsatisfiableError("none of the patterns can match")
    return compiled[0] if len(compiled) == 1 else CompiledAny(compiled, vocabulary)


class CompiledAny:
    """A compiled constraint that matches where one of its parts does."""

    def __init__(self, parts: Sequence[Any], vocabulary: Any) -> None:
        self.parts = tuple(parts)
        self.vocabulary = vocabulary
        self.constraint = _AnyConstraint(tuple(part.constraint for part in parts))
        self.engine = "search" if any(part.engine == "search" for part in parts) else "automaton"

    def over(self, vocabulary: Any) -> CompiledAny:
        """The same for another vocabulary."""
        if vocabulary == self.vocabulary:
            return self
        return CompiledAny([compile_constraint(part, vocabulary, part.limits) for part in self.parts], vocabulary)

    def matcher(self) -> AnyMatcher:
        return AnyMatcher([part.matcher() for part in self.parts], len(self.vocabulary))


class _AnyConstraint:
    """What was asked for, for `Completion.match`: the first that matches."""

    def __init__(self, constraints: tuple[Any, ...]) -> None:
        self.constraints = constraints

    @property
    def library_pattern(self) -> _AnyConstraint:
        return self

    def fullmatch(self, text: str) -> Any:
        for constraint in self.constraints:
            pattern = getattr(constraint, "library_pattern", None)
            found = None if pattern is None else pattern.fullmatch(text)
            if found is not None:
                return found
        return None


class AnyMatcher:
    """The matcher of one text under several constraints; see `rellm._core.Matcher` for what each method means.

    Its parts take every step that they can. A part that cannot take a step waits, with the step at which it was left
    behind, until that step is rolled back.
    """

    def __init__(self, parts: Sequence[Any], size: int) -> None:
        self._parts = list(parts)
        self._left_at: list[int | None] = [None] * len(parts)  # the step a part could not take
        self._steps = 0
        self._size = size

    def _alive(self) -> list[Any]:
        return [part for part, left in zip(self._parts, self._left_at, strict=True) if left is None]

    def mask(self) -> Packed:
        out = np.zeros((1, packed_words(self._size)), dtype=np.uint32)
        self.fill_mask(out)
        return np.asarray(out[0])

    def fill_mask(self, out: Any, row: int = 0) -> None:
        self._union(out, row, lambda part, buffer: part.fill_mask(buffer, 0))

    def fill_mask_within(self, out: Any, row: int, tokens_left: int) -> None:
        self._union(out, row, lambda part, buffer: part.fill_mask_within(buffer, 0, tokens_left))

    def _union(self, out: Any, row: int, fill: Callable[[Any, Packed], None]) -> None:
        target = np.asarray(out)[row].view(np.uint32)
        total = np.zeros((1, target.shape[-1]), dtype=np.uint32)
        buffer = np.zeros_like(total)
        for part in self._alive():
            fill(part, buffer)
            total |= buffer
        target[:] = total[0]

    def allows(self, token_id: int) -> bool:
        return any(part.allows(token_id) for part in self._alive())

    def advance(self, token_id: int) -> None:
        self._advance(lambda part: part.advance(token_id))

    def advance_bytes(self, data: bytes) -> None:
        self._advance(lambda part: part.advance_bytes(data))

    def _advance(self, step: Callable[[Any], None]) -> None:
        rejected: list[int] = []
        error: TokenRejectedError | None = None
        taken = False
        for i, part in enumerate(self._parts):
            if self._left_at[i] is not None:
                continue
            try:
                step(part)
                taken = True
            except TokenRejectedError as reason:
                error = reason
                rejected.append(i)
        if not taken:
            raise error or TokenRejectedError("nothing can follow any more")
        for i in rejected:
            self._left_at[i] = self._steps
        self._steps += 1

    def rollback(self, n: int) -> None:
        if not 0 <= n <= self._steps:
            raise IndexError(f"cannot take back {n} steps: {self._steps} were taken")
        target = self._steps - n
        for i, part in enumerate(self._parts):
            left = self._left_at[i]
            taken = self._steps if left is None else left
            part.rollback(max(taken - target, 0))
            if left is not None and left >= target:
                self._left_at[i] = None
        self._steps = target

    def reset(self) -> None:
        self.rollback(self._steps)

    def copy(self) -> AnyMatcher:
        other = AnyMatcher([part.copy() for part in self._parts], self._size)
        other._left_at = self._left_at.copy()
        other._steps = self._steps
        return other

    def validate(self, token_ids: Sequence[int]) -> int:
        probe = self.copy()
        for i, token_id in enumerate(token_ids):
            if not probe.allows(token_id):
                return i
            probe.advance(token_id)
        return len(token_ids)

    @property
    def is_accepting(self) -> bool:
        return any(part.is_accepting for part in self._alive())

    @property
    def is_finished(self) -> bool:
        return all(part.is_finished for part in self._alive())

    def forced_bytes(self) -> bytes:
        """What every part forces: their common prefix."""
        if self.is_accepting:
            return b""
        common: bytes | None = None
        for part in self._alive():
            forced = part.forced_bytes()
            if common is not None:
                n = next((i for i, (a, b) in enumerate(zip(common, forced, strict=False)) if a != b), None)
                forced = common[: min(len(common), len(forced))] if n is None else common[:n]
            common = forced
        return common or b""

    def shortest_completion(self) -> bytes | None:
        found = [part.shortest_completion() for part in self._alive()]
        known = [completion for completion in found if completion is not None]
        return min(known, key=len) if known and len(known) == len(found) else None

    @property
    def longest_way(self) -> int | None:
        ways = [part.longest_way for part in self._parts]
        return None if None in ways else max(ways)

    def tokens_to_match(self, at_most: int) -> int | None:
        known = [count for part in self._alive() if (count := part.tokens_to_match(at_most)) is not None]
        return min(known, default=None)

    def matches_within(self, at_most: int) -> bool:
        return any(part.matches_within(at_most) for part in self._alive())

    def explain(self, token_id: int) -> Any:
        """Why not: the part that would have come furthest."""
        reasons = [part.explain(token_id) for part in self._alive()]
        if not reasons or any(reason is None for reason in reasons):
            return None
        return max(reasons, key=lambda reason: reason.failed_at)
