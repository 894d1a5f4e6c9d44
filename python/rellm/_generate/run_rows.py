"""The rows of one call of a `Generator`: one state per row, shared by masks, stopping criterion, drafts, completion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rellm._constraints.continued import Continued
from rellm._engines.compile import CompiledConstraint
from rellm._generate.canonical import CanonicalTokens
from rellm._generate.compiled_for_width import CompiledForWidth
from rellm._generate.processor import forces_lead
from rellm._generate.row_masks import RowMasks
from rellm._generate.text_state import EndRules, Row, RowGroup
from rellm._generate.transformers_quirks import drafts_in_another_tokenizer

if TYPE_CHECKING:
    import torch


class RunRows:
    """The rows that one loop writes, at the tokens of its latest step.

    Each token advances its row once, in the first call that passes it: usually that of the stopping criterion, which
    `generate` calls before it asks for the next mask.

    Args:
        compiled: the constraint of each prompt, or None; a prompt may have several rows.
        only: the number of the one prompt whose rows these are; None for those of all.
        rules: the rules that end the texts.
        lead: how many tokens `generate` forces before the texts.
        start: the number of tokens before the texts, forced ones included; None while it is unknown.
        is_beam_search: whether to keep finished texts, because `generate` may return them later.
    """

    def __init__(
        self,
        compiled: CompiledForWidth,
        rules: EndRules,
        *,
        only: int | None = None,
        lead: int = 0,
        start: int | None = None,
        is_beam_search: bool = False,
    ) -> None:
        self.lead = lead
        self.start = start
        self.unforeseen_lead = 0  # a token that `generate` turned out to force, and counts as new
        self._by_width = compiled
        self._only = only
        self._rules = rules
        self._is_beam_search = is_beam_search
        self._fill_groups(compiled.compiled)

    def _fill_groups(self, compiled: list[CompiledConstraint | None]) -> None:
        self._compiled = compiled
        self.compiled = compiled if self._only is None else [compiled[self._only]]
        self._groups = [
            RowGroup(
                Row(None if one is None else one.matcher(), self._rules_of(one)), keeps_finished=self._is_beam_search
            )
            for one in self.compiled
        ]

    def _rules_of(self, compiled: CompiledConstraint | None) -> EndRules:
        constraint = None if compiled is None else compiled.constraint
        return replace(self._rules, continued=constraint) if isinstance(constraint, Continued) else self._rules

    def begin(self, start: int | None) -> None:
        """Forget all tokens; texts begin after `start` tokens."""
        self.start = start
        self.unforeseen_lead = 0
        self._fill_groups(self._compiled)

    def fit(self, width: int) -> None:
        """Restrict the constraints to tokens that a model of `width` logits can write."""
        compiled = self._by_width.at(width)
        if compiled is not self._compiled:
            self._fill_groups(compiled)

    def foresee(self, input_ids: torch.Tensor, scores: torch.Tensor) -> bool:
        """Whether the text begins here, or has begun; False where `generate` still forces tokens before it."""
        length = int(input_ids.shape[1])
        vocabulary = self._by_width.vocabulary
        if length == 1 and not self.lead and forces_lead(scores, self.compiled, self._rules.eos, vocabulary):
            self.unforeseen_lead = 1
            self.start = 2
        if self.start is None:
            self.start = length + self.lead
        return length >= self.start

    def at(self, input_ids: torch.Tensor) -> list[Row]:
        """The rows of `(rows, length)` ids, prompts included."""
        start = self.start
        return self.at_texts([[] for _ in input_ids] if start is None else input_ids[:, start:].tolist())

    def at_texts(self, texts: Sequence[list[int]], *, final: bool = False) -> list[Row]:
        """The rows of these tokens after the prompts; with `final`, of the texts that `generate` has returned."""
        factor = max(len(texts) // len(self._groups), 1)
        rows: list[Row] = []
        for i, group in enumerate(self._groups):
            part = texts[i * factor : (i + 1) * factor]
            rows.extend(group.final(part) if final else group.update(part))
        return rows

    @property
    def first(self) -> Row | None:
        """The first row as it is now; None before any was shown."""
        return self._groups[0].rows[0] if self._groups[0].rows else None

    def parts(self, rows: Sequence[Row]) -> list[Sequence[Row]]:
        """The rows, grouped by prompt."""
        factor = max(len(rows) // len(self._groups), 1)
        return [rows[i : i + factor] for i in range(0, len(rows), factor)]


class RunProcessor:
    """The logits processor of a call: masks of its rows.

    Args:
        rows: its rows.
        masks: makes their masks.
        canonical: leaves tokens that the tokenizer itself would write; None: any tokens.
    """

    def __init__(self, rows: RunRows, masks: RowMasks, canonical: CanonicalTokens | None = None) -> None:
        self._rows = rows
        self._masks = masks
        self._canonical = canonical

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Scores with −inf for every token that may not come next; `(rows, width)`, as they are given."""
        rows = self._rows
        if drafts_in_another_tokenizer() or not rows.foresee(input_ids, scores):
            return scores
        rows.fit(scores.shape[-1])
        states = rows.at(input_ids)
        masked = self._masks.apply(states, scores, lead=rows.unforeseen_lead, parts=rows.parts(states))
        if self._canonical is None:
            return masked
        return self._canonical.restrict(masked, input_ids, states)


class RunEnd:
    """The stopping criterion of a call: ends each row on its own."""

    def __init__(self, rows: RunRows) -> None:
        self._rows = rows

    def __call__(self, input_ids: Any, scores: Any = None, **_: Any) -> Any:
        """A boolean for each row: whether its text is over."""
        import torch

        done = [not row.is_live for row in self._rows.at(input_ids)]
        return torch.tensor(done, dtype=torch.bool, device=input_ids.device)
