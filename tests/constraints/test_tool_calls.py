"""`rellm.ToolCalls`: names and arguments are valid, and what is read back is rendered as it was written."""

from __future__ import annotations

import dataclasses
import datetime
import json
import logging
import pickle
import random
import tomllib
from pathlib import Path
from typing import Any

import pydantic
import pytest
import rellm
from random_texts import random_tokens
from rellm import testing
from rellm._constraints.tool_calls.argument_style import ArgumentStyle
from rellm._constraints.tool_calls.call_format import format_named, format_names
from rellm._constraints.tool_calls.call_reader import ArgumentsDelta, CallBegun, CallReader, TextDelta
from rellm._constraints.tool_calls.template_probe import call_message, template_tools

_DATA = Path(__file__).resolve().parents[2] / "testdata" / "chat_templates.toml"
TEMPLATES = tomllib.loads(_DATA.read_text(encoding="utf-8"))["template"]
UNKNOWN = (
    "{% for t in tools or [] %}{{ t.function.name }}{% endfor %}{% for m in messages %}{{ m.content or '' }}"
    "{% for c in m.tool_calls or [] %}<invoke {{ c.function.name }}>{% for k, v in c.function.arguments.items() %}"
    "<{{ k }}>{{ v }}</{{ k }}>{% endfor %}</invoke>{% endfor %}{% endfor %}"
)


def weather(city: str, days: int = 3) -> str:
    """The weather of a city.

    The forecast covers some days.
    """
    return f"{city} {days}"


SEARCH = {
    "type": "function",
    "function": {
        "name": "search",
        "description": "Searches.",
        "parameters": {
            "type": "object",
            "properties": {
                "query": {"type": "string", "minLength": 1},
                "score": {"type": "number"},
                "filters": {
                    "type": "object",
                    "properties": {"fresh": {"type": "boolean"}, "area": {"type": ["string", "null"], "maxLength": 9}},
                },
                "pages": {"type": "array", "items": {"type": "integer", "minimum": -5}, "maxItems": 3},
                "kind": {"enum": ["book", 'a "film"', "a\\b"]},
            },
            "required": ["query"],
        },
    },
}


def now() -> str:
    """The time."""
    return "now"


TOOLS = [weather, SEARCH, now]


def rendered(template: str, calls: Any, content: str, tools: Any) -> str:
    tokenizer = testing.tiny_tokenizer()
    tokenizer.chat_template = template
    messages = [{"role": "user", "content": "Hi"}, call_message(calls, content)]
    return str(tokenizer.apply_chat_template(messages, tools=tools, tokenize=False))


@pytest.mark.parametrize("case", TEMPLATES, ids=lambda case: case["family"])
def test_the_format_of_a_template_is_recognised_by_rendering_a_call(case: Any) -> None:
    tokenizer = testing.tiny_tokenizer()
    tokenizer.chat_template = case["source"]
    found = template_tools(tokenizer)
    assert (found.layout.name, found.layout.parallel, found.layout.text_before) == (
        case["format"],
        case["parallel"],
        case["text_before"],
    )
    assert found.takes_tools is case.get("takes_tools", True)
    assert found.renders_calls is case.get("renders_calls", True)


@pytest.mark.parametrize("case", TEMPLATES, ids=lambda case: case["family"])
def test_rendering_the_read_calls_gives_the_written_text(case: Any) -> None:
    tokenizer = testing.tiny_tokenizer()
    tokenizer.chat_template = case["source"]
    found = template_tools(tokenizer)
    vocabulary = testing.tiny_vocabulary(special_tokens=found.layout.tokens)
    for seed in range(12):
        rng = random.Random(seed)
        choice = rng.choice(["required", "auto", "search"])
        constraint = rellm.ToolCalls(TOOLS, choice, found.layout, parallel=rng.random() < 0.5)
        compiled = rellm.compile(constraint, vocabulary)
        matcher = random_tokens(compiled, rng, rng.choice([40, 150, 400]))
        pieces = compiled.pieces(matcher)
        written = "".join(piece if isinstance(piece, str) else piece.name for piece in pieces)
        reply = constraint.parse(pieces)
        assert isinstance(reply, rellm.ToolReply)
        if not reply.tool_calls:
            assert choice == "auto"
            assert found.layout.write([], reply.content) == written
            continue
        calls = [dataclasses.asdict(call) for call in reply.tool_calls]
        for call in calls:
            if call["name"] == "search":
                import jsonschema

                jsonschema.validate(call["args"], SEARCH["function"]["parameters"])  # type: ignore[index]
            assert call["name"] in ("search",) if choice == "search" else ("weather", "search", "now")
        if found.renders_calls:
            assert written in rendered(case["source"], calls, reply.content, None)
        else:
            assert written == found.layout.write(calls, reply.content)


