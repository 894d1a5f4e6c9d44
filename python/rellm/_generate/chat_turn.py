"""Fits a call to the chat template: the tools of its constraint, in the format of the model's tool calls."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from rellm._constraints.tool_calls.declare_tools import declared
from rellm._generate.prompts import is_chat
from rellm._generate.reasoning import thinking_first

if TYPE_CHECKING:
    from rellm._constraints.tool_calls.calls import ToolCalls
    from rellm._constraints.tool_calls.template_probe import TemplateTools

_DEFAULT_MAX_NEW_TOKENS: Final = 200


def chat_turn(
    tokenizer: Any, prompt: Any, constraint: Any, arguments: dict[str, Any], max_new_tokens: int | None = None
) -> tuple[Any, Any]:
    """Prompt and constraint of a call as the tokenizer's chat template needs them.

    Tool calls are written in the template's format. If the prompt is a chat and the call names no tools, the template
    gets the tools of the constraint. Thinking may precede the text of the constraint.

    Args:
        tokenizer: the tokenizer or processor whose chat template renders the prompt.
        prompt, constraint: those of the call.
        arguments: its other arguments; `reasoning` is taken out, `tools` is added for the chat template.
        max_new_tokens: the budget of the call; thinking takes at most half of it where it has none of its own.

    Returns:
        The prompt and the constraint.

    Raises:
        UnsupportedError: the template has an unknown format of tool calls.
    """
    reasoning = arguments.pop("reasoning", "auto")
    if arguments.pop("_is_settled", False):
        return prompt, constraint
    prompt, constraint = _with_tools(tokenizer, prompt, constraint, arguments)
    budget = max_new_tokens or arguments.get("max_new_tokens") or _DEFAULT_MAX_NEW_TOKENS
    return prompt, thinking_first(tokenizer, prompt, constraint, arguments, reasoning, budget)


def _with_tools(tokenizer: Any, prompt: Any, constraint: Any, arguments: dict[str, Any]) -> tuple[Any, Any]:
    if isinstance(constraint, (list, tuple)):
        return prompt, [_in_format(tokenizer, one) for one in constraint]
    constraint = _in_format(tokenizer, constraint)
    calls = _tool_calls(constraint)
    chats = _chats(prompt)
    if calls is None or chats is None or arguments.get("tools") is not None or not calls.tools:
        return prompt, constraint
    found = _template(tokenizer, calls)
    if found.takes_tools:
        arguments["tools"] = [tool.to_openai() for tool in calls.tools]
    told = [chat_messages(chat, found, calls) for chat in chats]
    return (told[0] if is_chat(prompt) else told), constraint


def chat_messages(
    messages: Sequence[Mapping[str, Any]], found: TemplateTools, calls: ToolCalls | None
) -> list[dict[str, Any]]:
    """Messages rewritten for a template that cannot render tool calls, or cannot declare tools.

    Args:
        messages: the chat; calls stand in "tool_calls", as `transformers` has them.
        found: how the template handles tools.
        calls: the tools, which the system message declares where the template does not.
    """
    made = [dict(message) for message in messages]
    if not found.renders_calls:
        made = [_as_text(message, found) for message in made]
    if calls is not None and calls.tools and not found.takes_tools:
        made = with_system_text(made, declared(calls), takes_system=found.takes_system)
    return made


def with_system_text(
    messages: Sequence[Mapping[str, Any]], text: str, *, takes_system: bool = True
) -> list[dict[str, Any]]:
    """The messages with a text added to their system message, which is made if there is none.

    Args:
        takes_system: whether the template has system messages; otherwise the first user message begins with the text.
    """
    made = [dict(message) for message in messages]
    roles = ("system", "developer") if takes_system else ("user",)
    first = next((message for message in made if message.get("role") in roles), None)
    if first is None:
        return [{"role": roles[0], "content": text}, *made]
    content = first.get("content")
    if isinstance(content, list):
        part = {"type": "text", "text": f"\n\n{text}" if takes_system else f"{text}\n\n"}
        first["content"] = [*content, part] if takes_system else [part, *content]
    elif takes_system:
        first["content"] = f"{content}\n\n{text}" if content else text
    else:
        first["content"] = f"{text}\n\n{content}" if content else text
    return made


def _as_text(message: dict[str, Any], found: TemplateTools) -> dict[str, Any]:
    """A message with tool calls or a tool's result, rewritten as a message of text."""
    if message.get("tool_calls"):
        calls = [_call_of(one) for one in message.pop("tool_calls")]
        return {**message, "content": found.layout.write(calls, message.get("content") or "")}
    if message.get("role") == "tool" and not found.takes_tools:
        content = message.get("content")
        text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
        return {"role": "user", "content": f"<tool_response>\n{text}\n</tool_response>"}
    return message


def _call_of(call: Mapping[str, Any]) -> dict[str, Any]:
    function = call.get("function", call)
    arguments = function.get("arguments", function.get("args", {}))
    return {
        "name": function["name"],
        "args": json.loads(arguments) if isinstance(arguments, str) else arguments,
        "id": call.get("id"),
    }


def _chats(prompt: Any) -> list[Any] | None:
    if is_chat(prompt):
        return [prompt]
    if isinstance(prompt, (list, tuple)) and prompt and all(map(is_chat, prompt)):
        return list(prompt)
    return None


def _in_format(tokenizer: Any, constraint: Any) -> Any:
    """The constraint with its tool calls in the template's format, unless they name a format."""
    calls = _tool_calls(constraint)
    if calls is None or calls.format is not None:
        return constraint
    from rellm._constraints.combine import with_parts
    from rellm._constraints.tool_calls.calls import ToolCalls

    def fitted(part: Any) -> Any:
        if isinstance(part, ToolCalls) and part.format is None and getattr(tokenizer, "chat_template", None):
            return part.in_format(_template(tokenizer, part).layout)
        return part

    return with_parts(constraint, fitted)


def _template(tokenizer: Any, calls: ToolCalls) -> TemplateTools:
    from rellm._constraints.tool_calls.template_probe import TemplateTools, template_tools
    from rellm._errors import UnsupportedError

    try:
        return template_tools(tokenizer)
    except UnsupportedError:
        if calls.format is None:
            raise
        # A format that the caller names is used without checking the template.
        return TemplateTools(calls.format, takes_tools=True, renders_calls=True)


def _tool_calls(constraint: Any) -> ToolCalls | None:
    """The first `ToolCalls` inside a constraint."""
    if _plainly_without_tools(constraint):
        return None
    from rellm._constraints.tool_calls.calls import ToolCalls

    if isinstance(constraint, ToolCalls):
        return constraint
    return next((found for part in constraint.children if (found := _tool_calls(part)) is not None), None)


def _plainly_without_tools(constraint: Any) -> bool:
    return not (getattr(constraint, "kind", "") == "tool_calls" or getattr(constraint, "children", ()))
