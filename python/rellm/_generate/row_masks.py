"""Applies the masks of many rows to their scores: within the budget, the run limits and the end rules of each row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from rellm._engines.compile import fill_masks
from rellm._errors import DeadEndError
from rellm._generate.apply_mask import Packed, masked_scores, packed_ids, packed_words
from rellm._generate.run_limits import RunLimits
from rellm._generate.shared_budget import SharedBudget
from rellm._generate.text_state import Row
from rellm._generate.token_budget import fill_mask_in_budget
from rellm._generate.transformers_quirks import in_beam_search
from rellm._vocabulary import Vocabulary

if TYPE_CHECKING:
    import torch

_MOST_STEERED = 1024


class RowMasks:
    """Makes the masks of rows, and remembers where the budget removed tokens.

    Args:
        vocabulary: the tokens of the masks.
        max_new_tokens: the budget of each text; None for none.
        run_limits: limits on runs of whitespace and of one repeated token.
    """

    def __init__(self, vocabulary: Vocabulary, max_new_tokens: int | None, run_limits: RunLimits) -> None:
        self._vocabulary = vocabulary
        self._limit = max_new_tokens
        self._runs = run_limits
        is_shared = max_new_tokens is not None and run_limits.share_budget
        self._shares = SharedBudget(vocabulary, max_new_tokens or 0) if is_shared else None
        self._steered: list[tuple[int, ...]] = []  # the texts after which the budget removed tokens
        self._excluded: dict[tuple[int, ...], set[int]] = {}  # by the tokens before: tokens that led into a dead end

    def reset(self) -> None:
        """Forget where the budget removed tokens."""
        self._steered = []

    def was_steered(self, tokens: Sequence[int]) -> bool:
        """Whether the budget removed a token anywhere in this text."""
        text = tuple(tokens)
        return any(text[: len(before)] == before for before in self._steered)

    def exclude_last(self, row: Row | None) -> bool:
        """Exclude the last token of the row from now on after the tokens before it; False if the row has none."""
        if row is None or not row.tokens:
            return False
        self._excluded.setdefault(tuple(row.tokens[:-1]), set()).add(row.tokens[-1])
        return True

    def apply(
        self,
        states: Sequence[Row | None],
        scores: torch.Tensor,
        *,
        lead: int = 0,
        parts: Sequence[Sequence[Row | None]] | None = None,
    ) -> torch.Tensor:
        """`scores` with each row's mask applied.

        Args:
            states: one per row; None, or a state without a matcher, means a row without a constraint.
            scores: `(rows, width)`, left unchanged.
            lead: how many tokens of the budget `generate` wrote before the texts.
            parts: the rows of each prompt; a beam without an allowed token may be given up as long as one is left.

        Raises:
            DeadEndError: a row has no allowed token with a finite score.
        """
        numbers: list[int] = []
        rows: list[Row] = []
        for number, row in enumerate(states):
            if row is None or row.matcher is None:
                continue
            # Without an end-of-sequence id, a finished text stays in the batch, and its further tokens are ignored.
            if row.rules.eos or (row.is_text and not row.matcher.is_finished):
                numbers.append(number)
                rows.append(row)
        if not rows:
            return scores
        packed = self.fill(rows, scores.shape[-1], lead)
        if len(rows) == len(scores):
            return self._checked(masked_scores(scores, packed), rows, parts)
        masked = scores.clone()
        masked[numbers] = self._checked(masked_scores(scores[numbers], packed), rows, parts)
        return masked

    def fill(self, rows: list[Row], width: int, lead: int = 0) -> Packed:
        """The masks that are applied to these rows, `(len(rows), ceil(width / 32))` words."""
        words = packed_words(width)
        packed = np.zeros((len(rows), max(words, packed_words(len(self._vocabulary)))), dtype=np.uint32)
        plain: list[int] = []
        for i, row in enumerate(rows):
            if not row.is_text:
                packed[i] = packed_ids(sorted(row.rules.eos), packed.shape[1] * 32)
            elif self._limit is not None:
                left = self._limit - lead - len(row.tokens)
                share = None if self._shares is None else self._shares.most(row, left)
                if share is not None:
                    row.matcher.fill_mask_within(packed, i, share)
                    self._note_steered(row, packed[i])
                elif fill_mask_in_budget(row.matcher, packed, i, left):
                    self._note_steered(row, packed[i])
            else:
                plain.append(i)
        if len(plain) == 1:
            rows[plain[0]].matcher.fill_mask(packed, plain[0])
        elif plain:
            filled = packed if len(plain) == len(rows) else packed[plain]
            fill_masks([rows[i].matcher for i in plain], filled)
            if filled is not packed:
                packed[plain] = filled
        own_eos = frozenset(self._vocabulary.eos_token_ids)
        for i, row in enumerate(rows):
            if row.is_text and row.rules.eos != own_eos:
                _correct_eos(packed[i], row, own_eos ^ row.rules.eos)
        if self._excluded:
            for i, row in enumerate(rows):
                for token_id in self._excluded.get(tuple(row.tokens), ()):
                    packed[i, token_id >> 5] &= ~np.uint32(1 << (token_id & 31))
        if self._runs:
            for i, row in enumerate(rows):
                if row.is_text:
                    self._runs.restrict(packed[i], row.tokens, self._vocabulary)
        return packed if packed.shape[1] == words else np.ascontiguousarray(packed[:, :words])

    def _note_steered(self, row: Row, packed: Packed) -> None:
        """Remember the place if the budget allows fewer tokens than the constraint; one place per text is enough."""
        if len(self._steered) < _MOST_STEERED and not self.was_steered(row.tokens):
            whole = np.zeros((1, len(packed)), dtype=np.uint32)
            row.matcher.fill_mask(whole, 0)
            if not np.array_equal(whole[0], packed):
                self._steered.append(tuple(row.tokens))

    def _checked(
        self, masked: torch.Tensor, rows: list[Row], parts: Sequence[Sequence[Row | None]] | None
    ) -> torch.Tensor:
        """`masked`, where every row has a finite score and no value that breaks sampling."""
        import torch

        if bool(torch.isfinite(masked.amax(dim=-1)).all()):
            return masked
        infinity = float("inf")
        masked = torch.nan_to_num(masked, nan=-infinity, posinf=torch.finfo(masked.dtype).max, neginf=-infinity)
        finite = torch.isfinite(masked).any(dim=-1).tolist()
        for i, row in enumerate(rows):
            if not finite[i] and not row.is_text:
                # Another processor forbids EOS (min_new_tokens, for example), but the row is over: allow EOS again.
                masked[i, [token_id for token_id in row.rules.eos if token_id < masked.shape[-1]]] = 0.0
        starved = [row for row, alive in zip(rows, finite, strict=True) if not alive and row.is_text]
        if starved and not (parts and in_beam_search() and _beams_left(parts, rows, finite)):
            text = self._vocabulary.tokens_bytes(starved[0].text_tokens).decode("utf-8", "replace")
            raise DeadEndError(
                f"nothing can be written after {text!r}: every token that the constraint allows here has a score of "
                "−inf or NaN; another processor or argument of generate (min_new_tokens, bad_words_ids, "
                "suppress_tokens, forced_eos_token_id, …) forbids them, or the model's logits are broken",
                text=text,
            )
        return masked


def _correct_eos(packed: Packed, row: Row, others: frozenset[int]) -> None:
    """Allow the row's own EOS ids where its text matches, and no other EOS ids of the vocabulary."""
    accepting = row.matcher.is_accepting
    for token_id in others:
        if 0 <= token_id < 32 * len(packed):
            bit = np.uint32(1 << (token_id & 31))
            if accepting and token_id in row.rules.eos:
                packed[token_id >> 5] |= bit
            else:
                packed[token_id >> 5] &= ~bit


def _beams_left(parts: Sequence[Sequence[Row | None]], rows: list[Row], finite: list[bool]) -> bool:
    """Whether every prompt still has a beam that can go on."""
    alive = {id(row) for row, is_finite in zip(rows, finite, strict=True) if is_finite}
    return all(any(row is None or row.matcher is None or id(row) in alive for row in part) for part in parts)