def mistral_templates() -> list[tuple[str, str, str]]:
    """The templates that the package of Mistral's tokenizers makes."""
    from mistral_common.integrations.chat_templates.chat_templates import generate_chat_template
    from mistral_common.tokens.tokenizers.base import TokenizerVersion

    wanted = [
        (TokenizerVersion.v3, True, "mistral-v3-spaced"),
        (TokenizerVersion.v3, False, "mistral"),
        (TokenizerVersion.v11, False, "mistral-v11"),
        (TokenizerVersion.v13, False, "mistral-v13"),
    ]
    return [
        (
            f"{version.value}{'-spm' if spm else ''}",
            generate_chat_template(
                spm=spm, tokenizer_version=version, image_support=False, audio_support=False, thinking_support=False,
                default_system_prompt=None, plain_thinking_support=False, use_special_token_variables=False,
                model_settings_fields=None, reasoning_effort_values=None, reasoning_effort_default=None,
            ),
            name,
        )
        for version, spm, name in wanted
    ]  # fmt: skip


@pytest.mark.parametrize(("template", "name"), [(t, n) for _, t, n in mistral_templates()], ids=[v for v, _, _ in mistral_templates()])  # noqa: E501  # fmt: skip
def test_mistrals_own_templates_are_recognised_and_render_what_was_written(template: str, name: str) -> None:
    tokenizer = testing.tiny_tokenizer()
    tokenizer.chat_template = template
    layout = template_tools(tokenizer).layout
    assert layout.name == name
    vocabulary = testing.tiny_vocabulary(special_tokens=layout.tokens)
    for seed in range(10):
        constraint = rellm.ToolCalls(TOOLS, "required", layout, parallel=seed % 2 == 0)
        compiled = rellm.compile(constraint, vocabulary)
        pieces = compiled.pieces(random_tokens(compiled, random.Random(seed), 100))
        written = "".join(piece if isinstance(piece, str) else piece.name for piece in pieces)
        calls = [dataclasses.asdict(call) for call in constraint.parse(pieces).tool_calls]
        assert written in rendered(template, calls, "", None)


def test_a_format_that_is_not_known_is_an_error_with_the_list() -> None:
    tokenizer = testing.tiny_tokenizer()
    tokenizer.chat_template = UNKNOWN
    with pytest.raises(rellm.UnsupportedError, match="renders calls in a format that is not known") as caught:
        template_tools(tokenizer)
    assert all(repr(name) in str(caught.value) for name in format_names())
    with pytest.raises(rellm.UnsupportedError, match="'xml' is no format of tool calls: known are"):
        rellm.ToolCalls(TOOLS, format="xml")


# As Qwen3-Coder, GLM and Command R+ write calls: each argument between tags of its own, and an indented list.
XML_KINDS = {
    "parameters": "<tool_call>\n<function={{ name }}>\n{% for key in arguments %}<parameter={{ key }}>\n"
    "{{ arguments[key] }}\n</parameter>\n{% endfor %}</function>\n</tool_call>",
    "keys and values": "<tool_call>{{ name }}\n{% for key in arguments %}<arg_key>{{ key }}</arg_key>\n"
    "<arg_value>{{ arguments[key] }}</arg_value>\n{% endfor %}</tool_call>",
    "Action": 'Action: ```json\n[\n    {\n        "tool_name": "{{ name }}",\n'
    '        "parameters": {{ arguments | tojson(indent=4) }}\n    }\n]```',
}


@pytest.mark.parametrize("kind", XML_KINDS)
def test_formats_that_are_none_of_ours_are_told_with_what_they_look_like(kind: str) -> None:
    call = XML_KINDS[kind].replace("name }}", "call.function.name }}").replace("arguments", "call.function.arguments")
    tokenizer = testing.tiny_tokenizer()
    tokenizer.chat_template = (
        "{% for tool in tools or [] %}{{ tool | tojson }}{% endfor %}{% for message in messages %}{{ message.role }}: "
        "{{ message.content or '' }}{% for call in message.tool_calls or [] %}" + call + "{% endfor %}\n{% endfor %}"
    )
    with pytest.raises(rellm.UnsupportedError, match=r"not known: ….*murmel tau.*known are 'command'") as caught:
        template_tools(tokenizer)
    assert "format=" in str(caught.value)
    # A format that is named is taken at its word.
    calls = rellm.ToolCalls(TOOLS, format="hermes", choice="required")
    model = testing.scripted_model('<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>', tokenizer)
    found = rellm.Generator(model, tokenizer)([{"role": "user", "content": "Time?"}], calls).value
    assert [one.name for one in found.tool_calls] == ["now"]


