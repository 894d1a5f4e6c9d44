"""On a real model: a text is the same with forced text tried in one pass as asked token by token, in all ways to call.

`RELLM_REAL_PROMPTS` says how many prompts; on sets of versions other than the pinned one, eight are enough.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
import rellm
import torch
from families import REAL, family
from vocabularies import vocabulary_of

CONSTRAINTS = [
    r'\{"name": "[A-Z][a-z]{1,8}", "born": "\d{4}-\d{2}-\d{2}"\}',
    r"The answer is (yes|no|not known)\.",
    r"name: [A-Z][a-z]{1,9}\nage: \d{1,2}\n",
    r"<item id=\"\d\"><colour>(red|green|blue)</colour></item>",
    r"\d{3}-\d{4}",
    r"[A-Z][a-z]+ [a-z]{1,6} the [a-z]{1,8}\.",
    r"(?:https://www\.)[a-z]{3,8}\.(?:com|org)/",
    r'\["(?:one|two|three)", \d+\]',
]
SUBJECTS = ["a person", "the weather in Paris", "a colour", "the number of legs of a spider", "a web site"]
PROMPTS = [f"{verb} {subject}." for verb in ("Invent", "Tell me about", "Describe", "Name", "Answer about", "Guess",
                                             "Note down", "Think of") for subject in SUBJECTS]  # fmt: skip
HOW_MANY = int(os.environ.get("RELLM_REAL_PROMPTS", "40"))
CASES = [(prompt, CONSTRAINTS[i % len(CONSTRAINTS)]) for i, prompt in enumerate(PROMPTS)][:HOW_MANY]
LIMIT = 28


def generator() -> rellm.Generator:
    of = family(REAL)
    return rellm.Generator(of.model, of.tokenizer, vocabulary=vocabulary_of(of))


def drained(stream: Any) -> str:
    return "".join(stream)


@pytest.mark.parametrize("first", range(0, len(CASES), 4))
def test_the_real_model_writes_the_same_whether_forced_text_is_tried_or_asked(first: int) -> None:
    write = generator()
    cases = CASES[first : first + 4]
    prompts, constraints = [prompt for prompt, _ in cases], [constraint for _, constraint in cases]
    off = [write(prompt, one, LIMIT, do_sample=False, forced_text="off") for prompt, one in cases]
    assert all(completion.is_complete for completion in off)
    assert [write(prompt, one, LIMIT, do_sample=False) for prompt, one in cases] == off
    assert [drained(write.stream(prompt, one, LIMIT, do_sample=False)) for prompt, one in cases] == [
        completion.text for completion in off
    ]
    sampled = []
    for mode in ("off", "verified"):
        torch.manual_seed(first)
        sampled.append(write(*cases[0], LIMIT, do_sample=True, forced_text=mode))  # type: ignore[misc]
    assert sampled[0] == sampled[1]
    # Padding moves the last bits of scores, so rows of a batch are held against rows of a batch.
    batches = [
        write(prompts, constraints, LIMIT, do_sample=False, forced_text=mode)  # type: ignore[call-overload]
        for mode in ("off", "verified")
    ]
    assert batches[0] == batches[1]
