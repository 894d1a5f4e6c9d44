"""The educational version in examples/ makes the masks that the core makes."""

from __future__ import annotations

import importlib.util
import random
import re
from pathlib import Path

import numpy as np
import pytest
import rellm

PATH = Path(__file__).resolve().parents[2] / "examples" / "how_it_works.py"
specification = importlib.util.spec_from_file_location("how_it_works", PATH)
how_it_works = importlib.util.module_from_spec(specification)
specification.loader.exec_module(how_it_works)

PATTERNS = ["[a-z]+@[a-z]+\\.(com|org)", "(yes|no|maybe)!?", "a(b|cb)*c?", "([^a-x]|ab)+", ".*x", "(a|b)*a(a|b)(a|b)"]
TOKENS = [*map(chr, range(128)), "ab", "abc", "bc", "com", ".com", ".c", "yes", "no!", "x.", "aa", "bab", "\n\n", "zy"]


def masks_of_the_core(pattern):
    vocabulary = rellm.Vocabulary([*(token.encode() for token in TOKENS), None], eos_token_ids=[len(TOKENS)])
    matcher = rellm.compile(rellm.Regex(pattern), vocabulary).matcher()
    while True:
        bits = np.unpackbits(matcher.mask().view(np.uint8), bitorder="little")
        yield {i for i in range(len(TOKENS)) if bits[i]}, matcher


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("seed", range(3))
def test_its_masks_are_the_cores(pattern, seed):
    choose = random.Random(seed)
    state, trie = how_it_works.parse(pattern), how_it_works.trie_of(TOKENS)
    for (core, matcher), _ in zip(masks_of_the_core(pattern), range(12), strict=False):
        own = set(how_it_works.allowed_tokens(state, trie))
        assert own == core
        assert how_it_works.accepts_empty(state) == matcher.is_accepting
        if not own:
            break
        token = choose.choice(sorted(own))
        matcher.advance(token)
        for c in TOKENS[token]:
            state = how_it_works.derivative(state, c)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_what_it_writes_matches(pattern):
    random.seed(7)
    for _ in range(20):
        text = how_it_works.write(pattern, TOKENS)
        assert re.fullmatch(pattern, text), text


def test_it_is_short():
    lines = [line for line in PATH.read_text(encoding="utf-8").splitlines() if line.strip()]
    code = [line for line in lines if not line.lstrip().startswith("#")]
    assert len(code) <= 120
