"""The report has every occurrence of every keyword exactly once."""

from __future__ import annotations

from typing import Any

import json_suite
import pytest
from rellm import JsonSchema, SchemaError

# Keywords that hold schemas; the count below shares nothing with the library's tables.
_ONE = {"additionalItems", "additionalProperties", "contains", "contentSchema", "else", "if", "items", "not"}
_ONE |= {"propertyNames", "then", "unevaluatedItems", "unevaluatedProperties"}
_MANY = {"allOf", "anyOf", "oneOf", "prefixItems", "items"}
_NAMED = {"$defs", "definitions", "dependentSchemas", "patternProperties", "properties", "dependencies"}


def pointers(schema: Any, at: str = "") -> list[str]:
    """The pointers of all keywords of a schema and of all schemas inside it."""
    if not isinstance(schema, dict):
        return []
    found = []
    for keyword, value in schema.items():
        here = f"{at}/{keyword.replace('~', '~0').replace('/', '~1')}"
        found.append(here)
        if keyword in _MANY and isinstance(value, list):
            found += [p for i, held in enumerate(value) for p in pointers(held, f"{here}/{i}")]
        elif keyword in _ONE:
            found += pointers(value, here)
        elif keyword in _NAMED and isinstance(value, dict):
            for name, held in value.items():
                found += pointers(held, f"{here}/{name.replace('~', '~0').replace('/', '~1')}")
    return found


def test_each_keyword_of_the_suite_is_reported_once():
    groups = [group for group in json_suite.groups("draft2020-12") if not group.file.startswith("optional")]
    counted = 0
    for group in groups:
        try:
            report = JsonSchema(group.schema, on_unsupported="report").report()
        except SchemaError:
            continue
        found = [entry.pointer for entry in report if entry.pointer.startswith("/")]
        assert sorted(found) == sorted(pointers(group.schema)), group.description
        counted += 1
    assert counted > 300


@pytest.mark.parametrize(
    ("schema", "keyword", "status", "words"),
    [
        ({"requierd": ["a"]}, "requierd", "suspicious", "did you mean 'required'"),
        ({"maxLenght": 3}, "maxLenght", "suspicious", "did you mean 'maxLength'"),
        ({"additional_properties": False}, "additional_properties", "suspicious", "additionalProperties"),
        ({"enums": [1]}, "enums", "suspicious", "did you mean 'enum'"),
        ({"x-order": 1}, "x-order", "annotation", ""),
        ({"type": "string", "format": "sku"}, "format", "not enforced", "no known format"),
        ({"type": "string", "format": "date"}, "format", "enforced", ""),
        ({"type": "string", "minimum": 3}, "minimum", "suspicious", "type allows none"),
        ({"then": {}}, "then", "suspicious", "beside if"),
        ({"definitions": {}}, "definitions", "annotation", "draft-07"),
        ({"dependencies": {"a": ["b"]}}, "dependencies", "enforced", "draft-07"),
        ({"type": "object", "required": True}, "required", "suspicious", "draft 3"),
        ({"contentEncoding": "base64"}, "contentEncoding", "annotation", "not checked"),
    ],
)
def test_entries_say_what_became_of_a_keyword(schema: Any, keyword: str, status: str, words: str):
    (entry,) = [entry for entry in JsonSchema(schema).report() if entry.keyword == keyword]
    assert entry.status == status
    assert words in str(entry)


def test_what_old_drafts_ignore_is_reported():
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "properties": {"a": {"$ref": "#/definitions/x", "minimum": 3}},
        "definitions": {"x": {"type": "integer"}},
    }
    (entry,) = [entry for entry in JsonSchema(schema).report() if entry.keyword == "minimum"]
    assert (entry.pointer, entry.status) == ("/properties/a/minimum", "not enforced")
