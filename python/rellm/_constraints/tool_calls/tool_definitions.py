"""Tools, made from a function, a pydantic model or other type, a schema, or a tool of another library."""

from __future__ import annotations

import inspect
import json
import re
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rellm._constraints.base import kind_of
from rellm._constraints.json_schema.constraint import JsonSchema
from rellm._errors import PatternError, SchemaError

_NAME = re.compile(r"[a-zA-Z0-9_.:/-]{1,128}")


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that a model may call.

    Attributes:
        name: its name.
        description: what it does, for the model.
        arguments: the JSON texts of its arguments.
        parameters: the schema of the arguments as JSON text, for the model.
    """

    name: str
    description: str
    arguments: JsonSchema
    parameters: str = field(compare=False, repr=False)

    @classmethod
    def of(cls, tool: Any, *, strict: bool | None = None) -> Tool:
        """Makes a tool from its description in one of several forms.

        Args:
            tool: a function, whose arguments, their types and docstring count; a pydantic model, dataclass or
                TypedDict, whose fields are the arguments; a dict as OpenAI, Anthropic or MCP have it, or a JSON Schema
                with a title; an object with a name, a description and `args_schema`, as LangChain's tools.
            strict: True: every declared argument is written, optional ones too.

        Raises:
            TypeError: `tool` does not describe a tool.
            SchemaError: its parameters are no schema of an object.
            PatternError: its name is not usable.
        """
        if isinstance(tool, Tool):
            return tool if not strict else _of_schema(tool.name, tool.description, json.loads(tool.parameters), strict)
        if isinstance(tool, Mapping):
            return _of_dict(tool, strict)
        if hasattr(tool, "args_schema") and isinstance(getattr(tool, "name", None), str):
            # `tool_call_schema` leaves out the arguments that the program itself injects.
            schema = getattr(tool, "tool_call_schema", None) or tool.args_schema
            description = getattr(tool, "description", "") or ""
            if isinstance(schema, Mapping):
                return _of_schema(tool.name, description, schema, strict)
            return _of_type(tool.name, description, schema, strict)
        if inspect.isroutine(tool) or isinstance(tool, type):
            name = getattr(tool, "__name__", "")
            return _of_type(name, _documentation(tool), tool, strict)
        raise TypeError(
            f"a tool is a function, a model or other type, a schema or a tool of LangChain, not {kind_of(tool)}"
        )

    def to_openai(self) -> dict[str, Any]:
        """The tool as chat templates take it."""
        function = {"name": self.name, "description": self.description, "parameters": json.loads(self.parameters)}
        return {"type": "function", "function": function}


def tools_of(tools: Any, *, strict: bool | None = None) -> tuple[Tool, ...]:
    """Tools, each name once.

    Raises:
        TypeError, SchemaError, PatternError: as `Tool.of`; a name stands twice, or there is no tool.
    """
    if isinstance(tools, (str, bytes, Mapping)) or not isinstance(tools, Iterable):
        raise TypeError(f"tools are a list, not {kind_of(tools)}: put it into [ ]")
    found: dict[str, Tool] = {}
    for tool in tools:
        one = Tool.of(tool, strict=strict)
        if one.name in found:
            raise PatternError(f"two tools are named {one.name!r}: a call could not tell them apart; rename one")
        found[one.name] = one
    return tuple(found.values())


def _of_dict(tool: Mapping[str, Any], strict: bool | None) -> Tool:
    inner = tool.get("function") if isinstance(tool.get("function"), Mapping) else tool
    assert inner is not None
    strict = inner.get("strict") if strict is None else strict
    for parameters in ("parameters", "input_schema", "inputSchema"):
        if isinstance(inner.get("name"), str) and (parameters in inner or inner is not tool):
            schema = inner.get(parameters) or {}
            return _of_schema(inner["name"], inner.get("description") or "", schema, strict)
    if isinstance(tool.get("title"), str) and "properties" in tool:
        return _of_schema(tool["title"], tool.get("description") or "", tool, strict)
    raise TypeError(
        f"this dict describes no tool: {json.dumps(tool, default=repr)[:200]}; a tool has a name and parameters, as in "
        '{"type": "function", "function": {"name": …, "description": …, "parameters": {"type": "object", …}}}, or is a '
        "JSON Schema with a title and properties"
    )


def _of_schema(name: str, description: str, schema: Any, strict: bool | None) -> Tool:
    if not isinstance(schema, Mapping):
        raise SchemaError(f"the parameters of the tool {name!r} are no JSON Schema: {schema!r:.80}", pointer="")
    full: dict[str, Any] = {"type": "object", "properties": {}, **schema}
    if full["type"] != "object":
        raise SchemaError(f"the parameters of the tool {name!r} are of the type {full['type']!r}, not an object",
                          pointer="/type")  # fmt: skip
    constrained = dict(full)
    if not full["properties"] and not full.keys() & {"patternProperties", "$ref", "allOf", "anyOf", "oneOf"}:
        constrained.setdefault("additionalProperties", False)
    arguments = JsonSchema(
        constrained,
        property_order="declared",
        additional="closed",
        required="all" if strict else None,
        on_unsupported="report",
    )
    return _tool(name, description, arguments, full)


def _of_type(name: str, description: str, python_type: Any, strict: bool | None) -> Tool:
    target = python_type
    if inspect.isroutine(python_type):
        hints = typing.get_type_hints(python_type, include_extras=True)
        hints.pop("return", None)
    arguments = JsonSchema.of(target, required="all" if strict else None)
    schema = arguments.schema
    if schema.get("type") != "object" and "$ref" not in schema:
        raise SchemaError(f"the tool {name!r} has no named arguments: its type is {python_type!r:.80}", pointer="")
    if not schema.get("properties") and "$ref" not in schema and not schema.get("additionalProperties"):
        return _of_schema(name, description, {}, strict)
    return _tool(name, description, arguments, _shown(schema))


def _tool(name: str, description: str, arguments: JsonSchema, shown: Mapping[str, Any]) -> Tool:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise PatternError(
            f"{name!r:.150} is no name of a tool: use 1 to 128 letters, digits and the signs _ . : / -, for instance "
            "by giving a name of its own"
        )
    return Tool(name, description, arguments, json.dumps(shown, ensure_ascii=False))


def _shown(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A schema as it is shown to a model: without its own title and description, which are shown apart."""
    return {key: value for key, value in schema.items() if key not in ("title", "description")}


def _documentation(tool: Any) -> str:
    text = inspect.getdoc(tool) or ""
    if isinstance(tool, type) and text == inspect.getdoc(tool.__mro__[1]):
        return ""  # inherited
    return text.strip()
