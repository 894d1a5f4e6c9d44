"""`TextStream`, its async variant, and what a completion says about its text."""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import Any

import pytest
import rellm
import torch
from families import family
from vocabularies import vocabulary_of

ACTION = r'\{"action": "[a-z ]{1,12}", "number": [0-9]{1,3}\}'


def generator(name: str = "gpt2", **more: Any) -> rellm.Generator:
    of = family(name)
    return rellm.Generator(of.model, of.tokenizer, vocabulary=vocabulary_of(of), **more)


class Slow:
    """A stopping criterion that takes its time, and counts."""

    def __init__(self, seconds: float = 0.02) -> None:
        self.asked = 0
        self._seconds = seconds

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
        self.asked += 1
        time.sleep(self._seconds)
        return torch.zeros(len(input_ids), dtype=torch.bool)


def test_a_stream_is_iterated_and_has_the_completion() -> None:
    write = generator()
    stream = write.stream("The capital of", ACTION, 60)
    assert isinstance(stream, rellm.TextStream)
    first = next(stream)
    assert not stream.is_done
    pieces = [first, *stream]
    assert stream.is_done
    assert stream.completion == write("The capital of", ACTION, 60)
    assert "".join(pieces) == stream.completion.text
    assert write.stream("The capital of", ACTION, 60).completion == stream.completion  # nothing was read before

    def whole() -> Any:
        return (yield from write.stream("The capital of", ACTION, 60))

    taken, returned = whole(), None
    while returned is None:
        try:
            next(taken)
        except StopIteration as end:
            returned = end.value
    assert returned == stream.completion


def test_a_closed_stream_has_no_completion_and_asks_no_more() -> None:
    slow = Slow(0)
    with generator().stream("The capital of", "[a-f]{40}", 60, stopping_criteria=[slow]) as stream:
        next(stream)
    asked = slow.asked
    with pytest.raises(RuntimeError, match="closed before the text ended"):
        _ = stream.completion
    assert slow.asked == asked


async def test_agenerate_leaves_the_loop_free_and_gives_the_same() -> None:
    write = generator()
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            await asyncio.sleep(0.005)
            beats += 1

    other = asyncio.create_task(beat())
    found = await write.agenerate("The capital of", ACTION, 60, stopping_criteria=[Slow()])
    other.cancel()
    assert beats > 5
    assert found == write("The capital of", ACTION, 60)
    several = await write.agenerate(["red", "a"], ACTION, 60)
    assert several == write(["red", "a"], ACTION, 60)


async def test_astream_gives_the_same_pieces() -> None:
    write = generator()
    stream = write.astream("The capital of", ACTION, 60)
    pieces = [piece async for piece in stream]
    assert pieces == list(write.stream("The capital of", ACTION, 60))
    assert (await stream.completion()).text == "".join(pieces)


@pytest.mark.parametrize("prompt", ["The capital of", ["The capital of", "red"]])
@pytest.mark.parametrize("more", [{}, {"num_beams": 2}])
async def test_a_cancelled_task_stops_within_one_token(prompt: Any, more: dict[str, Any]) -> None:
    slow = Slow(0.05)
    task = asyncio.create_task(generator().agenerate(prompt, "[a-f]{90}", 100, stopping_criteria=[slow], **more))
    while slow.asked < 3:
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    asked = slow.asked
    assert asked <= 3 + 2 * (2 if isinstance(prompt, list) else 1)
    await asyncio.sleep(0.2)
    assert slow.asked == asked


async def test_a_cancelled_stream_stops_within_one_token() -> None:
    slow = Slow(0.05)
    stream = generator().astream("The capital of", "[a-f]{90}", 100, stopping_criteria=[slow])

    async def read() -> None:
        async for _ in stream:
            pass

    task = asyncio.create_task(read())
    while slow.asked < 3:
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    asked = slow.asked
    assert asked <= 5
    await asyncio.sleep(0.2)
    assert slow.asked == asked


