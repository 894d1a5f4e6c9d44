"""LangChain's RELLM on the real model: every form is constrained, nothing is cut off in silence."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import threading
import time

import pytest
import regex

pytest.importorskip("langchain_core")
pytest.importorskip("transformers")

import real_model
import rellm
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler
from langchain_core.load import dumpd, dumps, loads
from langchain_core.output_parsers import JsonOutputParser, StrOutputParser
from langchain_core.prompts import PromptTemplate
from rellm._demo_model import PATTERN, PROMPT, STOP
from rellm.integrations.langchain import RELLM

# What no model writes on its own: whoever answers like this was constrained.
NEVER = r"zq[0-9]{2}ぬ!"


def model(**fields):
    return RELLM(pipeline=real_model.pipeline(), **{"pipeline_kwargs": {"do_sample": False}, **fields})


@pytest.fixture(scope="module")
def never():
    return model(regex=NEVER, max_new_tokens=40)


async def astream(llm, *arguments, **options):
    return "".join([piece async for piece in llm.astream(*arguments, **options)])


async def events(llm, prompt):
    return [event async for event in llm.astream_events(prompt, version="v2")]


FORMS = {
    "predict": lambda llm: [llm.predict("Hello")],
    "call": lambda llm: [llm("Hello")],
    "invoke": lambda llm: [llm.invoke("Hello")],
    "invoke with messages": lambda llm: [llm.invoke([("human", "Hello")])],
    "generate": lambda llm: [row[0].text for row in llm.generate(["Hello", "And now"]).generations],
    "batch": lambda llm: llm.batch(["Hello", "And now"]),
    "batch, bounded": lambda llm: llm.batch(["Hello", "And now"], config={"max_concurrency": 1}),
    "batch_as_completed": lambda llm: [text for _, text in llm.batch_as_completed(["Hello", "And now"])],
    "stream": lambda llm: ["".join(llm.stream("Hello"))],
    "ainvoke": lambda llm: [asyncio.run(llm.ainvoke("Hello"))],
    "agenerate": lambda llm: [asyncio.run(llm.agenerate(["Hello"])).generations[0][0].text],
    "abatch": lambda llm: asyncio.run(llm.abatch(["Hello", "And now"])),
    "astream": lambda llm: [asyncio.run(astream(llm, "Hello"))],
    "astream_events": lambda llm: [
        asyncio.run(events(llm, "Hello"))[-1]["data"]["output"]["generations"][0][0]["text"]
    ],
    "bind": lambda llm: [llm.bind(stop=["never there"]).invoke("Hello")],
    "with_config": lambda llm: [llm.with_config(tags=["a"]).invoke("Hello")],
    "with_retry": lambda llm: [llm.with_retry(stop_after_attempt=1).invoke("Hello")],
    "chain": lambda llm: [(PromptTemplate.from_template("{x}") | llm | StrOutputParser()).invoke({"x": "Hello"})],
    "chain, streamed": lambda llm: [
        "".join((PromptTemplate.from_template("{x}") | llm | StrOutputParser()).stream({"x": "Hello"}))
    ],
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_obeys_a_constraint_that_the_model_would_never_follow(never, form):
    texts = FORMS[form](never)
    assert texts
    for text in texts:
        assert re.fullmatch(NEVER, text), text


def test_the_forms_agree(never):
    assert len({FORMS[form](never)[0] for form in ("invoke", "generate", "batch", "stream", "ainvoke", "astream")}) == 1


def test_no_form_echoes_the_prompt(never):
    prompt = "The quick brown fox"
    llm = model(regex=".{1,12}")
    answers = [llm.invoke(prompt), llm.generate([prompt]).generations[0][0].text, "".join(llm.stream(prompt))]
    assert not any(prompt[:9] in answer for answer in answers)


@pytest.mark.parametrize("pattern", [NEVER, re.compile(NEVER), regex.compile(NEVER)], ids=["text", "re", "regex"])
def test_the_pattern_may_be_text_or_compiled_by_re_or_regex(pattern):
    assert re.fullmatch(NEVER, model(regex=pattern).invoke("Hello"))


def test_any_other_constraint_may_stand_in_its_place():
    assert model(constraint=rellm.Literal("Ω literal")).invoke("Hello") == "Ω literal"
    assert model(constraint=rellm.Choice(["azure", "crimson"])).invoke("Red, of course: ") in {"azure", "crimson"}
    parts = "Ω " + rellm.Choice(["azure", "crimson"]).named("colour") + rellm.Regex("[!?]").optional()
    assert re.fullmatch("Ω (azure|crimson)[!?]?", model(constraint=parts).invoke("Red, of course: "))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "give RELLM a regex or a constraint, one of the two"),
        ({"regex": "a", "constraint": rellm.Literal("a")}, "give RELLM a regex or a constraint, one of the two"),
        ({"regex": 7}, "regex is int: pass a str or a pattern compiled by re or regex"),
        ({"constraint": "a"}, "constraint is str: pass rellm.Regex, rellm.Choice or another rellm.Constraint"),
        ({"regex": b"a"}, "regex is bytes"),
        ({"regex": "a", "max_new_tokens": 0}, "greater than or equal to 1"),
        ({"regex": "a", "temperature": 0.5}, "Extra inputs are not permitted"),
    ],
)
def test_wrong_fields_are_refused_with_the_remedy(fields, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        model(**fields)


@pytest.mark.parametrize(
    ("fields", "kind", "message"),
    [
        ({"regex": r"\d+(abc"}, rellm.PatternError, "unbalanced parenthesis at position 7"),
        ({"regex": regex.compile("(?r)a")}, rellm.UnsupportedError, "REVERSE"),
        ({"regex": "a(?!)"}, rellm.UnsatisfiableError, "no text matches"),
        ({"regex": "(" * 600 + ")" * 600}, rellm.LimitExceededError, "Limits.nesting"),
    ],
)
@pytest.mark.parametrize("how", ["pipeline", "model_id"])
def test_a_constraint_that_cannot_be_served_is_refused_when_the_model_is_made(how, fields, kind, message):
    place = {"pipeline": real_model.pipeline()} if how == "pipeline" else {"model_id": "never/loaded"}
    with pytest.raises(kind, match=re.escape(message)) as raised:
        RELLM(**place, **fields)
    if kind is rellm.PatternError:
        assert raised.value.position == 7


def test_what_the_tokens_of_the_model_cannot_spell_is_refused_when_the_model_is_made():
    unspelled = "a\x04"  # no token of SmolLM2 has this byte
    vocabulary = rellm.Vocabulary.from_tokenizer(real_model.pipeline().tokenizer)
    with pytest.raises(rellm.UnsatisfiableError, match="no token of this vocabulary spells"):
        rellm.compile(rellm.Literal(unspelled), vocabulary)
    RELLM(model_id="never/loaded", constraint=rellm.Literal(unspelled))  # the tokenizer is not known yet
    for make in (RELLM, RELLM.from_model_id):
        place = {"pipeline": real_model.pipeline()} if make is RELLM else {"model_id": real_model.folder()}
        with pytest.raises(rellm.UnsatisfiableError, match="no token of this vocabulary spells"):
            make(**place, constraint=rellm.Literal(unspelled))


def test_without_a_model_the_error_says_how_to_give_one():
    with pytest.raises(ValueError, match=r"RELLM needs a model: pass pipeline="):
        RELLM(regex="a")
    with pytest.raises(ValueError, match=r"pipeline is object: pass what transformers\.pipeline"):
        RELLM(regex="a", pipeline=object())


# Stops


def test_stops_are_literal_and_cut_before_the_stop():
    llm = model(regex=r"[a-z]+[.(|][a-z]+")
    for stop in (".", "(", "|"):
        text = model(regex=rf"[a-z]{{3}}{re.escape(stop)}").invoke("Hello", stop=[stop])
        assert re.fullmatch("[a-z]{3}", text), text
    assert re.fullmatch(r"[a-z]+[.(|][a-z]+", llm.invoke("Hello", stop=["[a-z]"]))


def test_a_single_stop_is_not_a_list_of_its_characters():
    llm = model(regex=r"(?a)ab1(Human:)?", max_new_tokens=20)
    assert llm.predict("Hello", stop="never b") in ("ab1", "ab1Human:")
    assert llm.invoke("Hello", stop="Human:") == "ab1"
    assert "".join(llm.stream("Hello", stop="Human:")) == "ab1"


def test_a_budget_of_nothing_is_refused_in_a_call_too():
    llm = model(regex="yes|no")
    for ask in (lambda: llm.invoke("Hello", max_new_tokens=0), lambda: list(llm.stream("Hello", max_new_tokens=0))):
        with pytest.raises(ValueError, match="max_new_tokens is 0: it must be a whole number from 1 on"):
            ask()


def test_a_stop_inside_an_unfinished_answer_is_marked_where_there_is_room_for_a_mark():
    llm = model(regex=r"ab\.cd")
    (row,) = llm.generate(["Hello"], stop=["."]).generations
    assert row[0].text == "ab"
    assert row[0].generation_info["is_complete"] is False
    assert row[0].generation_info["finish_reason"] == "stop"
    (whole,) = llm.generate(["Hello"]).generations
    assert whole[0].generation_info["is_complete"] is True
    assert whole[0].generation_info["finish_reason"] == "complete"


@pytest.mark.parametrize("form", ["invoke", "predict", "batch", "stream", "ainvoke", "abatch", "astream"])
def test_a_stop_inside_an_unfinished_answer_raises_where_there_is_no_room_for_a_mark(form):
    llm = model(regex=r"ab\.cd")
    stop = {"stop": ["."]}
    forms = {
        "invoke": lambda: llm.invoke("Hello", **stop),
        "predict": lambda: llm.predict("Hello", **stop),
        "batch": lambda: llm.batch(["Hello"], **stop),
        "stream": lambda: list(llm.stream("Hello", **stop)),
        "ainvoke": lambda: asyncio.run(llm.ainvoke("Hello", **stop)),
        "abatch": lambda: asyncio.run(llm.abatch(["Hello"], **stop)),
        "astream": lambda: asyncio.run(astream(llm, "Hello", **stop)),
    }
    with pytest.raises(rellm.IncompleteError, match=r"cut off .* before it matched") as raised:
        forms[form]()
    assert raised.value.text == "ab"


def test_a_batch_can_return_its_exceptions_row_by_row():
    llm = model(regex=r"ab\.cd")
    texts = llm.batch(["Hello", "And"], stop=["."], return_exceptions=True)
    assert [type(text) for text in texts] == [rellm.IncompleteError] * 2
    assert llm.batch(["Hello"], return_exceptions=True) == ["ab.cd"]


# Budgets


@pytest.mark.parametrize("form", ["invoke", "generate", "batch", "stream", "ainvoke"])
def test_a_budget_that_no_answer_fits_into_raises_before_anything_is_written(form):
    llm = model(regex=r"\d{40}", max_new_tokens=3)
    with pytest.raises(rellm.BudgetError, match="no match fits into max_new_tokens=3") as raised:
        FORMS[form](llm)
    assert raised.value.text == ""


def test_an_answer_closes_within_its_budget():
    llm = model(regex=r'"[a-z ]{1,400}\."', max_new_tokens=12)
    assert re.fullmatch(r'"[a-z ]{1,400}\."', llm.invoke("Tell me a long story: "))


def test_max_new_tokens_of_the_class_is_stronger_than_one_in_pipeline_kwargs():
    llm = model(regex=r"\d+", max_new_tokens=3, pipeline_kwargs={"max_new_tokens": 50, "do_sample": False})
    info = llm.generate(["1 2 3 4 5 6 7 8 9 10 11 12: "]).generations[0][0].generation_info
    assert info["usage_metadata"]["output_tokens"] <= 3
    call = llm.generate(["1 2 3 4 "], max_new_tokens=1).generations[0][0].generation_info
    assert call["usage_metadata"]["output_tokens"] == 1


def test_sampling_arguments_reach_the_model():
    import torch

    llm = model(regex=r"[a-z]{8}", pipeline_kwargs={"do_sample": True, "temperature": 3.0})
    torch.manual_seed(0)
    assert len({llm.invoke("A word: ") for _ in range(4)}) > 1
    greedy = llm.bind(do_sample=False)
    assert len({greedy.invoke("A word: ") for _ in range(2)}) == 1
    several = llm.generate(["A word: "], pipeline_kwargs={"num_return_sequences": 3}).generations[0]
    assert len(several) == 3
    assert all(re.fullmatch("[a-z]{8}", one.text) for one in several)


# Batches, streams, callbacks, usage


def test_a_batch_goes_through_the_model_in_padded_passes(monkeypatch):
    llm = model(regex="[a-z]{6}", batch_size=3)
    rows = []
    network = real_model.pipeline().model
    forward = network.forward

    def counting(*args, **kwargs):
        rows.append((kwargs["input_ids"] if "input_ids" in kwargs else args[0]).shape[0])
        return forward(*args, **kwargs)

    monkeypatch.setattr(network, "forward", counting)
    prompts = ["One", "Two words and more", "Three", "Four"]
    texts = llm.batch(prompts)
    assert set(rows) == {3, 1}
    monkeypatch.undo()
    assert texts == [llm.invoke(prompt) for prompt in prompts]


class Tokens(BaseCallbackHandler):
    def __init__(self):
        self.tokens, self.ended, self.errors = [], [], []

    def on_llm_new_token(self, token, **kwargs):
        self.tokens.append(token)

    def on_llm_end(self, response, **kwargs):
        self.ended.append(response)

    def on_llm_error(self, error, **kwargs):
        self.errors.append(error)


class AsyncTokens(AsyncCallbackHandler):
    def __init__(self):
        self.tokens, self.loops = [], set()

    async def on_llm_new_token(self, token, **kwargs):
        await asyncio.sleep(0)
        self.loops.add(id(asyncio.get_running_loop()))
        self.tokens.append(token)


def test_a_stream_comes_piece_by_piece_and_callbacks_hear_of_each():
    llm = model(regex=r"[a-z]{4} [a-z]{4} ぬ [a-z]{4}")
    seen = Tokens()
    pieces = []
    for piece in llm.stream("Hello", config={"callbacks": [seen]}):
        pieces.append(piece)
        assert len(seen.tokens) <= len(pieces), "the model went on before the piece was taken"
    assert len([piece for piece in pieces if piece]) > 3
    assert "".join(pieces) == "".join(seen.tokens) == llm.invoke("Hello")
    assert seen.ended[0].generations[0][0].generation_info["is_complete"] is True


def test_asynchronous_callbacks_run_in_the_loop_they_belong_to():
    llm = model(regex=r"[a-z]{4} [a-z]{4}")
    seen = AsyncTokens()

    async def main():
        text = await astream(llm, "Hello", config={"callbacks": [seen]})
        return text, id(asyncio.get_running_loop())

    text, loop = asyncio.run(main())
    assert "".join(seen.tokens) == text
    assert seen.loops == {loop}


@pytest.mark.parametrize("form", ["ainvoke", "abatch", "astream"])
def test_asynchronous_forms_do_not_block_the_event_loop(form):
    llm = model(regex=r"[a-z]{30}")

    async def main():
        beats = []

        async def beat():
            while True:
                beats.append(time.perf_counter())
                await asyncio.sleep(0.01)

        heart = asyncio.ensure_future(beat())
        await {
            "ainvoke": lambda: llm.ainvoke("Hello"),
            "abatch": lambda: llm.abatch(["Hello", "You"]),
            "astream": lambda: astream(llm, "Hello"),
        }[form]()
        heart.cancel()
        return len(beats)

    # The text takes many forward passes of tens of milliseconds; a blocked loop would beat a time or two.
    assert asyncio.run(main()) >= 8


def test_a_stream_that_nobody_reads_on_is_left_and_the_model_is_free_again():
    llm = model(regex=r"[a-z]{200}")

    async def main():
        async for _ in llm.astream("Hello"):
            break
        return await llm.bind(max_new_tokens=200).ainvoke("Hello")

    before = threading.active_count()
    assert re.fullmatch("[a-z]{200}", asyncio.run(main()))
    assert threading.active_count() <= before + 1
    stream = llm.stream("Hello")
    next(stream)
    stream.close()


def test_usage_says_how_many_tokens_were_read_and_written():
    llm = model(regex="(?a)abc \\d{3}")
    result = llm.generate(["Hello there", "You"])
    tokenizer = real_model.pipeline().tokenizer
    read = [len(tokenizer(prompt)["input_ids"]) for prompt in ("Hello there", "You")]
    written = []
    for row, length in zip(result.generations, read, strict=True):
        usage = row[0].generation_info["usage_metadata"]
        assert usage["input_tokens"] == length
        assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
        written.append(usage["output_tokens"])
    total = result.llm_output["token_usage"]
    assert total == {
        "prompt_tokens": sum(read), "completion_tokens": sum(written), "total_tokens": sum(read) + sum(written),
    }  # fmt: skip
    assert llm.get_num_tokens("Hello there") == read[0]


def test_errors_reach_the_callbacks():
    seen = Tokens()
    with pytest.raises(rellm.BudgetError):
        model(regex=r"\d{40}", max_new_tokens=3).invoke("Hello", config={"callbacks": [seen]})
    assert isinstance(seen.errors[0], rellm.BudgetError)


def test_a_configuration_reaches_the_run():
    class Runs(BaseCallbackHandler):
        def on_llm_start(self, serialized, prompts, *, tags, metadata, **kwargs):
            self.seen = (prompts, tags, metadata, kwargs.get("name"))

    runs = Runs()
    config = {"callbacks": [runs], "tags": ["t"], "metadata": {"m": 1}, "run_name": "n"}
    model(regex="a").invoke("Hello", config=config)
    prompts, tags, metadata, name = runs.seen
    assert (prompts, tags, metadata["m"], name) == (["Hello"], ["t"], 1, "n")


# Caches and serialisation


def test_a_cache_never_answers_for_another_pattern_stop_or_argument():
    cache = InMemoryCache()
    first = model(regex="(?a)a[0-9]", cache=cache).invoke("Hello")
    assert len(cache._cache) == 1
    assert model(regex="(?a)a[0-9]", cache=cache).invoke("Hello") == first
    assert len(cache._cache) == 1, "the same question is not asked twice"
    others = [
        lambda: model(regex="(?a)b[0-9]", cache=cache).invoke("Hello"),
        lambda: model(regex=re.compile("a[0-9]", re.A), cache=cache).invoke("Hello"),
        lambda: model(constraint=rellm.Literal("a1"), cache=cache).invoke("Hello"),
        lambda: model(regex="(?a)a[0-9]", cache=cache).invoke("Hello", stop=["x"]),
        lambda: model(regex="(?a)a[0-9]", cache=cache, max_new_tokens=9).invoke("Hello"),
        lambda: model(regex="(?a)a[0-9]", cache=cache, pipeline_kwargs={"do_sample": True}).invoke("Hello"),
        lambda: model(regex="(?a)a[0-9]", cache=cache).invoke("Hello", repetition_penalty=1.5),
    ]
    for number, other in enumerate(others, start=2):
        other()
        assert len(cache._cache) == number


def test_an_answer_that_was_cut_off_stays_marked_in_a_cache():
    llm = model(regex=r"ab\.cd", cache=InMemoryCache())
    for _ in range(2):
        with pytest.raises(rellm.IncompleteError):
            llm.invoke("Hello", stop=["."])


@pytest.mark.parametrize(
    "fields",
    [
        {"regex": NEVER},
        {"regex": re.compile("ZQ[0-9]", re.I)},
        {"regex": regex.compile(r"(?i)zq\d", regex.V1)},
        {"constraint": rellm.Choice(["zq1", "zq2"])},
        {"constraint": rellm.Literal("zq ぬ")},
    ],
    ids=["text", "re", "regex", "choice", "literal"],
)
def test_a_model_given_by_its_name_is_dumped_and_loaded(fields):
    llm = RELLM(model_id=real_model.folder(), max_new_tokens=30, pipeline_kwargs={"do_sample": False}, **fields)
    again = loads(dumps(llm), allowed_objects=[RELLM], valid_namespaces=["rellm"])
    assert isinstance(again, RELLM)
    assert again.in_force == llm.in_force
    assert (again.max_new_tokens, again.pipeline_kwargs) == (30, {"do_sample": False})
    assert dumps(again) == dumps(llm)
    assert again.invoke("Hello").lower().startswith("zq")


def test_a_model_given_as_a_pipeline_says_that_it_cannot_be_loaded_again():
    assert dumpd(model(regex="a"))["type"] == "not_implemented"


def test_from_model_id_loads_the_model():
    llm = RELLM.from_model_id(real_model.folder(), "text-generation", regex=NEVER, pipeline_kwargs={"do_sample": False})
    assert re.fullmatch(NEVER, llm.invoke("Hello"))
    with pytest.raises(ValueError, match="device and device_map exclude each other"):
        RELLM.from_model_id(real_model.folder(), regex=NEVER, device=0, device_map="auto")


# Chains


def test_a_chain_with_a_json_parser_parses():
    pattern = r'\{"capital": "[A-Z][a-z]{2,20}"\}'
    template = PromptTemplate.from_template("The capital of {country} as JSON: ")
    chain = template | model(regex=pattern) | JsonOutputParser()
    assert set(chain.invoke({"country": "France"})) == {"capital"}
    assert all(set(answer) == {"capital"} for answer in chain.batch([{"country": "Peru"}, {"country": "Chad"}]))


@pytest.mark.parametrize("form", ["predict", "invoke", "generate", "batch", "stream", "ainvoke", "astream"])
def test_the_seeds_question_is_answered_in_json_by_every_form(form):
    llm = model(regex=regex.compile(PATTERN), max_new_tokens=200)
    text = {
        "predict": lambda: llm.predict(PROMPT, stop=[STOP]),
        "invoke": lambda: llm.invoke(PROMPT, stop=[STOP]),
        "generate": lambda: llm.generate([PROMPT], stop=[STOP]).generations[0][0].text,
        "batch": lambda: llm.batch([PROMPT], stop=[STOP])[0],
        "stream": lambda: "".join(llm.stream(PROMPT, stop=[STOP])),
        "ainvoke": lambda: asyncio.run(llm.ainvoke(PROMPT, stop=[STOP])),
        "astream": lambda: asyncio.run(astream(llm, PROMPT, stop=[STOP])),
    }[form]()
    answer = json.loads(text)
    assert answer["action"] == "Final Answer"
    assert isinstance(answer["action_input"], str)


def test_without_langchain_the_import_names_what_is_missing():
    code = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name == "langchain_core":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
try:
    import rellm.integrations.langchain
except ModuleNotFoundError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == (
        "rellm.integrations.langchain needs langchain-core, which is not installed: "
        "install this package with its extra [langchain]\n"
    )
