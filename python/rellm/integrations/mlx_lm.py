"""Constrained generation with MLX-LM: models on Apple's chips, and, more slowly, on Linux.

    from mlx_lm import load
    from rellm.integrations.mlx_lm import Generator

    generator = Generator(*load("mlx-community/SmolLM2-135M-Instruct"))
    generator("Is water wet? Answer: ", r"yes|no").text

`ConstraintProcessor` is the same for `mlx_lm.generate` and `stream_generate` (`logits_processors=[…]`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from rellm._engines.compile import compile
from rellm._generate.engine_loop import OneByOne, Stopped, prompts_of, written_text
from rellm._generate.engine_text import EngineText, failure_of
from rellm._generate.run_limits import RunLimits
from rellm._generate.stop_strings import stop_strings
from rellm._generate.stream import TextStream
from rellm._generate.token_budget import check_budget
from rellm._vocabulary import Vocabulary

__all__ = ["ConstraintProcessor", "Generator", "vocabulary_of"]

_DEFAULT_MAX_NEW_TOKENS = 200


def vocabulary_of(tokenizer: Any) -> Vocabulary:
    """The vocabulary of MLX-LM's tokenizer, with all its end-of-sequence ids.

    Args:
        tokenizer: the second result of `mlx_lm.load`, a `TokenizerWrapper`.

    Raises:
        VocabularyError: the bytes of the tokens cannot be determined.
    """
    ends = sorted(getattr(tokenizer, "eos_token_ids", None) or ())
    inner = getattr(tokenizer, "_tokenizer", tokenizer)
    return Vocabulary.from_tokenizer(inner, eos_token_ids=ends or None)


class ConstraintProcessor:
    """A logits processor of MLX-LM for one text.

    The state depends only on the tokens of the call, so drafts of a draft model may come and go.

    Args:
        constraint: a constraint, or a compiled one.
        vocab: `vocabulary_of(tokenizer)`.
        max_tokens: the budget of the call; the text closes within it.
        run_limits: limits on runs of whitespace and of one repeated token.

    Raises:
        DeadEndError: in a call: the constraint does not allow the tokens.
    """

    def __init__(
        self, constraint: Any, vocab: Vocabulary, max_tokens: int | None = None, run_limits: RunLimits | None = None
    ) -> None:
        self.text = EngineText(compile(constraint, vocab), max_tokens, run_limits)
        self._prompt: int | None = None

    def __call__(self, tokens: Any, logits: Any) -> Any:
        """The logits, of shape (1, width), with -inf where a token is not allowed."""
        import mlx.core as mx

        if self._prompt is None:
            self._prompt = len(tokens)
        # Drafts that are not allowed get no mask of their own: the target model rejects them.
        self.text.move_to(np.array(tokens[self._prompt :]).tolist())
        bits = self.text.allowed_tokens(logits.shape[-1])
        if self.text.failure is not None:
            raise failure_of(self.text)
        return mx.where(mx.array(bits)[None], logits, -mx.inf)


class Generator(OneByOne):
    """Writes texts that match, with a model of MLX-LM.

    Args:
        model: the first result of `mlx_lm.load`.
        tokenizer: the second one.
        draft_model: a smaller model with the same tokenizer, for speculative decoding.
        vocabulary: the tokenizer's vocabulary, if you have it.
    """

    def __init__(
        self, model: Any, tokenizer: Any, *, draft_model: Any = None, vocabulary: Vocabulary | None = None
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.draft_model = draft_model
        self.vocabulary = vocabulary_of(tokenizer) if vocabulary is None else vocabulary

    def stream(
        self,
        prompt: Any,
        constraint: Any,
        max_new_tokens: int | None = None,
        stop: str | Sequence[str] | None = None,
        stop_after_match: bool = False,
        *,
        run_limits: RunLimits | None = None,
        temperature: float = 0.0,
        seed: int | None = None,
        top_p: float = 0.0,
        min_p: float = 0.0,
        top_k: int = 0,
        **settings: Any,
    ) -> TextStream:
        """Write a text for one prompt, and return its pieces while they are written.

        Args:
            prompt: as of the call.
            constraint: as of the call.
            max_new_tokens: as of the call.
            stop: strings at which the text is cut; they are not part of it.
            stop_after_match: end as soon as the text matches.
            run_limits: limits on runs of whitespace and of one repeated token.
            temperature: 0 takes the likeliest allowed token.
            seed: a number; the same number gives the same text.
            top_p: of `mlx_lm.sample_utils.make_sampler`.
            min_p: the same.
            top_k: the same.
            **settings: of `mlx_lm.generate.generate_step`: `prompt_cache`, `max_kv_size`, `kv_bits`, …

        Returns:
            A `TextStream`: iterate over it, then read `.completion`.
        """
        most = _DEFAULT_MAX_NEW_TOKENS if max_new_tokens is None else max_new_tokens
        compiled = compile(constraint, self.vocabulary)
        check_budget(compiled.matcher(), most)
        processor = ConstraintProcessor(compiled, self.vocabulary, most + 1, run_limits)
        sampling = {"temp": temperature, "top_p": top_p, "min_p": min_p, "top_k": top_k}
        tokens = self._tokens(self._prompt_tokens(prompt), processor, most + 1, seed, sampling, settings)
        stopped = Stopped()
        return TextStream(written_text(tokens, compiled, most, stop_strings(stop), stop_after_match, stopped), stopped)

    def _tokens(
        self,
        prompt: list[int],
        processor: ConstraintProcessor,
        most: int,
        seed: int | None,
        sampling: dict[str, Any],
        settings: dict[str, Any],
    ) -> Iterator[int]:
        import mlx.core as mx
        from mlx_lm.generate import generate_step, speculative_generate_step
        from mlx_lm.sample_utils import make_sampler

        if seed is not None:
            mx.random.seed(seed)
        given: dict[str, Any] = {"max_tokens": most, "sampler": make_sampler(**sampling), **settings}
        given["logits_processors"] = [processor]
        if self.draft_model is None:
            steps = generate_step(mx.array(prompt), self.model, **given)
        else:
            steps = speculative_generate_step(mx.array(prompt), self.model, self.draft_model, **given)
        for step in steps:
            yield int(step[0])

    def _prompt_tokens(self, prompt: Any) -> list[int]:
        if isinstance(prompt, str):
            return list(self.tokenizer.encode(prompt))
        prompts_of(prompt)
        if prompt and isinstance(prompt[0], Mapping):
            found = self.tokenizer.apply_chat_template([dict(m) for m in prompt], add_generation_prompt=True)
            return list(found["input_ids"] if isinstance(found, Mapping) else found)
        return [int(token_id) for token_id in prompt]
