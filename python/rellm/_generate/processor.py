"""The logits processor: every row's state from its tokens, every row's mask onto its scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rellm._engines.compile import compile as compile_constraint
from rellm._engines.compile import fill_masks
from rellm._errors import DeadEndError, VocabularyError
from rellm._generate.apply_mask import Packed, masked_scores, packed_ids, packed_words
from rellm._generate.run_limits import RunLimits
from rellm._generate.text_state import LIVE, Row, RowGroup
from rellm._generate.token_budget import check_budget, fill_mask_in_budget
from rellm._generate.transformers_quirks import drafts_in_another_tokenizer, in_beam_search, in_pipeline
from rellm._vocabulary import Vocabulary, as_vocabulary

if TYPE_CHECKING:
    import torch


class ConstraintLogitsProcessor:
    """Keeps `model.generate` inside a constraint.

    Pass it as `model.generate(..., logits_processor=[processor])`. It is right in every mode of `generate` (greedy,
    sampling, beams, several returns, assisted decoding, padded batches), because a row's state follows from the row's
    own tokens. Continuous batching (`generate_batch`, `cache_implementation="paged"`) never calls a logits processor:
    use `rellm.integrations.transformers.generate_batch` there.

    A new call of `generate` is recognised by its prompt, so that a processor can be used again, also after an
    exception. Where a new prompt is the text just written plus at most one token, call `reset()` before, or say
    `prompt_length=`.

    Args:
        constraint: a constraint (or a compiled one), a pattern, or a list of them, one a prompt; None stands for a
            prompt without a constraint. With beams or several returns, each holds for all rows of its prompt.
        vocab_or_tokenizer: a `Vocabulary`, or a tokenizer to take it from.
        max_new_tokens: close within so many tokens: the last ones are chosen so that the text is complete.
            Say the same number to `generate`: with a smaller one there, it cuts the text off before it is closed.
            Where the model's generation_config has a forced_eos_token_id (BART and its kin), say one less here,
            because `generate` writes that token into the last place.
        prompt_length: the number of leading tokens of each row that are not text of the constraint; by default the
            length of the first row seen in a call.
        eos_token_ids: the ids that end a text, if other than the vocabulary's.
        max_whitespace: the longest run of whitespace, in characters.
        max_repetition: how often one token may stand in a row.

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
        if not self._eos and not _may_lack_eos:
            raise VocabularyError(
                "the vocabulary has no end-of-sequence id, so that generate could never end a text: "
                "pass eos_token_ids=[…], the ids that the model's generation_config names"
            )
        self._other_eos = frozenset(vocabulary.eos_token_ids) ^ self._eos
        self._vocabulary = vocabulary
        self._runs = RunLimits(max_whitespace, max_repetition)
        self._excluded: dict[tuple[int, ...], set[int]] = {}  # by the tokens before: what led into a dead end
        self._limit = max_new_tokens
        self._fixed_prompt_length = prompt_length
        self._is_list = isinstance(constraint, (list, tuple))
        if self._is_list and not constraint:
            raise ValueError("an empty list of constraints: pass one constraint a prompt, or a single one for all")
        self._compiled = [compiled_over(one, vocabulary) for one in (constraint if self._is_list else [constraint])]
        self._given = vocabulary, self._compiled
        if max_new_tokens is not None:
            for compiled in self._compiled:
                if compiled is not None:
                    check_budget(compiled.matcher(), max_new_tokens)
        self._factor = 1
        self.reset()

    def reset(self) -> None:
        """Forget the last call: the next one is a new one."""
        self._groups: list[RowGroup | None] = []
        self._rows: list[list[Row] | None] = []
        self._prompt: torch.Tensor | None = None
        self._last: torch.Tensor | None = None
        self._drafting = False
        self._lead = 0  # tokens that `generate` writes before the text and counts as new
        self._lead_written = False

    def begin(self, prompt_length: int) -> None:
        """Forget the last call; in the next one, texts begin after `prompt_length` tokens."""
        self.reset()
        self._fixed_prompt_length = prompt_length

    def exclude_last(self) -> bool:
        """Never again write the last token of the only row after those before it; False: it has none."""
        row = next((row for row in self._flat() if row is not None), None)
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
        self._locate(input_ids, scores.shape[-1])
        rows = self._flat()
        if input_ids.shape[1] == 1 and self._is_lead(rows, scores):
            self._lead_written = True
            self._prompt = self._last = None  # texts begin after the token that comes now
            return scores
        return self.constrained(rows, scores)

    def _is_lead(self, rows: Sequence[Row | None], scores: torch.Tensor) -> bool:
        """Whether `generate` forces a first token here that is no text: a BOS, or a language."""
        import torch

        forced: set[int | None] = {
            int(torch.argmax(one)) if int(torch.isfinite(one).sum()) == 1 else None
            for one, row in zip(scores, rows, strict=True)
            if row is not None
        }
        only = forced.pop() if len(forced) == 1 else None
        if only is None or only in self._eos:
            return False
        return only >= len(self._vocabulary) or not self._vocabulary.token_bytes(only)

    def constrained(self, states: Sequence[Row | None], scores: torch.Tensor) -> torch.Tensor:
        """`scores` with each row's mask on it; None stands for a row without a constraint."""
        numbers: list[int] = []
        rows: list[Row] = []
        for number, row in enumerate(states):
            # Without an end-of-sequence id, a text that is over stays in the batch, and nobody reads what follows.
            if row is not None and (self._eos or (row.status == LIVE and not row.matcher.is_finished)):
                numbers.append(number)
                rows.append(row)
        if not rows:
            return scores
        packed = self._fill(rows, scores.shape[-1])
        if len(rows) == len(scores):
            return self._checked(masked_scores(scores, packed), rows)
        masked = scores.clone()
        masked[numbers] = self._checked(masked_scores(scores[numbers], packed), rows)
        return masked

    def new_row(self, prompt: int) -> Row | None:
        """A row at the start of its text, under the constraint of the prompt of this number."""
        compiled = self._compiled[prompt if self._is_list else 0]
        return None if compiled is None else Row(compiled.matcher(), self._eos)

    def _fill(self, rows: list[Row], width: int) -> Packed:
        words = packed_words(width)
        packed = np.zeros((len(rows), max(words, packed_words(len(self._vocabulary)))), dtype=np.uint32)
        end_only = packed_ids(sorted(self._eos), packed.shape[1] * 32)
        plain: list[int] = []
        for i, row in enumerate(rows):
            if row.status != LIVE:
                packed[i] = end_only
            elif self._limit is not None:
                fill_mask_in_budget(row.matcher, packed, i, self._limit - self._lead - len(row.tokens))
            else:
                plain.append(i)
        if len(plain) == 1:
            rows[plain[0]].matcher.fill_mask(packed, plain[0])
        elif plain:
            filled = packed if len(plain) == len(rows) else packed[plain]
            fill_masks([rows[i].matcher for i in plain], filled)
            if filled is not packed:
                packed[plain] = filled
        if self._other_eos:
            for i, row in enumerate(rows):
                if row.status == LIVE:
                    self._correct_eos(packed[i], row)
        if self._excluded:
            for i, row in enumerate(rows):
                for token_id in self._excluded.get(tuple(row.tokens), ()):
                    packed[i, token_id >> 5] &= ~np.uint32(1 << (token_id & 31))
        if self._runs:
            for i, row in enumerate(rows):
                if row.status == LIVE:
                    self._runs.restrict(packed[i], row.tokens, self._vocabulary)
        return packed if packed.shape[1] == words else np.ascontiguousarray(packed[:, :words])

    def _correct_eos(self, packed: Packed, row: Row) -> None:
        accepting = row.matcher.is_accepting
        for token_id in self._other_eos:
            if 0 <= token_id < 32 * len(packed):
                bit = np.uint32(1 << (token_id & 31))
                if accepting and token_id in self._eos:
                    packed[token_id >> 5] |= bit
                else:
                    packed[token_id >> 5] &= ~bit

    def _checked(self, masked: torch.Tensor, rows: list[Row]) -> torch.Tensor:
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
                masked[i, [token_id for token_id in self._eos if token_id < masked.shape[-1]]] = 0.0
        starved = [row for row, alive in zip(rows, finite, strict=True) if not alive and row.status == LIVE]
        if starved and not (in_beam_search() and self._beams_left(rows, finite)):
            text = self._text(starved[0])
            raise DeadEndError(
                f"nothing can be written after {text!r}: every token that the constraint allows here has a score of "
                "−inf or NaN; another processor or argument of generate (min_new_tokens, bad_words_ids, "
                "suppress_tokens, forced_eos_token_id, …) forbids them, or the model's logits are broken",
                text=text,
            )
        return masked

    def _beams_left(self, rows: list[Row], finite: list[bool]) -> bool:
        """Whether every prompt still has a beam that can go on."""
        alive = {id(row) for row, is_finite in zip(rows, finite, strict=True) if is_finite}
        return all(group is None or any(id(row) in alive for row in group) for group in self._rows)

    def _text(self, row: Row) -> str:
        return self._vocabulary.tokens_bytes(row.tokens[: row.accepted]).decode("utf-8", "replace")

    # -- whose row is this? -------------------------------------------------------------------------------------

    def _locate(self, input_ids: torch.Tensor, width: int) -> None:
        """Bring `self._rows` to the states of the rows of `input_ids`."""
        import torch

        # Assisted decoding looks at one longer tensor, slice by slice; nothing else hands over part of a tensor.
        part = input_ids.untyped_storage().nbytes() > input_ids.numel() * input_ids.element_size()
        self._drafting |= part
        last = self._last
        if (
            last is not None
            and last.shape[0] == input_ids.shape[0]
            and last.shape[1] + 1 == input_ids.shape[1]
            and last.device == input_ids.device
            and torch.equal(input_ids[:, :-1], last)
        ):
            for token_id, row in zip(input_ids[:, -1].tolist(), self._flat(), strict=True):
                if row is not None:
                    row.push(token_id)
        else:
            self._search(input_ids, width, part)
        self._last = input_ids.clone()  # the caller may write into its own

    def _flat(self) -> list[Row | None]:
        flat: list[Row | None] = []
        for group in self._rows:
            flat.extend([None] * self._factor if group is None else group)
        return flat

    def _search(self, input_ids: torch.Tensor, width: int, part: bool) -> None:
        import torch

        prompt = self._prompt
        known = (
            prompt is not None
            and prompt.shape[0] == input_ids.shape[0]
            and prompt.shape[1] < input_ids.shape[1]
            and prompt.device == input_ids.device
            and bool(torch.equal(input_ids[:, : prompt.shape[1]], prompt))
        )
        if known and prompt is not None:
            texts = self._texts(input_ids, prompt.shape[1])
            if self._fixed_prompt_length is not None or self._continues(texts):
                self._move(texts)
                return
        self._begin(input_ids, width)
        self._drafting = part

    def _continues(self, texts: list[list[int]]) -> bool:
        """Whether `texts` belong to the call whose rows are known, or begin another one.

        `generate` extends a row of the step before by one token. Assisted decoding also goes back and tries again
        from there.
        """
        for group, i in self._group_slices():
            if group is None:
                continue
            part = texts[i : i + self._factor]
            distance = max(len(tokens) - common for tokens, (_, common) in zip(part, group.sources(part), strict=True))
            longest = max(len(row.tokens) for row in group.rows)
            steps_back = any(len(tokens) < longest + min(distance, 1) for tokens in part)
            if distance > 1 or (steps_back and not self._drafting):
                return False
        return True

    def _group_slices(self) -> list[tuple[RowGroup | None, int]]:
        return [(group, i * self._factor) for i, group in enumerate(self._groups)]

    def _begin(self, input_ids: torch.Tensor, width: int) -> None:
        self._fit(width)
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
        self._lead = int(self._lead_written and input_ids.shape[1] == 2)
        self._lead_written = False
        if self._lead and self._limit is not None:
            for compiled in self._compiled:
                if compiled is not None:
                    what = "max_new_tokens, less the first token that generate forces,"
                    check_budget(compiled.matcher(), self._limit - 1, what)
        fixed = self._fixed_prompt_length
        length = input_ids.shape[1] if fixed is None else fixed + self._lead
        if length > input_ids.shape[1]:
            raise ValueError(f"prompt_length is {length}, but the rows have {input_ids.shape[1]} tokens only")
        self._factor = rows // len(self._compiled)
        self._groups = [None if one is None else RowGroup(Row(one.matcher(), self._eos)) for one in self._compiled]
        self._prompt = input_ids[:, :length].clone()
        self._move(self._texts(input_ids, length))

    def _texts(self, input_ids: torch.Tensor, length: int) -> list[list[int]]:
        texts: list[list[int]] = input_ids[:, length:].tolist()
        return texts

    def _move(self, texts: list[list[int]]) -> None:
        self._rows = [
            None if group is None else group.update(texts[i : i + self._factor]) for group, i in self._group_slices()
        ]

    # -- the model's width ---------------------------------------------------------------------------------------

    def _fit(self, width: int) -> None:
        """Logits narrower than the vocabulary: what the model cannot write must not be counted on."""
        vocabulary, compiled = self._given
        size = min(width, len(vocabulary))
        if size == len(self._vocabulary):
            return
        if size < len(vocabulary):
            tokens = [vocabulary.token_bytes(i) for i in range(len(vocabulary))]
            if any(tokens[size:]):
                vocabulary = Vocabulary(tokens[:size], [i for i in vocabulary.eos_token_ids if i < size])
                compiled = [compiled_over(one, vocabulary) for one in compiled]
        self._vocabulary, self._compiled = vocabulary, compiled

    @property
    def eos_token_ids(self) -> list[int]:
        """The ids that end a text."""
        return sorted(self._eos)

    @property
    def prompt_length(self) -> int | None:
        """How many leading tokens of each row are not text, in the call that is going on."""
        if self._prompt is not None:
            return int(self._prompt.shape[1])
        fixed = self._fixed_prompt_length
        return None if fixed is None else fixed + int(self._lead_written)

    def row_state(self, number: int) -> Row | None:
        """The row as it was at the last call, for those who look at it from outside; None if unconstrained."""
        return self._flat()[number]


def compiled_over(constraint: Any, vocabulary: Vocabulary) -> Any:
    """`constraint` compiled for `vocabulary`, with its own limits if it was compiled before; None stays None."""
    if constraint is None:
        return None
    return compile_constraint(constraint, vocabulary, getattr(constraint, "limits", None))
