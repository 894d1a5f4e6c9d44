"""`rellm.testing`: what users test their own code with."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
import rellm
from rellm import testing


def test_the_tiny_vocabulary_spells_every_text() -> None:
    vocabulary = testing.tiny_vocabulary(["the", "日本"], ["<|call|>"])
    assert vocabulary.token_bytes(65) == b"A"
    assert vocabulary.tokens_bytes([256, 257]) == "the日本".encode()
    assert dict(vocabulary.special_tokens) == {"<|call|>": 258, testing.EOS: 259, testing.PAD: 260}
    assert vocabulary.eos_token_ids == [259]
    matcher = rellm.compile("日本|the", vocabulary).matcher()
    matcher.advance(257)
    assert matcher.is_finished


def test_the_tiny_vocabulary_needs_neither_torch_nor_transformers() -> None:
    code = (
        "import sys; from rellm import testing; testing.tiny_vocabulary(); "
        "print({'torch', 'transformers'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_tiny_tokenizer_has_the_tiny_vocabulary() -> None:
    arguments = (["the", " end"], ["<|call|>"])
    tokenizer = testing.tiny_tokenizer(*arguments)
    vocabulary = rellm.Vocabulary.from_tokenizer(tokenizer)
    expected = testing.tiny_vocabulary(*arguments)
    assert [vocabulary.token_bytes(token) for token in range(len(vocabulary))] == [
        expected.token_bytes(token) for token in range(len(expected))
    ]
    assert vocabulary.special_tokens == expected.special_tokens
    text = "né 日本 the end\n"
    assert tokenizer.decode(tokenizer(text).input_ids) == text
    assert vocabulary.tokens_bytes(tokenizer(text).input_ids) == text.encode()


def test_the_model_says_what_it_is_told() -> None:
    generator = testing.scripted_generator("The answer is 42. And more.", words=["The ", "answer"])
    free = generator("How many?", None, max_new_tokens=80)
    assert free.text == "The answer is 42. And more."
    constrained = generator("How many?", r"[A-Z][a-z ]+\d+", max_new_tokens=80)
    assert constrained.text == "The answer is 42"
    assert constrained.is_complete


def test_a_constraint_stands_in_its_way() -> None:
    generator = testing.scripted_generator("maybe")
    assert generator("Yes or no?", rellm.Choice(["yes", "no"]), max_new_tokens=10).text in ("yes", "no")
    with pytest.raises(rellm.BudgetError):
        generator("?", r"\d{20}", max_new_tokens=10)


def test_each_prompt_of_a_batch_has_its_script_and_a_stream_its_pieces() -> None:
    generator = testing.scripted_generator(["12 men", "345 women"])
    found = generator(["How many men?", "And women, how many?"], r"\d+", max_new_tokens=20)
    assert [completion.text for completion in found] == ["12", "345"]
    assert "".join(testing.scripted_generator("héé!").stream("?", r"\w+", max_new_tokens=20)) == "héé"


def test_chat_messages_are_taken() -> None:
    generator = testing.scripted_generator("7 days")
    assert generator([{"role": "user", "content": "How long?"}], r"\d+", max_new_tokens=9).text == "7"


def test_it_works_with_transformers_own_generate() -> None:
    from rellm.integrations.transformers import ConstraintLogitsProcessor

    tokenizer = testing.tiny_tokenizer()
    model = testing.scripted_model("year 1999!", tokenizer)
    processor = ConstraintLogitsProcessor(re.compile(r"[a-z]+ \d+"), tokenizer)
    prompt = tokenizer("When?", return_tensors="pt")
    ids = model.generate(**prompt, logits_processor=[processor], max_new_tokens=30)
    assert tokenizer.decode(ids[0, prompt.input_ids.shape[1] :], skip_special_tokens=True) == "year 1999"


@pytest.mark.parametrize("says", [[], 5, ["a", None]])
def test_a_script_is_text(says: object) -> None:
    with pytest.raises(TypeError, match="says is a text, one a row"):
        testing.scripted_model(says)  # type: ignore[arg-type]
