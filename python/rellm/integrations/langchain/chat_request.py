"""Resolves a call of the chat model to a call of `rellm.Generator`: prompt, constraint and arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from langchain_core.messages import BaseMessage

from rellm import Constraint, Regex, describe
from rellm._constraints.conversion import as_constraint
from rellm._constraints.json_schema import JsonSchema
from rellm._constraints.tool_calls.calls import ToolCalls
from rellm._constraints.tool_calls.template_probe import TemplateTools, template_tools
from rellm._errors import UnsupportedError
from rellm._generate.chat_turn import chat_messages, chat_turn, with_system_text
from rellm._generate.prompts import PromptOptions, chat_text
from rellm._warn import warn
from rellm.integrations.langchain.bound_tools import choice_of, tools_of_call
from rellm.integrations.langchain.chat_messages import counted_calls, template_messages

if TYPE_CHECKING:
    from rellm.integrations.langchain.chat_model import ChatRELLM

# Arguments of LangChain that do not affect the text.
_FOR_TRACES: Final = ("ls_structured_output_format", "structured_output_format", "stream_usage", "stream", "user")
# Fields of the model that an argument of a call replaces, by the names of the argument.
_REPLACED: Final = {
    "max_tokens": "max_tokens", "max_new_tokens": "max_tokens", "max_completion_tokens": "max_tokens",
    "temperature": "temperature", "top_p": "top_p", "top_k": "top_k", "seed": "seed", "n": "n",
    "presence_penalty": "presence_penalty", "frequency_penalty": "frequency_penalty", "logit_bias": "logit_bias",
    "logprobs": "logprobs", "top_logprobs": "top_logprobs", "trace": "trace", "timeout": "timeout",
    "token_healing": "token_healing", "tokenisation": "tokenisation", "reasoning": "reasoning",
    "instructions": "instructions", "tool_format": "tool_format",
}  # fmt: skip
_GENERATION: Final = {"top_p": "top_p", "top_k": "top_k", "n": "num_return_sequences", "timeout": "max_time"}


@dataclass(frozen=True)
class ChatRequest:
    """One call, resolved.

    Attributes:
        prompt: the messages as the template takes them.
        constraint: the constraint of the whole text, with thinking and calls; None for no constraint.
        arguments: for `Generator`, without the prompt and the constraint.
        options: how the prompt is rendered.
        settings: fields of the model, as the call has them.
        is_constrained: whether the caller has asked for a constraint or tools.
    """

    prompt: list[dict[str, Any]]
    constraint: Constraint | None
    arguments: dict[str, Any]
    options: PromptOptions = field(compare=False)
    settings: dict[str, Any]
    is_constrained: bool

    @property
    def calls(self) -> ToolCalls | None:
        """The calls that the message may hold."""
        answer = getattr(self.constraint, "answer", None) if self.constraint is not None else None
        for one in (self.constraint, answer):
            if isinstance(one, ToolCalls):
                return one
        return None

    def prompt_ids(self, tokenizer: Any) -> list[int]:
        """The tokens of the prompt."""
        text = chat_text(self.prompt, tokenizer, self.options)
        inner = tokenizer if hasattr(tokenizer, "convert_ids_to_tokens") else getattr(tokenizer, "tokenizer", tokenizer)
        return [int(token) for token in inner(text, add_special_tokens=False)["input_ids"]]


def chat_request(
    model: ChatRELLM,
    tokenizer: Any,
    messages: Sequence[BaseMessage],
    stop: Sequence[str] | None,
    given: Mapping[str, Any],
) -> ChatRequest:
    """Resolves a call of the model.

    Args:
        model: the model, whose fields are the defaults.
        tokenizer: the object with the chat template.
        messages: the chat.
        stop: strings at which the text is cut.
        given: the arguments of the call.

    Raises:
        UnsupportedError: the template has an unknown format of tool calls.
        ValueError, TypeError: an argument or a message is wrong.
    """
    rest = {name: value for name, value in given.items() if name not in _FOR_TRACES}
    settings = {name: getattr(model, name) for name in dict.fromkeys(_REPLACED.values())}
    for name, target in _REPLACED.items():
        if rest.get(name) is not None or (name in rest and target in ("reasoning", "instructions")):
            settings[target] = rest.pop(name)
        rest.pop(name, None)
    answer = _answer(model, rest)
    tools = rest.pop("tools", None) or ()
    strict, choice = rest.pop("strict", None), choice_of(rest.pop("tool_choice", None))
    parallel = bool(rest.pop("parallel_tool_calls", None) or False)
    named = settings["tool_format"]
    calls = None
    if tools:
        calls = ToolCalls(tools_of_call(tools, strict), choice, named, parallel, answer=answer)
    elif choice not in ("auto", "none"):
        raise ValueError(f"tool_choice={choice!r} asks for a call, and no tools are bound: use bind_tools(tools)")
    found = _template(tokenizer, calls, messages, named)
    if calls is not None and found is not None:
        counted = counted_calls(messages) if "@index" in found.layout.call and found.layout.name == "command" else 0
        calls = calls.in_format(replace(found.layout, first_index=counted))
    prompt = template_messages(messages, "" if found is None else found.layout.id)
    instructions = settings["instructions"]
    arguments: dict[str, Any] = {**(model.pipeline_kwargs or {}), **rest}
    if found is not None:
        told = calls if instructions == "auto" else None
        prompt = chat_messages(prompt, found, told)
        if calls is not None:
            # Set even if empty, so that `chat_turn` does not add the tools of the constraint again.
            arguments["tools"] = [tool.to_openai() for tool in calls.tools] if found.takes_tools else []
    text = _instructions(instructions, answer)
    if text:
        takes_system = found.takes_system if found is not None else _takes_system(tokenizer)
        prompt = with_system_text(prompt, text, takes_system=takes_system)
    arguments |= _generation(settings, model)
    constraint: Any = calls if calls is not None else answer
    is_constrained = constraint is not None
    made = [*(model.stop or ()), *(stop or ())]
    arguments["stop"] = made or None
    arguments |= {name: settings[name] for name in ("reasoning", "token_healing", "tokenisation")}
    arguments.pop("return_full_text", None)
    settled, constraint = chat_turn(tokenizer, prompt, constraint, arguments, settings["max_tokens"])
    arguments["_is_settled"] = True
    options = PromptOptions.taken_from(dict(arguments))
    return ChatRequest(settled, constraint, arguments, options, settings, is_constrained)


def _answer(model: ChatRELLM, rest: dict[str, Any]) -> Constraint | None:
    """The constraint of the answer: that of the call, else the model's own."""
    response_format = rest.pop("response_format", None)
    regex, constraint = rest.pop("regex", None), rest.pop("constraint", None)
    if regex is not None and constraint is not None:
        raise ValueError("regex and constraint are both given: pass one of them")
    if regex is not None:
        return Regex(regex)
    if constraint is not None:
        return as_constraint(constraint)
    if response_format is not None:
        return response_constraint(response_format)
    return model.in_force


