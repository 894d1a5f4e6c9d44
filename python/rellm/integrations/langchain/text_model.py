"""`RELLM` for LangChain: a Hugging Face model that writes only what matches, as a LangChain language model.

The class of this name in ReLLM 0.0.5 overrode `_call`, which LangChain has not called since the base class got its own
`_generate`: every method but a direct call was unconstrained. So all methods here (`invoke`, `generate`, `batch`,
`stream` and their async variants) use `rellm.Generator`.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, cast

import regex as _regex
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models.llms import BaseLLM
from langchain_core.outputs import Generation, GenerationChunk, LLMResult
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.config import ensure_config, get_config_list, run_in_executor
from pydantic import ConfigDict, Field, field_validator, model_validator

from rellm import Constraint, IncompleteError, Regex, compile
from rellm._engines.compile import over_single_bytes
from rellm._generate.generator import Generator
from rellm.integrations.langchain.loadable_model import LoadableModel
from rellm.integrations.langchain.model_source import (
    constraint_from_data,
    constraint_key,
    load_pipeline,
    name_of,
    pipeline_of,
    settings_of,
)
from rellm.integrations.langchain.structured_output import structured_text_model

__all__ = ["RELLM"]


class RELLM(LoadableModel, BaseLLM):
    """A language model whose every answer matches a regular expression or another constraint.

    Attributes:
        pipeline: a transformers pipeline, as `transformers.pipeline("text-generation", …)` makes it, or
            langchain-huggingface's `HuggingFacePipeline`; or None, with `model_id`: the model is then loaded when it is
            first needed.
        model_id: a model's folder or name, for `from_pretrained`. Only a model with an id can be serialised.
        model_kwargs: for `from_pretrained`, with `model_id`.
        pipeline_kwargs: arguments for generation, such as `do_sample`, `temperature`, `top_p`, `num_return_sequences`.
        regex: the pattern, as text or compiled by `re` or `regex`; text is read as `re` reads it.
        constraint: any other constraint, in place of `regex`.
        max_new_tokens: the most tokens of an answer; it overrides the one in `pipeline_kwargs` or in the pipeline.
        batch_size: the most prompts in one padded forward pass.
        trace: record what the constraint did to each token, as `generation_info["trace"]`.

    A constraint that cannot be served raises when the object is made (`PatternError`, `UnsatisfiableError`, …): it is
    compiled for the model's own tokens if they are known, or checked without a vocabulary if the model is loaded later.

    An answer that could not be completed raises: `BudgetError` before anything is written, if no match fits into
    `max_new_tokens`, and `IncompleteError` with the text so far otherwise. A stop string that cuts an answer before it
    matches is marked in what `generate` returns (`generation_info["is_complete"]`), and raises `IncompleteError` in the
    forms that return plain text.
    """

    regex: Any = None
    constraint: Any = None
    max_new_tokens: int = Field(default=200, ge=1)
    batch_size: int = Field(default=4, ge=1)
    trace: bool = False

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    @field_validator("constraint", mode="before")
    @classmethod
    def _read_constraint(cls, value: Any) -> Any:
        return constraint_from_data(value) if isinstance(value, Mapping) else value

    @field_validator("pipeline", mode="before")
    @classmethod
    def _read_pipeline(cls, value: Any) -> Any:
        return None if value is None else pipeline_of(value)

    @model_validator(mode="after")
    def _check(self) -> RELLM:
        if (self.regex is None) == (self.constraint is None):
            raise ValueError("give RELLM a regex or a constraint, one of the two")
        if self.regex is not None and not isinstance(self.regex, (str, re.Pattern, _regex.Pattern)):
            raise ValueError(
                f"regex is {type(self.regex).__name__}: pass a str or a pattern compiled by re or regex, "
                "and any other constraint as constraint="
            )
        if self.constraint is not None and not isinstance(self.constraint, Constraint):
            raise ValueError(
                f"constraint is {type(self.constraint).__name__}: pass rellm.Regex, rellm.Choice or another "
                "rellm.Constraint"
            )
        if self.pipeline is None and self.model_id is None:
            raise ValueError("RELLM needs a model: pass pipeline=transformers.pipeline(…) or model_id=…")
        return self

    def _try_constraint(self) -> None:
        if self.pipeline is None:
            over_single_bytes(self.in_force)  # the checks that need no tokenizer
        else:
            compile(self.in_force, self._get_generator().vocabulary)

    @property
    def in_force(self) -> Constraint:
        """The constraint that every answer obeys."""
        return Regex(self.regex) if self.regex is not None else cast(Constraint, self.constraint)

    # The identity of the model for LangChain: names, cache keys, serialisation.

    @property
    def _llm_type(self) -> str:
        return "rellm"

    @property
    def _identifying_params(self) -> Mapping[str, Any]:
        """All settings that affect an answer; LangChain's caches take their keys from them."""
        return {
            "model_id": self._model_name,
            "model_kwargs": self.model_kwargs,
            "pipeline_kwargs": self.pipeline_kwargs,
            # A pipeline may have settings of its own; those of a model loaded by name are determined by the name.
            "generation_config": None if self.pipeline is None or self._was_loaded else settings_of(self.pipeline),
            "constraint": constraint_key(self.in_force),
            "max_new_tokens": self.max_new_tokens,
        }

    @property
    def _model_name(self) -> str:
        return self.model_id or name_of(self.pipeline.model)

    def get_token_ids(self, text: str) -> list[int]:
        """The ids of `text` in the model's own tokenizer."""
        return [int(token_id) for token_id in self._get_generator()._own_tokenizer(text)["input_ids"]]

    # Writing.

    def _get_generator(self) -> Generator:
        with self._lock:
            if self._generator is None:
                if self.pipeline is None:
                    self.pipeline = load_pipeline(self._model_name, "text-generation", self.model_kwargs)
                    self._was_loaded = True
                self._generator = Generator.from_pipeline(self.pipeline)
            return self._generator

    def _arguments(self, stop: list[str] | None, kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The generator's arguments: the object's, then those of the call; only a call may change `max_new_tokens`."""
        of_call = dict(kwargs)
        merged = {**(self.pipeline_kwargs or {}), **(of_call.pop("pipeline_kwargs", None) or {})}
        for name in ("max_new_tokens", "return_full_text", "batch_size"):  # the last two are the pipeline's own
            merged.pop(name, None)
        more = {"trace": True} if self.trace else {}
        return {"max_new_tokens": self.max_new_tokens, **merged, **of_call, **more, "stop": _listed(stop)}

    def generate(
        self, prompts: list[str], stop: list[str] | None = None, callbacks: Any = None, **kwargs: Any
    ) -> LLMResult:
        """One or more answers for each prompt, with their metadata. All other methods except streams call this one."""
        options = _taken_out(kwargs, _RUN_OPTIONS)
        return BaseLLM.generate(self._with(kwargs), prompts, stop, callbacks, **options)

    async def agenerate(
        self, prompts: list[str], stop: list[str] | None = None, callbacks: Any = None, **kwargs: Any
    ) -> LLMResult:
        """`generate`, without blocking the event loop."""
        options = _taken_out(kwargs, _RUN_OPTIONS)
        return await BaseLLM.agenerate(self._with(kwargs), prompts, stop, callbacks, **options)

    def _with(self, arguments: dict[str, Any]) -> RELLM:
        """A copy with the arguments of one call as its own: LangChain's caches key by model, not by call."""
        if not arguments:
            return self
        self._get_generator()  # shared with the copy
        given = dict(arguments)
        changed: dict[str, Any] = {}
        if given.get("regex") is not None or given.get("constraint") is not None:
            changed = {"regex": given.pop("regex", None), "constraint": given.pop("constraint", None)}
        changed |= {name: given.pop(name) for name in ("trace",) if name in given}
        for name in ("regex", "constraint", "ls_structured_output_format", "structured_output_format"):
            given.pop(name, None)
        budget = given.pop("max_new_tokens", None)
        if budget is None:  # 0 is a mistake, which the generator reports
            budget = self.max_new_tokens
        of_call = given.pop("pipeline_kwargs", None) or {}
        merged = {**(self.pipeline_kwargs or {}), **of_call, **given}
        other = self.model_copy(update={"max_new_tokens": budget, "pipeline_kwargs": merged, **changed})
        if changed.keys() & {"regex", "constraint"}:
            other._check()  # type: ignore[operator]
            other._try_constraint()
        return other

    def _generate(
        self,
        prompts: list[str],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> LLMResult:
        generator = self._get_generator()
        arguments = self._arguments(stop, kwargs)
        rows: list[list[Generation]] = []
        read = written = 0
        for start in range(0, len(prompts), self.batch_size):
            some = prompts[start : start + self.batch_size]
            for prompt, answer in zip(some, generator(some, self.in_force, **arguments), strict=True):
                completions = answer if isinstance(answer, list) else [answer]
                for completion in completions:
                    _refuse_incomplete(completion, unless_stopped=True)
                length = len(self.get_token_ids(prompt))
                rows.append([Generation(text=c.text, generation_info=_info(c, length)) for c in completions])
                read += length
                written += sum(len(c.token_ids) for c in completions)
        usage = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
        return LLMResult(generations=rows, llm_output={"token_usage": usage, "model_name": self._model_name})

    def _stream(
        self,
        prompt: str,
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[GenerationChunk]:
        of_call: dict[str, Any] = _taken_out(kwargs, ("regex", "constraint", "trace"))
        model = self._with(of_call) if of_call else self
        kwargs.pop("ls_structured_output_format", None)
        pieces = model._get_generator().stream(prompt, model.in_force, **model._arguments(stop, kwargs))
        while True:
            try:
                piece = next(pieces)
            except StopIteration as end:
                completion = end.value
                break
            chunk = GenerationChunk(text=piece)
            if run_manager is not None:
                run_manager.on_llm_new_token(piece, chunk=chunk)
            yield chunk
        # The last chunk adds no text: its metadata say how the text ended.
        yield GenerationChunk(text="", generation_info=_info(completion, len(self.get_token_ids(prompt))))
        _refuse_incomplete(completion)

    async def _astream(
        self,
        prompt: str,
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[GenerationChunk]:
        # Each piece is written on a thread, and reported in the event loop of the callbacks.
        chunks = self._stream(prompt, stop, None, **kwargs)
        step: asyncio.Future[GenerationChunk | None] | None = None
        try:
            while True:
                step = asyncio.ensure_future(run_in_executor(None, next, chunks, None))
                chunk = await asyncio.shield(step)
                if chunk is None:
                    return
                if run_manager is not None and chunk.text:
                    await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                yield chunk
        finally:
            # The reader may stop in the middle of a step; a generator can be closed only between its steps.
            if step is None or step.done():
                chunks.close()  # type: ignore[attr-defined]
            else:
                step.add_done_callback(lambda done: (done.cancelled() or done.exception(), chunks.close()))  # type: ignore[attr-defined]

    def with_structured_output(self, schema: Any, *, include_raw: bool = False, **kwargs: Any) -> Runnable[Any, Any]:
        """This model with a schema in place of its constraint; its answers are instances of the schema.

        Args:
            schema: a pydantic model, TypedDict, dataclass, a JSON Schema as a dict, or any constraint.
            include_raw: answer with a dict of "raw" (the text), "parsed" and "parsing_error".
            kwargs: arguments of generation, bound to the model.
        """
        return structured_text_model(self, schema, include_raw=include_raw, kwargs=kwargs)

    # The methods that return plain text. They have no place for a mark, so a text that a stop string cut off raises.

    def predict(self, text: str, *, stop: Sequence[str] | None = None, **kwargs: Any) -> str:
        """One answer, under the name that LangChain had for it before 1.0."""
        return self.invoke(text, stop=_listed(stop), **kwargs)

    def __call__(self, prompt: str, stop: Sequence[str] | None = None, **kwargs: Any) -> str:
        """One answer, as `predict`."""
        return self.predict(prompt, stop=stop, **kwargs)

    # The synchronous methods and their async variants share all code but the call that is awaited.

    def invoke(
        self, input: Any, config: RunnableConfig | None = None, *, stop: list[str] | None = None, **kwargs: Any
    ) -> str:
        options = _options_of_one(config, kwargs)
        return _text_of_one(self.generate_prompt([self._convert_input(input)], stop=stop, **options))

    async def ainvoke(
        self, input: Any, config: RunnableConfig | None = None, *, stop: list[str] | None = None, **kwargs: Any
    ) -> str:
        options = _options_of_one(config, kwargs)
        return _text_of_one(await self.agenerate_prompt([self._convert_input(input)], stop=stop, **options))

    def batch(
        self,
        inputs: list[Any],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[str]:
        parts = _Parts(inputs, config, return_exceptions)
        for part in parts:
            try:
                prompts = [self._convert_input(one) for one in part.inputs]
                parts.answered(self.generate_prompt(prompts, **part.options, **kwargs))
            except Exception as error:
                parts.failed(part, error)
        return parts.texts

    async def abatch(
        self,
        inputs: list[Any],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[str]:
        parts = _Parts(inputs, config, return_exceptions)
        for part in parts:
            try:
                prompts = [self._convert_input(one) for one in part.inputs]
                parts.answered(await self.agenerate_prompt(prompts, **part.options, **kwargs))
            except Exception as error:
                parts.failed(part, error)
        return parts.texts


class _Part:
    """Inputs that go through the model together, and their configurations."""

    def __init__(self, inputs: list[Any], configs: list[RunnableConfig]) -> None:
        self.inputs = inputs
        self.configs = configs

    @property
    def options(self) -> dict[str, Any]:
        """The options for `generate_prompt`, one value per input."""
        return {name: [config.get(name) for config in self.configs] for name in _OF_CONFIG}


class _Parts:
    """A batch in parts of at most `max_concurrency` inputs, and the texts written so far."""

    def __init__(
        self, inputs: list[Any], config: RunnableConfig | list[RunnableConfig] | None, return_exceptions: bool
    ) -> None:
        self.texts: list[Any] = []
        self._return_exceptions = return_exceptions
        self._waiting: deque[_Part] = deque()
        if inputs:
            configs = get_config_list(config, len(inputs))
            size = configs[0].get("max_concurrency") or len(inputs)
            for start in range(0, len(inputs), size):
                self._waiting.append(_Part(inputs[start : start + size], configs[start : start + size]))

    def __iter__(self) -> Iterator[_Part]:
        while self._waiting:
            yield self._waiting.popleft()

    def answered(self, result: LLMResult) -> None:
        self.texts += [_text(row, return_exceptions=self._return_exceptions) for row in result.generations]

    def failed(self, part: _Part, error: Exception) -> None:
        """Handles a failed part: if exceptions are returned, each row is tried again alone."""
        if not self._return_exceptions:
            raise error
        if len(part.inputs) == 1:
            self.texts.append(error)
            return
        rows = [_Part([one], [its]) for one, its in zip(part.inputs, part.configs, strict=True)]
        self._waiting.extendleft(reversed(rows))


_OF_CONFIG = ("callbacks", "tags", "metadata", "run_name")
_RUN_OPTIONS = ("tags", "metadata", "run_name", "run_id")


def _listed(stop: str | Sequence[str] | None) -> list[str] | None:
    """Stop strings as a list; a single one is not a list of its characters."""
    if not stop:
        return None
    return [stop] if isinstance(stop, str) else list(stop)


def _taken_out(arguments: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: arguments.pop(name) for name in names if name in arguments}


def _options_of_one(config: RunnableConfig | None, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The options for `generate_prompt` from a runnable's configuration, and the arguments of the call."""
    config = ensure_config(config)
    return {**{name: config.get(name) for name in _OF_CONFIG}, "run_id": config.get("run_id"), **kwargs}


def _text_of_one(result: LLMResult) -> str:
    text: str = _text(result.generations[0])
    return text


def _text(row: Sequence[Any], return_exceptions: bool = False) -> Any:
    """The text of a row of an `LLMResult`; an `IncompleteError` if the row is marked incomplete."""
    generation = row[0]
    if (generation.generation_info or {}).get("is_complete", True):
        return generation.text
    error = IncompleteError(
        f"the answer was cut off at a stop string before it matched: {generation.text!r}; "
        "generate() returns it, marked in generation_info",
        text=generation.text,
    )
    if return_exceptions:
        return error
    raise error


def _refuse_incomplete(completion: Any, unless_stopped: bool = False) -> None:
    if completion.is_complete or (unless_stopped and completion.finish_reason == "stop"):
        return
    how = "a stop string" if completion.finish_reason == "stop" else "max_new_tokens"
    raise IncompleteError(
        f"the answer was cut off by {how} before it matched: {completion.text!r}", text=completion.text
    )


def _info(completion: Any, prompt_tokens: int) -> dict[str, Any]:
    written = len(completion.token_ids)
    return {
        "finish_reason": completion.finish_reason,
        "is_complete": completion.is_complete,
        **({"trace": completion.trace} if completion.trace is not None else {}),
        "usage_metadata": {
            "input_tokens": prompt_tokens,
            "output_tokens": written,
            "total_tokens": prompt_tokens + written,
        },
    }
