"""Describes a constraint in English, as an instruction for a model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, cast

from rellm._constraints.base import Constraint
from rellm._constraints.choice import Choice, Literal
from rellm._constraints.conversion import as_constraint
from rellm._constraints.json_schema.constraint import JsonSchema
from rellm._constraints.regex import Regex
from rellm._constraints.text_types import TextType

if TYPE_CHECKING:
    from rellm._constraints.tool_calls.calls import ToolCalls

_MAX_DEPTH: Final = 6
_MAX_VALUES: Final = 30
_TYPES: Final = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "null": "null",
    "number": "a number",
    "object": "an object",
    "string": "a string",
}


def describe(constraint: Any) -> str:
    """Describes a constraint for a prompt, so that the model knows which texts match.

    Args:
        constraint: a constraint, or an argument that means one: a pattern, a schema, a type.

    Returns:
        A few lines of English: for a schema its fields with their titles, descriptions, types and examples.

    Raises:
        TypeError: it is not a constraint.
    """
    constraint = as_constraint(constraint)
    if isinstance(constraint, JsonSchema):
        return _schema(constraint)
    if isinstance(constraint, Choice):
        shown = ", ".join(constraint.texts[:_MAX_VALUES])
        more = ", …" if len(constraint.texts) > _MAX_VALUES else ""
        return f"Answer with exactly one of these, and nothing else: {shown}{more}."
    if isinstance(constraint, Literal):
        return f"Answer with exactly this text: {constraint.text}"
    if isinstance(constraint, Regex):
        return f"Answer with text that matches this regular expression in full, and nothing else: {constraint.pattern}"
    if isinstance(constraint, TextType):
        return f"Answer with {_named(constraint)}, and nothing else."
    if constraint.kind == "tool_calls":
        from rellm._constraints.tool_calls.declare_tools import declared

        return declared(cast("ToolCalls", constraint))
    return _other(constraint)


def _named(constraint: TextType) -> str:
    name = {"integer": "a whole number", "number": "a number", "boolean": "true or false"}.get(constraint.name)
    name = name or f"one {constraint.name}"
    bounds = [f"at least {constraint.low}"] if constraint.low is not None else []
    bounds += [f"at most {constraint.high}"] if constraint.high is not None else []
    return f"{name} of {' and '.join(bounds)}" if bounds else name


def _other(constraint: Constraint) -> str:
    python_type = getattr(constraint, "python_type", None)
    if python_type is not None:
        return f"Answer with one value of the type {getattr(python_type, '__name__', python_type)}, and nothing else."
    return f"Answer in exactly this form, and with nothing else: {constraint!r}"


def _schema(constraint: JsonSchema) -> str:
    root = constraint.schema
    lines = ["Answer with one JSON value and nothing else, no explanation and no Markdown."]
    if isinstance(root, dict):
        words = _words(root, root)
        lines[0] = f"Answer with JSON only: {words}." if words else lines[0]
        lines += _fields(root, root, 0)
    return "\n".join(lines)


def _target(schema: Any, root: dict[str, Any]) -> dict[str, Any]:
    """The target of a local reference."""
    for _ in range(_MAX_DEPTH):
        if not isinstance(schema, dict) or not isinstance(schema.get("$ref"), str):
            break
        at: Any = root
        for token in schema["$ref"].removeprefix("#").strip("/").split("/"):
            token = token.replace("~1", "/").replace("~0", "~")
            at = at.get(token) if isinstance(at, dict) else None
        schema = {**at, **{k: v for k, v in schema.items() if k != "$ref"}} if isinstance(at, dict) else {}
    return schema if isinstance(schema, dict) else {}


def _words(schema: Any, root: dict[str, Any]) -> str:
    """One value in words."""
    schema = _target(schema, root)
    if "const" in schema:
        return f"exactly {json.dumps(schema['const'], ensure_ascii=False)}"
    if isinstance(schema.get("enum"), list):
        values = [json.dumps(value, ensure_ascii=False) for value in schema["enum"]]
        return f"one of {', '.join(values[:_MAX_VALUES])}{', …' if len(values) > _MAX_VALUES else ''}"
    for keyword in ("anyOf", "oneOf"):
        if isinstance(schema.get(keyword), list):
            return " or ".join(dict.fromkeys(filter(None, (_words(held, root) for held in schema[keyword]))))
    types = schema.get("type")
    names = [types] if isinstance(types, str) else types if isinstance(types, list) else []
    words = " or ".join(_TYPES.get(name, str(name)) for name in names)
    if schema.get("type") == "array" and isinstance(schema.get("items"), dict):
        words += f" of items that are {_words(schema['items'], root) or 'any value'}"
    details = [
        f"{name} {json.dumps(schema[keyword], ensure_ascii=False)}"
        for keyword, name in _DETAILS.items()
        if keyword in schema
    ]
    return f"{words} ({', '.join(details)})" if details and words else words


_DETAILS: Final = {
    "format": "format",
    "pattern": "matching",
    "minimum": "at least",
    "maximum": "at most",
    "exclusiveMinimum": "more than",
    "exclusiveMaximum": "less than",
    "multipleOf": "a multiple of",
    "minLength": "characters at least",
    "maxLength": "characters at most",
    "minItems": "items at least",
    "maxItems": "items at most",
}


def _fields(schema: Any, root: dict[str, Any], depth: int) -> list[str]:
    """A line for each property, and for those of the objects inside."""
    schema = _target(schema, root)
    if depth > _MAX_DEPTH:
        return []
    lines: list[str] = []
    required = schema.get("required", [])
    for key, held in schema.get("properties", {}).items() if isinstance(schema.get("properties"), dict) else ():
        inner = _target(held, root)
        words = _words(inner, root) or "any value"
        line = f"{'  ' * depth}- {json.dumps(key, ensure_ascii=False)}: {words}"
        if key not in required:
            line += ", optional"
        about = inner.get("description") or inner.get("title")
        if about and str(about).lower().replace(" ", "") != key.lower().replace("_", ""):
            line += f". {about}"
        examples = inner.get("examples")
        if isinstance(examples, list) and examples:
            line += f" For example {json.dumps(examples[0], ensure_ascii=False)}."
        lines += [line, *_fields(inner, root, depth + 1)]
        if isinstance(inner.get("items"), dict):
            lines += _fields(inner["items"], root, depth + 1)
    if depth == 0 and isinstance(schema.get("items"), dict):
        lines += _fields(schema["items"], root, depth)
    return lines
