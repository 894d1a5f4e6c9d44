"""What a schema means, on texts; the recogniser of fragments answers for them."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import json_suite
import pytest
import rellm
from fragment_oracle import Fragments
from rellm import JsonSchema, JsonSpelling, SchemaError


def accepted(schema: Any, *texts: str, **options: Any) -> list[bool]:
    ops, context = JsonSchema(schema, **options).operations()
    oracle = Fragments(ops, context.strings, context.dialects, json_suite.ecma_matches)
    return [oracle.accepts(text) for text in texts]


def test_members_come_in_any_order_and_open_objects_have_others():
    schema = {"properties": {"a": {"type": "integer"}, "b": {"type": "string"}}, "required": ["a"], "type": "object"}
    yes = ['{"a": 1}', '{"b":"x","a":1}', '{"z":[],"a":1}']
    no = ["{}", '{"b":"x"}', '{"a":1,"a":2}', '{"a":"x"}', '{"a":1,}', "1"]
    assert accepted(schema, *yes, *no) == [True] * 3 + [False] * 6


def test_a_declared_key_is_not_written_in_disguise():
    schema = {"properties": {"a": {"type": "integer"}}, "type": "object"}
    assert accepted(schema, r'{"\u0061": "x"}', r'{"\u0062": "x"}', '{"b": "x"}') == [False, False, True]


def test_many_patterns_of_keys_are_exact_where_few_of_them_meet():
    numbered = {f"^k{number}:(a|b)$": {"const": number} for number in range(22)}
    closed = {"type": "object", "patternProperties": numbered, "additionalProperties": False}
    assert accepted(closed, '{"k3:a":3,"k21:b":21}', '{"k3:a":4}', '{"k3:c":3}', '{"k30:a":3}') == [True, *[False] * 3]
    met = {"type": "object", "patternProperties": {**numbered, "^k": {"type": "integer"}, "a$": {"type": "integer"}}}
    texts = ['{"k3:a":3,"x":null}', '{"za":1,"k99":5}', '{"k3:b":4}', '{"za":[]}', '{"k99":"5"}']
    assert accepted(met, *texts) == [True, True, False, False, False]
    meeting = {"type": "object", "patternProperties": {letter: {"type": "integer"} for letter in "abcdefghi"}}
    with pytest.raises(SchemaError, match="more than 256 kinds"):
        JsonSchema(meeting)


def test_declared_order_puts_other_members_last():
    schema = {"properties": {"a": {}, "b": {}}, "type": "object"}
    texts = ['{"a":1,"b":2}', '{"b":2}', '{"b":2,"a":1}', '{"z":0,"a":1}', '{"b":1,"z":0}']
    assert accepted(schema, *texts, property_order="declared") == [True, True, False, False, True]


def test_objects_are_closed_and_members_required_on_request():
    schema = {"properties": {"a": {}, "b": {}}, "type": "object"}
    assert accepted(schema, '{"a":1,"z":2}', '{"a":1}', additional="closed") == [False, True]
    assert accepted(schema, '{"a":1}', '{"b":1,"a":1}', required="all") == [False, True]
    assert accepted({"type": "object"}, '{"z":2}', additional="closed") == [True]


@pytest.mark.parametrize(
    ("whitespace", "yes", "no"),
    [
        ("compact", ['{"a":[1,2]}', "{}"], ['{"a": [1,2]}', "{ }"]),
        ("spaced", ['{"a": [1, 2]}', "{}"], ['{"a":[1,2]}', "{ }"]),
        (
            "flexible",
            ['{"a":[1,2]}', '{"a": [1, 2]}', '{\n  "a" : [\n1,2]\n}', "{ }"],
            ['{  "a":[1,2]}', '{\t"a":[1,2]}'],
        ),
        ("any", ['{ \n\n "a"\t:[1,2]}', "{ }"], ['{"a":[1,2]} ']),
        (2, ['{\n  "a": [\n    1,\n    2\n  ]\n}', "{}", '{\n  "a": []\n}'], ['{"a": [1, 2]}', '{\n "a": []\n}']),
    ],
)
def test_white_space_is_as_the_spelling_says(whitespace: Any, yes: list[str], no: list[str]):
    schema = {"properties": {"a": {"items": {"type": "integer"}, "type": "array"}}, "type": "object"}
    found = accepted(schema, *yes, *no, spelling=JsonSpelling(whitespace=whitespace))
    assert found == [True] * len(yes) + [False] * len(no)


def test_indented_texts_are_those_of_json_dumps():
    value = {"a": [1, {"b": {}, "c": [[], [None]]}], "d": "x"}
    for indent in (0, 1, 2, 4):
        assert accepted(True, json.dumps(value, indent=indent), spelling=JsonSpelling(whitespace=indent)) == [True]


def test_a_fence_may_stand_around_the_value():
    constraint = JsonSchema({"type": "integer"}, spelling=JsonSpelling(fence="optional"))
    ops, context = constraint.operations()
    oracle = Fragments(ops, context.strings, context.dialects)
    assert [oracle.accepts(t) for t in ("1", "```json\n1\n```", "```\n1\n```")] == [True, True, False]
    assert constraint.parse("```json\n1\n```") == 1


def test_strings_are_free_where_nothing_is_compared_and_canonical_elsewhere():
    assert accepted({"type": "string", "maxLength": 1}, r'"\u0061"', r'"\ud83d\ude00"', '"😀"', r'"\ud83d"') == [
        True
    ] * 3 + [False]
    assert accepted({"type": "string", "pattern": "^a$"}, '"a"', r'"\u0061"', '"ab"') == [True, False, False]
    assert accepted({"enum": ["é\n"]}, r'"é\n"', r'"\u00e9\n"') == [True, False]


@pytest.mark.parametrize(
    ("schema", "inside", "outside"),
    [
        ({"minimum": 0, "maximum": 100}, ["0", "0.0", "99.999", "100", "100.00"], ["-0.1", "100.01", "1e1", "01"]),
        ({"exclusiveMinimum": 0.5, "maximum": 1.25}, ["0.51", "0.5000001", "1", "1.250"], ["0.5", "0.50", "1.2500001"]),
        ({"minimum": -2.5, "exclusiveMaximum": -0.25}, ["-2.5", "-0.26", "-1"], ["-2.51", "-0.25", "0", "-0"]),
        ({"minimum": -0.05, "maximum": 0.05}, ["-0.05", "0", "0.049"], ["-0.051", "0.06", "-1"]),
        ({"type": "integer", "minimum": 17, "maximum": 1234}, ["17", "99", "100", "1234"], ["16", "1235", "20.0"]),
        ({"type": "integer", "maximum": -8}, ["-8", "-100"], ["-7", "8", "0"]),
        ({"multipleOf": 0.01}, ["1.25", "1.250", "0", "-3"], ["1.255", "0.001", "1."]),
        ({"multipleOf": 2.5}, ["5", "7.5", "-2.50"], ["1", "2.6"]),
        ({"type": "integer", "multipleOf": 300}, ["0", "300", "-1500"], ["100", "3", "30"]),
        ({"type": "integer", "multipleOf": 7, "minimum": 10, "maximum": 30}, ["14", "21", "28"], ["7", "15", "35"]),
        ({"type": "number", "not": {"type": "integer"}}, ["0.5", "-1.10"], ["1", "1.0"]),
        ({"type": "number", "not": {"multipleOf": 3}}, ["1", "3.5"], ["3", "0", "-9.0"]),
        ({"type": "number", "not": {"enum": [1, 2.5]}}, ["0", "2", "2.51", "1.01"], ["1", "1.0", "2.5", "2.50"]),
    ],
)
def test_numbers_keep_to_their_bounds(schema: Any, inside: list[str], outside: list[str]):
    schema = {"type": "number", **schema}
    assert accepted(schema, *inside, *outside) == [True] * len(inside) + [False] * len(outside)


def test_whole_numbers_have_points_on_request():
    spelling = JsonSpelling(integers="any")
    assert accepted({"type": "integer"}, "1", "1.0", "1e2", spelling=spelling) == [True] * 3
    assert accepted({"type": "integer", "minimum": 1}, "1.00", "0.0", spelling=spelling) == [True, False]
    assert accepted({"type": "integer"}, "12", "123", spelling=JsonSpelling(max_digits=2)) == [True, False]


def test_a_value_that_breaks_a_schema_somewhere_is_found():
    # Not "all members are integers": some member is something else, declared or not.
    schema = {"type": "object", "properties": {"a": {}}, "not": {"additionalProperties": {"type": "integer"}}}
    yes, no = ['{"b":"x"}', '{"a":"x"}', '{"b":1,"c":null}'], ["{}", '{"b":1}', '{"a":1,"b":2}']
    assert accepted(schema, *yes, *no) == [True] * 3 + [False] * 3


def test_items_are_counted_in_several_ways_at_once():
    schema = {
        "allOf": [{"contains": {"type": "integer"}, "maxContains": 1}, {"contains": {"minimum": 5}, "minContains": 2}],
        "type": "array",
        "items": {"type": "number"},
    }
    assert accepted(schema, "[7, 6.5]", "[7.5, 6.5]", "[7, 8]", "[1, 7.5, 6.5]", "[]") == [
        True,
        False,
        False,
        True,
        False,
    ]


def test_unique_items_of_finitely_many_values_are_enforced():
    schema = {"type": "array", "items": {"enum": ["a", "b", 1]}, "uniqueItems": True}
    assert accepted(schema, "[]", '["a", "b", 1]', '["a", "a"]', '[1, "b"]') == [True, True, False, True]
    negated = {"type": "array", "items": {"type": "boolean"}, "not": {"uniqueItems": True}}
    assert accepted(negated, "[true]", "[true,false,true]", "[true,false]") == [False, True, False]


def test_recursive_schemas_meet():
    tree = {"type": "object", "properties": {"next": {"$ref": "#/$defs/tree"}, "v": {"type": "integer"}}}
    schema = {
        "$defs": {"tree": tree, "small": {"properties": {"next": {"$ref": "#/$defs/small"}, "v": {"maximum": 9}}}},
        "allOf": [{"$ref": "#/$defs/tree"}, {"$ref": "#/$defs/small"}],
    }
    yes, no = ['{"next":{"next":{"v":9}}}'], ['{"next":{"next":{"v":10}}}', '{"next":1}']
    assert accepted(schema, *yes, *no) == [True, False, False]


@pytest.mark.parametrize(
    ("schema", "pointer", "words"),
    [
        ({"properties": {"a": {"$ref": "http://example.com/x"}}}, "/properties/a/$ref", "nothing is fetched"),
        ({"items": {"$ref": "#/$defs/x"}}, "/items/$ref", "there is nothing at"),
        ({"items": {"uniqueItems": True}}, "/items/uniqueItems", "cannot be remembered|can be remembered"),
        ({"$ref": "#"}, "/$ref", "leads back to itself"),
        ({"anyOf": [{"$ref": "#"}, {"type": "null"}]}, "", "unproductive recursion|defined by itself"),
        ({"items": {"pattern": "a("}}, "/items/pattern", "unbalanced parenthesis at position 1"),
        ({"items": {"pattern": r"\Z"}}, "/items/pattern", r"write \$"),
        ({"multipleOf": 0.123456789}, "/multipleOf", "10,000 states"),
        ({"items": {"type": "text"}}, "/items/type", "no type of JSON"),
        ({"minLength": -1}, "/minLength", "natural number"),
        ({"properties": []}, "/properties", "is an object"),
        ({"allOf": []}, "/allOf", "at least one"),
    ],
)
def test_what_is_refused_has_a_pointer_and_a_remedy(schema: Any, pointer: str, words: str):
    with pytest.raises(SchemaError, match=words) as error:
        JsonSchema(schema)
    assert error.value.pointer.startswith(pointer)
    again = pickle.loads(pickle.dumps(error.value))
    assert (again.pointer, str(again)) == (error.value.pointer, str(error.value))


def test_what_cannot_be_enforced_is_warned_of_or_reported():
    schema = {"type": "array", "items": {"type": "string"}, "uniqueItems": True}
    with pytest.warns(UserWarning, match="/uniqueItems is not enforced"):
        JsonSchema(schema, on_unsupported="warn")
    report = JsonSchema(schema, on_unsupported="report").report()
    assert [entry.keyword for entry in report if entry.status == "not enforced"] == ["uniqueItems"]
    assert not report.is_exact


def test_a_schema_is_a_value(tmp_path: Path):
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    constraint = JsonSchema(schema)
    schema["type"] = "array"  # changes nothing
    file = tmp_path / "schema.json"
    file.write_text(json.dumps(constraint.schema))
    assert constraint == JsonSchema(file) == JsonSchema(json.dumps(constraint.schema))
    assert hash(constraint) == hash(pickle.loads(pickle.dumps(constraint)))
    assert rellm.Constraint.from_json(constraint.to_json()) == constraint
    assert constraint != JsonSchema(constraint.schema, property_order="declared")
    assert constraint.parse('{"a": 1}') == {"a": 1}


@pytest.mark.parametrize("wrong", [3, None, ["a"], int])
def test_what_is_no_schema_is_a_type_error(wrong: Any):
    with pytest.raises(TypeError, match="JsonSchema takes"):
        JsonSchema(wrong)


@pytest.mark.parametrize("wrong", ["[1]", r"\d+", '{"a": NaN}'])
def test_text_that_is_no_schema_says_so(wrong: str):
    with pytest.raises(SchemaError):
        JsonSchema(wrong)