def response_constraint(response_format: Any) -> Constraint | None:
    """The constraint of OpenAI's `response_format`, or of a type or constraint in its place.

    Raises:
        ValueError: it is none of these.
    """
    if not isinstance(response_format, Mapping):
        return as_constraint(response_format)
    kind = response_format.get("type")
    if kind == "json_schema" and isinstance(response_format.get("json_schema"), Mapping):
        held = response_format["json_schema"]
        return JsonSchema(dict(held.get("schema") or {}), property_order="declared", on_unsupported="report")
    if kind == "json_object":
        return JsonSchema({"type": "object"})
    if kind == "text":
        return None
    if "properties" in response_format or "$ref" in response_format:
        return JsonSchema(dict(response_format), property_order="declared", on_unsupported="report")
    raise ValueError(
        'response_format is {"type": "json_schema", "json_schema": {"schema": …}}, {"type": "json_object"}, '
        f'{{"type": "text"}}, a schema or a type, not {dict(response_format)!r:.120}'
    )


def _template(
    tokenizer: Any, calls: ToolCalls | None, messages: Sequence[BaseMessage], named: str | None
) -> TemplateTools | None:
    """How the template handles tools, if the call needs it."""
    if calls is None and not any(
        message.type in ("tool", "function") or counted_calls([message]) for message in messages
    ):
        return None
    try:
        found = template_tools(tokenizer)
    except UnsupportedError:
        if calls is None or calls.format is None:
            raise
        return TemplateTools(calls.format, takes_tools=True, renders_calls=True)
    if calls is not None and calls.format is not None and calls.format.name != found.layout.name:
        return replace(found, layout=calls.format, renders_calls=False)
    return found


def _takes_system(tokenizer: Any) -> bool:
    try:
        return template_tools(tokenizer).takes_system
    except UnsupportedError:
        return True


def _instructions(instructions: Any, answer: Constraint | None) -> str:
    if isinstance(instructions, str) and instructions != "auto":
        return instructions
    return describe(answer) if instructions == "auto" and answer is not None else ""


def _generation(settings: Mapping[str, Any], model: Any) -> dict[str, Any]:
    """The settings as arguments of `model.generate`."""
    found: dict[str, Any] = {"max_new_tokens": settings["max_tokens"]}
    temperature = settings["temperature"]
    if temperature is not None:
        found["do_sample"] = temperature > 0
        if temperature > 0:
            found["temperature"] = float(temperature)
    elif (settings["n"] or 1) > 1 and not _samples(model):
        found["do_sample"] = True  # greedy decoding would give the same answer several times
    for name, target in _GENERATION.items():
        if settings[name] is not None:
            found[target] = settings[name]
    if not found.get("do_sample", _samples(model)):
        idle = [name for name in ("top_p", "top_k") if found.pop(name, None) is not None]
        if idle:
            warn(f"{' and '.join(idle)} does nothing where decoding is greedy: give a temperature above 0")
    if settings["trace"]:
        found["trace"] = True
    if settings["logit_bias"]:
        found["sequence_bias"] = {(int(token),): float(bias) for token, bias in settings["logit_bias"].items()}
    penalties = settings["presence_penalty"] or 0.0, settings["frequency_penalty"] or 0.0
    if any(penalties):
        found["logits_processor"] = [CountPenalty(*penalties)]
    return found


def _samples(model: Any) -> bool:
    return bool((model.pipeline_kwargs or {}).get("do_sample"))


class CountPenalty:
    """OpenAI's penalties for repeated tokens: subtracted from the score of a token, once and for each occurrence.

    Args:
        presence: subtracted from the score of each token that was written.
        frequency: subtracted for each time that the token was written.
    """

    def __init__(self, presence: float, frequency: float) -> None:
        self._presence, self._frequency = presence, frequency
        self._start: int | None = None

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        import torch

        if self._start is None:
            self._start = input_ids.shape[1]
        written = input_ids[:, self._start :]
        counts = torch.zeros_like(scores)
        counts.scatter_add_(1, written, torch.ones_like(written, dtype=scores.dtype))
        return scores - self._frequency * counts - self._presence * (counts > 0).to(scores.dtype)
