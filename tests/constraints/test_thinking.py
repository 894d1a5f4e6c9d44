"""Thinking before the answer: free up to the marker, closed within its budget, told apart from the answer."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
import rellm
from rellm import testing
from rellm._constraints.thinking import MARKERS, Thinking

CHAT = [{"role": "user", "content": "How many?"}]
# Templates in the ways of Qwen 3 (the model begins), DeepSeek R1 (the prompt begins) and QwQ's switch.
MODEL_BEGINS = (
    "{% for m in messages %}{{ m.content }}\n{% endfor %}{% if add_generation_prompt %}A: "
    "{% if enable_thinking is defined and enable_thinking is false %}{{ '<think>\n\n</think>\n\n' }}{% endif %}"
    "{% endif %}{# a message's text is what stands behind </think>, its <think> is left out #}"
)
PROMPT_BEGINS = (
    "{% for m in messages %}{{ m.content }}\n{% endfor %}{% if add_generation_prompt %}{{ 'A: <think>\n' }}{% endif %}"
)
PROMPT_ENDS = (
    "{% for m in messages %}{{ m.content }}\n{% endfor %}{% if add_generation_prompt %}{{ 'A: <think></think>' }}"
    "{% endif %}"
)


def generator(says: str, template: str = "", special_tokens: Any = ()) -> Any:
    found = testing.scripted_generator(says, special_tokens=special_tokens)
    if template:
        found.tokenizer.chat_template = template
    return found


@pytest.mark.parametrize(
    ("template", "says", "reasoning", "thought", "value"),
    [
        (MODEL_BEGINS, "<think>\nTwo and two.\n</think>\n\n4", "auto", "Two and two.", "4"),
        (MODEL_BEGINS, "7", "auto", "", "7"),
        (MODEL_BEGINS, "<think>so</think>4", 30, "so", "4"),
        (MODEL_BEGINS, "5", False, "", "5"),
        (PROMPT_BEGINS, "Two and two.\n</think>\n\n4", "auto", "Two and two.", "4"),
        (PROMPT_BEGINS, "</think>4", False, "", "4"),
        (PROMPT_ENDS, "6", "auto", "", "6"),
        (testing._CHAT, "9", "auto", "", "9"),
        (testing._CHAT, "<think>by heart</think>9", 40, "by heart", "9"),
    ],
)
def test_thinking_is_free_and_the_answer_is_not(
    template: str, says: str, reasoning: Any, thought: str, value: str
) -> None:
    completion = generator(says, template)(CHAT, r"\d+", reasoning=reasoning)
    assert (completion.reasoning, completion.value) == (thought, value)
    assert completion.is_complete


def test_a_text_that_ends_with_the_marker_has_begun_thinking() -> None:
    completion = generator("well</think>3")("2 + 1? <think>\n", r"\d")
    assert (completion.reasoning, completion.value) == ("well", "3")
    # Somewhere else it is text like any other.
    assert generator("3")("What does <think> mean?", r"\d").text == "3"


@pytest.mark.parametrize("budget", [12, 20, 33])
def test_thinking_ends_within_its_budget(budget: int) -> None:
    completion = generator("on and on " * 30, PROMPT_BEGINS)(CHAT, rellm.Choice(["yes", "no"]), reasoning=budget)
    assert completion.value in ("yes", "no")
    assert completion.was_steered
    thought = completion.text[: completion.text.index("</think>") + len("</think>")]
    assert len(thought) <= budget  # each character is a token here


def test_without_a_number_thinking_takes_half_of_the_budget_at_most() -> None:
    completion = generator("on and on " * 30, PROMPT_BEGINS)(CHAT, r"\w+", max_new_tokens=60)
    assert completion.is_complete
    assert completion.text.index("</think>") + len("</think>") <= 30


def test_thinking_stands_before_free_text_and_before_calls() -> None:
    found = generator("a</think>Hello.", PROMPT_BEGINS)(CHAT, None)
    assert (found.reasoning, found.value) == ("a", "Hello.")
    tool = {"name": "now", "parameters": {}}
    says = 'a</think>\n\n<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>'
    found = generator(says, PROMPT_BEGINS)(CHAT, rellm.ToolCalls([tool]), max_new_tokens=150)
    assert found.reasoning == "a"
    assert [call.name for call in found.value.tool_calls] == ["now"]


def test_a_batch_has_the_thinking_of_each_prompt() -> None:
    both = [CHAT, [*CHAT, {"role": "assistant", "content": "<think>gone</think>"}]]
    found = generator(["so</think>1", "2"], PROMPT_BEGINS)(both, r"\d")
    assert [(one.reasoning, one.value) for one in found] == [("so", "1"), ("", "2")]


def test_thinking_may_be_written_in_special_tokens() -> None:
    names = ["<|start|>", "<|channel|>", "<|message|>", "<|end|>"]
    vocabulary = testing.tiny_vocabulary(special_tokens=names)
    ids = {name: vocabulary.special_token_id(name) for name in names}
    for budget in (None, 60):
        constraint = Thinking(rellm.Regex(r"\d"), MARKERS[2], "possible", budget)
        compiled = rellm.compile(constraint, vocabulary)
        matcher = compiled.matcher()
        written: list[Any] = ["<|channel|>", b"analysis", "<|message|>", b"hm", "<|end|>", "<|start|>", b"assistant"]
        written += ["<|channel|>", b"final", "<|message|>", b"7"]
        for piece in written:
            for token in [ids[piece]] if isinstance(piece, str) else list(piece):
                matcher.advance(token)
        assert matcher.is_accepting
        pieces = compiled.pieces(matcher)
        assert (constraint.reasoning_of(pieces), constraint.parse(pieces)) == ("hm", "7")


def test_an_unfinished_text_has_the_thinking_that_there_is() -> None:
    stream = generator("one two three</think>4", PROMPT_BEGINS).stream(CHAT, r"\d", stop="three")
    completion = stream.completion
    assert not completion.is_complete
    assert completion.reasoning.startswith("one two")


@pytest.mark.parametrize(
    ("reasoning", "error"), [(True, TypeError), ("on", TypeError), (0, ValueError), (None, TypeError)]
)
def test_a_wrong_argument_is_told(reasoning: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="reasoning is"):
        generator("1", PROMPT_BEGINS)(CHAT, r"\d", reasoning=reasoning)


def test_thinking_is_a_value() -> None:
    constraint = Thinking(rellm.Regex("a"), MARKERS[1], "asked", 20)
    assert pickle.loads(pickle.dumps(constraint)) == constraint
    assert rellm.Constraint.from_json(constraint.to_json()) == constraint
    assert hash(constraint) == hash(Thinking(rellm.Regex("a"), MARKERS[1], "asked", 20))
    assert constraint != Thinking(rellm.Regex("a"), MARKERS[1], "asked", 21)
    with pytest.raises(rellm.PatternError, match="state is"):
        Thinking("a", state="maybe")
