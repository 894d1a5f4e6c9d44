"""Budgets over a real vocabulary of 49,152 tokens, against exhaustive search where that can still judge."""

from __future__ import annotations

import functools
import itertools
import random
import re
from typing import Any

import numpy as np
import pytest
import rellm
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rellm._generate.apply_mask import packed_words, unpacked
from rellm._generate.token_budget import check_budget, fill_mask_in_budget
from tokenizers_at_hand import smollm2, tekken


@functools.cache
def vocabulary() -> rellm.Vocabulary:
    return rellm.Vocabulary.from_tokenizer(smollm2())


@functools.cache
def wider() -> rellm.Vocabulary:
    return rellm.Vocabulary.from_tokenizer(tekken())


@functools.cache
def ids_by_bytes() -> dict[bytes, list[int]]:
    found: dict[bytes, list[int]] = {}
    for token_id in range(len(vocabulary())):
        data = vocabulary().token_bytes(token_id)
        if data and token_id not in vocabulary().eos_token_ids:
            found.setdefault(data, []).append(token_id)
    return found


class Exhaustive:
    """Distances and masks of a finite language, by trying every token at every place of every text."""

    def __init__(self, language: set[bytes]) -> None:
        self.prefixes = {text[:i] for text in language for i in range(len(text) + 1)}
        self.longest = max(map(len, language))
        self.distances = dict.fromkeys(language, 0)
        for text in sorted(self.prefixes - language, key=len, reverse=True):
            after = [self.distances[target] for _, target in self.steps(text) if target in self.distances]
            if after:
                self.distances[text] = 1 + min(after)

    def steps(self, text: bytes) -> list[tuple[bytes, bytes]]:
        following = {target[len(text) :] for target in self.prefixes if target.startswith(text) and target != text}
        return [(data, text + data) for data in following if data in ids_by_bytes()]

    def allowed(self, text: bytes, left: int) -> set[int]:
        tokens = {
            token_id
            for data, target in self.steps(text)
            if self.distances.get(target, left) <= left - 1
            for token_id in ids_by_bytes()[data]
        }
        return tokens | (set(vocabulary().eos_token_ids) if self.distances.get(text) == 0 else set())


def words() -> st.SearchStrategy[list[str]]:
    pieces = [" the", " and", "ing", "tion", "a", "b", "x", " ", "é", "日", '"', "0", "2024", " hello", "zq", "\n"]
    word = st.lists(st.sampled_from(pieces), min_size=1, max_size=5).map("".join)
    return st.lists(word, min_size=1, max_size=3, unique=True)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(first=words(), second=words(), seed=st.integers(0, 2**16))
def test_the_mask_within_a_budget_is_the_exhaustive_one(first: list[str], second: list[str], seed: int) -> None:
    pattern = f"({'|'.join(map(re.escape, first))})({'|'.join(map(re.escape, second))})"
    oracle = Exhaustive({(a + b).encode() for a, b in itertools.product(first, second)})
    matcher = rellm.compile(pattern, vocabulary()).matcher()
    chance = random.Random(seed)
    row = np.zeros((1, packed_words(len(vocabulary()))), dtype=np.uint32)
    text = b""
    while True:
        distance = oracle.distances[text]
        for left in range(distance + 3):
            assert matcher.tokens_to_match(left) == (distance if distance <= left else None)
            assert matcher.matches_within(left) == (distance <= left)
            matcher.fill_mask_within(row, 0, left)
            found = set(np.flatnonzero(unpacked(row[0], len(vocabulary()))).tolist())
            assert found == oracle.allowed(text, left), (text, left)
        choices = [token for token in oracle.allowed(text, 99) if token not in vocabulary().eos_token_ids]
        if not choices:
            break
        token_id = chance.choice(sorted(choices))
        matcher.advance(token_id)
        text += vocabulary().token_bytes(token_id) or b""


PATTERNS = [
    (r"(\w+) \1", 20),
    (r"(\w+) \1 (\w+) \2", 30),
    (r"(?i)(\w+)-(\w+) \2-\1", 24),
    (r'(["\']).{0,40}\1 and (\w+)=\2', 30),
    (r"(?=.*\d)(?=.*[a-z])[\w ,]{40,90}", 60),
    (r"(?:(?!foo)\w+ ){5,20}end", 40),
    (r"(?s).{0,2000}(?<=\.)", 12),
    (r"[\w ,.']{200,400}", 60),
    (r'\{("[a-z]{1,20}": ("[^"]{0,300}"|\d{1,40})(, )?){3,12}\}', 60),
    (r"[一-龥]{50}", 50),
    (r"(a|b)*a(a|b){12}", 30),
]


@pytest.mark.parametrize(("pattern", "budget"), PATTERNS)
def test_whatever_is_chosen_closes_and_no_distance_ends_in_an_error(pattern: str, budget: int) -> None:
    """Captured texts, lookarounds and counters over wide classes: many states, long ways."""
    _write_at_random(rellm.compile(pattern, vocabulary()), vocabulary(), budget, pattern)


@pytest.mark.parametrize(("pattern", "budget"), PATTERNS[:6])
def test_the_same_over_131072_tokens(pattern: str, budget: int) -> None:
    _write_at_random(rellm.compile(pattern, wider()), wider(), budget, pattern)


def _write_at_random(compiled: Any, vocabulary: Any, budget: int, pattern: str) -> None:
    for seed in range(3):
        chance = random.Random(seed)
        matcher = compiled.matcher()
        check_budget(matcher, budget)
        row = np.zeros((1, packed_words(len(vocabulary))), dtype=np.uint32)
        for written in range(budget):
            fill_mask_in_budget(matcher, row, 0, budget - written)
            allowed = np.flatnonzero(unpacked(row[0], len(vocabulary))).tolist()
            text = [token_id for token_id in allowed if token_id not in vocabulary.eos_token_ids]
            if not text:
                break
            matcher.advance(chance.choice(text))
        assert matcher.is_accepting
        assert re.fullmatch(pattern, matcher.text.decode())


def test_the_shortest_way_past_a_captured_text_is_found() -> None:
    """What is captured counts again for each backreference to it; else every longer capture would be tried first."""
    matcher = rellm.compile(r"([a-z]+)-\1\1", vocabulary()).matcher()
    matcher.advance_bytes(b"internationalization")
    assert matcher.shortest_completion() == b"-" + 2 * b"internationalization"
    wide = rellm.compile(r"(\w+) \1", vocabulary()).matcher()
    wide.advance_bytes("日本語のテキスト".encode())
    assert wide.shortest_completion() == b" " + "日本語のテキスト".encode()
