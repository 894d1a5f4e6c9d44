"""`Generator`: prompts and constraints in, complete texts out, through `model.generate`."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Generator as Stream
from contextlib import suppress
from typing import Any, Literal, overload

from rellm._constraints.pieces import Pieces
from rellm._errors import BudgetError, DeadEndError
from rellm._generate.apply_mask import unpacked
from rellm._generate.chat_turn import chat_turn
from rellm._generate.completion import Completion, FinishReason
from rellm._generate.decode_batch import BatchDecoder, BatchRow, RowsTurn
from rellm._generate.decode_one import Decoder
from rellm._generate.drafts import Forced
from rellm._generate.in_event_loop import AsyncTextStream, Cancelled, generated
from rellm._generate.key_value_cache import NotForBatches, TakePlainLoop
from rellm._generate.plain_stream import OnceStreamer, PlainSteps
from rellm._generate.prefix_cache import PrefixCache
from rellm._generate.processor import ConstraintLogitsProcessor, compiled_over
from rellm._generate.prompts import Prompt as OnePrompt
from rellm._generate.prompts import PromptOptions, encode_prompts, split_prompts
from rellm._generate.random_state import RandomState
from rellm._generate.run_limits import RunLimits
from rellm._generate.stream import TextPieces, TextStream
from rellm._generate.text_state import ABANDONED, LIVE, Row, TextEnd, find_stop, stop_strings
from rellm._generate.token_budget import check_budget
from rellm._generate.transformers_quirks import (
    pipeline_arguments,
    prepares_as_usual,
    takes_positions,
    writes_token_by_token,
)
from rellm._vocabulary import Vocabulary

ForcedText = Literal["verified", "forced", "off"]

_DEFAULT_MAX_NEW_TOKENS = 200
_NOT_SERVED = ("return_dict_in_generate", "output_scores", "output_logits", "output_attentions", "output_hidden_states")
_MOST_RETREATS = 64  # out of dead ends of the search engine, a call


class Generator:
    """Writes texts that match, with a Hugging Face model.

    Args:
        model: anything with transformers' `generate`: decoder-only or encoder–decoder, PEFT-wrapped, any device.
        tokenizer: the model's tokenizer, or a processor that has one. Neither is changed; a copy of the tokenizer is
            kept, so that padding and truncation that are set on it elsewhere change no prompt.
        vocabulary: the tokenizer's `Vocabulary`, if it is at hand; otherwise it is built here, once.
        prefix_cache: keep the model's cache of the last text, and read only what a prompt adds to the tokens that it
            has in common with it: a long system prompt is read once. It serves calls for one text of ordinary decoders.
    """

    def __init__(
        self, model: Any, tokenizer: Any, *, vocabulary: Vocabulary | None = None, prefix_cache: bool = False
    ) -> None:
        model = _with_generate(model)
        self.model = model
        self.tokenizer = tokenizer
        # A processor of text and images holds the tokenizer of its texts.
        inner = tokenizer if hasattr(tokenizer, "convert_ids_to_tokens") else getattr(tokenizer, "tokenizer", tokenizer)
        if not callable(inner):
            raise TypeError(
                f"the tokenizer is {type(tokenizer).__name__}: load it with AutoTokenizer.from_pretrained(…)"
            )
        self._defaults: dict[str, Any] = {}
        if vocabulary is None:
            vocabulary = Vocabulary.from_tokenizer(inner, eos_token_ids=_eos_ids(model, inner), size=_width(model))
        self.vocabulary = vocabulary
        self._own_tokenizer = _own_copy(inner)
        self._forced = Forced(self._own_tokenizer, vocabulary)
        self._plain_only = False
        self._prefixes = PrefixCache() if prefix_cache else None

    @classmethod
    def from_pipeline(cls, pipeline: Any) -> Generator:
        """The same for a `transformers.pipeline("text-generation", …)`.

        Arguments that the pipeline was made with (`max_new_tokens`, `do_sample`, …) are taken over as defaults.
        Where they say nothing, the model's own `generation_config` holds: so decoding is greedy unless that samples
        (a pipeline of transformers 5 samples unless told otherwise).
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

    @overload
    def __call__(
        self, prompt: OnePrompt, constraint: Any, max_new_tokens: int | None = None,
        stop: str | Sequence[str] | None = None, stop_after_match: bool = False, *,
        forced_text: ForcedText = "verified", trace: bool = False, run_limits: RunLimits | None = None,
        **generate_kwargs: Any,
    ) -> Completion: ...  # fmt: skip

    @overload
    def __call__(
        self, prompt: Sequence[OnePrompt], constraint: Any, max_new_tokens: int | None = None,
        stop: str | Sequence[str] | None = None, stop_after_match: bool = False, *,
        forced_text: ForcedText = "verified", trace: bool = False, run_limits: RunLimits | None = None,
        **generate_kwargs: Any,
    ) -> list[Completion]: ...  # fmt: skip

    def __call__(
        self,
        prompt: Any = None,
        constraint: Any = None,
        max_new_tokens: int | None = None,
        stop: str | Sequence[str] | None = None,
        stop_after_match: bool = False,
        *,
        forced_text: ForcedText = "verified",
        trace: bool = False,
        run_limits: RunLimits | None = None,
        **generate_kwargs: Any,
    ) -> Any:
        """Write after `prompt` a text that matches `constraint`.

        Args:
            prompt: a str, a list of chat messages, token ids, what a tokenizer made, or a list of these. A chat that
                ends with a message of the assistant's is continued.
            constraint: a constraint, a pattern or a compiled constraint; None for no constraint. With a list of
                prompts, one for all of them or a list of one each.
            max_new_tokens: the most tokens to write (200 by default); the text closes within them. The end-of-sequence
                token is not counted.
            stop: literal strings at which the text is cut; they are not part of it.
            stop_after_match: end as soon as the text matches.
            forced_text: what to do where the constraint leaves one continuation. "verified": try all of it in one
                forward pass and keep what the model agrees with, so that the text is the same as with "off";
                "forced": append it unasked, cut into tokens as the tokenizer would; "off": ask token by token.
            trace: record what the constraint did to each token, as `Completion.trace`.
            run_limits: how much whitespace, and how often the same token, may stand in a row.
            **generate_kwargs: anything that `model.generate` takes; `reasoning`: "auto" (the model may think before
                what the constraint says where its template has thinking, in half of the tokens at most), False (it does
                not), or a number of tokens (it does, and ends within them); `tools`, `chat_template_kwargs`,
                `enable_thinking`, `continue_final_message` and `add_special_tokens` for prompts; `inputs`, what a
                processor made of text, images and sound, in place of a prompt.

        Returns:
            A `Completion`; a list of them for a list of prompts or with `num_return_sequences` (a list of lists with
            both).

        Raises:
            BudgetError: no match fits into `max_new_tokens`; before the first forward pass.
            DeadEndError: other arguments of `generate` leave no allowed token.
        """
        call = _Call(
            self, prompt, constraint, max_new_tokens, stop, stop_after_match, forced_text, trace,
            run_limits, self._with_defaults(generate_kwargs),
        )  # fmt: skip
        return call.answer()

    def _with_defaults(self, generate_kwargs: dict[str, Any]) -> dict[str, Any]:
        if "generation_config" in generate_kwargs:  # as in a pipeline, it stands in place of them
            return dict(generate_kwargs)
        return {**self._defaults, **generate_kwargs}

    def stream(
        self,
        prompt: OnePrompt | None = None,
        constraint: Any = None,
        max_new_tokens: int | None = None,
        stop: str | Sequence[str] | None = None,
        stop_after_match: bool = False,
        *,
        forced_text: ForcedText = "verified",
        trace: bool = False,
        run_limits: RunLimits | None = None,
        **generate_kwargs: Any,
    ) -> TextStream:
        """The same for one prompt, as pieces of text while they are written.

        The model is only asked while pieces are taken; beams, several returns and assisted decoding cannot be
        streamed.

        Returns:
            A `TextStream`: iterate over it, then read `.completion`.
        """
        call = _Call(
            self, prompt, constraint, max_new_tokens, stop, stop_after_match, forced_text, trace,
            run_limits, {"_cancelled": Cancelled(), **self._with_defaults(generate_kwargs)},
        )  # fmt: skip
        if not call.is_single:
            raise TypeError("stream takes one prompt: call the generator itself for a list of them")
        if not call.runs_own_loop:
            raise ValueError(
                "beams, several returns, assisted decoding, stop_strings (pass stop=), static caches and inputs other "
                "than a prompt cannot be streamed: call the generator itself"
            )
        return TextStream(call.stream(), call.stop)

    async def agenerate(self, prompt: Any = None, constraint: Any = None, *args: Any, **kwargs: Any) -> Any:
        """`__call__` for an event loop: the model works on a thread, and other tasks go on meanwhile.

        Takes and returns what `__call__` does. When the task is cancelled, the text ends within one token.
        """
        return await generated(self, prompt, constraint, *args, **kwargs)

    def astream(self, prompt: Any = None, constraint: Any = None, *args: Any, **kwargs: Any) -> AsyncTextStream:
        """`stream` for an event loop: `async for piece in generator.astream(…)`.

        Takes what `stream` does. When the task is cancelled, or the stream is closed, the text ends within one token.
        """
        return AsyncTextStream(self.stream(prompt, constraint, *args, **kwargs))


