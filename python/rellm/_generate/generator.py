"""`Generator`: prompts and constraints in, complete texts out, through `model.generate`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from inspect import signature
from typing import Any, overload

from rellm._generate.completion import Completion
from rellm._generate.drafts import ForcedText
from rellm._generate.in_event_loop import AsyncTextStream, on_a_thread
from rellm._generate.loaded_model import eos_ids, logits_width, text_tokenizer, unpadded_copy, with_generate
from rellm._generate.open_model import open_model
from rellm._generate.prefix_cache import PrefixCache
from rellm._generate.prompts import Prompt as OnePrompt
from rellm._generate.request import ForcedTextMode, Request, Writer
from rellm._generate.run import Run
from rellm._generate.run_limits import RunLimits
from rellm._generate.stream import TextStream
from rellm._generate.transformers_quirks import pipeline_arguments
from rellm._generate.typed_results import T, TextPattern, Valued
from rellm._vocabulary import Vocabulary


class Generator:
    """Writes texts that match, with a Hugging Face model.

    Args:
        model: anything with transformers' `generate`: decoder-only or encoder–decoder, PEFT-wrapped, any device.
        tokenizer: the model's tokenizer, or a processor that has one. Neither is changed; a copy of the tokenizer is
            kept, so that padding and truncation that are set on it elsewhere change no prompt.
        vocabulary: the tokenizer's `Vocabulary`, if you have it; otherwise it is built here, once.
        prefix_cache: keep the model's key-value cache of the last text, and read only the tokens of a prompt after the
            common prefix: a long system prompt is read once. It serves calls for one text of ordinary decoders.
    """

    def __init__(
        self, model: Any, tokenizer: Any, *, vocabulary: Vocabulary | None = None, prefix_cache: bool = False
    ) -> None:
        self.model = model = with_generate(model)
        self.tokenizer = tokenizer
        inner = text_tokenizer(tokenizer)
        if vocabulary is None:
            vocabulary = Vocabulary.from_tokenizer(inner, eos_token_ids=eos_ids(model, inner), size=logits_width(model))
        self.vocabulary = vocabulary
        self._own_tokenizer = unpadded_copy(inner)
        self._defaults: dict[str, Any] = {}
        self._writer = Writer(
            model,
            tokenizer,
            self._own_tokenizer,
            vocabulary,
            ForcedText(self._own_tokenizer, vocabulary),
            PrefixCache() if prefix_cache else None,
        )

    @classmethod
    def from_pretrained(
        cls, name: str | os.PathLike[str], *, prefix_cache: bool = False, **arguments: Any
    ) -> Generator:
        """A `Generator` of a model that transformers loads, with its tokenizer.

        Args:
            name: a folder, a `.gguf` file, a name on the hub ("HuggingFaceTB/SmolLM2-360M-Instruct"), or "smollm2" for
                the model of the demonstration.
            prefix_cache: as above.
            **arguments: for `from_pretrained` of transformers: `dtype`, `device_map`, `revision`, `token`, …

        Raises:
            RellmError: there is no such model, or transformers is not installed; the message says what to do.
        """
        model, tokenizer = open_model(name, **arguments)
        return cls(model, tokenizer, prefix_cache=prefix_cache)

    @classmethod
    def from_pipeline(cls, pipeline: Any) -> Generator:
        """A `Generator` of a `transformers.pipeline("text-generation", …)`.

        Arguments that the pipeline was made with (`max_new_tokens`, `do_sample`, …) are taken over as defaults.
        Other settings come from the model's own `generation_config`: decoding is greedy unless it samples (a pipeline
        of transformers 5 samples by default).
        """
        model, tokenizer = getattr(pipeline, "model", None), getattr(pipeline, "tokenizer", None)
        if model is None or tokenizer is None or not hasattr(model, "generate"):
            raise TypeError(
                f"{type(pipeline).__name__} is not a text-generation pipeline with a model and a tokenizer: make one "
                'with transformers.pipeline("text-generation", model=…)'
            )
        generator = cls(model, tokenizer)
        given = pipeline_arguments(pipeline)
        if getattr(pipeline, "assistant_model", None) is not None:
            given["assistant_model"] = pipeline.assistant_model
        known = model.generation_config.to_dict().keys() | {"generation_config", "assistant_model"}
        generator._defaults = {name: value for name, value in given.items() if name in known}
        return generator

    def _request(
        self,
        prompt: Any = None,
        constraint: Any = None,
        max_new_tokens: int | None = None,
        stop: str | Sequence[str] | None = None,
        stop_after_match: bool = False,
        *,
        forced_text: ForcedTextMode = "verified",
        trace: bool = False,
        run_limits: RunLimits | None = None,
        **generate_kwargs: Any,
    ) -> Request:
        """The arguments of a call, resolved once."""
        if "generation_config" not in generate_kwargs:  # as in a pipeline, it replaces the defaults
            generate_kwargs = {**self._defaults, **generate_kwargs}
        return Request.of(
            self._writer, prompt, constraint, max_new_tokens, stop, stop_after_match, forced_text, trace, run_limits,
            generate_kwargs,
        )  # fmt: skip

    @overload
    def __call__(  # type: ignore[overload-overlap]  # a str is a list of str: the first that fits counts
        self, prompt: OnePrompt, constraint: type[T] | Valued[T], max_new_tokens: int | None = None,
        stop: str | Sequence[str] | None = None, stop_after_match: bool = False, *,
        forced_text: ForcedTextMode = "verified", trace: bool = False, run_limits: RunLimits | None = None,
        **generate_kwargs: object,
    ) -> Completion[T]: ...  # fmt: skip

    @overload
    def __call__(  # type: ignore[overload-overlap]  # a str is a list of str: the first that fits counts
        self, prompt: OnePrompt, constraint: TextPattern, max_new_tokens: int | None = None,
        stop: str | Sequence[str] | None = None, stop_after_match: bool = False, *,
        forced_text: ForcedTextMode = "verified", trace: bool = False, run_limits: RunLimits | None = None,
        **generate_kwargs: object,
    ) -> Completion[str]: ...  # fmt: skip

    @overload
    def __call__(  # type: ignore[overload-overlap]  # a str is a list of str: the first that fits counts
        self, prompt: OnePrompt | None = None, constraint: object = None, max_new_tokens: int | None = None,
        stop: str | Sequence[str] | None = None, stop_after_match: bool = False, *,
        forced_text: ForcedTextMode = "verified", trace: bool = False, run_limits: RunLimits | None = None,
        **generate_kwargs: object,
    ) -> Completion: ...  # fmt: skip

    @overload
    def __call__(
        self, prompt: Sequence[OnePrompt], constraint: type[T] | Valued[T], max_new_tokens: int | None = None,
        stop: str | Sequence[str] | None = None, stop_after_match: bool = False, *,
        forced_text: ForcedTextMode = "verified", trace: bool = False, run_limits: RunLimits | None = None,
        **generate_kwargs: object,
    ) -> list[Completion[T]]: ...  # fmt: skip

    @overload
    def __call__(
        self, prompt: Sequence[OnePrompt], constraint: TextPattern, max_new_tokens: int | None = None,
        stop: str | Sequence[str] | None = None, stop_after_match: bool = False, *,
        forced_text: ForcedTextMode = "verified", trace: bool = False, run_limits: RunLimits | None = None,
        **generate_kwargs: object,
    ) -> list[Completion[str]]: ...  # fmt: skip

    @overload
    def __call__(
        self, prompt: Sequence[OnePrompt], constraint: object = None, max_new_tokens: int | None = None,
        stop: str | Sequence[str] | None = None, stop_after_match: bool = False, *,
        forced_text: ForcedTextMode = "verified", trace: bool = False, run_limits: RunLimits | None = None,
        **generate_kwargs: object,
    ) -> list[Completion]: ...  # fmt: skip

    def __call__(
        self,
        prompt: Any = None,
        constraint: Any = None,
        max_new_tokens: int | None = None,
        stop: str | Sequence[str] | None = None,
        stop_after_match: bool = False,
        *,
        forced_text: ForcedTextMode = "verified",
        trace: bool = False,
        run_limits: RunLimits | None = None,
        **generate_kwargs: Any,
    ) -> Any:
        """Write a text after `prompt` that matches `constraint`.

        Args:
            prompt: a str, a list of chat messages, token ids, the inputs that a tokenizer made, or a list of these. A
                chat that ends with a message of the assistant's is continued.
            constraint: a constraint, a pattern, a type or a compiled constraint; None for no constraint. With a list of
                prompts, one for all of them or a list of one each.
            max_new_tokens: the most tokens to write (200 by default); the text closes within them. The end-of-sequence
                token is not counted.
            stop: literal strings at which the text is cut; they are not part of it.
            stop_after_match: end as soon as the text matches.
            forced_text: what to do where the constraint leaves one continuation. "verified": verify it as a draft in
                one forward pass and keep the tokens that the model agrees with, so that the text is the same as with
                "off"; "forced": append it without asking the model, in the tokenizer's own tokens; "off": ask the model
                for each token.
            trace: record what the constraint did to each token, as `Completion.trace`.
            run_limits: limits on runs of whitespace and of one repeated token.
            **generate_kwargs: anything that `model.generate` takes; `instructions`: "auto" (the prompt tells the model
                which texts match, see `rellm.describe`), a str (the prompt contains this text) or False (the default);
                `reasoning`: "auto" (the model may think before its answer if its chat template has thinking, in at
                most half of the tokens), False (it does not), or a number of tokens (it thinks, within this number);
                `token_healing`: True lets the model rewrite the last tokens of the prompt where a longer token could
                replace them (the returned text does not contain them); `leading_space`: True allows one space before
                the text, as tokenizers write it before a word (the returned text does not contain it); `tokenisation`:
                "any", or "canonical" for only those tokens that the tokenizer itself would write, as far as the
                constraint allows one; `tools`, `chat_template_kwargs`, `enable_thinking`, `continue_final_message` and
                `add_special_tokens` for prompts; `inputs`: the inputs that a processor made of text, images and sound,
                in place of a prompt.

        Returns:
            A `Completion`; a list of them for a list of prompts or with `num_return_sequences` (a list of lists with
            both).

        Raises:
            BudgetError: no match fits into `max_new_tokens`; before the first forward pass.
            DeadEndError: other arguments of `generate` leave no allowed token.
        """
        request = self._request(
            prompt, constraint, max_new_tokens, stop, stop_after_match,
            forced_text=forced_text, trace=trace, run_limits=run_limits, **generate_kwargs,
        )  # fmt: skip
        return Run(request).completions()

    @overload
    def stream(
        self, prompt: OnePrompt, constraint: type[T] | Valued[T], max_new_tokens: int | None = None,
        stop: str | Sequence[str] | None = None, stop_after_match: bool = False, *,
        forced_text: ForcedTextMode = "verified", trace: bool = False, run_limits: RunLimits | None = None,
        **generate_kwargs: object,
    ) -> TextStream[T]: ...  # fmt: skip

    @overload
    def stream(
        self, prompt: OnePrompt, constraint: TextPattern, max_new_tokens: int | None = None,
        stop: str | Sequence[str] | None = None, stop_after_match: bool = False, *,
        forced_text: ForcedTextMode = "verified", trace: bool = False, run_limits: RunLimits | None = None,
        **generate_kwargs: object,
    ) -> TextStream[str]: ...  # fmt: skip

    @overload
    def stream(
        self, prompt: OnePrompt | None = None, constraint: object = None, max_new_tokens: int | None = None,
        stop: str | Sequence[str] | None = None, stop_after_match: bool = False, *,
        forced_text: ForcedTextMode = "verified", trace: bool = False, run_limits: RunLimits | None = None,
        **generate_kwargs: object,
    ) -> TextStream: ...  # fmt: skip

    def stream(self, *args: Any, **kwargs: Any) -> Any:
        """Write a text for one prompt, and return its pieces while they are written.

        The model is only asked while pieces are taken; beams, several returns and assisted decoding cannot be
        streamed.

        Returns:
            A `TextStream`: iterate over it, then read `.completion`.
        """
        request = self._request(*args, **kwargs)
        if not request.prompts.is_single:
            raise TypeError("stream takes one prompt: call the generator itself for a list of them")
        if not request.is_one_row:
            raise ValueError(
                "beams, several returns, assisted decoding, stop_strings (pass stop=), static caches and inputs other "
                "than a prompt cannot be streamed: call the generator itself"
            )
        run = Run(request)
        return TextStream(run.stream(), run.cancelled.set, run.unseen)

    @overload
    async def agenerate(  # type: ignore[overload-overlap]
        self, prompt: OnePrompt, constraint: type[T] | Valued[T], max_new_tokens: int | None = None,
        stop: str | Sequence[str] | None = None, stop_after_match: bool = False, *,
        forced_text: ForcedTextMode = "verified", trace: bool = False, run_limits: RunLimits | None = None,
        **generate_kwargs: object,
    ) -> Completion[T]: ...  # fmt: skip

    @overload
    async def agenerate(  # type: ignore[overload-overlap]
        self, prompt: OnePrompt, constraint: TextPattern, max_new_tokens: int | None = None,
        stop: str | Sequence[str] | None = None, stop_after_match: bool = False, *,
        forced_text: ForcedTextMode = "verified", trace: bool = False, run_limits: RunLimits | None = None,
        **generate_kwargs: object,
    ) -> Completion[str]: ...  # fmt: skip

    @overload
    async def agenerate(  # type: ignore[overload-overlap]
        self, prompt: OnePrompt | None = None, constraint: object = None, max_new_tokens: int | None = None,
        stop: str | Sequence[str] | None = None, stop_after_match: bool = False, *,
        forced_text: ForcedTextMode = "verified", trace: bool = False, run_limits: RunLimits | None = None,
        **generate_kwargs: object,
    ) -> Completion: ...  # fmt: skip

    @overload
    async def agenerate(
        self, prompt: Sequence[OnePrompt], constraint: type[T] | Valued[T], max_new_tokens: int | None = None,
        stop: str | Sequence[str] | None = None, stop_after_match: bool = False, *,
        forced_text: ForcedTextMode = "verified", trace: bool = False, run_limits: RunLimits | None = None,
        **generate_kwargs: object,
    ) -> list[Completion[T]]: ...  # fmt: skip

    @overload
    async def agenerate(
        self, prompt: Sequence[OnePrompt], constraint: TextPattern, max_new_tokens: int | None = None,
        stop: str | Sequence[str] | None = None, stop_after_match: bool = False, *,
        forced_text: ForcedTextMode = "verified", trace: bool = False, run_limits: RunLimits | None = None,
        **generate_kwargs: object,
    ) -> list[Completion[str]]: ...  # fmt: skip

    @overload
    async def agenerate(
        self, prompt: Sequence[OnePrompt], constraint: object = None, max_new_tokens: int | None = None,
        stop: str | Sequence[str] | None = None, stop_after_match: bool = False, *,
        forced_text: ForcedTextMode = "verified", trace: bool = False, run_limits: RunLimits | None = None,
        **generate_kwargs: object,
    ) -> list[Completion]: ...  # fmt: skip

    async def agenerate(self, *args: Any, **kwargs: Any) -> Any:
        """`__call__` for an event loop: the model works on a thread, and other tasks go on meanwhile.

        Takes and returns what `__call__` does. When the task is cancelled, the text ends within one token.
        """
        return await on_a_thread(lambda cancelled: Run(self._request(*args, **kwargs), cancelled).completions())

    @overload
    def astream(
        self, prompt: OnePrompt, constraint: type[T] | Valued[T], max_new_tokens: int | None = None,
        stop: str | Sequence[str] | None = None, stop_after_match: bool = False, *,
        forced_text: ForcedTextMode = "verified", trace: bool = False, run_limits: RunLimits | None = None,
        **generate_kwargs: object,
    ) -> AsyncTextStream[T]: ...  # fmt: skip

    @overload
    def astream(
        self, prompt: OnePrompt, constraint: TextPattern, max_new_tokens: int | None = None,
        stop: str | Sequence[str] | None = None, stop_after_match: bool = False, *,
        forced_text: ForcedTextMode = "verified", trace: bool = False, run_limits: RunLimits | None = None,
        **generate_kwargs: object,
    ) -> AsyncTextStream[str]: ...  # fmt: skip

    @overload
    def astream(
        self, prompt: OnePrompt | None = None, constraint: object = None, max_new_tokens: int | None = None,
        stop: str | Sequence[str] | None = None, stop_after_match: bool = False, *,
        forced_text: ForcedTextMode = "verified", trace: bool = False, run_limits: RunLimits | None = None,
        **generate_kwargs: object,
    ) -> AsyncTextStream: ...  # fmt: skip

    def astream(self, *args: Any, **kwargs: Any) -> Any:
        """`stream` for an event loop: `async for piece in generator.astream(…)`.

        Takes what `stream` does. When the task is cancelled, or the stream is closed, the text ends within one token.
        """
        return AsyncTextStream(self.stream(*args, **kwargs))


for _method in (Generator.stream, Generator.agenerate, Generator.astream):
    # These methods pass their arguments on to `__call__`: give them its signature for `help` and editors.
    _method.__dict__["__signature__"] = signature(Generator.__call__)
