"""The logits processor: every row's state from its tokens, every row's mask onto its scores."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rellm._engines.compile import compile as compile_constraint
from rellm._engines.compile import fill_masks
from rellm._errors import DeadEndError, VocabularyError
from rellm._generate.apply_mask import Packed, masked_scores, packed_ids, packed_words
from rellm._generate.locate_rows import Call, OpenCalls
from rellm._generate.run_limits import RunLimits
from rellm._generate.text_state import LIVE, Row, RowGroup
from rellm._generate.token_budget import check_budget, fill_mask_in_budget
from rellm._generate.transformers_quirks import (
    drafts_in_another_tokenizer,
    in_beam_search,
    in_pipeline,
    settings_of_call,
)
from rellm._vocabulary import Vocabulary, as_vocabulary

if TYPE_CHECKING:
    import torch


class ConstraintLogitsProcessor:
    """Keeps `model.generate` inside a constraint.

    Pass it as `model.generate(..., logits_processor=[processor])`. It is right in every mode of `generate` (greedy,
    sampling, beams, several returns, assisted decoding, padded batches), because a row's state follows from the row's
    own tokens. Continuous batching (`generate_batch`, `cache_implementation="paged"`) never calls a logits processor:
    use `rellm.integrations.transformers.generate_batch` there.

    One processor serves any number of calls, one after the other or at the same time: each has a state of its own,
    found by its tokens. A call goes on where its rows have one token more that their masks allowed; everything else is
    a new call. In loops of your own, where a new prompt is a text just written plus one token that could have come
    next, call `reset()` before, or pass `prompt_length=`. Pickling a processor leaves open calls behind.

    Args:
        constraint: a constraint (or a compiled one), a pattern, or a list of them, one a prompt; None stands for a
            prompt without a constraint. With beams or several returns, each holds for all rows of its prompt.
        vocab_or_tokenizer: a `Vocabulary`, or a tokenizer to take it from.
        max_new_tokens: close within so many tokens: the last ones are chosen so that the text is complete.
            Pass the same number to `generate`: the processor finishes the match within its budget, while `generate`
            truncates at its own, and a smaller one there is a warning.
            Where the model's generation_config has a forced_eos_token_id (BART and its kin), pass one less here,
            because `generate` writes that token into the last place.
        prompt_length: the number of leading tokens of each row that are not text of the constraint; by default the
            length of the first row seen in a call.
        eos_token_ids: the ids that end a text; by default those of the call of `generate`, else the vocabulary's.
        run_limits: how much whitespace, and how often the same token, may stand in a row.

    Raises:
        BudgetError: no match fits into `max_new_tokens`.
        VocabularyError: there is no end-of-sequence id, so that nothing could end.
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
        _may_lack_eos: bool = False,
    ) -> None:
        for name, value in (("max_new_tokens", max_new_tokens), ("prompt_length", prompt_length)):
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
                raise ValueError(f"{name} is {value!r}: it must be a whole number of tokens, or None")
        if isinstance(eos_token_ids, int):
            raise TypeError(f"eos_token_ids is {eos_token_ids}: pass a list, [{eos_token_ids}]")
        vocabulary = as_vocabulary(vocab_or_tokenizer)
        self._eos = frozenset(vocabulary.eos_token_ids if eos_token_ids is None else eos_token_ids)
        self._eos_is_told = eos_token_ids is not None
        if not self._eos and not _may_lack_eos:
            raise VocabularyError(
                "the vocabulary has no end-of-sequence id, so that generate could never end a text: "
                "pass eos_token_ids=[…], the ids that the model's generation_config names"
            )
        self._vocabulary = vocabulary
        self._runs = RunLimits.of(run_limits, max_whitespace, max_repetition)
        self._steered: list[tuple[int, ...]] = []  # the texts before tokens that the budget took away
        self._excluded: dict[tuple[int, ...], set[int]] = {}  # by the tokens before: what led into a dead end
        self._limit = max_new_tokens
        self._fixed_prompt_length = prompt_length
        self._is_list = isinstance(constraint, (list, tuple))
        if self._is_list and not constraint:
            raise ValueError("an empty list of constraints: pass one constraint a prompt, or a single one for all")
        self._compiled = [compiled_over(one, vocabulary) for one in (constraint if self._is_list else [constraint])]
        self._narrower: dict[int, tuple[Vocabulary, list[Any]]] = {}  # by the model's width
        if max_new_tokens is not None:
            for compiled in self._compiled:
                if compiled is not None:
                    check_budget(compiled.matcher(), max_new_tokens)
        self.reset()

    def reset(self) -> None:
        """Forget all calls: the next one is a new one."""
        self._calls = OpenCalls()
        # Prompts of one token, after which `generate` writes a token before the text that it counts as new.
        self._before_lead: list[torch.Tensor] = []
        self._steered = []

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

    def begin(self, prompt_length: int) -> None:
        """Forget the last call; in the next one, texts begin after `prompt_length` tokens."""
        self.reset()
        self._fixed_prompt_length = prompt_length

    def was_steered(self, tokens: Sequence[int]) -> bool:
        """Whether the budget took a token away at a place of this text."""
        text = tuple(tokens)
        return any(text[: len(before)] == before for before in self._steered)

    def exclude_last(self) -> bool:
        """Never again write the last token of the only row after those before it; False: it has none."""
        call = self._calls.latest
        row = None if call is None else next((row for row in call.rows if row is not None), None)
        if row is None or not row.tokens:
            return False
        self._excluded.setdefault(tuple(row.tokens[:-1]), set()).add(row.tokens[-1])
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
            return scores  # whatever the draft is, its text comes here in the model's own tokens
        if input_ids.shape[1] == 1 and self._is_lead(scores):
            self._before_lead = [*self._before_lead[-_MOST_LEADS:], input_ids.clone()]
            return scores  # texts begin after the token that comes now
        call = self._calls.find(
            input_ids,
            lambda owner: self._begin(input_ids, scores.shape[-1], owner),
            is_told=self._fixed_prompt_length is not None,
        )
        parts = call.parts()
        return self.constrained(call.rows, scores, lead=call.lead, parts=parts)

    def _is_lead(self, scores: torch.Tensor) -> bool:
        """Whether `generate` forces a first token here that is no text: a BOS, or a language."""
        import torch

        forced = {
            int(torch.argmax(one)) if int(torch.isfinite(one).sum()) == 1 else None
            for i, one in enumerate(scores)
            if self._compiled[i * len(self._compiled) // len(scores)] is not None
        }
        only = forced.pop() if len(forced) == 1 else None
        if only is None or only in self._eos:
            return False
        return only >= len(self._vocabulary) or not self._vocabulary.token_bytes(only)

    def constrained(
        self,
        states: Sequence[Row | None],
        scores: torch.Tensor,
        *,
        lead: int = 0,
        parts: Sequence[Sequence[Row | None]] | None = None,
    ) -> torch.Tensor:
        """`scores` with each row's mask on it.

        Args:
            states: None stands for a row without a constraint.
            scores: `(rows, width)`, left unchanged.
            lead: how many tokens of the budget `generate` wrote before the texts.
            parts: the rows of each prompt, of which beams may be given up as long as one is left.
        """
        numbers: list[int] = []
        rows: list[Row] = []
        for number, row in enumerate(states):
            # Without an end-of-sequence id, a text that is over stays in the batch, and nobody reads what follows.
            if row is not None and (row.eos or (row.status == LIVE and not row.matcher.is_finished)):
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

    def new_row(self, prompt: int) -> Row | None:
        """A row at the start of its text, under the constraint of the prompt of this number."""
        compiled = self._compiled[prompt if self._is_list else 0]
        return None if compiled is None else Row(compiled.matcher(), self._eos)

    def fill(self, rows: list[Row], width: int, lead: int = 0) -> Packed:
        """The masks that are applied to these rows, `(len(rows), ceil(width / 32))` words."""
        words = packed_words(width)
        packed = np.zeros((len(rows), max(words, packed_words(len(self._vocabulary)))), dtype=np.uint32)
        plain: list[int] = []
        for i, row in enumerate(rows):
            if row.status != LIVE:
                packed[i] = packed_ids(sorted(row.eos), packed.shape[1] * 32)
            elif self._limit is not None:
                if fill_mask_in_budget(row.matcher, packed, i, self._limit - lead - len(row.tokens)):
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
            if row.status == LIVE and row.eos != own_eos:
                _correct_eos(packed[i], row, own_eos ^ row.eos)
        if self._excluded:
            for i, row in enumerate(rows):
                for token_id in self._excluded.get(tuple(row.tokens), ()):
                    packed[i, token_id >> 5] &= ~np.uint32(1 << (token_id & 31))
        if self._runs:
            for i, row in enumerate(rows):
                if row.status == LIVE:
                    self._runs.restrict(packed[i], row.tokens, self._vocabulary)
        return packed if packed.shape[1] == words else np.ascontiguousarray(packed[:, :words])

    def _note_steered(self, row: Row, packed: Packed) -> None:
        """Remember the place if the budget allows less than the constraint; one place a text is enough."""
        if len(self._steered) < _MOST_STEERED and not self.was_steered(row.tokens):
            whole = np.zeros((1, len(packed)), dtype=np.uint32)
            row.matcher.fill_mask(whole, 0)
            if not np.array_equal(whole[0], packed):
                self._steered.append(tuple(row.tokens))

    def _checked(
        self, masked: torch.Tensor, rows: list[Row], parts: Sequence[Sequence[Row | None]] | None
    ) -> torch.Tensor:
        """`masked`, with every row certain to hold a finite score and none that breaks sampling."""
        import torch

        if bool(torch.isfinite(masked.amax(dim=-1)).all()):
            return masked
        infinity = float("inf")
        masked = torch.nan_to_num(masked, nan=-infinity, posinf=torch.finfo(masked.dtype).max, neginf=-infinity)
        finite = torch.isfinite(masked).any(dim=-1).tolist()
        for i, row in enumerate(rows):
            if not finite[i] and row.status != LIVE:
                # Something forbids the end (min_new_tokens, say), but the row is over, and nothing else may come.
                masked[i, [token_id for token_id in row.eos if token_id < masked.shape[-1]]] = 0.0
        starved = [row for row, alive in zip(rows, finite, strict=True) if not alive and row.status == LIVE]
        if starved and not (parts and in_beam_search() and _beams_left(parts, rows, finite)):
            text = self._text(starved[0])
            raise DeadEndError(
                f"nothing can be written after {text!r}: every token that the constraint allows here has a score of "
                "−inf or NaN; another processor or argument of generate (min_new_tokens, bad_words_ids, "
                "suppress_tokens, forced_eos_token_id, …) forbids them, or the model's logits are broken",
                text=text,
            )
        return masked

    def _text(self, row: Row) -> str:
        return self._vocabulary.tokens_bytes(row.tokens[: row.accepted]).decode("utf-8", "replace")

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
        vocabulary, compiled = self._fitted(width)
        if lead and self._limit is not None:
            for one in compiled:
                if one is not None:
                    what = "max_new_tokens, less the first token that generate forces,"
                    check_budget(one.matcher(), self._limit - 1, what)
        fixed = self._fixed_prompt_length
        length = input_ids.shape[1] if fixed is None else fixed + lead
        if length > input_ids.shape[1]:
            raise ValueError(f"prompt_length is {length}, but the rows have {input_ids.shape[1]} tokens only")
        eos = self._eos_of_call(length - lead)
        groups = [None if one is None else RowGroup(Row(one.matcher(), eos)) for one in compiled]
        return Call(input_ids[:, :length].clone(), groups, lead, vocabulary, owner)

    def _eos_of_call(self, length: int) -> frozenset[int]:
        """The ids that end the texts of the call that asks, which also is held against this processor's settings."""
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

    # -- the model's width ---------------------------------------------------------------------------------------

    def _fitted(self, width: int) -> tuple[Vocabulary, list[Any]]:
        """Logits narrower than the vocabulary: what the model cannot write must not be counted on."""
        vocabulary = self._vocabulary
        if width >= len(vocabulary):
            return vocabulary, self._compiled
        if width not in self._narrower:
            tokens = [vocabulary.token_bytes(i) for i in range(len(vocabulary))]
            if any(tokens[width:]):
                narrow = Vocabulary(tokens[:width], [i for i in vocabulary.eos_token_ids if i < width])
                self._narrower[width] = narrow, [compiled_over(one, narrow) for one in self._compiled]
            else:
                self._narrower[width] = vocabulary, self._compiled
        return self._narrower[width]

    @property
    def eos_token_ids(self) -> list[int]:
        """The ids that end a text, unless a call of `generate` names others."""
        return sorted(self._eos)

    @property
    def prompt_length(self) -> int | None:
        """How many leading tokens of each row are not text, in the call that asked last."""
        call = self._calls.latest
        if call is not None:
            return call.length
        fixed = self._fixed_prompt_length
        return None if fixed is None else fixed + bool(self._before_lead)

    def row_state(self, number: int) -> Row | None:
        """The row as it was at the last call, for those who look at it from outside; None if unconstrained."""
        call = self._calls.latest
        return None if call is None else call.rows[number]


_MOST_LEADS = 8
_MOST_STEERED = 1024


def _correct_eos(packed: Packed, row: Row, others: frozenset[int]) -> None:
    """Allow the row's own ends where its text matches, and never ends of the vocabulary that are none of the row's."""
    accepting = row.matcher.is_accepting
    for token_id in others:
        if 0 <= token_id < 32 * len(packed):
            bit = np.uint32(1 << (token_id & 31))
            if accepting and token_id in row.eos:
                packed[token_id >> 5] |= bit
            else:
                packed[token_id >> 5] &= ~bit


def _beams_left(parts: Sequence[Sequence[Row | None]], rows: list[Row], finite: list[bool]) -> bool:
    """Whether every prompt still has a beam that can go on."""
    alive = {id(row) for row, is_finite in zip(rows, finite, strict=True) if is_finite}
    return all(any(row is None or id(row) in alive for row in part) for part in parts)


def compiled_over(constraint: Any, vocabulary: Vocabulary) -> Any:
    """`constraint` compiled for `vocabulary`, with its own limits if it was compiled before; None stays None."""
    if constraint is None:
        return None
    return compile_constraint(constraint, vocabulary, getattr(constraint, "limits", None))