def test_a_template_without_tools_is_told_them_in_a_system_text(caplog: pytest.LogCaptureFixture) -> None:
    generator = testing.scripted_generator('<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>')
    seen: list[str] = []
    template = generator.tokenizer.apply_chat_template
    generator.tokenizer.apply_chat_template = lambda *a, **k: seen.append(template(*a, **k)) or seen[-1]
    with caplog.at_level(logging.INFO, "rellm"):
        completion = generator([{"role": "user", "content": "When is it?"}], rellm.ToolCalls(TOOLS))
    assert completion.value.tool_calls[0].name == "now"
    prompt = seen[-1]
    assert prompt.startswith("system: You can call these tools")
    assert '"name": "weather", "description": "The weather of a city.' in prompt
    assert "When is it?" in prompt
    assert sum("the chat template has no tools" in record.message for record in caplog.records) <= 1


def test_a_model_that_begins_a_call_ends_it_and_writes_arguments_of_the_schema() -> None:
    generator = testing.scripted_generator('I look.\n<tool_call>\n{"name": "unknown", "args": 3} and so on')
    completion = generator("", rellm.ToolCalls(TOOLS), max_new_tokens=200)
    assert completion.is_complete
    reply = completion.value
    assert reply.content == "I look."
    assert [call.name for call in reply.tool_calls] == ["now"] or reply.tool_calls[0].name in ("weather", "search")


def test_with_auto_the_model_may_answer_in_text() -> None:
    generator = testing.scripted_generator("It is noon.")
    reply = generator("", rellm.ToolCalls(TOOLS)).value
    assert reply == rellm.ToolReply("It is noon.")


@pytest.mark.parametrize("choice", ["required", "any", "now", ["now"]])
def test_a_call_that_is_required_is_written_whatever_the_model_wants(choice: Any) -> None:
    generator = testing.scripted_generator("It is noon.")
    reply = generator("", rellm.ToolCalls(TOOLS, choice), max_new_tokens=150).value
    assert len(reply.tool_calls) == 1
    assert reply.content == ""
    if choice not in ("required", "any"):
        assert reply.tool_calls[0].name == "now"
        assert reply.tool_calls[0].args == {}


def test_none_allows_no_call() -> None:
    generator = testing.scripted_generator('<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>')
    assert generator("", rellm.ToolCalls(TOOLS, "none"), max_new_tokens=150).value.tool_calls == ()


def test_an_answer_stands_in_place_of_text() -> None:
    class Person(pydantic.BaseModel):
        name: str
        born: datetime.date

    constraint = rellm.ToolCalls(TOOLS, answer=Person)
    text = '{"name": "Ada", "born": "1815-12-10"}'
    reply = testing.scripted_generator(text)("", constraint).value
    assert reply.answer == Person(name="Ada", born=datetime.date(1815, 12, 10))
    call = '<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>'
    assert testing.scripted_generator(call)("", constraint).value.tool_calls[0].name == "now"
    # Without a marker, a name tells an answer and a call apart.
    plain = constraint.in_format(format_named("llama-json"))
    assert plain.parse(text).answer == reply.answer
    assert plain.parse('{"name": "now", "parameters": {}}').tool_calls[0].name == "now"


def test_several_calls_stand_in_one_message_only_where_that_is_asked_for() -> None:
    two = "\n".join('<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>' for _ in range(2))
    generator = testing.scripted_generator(two)
    assert len(generator("", rellm.ToolCalls(TOOLS, parallel=True)).value.tool_calls) == 2
    assert len(generator("", rellm.ToolCalls(TOOLS)).value.tool_calls) == 1
    ids = [call.id for call in generator("", rellm.ToolCalls(TOOLS, parallel=True)).value.tool_calls]
    assert len(set(ids)) == 2


def test_strict_writes_optional_arguments_too() -> None:
    compiled = rellm.compile(rellm.ToolCalls([weather], "required", strict=True), testing.tiny_vocabulary())
    matcher = compiled.matcher()
    matcher.advance_bytes(b'<tool_call>\n{"name": "weather", "arguments": {"city": "Rome"')
    assert matcher.forced_bytes().startswith(b', "days": ')
    loose = rellm.compile(rellm.ToolCalls([weather], "required"), testing.tiny_vocabulary()).matcher()
    loose.advance_bytes(b'<tool_call>\n{"name": "weather", "arguments": {"city": "Rome"')
    assert loose.forced_bytes() == b""


