"""rellm on MLX-LM, on a stand-in for MLX: the state follows from the tokens, whatever drafts come and go."""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import rellm
from rellm import testing
from rellm.integrations.mlx_lm import ConstraintProcessor, Generator, vocabulary_of

pytest.importorskip("transformers")  # which looks for MLX when it is imported: before the stand-in is there

WORDS = ["yes", "no", "the "]


class Tokenizer:
    """As MLX-LM's wrapper: the tokenizer inside, and all ids that end a text."""

    def __init__(self) -> None:
        self._tokenizer = testing.tiny_tokenizer(WORDS, ["<|im_end|>"])
        self.eos_token_ids = {self._tokenizer.eos_token_id, self._tokenizer.convert_tokens_to_ids("<|im_end|>")}

    def encode(self, text: str) -> list[int]:
        return list(text.encode())

    def apply_chat_template(self, messages: Any, add_generation_prompt: bool) -> list[int]:
        assert add_generation_prompt
        return list("".join(message["content"] for message in messages).encode())


def scores(says: bytes, at: int, width: int, eos: int) -> np.ndarray:
    found = np.zeros((1, width), dtype=np.float32)
    found[0, says[at] if at < len(says) else eos] = 9
    return found


@pytest.fixture(autouse=True)
def library(monkeypatch: Any) -> None:
    core: Any = types.ModuleType("mlx.core")
    core.array, core.where, core.inf = np.array, np.where, np.inf
    core.random = types.SimpleNamespace(seed=lambda seed: None)
    generate: Any = types.ModuleType("mlx_lm.generate")

    def generate_step(
        prompt: Any, model: Any, *, max_tokens: int, sampler: Any, logits_processors: Any
    ) -> Iterator[Any]:
        tokens = list(prompt)
        begun = len(tokens)
        for _ in range(max_tokens):
            logits = model(len(tokens) - begun)
            for processor in logits_processors:
                logits = processor(np.array(tokens), logits)
            tokens.append(int(logits.argmax()))
            yield tokens[-1], logits

    def speculative(
        prompt: Any, model: Any, draft: Any, *, max_tokens: int, sampler: Any, logits_processors: Any
    ) -> Any:
        """Two drafts a step; those that the model does not want are taken back."""
        tokens = list(prompt)[-1:]
        written = 0
        (processor,) = logits_processors
        while written < max_tokens:
            drafts: list[int] = []
            for ahead in range(2):
                drafts.append(int(processor(np.array(tokens + drafts), draft(written + ahead)).argmax()))
            for number in range(3):
                token = int(processor(np.array(tokens), model(written)).argmax())
                tokens.append(token)
                written += 1
                yield token, None, number < 2
                if number == 2 or token != drafts[number]:
                    break

    generate.generate_step, generate.speculative_generate_step = generate_step, speculative
    sample: Any = types.ModuleType("mlx_lm.sample_utils")
    sample.make_sampler = lambda **given: given
    for name, module in {
        "mlx": types.ModuleType("mlx"),
        "mlx.core": core,
        "mlx_lm": types.ModuleType("mlx_lm"),
        "mlx_lm.generate": generate,
        "mlx_lm.sample_utils": sample,
    }.items():
        monkeypatch.setitem(sys.modules, name, module)
    sys.modules["mlx"].core = core  # type: ignore[attr-defined]


def generator(says: str, draft: str | None = None) -> Generator:
    tokenizer = Tokenizer()
    eos = tokenizer._tokenizer.eos_token_id
    width = len(tokenizer._tokenizer) + 7  # padded

    def model(text: str) -> Any:
        return lambda at: scores(text.encode(), at, width, eos)

    return Generator(model(says), tokenizer, draft_model=None if draft is None else model(draft))


def test_all_ids_that_end_a_text_are_known() -> None:
    tokenizer = Tokenizer()
    assert set(vocabulary_of(tokenizer).eos_token_ids) == tokenizer.eos_token_ids


@pytest.mark.parametrize("draft", [None, "itt is iX", "yes"])
@pytest.mark.parametrize(
    ("pattern", "says"),
    [("yes|no", "maybe"), (r"(?P<w>[a-z]{2,5}) is (?P=w)", "it is itself"), (r"[a-z ]{3,9}\.", "all of it.")],
)
def test_texts_match_with_and_without_drafts(pattern: str, says: str, draft: str | None) -> None:
    completion = generator(says, draft)("x", pattern, 20)
    assert re.fullmatch(pattern, completion.text), completion.text
    assert completion.is_complete


@pytest.mark.parametrize("most", range(8, 14))
def test_texts_close_within_the_budget(most: int) -> None:
    completion = generator("<b>" + "water " * 20)("x", "<b>[a-z ]{1,300}</b>", most)
    assert completion.is_complete
    assert len(completion.token_ids) <= most


def test_streams_chats_values_and_several_prompts() -> None:
    made = generator('{"n": 7}')
    schema = rellm.JsonSchema({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]})
    stream = made.stream([{"role": "user", "content": "x"}], schema)
    assert "".join(stream) == '{"n": 7}'
    assert stream.completion.value == {"n": 7}
    assert [c.text for c in made(["a", [1, 2]], [schema, r"\{\}"])] == ['{"n": 7}', "{}"]
    with pytest.raises(rellm.BudgetError):
        made("x", "[a-z]{20}", 4)


def test_a_failure_in_the_processor_is_raised() -> None:
    tokenizer = Tokenizer()
    processor = ConstraintProcessor("[a-z]+", vocabulary_of(tokenizer), 20)

    class Failing:
        def __getattr__(self, name: str) -> Any:
            raise rellm.LimitExceededError("fuel ran out")

    processor.text._matcher = Failing()
    with pytest.raises(rellm.LimitExceededError, match="fuel ran out"):
        processor(np.array([1]), np.zeros((1, 300), dtype=np.float32))
