"""rellm on llama.cpp: the vocabulary of a GGUF, texts that match, and the three traps of llama-cpp-python."""

from __future__ import annotations

import random
import re
import sys
from typing import Any

import fake_llama
import pytest
import rellm
from fake_llama import END_OF_TURN, EOS, VOCABULARY, Llama
from rellm.integrations.llama_cpp import ConstraintProcessor, Generator, vocabulary_of

CASES = [
    (r"yes|no", "maybe"),
    (r"\d{4}-\d\d-\d\d", "on 2026-11-28"),
    (r"(?P<w>[a-z]{2,5}) is (?P=w)", "it is itself"),
    (r"(?=[a-z ]*e)[a-z ]{3,9}\.", "all of it."),
    (r"[a-zäöü]+", "größer"),
]


@pytest.fixture(autouse=True)
def library(monkeypatch: Any) -> None:
    module: Any = fake_llama.module()
    monkeypatch.setitem(sys.modules, "llama_cpp", module)
    monkeypatch.setitem(sys.modules, "llama_cpp.llama_chat_format", module.llama_chat_format)


def test_the_vocabulary_is_that_of_the_gguf_with_all_ids_that_end_a_text() -> None:
    vocabulary = vocabulary_of(Llama(""))
    assert vocabulary.eos_token_ids == sorted([EOS, END_OF_TURN])
    assert [vocabulary.token_bytes(i) for i in range(len(VOCABULARY))] == [
        VOCABULARY.token_bytes(i) for i in range(len(VOCABULARY))
    ]
    assert vocabulary.special_token_id("<|im_start|>") == VOCABULARY.special_token_id("<|im_start|>")


def test_a_vocabulary_is_read_once_a_model() -> None:
    llama = Llama("")
    assert vocabulary_of(llama) is vocabulary_of(llama)


@pytest.mark.parametrize("drafts", [0, 3])
@pytest.mark.parametrize(("pattern", "says"), CASES)
def test_texts_match_with_and_without_drafts(pattern: str, says: str, drafts: int) -> None:
    completion = Generator(Llama(says, drafts))("Answer: ", pattern, 30)
    assert re.fullmatch(pattern, completion.text), completion.text
    assert completion.is_complete
    assert completion.finish_reason == "complete"


def test_the_text_is_what_the_model_wants_where_the_constraint_allows_it() -> None:
    assert Generator(Llama("on 2026-11-28"))("x", r"on \d{4}-\d\d-\d\d").text == "on 2026-11-28"


@pytest.mark.parametrize("most", range(8, 16))
def test_texts_close_within_the_budget(most: int) -> None:
    completion = Generator(Llama("<b>" + "water " * 50))("x", r"<b>[a-z ]{1,300}</b>", most)
    assert completion.is_complete
    assert len(completion.token_ids) <= most


def test_a_budget_that_holds_no_match_is_an_error_before_the_model_is_asked() -> None:
    llama = Llama("x")
    with pytest.raises(rellm.BudgetError, match="max_new_tokens=4"):
        Generator(llama)("x", "[a-z]{20}", 4)
    with pytest.raises(rellm.BudgetError, match="the context's room"):
        Generator(Llama("x", context=12))("12345", "[a-z]{20}", 40)
    assert llama.prompts == []


def test_a_stream_gives_whole_characters_and_the_completion() -> None:
    stream = Generator(Llama("größer und größer")).stream("x", "[a-zäöüß ]{3,40}", 60)
    pieces = list(stream)
    assert len(pieces) > 5
    assert "".join(pieces) == stream.completion.text
    assert "größer" in pieces or all("�" not in piece for piece in pieces)


def test_stop_strings_cut_the_text() -> None:
    completion = Generator(Llama("one. two. three."))("x", r"[a-z. ]+", 40, stop=[" two"])
    assert completion.text == "one."
    assert completion.finish_reason == "stop"
    assert completion.uncut == "one. two"


def test_a_text_may_end_with_its_first_match() -> None:
    assert Generator(Llama("aaaa"))("x", "a+", 40, stop_after_match=True).text == "a"


def test_a_stream_can_be_stopped() -> None:
    stream = Generator(Llama("abcdefgh")).stream("x", "[a-z]+", 40)
    next(stream)
    stream.stop()
    assert stream.completion.text == "a"


def test_values_are_read_and_several_prompts_are_done_one_after_the_other() -> None:
    generator = Generator(Llama('{"n": 7}'))
    schema = rellm.JsonSchema({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]})
    assert generator("x", schema).value == {"n": 7}
    both = generator(["a", "b"], [schema, r"\{\}"], 30)
    assert [c.text for c in both] == ['{"n": 7}', "{}"]
    with pytest.raises(ValueError, match="1 constraints for 2 prompts"):
        generator(["a", "b"], [schema])