def test_values_are_what_the_constraint_reads() -> None:
    write = generator()
    assert write("a", "red|green", 9).value in ("red", "green")
    assert write("a", rellm.Choice(["red", "green"]), 9).value in ("red", "green")
    cut = write("a", r"red\nblue", 20, stop="\n")
    assert not cut.is_complete
    with pytest.raises(rellm.IncompleteError, match="has no value"):
        _ = cut.value
    assert cut.value_or(None) is None
    assert write("a", None, 3).value == write("a", None, 3).text


def test_the_budget_says_whether_it_had_to_act() -> None:
    write = generator()
    assert not write("a", "(red|green)", 20).was_steered
    steered = write("a", "[a-f]{2,400}", 12)
    assert steered.is_complete
    assert write("a", "[a-f]{30}|red", 8).was_steered
    assert all(one.was_steered for one in write(["a", "red"], "[a-f]{30}|red", 8))


def test_the_first_match_is_no_stop() -> None:
    completion = generator()("a", "[a-f]{2,50}", 60, stop_after_match=True)
    assert completion.finish_reason == "complete"
    assert completion.is_complete


def test_whitespace_is_what_python_counts() -> None:
    from rellm._generate.run_limits import RunLimits

    tokens = [b"a", b"\xc2", b"\xa0", b"\xe3\x80\x80", b"\xe3\x80", b"\x80", b" ", b"\n\xc2\xa0", None]
    vocabulary = rellm.Vocabulary(tokens, eos_token_ids=[8])
    import numpy as np

    def left(limit: int, *written: int) -> list[int]:
        row = np.full(1, 0x1FF, dtype=np.uint32)
        RunLimits(max_whitespace=limit).restrict(row, written, vocabulary)
        return [i for i in range(9) if row[0] >> i & 1]

    assert left(1) == [0, 1, 2, 3, 4, 5, 6, 8]
    assert left(1, 6) == [0, 1, 2, 4, 5, 8]
    assert left(1, 1, 2) == [0, 1, 2, 4, 5, 8]
    assert left(2, 6) == [0, 1, 2, 3, 4, 5, 6, 8]
    assert 5 not in left(1, 3, 4)
    assert 2 not in left(1, 6, 1)
    assert 2 in left(2, 6, 1)


def test_a_long_prompt_is_read_once_with_a_prefix_cache() -> None:
    of = family("llama")
    lengths: list[int] = []
    hook = of.model.register_forward_pre_hook(
        lambda _, args, kwargs: lengths.append(kwargs["input_ids"].shape[1]), with_kwargs=True
    )
    system = "the quick brown fox jumps over the lazy dog " * 6
    questions = ["The capital of", "red green", "a number is"]
    plain, cached = generator("llama"), generator("llama", prefix_cache=True)
    try:
        expected = [plain(system + question, ACTION, 60) for question in questions]
        first = max(lengths)
        lengths.clear()
        found = [cached(system + question, ACTION, 60) for question in questions]
    finally:
        hook.remove()
    assert found == expected
    assert sum(length > first // 2 for length in lengths) == 1
    streamed = cached.stream(system + questions[0], ACTION, 60)
    assert streamed.completion == expected[0]


def test_a_trace_shows_the_mask_that_was_applied() -> None:
    write = generator()
    completion = write("a", r"[a-f ]{12}", 20, trace=True, run_limits=rellm.RunLimits(max_repetition=1))
    ids = completion.token_ids
    assert all(a != b for a, b in itertools.pairwise(ids))
    refused = [{one.token_id for one in token.refused} for token in completion.trace.tokens[1:]]
    reasons = [one.reason for token in completion.trace.tokens for one in token.refused]
    repeats = [before in after for before, after in zip(ids, refused, strict=False)]
    assert any(repeats)
    assert any("run limits leave it out" in reason for reason in reasons)
    other = write("a", "(red|green)", 9, trace=True, eos_token_id=[9])
    assert other.is_complete
    assert len(other.trace.tokens) in (len(other.token_ids), len(other.token_ids) + 1)
