"""Converts LangChain messages to the form that chat templates take."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)

# Parts of a message's content that duplicate other fields of the message.
_SAID_ELSEWHERE = ("tool_use", "tool_call", "thinking", "reasoning", "function_call", "invalid_tool_call")


def template_messages(messages: Sequence[BaseMessage], id_shape: str = "") -> list[dict[str, Any]]:
    """Messages as dicts with roles, in the form of `transformers`.

    Args:
        messages: the chat.
        id_shape: a pattern for the ids of calls; others are replaced, in calls and results alike.

    Raises:
        ValueError: there is no message, or one contains a part that is not text.
        TypeError: a message is of a kind that chats have no role for.
    """
    if not messages:
        raise ValueError("there are no messages: pass at least one")
    return [_message(message, number, id_shape) for number, message in enumerate(messages)]


def _message(message: BaseMessage, number: int, id_shape: str) -> dict[str, Any]:
    content = _content(message.content, number)
    made: dict[str, Any]
    if isinstance(message, ChatMessage):
        return {"role": message.role, "content": content}
    if isinstance(message, HumanMessage):
        return {"role": "user", "content": content}
    if isinstance(message, SystemMessage):
        return {"role": "system", "content": content}
    if isinstance(message, ToolMessage):
        made = {"role": "tool", "content": content, "tool_call_id": _id(message.tool_call_id, id_shape)}
        return {**made, "name": message.name} if message.name else made
    if isinstance(message, FunctionMessage):
        return {"role": "tool", "content": content, "name": message.name, "tool_call_id": _id(None, id_shape)}
    if isinstance(message, AIMessage):
        made = {"role": "assistant", "content": content}
        reasoning = message.additional_kwargs.get("reasoning_content")
        if isinstance(reasoning, str) and reasoning:
            made["reasoning_content"] = reasoning
        if message.invalid_tool_calls:
            raise ValueError(
                f"message {number} has invalid_tool_calls, whose arguments are no JSON: a template cannot render them"
            )
        if message.tool_calls:
            made["tool_calls"] = [
                {
                    "type": "function",
                    "id": _id(call["id"], id_shape),
                    "function": {"name": call["name"], "arguments": call["args"]},
                }
                for call in message.tool_calls
            ]
        return made
    raise TypeError(f"message {number} is {type(message).__name__}: chats have no role for it")


def _content(content: Any, number: int) -> str:
    if isinstance(content, str):
        return content
    texts: list[str] = []
    for part in content:
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, Mapping) and isinstance(part.get("text"), str) and part.get("type", "text") == "text":
            texts.append(part["text"])
        elif isinstance(part, Mapping) and part.get("type") == "tool_result":
            texts.append(_content(part.get("content", ""), number))
        elif not (isinstance(part, Mapping) and part.get("type") in _SAID_ELSEWHERE):
            kind = part.get("type") if isinstance(part, Mapping) else type(part).__name__
            raise ValueError(
                f"message {number} holds a part of the type {kind!r}: this model reads text only; say it in text"
            )
    return "\n".join(texts)


def _id(given: Any, shape: str) -> str:
    text = str(given or "")
    if not shape or re.fullmatch(shape, text):
        return text
    return hashlib.sha256(text.encode()).hexdigest()[:9]


def counted_calls(messages: Sequence[BaseMessage]) -> int:
    """The number of tool calls in a chat."""
    return sum(len(message.tool_calls) for message in messages if isinstance(message, AIMessage))
