"""`ChatRELLM`: every form is constrained, messages reach the chat template, calls and thinking are told apart."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import pickle
import tomllib
import warnings
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("langchain_core")
pytest.importorskip("transformers")

import chat_scripts
import pydantic
import rellm
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.load import dumps, loads
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    ChatMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.runnables import ConfigurableField
from langchain_core.tools import tool
from rellm import testing
from rellm.integrations.langchain import RELLM, ChatRELLM
from rellm.integrations.langchain.chat_messages import template_messages
from typing_extensions import TypedDict

TEMPLATES = {
    case["family"]: case["source"]
    for case in tomllib.loads(
        (Path(__file__).resolve().parents[2] / "testdata" / "chat_templates.toml").read_text(encoding="utf-8")
    )["template"]
}
# What the script never wants to write: whoever answers like this was constrained.
NEVER = r"zq[0-9]{2}!"


class Person(pydantic.BaseModel):
    """A person."""

    name: str
    age: int = 0


@tool
def weather(city: str) -> str:
    """The weather of a city."""
    return f"sunny in {city}"


def total(chunks: Any) -> Any:
    found = None
    for chunk in chunks:
        found = chunk if found is None else found + chunk
    return found


async def atotal(chunks: Any) -> Any:
    return total([chunk async for chunk in chunks])


FORMS = {
    "invoke": lambda m: [m.invoke("Hi").content],
    "messages": lambda m: [m.invoke([SystemMessage("Be kind."), HumanMessage("Hi")]).content],
    "stream": lambda m: [total(m.stream("Hi")).content],
    "batch": lambda m: [one.content for one in m.batch(["Hi", "Ho", "Hu"])],
    "batch, bounded": lambda m: [one.content for one in m.batch(["Hi", "Ho"], config={"max_concurrency": 1})],
    "generate": lambda m: [row[0].text for row in m.generate([[HumanMessage("Hi")], [HumanMessage("Ho")]]).generations],
    "ainvoke": lambda m: [asyncio.run(m.ainvoke("Hi")).content],
    "astream": lambda m: [asyncio.run(atotal(m.astream("Hi"))).content],
    "abatch": lambda m: [one.content for one in asyncio.run(m.abatch(["Hi", "Ho"]))],
    "bind": lambda m: [m.bind(max_tokens=20).invoke("Hi").content],
    "n": lambda m: [one.text for one in m.generate([[HumanMessage("Hi")]], n=2).generations[0]],
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_obeys_the_constraint(form: str) -> None:
    import re

    answers = FORMS[form](chat_scripts.model(regex=NEVER, max_tokens=40))
    assert answers
    assert all(re.fullmatch(NEVER, answer) for answer in answers)


def test_a_constraint_may_come_with_the_call() -> None:
    chat = chat_scripts.model(max_tokens=40)
    assert chat.invoke("Hi").content == "Hello there, how are you?"
    assert chat.invoke("Hi", constraint=rellm.Choice(["yes"])).content == "yes"
    assert chat.bind(regex="no+!").invoke("Hi").content.startswith("no")
    assert json.loads(chat.bind(response_format={"type": "json_object"}).invoke("Hi").content) == {}


def test_all_kinds_of_messages_reach_the_template() -> None:
    found = template_messages(
        [
            SystemMessage("S"),
            HumanMessage([{"type": "text", "text": "a"}, "b"]),
            AIMessage(
                [{"type": "text", "text": "c"}, {"type": "tool_use", "id": "x", "name": "weather", "input": {}}],
                tool_calls=[{"name": "weather", "args": {"city": "Rome"}, "id": "x"}],
                additional_kwargs={"reasoning_content": "hm"},
            ),
            ToolMessage("sunny", tool_call_id="x", name="weather"),
            ChatMessage("d", role="critic"),
        ]
    )
    call = {"type": "function", "id": "x", "function": {"name": "weather", "arguments": {"city": "Rome"}}}
    assert found == [
        {"role": "system", "content": "S"},
        {"role": "user", "content": "a\nb"},
        {"role": "assistant", "content": "c", "reasoning_content": "hm", "tool_calls": [call]},
        {"role": "tool", "content": "sunny", "tool_call_id": "x", "name": "weather"},
        {"role": "critic", "content": "d"},
    ]


def test_what_is_no_text_is_told() -> None:
    chat = chat_scripts.model()
    with pytest.raises(ValueError, match="a part of the type 'image_url': this model reads text only"):
        chat.invoke([HumanMessage([{"type": "image_url", "image_url": "x"}])])
    with pytest.raises(ValueError, match="there are no messages"):
        chat.invoke([])


def test_an_answer_that_is_begun_goes_on() -> None:
    chat = chat_scripts.saying("blue.")
    assert chat.invoke([HumanMessage("Sky?"), AIMessage("It is ")]).content == "blue."


def test_an_answer_that_is_begun_is_healed_where_that_is_asked_for() -> None:
    tokenizer = testing.tiny_tokenizer(words=["://"])
    chat = ChatRELLM(model=testing.scripted_model("://a.org", tokenizer), tokenizer=tokenizer, regex=r"//[a-z.]+")
    begun = [HumanMessage("A url?"), AIMessage("See http:")]
    assert chat.invoke(begun, token_healing=True).content == "//a.org"
    assert chat.invoke(begun, token_healing=True).usage_metadata["output_tokens"] == 6
    healing = chat.model_copy(update={"token_healing": True})
    chunks = [chunk.content for chunk in healing.stream(begun) if chunk.content]
    assert chunks == ["//", "a", ".", "o", "r", "g"]
    assert [one.content for one in healing.batch([begun, begun])] == ["//a.org", "//a.org"]
    assert chat.invoke("Hi", tokenisation="canonical", regex="[ab]").content in ("a", "b")
    with pytest.raises(ValueError, match="tokenisation"):
        chat_scripts.model(tokenisation="best")
    llm = RELLM(
        pipeline=pipeline_around(chat), regex=r"//[a-z.]+", pipeline_kwargs={"token_healing": True}, max_new_tokens=20
    )
    assert llm.invoke("See http:") == "".join(llm.stream("See http:")) == "//a.org"
    assert llm.get_token_ids("http:") == tokenizer("http:")["input_ids"]


def pipeline_around(chat: Any) -> Any:
    from transformers import pipeline

    return pipeline("text-generation", model=chat.model, tokenizer=chat.tokenizer)


def test_ids_that_a_template_refuses_are_replaced_in_calls_and_results() -> None:
    made = template_messages(
        [
            AIMessage("", tool_calls=[{"name": "f", "args": {}, "id": "call_12345"}]),
            ToolMessage("x", tool_call_id="call_12345"),
        ],
        "[a-zA-Z0-9]{9}",
    )
    assert len(made[0]["tool_calls"][0]["id"]) == 9
    assert made[1]["tool_call_id"] == made[0]["tool_calls"][0]["id"]


@pytest.mark.parametrize("family", [name for name in TEMPLATES if "Gemma 2" not in name])
def test_a_call_goes_round_with_the_template_of_every_family(family: str) -> None:
    from rellm._constraints.tool_calls.template_probe import template_tools

    tokenizer = testing.tiny_tokenizer()
    tokenizer.chat_template = TEMPLATES[family]
    layout = template_tools(tokenizer).layout
    call = {"name": "weather", "args": {"city": "Rome"}, "id": "abcdefghi"}
    closing = "</think>" if family == "DeepSeek R1" else ""  # its prompts have begun to think
    chat = chat_scripts.saying(closing + layout.write([call]), TEMPLATES[family], layout.tokens, max_tokens=300)
    message = chat.bind_tools([weather], tool_choice="any").invoke("Weather in Rome?")
    assert [(one["name"], one["args"]) for one in message.tool_calls] == [("weather", {"city": "Rome"})]
    assert message.content == ""
    streamed = total(chat.bind_tools([weather], tool_choice="any").stream("Weather in Rome?"))
    assert [(one["name"], one["args"]) for one in streamed.tool_calls] == [("weather", {"city": "Rome"})]
    # The next turn renders what was written.
    history = [
        HumanMessage("Weather in Rome?"),
        message,
        ToolMessage("sunny", tool_call_id=message.tool_calls[0]["id"]),
    ]
    request = chat._request(history, None, {"tools": [weather]})
    from rellm._generate.prompts import chat_text

    text = chat_text(request.prompt, chat.tokenizer, request.options)
    assert layout.write([{**call, "id": message.tool_calls[0]["id"]}]) in text
    assert "sunny" in text


def test_tool_calls_stream_their_arguments() -> None:
    chat = chat_scripts.model(max_tokens=200).bind_tools([weather])
    chunks = list(chat.stream("Weather in Rome?"))
    pieces = [chunk.tool_call_chunks[0] for chunk in chunks if chunk.tool_call_chunks]
    assert pieces[0]["name"] == "weather"
    assert pieces[0]["id"].startswith("call_")
    assert "".join(piece["args"] or "" for piece in pieces) == '{"city": "Rome"}'
    assert len(pieces) > 5
    assert total(chunks).response_metadata["finish_reason"] == "tool_calls"
    assert total(chunks).content == ""
    said = chat_scripts.saying('Well.\n<tool_call>\n{"name": "weather", "arguments": {"city": "Rome"}}\n</tool_call>')
    for version in ("v0", "v1"):
        message = total(said.model_copy(update={"output_version": version}).bind_tools([weather]).stream("Hi"))
        assert message.text == "Well."
        assert [block["type"] for block in message.content_blocks] == ["text", "tool_call"]


@pytest.mark.parametrize(
    ("choice", "calls"),
    [("auto", True), (None, True), ("any", True), ("required", True), (True, True), ("none", False),
     ("weather", True), ({"type": "function", "function": {"name": "weather"}}, True), (False, True)],
)  # fmt: skip
def test_every_form_of_tool_choice(choice: Any, calls: bool) -> None:
    chat = chat_scripts.model(max_tokens=200).bind_tools([weather], tool_choice=choice)
    assert bool(chat.invoke("Weather?").tool_calls) is calls


def test_wrong_tools_are_told() -> None:
    chat = chat_scripts.model()
    with pytest.raises(TypeError, match="tool_choice is"):
        chat.bind_tools([weather], tool_choice=3)
    with pytest.raises(rellm.PatternError, match="choice names 'sky'"):
        chat.bind_tools([weather], tool_choice="sky").invoke("Hi")
    with pytest.raises(ValueError, match="no tools are bound"):
        chat.invoke("Hi", tool_choice="any")


def test_a_call_or_the_answer() -> None:
    chat = chat_scripts.model(max_tokens=200).bind_tools([weather], response_format=Person)
    message = chat.invoke("Weather in Rome?")
    assert message.tool_calls[0]["args"] == {"city": "Rome"}
    history = [HumanMessage("Weather?"), message, ToolMessage("sunny", tool_call_id=message.tool_calls[0]["id"])]
    assert Person.model_validate_json(chat.invoke(history).content).name == "Ada"


class Typed(TypedDict):
    name: str
    age: int


@dataclasses.dataclass
class Data:
    name: str
    age: int = 0


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (Person, Person(name="Ada", age=36)),
        (Typed, {"name": "Ada", "age": 36}),
        (Data, Data("Ada", 36)),
        (Person.model_json_schema(), {"name": "Ada", "age": 36}),
        (rellm.JsonSchema.of(Person), Person(name="Ada", age=36)),
    ],
)
def test_structured_output_is_an_instance_and_streams_its_parts(schema: Any, value: Any) -> None:
    chat = chat_scripts.model(max_tokens=100)
    for method in ("json_schema", "function_calling", "json_mode"):
        assert chat.with_structured_output(schema, method=method).invoke("Who?") == value
    parts = list(chat.with_structured_output(schema).stream("Who?"))
    assert parts[-1] == value
    assert all(type(part) is type(value) for part in parts)
    if not dataclasses.is_dataclass(value):
        assert len(parts) > 3
    assert asyncio.run(atotal_last(chat.with_structured_output(schema).astream("Who?"))) == value


async def atotal_last(values: Any) -> Any:
    return [value async for value in values][-1]


def test_structured_output_with_the_raw_message_and_with_tools() -> None:
    chat = chat_scripts.model(max_tokens=200)
    found = chat.with_structured_output(Person, include_raw=True).invoke("Who?")
    assert found["parsed"] == Person(name="Ada", age=36)
    assert found["raw"].content == '{"name": "Ada", "age": 36}'
    assert found["parsing_error"] is None
    called = chat.with_structured_output(Person, tools=[weather]).invoke("Weather?")
    assert called.tool_calls[0]["name"] == "weather"
    with pytest.raises(ValueError, match="method is 'xml'"):
        chat.with_structured_output(Person, method="xml")


def test_structured_output_of_the_language_model() -> None:
    import real_model

    llm = RELLM(pipeline=real_model.pipeline(), regex="x", max_new_tokens=60, pipeline_kwargs={"do_sample": False})
    person = llm.with_structured_output(Person).invoke("Ada Lovelace was 36. As JSON: ")
    assert isinstance(person, Person)
    assert llm.invoke("Answer: ", regex="yes|no") in ("yes", "no")
    assert llm.bind(constraint=rellm.Choice(["7"])).invoke("Answer: ") == "7"
    traced = llm.generate(["Answer: "], trace=True, regex="yes|no")
    assert traced.generations[0][0].generation_info["trace"].tokens


def test_instructions_tell_the_schema_or_what_they_are_given() -> None:
    chat = chat_scripts.model(max_tokens=100)

    def system(**given: Any) -> str:
        prompt = chat._request(
            [HumanMessage("Who?")], None, {"constraint": rellm.JsonSchema.of(Person), **given}
        ).prompt
        return prompt[0]["content"] if prompt[0]["role"] == "system" else ""

    assert '"name": a string' in system()
    assert system(instructions=False) == ""
    assert system(instructions="Be brief.") == "Be brief."


def test_thinking_reaches_langchain_as_reasoning_content() -> None:
    template = "{% for m in messages %}{{ m.content }}\n{% endfor %}A: {{ '<think>\n' }}{# </think> #}"
    chat = chat_scripts.saying("Two.</think>\n\n2", template, regex=r"\d")
    message = chat.invoke("1 + 1?")
    assert message.content == "2"
    assert message.additional_kwargs["reasoning_content"] == "Two."
    assert any(block["type"] == "reasoning" for block in message.content_blocks)
    streamed = total(chat.stream("1 + 1?"))
    assert streamed.content == "2"
    assert streamed.additional_kwargs["reasoning_content"] == "Two."
    assert "reasoning_content" not in chat.invoke("1 + 1?", reasoning=False).additional_kwargs


def test_a_stream_comes_token_by_token_and_ends_with_its_usage() -> None:
    chat = chat_scripts.model()
    chunks = list(chat.stream("Hi"))
    assert all(isinstance(chunk, AIMessageChunk) for chunk in chunks)
    usage = total(chunks).usage_metadata
    assert usage == chat.invoke("Hi").usage_metadata
    shown = [chunk for chunk in chunks if chunk.content]
    assert len(shown) >= usage["output_tokens"] - 1
    assert total(chat.stream("Hi", stream_usage=False)).usage_metadata is None


def test_the_first_chunk_comes_before_the_second_tokens_pass() -> None:
    chat = chat_scripts.model()
    passes = []
    forward = chat.model.forward
    chat.model.forward = lambda *a, **k: passes.append(1) or forward(*a, **k)
    chunk = next(iter(chat.stream("Hi")))
    assert chunk.content == "H"
    assert len(passes) == 1


def test_a_cancelled_call_stops_within_one_token() -> None:
    chat = chat_scripts.saying("on and on " * 200, max_tokens=2000)
    passes = []
    forward = chat.model.forward
    chat.model.forward = lambda *a, **k: passes.append(1) or forward(*a, **k)

    async def cancel(make: Any) -> int:
        task = asyncio.ensure_future(make())
        while len(passes) < 3:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        seen = len(passes)
        await asyncio.sleep(0.3)
        return len(passes) - seen

    async def streamed() -> None:
        async for _ in chat.astream("Hi"):
            pass

    for make in (lambda: chat.ainvoke("Hi"), streamed):
        passes.clear()
        assert asyncio.run(cancel(make)) <= 1


def test_stop_strings_cut_and_are_marked() -> None:
    chat = chat_scripts.model(stop="how")
    message = chat.invoke("Hi")
    assert message.content == "Hello there, "
    assert message.response_metadata["finish_reason"] == "stop"
    assert chat_scripts.model().invoke("Hi", stop=["there"]).content == "Hello "


def test_what_does_not_fit_raises_and_is_never_a_silent_partial() -> None:
    with pytest.raises(rellm.BudgetError):
        chat_scripts.model(regex="a{50}", max_tokens=10).invoke("Hi")
    assert chat_scripts.model(max_tokens=5).invoke("Hi").response_metadata["finish_reason"] == "length"


def test_a_batch_is_one_padded_pass_and_one_failure_is_not_the_others() -> None:
    chat = chat_scripts.model(batch_size=8)
    rows: list[int] = []
    forward = chat.model.forward
    chat.model.forward = lambda input_ids, *a, **k: rows.append(len(input_ids)) or forward(input_ids, *a, **k)
    assert len({message.content for message in chat.batch(["a", "bb", "ccc", "dddd"])}) == 1
    assert max(rows) == 4
    bad = [HumanMessage([{"type": "image_url", "image_url": "x"}])]
    found = chat.batch(["a", bad, "c"], return_exceptions=True)
    assert isinstance(found[1], ValueError)
    assert found[0].content == found[2].content == "Hello there, how are you?"


def test_caches_know_a_constraint_from_another() -> None:
    chat = chat_scripts.model(cache=InMemoryCache(), max_tokens=30)
    assert chat.invoke("Hi", regex="a").content == "a"
    assert chat.invoke("Hi", regex="b").content == "b"
    chat.model.forward = None  # only the cache can answer now
    assert chat.invoke("Hi", regex="a").content == "a"


def test_callbacks_hear_of_tokens_and_of_the_end() -> None:
    class Heard(BaseCallbackHandler):
        def __init__(self) -> None:
            self.tokens: list[str] = []
            self.ended = 0

        def on_llm_new_token(self, token: str, **_: Any) -> None:
            self.tokens.append(token)

        def on_llm_end(self, response: Any, **_: Any) -> None:
            self.ended += 1

    heard = Heard()
    list(chat_scripts.model().stream("Hi", config={"callbacks": [heard]}))
    assert "".join(heard.tokens) == "Hello there, how are you?"
    assert heard.ended == 1


def test_fields_are_configurable_and_the_model_is_a_value() -> None:
    chat = chat_scripts.model(max_tokens=50).configurable_fields(max_tokens=ConfigurableField(id="most"))
    found = chat.with_config(configurable={"most": 4}).invoke("Hi")
    assert found.usage_metadata["output_tokens"] == 4
    one = ChatRELLM(model_id="somewhere", regex="a+", temperature=0.5)
    again = pickle.loads(pickle.dumps(one))
    assert again.in_force == rellm.Regex("a+")
    assert again.temperature == 0.5
    data = json.loads(dumps(one))
    assert data["id"] == ["rellm", "integrations", "langchain", "ChatRELLM"]
    assert data["kwargs"]["constraint"]["pattern"] == "a+"
    assert loads(dumps(one), allowed_objects=[ChatRELLM], valid_namespaces=["rellm"]).in_force == one.in_force
    assert json.loads(dumps(chat_scripts.model()))["type"] == "not_implemented"


def test_logprobs_and_traces_stand_in_the_metadata() -> None:
    import math

    found = chat_scripts.model(logprobs=True, top_logprobs=2, trace=True).invoke("Hi", regex="He|Ho").response_metadata
    content = found["logprobs"]["content"]
    assert [entry["token"] for entry in content] == ["H", "e"]
    assert all(len(entry["top_logprobs"]) == 2 for entry in content)
    assert math.isclose(content[0]["logprob"], found["trace"].tokens[0].log_probability_before, abs_tol=1e-3)


@pytest.mark.parametrize("temperature", [0, None])
def test_what_sampling_alone_chooses_from_is_not_dropped_silently(temperature: float | None) -> None:
    greedy = chat_scripts.saying("yes", temperature=temperature, top_p=0.5, regex="yes|no")
    with pytest.warns(UserWarning, match="top_p does nothing where decoding is greedy: give a temperature above 0"):
        assert greedy.invoke("?").content == "yes"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sampled = chat_scripts.saying("yes", temperature=0.5, top_p=0.5, top_k=3, regex="yes|no")
        assert sampled.invoke("?").content in ("yes", "no")


def test_penalties_seeds_and_temperatures_reach_the_model() -> None:
    chat = chat_scripts.saying("aaaa", max_tokens=10)
    assert chat.invoke("Hi").content == "aaaa"
    assert chat.invoke("Hi", frequency_penalty=100.0).content == "a"
    biased = chat.invoke("Hi", logit_bias={ord("b"): 100.0}, regex="[ab]{3}")
    assert biased.content == "bbb"
    loose = chat_scripts.saying("", temperature=50.0, max_tokens=30, regex="[a-z]{12}")
    assert loose.invoke("Hi", seed=1).content == loose.invoke("Hi", seed=1).content
    assert loose.invoke("Hi", seed=1).content != loose.invoke("Hi", seed=2).content


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "ChatRELLM needs a model"),
        ({"model_id": "x", "regex": "a", "constraint": rellm.Choice(["a"])}, "regex and constraint are both given"),
        ({"pipeline": 3}, "pipeline is int: pass what transformers.pipeline"),
        ({"model": object()}, "a model needs its tokenizer"),
        ({"model_id": "x", "tool_format": "xml"}, "'xml' is no format of tool calls"),
        ({"model_id": "x", "max_tokens": 0}, "greater than or equal to 1"),
    ],
)
def test_a_wrong_field_is_told(fields: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ChatRELLM(**fields)


def test_a_wrong_pattern_raises_when_the_model_is_made() -> None:
    with pytest.raises(rellm.PatternError):
        ChatRELLM(model_id="x", regex="(")


def test_the_pipeline_of_langchain_huggingface_is_taken() -> None:
    import real_model
    from langchain_huggingface import HuggingFacePipeline

    llm = HuggingFacePipeline(pipeline=real_model.pipeline())
    for chat in (ChatRELLM(llm=llm, max_tokens=8), ChatRELLM(pipeline=llm, max_tokens=8)):
        assert chat.invoke("Yes or no?", regex="yes|no", temperature=0).content in ("yes", "no")
    assert RELLM(pipeline=llm, regex="a").invoke("Hi") == "a"
    assert ChatRELLM(llm=llm).profile["max_input_tokens"] == 8192