def test_chats_go_through_the_template_of_the_gguf() -> None:
    llama = Llama("yes")
    assert Generator(llama)([{"role": "user", "content": "Is water wet?"}], "yes|no").text == "yes"
    assert bytes(llama.prompts[0]).decode() == "user: Is water wet?\n<|end|>"
    with pytest.raises(rellm.RellmError, match="no chat template"):
        Generator(Llama("yes", template=None))([{"role": "user", "content": "x"}], "yes|no")


def test_token_ids_are_a_prompt() -> None:
    llama = Llama("yes")
    Generator(llama)([1, 2, 3], "yes|no")
    assert llama.prompts == [[1, 2, 3]]


def test_settings_reach_llama_cpp_and_others_are_refused() -> None:
    llama = Llama("yes")
    Generator(llama)("x", "yes|no", temperature=0.7, top_k=5, seed=3)
    assert llama.settings == [{"seed": 3}, {"temp": 0.7, "top_k": 5}]
    with pytest.raises(TypeError, match="logits_processor is no setting here"):
        Generator(llama)("x", "yes|no", logits_processor=[])


def test_a_bias_is_added_beside_the_constraint() -> None:
    """Beside a processor, llama-cpp-python's own `logit_bias` would switch the processor off."""
    completion = Generator(Llama("yes"))("x", "yes|no|zebra", logit_bias={ord("n"): 99, "122": 50})
    assert completion.text == "no"


def test_run_limits_are_kept() -> None:
    completion = Generator(Llama("aaaaaa"))("x", "[ab]{6}", 20, run_limits=rellm.RunLimits(max_repetition=2))
    assert not re.search(r"(.)\1\1", completion.text)


# the processor by itself


@pytest.mark.parametrize("drafts", [0, 2, 5])
@pytest.mark.parametrize(("pattern", "says"), CASES)
def test_the_processor_serves_create_completion(pattern: str, says: str, drafts: int) -> None:
    llama = Llama(says, drafts)
    processor = ConstraintProcessor(pattern, vocabulary_of(llama), max_tokens=30)
    text = llama.create_completion("x", 30, [processor])["choices"][0]["text"]
    processor.raise_failure()
    assert re.fullmatch(pattern, text), text


def test_an_exception_in_the_processor_ends_the_text_and_is_raised_afterwards() -> None:
    llama = Llama("water water water")
    processor = ConstraintProcessor("[a-z ]+", vocabulary_of(llama), max_tokens=30)
    matcher, calls = processor.text._matcher, []

    class Failing:
        def __getattr__(self, name: str) -> Any:
            calls.append(name)
            if len(calls) > 20:
                raise rellm.LimitExceededError("fuel ran out")
            return getattr(matcher, name)

    processor.text._matcher = Failing()
    text = llama.create_completion("x", 30, [processor])["choices"][0]["text"]
    assert len(text) < 30, "the text has ended"
    with pytest.raises(rellm.LimitExceededError, match="fuel ran out"):
        processor.raise_failure()


def test_a_processor_that_was_never_called_says_so() -> None:
    llama = Llama("anything")
    processor = ConstraintProcessor("yes|no", vocabulary_of(llama), max_tokens=30)
    text = llama.create_completion("x", 30, [processor], logit_bias={5: 0.1})["choices"][0]["text"]
    assert text == "anything", "the trap of llama-cpp-python"
    with pytest.raises(rellm.RellmError, match="has not called the logits processor"):
        processor.raise_failure()
    biased = ConstraintProcessor("yes|no", vocabulary_of(llama), 30, logit_bias={ord("n"): 99})
    assert llama.create_completion("x", 30, [biased])["choices"][0]["text"] == "no"


def test_a_token_that_the_constraint_does_not_allow_is_a_dead_end() -> None:
    llama = Llama("yes")
    llama.generate = lambda tokens, **given: iter([ord("x")])  # type: ignore[method-assign, assignment]
    with pytest.raises(rellm.DeadEndError, match="chose token 120, which the constraint does not allow"):
        Generator(llama)("x", "yes|no")


def test_random_patterns_match_at_any_budget_that_holds_one() -> None:
    choose = random.Random(5)
    for _ in range(40):
        low, high = choose.randint(1, 4), choose.randint(5, 9)
        pattern = choose.choice(
            [rf"[a-f]{{{low},{high}}}x?", rf"(?:yes|no){{{low},{high}}}!", rf"\d{{{low}}}(?:\.\d+)?"]
        )
        says = "".join(choose.choice("yesno.1!x ") for _ in range(12))
        completion = Generator(Llama(says, choose.randint(0, 3)))("x", pattern, choose.randint(20, 40))
        assert re.fullmatch(pattern, completion.text), (pattern, completion.text)
