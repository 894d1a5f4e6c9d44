"""From the fields of a vLLM request to a constraint: each is served or refused, none is passed over."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import rellm
from rellm import testing
from rellm._constraints.structural_tags import structural_tag
from rellm.integrations.vllm.request_constraint import LAYOUT, OTHERS, XARGS, request_constraint
from vllm_stub import fresh_vllm

VOCABULARY = testing.tiny_vocabulary(special_tokens=["<tool_call>", "</tool_call>", "<think>", "<|end|>x"])
OBJECT = {"type": "object", "properties": {"b": {"type": "integer"}, "a": {"type": "integer"}}, "required": ["b", "a"]}


@pytest.fixture(autouse=True)
def params() -> Iterator[Any]:
    with fresh_vllm():
        from vllm.sampling_params import StructuredOutputsParams

        yield StructuredOutputsParams


def matches(constraint: Any, text: str) -> bool:
    """Whether a text matches; `{{name}}` in it is the special token of that name."""
    matcher = rellm.compile(constraint, VOCABULARY).matcher()
    try:
        for part in re.split(r"(\{\{[^{}]+\}\})", text):
            if part.startswith("{{"):
                matcher.advance(VOCABULARY.special_token_id(part[2:-2]))
            elif part:
                matcher.advance_bytes(part.encode())
    except rellm.TokenRejectedError:
        return False
    return bool(matcher.is_accepting)


def asked(params: Any, xargs: dict[str, Any] | None = None, **given: Any) -> Any:
    return request_constraint(params(**given), xargs).constraint


@pytest.mark.parametrize(
    ("given", "xargs", "yes", "no"),
    [
        ({"regex": "a.c"}, {}, "abc", "a\nc"),
        ({"regex": "a.c"}, {"flags": "s"}, "a\nc", "abbc"),
        ({"regex": "abc"}, {"flags": ["IGNORECASE"]}, "ABC", "abd"),
        ({"regex": r"(?|(a)|(b))\1"}, {"dialect": "regex"}, "bb", "ab"),
        ({"regex": r"\p{Lu}+"}, {"dialect": "regex"}, "AÄ", "a"),
        ({"regex": r"(?=[a-z]*x)[a-z]{3}"}, {}, "axb", "abc"),
        ({"choice": ["yes", "no"]}, {}, "no", "maybe"),
        ({"json": OBJECT}, {}, '{"b": 1, "a": 2}', '{"a": 2, "b": 1}'),
        ({"json": json.dumps(OBJECT)}, {}, '{"b": 1, "a": 2, "c": []}', '{"b": 1}'),
        ({"json": OBJECT}, {"property_order": "any"}, '{"a": 2, "b": 1}', '{"a": 2}'),
        ({"json": OBJECT}, {"additional": "closed"}, '{"b": 1, "a": 2}', '{"b": 1, "a": 2, "c": 3}'),
        ({"json": OBJECT, "disable_additional_properties": True}, {}, '{"b":1,"a":2}', '{"b": 1, "a": 2, "c": 3}'),
        ({"json": OBJECT, "disable_any_whitespace": True}, {}, '{"b":1,"a":2}', '{"b": 1, "a": 2}'),
        ({"json": OBJECT, "whitespace_pattern": ""}, {}, '{"b":1,"a":2}', '{"b": 1, "a": 2}'),
        ({"json": OBJECT}, {"whitespace": "spaced"}, '{"b": 1, "a": 2}', '{"b":1,"a":2}'),
        ({"json": OBJECT}, {"fence": "optional"}, '```json\n{"b": 1, "a": 2}\n```', '```\n{"b": 1, "a": 2}\n```'),
        ({"json": {"type": "string", "format": "date"}}, {}, '"2026-11-28"', '"today"'),
        ({"json": {"type": "string", "format": "date"}}, {"assert_formats": 0}, '"today"', "1"),
        ({"json": {"type": "number"}}, {"max_digits": 3}, "123", "12345"),
        ({"json_object": True}, {}, '{"x": [1, {}]}', "[1]"),
        ({"grammar": 'start: "a" start?'}, {}, "aaa", "b"),
        ({"grammar": 'root ::= "a" root?'}, {}, "aaa", "b"),
        ({"grammar": 'begin: "a" begin?'}, {"start": "begin"}, "aa", ""),
        ({"grammar": 'root ::= "a"'}, {"grammar_format": "gbnf"}, "a", "aa"),
        ({"regex": "[a ]+"}, {"session_id": "s", "kv_transfer_params": {}}, "a a", "b"),
    ],
)
def test_a_field_or_key_says_what_may_be_written(
    params: Any, given: dict[str, Any], xargs: dict[str, Any], yes: str, no: str
) -> None:
    constraint = asked(params, xargs, **given)
    assert matches(constraint, yes)
    assert not matches(constraint, no)


def test_run_limits_are_read_from_the_keys(params: Any) -> None:
    limits = request_constraint(params(regex="a"), {"max_whitespace": 2, "max_repetition": 9}).run_limits
    assert limits == rellm.RunLimits(max_whitespace=2, max_repetition=9)


@pytest.mark.parametrize(
    ("given", "xargs", "message"),
    [
        ({}, {}, "no constraint: give exactly one"),
        ({"regex": "a", "choice": ["a"]}, {}, "regex, choice: give exactly one"),
        ({"json_object": False}, {}, "json_object is True or left out"),
        ({"json": OBJECT, "whitespace_pattern": "[ ]?"}, {}, "whitespace_pattern='.*' cannot be served"),
        ({"regex": "a", "disable_any_whitespace": True}, {}, "disable_any_whitespace goes with json, not with regex"),
        ({"json": OBJECT, "disable_any_whitespace": True}, {"whitespace": "any"}, "contradicts"),
        ({"regex": "a"}, {"property_order": "any"}, "property_order goes with json, not with regex"),
        ({"regex": "a"}, {"flag": "i"}, "vllm_xargs.flag is not known: did you mean flags"),
        ({"regex": "a"}, {"zzz": 1}, "zzz is not known: with regex there are dialect, flags, max_whitespace"),
        ({"regex": "a"}, {"dialect": "pcre"}, '"re" or "regex", not \'pcre\''),
        ({"regex": "a"}, {"flags": "q"}, "re has no flag 'q'"),
        ({"regex": "a"}, {"flags": 2}, "flags is a string of letters"),
        ({"regex": "a"}, {"max_whitespace": "2"}, "max_whitespace is a whole number, not '2'"),
        ({"regex": "a"}, {"max_whitespace": 0}, "must be at least 1"),
        ({"json": OBJECT}, {"property_order": "sorted"}, "property_order is one of"),
        ({"json": OBJECT}, {"whitespace": "wide"}, "whitespace is"),
        ({"json": "[1"}, {}, "no JSON text"),
        ({"json": "3"}, {}, "a schema is an object or a boolean"),
        ({"grammar": "x"}, {"grammar_format": "ebnf"}, "format is one of"),
        ({"grammar": ""}, {}, None),
        ({"regex": "a" * 3_000_000}, {}, None),
        ({"json": '{"not":' * 5000 + "{}" + "}" * 5000}, {}, "nested too deeply"),
        ({"structural_tag": "[" * 100_000}, {}, None),
        ({"structural_tag": ""}, {}, "no JSON text"),
    ],
)
def test_what_cannot_be_served_is_refused(
    params: Any, given: dict[str, Any], xargs: dict[str, Any], message: str | None
) -> None:
    with pytest.raises((rellm.RellmError, ValueError), match=message):
        rellm.validate(asked(params, xargs, **given))


def test_a_field_that_a_newer_vllm_has_is_refused_where_it_says_something(params: Any) -> None:
    from dataclasses import dataclass

    @dataclass
    class Newer(params):  # type: ignore[misc]
        shape: str | None = None

    assert asked(Newer, regex="a") == rellm.Regex("a")
    with pytest.raises(rellm.UnsupportedError, match=r"structured_outputs.shape is not known"):
        asked(Newer, regex="a", shape="round")


def test_every_field_for_json_and_every_key_has_a_case_above() -> None:
    """The tables of this file, read as text: a new field or key without a case is found."""
    source = Path(__file__).read_text(encoding="utf-8")
    for name in (
        *LAYOUT,
        *(name for names in XARGS.values() for name in names if name not in ("integers", "lexer", "required")),
    ):
        assert f'"{name}"' in source, name


@pytest.mark.parametrize(("name", "value", "kind"), [("integers", "any", "json"), ("required", "all", "json")])
def test_the_other_keys_of_json_are_taken(params: Any, name: str, value: str, kind: str) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    constraint = asked(params, {name: value}, **{kind: schema})
    assert matches(constraint, '{"n": 1.0}') == (name == "integers")
    assert matches(constraint, "{}") == (name != "required")


def test_keys_of_other_plug_ins_are_let_through_where_the_server_names_them(params: Any, monkeypatch: Any) -> None:
    with pytest.raises(rellm.UnsupportedError, match=OTHERS):
        asked(params, {"bias_words": "x"}, regex="a")
    monkeypatch.setenv(OTHERS, "bias_words, other")
    assert asked(params, {"bias_words": "x"}, regex="a") == rellm.Regex("a")


def tag(format: Any) -> rellm.Constraint:
    return structural_tag(json.dumps({"type": "structural_tag", "format": format}))


JSON = {"type": "json_schema", "json_schema": {"type": "object", "properties": {"n": {"type": "integer"}}}}
ANY = {"type": "any_text"}
CALL = {"type": "tag", "begin": "<tool_call>\n", "content": JSON, "end": "\n</tool_call>"}
WEATHER = {"type": "tag", "begin": "<f=weather>", "content": JSON, "end": "</f>"}
TIME = {"type": "tag", "begin": "<f=time>", "content": {"type": "regex", "pattern": r"\d\d"}, "end": ["</f>", "!"]}
TRIGGERED = {"type": "triggered_tags", "triggers": ["<f="], "tags": [WEATHER, TIME]}


@pytest.mark.parametrize(
    ("format", "yes", "no"),
    [
        ({"type": "const_string", "value": "a<think>"}, ["a<think>", "a{{<think>}}"], ["a"]),
        (ANY, ["", "any"], ["{{<think>}}"]),
        ({**ANY, "excludes": ["no"]}, ["yes"], ["a no b"]),
        ({**ANY, "max_chars": 3}, ["äöü"], ["abcd"]),
        (JSON, ['{"n": 1}', '{"n":1,"m":[]}'], ['{"n": "1"}', '{"n": 1, "n": 2}']),
        ({**JSON, "max_whitespace_cnt": 0}, ['{"n":1}'], ['{"n": 1}']),
        ({"type": "regex", "pattern": "[ab]+"}, ["ab"], ["c"]),
        ({"type": "grammar", "grammar": 'root ::= "(" root? ")"'}, ["(())"], ["(()"]),
        ({"type": "sequence", "elements": [{"type": "const_string", "value": "x"}, ANY]}, ["x", "xyz"], ["y"]),
        ({"type": "or", "elements": [{"type": "const_string", "value": "x"}, JSON]}, ["x", "{}"], ["y"]),
        ({"type": "optional", "content": {"type": "const_string", "value": "x"}}, ["", "x"], ["xx"]),
        ({"type": "plus", "content": {"type": "const_string", "value": "x"}}, ["x", "xx"], [""]),
        ({"type": "star", "content": {"type": "const_string", "value": "x"}}, ["", "xx"], ["y"]),
        ({"type": "repeat", "min": 1, "max": 2, "content": {"type": "const_string", "value": "x"}}, ["x"], ["xxx", ""]),
        ({"type": "repeat", "min": 2, "max": -1, "content": {"type": "const_string", "value": "x"}}, ["xxx"], ["x"]),
        ({"type": "token", "token": "<think>"}, ["{{<think>}}"], ["<think>"]),
        ({"type": "any_tokens", "exclude_tokens": ["<think>"]}, ["text"], ["{{<think>}}"]),
        (CALL, ["<tool_call>\n{}\n</tool_call>", "{{<tool_call>}}\n{}\n{{</tool_call>}}"], ["<tool_call>\n{}"]),
        ({**CALL, "content": ANY}, ["<tool_call>\nx\n</tool_call>"], ["<tool_call>\nx\n</tool_call>\n</tool_call>"]),
        ({"type": "tag", "begin": "(", "content": {**ANY, "max_chars": 2}, "end": ")"}, ["(ab)"], ["(abc)", "())"]),
        (
            {"type": "tag", "begin": {"type": "token", "token": "<think>"}, "content": ANY, "end": ""},
            ["{{<think>}}so"],
            ["so"],
        ),
        (TRIGGERED, ["", "hi", "hi <f=weather>{}</f> and <f=time>10! x"], ["<f=other>", "<f=time>1</f>", "a<f="]),
        ({**TRIGGERED, "at_least_one": True}, ["<f=time>10!", "<f=time>10</f> x"], ["", "text"]),
        ({**TRIGGERED, "stop_after_first": True}, ["x", "x<f=time>10!"], ["x<f=time>10!y"]),
        ({**TRIGGERED, "at_least_one": True, "stop_after_first": True}, ["<f=time>10!"], ["x", "<f=time>10!y"]),
        ({**TRIGGERED, "excludes": ["bad"]}, ["good"], ["so bad"]),
        (
            {"type": "triggered_tags", "triggers": ["<tool_call>"], "tags": [CALL]},
            ["x{{<tool_call>}}\n{}\n{{</tool_call>}}y", "<tool_call>\n{}\n</tool_call>"],
            ["{{<tool_call>}}no"],
        ),
        (
            {
                "type": "token_triggered_tags",
                "trigger_tokens": ["<tool_call>"],
                "tags": [{**CALL, "begin": {"type": "token", "token": "<tool_call>"}}],
            },
            ["x{{<tool_call>}}{}\n{{</tool_call>}}"],
            ["{{<tool_call>}}x"],
        ),
        (
            {"type": "tags_with_separator", "tags": [WEATHER], "separator": ", "},
            ["", "<f=weather>{}</f>, <f=weather>{}</f>"],
            ["<f=weather>{}</f>,"],
        ),
        (
            {"type": "tags_with_separator", "tags": [TIME], "separator": "", "at_least_one": True},
            ["<f=time>10!<f=time>11!"],
            [""],
        ),
        (
            {"type": "dispatch", "rules": [["n=", {"type": "regex", "pattern": r"\d"}]], "excludes": ["x"]},
            ["say n=1 and n=2"],
            ["n=a", "x"],
        ),
        (
            {"type": "dispatch", "rules": [["n=", {"type": "regex", "pattern": r"\d"}]], "loop": False},
            ["say n=1", "say"],
            ["n=1 and"],
        ),
        ({"type": "token_dispatch", "rules": [["<think>", JSON]]}, ["so{{<think>}}{}"], ["{{<think>}}x"]),
    ],
)
def test_a_structural_tag_allows_what_its_formats_say(format: Any, yes: list[str], no: list[str]) -> None:
    constraint = tag(format)
    for text in yes:
        assert matches(constraint, text), text
    for text in no:
        assert not matches(constraint, text), text


def test_the_older_form_of_structural_tags_is_read() -> None:
    older = {
        "type": "structural_tag",
        "structures": [{"begin": "<f=a>", "schema": {"type": "object"}, "end": "</f>"}],
        "triggers": ["<f="],
    }
    constraint = structural_tag(json.dumps(older))
    assert matches(constraint, "so <f=a>{}</f> it is")
    assert not matches(constraint, "so <f=a>[]</f>")


def test_free_text_with_a_budget_of_its_own_ends_within_it() -> None:
    constraint = tag({"type": "tag", "begin": "(", "content": {**ANY, "max_tokens": 4}, "end": ")"})
    assert matches(constraint, "(abc)")
    assert not matches(constraint, "(abcdefgh)")


@pytest.mark.parametrize(
    ("format", "message"),
    [
        ({"type": "regexp"}, "structural_tag/format: formats of type 'regexp' are not served"),
        ({"type": "exclude_token", "exclude_tokens": ["a"]}, "formats of type 'exclude_token' are not served"),
        ({"type": "sequence", "elements": [{"type": "regex", "pattern": "(a"}]}, r"/format/elements/0: unbalanced"),
        ({"type": "tag", "begin": 1, "content": ANY, "end": "x"}, "structural_tag/format/begin: a string"),
        ({"type": "sequence", "elements": []}, "structural_tag/format/elements: there are none"),
        ({**JSON, "style": "qwen_xml"}, "style: 'qwen_xml' is not served"),
        ({**JSON, "excludes": ["x"]}, "excludes"),
        ({**TRIGGERED, "triggers": ["<g="]}, "begins with none of the triggers"),
        ({"type": "any_tokens", "exclude_tokens": [5]}, "no name of a special token"),
        ({"type": "token"}, "a token's name or id"),
        ({"type": "repeat", "min": 1, "content": ANY}, "min and max"),
    ],
)
def test_a_format_that_is_not_served_is_refused_with_its_place(format: Any, message: str) -> None:
    with pytest.raises((rellm.RellmError, ValueError), match=message):
        tag(format)


def test_deeply_nested_formats_are_refused() -> None:
    format: Any = ANY
    for _ in range(3000):
        format = {"type": "optional", "content": format}
    try:
        text = json.dumps({"format": format})
    except RecursionError:
        text = '{"format":' + '{"type":"optional","content":' * 3000 + '{"type":"any_text"}' + "}" * 3001
    with pytest.raises((rellm.RellmError, ValueError), match=r"deep|depth"):
        structural_tag(text)
