"""Where a prompt ends and a text begins: tokens that the prompt's end cut off are written anew, and nobody sees it."""

from __future__ import annotations

import asyncio
import pickle
from typing import Any

import families
import pydantic
import pytest
import rellm
from rellm import testing
from rellm._constraints.continued import Continued

URL = r"//[a-z]+\.org"


class Person(pydantic.BaseModel):
    name: str
    age: int


def generator(says: Any = "://rellm.org") -> rellm.Generator:
    return testing.scripted_generator(says, words=["://", "http", " Paris"])


def test_a_token_that_the_prompt_cut_off_is_written_whole() -> None:
    plain = generator("//rellm.org")("The url is http:", URL)
    healed = generator()("The url is http:", URL, token_healing=True)
    assert plain.text == healed.text == "//rellm.org"
    assert ord("/") == plain.token_ids[0]
    assert healed.token_ids[0] == 256  # "://"
    assert healed.bytes == b"//rellm.org"
    assert healed.value == healed.uncut == healed.match[0] == "//rellm.org"
    assert healed.is_complete


def test_no_more_is_taken_back_than_a_longer_token_could_hold() -> None:
    written = generator("x")
    # "://", "http" and " Paris" are the only tokens of more than a byte; one token of a prompt always stays.
    for prompt, back in (
        ("a:", 1),
        ("a: ", 1),
        ("see http", 0),
        ("http:", 1),
        ("a", 0),
        ("ab", 0),
        ("aht", 2),
        ("h", 0),
    ):
        request = written._request(prompt, "x", token_healing=True)
        length = len(written.tokenizer(prompt)["input_ids"])
        assert request.prompts.input_ids.shape[1] == length - back, prompt
        assert request.max_new_tokens == 200 + back


def test_a_stream_a_batch_and_an_event_loop_show_the_same_text() -> None:
    written = generator()
    stream = written.stream("see http:", URL, token_healing=True)
    assert "".join(stream) == "//rellm.org"
    assert stream.completion.text == "//rellm.org"
    batch = written(["see http:", "http", "a http:"], [URL, ":" + URL, None], token_healing=True)
    assert [one.text for one in batch] == ["//rellm.org", "://rellm.org", "//rellm.org"]
    assert asyncio.run(written.agenerate("see http:", URL, token_healing=True)).text == "//rellm.org"


def test_without_a_constraint_any_text_goes_on() -> None:
    whole = generator()("see http:", token_healing=True)
    assert (whole.text, whole.is_complete, whole.finish_reason) == ("//rellm.org", True, "complete")
    assert whole.constraint is None
    cut = generator()("see http:", None, 3, token_healing=True)
    assert (cut.text, cut.is_complete, cut.finish_reason) == ("//rel", False, "length")


def test_stop_strings_are_not_looked_for_in_the_prompt() -> None:
    written = generator("://a:b")
    stopped = written("see http:", token_healing=True, stop=":")
    assert (stopped.text, stopped.finish_reason) == ("//a", "stop")
    assert stopped.token_ids == (256, ord("a"))
    assert "".join(written.stream("see http:", token_healing=True, stop=":")) == "//a"


def test_values_and_thinking_are_those_of_the_constraint() -> None:
    written = generator('://{"name": "Ada", "age": 36}')
    found = written("see http:", rellm.Sequence("//", rellm.JsonSchema.of(Person).named("who")), token_healing=True)
    assert found.value == {"who": Person(name="Ada", age=36)}
    thinker = testing.scripted_generator("\nSo.</think>\n\n42", words=["\nSo"])
    thought = thinker("How many? <think>\n", r"\d+", token_healing=True)
    assert thought.token_ids[0] == 256
    assert (thought.reasoning, thought.value) == ("So.", "42")
    call = '://\n<tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>'

    def f() -> None:
        """Does nothing."""

    calls = generator(call)("see http:", rellm.ToolCalls([f]), token_healing=True)
    assert calls.value.content == "//"
    assert [one.name for one in calls.value.tool_calls] == ["f"]


