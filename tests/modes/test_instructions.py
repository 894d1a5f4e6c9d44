"""`instructions=` tells the model in the prompt what it must write."""

from __future__ import annotations

import pytest
import rellm
from rellm import testing
from rellm._generate.instructions import with_instructions

pytest.importorskip("transformers")

ANSWER = rellm.Choice(["yes", "no"])
TOLD = "Answer with exactly one of these, and nothing else: no, yes."


def test_a_text_begins_with_them_and_a_chat_has_them_in_its_system_message():
    tokenizer = testing.tiny_tokenizer()
    assert with_instructions(tokenizer, "Is it wet?", ANSWER, "auto") == f"{TOLD}\n\nIs it wet?"
    chat = [{"role": "user", "content": "Is it wet?"}]
    assert with_instructions(tokenizer, chat, ANSWER, "auto") == [{"role": "system", "content": TOLD}, *chat]
    assert with_instructions(tokenizer, ["a", chat], [ANSWER, None], "auto") == [f"{TOLD}\n\na", chat]
    assert with_instructions(tokenizer, "a", ANSWER, "Be brief.") == "Be brief.\n\na"
    assert with_instructions(tokenizer, "a", ANSWER, False) == "a"


def test_what_cannot_be_told_is_an_error():
    tokenizer = testing.tiny_tokenizer()
    with pytest.raises(TypeError, match="instructions is"):
        with_instructions(tokenizer, "a", ANSWER, 3)
    with pytest.raises(TypeError, match="before a text, or into a chat"):
        with_instructions(tokenizer, [1, 2, 3], ANSWER, "auto")


def test_the_generator_takes_them():
    generator = testing.scripted_generator("yes")
    assert generator("Is it wet?", ANSWER, instructions="auto").text == "yes"
