"""Tools bound to a model: in OpenAI's form for LangChain, and as `Tool` for the constraint."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from langchain_core.utils.function_calling import convert_to_openai_tool

from rellm._constraints.tool_calls.tool_definitions import Tool
from rellm._errors import RellmError


class BoundTool(dict[str, Any]):
    """A tool in OpenAI's form, for LangChain's traces, with the `Tool` that it was made from."""

    tool: Tool

    @classmethod
    def of(cls, given: Any, strict: bool | None) -> BoundTool:
        """From any form of a tool that LangChain accepts."""
        if isinstance(given, BoundTool):
            return given
        shown = convert_to_openai_tool(given, strict=strict)
        function = shown.get("function")
        if not isinstance(function, dict):
            raise ValueError(
                f"the tool {json.dumps(shown, default=repr)[:200]} is one that its provider runs itself: "
                "a local model has none; pass a function, a schema or a tool of LangChain"
            )
        try:
            # A Python type has more information than its schema.
            found = Tool.of(given, strict=strict)
        except (TypeError, RellmError):
            found = Tool.of(shown, strict=strict)
        made = cls(shown)
        parameters = json.dumps(function.get("parameters") or {"type": "object", "properties": {}}, ensure_ascii=False)
        made.tool = Tool(function["name"], function.get("description") or "", found.arguments, parameters)
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return (_again, (dict(self), self.tool))


def _again(shown: dict[str, Any], tool: Tool) -> BoundTool:
    made = BoundTool(shown)
    made.tool = tool
    return made


def tools_of_call(tools: Sequence[Any], strict: bool | None) -> list[Tool]:
    """The tools of a call; the last of several with the same name, as when tools are bound again."""
    found = [BoundTool.of(tool, strict).tool for tool in tools]
    return list({tool.name: tool for tool in found}.values())


def choice_of(tool_choice: Any) -> str | list[str]:
    """Translates LangChain's `tool_choice` to the `choice` of `ToolCalls`.

    Raises:
        TypeError: it has none of the known forms.
    """
    if tool_choice in (None, False, "auto"):
        return "auto"
    if tool_choice in (True, "any", "required"):
        return "required"
    if isinstance(tool_choice, str):
        return tool_choice
    if isinstance(tool_choice, dict):
        inner = tool_choice.get("function")
        name = inner.get("name") if isinstance(inner, dict) else tool_choice.get("name")
        if isinstance(name, str):
            return [name]
        if tool_choice.get("type") in ("auto", "any", "required", "none"):
            return choice_of(tool_choice["type"])
    if isinstance(tool_choice, (list, tuple)) and all(isinstance(name, str) for name in tool_choice):
        return list(tool_choice)
    raise TypeError(
        f'tool_choice is "auto", "any", "required", "none", a name, True, False or {{"type": "function", "function": '
        f'{{"name": …}}}}, not {tool_choice!r:.80}'
    )
