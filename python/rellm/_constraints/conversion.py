"""Converts the arguments that users may pass as a constraint, or as a part of one."""

from __future__ import annotations

import re
from typing import Any, TypeAlias, get_origin

import regex

from rellm._constraints.base import Constraint, kind_of
from rellm._constraints.choice import Literal
from rellm._constraints.regex import Regex
from rellm._errors import PatternError, UnsatisfiableError, UnsupportedError

# Arguments that mean a constraint: a pattern, or its text, is a `Regex`; a dict a JSON Schema; a type its values.
ConstraintLike: TypeAlias = Constraint | str | re.Pattern[str] | regex.Pattern[str] | dict[str, Any] | type


def as_constraint(value: Any) -> Constraint:
    """Converts an argument to a constraint: a pattern or its text to a `Regex`, a dict to a `JsonSchema`, a type.

    Raises:
        PatternError: the pattern is wrong, or a text is JSON, and so probably a schema.
        UnsupportedError: it is bytes, or no engine reads one of its constructs.
        TypeError: it is something else.
    """
    if isinstance(value, Constraint):
        return value
    if isinstance(value, str):
        _refuse_json(value)
    if isinstance(value, (str, bytes, re.Pattern, regex.Pattern)):
        return Regex(value)  # bytes are refused there
    found = _schema_or_type(value)
    if found is not None:
        return found
    if isinstance(value, (list, tuple, set, frozenset)):
        raise TypeError(
            f"a constraint was expected, not {kind_of(value)}: for one of several strings, use rellm.Choice"
        )
    raise TypeError(
        f"a constraint was expected, not {kind_of(value)}: "
        "use rellm.Regex, rellm.Choice, rellm.JsonSchema, a pattern of re or regex, or a type"
        + _perhaps_a_schema(value)
    )


def any_of(values: Any) -> Constraint:
    """A constraint, or a list of them that means OR, as in ReLLM's calls: a `str` in the list is a pattern.

    Raises:
        UnsatisfiableError: the list is empty.
        UnsupportedError: it has several entries, and one is a pattern for the search engine.
        PatternError, TypeError: as `as_constraint`.
    """
    if not isinstance(values, (list, tuple)):
        return as_constraint(values)
    if not values:
        raise UnsatisfiableError("an empty list of patterns matches nothing: pass at least one")
    if len(values) == 1:
        return as_constraint(values[0])
    from rellm._constraints.combine import AnyOf

    return AnyOf(*map(as_constraint, values))


def as_part(value: Any, where: str) -> Constraint:
    """Converts a part of a combination to a constraint: a `str` is exactly that text, a compiled pattern a `Regex`.

    Args:
        value: the argument.
        where: the name of the part for an error: "part 2 of Sequence".

    Raises:
        UnsupportedError: it is a pattern for the search engine, which cannot be a part.
        TypeError: it is not a constraint.
    """
    if isinstance(value, str):
        return Literal(value)
    if isinstance(value, (re.Pattern, regex.Pattern)):
        value = Regex(value)
    if not isinstance(value, Constraint):
        value = _schema_or_type(value) or value
    if not isinstance(value, Constraint):
        raise TypeError(
            f"{where} is {kind_of(value)}: a part is a constraint, a compiled pattern, or a str, which is exactly that "
            "text" + _perhaps_a_schema(value)
        )
    if isinstance(value, Regex) and value.search_reason is not None:
        raise UnsupportedError(
            f"{where}, {value!r:.120}, goes to the search engine ({value.search_reason}), which serves a pattern by "
            "itself only, never as a part: give it alone, or write it without that construct",
            pattern=value.pattern,
        )
    return value


def _refuse_json(text: str) -> None:
    """Refuses a text that is a JSON Schema: as a pattern it would match entirely different texts."""
    if not text.strip().startswith(("{", "[")):
        return
    import json

    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return
    if isinstance(data, (dict, list)):
        kind = "object" if isinstance(data, dict) else "array"
        raise PatternError(
            f"a str alone is read as a pattern, and {text!r:.60} is a JSON {kind}: for a schema, use "
            "rellm.JsonSchema(text); for a pattern of exactly these characters, rellm.Regex(text)",
            pattern=text,
        )


def _schema_or_type(value: Any) -> Constraint | None:
    """The constraint of a dict that is a schema, or of a type; None if it is neither."""
    if isinstance(value, dict):
        from rellm._constraints.json_schema import JsonSchema
        from rellm._constraints.json_schema.keywords import KNOWN

        return None if KNOWN.isdisjoint(value) else JsonSchema(value)
    if isinstance(value, type) or get_origin(value) is not None or type(value).__name__ == "TypeAliasType":
        from rellm._constraints.python_types import constraint_of

        return constraint_of(value)
    return None


def _perhaps_a_schema(value: Any) -> str:
    if isinstance(value, dict):
        return "; the dict has no keyword of JSON Schema: for any object, use rellm.JsonSchema(schema)"
    return ""
