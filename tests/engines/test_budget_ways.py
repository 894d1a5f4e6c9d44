"""Masks within a budget are the same whichever way they are made: by a walk, by a loop, by another state."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import rellm
import tokenizers_at_hand
from rellm import FreeText, JsonSchema, Regex

SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": "integer"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "note": {"type": "string", "maxLength": 90},
    },
    "required": ["name", "age", "note"],
}
CONSTRAINTS = {
    "a marker behind free text": FreeText(until="</think>") + rellm.Choice(["yes", "no"]),
    "a marker by a lookahead": Regex(r"(?:(?!</think>)[\s\S])*</think>"),
    "a marker by a lookahead, counted": Regex(r"(?:(?!</think>)[\s\S]){0,200}</think>"),
    "a marker by classes": Regex(r"(?:[^<]|<[^/]){0,60}</"),
    "a counted string": Regex(r'"(?:[^"\\]|\\.){0,120}", \d{2,5}'),
    "strings that may not end at once": Regex(r'"[^"]{10,64}"(?:, "[^"]{10,64}"){2}'),
    "an object with other members": JsonSchema(SCHEMA),
    "any object": JsonSchema({"type": "object"}),
}


def within(matcher: Any, vocabulary: rellm.Vocabulary, left: int) -> set[int]:
    row = np.zeros((1, -(-len(vocabulary) // 32)), np.uint32)
    matcher.fill_mask_within(row, 0, left)
    return set(np.flatnonzero(np.unpackbits(row.view(np.uint8), bitorder="little")).tolist())


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_all_ways_give_the_same_mask_within_a_budget(name: str) -> None:
    vocabulary = rellm.Vocabulary.from_tokenizer(tokenizers_at_hand.smollm2())
    compiled = {way: fresh(CONSTRAINTS[name], vocabulary, way) for way in ("never", "where-paying")}
    chance = random.Random(name)
    for budget in (12, 40, 300):
        matchers = {way: one.matcher() for way, one in compiled.items()}
        if not matchers["never"].matches_within(budget):
            continue
        for left in range(budget, max(budget - 14, 0), -1):
            masks = {way: within(matcher, vocabulary, left) for way, matcher in matchers.items()}
            assert masks["where-paying"] == masks["never"], (left, bytes(matchers["never"].text))
            tokens = sorted(masks["never"] - set(vocabulary.eos_token_ids))
            if not tokens:
                break
            # A token of a marker now and then: what leads into one is where states differ.
            marked = [token for token in tokens if set(vocabulary.token_bytes(token) or b"") & set(b'</"\\')]
            token = chance.choice(marked if marked and chance.random() < 0.3 else tokens)
            for matcher in matchers.values():
                matcher.advance(token)


def fresh(constraint: rellm.Constraint, vocabulary: rellm.Vocabulary, way: str) -> rellm.CompiledConstraint:
    """Compiled on its own, not taken from the cache."""
    from rellm._engines.compile import compile_language

    compiled = compile_language(constraint, vocabulary, rellm.Limits(memory_bytes=256 << 20))
    compiled._served.set_fast_paths(way)
    return compiled
