"""The matcher and the compiled form of a constraint whose parts have token budgets: see `part_stages`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np

from rellm._constraints.base import Constraint
from rellm._engines.part_stages import Mask, Plan, Reading, first_budgets
from rellm._errors import BudgetError, LimitExceededError, TokenRejectedError
from rellm._limits import Limits
from rellm._vocabulary import Vocabulary

_MAX_READINGS: Final = 64


class BudgetedConstraint:
    """The compiled form of a constraint with parts that have a token budget of their own."""

    def __init__(self, constraint: Constraint, vocabulary: Vocabulary, limits: Limits) -> None:
        self._plan = Plan(constraint, vocabulary, limits)
        self._first = self._plan.compiled(constraint)
        readings = [reading for reading in self._plan.start() if self._plan.is_possible(reading)]
        if not readings:
            raise BudgetError("a part with a budget of its own cannot end within it: " + _too_small(self._plan))

    @property
    def mark_paths(self) -> tuple[Any, ...]:
        """The paths of the marks of the whole language."""
        return self._first._mark_paths  # type: ignore[no-any-return]

    @property
    def memory_bytes(self) -> int:
        return self._plan.memory_bytes

    def matcher(self) -> BudgetedMatcher:
        return BudgetedMatcher(self._plan, self._first.matcher())


class BudgetedMatcher:
    """One text being written, in which some parts have a budget of tokens. As `rellm.Matcher`.

    Attributes:
        was_steered: whether a budget has taken a token away that the language allows.
    """

    def __init__(self, plan: Plan, whole: Any) -> None:
        self._plan = plan
        self._whole = whole
        self._readings = [reading for reading in plan.start() if plan.is_possible(reading)]
        self._before: list[tuple[list[Reading], bool]] = []
        self._ended = False
        self.was_steered = False

    @property
    def constraint(self) -> Any:
        return self._whole.constraint

    @property
    def text(self) -> bytes:
        return self._whole.text  # type: ignore[no-any-return]

    def specials(self) -> list[tuple[int, int]]:
        return self._whole.specials()  # type: ignore[no-any-return]

    def marks(self) -> list[tuple[int, int, int]]:
        return self._whole.marks()  # type: ignore[no-any-return]

    def mask(self) -> Mask:
        out: Mask = np.zeros(self._plan.words, dtype=np.uint32)
        self.fill_mask(out[np.newaxis])
        return out

    def fill_mask(self, out: Any, row: int = 0) -> None:
        self._fill(out, row, None)

    def fill_mask_within(self, out: Any, row: int, tokens_left: int) -> None:
        self._fill(out, row, tokens_left)

    def _fill(self, out: Any, row: int, left: int | None) -> None:
        one = self._whole if self._ended else self._readings[0].whole if len(self._readings) == 1 else None
        if one is not None and (self._ended or self._plan.is_free(self._readings[0])):
            one.fill_mask(out, row) if left is None else one.fill_mask_within(out, row, left)
            return
        # Checks the buffer, and clears the words after the mask.
        self._whole.fill_mask(out, row)
        target = out if isinstance(out, np.ndarray) else out.numpy()
        target = (target[row] if target.ndim == 2 else target).view(np.uint32)[: self._plan.words]
        found = self._plan.cached(self._readings, left, self._mask_of)
        if left is None and not self.was_steered and not np.array_equal(found, target):
            self.was_steered = True
        target[:] = found

    def _mask_of(self, reading: Reading, left: int | None) -> Mask:
        out = np.zeros((1, self._plan.words), dtype=np.uint32)
        _fill_from(reading.whole, out, left)
        whole: Mask = out[0].copy()
        if reading.own is None or self._plan.is_free(reading):
            return whole
        own_left = self._plan.left(reading)
        if own_left is None and not self._plan.opens_tightly(reading.stage.rest):
            return whole
        if own_left is None:
            own_left = 1 << 30
        if left is not None and left <= own_left:
            own_left = left
        elif left is not None:
            own_left = min(own_left, left - self._plan.needed(reading.stage.rest))
        inside = np.zeros_like(whole)
        if own_left >= 1:
            _fill_from(reading.own, out, None if own_left >= 1 << 30 else own_left)
            inside = out[0] & whole & ~self._plan.eos
        reading.ended.fill_mask_within(out, 0, 1)
        across = out[0] & whole & ~inside & ~self._plan.eos
        if self._plan.opens_tightly(reading.stage.rest) or len(reading.stage.limits) > 0:
            across = self._checked(reading, across)
        found: Mask = inside | across | (whole & self._plan.eos)
        return found

    def _checked(self, reading: Reading, across: Mask) -> Mask:
        """The mask of those tokens that end the segment and leave all open parts able to end."""
        plan = self._plan
        found = np.zeros_like(across)
        for token in tokens_of(across):
            data = plan.vocabulary.token_bytes(token) or b""
            if any(plan.is_possible(after) for after in plan.after(reading, token, data)):
                found[token // 32] |= np.uint32(1 << (token % 32))
        return found

    def allows(self, token_id: int) -> bool:
        if not 0 <= token_id < len(self._plan.vocabulary):
            return False
        mask = self.mask()
        return bool(mask[token_id // 32] >> np.uint32(token_id % 32) & np.uint32(1))

    def advance(self, token_id: int) -> None:
        whole = self._whole.copy()
        whole.advance(token_id)  # raises where the language does not allow it
        if token_id in self._plan.vocabulary.eos_token_ids and not self._ended and self._whole.is_accepting:
            self._move(self._readings, whole, ended=True)
            return
        data = self._plan.vocabulary.token_bytes(token_id) or b""
        after = self._after(self._readings, token_id, data)
        if not after:
            raise TokenRejectedError(
                f"token {token_id} ({data!r:.40}) is not allowed: after it, an open part could not end within its "
                "max_tokens"
            )
        self._move(after, whole, ended=self._ended)

    def advance_bytes(self, data: bytes) -> None:
        whole = self._whole.copy()
        whole.advance_bytes(data)
        readings = self._readings
        for token in self._greedy(bytes(data)):
            readings = self._after(readings, None, token)
            if not readings:
                raise TokenRejectedError(
                    f"{bytes(data)!r:.60} is not allowed: an open part could not end within its max_tokens"
                )
        self._move(readings, whole, ended=self._ended)

    def _after(self, readings: list[Reading], token: int | None, data: bytes) -> list[Reading]:
        plan = self._plan
        found = [after for reading in readings for after in plan.after(reading, token, data) if plan.is_possible(after)]
        if len(found) > _MAX_READINGS:
            raise LimitExceededError(
                f"the text can be read in more than {_MAX_READINGS} ways, which end parts with a budget at different "
                "places: let such a part end with a marker",
                limit="readings",
                allowed=_MAX_READINGS,
            )
        return found

    def _move(self, readings: list[Reading], whole: Any, *, ended: bool) -> None:
        self._before.append((self._readings, self._ended))
        self._readings, self._whole, self._ended = readings, whole, ended

    def _greedy(self, data: bytes) -> Iterator[bytes]:
        """The bytes as the longest tokens of the vocabulary, one after the other."""
        plan = self._plan
        if plan.by_bytes is None:
            plan.by_bytes = {
                found: token for token in range(len(plan.vocabulary)) if (found := plan.vocabulary.token_bytes(token))
            }
        longest = _longest_token(plan.vocabulary)
        at = 0
        while at < len(data):
            size = next(
                (n for n in range(min(longest, len(data) - at), 0, -1) if data[at : at + n] in plan.by_bytes), 1
            )
            yield data[at : at + size]
            at += size

    def rollback(self, n: int) -> None:
        whole = self._whole.copy()
        whole.rollback(n)
        if n:
            self._readings, self._ended = self._before[-n]
            del self._before[-n:]
        self._whole = whole

    def reset(self) -> None:
        self.__init__(self._plan, self._plan.compiled(self._plan.constraint).matcher())  # type: ignore[misc]

    def copy(self) -> BudgetedMatcher:
        found = object.__new__(BudgetedMatcher)
        found._plan, found._whole = self._plan, self._whole.copy()
        found._readings, found._before = self._readings, list(self._before)
        found._ended, found.was_steered = self._ended, self.was_steered
        return found

    def __copy__(self) -> BudgetedMatcher:
        return self.copy()

    def validate(self, token_ids: Iterable[int]) -> int:
        matcher, count = self.copy(), 0
        for token in token_ids:
            try:
                matcher.advance(token)
            except TokenRejectedError:
                break
            count += 1
        return count

    @property
    def is_accepting(self) -> bool:
        return any(reading.whole.is_accepting for reading in self._readings)

    @property
    def is_finished(self) -> bool:
        return self._ended or (self.is_accepting and all(reading.whole.is_finished for reading in self._readings))

    def forced_bytes(self) -> bytes:
        return self._whole.forced_bytes()  # type: ignore[no-any-return]

    def shortest_completion(self) -> bytes:
        """A shortest text to a match: it ends each open part first."""
        ways = (_closing(self._plan, reading) for reading in self._readings)
        return min(ways, key=len, default=b"")

    def next_characters(self) -> list[tuple[int, int]]:
        return self._whole.next_characters()  # type: ignore[no-any-return]

    @property
    def longest_way(self) -> int | None:
        return self._whole.longest_way  # type: ignore[no-any-return]

    def tokens_to_match(self, at_most: int) -> int | None:
        return self._whole.tokens_to_match(at_most)  # type: ignore[no-any-return]

    def matches_within(self, at_most: int) -> bool:
        return self._whole.matches_within(at_most)  # type: ignore[no-any-return]

    def explain(self, token_id: int) -> Any:
        found = self._whole.explain(token_id)
        if found is not None or self.allows(token_id):
            return found
        return _BudgetRejection(
            token_id,
            self._plan.vocabulary.token_bytes(token_id) or b"",
            self._whole.text.decode(errors="replace"),
        )


@dataclass(frozen=True, slots=True)
class _BudgetRejection:
    """Explains why a token of the language is refused: a part must end. As `rellm.Rejection`."""

    token_id: int
    token_bytes: bytes
    text_before: str
    failed_at: int = 0
    expected: str = "what brings the open part to its end within its max_tokens"

    @property
    def message(self) -> str:
        return f"{self.token_bytes!r} is not allowed after {self.text_before[-40:]!r}: expected {self.expected}"

    def __str__(self) -> str:
        return self.message


def tokens_of(mask: Mask) -> Iterator[int]:
    """The tokens of a mask, ascending."""
    for word in np.flatnonzero(mask).tolist():
        bits = int(mask[word])
        while bits:
            yield 32 * word + (bits & -bits).bit_length() - 1
            bits &= bits - 1


def _fill_from(matcher: Any, out: Mask, left: int | None) -> None:
    if left is None:
        matcher.fill_mask(out, 0)
    else:
        matcher.fill_mask_within(out, 0, left)


def _closing(plan: Plan, reading: Reading) -> bytes:
    if reading.own is None or not reading.stage.limits:
        return reading.whole.shortest_completion()  # type: ignore[no-any-return]
    own: bytes = reading.own.shortest_completion()
    return own + plan.language(None, reading.stage.rest).matcher().shortest_completion()  # type: ignore[no-any-return]


@lru_cache(maxsize=8)
def _longest_token(vocabulary: Vocabulary) -> int:
    return max((len(vocabulary.token_bytes(token) or b"") for token in range(len(vocabulary))), default=1)


def _too_small(plan: Plan) -> str:
    for part, limit in first_budgets((plan.constraint,)):
        needed = plan.needed((part,))
        if needed > limit:
            return f"{part!r:.80} takes at least {needed} tokens of this vocabulary, and has max_tokens={limit}"
    return "raise its max_tokens"
