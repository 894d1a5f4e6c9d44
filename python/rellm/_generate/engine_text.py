"""One text that another engine writes: vLLM, SGLang, llama.cpp and MLX-LM ask for its masks and report its tokens.

One request must not stop an engine: an error in making a mask is kept in `failure`, the mask allows only the end of
the text, and no token is accepted any more, so that the engine ends this text with an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from rellm._engines.compile import CompiledConstraint
from rellm._errors import DeadEndError, RellmError, TokenRejectedError
from rellm._generate.apply_mask import Packed, packed_ids, packed_words, unpacked
from rellm._generate.run_limits import RunLimits
from rellm._generate.text_state import common_length
from rellm._generate.token_budget import SLACK, fill_mask_in_budget, tokens_needed

_NO_LIMITS: Final = RunLimits()


class EngineText:
    """The state of one text: its tokens, the mask of the next one, and its end.

    Args:
        compiled: its constraint, compiled for a vocabulary in which every id that ends the text is an
            end-of-sequence token.
        max_tokens: the text ends within so many tokens, the end-of-sequence token included where there is room for it.
            A budget too small for a match is no error: the text then follows the shortest completion until the budget
            is used up.
        run_limits: limits on runs of whitespace and of one repeated token.
        is_steered: whether the text follows the shortest completion if the budget is too small for a match; if not,
            the budget has no effect then.

    Attributes:
        spent: tokens of the budget that were used outside of the text, such as reasoning.
        failure: the error that stopped the text, or None.
    """

    __slots__ = (
        "_ended",
        "_ends",
        "_limits",
        "_matcher",
        "_most",
        "_steered",
        "_tokens",
        "_vocabulary",
        "failure",
        "spent",
    )

    def __init__(
        self,
        compiled: CompiledConstraint,
        max_tokens: int | None = None,
        run_limits: RunLimits | None = None,
        is_steered: bool = True,
    ) -> None:
        self._vocabulary = compiled.vocabulary
        self._matcher: Any = compiled.matcher()
        self._ends = frozenset(self._vocabulary.eos_token_ids)
        self._most = max_tokens
        self._limits = run_limits or _NO_LIMITS
        self._steered = is_steered
        self._tokens: list[int] = []
        self._ended = 0  # the number of tokens from the first end token on
        self.spent = 0
        self.failure: BaseException | None = None

    @property
    def text(self) -> bytes:
        """The text written so far, without special tokens."""
        return bytes(self._matcher.text)

    @property
    def tokens(self) -> list[int]:
        """The tokens taken so far, the end included."""
        return self._tokens.copy()

    @property
    def length(self) -> int:
        """The number of tokens taken so far, the end included."""
        return len(self._tokens)

    @property
    def has_ended(self) -> bool:
        """Whether a token that ends the text was taken."""
        return self._ended > 0

    @property
    def is_accepting(self) -> bool:
        """Whether the text matches as it stands."""
        return bool(self._matcher.is_accepting)

    @property
    def is_finished(self) -> bool:
        """Whether the text has ended, or matches and nothing can follow."""
        return bool(self._matcher.is_finished)

    @property
    def matcher(self) -> Any:
        """The matcher of the text, for reading only."""
        return self._matcher

    def accept(self, token_id: int) -> bool:
        """Take a token.

        Returns:
            Whether the constraint allows it; if not, the text is as before.
        """
        if self.failure is not None:
            return False
        try:
            self._matcher.advance(token_id)
        except (TokenRejectedError, IndexError, OverflowError, TypeError):  # not allowed, or no id of this vocabulary
            return False
        except RellmError as error:
            self.failure = error
            return False
        self._tokens.append(token_id)
        if self._ended or (token_id in self._ends and self._matcher.is_finished):
            self._ended += 1
        return True

    def rollback(self, count: int) -> None:
        """Take the last tokens back. IndexError: there were fewer."""
        if count <= 0:
            return
        self._matcher.rollback(count)
        del self._tokens[-count:]
        self._ended = max(self._ended - count, 0)
        self.failure = None

    def reset(self) -> None:
        """Take everything back."""
        self._matcher.reset()
        self._tokens.clear()
        self._ended = self.spent = 0
        self.failure = None

    def fill(self, out: Any, row: int = 0) -> None:
        """Write the mask of the next token into a row.

        Args:
            out: int32 or uint32, numpy or torch on the CPU, with at least `ceil(len(vocabulary) / 32)` words a row;
                further words are cleared.
            row: the row.
        """
        if self.failure is None:
            try:
                self._fill(out, row)
                return
            except Exception as error:  # raising it would end every request of the engine
                self.failure = error
        words = _row_of(out, row)
        words[:] = packed_ids(sorted(self._ends), len(words) * 32)

    def allowed_tokens(self, width: int) -> npt.NDArray[np.bool_]:
        """The mask of the next token as one boolean a token, for logits of this width."""
        row = np.zeros((1, packed_words(max(width, len(self._vocabulary)))), dtype=np.uint32)
        self.fill(row)
        return unpacked(row[0], width)

    def move_to(self, tokens: Sequence[int]) -> bool:
        """Set the tokens of the text, which usually share a long prefix with the present ones: drafts come and go.

        Returns:
            Whether the constraint allows them all.
        """
        common = common_length(self._tokens, tokens)
        self.rollback(len(self._tokens) - common)
        return all(self.accept(token_id) for token_id in tokens[common:])

    def allowed(self, token_ids: Sequence[int]) -> int:
        """How many of these tokens the masks would allow one after the other; the text is as before."""
        if self.failure is not None:
            return 0
        if self._is_free(len(token_ids)):
            return int(self._matcher.validate(token_ids))
        row = np.zeros((1, packed_words(len(self._vocabulary))), dtype=np.uint32)
        taken = 0
        for token_id in token_ids:
            self.fill(row)
            if not 0 <= token_id < len(self._vocabulary) or not row[0, token_id >> 5] >> np.uint32(token_id & 31) & 1:
                break
            if not self.accept(token_id):
                break
            taken += 1
        self.failure = None
        self.rollback(taken)
        return taken

    def _left(self) -> int:
        return max((self._most or 0) - self.spent - len(self._tokens), 0)

    def _is_free(self, ahead: int) -> bool:
        """Whether neither budget nor run limits can take a token away in the next steps."""
        if self._limits:
            return False
        if self._most is None or self._ended:
            return True
        farthest = self._matcher.longest_way
        return farthest is not None and self._left() - ahead - SLACK - 1 > farthest

    def _fill(self, out: Any, row: int) -> None:
        matcher = self._matcher
        if self._most is None or self._ended:
            matcher.fill_mask(out, row)
        else:
            self._fill_in_budget(matcher, out, row, self._left())
        if self._limits and not self._ended:
            self._limits.restrict(_row_of(out, row), self._tokens, self._vocabulary)

    def _fill_in_budget(self, matcher: Any, out: Any, row: int, left: int) -> None:
        farthest = matcher.longest_way
        if farthest is not None and left - SLACK - 1 > farthest:
            matcher.fill_mask(out, row)
        elif left > 0 and _fits(matcher, left - 1):  # one token is reserved for the end
            fill_mask_in_budget(matcher, out, row, left - 1)
        elif _fits(matcher, left):
            matcher.fill_mask_within(out, row, left)
        else:
            needed = tokens_needed(matcher) if self._steered else None
            if needed is None:
                matcher.fill_mask(out, row)
            else:
                matcher.fill_mask_within(out, row, needed)


def _fits(matcher: Any, budget: int) -> bool:
    return bool(matcher.matches_within(budget)) or matcher.tokens_to_match(budget) is not None


def _row_of(out: Any, row: int) -> Packed:
    rows = out if isinstance(out, np.ndarray) else out.numpy()
    words: Packed = (rows[row] if rows.ndim == 2 else rows).view(np.uint32)
    return words


def failure_of(text: EngineText) -> BaseException:
    """Why a text cannot go on."""
    return text.failure or DeadEndError("the engine chose a token that the constraint does not allow", text="")