def test_a_chat_is_healed_where_it_goes_on_and_not_where_its_template_begins_an_answer() -> None:
    written = generator()
    begun = [{"role": "user", "content": "a url:"}]
    goes_on = [*begun, {"role": "assistant", "content": "see http:"}]
    request = written._request(begun, "x", token_healing=True)
    assert request.compiled.compiled[0].constraint == rellm.Regex("x")
    assert written(goes_on, URL, token_healing=True).token_ids[0] == 256


def test_a_space_before_the_text_is_written_as_the_tokenizer_would_and_not_shown() -> None:
    written = generator(" Paris")
    city = rellm.Choice(["Paris", "London"])
    found = written("It is", city, leading_space=True)
    assert (found.text, found.value, found.token_ids) == ("Paris", "Paris", (258,))
    assert "".join(written.stream("It is", city, leading_space=True)) == "Paris"
    assert written("It is", city, leading_space=True, stop_after_match=True, max_new_tokens=1).text == "Paris"
    # There is one already, or the constraint has its own.
    assert generator("Paris")("It is ", city, leading_space=True).text == "Paris"
    assert written("It is", r" ?\w+", leading_space=True).text == " Paris"
    assert generator("Paris")("It is", city, leading_space=True).text == "Paris"


def test_the_generation_config_may_ask_for_it() -> None:
    written = generator()
    written.model.generation_config.token_healing = True
    assert written("see http:", URL).token_ids[0] == 256
    assert written("see http:", URL, token_healing=False).token_ids[0] == ord("/")


def test_what_cannot_be_healed_is_told() -> None:
    with pytest.raises(rellm.UnsupportedError, match=r"a constraint behind a healed prompt.*goes to the search engine"):
        generator()("see http:", rellm.Regex(r"(a|b)*+\X", dialect="regex"), token_healing=True)
    for wrong in ({"token_healing": "yes"}, {"leading_space": 3}):
        with pytest.raises(TypeError, match=r"(token_healing|leading_space) is True or False, not"):
            generator()("see http:", URL, **wrong)
    of = families.family("t5")
    with pytest.raises(ValueError, match="token_healing look at the end of a prompt, and the prompt of an encoder has"):
        rellm.Generator(of.model, of.tokenizer)("a", "yes", 9, token_healing=True)
    with pytest.raises(rellm.BudgetError):
        generator()("see http:", "//a{30}", 10, token_healing=True)


@pytest.mark.parametrize("options", [{"do_sample": True}, {"num_beams": 2}, {"num_return_sequences": 2,
                                     "do_sample": True}, {"forced_text": "forced"}, {"forced_text": "off"},
                                     {"trace": True}])  # fmt: skip
def test_every_way_of_writing_heals(options: Any) -> None:
    found = generator()("see http:", URL, 20, token_healing=True, **options)
    for one in found if isinstance(found, list) else [found]:
        assert one.text == "//rellm.org"


def test_what_goes_on_is_a_value() -> None:
    one = Continued("http:", rellm.Regex(URL), True)
    assert pickle.loads(pickle.dumps(one)) == one
    assert rellm.Constraint.from_json(one.to_json()) == one
    assert one.parse("http: //a.org") == one.parse("http://a.org") == "//a.org"
    assert Continued("x").parse("xyz") == "yz"
    assert [one.hidden(data, is_whole=False) for data in (b"htt", b"http:", b"http: ", b"http:/")] == [None, None, 6, 5]


def test_the_real_model_goes_on_with_its_own_token() -> None:
    import real_model

    written = rellm.Generator.from_pipeline(real_model.pipeline())
    healed = written("The url is http:", r"\S{1,30}", 8, token_healing=True, do_sample=False)
    assert healed.text.startswith("//")
    assert written.tokenizer.decode(healed.token_ids[:1]) == "://"
    france = "The capital of France is"
    city = rellm.Choice(["Paris", "London"])
    first = [written(france, city, 5, leading_space=on, trace=True).trace.tokens[0] for on in (False, True)]
    assert first[0].log_probability_before < -5 < -1 < first[1].log_probability_before
