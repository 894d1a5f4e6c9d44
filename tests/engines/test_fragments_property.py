"""Random trees against the recogniser of fragments: masks, ends, completions, by all ways of making masks.

`RELLM_FRAGMENTS=5000 RELLM_SEED=1` for more of them than a test run takes.
"""

from __future__ import annotations

import itertools
import os
import random

import pytest
import rellm
from fragment_oracle import COMPLEMENT, INTERSECTION, ITEMS, LOOK, MEMBERS, PART, PATTERN, Fragments
from random_fragments import KINDS, LETTERS, Trees, vocabulary
from rellm import _core
from rellm._dialects import tables

COUNT = int(os.environ.get("RELLM_FRAGMENTS", "40"))
SEED = int(os.environ.get("RELLM_SEED", "0"))
WAYS = ("never", "where-paying", "always")
SHORT = ["".join(letters) for length in range(1, 5) for letters in itertools.product(LETTERS, repeat=length)]


@pytest.mark.parametrize("kinds", KINDS)
@pytest.mark.parametrize("seed", range(SEED, SEED + COUNT))
def test_a_mask_is_what_the_recogniser_says(kinds: str, seed: int) -> None:
    chance = random.Random(seed)
    trees = Trees(chance, kinds)
    tokens = vocabulary(chance)
    limits = _core.Limits(chance.choice((32 << 20, 32 << 20, 300_000)), 20_000_000, 500, 2_000_000)
    oracle = Fragments(trees.ops, trees.strings, ["re"])
    try:
        compiled = _core.Constraint.expression(
            trees.ops, trees.strings, [tables.re_dialect()], _core.Vocabulary(tokens, [0]), limits
        )
    except rellm.UnsatisfiableError:
        try:
            assert not any(map(oracle.accepts, ["", *SHORT]))
        except RecursionError:
            pytest.skip("the recogniser cannot say")
        return
    except rellm.PatternError as error:
        assert "left recursion" in str(error)
        return
    # Whether a text can be begun, the recogniser can say of trees without languages of their own.
    is_prefixable = not {INTERSECTION, COMPLEMENT, LOOK, PART, PATTERN, MEMBERS, ITEMS} & set(trees.ops)
    try:
        for _ in range(2):
            _walk(chance, compiled, tokens, oracle, is_prefixable)
    except RecursionError:
        pytest.skip("the recogniser cannot say")


def _walk(chance: random.Random, compiled: _core.Constraint, tokens: list, oracle: Fragments, prefixes: bool) -> None:
    matcher, text = compiled.matcher(), ""
    for _ in range(8):
        assert matcher.is_accepting == oracle.accepts(text)
        masks = []
        for ways in WAYS:
            compiled.set_fast_paths(ways)
            masks.append(matcher.mask())
        compiled.set_fast_paths("where-paying")
        assert all((mask == masks[0]).all() for mask in masks)
        allowed = [token for token in range(1, len(tokens)) if masks[0][token // 32] >> (token % 32) & 1]
        assert oracle.accepts(text + matcher.shortest_completion().decode())
        if prefixes:
            expected = [token for token in range(1, len(tokens)) if oracle.can_begin(text + tokens[token].decode())]
            assert allowed == expected
        for token in chance.sample(allowed, min(3, len(allowed))):
            further = matcher.copy()
            further.advance(token)
            whole = text + tokens[token].decode() + further.shortest_completion().decode()
            assert oracle.accepts(whole), "an allowed token leads to a match"
        for rest in chance.sample(SHORT, 10):
            if oracle.accepts(text + rest):
                lost = [t for t in range(1, len(tokens)) if rest.startswith(tokens[t].decode()) and t not in allowed]
                assert not lost, "a token that leads to a match is allowed"
        if not allowed:
            return
        token = chance.choice(allowed)
        matcher.advance(token)
        text += tokens[token].decode()
