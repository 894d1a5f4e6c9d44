"""Random schemas and random values for them; what is valid is told by the `jsonschema` library."""

from __future__ import annotations

import random
from typing import Any

KEYS = ["a", "b", "ab", "x1", "x2"]
STRINGS = ["", "a", "b", "ab", "aab", "x1", "1", "é", 'q"\\']
NUMBERS = [0, 1, 2, 3, 5, 6, 7, 10, -1, -2, -6, 0.5, 1.5, -0.5, 2.25, 100]
PATTERNS = ["^a", "b$", "^x[0-9]$", "a.*b", "^[ab]+$", "1"]


def schema(rng: random.Random, depth: int = 3) -> Any:
    """A schema of draft 2020-12."""
    if rng.random() < 0.06:
        return rng.random() < 0.7
    found: dict[str, Any] = {}
    if rng.random() < 0.75:
        types = rng.sample(
            ["null", "boolean", "integer", "number", "string", "array", "object"], rng.choice([1, 1, 1, 2, 3])
        )
        found["type"] = types[0] if len(types) == 1 else types
    for add in rng.sample(_KINDS, rng.choice([0, 1, 1, 2, 3])):
        add(rng, found, depth)
    return found


def value(rng: random.Random, depth: int = 3) -> Any:
    """A value of JSON."""
    kind = rng.random()
    if depth == 0 or kind < 0.5:
        return rng.choice([None, True, False, rng.choice(NUMBERS), rng.choice(NUMBERS), rng.choice(STRINGS)])
    if kind < 0.7:
        return [value(rng, depth - 1) for _ in range(rng.choice([0, 1, 1, 2, 3]))]
    return {key: value(rng, depth - 1) for key in rng.sample(KEYS, rng.choice([0, 1, 1, 2, 3]))}


def _numbers(rng: random.Random, found: dict[str, Any], depth: int) -> None:
    keyword = rng.choice(["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"])
    found[keyword] = rng.choice([1, 2, 3, 0.5, 1.5, 0.25]) if keyword == "multipleOf" else rng.choice(NUMBERS)


def _strings(rng: random.Random, found: dict[str, Any], depth: int) -> None:
    keyword = rng.choice(["minLength", "maxLength", "pattern"])
    found[keyword] = rng.choice(PATTERNS) if keyword == "pattern" else rng.choice([0, 1, 2, 3])


def _values(rng: random.Random, found: dict[str, Any], depth: int) -> None:
    if rng.random() < 0.5:
        found["const"] = value(rng, 1)
    else:
        found["enum"] = [value(rng, 1) for _ in range(3)]


def _properties(rng: random.Random, found: dict[str, Any], depth: int) -> None:
    if depth:
        found["properties"] = {key: schema(rng, depth - 1) for key in rng.sample(KEYS, rng.choice([1, 2]))}
    if rng.random() < 0.5:
        found["required"] = rng.sample(KEYS, rng.choice([1, 1, 2]))
    if depth and rng.random() < 0.4:
        found["additionalProperties"] = schema(rng, depth - 1)
    if depth and rng.random() < 0.3:
        found["patternProperties"] = {
            pattern: schema(rng, depth - 1) for pattern in rng.sample(PATTERNS, rng.choice([1, 2]))
        }


def _members(rng: random.Random, found: dict[str, Any], depth: int) -> None:
    keyword = rng.choice(["minProperties", "maxProperties", "propertyNames", "dependentRequired", "dependentSchemas"])
    if keyword == "propertyNames":
        found[keyword] = {"pattern": rng.choice(PATTERNS)} if rng.random() < 0.5 else {"maxLength": 1}
    elif keyword == "dependentRequired":
        found[keyword] = {rng.choice(KEYS): [rng.choice(KEYS)]}
    elif keyword == "dependentSchemas":
        found[keyword] = {rng.choice(KEYS): schema(rng, max(depth - 1, 0))}
    else:
        found[keyword] = rng.choice([0, 1, 2])


def _items(rng: random.Random, found: dict[str, Any], depth: int) -> None:
    if depth and rng.random() < 0.6:
        found["items"] = schema(rng, depth - 1)
    if depth and rng.random() < 0.3:
        found["prefixItems"] = [schema(rng, depth - 1) for _ in range(rng.choice([1, 2]))]
    if depth and rng.random() < 0.3:
        found["contains"] = schema(rng, depth - 1)
        if rng.random() < 0.5:
            found[rng.choice(["minContains", "maxContains"])] = rng.choice([0, 1, 2])
    if rng.random() < 0.3:
        found[rng.choice(["minItems", "maxItems"])] = rng.choice([0, 1, 2])


def _combined(rng: random.Random, found: dict[str, Any], depth: int) -> None:
    if not depth:
        return
    keyword = rng.choice(["allOf", "anyOf", "oneOf", "not", "if", "unevaluatedProperties", "unevaluatedItems"])
    if keyword in ("allOf", "anyOf", "oneOf"):
        found[keyword] = [schema(rng, depth - 1) for _ in range(rng.choice([1, 2, 2, 3]))]
    elif keyword == "if":
        found["if"] = schema(rng, depth - 1)
        found[rng.choice(["then", "else"])] = schema(rng, depth - 1)
    else:
        found[keyword] = schema(rng, depth - 1)


_KINDS = [_numbers, _strings, _values, _properties, _properties, _members, _items, _combined, _combined]