class Point(pydantic.BaseModel):
    """A point of the plane."""

    x: float
    y: float = 0.0


@dataclasses.dataclass
class Size:
    """How large."""

    width: int


class LangChainLike:
    name = "measure"
    description = "Measures."
    args_schema = Point


@pytest.mark.parametrize(
    ("tool", "name", "description", "keys"),
    [
        (weather, "weather", "The weather of a city.", ["city", "days"]),
        (Point, "Point", "A point of the plane.", ["x", "y"]),
        (Size, "Size", "How large.", ["width"]),
        (SEARCH, "search", "Searches.", ["query", "score", "filters", "pages", "kind"]),
        (SEARCH["function"], "search", "Searches.", ["query", "score", "filters", "pages", "kind"]),
        ({"name": "mcp", "inputSchema": {"type": "object", "properties": {"a": {}}}}, "mcp", "", ["a"]),
        ({"name": "claude", "description": "d", "input_schema": {"type": "object"}}, "claude", "d", []),
        ({"title": "Titled", "type": "object", "properties": {"b": {"type": "null"}}}, "Titled", "", ["b"]),
        (LangChainLike(), "measure", "Measures.", ["x", "y"]),
    ],
)
def test_a_tool_is_whatever_describes_one(tool: Any, name: str, description: str, keys: list[str]) -> None:
    found = rellm.ToolCalls([tool]).tools[0].to_openai()["function"]
    assert found["name"] == name
    assert found["description"].splitlines()[:1] == ([description] if description else [])
    assert list(found["parameters"].get("properties", {})) == keys


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: rellm.ToolCalls(weather), TypeError, r"tools are a list, not function .*: put it into \[ \]"),
        (lambda: rellm.ToolCalls([3]), TypeError, "a tool is a function, a model or other type"),
        (lambda: rellm.ToolCalls([{"a": 1}]), TypeError, "this dict describes no tool"),
        (lambda: rellm.ToolCalls([weather, weather]), rellm.PatternError, "two tools are named 'weather'"),
        (lambda: rellm.ToolCalls([weather], "wether"), rellm.PatternError, "choice names 'wether', and the tools are"),
        (lambda: rellm.ToolCalls([weather], 3), TypeError, "choice is"),
        (lambda: rellm.ToolCalls([], "required"), rellm.PatternError, "asks for a call, and there are no tools"),
        (lambda: rellm.ToolCalls([weather], []), rellm.PatternError, "allows no tool"),
        (lambda: rellm.ToolCalls([{"name": "a b", "parameters": {}}]), rellm.PatternError, "is no name of a tool"),
        (lambda: rellm.ToolCalls([{"name": "a", "parameters": {"type": "array"}}]), rellm.SchemaError, "not an object"),
        (lambda: rellm.ToolCalls([lambda *a: 0]), TypeError, "cannot be passed by name"),
        (lambda: rellm.ToolCalls([weather], format=3), TypeError, "format is the name of a format"),
        (
            lambda: rellm.validate(
                rellm.ToolCalls(
                    [{"name": "a", "parameters": {"properties": {"b c": {}}}}], "required", "llama-pythonic"
                )
            ),
            rellm.UnsupportedError,
            "the argument 'b c' cannot be written in the format 'llama-pythonic'",
        ),
    ],
)
def test_a_mistake_is_told_in_words(make: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        make()


def test_tool_calls_are_values() -> None:
    constraint = rellm.ToolCalls([SEARCH], ["search"], "mistral", True, answer=rellm.Choice(["a"]))
    assert rellm.Constraint.from_json(constraint.to_json()) == constraint
    typed = rellm.ToolCalls([weather, Point])
    for one in (constraint, typed):
        assert pickle.loads(pickle.dumps(one)) == one
        assert hash(pickle.loads(pickle.dumps(one))) == hash(one)
        assert repr(one).startswith("ToolCalls([")
    assert constraint != typed
    with pytest.raises(rellm.UnsupportedError, match="a Python type cannot be written as JSON"):
        typed.to_json()


def test_ids_are_what_was_written_or_have_the_shape_that_the_template_takes() -> None:
    written = '[TOOL_CALLS][{"name": "now", "arguments": {}, "id": "Ab3de6gh9"}]'
    assert rellm.ToolCalls(TOOLS, format="mistral").parse(written).tool_calls[0].id == "Ab3de6gh9"
    short = rellm.ToolCalls(TOOLS, format="mistral-v13").parse("[TOOL_CALLS]now[ARGS]{}").tool_calls[0].id
    assert len(short) == 9
    assert short.isalnum()
    plain = rellm.ToolCalls(TOOLS).parse('<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>').tool_calls[0]
    assert plain.id.startswith("call_")


@pytest.mark.parametrize("name", format_names())
def test_a_message_read_piece_by_piece_tells_what_the_whole_one_tells(name: str) -> None:
    layout = format_named(name)
    calls = [
        {"name": "weather", "args": {"city": 'a "quoted" \\ {name}', "days": 12}, "id": "abcdefghi"},
        {"name": "now", "args": {}, "id": "abcdefghj"},
    ][: 2 if layout.parallel else 1]
    for message, content in (
        (layout.write(calls, "Hm." if layout.text_before else ""), "Hm." if layout.text_before else ""),
        (layout.write(calls), ""),
        (layout.write([], "plain, and < more"), "plain, and < more"),
    ):
        for size in (1, 2, 7, len(message)):
            reader = CallReader(layout, ["weather", "search", "now"])
            events = [e for at in range(0, len(message), size) for e in reader.feed(message[at : at + size])]
            events += reader.finish()
            assert "".join(e.text for e in events if isinstance(e, TextDelta)) == content
            begun = [e.name for e in events if isinstance(e, CallBegun)]
            is_call = content in ("", "Hm.")
            assert begun == ([call["name"] for call in calls] if is_call else [])
            for number, call in enumerate(calls if is_call else []):
                text = "".join(e.text for e in events if isinstance(e, ArgumentsDelta) and e.number == number)
                assert json.loads(text) == call["args"]
            assert reader.is_whole


def test_arguments_are_shown_while_they_are_written() -> None:
    reader = CallReader(format_named("hermes"), ["weather"])
    text = '<tool_call>\n{"name": "weather", "arguments": {"city": "Rome"}}\n</tool_call>'
    deltas = [e for sign in text for e in reader.feed(sign) if isinstance(e, ArgumentsDelta)]
    assert len(deltas) == len('{"city": "Rome"}')


def test_each_value_has_the_one_spelling_that_python_writes() -> None:
    vocabulary = testing.tiny_vocabulary()
    tool = {"name": "f", "parameters": {"properties": {"a": {}}, "required": ["a"]}}
    compiled = rellm.compile(rellm.ToolCalls([tool], "required", "functionary"), vocabulary)
    for text, is_right in [
        ("1", True), ("01", False), ("-0", False), ("-0.0", True), ("1.50", False), ("1.5", True), ("1e5", False),
        ("1e-05", True), ("0.00001", False), ("0.0001", True), ("1e+16", True), ("1E+16", False), ("1.0", True),
        ("0.1234567890123456789", False), ('"a\\u00e9"', False), ('"aé"', True), ('"\\/"', False), ('"\\u001f"', True),
        ('"\\u001F"', False), ('"\\n"', True), ('"\\u000a"', False), ("[1, 2]", True), ("[1,2]", False),
        ('{"x": null}', True), ('{"x":null}', False), ("123456789012345678901234567890", True),
    ]:  # fmt: skip
        matcher = compiled.matcher()
        try:
            matcher.advance_bytes(b'<function=f>{"a": ' + text.encode() + b"}</function>")
            found = bool(matcher.is_accepting)
        except rellm.TokenRejectedError:
            found = False
        assert found is is_right, text
        if is_right:
            assert json.dumps(json.loads(text), ensure_ascii=False) == text


def test_a_notation_of_ones_own_is_read_as_it_is_written() -> None:
    gemma = format_named("gemma").arguments
    value = {"b": 'x "y" \\', "A": [1, -2.5, True, None, {"d": {}, "c": "z"}], "c": False}
    assert gemma.write(value).startswith('{A:[1,-2.5,true,None,{c:<|"|>z<|"|>')
    assert gemma.read(gemma.write(value)) == value
    pythonic = format_named("llama-pythonic").arguments
    assert pythonic.write({"a": "q", "b": None}) == 'a="q", b=None'
    assert pythonic.read('a="q, b=\\"", b={"c": [True]}') == {"a": 'q, b="', "b": {"c": [True]}}
    assert ArgumentStyle().is_json


def test_a_description_declares_the_tools_in_the_format_in_force() -> None:
    text = rellm.describe(rellm.ToolCalls([weather], "weather", "mistral"))
    assert "Call weather." in text
    assert '[TOOL_CALLS][{"name": "the name"' in text
    assert '"city"' in text


def test_the_report_is_that_of_the_arguments() -> None:
    tool = {"name": "f", "parameters": {"properties": {"a": {"type": "string", "format": "unheard-of"}}}}
    entries = rellm.ToolCalls([tool]).report()
    assert any(entry.pointer == "/tools/f/parameters/properties/a/format" for entry in entries)