class _Call:
    """One call of a `Generator`: arguments resolved, rows set up, results read."""

    def __init__(
        self,
        generator: Generator,
        prompt: Any,
        constraint: Any,
        max_new_tokens: int | None,
        stop: str | Sequence[str] | None,
        stop_after_match: bool,
        forced_text: ForcedText,
        trace: bool,
        run_limits: RunLimits | None,
        kwargs: dict[str, Any],
    ) -> None:
        if forced_text not in ("verified", "forced", "off"):
            raise ValueError(f'forced_text is {forced_text!r}: it is "verified", "forced" or "off"')
        self._model = model = generator.model
        self._vocabulary = generator.vocabulary
        self._generator = generator
        self._forced_text = forced_text
        self._stops = stop_strings(stop)
        self._stop_after_match = stop_after_match
        self._extra = kwargs
        self._run_limits = RunLimits.of(
            run_limits, kwargs.pop("max_whitespace", None), kwargs.pop("max_repetition", None)
        )
        self._cancelled = kwargs.pop("_cancelled", None)
        prompt, constraint = chat_turn(generator.tokenizer, prompt, constraint, kwargs, max_new_tokens)
        options = PromptOptions.taken_from(kwargs)
        inputs = kwargs.pop("inputs", None)
        if inputs is not None:
            if prompt is not None:
                raise TypeError("inputs= stands in place of a prompt: pass one of them")
            prompt = inputs
        prompts, self.is_single = split_prompts(prompt)
        self._config = self._configured(kwargs, max_new_tokens)
        self._max_new_tokens: int = self._config.max_new_tokens
        self._asked_for = self._max_new_tokens
        self.returns: int = self._config.num_return_sequences or 1
        self._eos = frozenset(self._config.eos_token_id or ())
        self._encoded = encode_prompts(
            prompts, self.is_single, generator._own_tokenizer, model, self._config.pad_token_id, options,
            generator.tokenizer if hasattr(generator.tokenizer, "apply_chat_template") else None,
        )  # fmt: skip
        self._extra = {**self._encoded.others, **self._extra}
        if self._extra.get("streamer") is not None:
            self._extra["streamer"] = OnceStreamer(self._extra["streamer"])
        self._lead, forced_last = self._forced_ends()
        self._fit_into_context()
        self._compiled = self._compiled_for(constraint, self._encoded.input_ids.shape[0])
        for number, one in enumerate(self._compiled):
            if one is not None:
                self._check_budget(one, number)
        # For `generate` these tokens are new ones like others; for the caller they are none.
        self._config.max_new_tokens = self._max_new_tokens + self._lead + forced_last
        decoder_only = not model.config.is_encoder_decoder
        self._prompt_length = self._encoded.input_ids.shape[1] if decoder_only else None
        self._trace = trace
        self._processor = self._processor_of(self._compiled)
        self._end = self._end_of(self._compiled, self._processor)
        self._row_processors: list[ConstraintLogitsProcessor] = []  # of a batch whose rows have one each
        self._decoder: Decoder | BatchDecoder | None = None

    def _processor_of(self, compiled: list[Any]) -> ConstraintLogitsProcessor:
        return ConstraintLogitsProcessor(
            list(compiled),
            self._vocabulary,
            max_new_tokens=self._max_new_tokens + self._lead,
            prompt_length=self._prompt_length,
            eos_token_ids=sorted(self._eos),
            run_limits=self._run_limits,
            _may_lack_eos=True,
        )

    def _check_budget(self, compiled: Any, number: int) -> None:
        """Raise `BudgetError` where no match fits, and name the context where that is why."""
        try:
            check_budget(compiled.matcher(), self._max_new_tokens)
        except BudgetError as error:
            if self._max_new_tokens == self._asked_for:
                raise
            length = self._encoded.lengths[number] if self._encoded.lengths else self._encoded.input_ids.shape[1]
            longest = self._encoded.input_ids.shape[1]
            which = "the prompt" if len(self._compiled) == 1 else f"prompt {number}"
            padded = f" (padded to {longest}, the longest of the batch)" if length < longest else ""
            raise BudgetError(
                f"no match fits into the model's context: {which} has {length} tokens{padded} of the context's "
                f"{longest + self._max_new_tokens}, which leaves {self._max_new_tokens} of max_new_tokens="
                f"{self._asked_for}, and the shortest match takes {error.needed}: shorten the prompt",
                needed=error.needed,
            ) from None

    def answer(self) -> Any:
        """The completions, in the shape that the prompts and returns ask for."""
        completions = self.run()
        if self.is_single:
            return completions if self.returns > 1 else completions[0]
        if self.returns == 1:
            return completions
        return [completions[i : i + self.returns] for i in range(0, len(completions), self.returns)]

    def _end_of(self, compiled: list[Any], processor: ConstraintLogitsProcessor) -> TextEnd:
        matchers = [None if one is None else one.matcher() for one in compiled]
        return TextEnd(
            matchers, self._vocabulary, self._eos, lambda: processor.prompt_length, self._stops, self._stop_after_match
        )

    # -- arguments ---------------------------------------------------------------------------------------------

    def _configured(self, kwargs: dict[str, Any], max_new_tokens: int | None) -> Any:
        """One `GenerationConfig` of all that was said; what is no part of it stays in `self._extra`."""
        import transformers

        make: Any = transformers.GenerationConfig  # untyped in transformers
        given = kwargs.pop("generation_config", None)
        config = copy.deepcopy(given) if given is not None else make()
        own = self._model.generation_config
        if kwargs.pop("max_length", None) is not None:
            raise ValueError("max_length counts the prompt: pass max_new_tokens instead")
        for name in _NOT_SERVED:
            if kwargs.get(name):
                raise ValueError(
                    f"{name} asks for what a Completion does not hold: call model.generate with "
                    "rellm.integrations.transformers.ConstraintLogitsProcessor, which returns it"
                )
        kwargs_budget = kwargs.pop("max_new_tokens", None)
        self._extra = config.update(**kwargs)
        for budget in (max_new_tokens, kwargs_budget, config.max_new_tokens, _DEFAULT_MAX_NEW_TOKENS):
            if budget is not None:
                break
        if not isinstance(budget, int) or isinstance(budget, bool) or budget < 1:
            raise ValueError(f"max_new_tokens is {budget!r}: it must be a whole number from 1 on")
        if self._model.generation_config.token_healing if config.token_healing is None else config.token_healing:
            raise ValueError(
                "token_healing writes the end of the prompt anew, so that it is not known where the text begins: "
                "leave it out, and end the prompt before a space"
            )
        samples = config.do_sample if config.do_sample is not None else own.do_sample
        idle = [name for name in ("temperature", "top_p", "top_k") if kwargs.get(name) is not None]
        if idle and not samples:
            warnings.warn(f"{', '.join(idle)} does nothing without do_sample=True", stacklevel=5)
        config.max_new_tokens, config.max_length = budget, None
        eos = config.eos_token_id if config.eos_token_id is not None else own.eos_token_id
        if eos is None:
            eos = list(self._vocabulary.eos_token_ids)
        config.eos_token_id = sorted({eos} if isinstance(eos, int) else set(eos)) or None
        config.pad_token_id = self._pad(config)
        for name in ("num_return_sequences", "num_beams"):
            if getattr(config, name) is None:
                setattr(config, name, getattr(own, name))
        return config

    def _pad(self, config: Any) -> int:
        """A token to pad with that is never text, so that no row can be mistaken for a longer one."""
        own = self._model.generation_config.pad_token_id
        for candidate in (config.pad_token_id, own, getattr(self._generator.tokenizer, "pad_token_id", None)):
            if isinstance(candidate, int) and not self._is_text(candidate):
                return candidate
        return config.eos_token_id[0] if config.eos_token_id else 0

    def _is_text(self, token_id: int) -> bool:
        return 0 <= token_id < len(self._vocabulary) and bool(self._vocabulary.token_bytes(token_id))

    def _fit_into_context(self) -> None:
        """A decoder's prompt and text share its context; the text closes within what the prompt leaves."""
        config = self._model.config
        if config.is_encoder_decoder:
            return
        context = getattr(config.get_text_config(), "max_position_embeddings", None)
        length = self._encoded.input_ids.shape[1]
        if not isinstance(context, int) or context <= 0:
            return
        if length >= context:
            raise ValueError(
                f"the prompt has {length} tokens, but the model's context holds {context}, prompt and text together: "
                "shorten the prompt"
            )
        if length + self._max_new_tokens > context:
            self._max_new_tokens = context - length

    def _forced_ends(self) -> tuple[int, int]:
        """How many tokens `generate` forces before the text and after the longest one (BART and its kin)."""
        config, own = self._config, self._model.generation_config
        first, last = (
            getattr(config, name, None) if getattr(config, name, None) is not None else getattr(own, name, None)
            for name in ("forced_bos_token_id", "forced_eos_token_id")
        )
        begun = self._extra.get("decoder_input_ids") if self._model.config.is_encoder_decoder else None
        if begun is None:
            begun = [[0]] if self._model.config.is_encoder_decoder else self._encoded.input_ids
        # transformers forces it where a row has one token, and nowhere else.
        return int(first is not None and len(begun[0]) == 1), int(last is not None)

    def _compiled_for(self, constraint: Any, prompts: int) -> list[Any]:
        if isinstance(constraint, (list, tuple)):
            if len(constraint) != prompts:
                raise ValueError(
                    f"{len(constraint)} constraints for {prompts} prompts: pass one for all, or a list of one each; "
                    "for one of several patterns join them with | in one pattern, or use rellm.Choice"
                )
            return [compiled_over(one, self._vocabulary) for one in constraint]
        return [compiled_over(constraint, self._vocabulary)] * prompts

    def _setting(self, name: str) -> Any:
        value = getattr(self._config, name, None)
        return getattr(self._model.generation_config, name, None) if value is None else value

    @property
    def _is_token_by_token(self) -> bool:
        """Whether `generate` would write one token a row and step, with a cache that grows."""
        plain = ("past_key_values", "cache", "inputs_embeds", "assistant_model", "custom_generate", "synced_gpus",
                 "input_ids")  # fmt: skip
        return (
            writes_token_by_token(self._config, self._model.generation_config)
            and not any(self._extra.get(name) is not None for name in plain)
            and self._setting("stop_strings") is None
            and self._setting("cache_implementation") in (None, "dynamic")
            and self._setting("prefill_chunk_size") is None
            and not self._setting("token_healing")
        )

    @property
    def runs_own_loop(self) -> bool:
        """Whether this call is one row, written token by token: then the loop is ours, and forced text is drafted."""
        return self._encoded.input_ids.shape[0] * self.returns == 1 and self._is_token_by_token

    @property
    def _runs_own_batch(self) -> bool:
        """Whether this call is several such rows, of a model whose positions can be said, and nothing looks at all of
        them at once. Sampling goes this way also without drafts: each row has random numbers of its own there."""
        wanted = self._forced_text != "off" or bool(self._setting("do_sample"))
        return (
            wanted
            and any(one is not None for one in self._compiled)
            and not self._model.config.is_encoder_decoder
            and not self._lead
            and not self._extra
            and self._is_token_by_token
            and self._setting("use_cache") is not False
            and not self._setting("guidance_scale")
            # Rows end where nothing can follow; whether they may is asked only in the plain loop.
            and not self._setting("min_new_tokens")
            and not self._setting("min_length")
            and takes_positions(self._model)
            and prepares_as_usual(self._model)
        )

    # -- running -----------------------------------------------------------------------------------------------

    def run(self) -> list[Completion]:
        random = RandomState(self._encoded.input_ids.device)
        try:
            try:
                rows, start = self._rows()
            except TakePlainLoop as reason:
                self._go_plain(reason)
                random.restore()
                rows, start = self._rows()
        except BaseException:
            streamer = self._extra.get("streamer")
            if streamer is not None:  # whoever reads it would wait for ever
                streamer.end()
            raise
        return [self._completion(row[start:], i // self.returns) for i, row in enumerate(rows)]

    def _rows(self) -> tuple[list[list[int]], int]:
        """The rows that were written, prompts included, and where their texts begin."""
        if self.runs_own_loop and not self._generator._plain_only:
            decoder = self._out_of_dead_ends(lambda: self._prepare(lazily=False))
            return [decoder.input_ids[0].tolist()], decoder.prompt_length + self._lead
        if self._runs_own_batch and not self._generator._plain_only and (batch := self._batch()) is not None:
            return batch, self._encoded.input_ids.shape[1]
        if self.runs_own_loop:
            return self._out_of_dead_ends(self._generate).tolist(), self._text_start()
        return self._generate().tolist(), self._text_start()

    def _go_plain(self, reason: TakePlainLoop) -> None:
        """From now on transformers' own loop writes what this generator is asked for."""
        self._decoder = None
        self._processor.reset()
        if self._prompt_length is not None:
            self._processor.begin(self._prompt_length)
        self._generator._plain_only = True
        if self._extra.get("streamer") is not None:
            self._extra["streamer"].begin_again()
        if self._forced_text != "off":
            warnings.warn(
                f"forced text is written token by token with this {type(self._model).__name__}: {reason}. Texts are "
                f"right, and slower; transformers is {_transformers_version()}",
                stacklevel=4,
            )

    def _out_of_dead_ends(self, write: Callable[[], Any]) -> Any:
        """What `write` returns, which writes a single row to its end.

        The search engine may allow a token after which nothing can match. Where nobody has read the text yet, it is
        written again without that token at that place.
        """
        compiled = self._compiled[0]
        searched = compiled is not None and compiled.engine == "search" and self._extra.get("streamer") is None
        for _ in range(_MOST_RETREATS if searched else 0):
            try:
                return write()
            except DeadEndError:
                if not self._processor.exclude_last():
                    raise
        return write()

    def stop(self) -> None:
        """End the text after the token that is being written."""
        if self._cancelled is not None:
            self._cancelled.is_set = True

    def stream(self) -> Stream[str, None, Completion]:
        pieces = TextPieces(self._stops)
        text: list[int] = []
        for tokens in self._growing():
            new, text = tokens[len(text) :], tokens
            piece = pieces.push(
                self._vocabulary.tokens_bytes([t for t in new if self._is_text(t) and t not in self._eos])
            )
            if piece:
                yield piece
        completion = self._completion(text, 0)
        piece = pieces.rest(completion.bytes)
        if piece:
            yield piece
        return completion

    def _growing(self) -> Iterator[list[int]]:
        """The tokens of the text of a single row, again and again while it grows."""
        random = RandomState(self._encoded.input_ids.device)
        read = 0
        if not self._generator._plain_only:
            try:
                decoder = self._prepare(lazily=True)
                start = decoder.prompt_length + self._lead
                while not decoder.done:
                    decoder.step()
                    text = decoder.input_ids[0].tolist()[start:]
                    read = len(text)
                    yield text
                return
            except TakePlainLoop as reason:
                self._go_plain(reason)
                random.restore()
        for row in PlainSteps(lambda wait: self._generate(_also=wait)):
            text = row[self._text_start() :]
            if len(text) > read:  # before that, the same as was read already
                yield text

    def _text_start(self) -> int:
        return self._decoder_start() if self._prompt_length is None else self._prompt_length + self._lead

    def _decoder_start(self) -> int:
        length = self._processor.prompt_length
        return 1 + self._lead if length is None else length

    def _prepare(self, *, lazily: bool) -> Decoder:
        """The decoder of a single row, as `generate` prepares it; run to its end unless `lazily`."""
        made: list[Decoder] = []
        streamer = self._extra.get("streamer")

        def decode(model: Any, input_ids: Any, logits_processor: Any, stopping_criteria: Any, generation_config: Any,
                   synced_gpus: bool = False, **model_kwargs: Any) -> Any:  # fmt: skip
            model_kwargs.pop("streamer", None)
            self._processor.begin(input_ids.shape[1])
            decoder = Decoder(
                model, input_ids, logits_processor=logits_processor, stopping_criteria=stopping_criteria,
                generation_config=generation_config, model_kwargs=model_kwargs,
                propose=self._proposer(self._compiled[0], input_ids.shape[1] + self._lead), streamer=streamer,
                prefixes=self._generator._prefixes,
            )  # fmt: skip
            made.append(decoder)
            # Inside `generate` what wraps a model (PEFT, autocast) is in place; a stream has to do without.
            while not lazily and not decoder.done:
                decoder.step()
            return decoder.input_ids

        self._generate(custom_generate=decode)
        if not made:  # PEFT and its kin may leave it out
            raise TakePlainLoop("generate did not hand over its loop")
        self._decoder = made[0]
        return made[0]

    def _batch(self) -> list[list[int]] | None:
        """The rows of a batch, each past its forced text in its own jumps; None where the model cannot do that."""
        written: list[list[int]] = []
        # Ours stands among the processors that `generate` prepares, before those of sampling; but each row has its own.
        turn = RowsTurn()

        def decode(model: Any, input_ids: Any, logits_processor: Any, stopping_criteria: Any, generation_config: Any,
                   synced_gpus: bool = False, **model_kwargs: Any) -> Any:  # fmt: skip
            rows = [
                self._batch_row(self._compiled[i // self.returns], input_ids, turn, logits_processor, stopping_criteria)
                for i in range(input_ids.shape[0])
            ]
            decoder = BatchDecoder(model, input_ids, rows, generation_config, model_kwargs)
            written.extend(decoder.run())
            self._decoder = decoder
            return input_ids

        try:
            self._generate(custom_generate=decode, _instead=turn)
        except NotForBatches:
            return None
        return written

    def _batch_row(
        self, compiled: Any, input_ids: Any, turn: RowsTurn, logits_processor: Any, stopping_criteria: Any
    ) -> BatchRow:
        import torch

        processor = self._processor_of([compiled])
        self._row_processors.append(processor)
        processor.begin(input_ids.shape[1])
        end = self._end_of([compiled], processor)
        own = None
        if self._setting("do_sample"):
            own = torch.Generator(device=input_ids.device)
            own.manual_seed(int(torch.randint(2**62, ())))
        return BatchRow(
            ids=[],
            processors=turn.of(processor, logits_processor),
            criteria=lambda ids: bool(stopping_criteria(ids, None).all()) or bool(end(ids).all()),
            propose=self._proposer(compiled, input_ids.shape[1]),
            generator=own,
        )

    def _generate(self, *, _instead: Any = None, _also: Any = None, **more: Any) -> Any:
        from transformers import LogitsProcessorList, StoppingCriteriaList

        extra = dict(self._extra)
        if self._encoded.begins_with_ids:
            extra["input_ids"] = self._encoded.input_ids
            extra.setdefault("attention_mask", self._encoded.attention_mask)
        # The caller's own come first: whatever they do to the scores, only allowed tokens are left after ours.
        processors = LogitsProcessorList([*(extra.pop("logits_processor", None) or []), self._processor])
        criteria = StoppingCriteriaList([*(extra.pop("stopping_criteria", None) or []), self._end])
        if _instead is not None:
            processors, criteria = LogitsProcessorList([_instead]), StoppingCriteriaList()
        for more_criteria in (_also, self._cancelled):
            if more_criteria is not None:
                criteria.append(more_criteria)
        if getattr(self._config, "stop_strings", None) is not None:
            extra.setdefault("tokenizer", self._generator.tokenizer)
        result = self._model.generate(
            generation_config=self._config,
            logits_processor=processors,
            stopping_criteria=criteria,
            **extra,
            **more,
        )
        return getattr(result, "sequences", result)

    def _proposer(self, compiled: Any, start: int) -> Any:
        """What to append or to draft next, from the tokens so far, of which the text begins after `start`."""
        if compiled is None or self._forced_text == "off":
            return lambda written: ([], [])
        row = Row(compiled.matcher(), self._eos)
        forced, unasked = self._generator._forced, self._forced_text == "forced"

        def propose(written: list[int]) -> tuple[list[int], list[int]]:
            for token_id in written[start + len(row.tokens) :]:
                row.push(token_id)
            if row.status != LIVE or len(written) < start:
                return [], []
            tokens = forced.candidates(row.matcher, written)
            if not unasked or not tokens:
                return [], tokens
            certain = self._affordable(row, forced.certain(row.matcher, written))
            return certain, tokens[len(certain) :] if tokens[: len(certain)] == certain else []

        return propose

    def _affordable(self, row: Row, tokens: list[int]) -> list[int]:
        """As many of the certain tokens as still leave a way to a match within the budget."""
        left = self._max_new_tokens - len(row.tokens)
        probe = row.matcher.copy()
        for token_id in tokens:
            probe.advance(token_id)
        while tokens and not probe.matches_within(max(left - len(tokens), 0)):
            probe.rollback(1)
            tokens = tokens[:-1]
        return tokens

    # -- reading -----------------------------------------------------------------------------------------------

    def _completion(self, tokens: list[int], prompt: int) -> Completion:
        """What was written in one row; the tokens tell where it ended, whatever follows (padding, other rows)."""
        compiled = self._compiled[prompt]
        row = None if compiled is None else Row(compiled.matcher(), self._eos)
        written: list[int] = []
        data = b""
        reason: FinishReason | None = None
        cut: int | None = None
        end: list[int] = []
        for token_id in tokens:
            if token_id in self._eos:
                # Where fewer texts exist than are asked for, a beam that transformers has given up comes back.
                reason = "complete" if row is None or row.matcher.is_accepting else "stop"
                end = [token_id]
                break
            if row is not None:
                row.push(token_id)
                if row.status == ABANDONED:
                    break
            elif token_id == self._config.pad_token_id:
                break
            written.append(token_id)
            more = self._vocabulary.token_bytes(token_id) if token_id < len(self._vocabulary) else None
            data += more or b""
            at = find_stop(data, self._stops)
            if at >= 0:
                cut, reason = at, "stop"
                break
            if row is not None and row.matcher.is_finished:
                reason = "complete"
                break
            if row is not None and self._stop_after_match and row.matcher.is_accepting:
                reason = "complete"
                break
        if reason is None:
            reason = "length" if len(written) >= self._max_new_tokens else "stop"
        accepting = reason != "length" if row is None else bool(row.matcher.is_accepting)
        kept = data if cut is None else data[:cut]
        return Completion(
            text=kept.decode("utf-8", "replace"),
            bytes=kept,
            token_ids=tuple(written if cut is None else self._before(written, cut)),
            finish_reason=reason,
            is_complete=accepting,
            constraint=None if compiled is None else compiled.constraint,
            uncut=data.decode("utf-8", "replace"),
            forward_passes=None if self._decoder is None else self._decoder.forward_passes,
            trace=self._traced(prompt, written + end) if self._trace else None,
            pieces=Pieces(data) if row is None else compiled.pieces(row.matcher),
            was_steered=self._was_steered(written)
            or bool(row is not None and getattr(row.matcher, "was_steered", False)),
        )

    def _was_steered(self, written: list[int]) -> bool:
        """Whether the budget took a token away on the way to this text."""
        processors = [self._processor, *self._row_processors]
        return any(processor.was_steered(written) for processor in processors)

    def _traced(self, prompt: int, token_ids: list[int]) -> Any:
        from rellm._trace.trace import trace_completion

        mask = self._encoded.attention_mask[prompt].bool()
        return trace_completion(
            self._model,
            self._encoded.input_ids[prompt][mask].tolist(),
            token_ids,
            self._compiled[prompt],
            vocabulary=self._vocabulary,
            max_new_tokens=self._max_new_tokens,
            eos_token_ids=sorted(self._eos),
            mask_of=self._mask_of,
        )

    def _mask_of(self, matcher: Any, tokens: list[int], width: int) -> Any:
        """The mask that was applied after `tokens`, as a boolean a logit: run limits and other end ids included."""
        row = Row(matcher, self._eos)
        row.tokens, row.accepted = tokens, len(tokens)
        return unpacked(self._processor.fill([row], width, self._lead)[0], width)

    def _before(self, written: list[int], cut: int) -> list[int]:
        length = 0
        for i, token_id in enumerate(written):
            length += len(self._vocabulary.token_bytes(token_id) or b"") if token_id < len(self._vocabulary) else 0
            if length > cut:
                return written[:i]
        return written


def _transformers_version() -> str:
    import transformers

    return str(transformers.__version__)


def _with_generate(model: Any) -> Any:
    """The model, or what it wraps for several devices.

    Raises:
        TypeError: it is none, and what to pass in its place.
    """
    if hasattr(model, "model") and hasattr(model, "tokenizer") and hasattr(model, "preprocess"):
        raise TypeError(
            f"the model is {type(model).__name__}, which has no generate of a model: "
            "a pipeline goes to rellm.Generator.from_pipeline(pipeline)"
        )
    inner = getattr(model, "module", None)  # DataParallel and its kin
    if not hasattr(model, "generate") and hasattr(inner, "generate"):
        model = inner
    if not hasattr(model, "generate"):
        load = repr(model) if isinstance(model, str) else "…"
        raise TypeError(
            f"the model is {type(model).__name__}, which has no generate: pass a transformers model, loaded with "
            f"transformers.AutoModelForCausalLM.from_pretrained({load})"
        )
    if not hasattr(model, "generation_config") or not hasattr(model, "config"):
        raise TypeError(
            f"the model is {type(model).__name__}, which has a generate and no generation_config: pass the "
            "transformers model that it wraps"
        )
    return model


def _own_copy(tokenizer: Any) -> Any:
    """A tokenizer that nobody else pads or truncates with; the tokenizer itself where it cannot be copied."""
    try:
        own = copy.deepcopy(tokenizer)
    except Exception:  # libraries raise what they like
        return tokenizer
    behind = getattr(own, "backend_tokenizer", None)
    for name in ("no_padding", "no_truncation"):
        if hasattr(behind, name):
            getattr(behind, name)()
    return own


def _eos_ids(model: Any, tokenizer: Any) -> list[int] | None:
    """All ids that end a text: a model may name more of them than its tokenizer."""
    ids: set[int] = set()
    with suppress(AttributeError):
        named = model.generation_config.eos_token_id
        ids |= {named} if isinstance(named, int) else set(named or ())
    own = getattr(tokenizer, "eos_token_id", None)
    if not ids and isinstance(own, int):
        ids.add(own)
    return sorted(ids) or None


def _width(model: Any) -> int | None:
    """How many logits the model gives: tokens beyond them cannot be written."""
    with suppress(AttributeError):
        size = model.config.get_text_config().vocab_size
        return int(size) if size else None
    return None
