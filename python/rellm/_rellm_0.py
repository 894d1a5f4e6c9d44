"""ReLLM's three names, with its argument order and defaults, on top of `Generator`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rellm._constraints.conversion import any_of
from rellm._engines.compile import CompiledConstraint
from rellm._engines.compile import compile as compile_constraint
from rellm._errors import BudgetError, IncompleteError
from rellm._generate.apply_mask import unpacked
from rellm._generate.generator import Generator
from rellm._vocabulary import Vocabulary

if TYPE_CHECKING:
    import torch


def complete_re(
    prompt: str,
    pattern: Any,
    tokenizer: Any,
    model: Any,
    max_new_tokens: int = 3,
    stop_after_match: bool = True,
    debug: bool = False,
    **model_kwargs: Any,
) -> str:
    """Complete `prompt` with text that matches `pattern`.

    Args:
        prompt: the text before.
        pattern: a `regex.Pattern`, an `re.Pattern`, a str, any constraint, or a list of these, of which one must match.
        tokenizer: the model's tokenizer.
        model: a Hugging Face model that can `generate`.
        max_new_tokens: the most tokens to write.
        stop_after_match: end at the first match; otherwise where the model ends it, or where nothing can follow.
        debug: print each step to standard error.
        **model_kwargs: anything that `model.generate` takes.

    Returns:
        The completion, without the prompt. It matches in full.

    Raises:
        BudgetError: no match fits into `max_new_tokens`; before the model is asked.
        IncompleteError: something else (a stopping criterion, `max_time`) ended the text before it matched.
    """
    generator = Generator(model, tokenizer)
    constraint = _compiled(pattern, generator.vocabulary)
    if debug:
        from transformers import StoppingCriteriaList

        own = model_kwargs.pop("stopping_criteria", None) or []
        model_kwargs["stopping_criteria"] = StoppingCriteriaList([*own, _Progress(generator.vocabulary, bool(
            getattr(model.config, "is_encoder_decoder", False)))])  # fmt: skip
    completion = generator(prompt, constraint, max_new_tokens, stop_after_match=stop_after_match, **model_kwargs)
    if isinstance(completion, list):
        raise TypeError(
            "complete_re returns one str: call rellm.Generator for num_return_sequences or a list of prompts"
        )
    if not completion.is_complete:
        kind = BudgetError if completion.finish_reason == "length" else IncompleteError
        raise kind(
            f"the text {completion.text!r} ended after {len(completion.token_ids)} tokens, before it matched: "
            + (
                "raise max_new_tokens"
                if completion.finish_reason == "length"
                else "a stopping criterion ended it; leave it out or let it wait for a match"
            ),
            text=completion.text,
        )
    text: str = completion.text
    return text


class ReTokenFilter:
    """Which tokens may come next, as sets of ids.

    The vocabulary is read once, when the filter is made.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.vocabulary = Vocabulary.from_tokenizer(tokenizer)

    def filter_tokens(self, partial_completion: str, patterns: Any) -> set[int]:
        """The ids that can follow `partial_completion` towards a match of one of `patterns`.

        An end-of-sequence id is among them where the completion matches, and only there. The set is empty where
        nothing can match any more.
        """
        matcher = self._after(partial_completion, patterns)
        if matcher is None:
            return set()
        return {int(i) for i in np.flatnonzero(unpacked(matcher.mask(), len(self.vocabulary)))}

    def is_valid_token(self, token_id: int, partial_completion: str, patterns: Any) -> bool:
        """Whether this id can follow `partial_completion`."""
        matcher = self._after(partial_completion, patterns)
        return matcher is not None and bool(matcher.allows(token_id))

    def _after(self, partial_completion: str, patterns: Any) -> Any:
        matcher = _compiled(patterns, self.vocabulary).matcher()
        try:
            matcher.advance_bytes(partial_completion.encode())
        except ValueError:  # TokenRejectedError: the completion has left the language
            return None
        return matcher


class LogitsMask:
    """A logits processor that leaves the given ids, and nothing else.

    Raises:
        ValueError: there are none: every score would be the same, and greedy decoding would pick id 0.
    """

    def __init__(self, allowed_token_ids: Iterable[int]) -> None:
        self.allowed_token_ids: set[int] = {int(token_id) for token_id in allowed_token_ids}
        if not self.allowed_token_ids:
            raise ValueError("no token is allowed: nothing could be generated; pass at least one id")

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Scores with −inf for every other id."""
        import torch

        ids = [token_id for token_id in sorted(self.allowed_token_ids) if 0 <= token_id < scores.shape[-1]]
        if not ids:
            raise ValueError(
                f"none of the allowed ids is below {scores.shape[-1]}, the number of the model's logits: "
                "they belong to another tokenizer"
            )
        index = torch.tensor(ids, device=scores.device)
        masked = torch.full_like(scores, float("-inf"))
        masked[:, index] = scores[:, index]
        return masked


def _compiled(patterns: Any, vocabulary: Vocabulary) -> CompiledConstraint:
    """A pattern, a constraint, one that is compiled already, or a list of these that means OR."""
    if isinstance(patterns, (list, tuple)):
        patterns = any_of([one.constraint if isinstance(one, CompiledConstraint) else one for one in patterns])
    return compile_constraint(patterns, vocabulary)


class _Progress:
    """A stopping criterion that never stops, and prints the text written so far."""

    def __init__(self, vocabulary: Vocabulary, encoder_decoder: bool) -> None:
        self._vocabulary = vocabulary
        self._start: int | None = 1 if encoder_decoder else None

    def __call__(self, input_ids: torch.Tensor, scores: Any = None, **_: Any) -> torch.Tensor:
        import torch

        if self._start is None:
            self._start = input_ids.shape[1] - 1
        tokens: Sequence[int] = input_ids[0, self._start :].tolist()
        known = [token_id for token_id in tokens if token_id < len(self._vocabulary)]
        text = self._vocabulary.tokens_bytes(known).decode("utf-8", "replace")
        print(f"step={len(tokens)} completion={text!r}", file=sys.stderr)
        return torch.zeros(input_ids.shape[0], dtype=torch.bool, device=input_ids.device)
