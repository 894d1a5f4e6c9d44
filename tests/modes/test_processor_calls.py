"""One processor, several calls: each call's state is its own, and is found by its tokens alone."""

from __future__ import annotations

import copy
import pickle
import re
import threading
import warnings
from typing import Any

import pytest
import rellm
import torch
from families import FAMILIES, family
from rellm.integrations.transformers import ConstraintLogitsProcessor
from vocabularies import vocabulary_of

PATTERN = r"(red|green|blue)( (red|green|blue)){2,4}"
DECODERS = [name for name in FAMILIES if name != "t5"]


def processor_for(name: str, pattern: Any = PATTERN, **more: Any) -> ConstraintLogitsProcessor:
    return ConstraintLogitsProcessor(pattern, vocabulary_of(family(name)), **more)


def written(name: str, prompt: str, processor: Any, **kwargs: Any) -> list[str]:
    of = family(name)
    inputs = of.prompt(prompt)
    out = of.model.generate(
        **inputs, logits_processor=[processor], **{"max_new_tokens": 40, "do_sample": True, **kwargs}
    )
    rows = out[:, of.start(inputs) :].tolist()
    ends = {of.tokenizer.eos_token_id, of.tokenizer.pad_token_id}
    vocabulary = vocabulary_of(of)
    return [vocabulary.tokens_bytes([t for t in row if t not in ends]).decode() for row in rows]


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("how", [{}, {"num_return_sequences": 2}, {"num_beams": 2, "do_sample": False}])
@pytest.mark.parametrize("prompts", [["The capital of"] * 4, ["The capital of", "red", "red", "a number"]])
def test_threads_share_a_processor(name: str, how: dict[str, Any], prompts: list[str]) -> None:
    processor = processor_for(name, max_new_tokens=40)
    found: list[str] = []
    failed: list[BaseException] = []

    def call(prompt: str) -> None:
        try:
            found.extend(written(name, prompt, processor, **how))
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=call, args=(prompt,)) for prompt in prompts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert len(found) >= 4
    assert all(re.fullmatch(PATTERN, text) for text in found), found


def _allowed(processor: Any, ids: Any, width: int) -> list[int]:
    ids = ids if isinstance(ids, torch.Tensor) else torch.tensor([ids])
    return torch.isfinite(processor(ids, torch.zeros(ids.shape[0], width))).nonzero()[:, 1].tolist()


@pytest.mark.parametrize("loops", [2, 5])
@pytest.mark.parametrize("same", [True, False])
def test_loops_interleaved_in_one_thread_have_their_own_state(loops: int, same: bool) -> None:
    vocabulary = vocabulary_of(family("gpt2"))
    width = len(vocabulary)
    shared = processor_for("gpt2")
    rows = [[5, 6] if same else [5, 6, 10 + i] for i in range(loops)]
    starts = [len(row) for row in rows]
    torch.manual_seed(loops)
    live = set(range(loops))
    while live:
        for i in sorted(live):
            fresh = rellm.compile(PATTERN, vocabulary).matcher()
            for token_id in rows[i][starts[i] :]:
                fresh.advance(token_id)
            allowed = _allowed(shared, rows[i], width)
            assert allowed == [token for token in range(width) if fresh.allows(token)]
            token_id = allowed[int(torch.randint(len(allowed), ()))]
            if token_id in vocabulary.eos_token_ids:
                live.remove(i)
            rows[i].append(token_id)


def test_a_prompt_that_is_a_slice_of_a_tensor_is_no_draft() -> None:
    width = len(vocabulary_of(family("gpt2")))
    processor = processor_for("gpt2")
    whole = torch.tensor([[9, 5, 6, 7]])
    start = _allowed(processor, whole[:, 1:], width)
    after = _allowed(processor, torch.tensor([[5, 6, 7, start[0]]]), width)
    assert after != start
    assert _allowed(processor, whole[:, 1:3], width) == start
    assert _allowed(processor, torch.tensor([[5, 6, 7]]), width) == start
    longer = torch.tensor([[1, 5, 6, 7, start[0], 40]])
    assert _allowed(processor, longer[:, 1:], width) == start


@pytest.mark.parametrize("name", DECODERS)
def test_a_text_and_a_separator_are_a_new_prompt(name: str) -> None:
    of = family(name)
    processor = processor_for(name)
    inputs = of.prompt("The capital of")
    for _ in range(3):
        out = of.model.generate(**inputs, logits_processor=[processor], max_new_tokens=40, do_sample=True)
        start = inputs["input_ids"].shape[1]
        text = [t for t in out[0, start:].tolist() if t not in (of.tokenizer.eos_token_id, of.tokenizer.pad_token_id)]
        assert re.fullmatch(PATTERN, vocabulary_of(of).tokens_bytes(text).decode())
        ids = torch.cat([out, torch.tensor([[of.tokenizer("\n", add_special_tokens=False)["input_ids"][-1]]])], dim=-1)
        inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("ends", [[9], [9, 11]])
def test_the_ends_of_the_call_are_learned(name: str, ends: list[int]) -> None:
    of = family(name)
    inputs = of.prompt()
    out = of.model.generate(
        **inputs, logits_processor=[processor_for(name, r"(red|green){1,3}")], eos_token_id=ends, max_new_tokens=30
    )
    row = out[0, of.start(inputs) :].tolist()
    at = next(i for i, token_id in enumerate(row) if token_id in ends)
    assert re.fullmatch("(red|green){1,3}", vocabulary_of(of).tokens_bytes(row[:at]).decode())
    assert set(row[at:]) <= {*ends, of.tokenizer.pad_token_id}


def test_ends_and_budgets_that_contradict_the_call_are_told() -> None:
    with pytest.warns(UserWarning, match=r"ends texts with \[0\], and generate waits for \[9\]"):
        written("gpt2", "a", processor_for("gpt2", "red", eos_token_ids=[0]), eos_token_id=9, max_new_tokens=9)
    with pytest.warns(UserWarning, match="cuts texts off after 5 tokens, and the processor closes them within 30"):
        written("gpt2", "a", processor_for("gpt2", "[a-f]{3,90}", max_new_tokens=30), max_new_tokens=5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        written("gpt2", "a", processor_for("gpt2", "[a-f]{3,90}", max_new_tokens=5), max_new_tokens=5, pad_token_id=1)


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_a_used_processor_is_a_value_without_its_calls(again: Any) -> None:
    vocabulary = vocabulary_of(family("gpt2"))
    processor = processor_for("gpt2", max_new_tokens=30)
    start = _allowed(processor, [5, 6], len(vocabulary))
    after = _allowed(processor, [5, 6, start[0]], len(vocabulary))
    other = again(processor)
    assert _allowed(other, [5, 6, start[0]], len(vocabulary)) == start
    assert _allowed(processor, [5, 6, start[0]], len(vocabulary)) == after


def test_the_class_of_langchain_is_a_value_that_can_be_copied_and_pickled() -> None:
    from rellm.integrations.langchain import RELLM
    from transformers import pipeline

    of = family("gpt2")
    pipe = pipeline("text-generation", model=of.model, tokenizer=of.tokenizer, max_new_tokens=9)
    llm = RELLM(pipeline=pipe, regex="red|green", max_new_tokens=9)
    expected = llm.invoke("The capital of")
    for again in (copy.copy(llm), copy.deepcopy(llm), pickle.loads(pickle.dumps(llm))):
        assert again.regex == llm.regex
        assert again.invoke("The capital of") == expected
