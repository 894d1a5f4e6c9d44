"""The logits processor: finds each row's state from its tokens, and applies each row's mask to its scores."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rellm._errors import VocabularyError
from rellm._generate.compiled_for_width import CompiledForWidth
from rellm._generate.locate_rows import Call, OpenCalls
from rellm._generate.row_masks import RowMasks
from rellm._generate.run_limits import RunLimits
from rellm._generate.text_state import EndRules, Row, RowGroup, text_bytes
from rellm._generate.token_budget import check_budget
from rellm._generate.transformers_quirks import drafts_in_another_tokenizer, in_pipeline, settings_of_call
from rellm._vocabulary import Vocabulary, as_vocabulary

if TYPE_CHECKING:
    import torch


class ConstraintLogitsProcessor:
    """Keeps `model.generate` inside a constraint.

    Pass it as `model.generate(..., logits_processor=[processor])`. It is right in every mode of `generate` (greedy,
    sampling, beams, several returns, assisted decoding, padded batches), because a row's state follows from the row's
    own tokens. Continuous batching (`generate_batch`, `cache_implementation="paged"`) never calls a logits processor:
    use `rellm.integrations.transformers.generate_batch` there.

    One processor serves any number of calls, one after the other or at the same time: each has its own state, found by
    its tokens. A call goes on if each of its rows has one more token that its mask allowed; all other tokens begin a
    new call. In your own loop, if a new prompt is a text just written plus one token that its mask would have allowed,
    call `reset()` first, or pass `prompt_length=`. A pickled processor has no open calls.

    Args:
        constraint: a constraint (or a compiled one), a pattern, or a list of them, one a prompt; None stands for a
            prompt without a constraint. With beams or several returns, each holds for all rows of its prompt.
        vocab_or_tokenizer: a `Vocabulary`, or a tokenizer to take it from.
        max_new_tokens: close within so many tokens: the last ones are chosen so that the text is complete.
            Pass the same number to `generate`: the processor finishes the match within its budget, while `generate`
            truncates at its own, and a smaller one there is a warning.
            Where the model's generation_config has a forced_eos_token_id (BART and similar models), pass one less here,
            because `generate` writes that token into the last place.
        prompt_length: the number of leading tokens of each row that are not text of the constraint; by default the
            length of the first row seen in a call.
        eos_token_ids: the ids that end a text; by default those of the call of `generate`, else the vocabulary's.
        run_limits: limits on runs of whitespace and of one repeated token.

    Raises:
        BudgetError: no match fits into `max_new_tokens`.
        VocabularyError: there is no end-of-sequence id, so that no text could end.
    """

    supports_continuous_batching = False  # transformers drops it there, with a warning

    def __init__(
        self,
        constraint: Any,
        vocab_or_tokenizer: Any,
        *,
        max_new_tokens: int | None = None,
        prompt_length: int | None = None,
        eos_token_ids: Sequence[int] | None = None,
        run_limits: RunLimits | None = None,
        max_whitespace: int | None = None,
        max_repetition: int | None = None,
    ) -> None:
        for name, value in (("max_new_tokens", max_new_tokens), ("prompt_length", prompt_length)):
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
                raise ValueError(f"{name} is {value!r}: it must be a whole number of tokens, or None")
        if isinstance(eos_token_ids, int):
            raise TypeError(f"eos_token_ids is {eos_token_ids}: pass a list, [{eos_token_ids}]")
        vocabulary = as_vocabulary(vocab_or_tokenizer)
        self._eos = frozenset(vocabulary.eos_token_ids if eos_token_ids is None else eos_token_ids)
        self._eos_is_told = eos_token_ids is not None
        if not self._eos:
            raise VocabularyError(
                "the vocabulary has no end-of-sequence id, so that generate could never end a text: "
                "pass eos_token_ids=[…], the ids that the model's generation_config names"
            )
        self._vocabulary = vocabulary
        self._masks = RowMasks(vocabulary, max_new_tokens, RunLimits.of(run_limits, max_whitespace, max_repetition))
        self._limit = max_new_tokens
        self._fixed_prompt_length = prompt_length
        self._is_list = isinstance(constraint, (list, tuple))
        if self._is_list and not constraint:
            raise ValueError("an empty list of constraints: pass one constraint a prompt, or a single one for all")
        self._compiled = CompiledForWidth(constraint if self._is_list else [constraint], vocabulary)
        if max_new_tokens is not None:
            for compiled in self._compiled.compiled:
                if compiled is not None:
                    check_budget(compiled.matcher(), max_new_tokens)
        self.reset()

    def reset(self) -> None:
        """Forget all calls: the next tokens begin a new one."""
        self._calls = OpenCalls()
        # Prompts of one token, after which `generate` forces a token before the text and counts it as new.
        self._before_lead: list[torch.Tensor] = []
        self._masks.reset()

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        for name in ("_calls", "_before_lead"):
            del state[name]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.reset()

    def __iter__(self) -> Any:
        raise TypeError("logits_processor takes a list: pass logits_processor=[processor]")

    def __len__(self) -> int:
        raise TypeError("logits_processor takes a list: pass logits_processor=[processor]")

    def __bool__(self) -> bool:
        return True

    # -- the call ----------------------------------------------------------------------------------------------

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Scores with −inf for every token that may not come next.

        Args:
            input_ids: `(rows, length)`, prompts included.
            scores: `(rows, width)`, left unchanged. `width` may be more or less than the vocabulary's size.

        Raises:
            DeadEndError: a row has no allowed token with a finite score.
        """
        if drafts_in_another_tokenizer():
            return scores  # the target model's call masks the text of the draft in its own tokens
        if input_ids.shape[1] == 1 and forces_lead(scores, self._compiled.compiled, self._eos, self._vocabulary):
            self._before_lead = [*self._before_lead[-_MOST_LEADS:], input_ids.clone()]
            return scores  # texts begin after the token that `generate` forces now
        call = self._calls.find(
            input_ids,
            lambda owner: self._begin(input_ids, scores.shape[-1], owner),
            is_told=self._fixed_prompt_length is not None,
        )
        parts = call.parts()
        return self._masks.apply(call.rows, scores, lead=call.lead, parts=parts)

    def apply(self, rows: Sequence[Row | None], scores: torch.Tensor) -> torch.Tensor:
        """`scores` with each row's mask applied, for callers that keep the rows; None: a row without a constraint."""
        return self._masks.apply(rows, scores)

    def new_row(self, prompt: int) -> Row | None:
        """A row at the start of its text, under the constraint of the prompt of this number."""
        compiled = self._compiled.compiled[prompt if self._is_list else 0]
        return None if compiled is None else Row(compiled.matcher(), EndRules(self._eos, self._vocabulary))

    # -- a new call ----------------------------------------------------------------------------------------------

    def _begin(self, input_ids: torch.Tensor, width: int, owner: Any) -> Call:
        import torch

        rows = input_ids.shape[0]
        if self._is_list and in_pipeline():
            raise ValueError(
                "a list of constraints in a pipeline: it calls generate once a batch, and no row says which prompt it "
                "belongs to; pass one constraint for all, or use rellm.Generator with a list of prompts"
            )
        if rows % len(self._compiled):
            raise ValueError(
                f"{len(self._compiled)} constraints for {rows} rows: pass one constraint, or one a prompt "
                "(each holds for all beams and returns of its prompt)"
            )
        lead = 0
        for i, before in enumerate(self._before_lead):
            if input_ids.shape == (before.shape[0], 2) and bool(torch.equal(input_ids[:, :1], before)):
                lead = 1
                self._before_lead = self._before_lead[:i] + self._before_lead[i + 1 :]
                break
        compiled = self._compiled.at(width)
        if lead and self._limit is not None:
            for one in compiled:
                if one is not None:
                    what = "max_new_tokens, less the first token that generate forces,"
                    check_budget(one.matcher(), self._limit - 1, what)
        fixed = self._fixed_prompt_length
        length = input_ids.shape[1] if fixed is None else fixed + lead
        if length > input_ids.shape[1]:
            raise ValueError(f"prompt_length is {length}, but the rows have {input_ids.shape[1]} tokens only")
        rules = EndRules(self._eos_of_call(length - lead), self._vocabulary)
        groups = [None if one is None else RowGroup(Row(one.matcher(), rules)) for one in compiled]
        return Call(input_ids[:, :length].clone(), groups, lead, owner)

    def _eos_of_call(self, length: int) -> frozenset[int]:
        """The ids that end the texts of the calling `generate`; warns where its settings contradict this processor."""
        settings = settings_of_call()
        if settings is None:
            return self._eos
        named = settings.eos_token_id
        ids = frozenset([named] if isinstance(named, int) else named or ())
        most = settings.max_length
        if self._limit is not None and isinstance(most, int) and 0 < most - length < self._limit:
            warnings.warn(
                f"generate cuts texts off after {most - length} tokens, and the processor closes them within "
                f"{self._limit}: pass the same max_new_tokens to both",
                stacklevel=4,
            )
        if not ids or ids >= self._eos:
            return self._eos if self._eos_is_told or not ids else ids
        if self._eos_is_told:
            if not ids & self._eos:
                warnings.warn(
                    f"the processor ends texts with {sorted(self._eos)}, and generate waits for {sorted(ids)}: pass "
                    "the same eos_token_ids to both, or leave them out here",
                    stacklevel=4,
                )
            return self._eos
        return ids

    @property
    def eos_token_ids(self) -> list[int]:
        """The ids that end a text, unless a call of `generate` names others."""
        return sorted(self._eos)


_MOST_LEADS = 8


def forces_lead(scores: torch.Tensor, compiled: Sequence[Any], eos: frozenset[int], vocabulary: Vocabulary) -> bool:
    """Whether `generate` forces a first token here that is not text: a BOS, or a language token.

    Args:
        scores: `(rows, width)`, of rows with a single token.
        compiled: the constraints, each of as many rows as the others; None for rows without one.
    """
    import torch

    forced = {
        int(torch.argmax(one)) if int(torch.isfinite(one).sum()) == 1 else None
        for i, one in enumerate(scores)
        if compiled[i * len(compiled) // len(scores)] is not None
    }
    only = forced.pop() if len(forced) == 1 else None
    return only is not None and only not in eos and not text_bytes(vocabulary, only)
