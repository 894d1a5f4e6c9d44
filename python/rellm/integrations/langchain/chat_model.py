"""`ChatRELLM` for LangChain: a Hugging Face model as a chat model whose answers and tool calls are always valid."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models.base import LangSmithParams
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.runnables.config import run_in_executor
from pydantic import ConfigDict, Field, SecretStr, field_validator, model_validator

from rellm import Constraint, Regex, compile
from rellm._constraints.conversion import as_constraint
from rellm._constraints.tool_calls.call_format import format_named
from rellm._engines.compile import over_single_bytes
from rellm._generate.generator import Generator
from rellm.integrations.langchain.batched_chat_model import BatchedChatModel
from rellm.integrations.langchain.bound_tools import BoundTool, choice_of
from rellm.integrations.langchain.chat_answers import ChatAnswers
from rellm.integrations.langchain.chat_request import ChatRequest, chat_request
from rellm.integrations.langchain.loadable_model import LoadableModel
from rellm.integrations.langchain.message_reader import TokensInText
from rellm.integrations.langchain.model_source import (
    constraint_from_data,
    constraint_key,
    load_pipeline,
    name_of,
    pipeline_of,
    settings_of,
)
from rellm.integrations.langchain.structured_output import structured_chat_model


class ChatRELLM(LoadableModel, BatchedChatModel):
    """A chat model whose answers match a constraint, and whose tool calls are always valid.

    Attributes:
        pipeline: a transformers pipeline, or langchain-huggingface's `HuggingFacePipeline`.
        llm: the same, under the name that `ChatHuggingFace` uses.
        model, tokenizer: a model and its tokenizer, in place of a pipeline.
        model_id: a model's folder or name, for `from_pretrained`, in place of both; the model is loaded when it is
            first needed. Only a model with an id can be serialised.
        model_kwargs: for `from_pretrained`, with `model_id`.
        pipeline_kwargs: further arguments for generation, such as `num_beams`.
        regex: a pattern that every answer matches.
        constraint: any other constraint of every answer, in place of `regex`.
        instructions: "auto": the prompt describes the constraint, and tools that the template does not declare; False:
            it does not; a text: the prompt contains this text.
        reasoning: "auto": the model thinks if its template has thinking; False: it does not; a number: it thinks,
            within this number of tokens.
        tool_format: the format of tool calls, by name; by default that of the chat template.
        token_healing: an answer that continues a message may rewrite its last tokens as longer ones.
        tokenisation: "canonical": only tokens that the tokenizer itself would write, if the constraint allows one.
        max_tokens: the most tokens of an answer.
        temperature: 0 decodes greedily, higher values sample; None: the setting of the pipeline or the model.
        top_p, top_k: limits on the tokens that sampling chooses from.
        n: the number of answers for each prompt.
        seed: the seed of sampling.
        stop: strings at which an answer is cut.
        presence_penalty, frequency_penalty: subtracted from the scores of tokens that were written before.
        logit_bias: numbers to add to the scores of tokens, by id.
        logprobs, top_logprobs: report the model's own log-probabilities in `response_metadata["logprobs"]`.
        trace: record what the constraint did to each token in `response_metadata["trace"]`.
        timeout: the number of seconds after which no further token is written.
        streaming: whether to stream where LangChain leaves the choice.
        stream_usage: whether the last chunk of a stream reports usage.
        batch_size: the most prompts of a batch in one padded forward pass.
        max_retries, api_key: accepted for compatibility, without effect.

    A constraint that cannot be served raises when the object is made. An answer that could not be completed within
    `max_tokens` raises `IncompleteError`; one that a stop string cut is marked in
    `response_metadata["is_complete"]`.
    """

    pipeline: Any = Field(default=None, exclude=True, repr=False)
    llm: Any = Field(default=None, exclude=True, repr=False)
    model: Any = Field(default=None, exclude=True, repr=False)
    tokenizer: Any = Field(default=None, exclude=True, repr=False)
    regex: Any = None
    constraint: Any = None
    instructions: str | Literal[False] = "auto"
    reasoning: Literal["auto", False] | int = "auto"
    tool_format: str | None = None
    token_healing: bool = False
    tokenisation: Literal["any", "canonical"] = "any"
    max_tokens: int = Field(default=512, ge=1, alias="max_new_tokens")
    temperature: float | None = Field(default=None, ge=0)
    top_p: float | None = None
    top_k: int | None = None
    n: int | None = Field(default=None, ge=1)
    seed: int | None = None
    stop: list[str] | None = Field(default=None, alias="stop_sequences")
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: dict[int, float] | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = Field(default=None, ge=0)
    trace: bool = False
    timeout: float | None = None
    stream_usage: bool = True
    max_retries: int | None = Field(default=None, exclude=True)
    api_key: SecretStr | None = Field(default=None, exclude=True)

    model_config = ConfigDict(
        extra="forbid", arbitrary_types_allowed=True, populate_by_name=True, protected_namespaces=()
    )

    made_when_asked: ClassVar[tuple[str, ...]] = ("_generator", "_ahead")

    @field_validator("constraint", mode="before")
    @classmethod
    def _read_constraint(cls, value: Any) -> Any:
        if isinstance(value, Mapping) and ("rellm" in value or value.get("kind")):
            return constraint_from_data(value)
        return None if value is None else as_constraint(value)

    @field_validator("pipeline", "llm", mode="before")
    @classmethod
    def _read_pipeline(cls, value: Any) -> Any:
        return None if value is None else pipeline_of(value)

    @field_validator("stop", mode="before")
    @classmethod
    def _read_stop(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.regex is not None and self.constraint is not None:
            raise ValueError("regex and constraint are both given: pass one of them")
        if self.llm is not None and self.pipeline is None:
            self.pipeline, self.llm = self.llm, None
        if self.pipeline is None and self.model_id is None and self.model is None:
            raise ValueError(
                "ChatRELLM needs a model: pass pipeline=transformers.pipeline(…), model= and tokenizer=, or model_id=…"
            )
        if (self.model is None) != (self.tokenizer is None):
            raise ValueError("a model needs its tokenizer, and a tokenizer its model: pass model= and tokenizer=")
        if self.tool_format is not None:
            format_named(self.tool_format)
        return self

    def _try_constraint(self) -> None:
        if self.in_force is None:
            return
        if self.pipeline is None and self.model is None:
            over_single_bytes(self.in_force)
        else:
            compile(self.in_force, self._get_generator().vocabulary)

    @property
    def in_force(self) -> Constraint | None:
        """The constraint that every answer obeys, if there is one."""
        found: Constraint | None = Regex(self.regex) if self.regex is not None else self.constraint
        return found

    # -- the identity of the model for LangChain ----------------------------------------------------------------

    @property
    def _llm_type(self) -> str:
        return "rellm-chat"

    @property
    def model_name(self) -> str:
        """The model's name."""
        return self.model_id or name_of(self.model if self.pipeline is None else self.pipeline.model)

    @property
    def _identifying_params(self) -> Mapping[str, Any]:
        """All settings that affect an answer; LangChain's caches take their keys from them."""
        given = self.model_dump(exclude={"constraint", "regex", "model_id", "callbacks", "cache", "profile"})
        brought = None
        if not self._was_loaded and (self.pipeline is not None or self.model is not None):
            brought = settings_of(self.pipeline) if self.pipeline is not None else _diff(self.model)
        return {
            **given,
            "model_id": self.model_name,
            "generation_config": brought,
            "constraint": None if self.in_force is None else constraint_key(self.in_force),
        }

    def _get_llm_string(self, stop: list[str] | None = None, **kwargs: Any) -> str:
        return json.dumps([self._identifying_params, stop, kwargs], default=repr, sort_keys=True)

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        found = super()._get_ls_params(stop=stop, **kwargs)
        found["ls_provider"] = "rellm"
        if not isinstance(kwargs.get("model"), str):
            found["ls_model_name"] = self.model_name
        return found

    def _resolve_model_profile(self) -> Any:
        profile: dict[str, Any] = {
            "text_inputs": True, "text_outputs": True, "image_inputs": False, "audio_inputs": False,
            "tool_calling": True, "tool_choice": True, "structured_output": True,
        }  # fmt: skip
        held = self.model if self.model is not None else getattr(self.pipeline or self.llm, "model", None)
        with contextlib.suppress(AttributeError):
            config = held.config.get_text_config()  # type: ignore[union-attr]
            if isinstance(config.max_position_embeddings, int):
                profile["max_input_tokens"] = config.max_position_embeddings
        return profile

    def get_token_ids(self, text: str) -> list[int]:
        """The ids of `text` in the model's own tokenizer."""
        return [int(token) for token in self._get_generator()._own_tokenizer(text)["input_ids"]]

    # -- tools and schemas --------------------------------------------------------------------------------------

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | Any],
        *,
        tool_choice: Any = None,
        parallel_tool_calls: bool | None = None,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[Any, AIMessage]:
        """A copy of this model with tools that it may call.

        Args:
            tools: LangChain's tools, functions, pydantic models, TypedDicts, or schemas.
            tool_choice: "auto" (the default): text or a call; "any", "required" or True: a call; "none": text; a name,
                or LangChain's dict of one: a call of this tool.
            parallel_tool_calls: whether one message may hold several calls; by default it may not.
            strict: True: optional arguments are written too.
            kwargs: further arguments of the model, bound to it.
        """
        choice_of(tool_choice)
        bound = [BoundTool.of(tool, strict) for tool in tools]
        given = {"tool_choice": tool_choice, "parallel_tool_calls": parallel_tool_calls, "strict": strict}
        return self.bind(tools=bound, **{name: value for name, value in given.items() if value is not None}, **kwargs)

    def with_structured_output(
        self, schema: Any = None, *, include_raw: bool = False, method: str = "json_schema",
        strict: bool | None = None, **kwargs: Any,
    ) -> Runnable[Any, Any]:  # fmt: skip
        """This model with answers that are always instances of a schema.

        Args:
            schema: a pydantic model, TypedDict, dataclass, a JSON Schema as a dict, or any constraint.
            include_raw: answer with a dict of "raw" (the message), "parsed" and "parsing_error".
            method: "json_schema", "function_calling" and "json_mode" all mean the same constraint.
            strict: True: optional keys are written too.
            kwargs: further arguments of the model, bound to it; with `tools`, the model calls one of them or answers.
        """
        return structured_chat_model(self, schema, include_raw=include_raw, method=method, strict=strict, kwargs=kwargs)

    # -- writing ------------------------------------------------------------------------------------------------

    def _get_generator(self) -> Generator:
        with self._lock:
            if self._generator is None:
                if self.pipeline is None and self.model is None:
                    self.pipeline = load_pipeline(self.model_name, "text-generation", self.model_kwargs)
                    self._was_loaded = True
                if self.pipeline is not None:
                    self._generator = Generator.from_pipeline(self.pipeline)
                else:
                    self._generator = Generator(self.model, self.tokenizer)
            return self._generator

    def _load(self) -> None:
        self._get_generator()

    def _request(self, messages: Sequence[BaseMessage], stop: Sequence[str] | None, given: Any) -> ChatRequest:
        return chat_request(self, self._get_generator().tokenizer, messages, stop, given)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        if self._ahead is not None and (found := self._ahead.answer(messages, stop, kwargs)) is not None:
            return found
        request = self._request(messages, stop, kwargs)
        with _seeded(request.settings["seed"]):
            completions = self._get_generator()(request.prompt, request.constraint, **request.arguments)
        return self._result(request, completions)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        if self._ahead is not None:
            found = await run_in_executor(None, self._ahead.answer, messages, stop, kwargs)
            if found is not None:
                return found
        request = await run_in_executor(None, self._request, messages, stop, kwargs)
        with _seeded(request.settings["seed"]):
            completions = await self._get_generator().agenerate(request.prompt, request.constraint, **request.arguments)
        return await run_in_executor(None, self._result, request, completions)

    def _many(self, rows: Sequence[tuple[list[BaseMessage], Any, Mapping[str, Any]]]) -> list[ChatResult]:
        """The results of several calls with the same arguments, in one padded batch."""
        requests = [self._request(messages, stop, kwargs) for messages, stop, kwargs in rows]
        first = requests[0]
        with _seeded(first.settings["seed"]):
            completions = self._get_generator()(
                [request.prompt for request in requests], [request.constraint for request in requests],
                **first.arguments,
            )  # fmt: skip
        return [self._result(request, found) for request, found in zip(requests, completions, strict=True)]

    def _result(self, request: ChatRequest, completions: Any) -> ChatResult:
        return ChatAnswers(request, self._get_generator(), self.model_name).result(completions)

    # -- streaming ----------------------------------------------------------------------------------------------

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        for chunk in self._chunks(messages, stop, kwargs, []):
            if run_manager is not None:
                run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        stoppers: list[Callable[[], None]] = []
        chunks = self._chunks(messages, stop, kwargs, stoppers)
        step: asyncio.Future[ChatGenerationChunk | None] | None = None
        try:
            while True:
                step = asyncio.ensure_future(run_in_executor(None, next, chunks, None))
                chunk = await asyncio.shield(step)
                if chunk is None:
                    return
                if run_manager is not None:
                    await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                yield chunk
        finally:
            for stopper in stoppers:
                stopper()
            # The reader may stop in the middle of a step; a generator can be closed only between its steps.
            if step is None or step.done():
                chunks.close()  # type: ignore[attr-defined]
            else:
                step.add_done_callback(lambda done: (done.cancelled() or done.exception(), chunks.close()))  # type: ignore[attr-defined]

    def _chunks(
        self,
        messages: list[BaseMessage],
        stop: Sequence[str] | None,
        given: Mapping[str, Any],
        stoppers: list[Callable[[], None]],
    ) -> Iterator[ChatGenerationChunk]:
        """The chunks of one message while it is written; adds the function that stops it to `stoppers`."""
        shows_usage = given.get("stream_usage", self.stream_usage)
        request = self._request(messages, stop, given)
        generator = self._get_generator()
        tokens = TokensInText(generator.vocabulary, generator.vocabulary.eos_token_ids)
        arguments = {name: value for name, value in request.arguments.items() if name != "num_return_sequences"}
        with _seeded(request.settings["seed"]):
            stream = generator.stream(request.prompt, request.constraint, **arguments, streamer=tokens)
        stoppers.append(stream.stop)
        answers = ChatAnswers(request, generator, self.model_name)
        yield from answers.chunks(stream, tokens, shows_usage=shows_usage)


@contextlib.contextmanager
def _seeded(seed: int | None) -> Iterator[None]:
    """Seeds torch's random numbers inside the block, and restores their state after it."""
    if seed is None:
        yield
        return
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def _diff(model: Any) -> dict[str, Any]:
    found: dict[str, Any] = model.generation_config.to_diff_dict()
    found.pop("transformers_version", None)
    return found
