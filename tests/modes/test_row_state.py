"""One state a row: each written token is read by one matcher once, in all ways to write."""

from __future__ import annotations

from typing import Any

import pytest
import rellm
import torch
from counted import counted
from families import family
from rellm import testing
from rellm._generate.drafts import ForcedText
from rellm._generate.text_state import EndRules, Row
from rellm.integrations.transformers import ConstraintLogitsProcessor
from vocabularies import vocabulary_of

ACTION = r'\{"action": "[a-z ]{1,12}", "number": [0-9]{1,3}\}'
PROMPTS = ["The capital of", "red"]


def writer(name: str = "gpt2") -> rellm.Generator:
    of = family(name)
    return rellm.Generator(of.model, of.tokenizer, vocabulary=vocabulary_of(of))


@pytest.mark.parametrize("forced", ["off", "verified", "forced"])
@pytest.mark.parametrize("prompt", ["The capital of", PROMPTS], ids=["one", "batch"])
@pytest.mark.parametrize(
    "more",
    [{}, {"do_sample": True}, {"stop": ["number"]}, {"use_cache": False}],
    ids=["greedy", "sampling", "stop", "own"],
)
def test_a_written_token_is_read_once(prompt: Any, forced: Any, more: dict[str, Any]) -> None:
    write = writer()
    constraint, calls = counted(ACTION, write.vocabulary)
    torch.manual_seed(3)
    found = write(prompt, constraint, 60, forced_text=forced, **more)
    completions = found if isinstance(found, list) else [found]
    # With a stop string the tokens that it cuts off were written, too.
    written = [write.vocabulary.tokens_bytes(calls)] if len(completions) == 1 else None
    assert written is None or written[0].decode() == completions[0].uncut
    if "stop" not in more:
        assert len(calls) == sum(len(one.token_ids) for one in completions)


def test_a_streamed_token_is_read_once() -> None:
    write = writer()
    constraint, calls = counted(ACTION, write.vocabulary)
    completion = write.stream("The capital of", constraint, 60).completion
    assert tuple(calls) == completion.token_ids


def test_a_beam_is_read_once_by_a_processor() -> None:
    of = family("gpt2")
    constraint, calls = counted(r"(red|green|blue)( (red|green|blue)){2,4}", vocabulary_of(of))
    processor = ConstraintLogitsProcessor(constraint, vocabulary_of(of), max_new_tokens=24)
    steps = 0

    def count(input_ids: Any, scores: Any) -> Any:
        nonlocal steps
        steps += 1
        return torch.zeros(len(input_ids), dtype=torch.bool)

    of.model.generate(
        **of.prompt(), logits_processor=[processor], stopping_criteria=[count], num_beams=2, max_new_tokens=24
    )
    assert steps > 5
    assert 0 < len(calls) <= 2 * steps


def test_a_beam_that_transformers_looks_at_is_read_once_by_a_generator() -> None:
    """Of two beams `generate` asks about four candidates a step: which of them are over."""
    write = writer()
    constraint, calls = counted(r"(red|green|blue)( (red|green|blue)){2,4}", write.vocabulary)
    asked = 0

    def count(input_ids: Any, scores: Any) -> Any:
        nonlocal asked
        asked += len(input_ids)
        return torch.zeros(len(input_ids), dtype=torch.bool)

    first, second = write(
        "The capital of", constraint, 24, num_beams=2, num_return_sequences=2, stopping_criteria=[count]
    )
    assert first.is_complete
    assert second.is_complete
    assert 0 < len(calls) <= asked


def test_an_end_id_that_the_constraint_asks_for_is_its_last_symbol() -> None:
    constraint = rellm.Literal("yes") + rellm.SpecialToken(testing.EOS)
    write = testing.scripted_generator("yes")
    for found in (write("a", constraint), *write(["a", "b"], constraint), write.stream("a", constraint).completion):
        assert (found.text, found.is_complete, found.finish_reason) == ("yes", True, "complete")
        assert found.pieces.specials


@pytest.mark.parametrize("pattern", ["[a-z ]{2,60}", None])
def test_padding_with_a_token_of_text_is_no_text(pattern: str | None) -> None:
    """A criterion of the caller's ends the first row; `generate` fills it up."""
    write = writer()
    pad = next(i for i in range(len(write.vocabulary)) if write.vocabulary.token_bytes(i) == b"a")

    def first(input_ids: Any, scores: Any) -> Any:
        return torch.tensor([input_ids.shape[1] >= length + 2, False])

    length = 2
    more: dict[str, Any] = {"stopping_criteria": [first], "pad_token_id": pad, "do_sample": False}
    short, long = write([[5, 6], [7, 8]], pattern, 12, **more)
    assert len(short.token_ids) == 2
    assert len(long.token_ids) > 2


@pytest.mark.parametrize("name", ["gemma", "t5"])
def test_forced_text_is_cut_as_it_would_be_after_the_text_before(name: str) -> None:
    of = family(name)
    vocabulary = vocabulary_of(of)
    forced = ForcedText(of.tokenizer, vocabulary)
    for before, after in (("red green", "the name"), ("The capital of", "red")):
        ids = [of.tokenizer(text, add_special_tokens=False)["input_ids"] for text in (before, after, before + after)]
        assert ids[0] + ids[1] != ids[2]
        compiled = rellm.compile(rellm.Literal(after), vocabulary)
        assert forced.candidates(compiled.matcher(), ids[0]) == ids[2][len(ids[0]) :]
        row = Row(compiled.matcher(), EndRules(frozenset(vocabulary.eos_token_ids), vocabulary))
        for token_id in forced.certain(row, ids[0], 99):
            row.push(token_id)
        assert row.tokens
        assert row.tokens == ids[2][len(ids[0]) :][: len(row.tokens)]
