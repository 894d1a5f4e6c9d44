"""A budget near its end keeps the choice, however many tokens may follow, and its calls are bounded work."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import rellm
import tokenizers_at_hand as at_hand

LETTERS = "abcdefghijklmnopqrstuvwxyz"
WORDS = ["".join(word) for length in (1, 2, 3) for word in itertools.product(LETTERS, repeat=length)]
# The bar is 50 ms on a quiet machine; the best of three tries, with room for a busy one.
SECONDS = 0.1


@cache
def words(extra: str = "") -> rellm.Vocabulary:
    """All words of one to three letters, a space, and the characters of `extra`."""
    tokens = [word.encode() for word in [*WORDS, " ", *extra]]
    return rellm.Vocabulary([*tokens, None], eos_token_ids=[len(tokens)])


@cache
def tekken() -> rellm.Vocabulary:
    return rellm.Vocabulary.from_tokenizer(at_hand.tekken())


def ids(row: Any) -> set[int]:
    return set(np.flatnonzero(np.unpackbits(row.view(np.uint8), bitorder="little")).tolist())


def within(matcher: Any, vocabulary: rellm.Vocabulary, left: int) -> set[int]:
    row = np.zeros((1, (len(vocabulary) + 31) // 32), dtype=np.uint32)
    matcher.fill_mask_within(row, 0, left)
    return ids(row[0]) - set(vocabulary.eos_token_ids)


def quickest(ask: Callable[[Any], Any], constraint: Any, vocabulary: rellm.Vocabulary, text: str) -> tuple[Any, float]:
    """The answer, and the least CPU time of three constraints that know nothing of each other."""
    times = []
    for attempt in range(3):
        limits = rellm.Limits(fuel=19_999_999 - attempt)
        matcher = rellm.compile(constraint, vocabulary, limits=limits).matcher()
        matcher.advance_bytes(text.encode())
        start = time.process_time()
        answer = ask(matcher)
        times.append(time.process_time() - start)
    return answer, min(times)


@pytest.mark.parametrize("left", [3, 8, 20])
def test_all_words_may_begin_a_doubled_word(left: int) -> None:
    matcher = rellm.compile(r"(\w+) \1", words()).matcher()
    assert len(within(matcher, words(), left)) == 18_278


@pytest.mark.parametrize("left", [2, 3, 4])
def test_all_first_words_of_many_labels_are_allowed(left: int) -> None:
    chance = random.Random(left)
    first = chance.sample(WORDS, 8_500)
    labels = [f"{word} {chance.choice(WORDS)}" for word in first]
    allowed = within(rellm.compile(rellm.Choice(labels), words()).matcher(), words(), left)
    # A word and " word" are three tokens; more left, and a word may be cut.
    if left == 2:
        assert not allowed
    elif left == 3:
        assert {WORDS[token] for token in allowed} == set(first)
    else:
        assert {WORDS[token] for token in allowed} > set(first)


def test_labels_of_many_tokens_lose_none_of_their_beginnings() -> None:
    chance = random.Random(7)
    vocabulary = words("-0123456789")
    first = [chance.choice(WORDS) for _ in range(4_000)]
    labels = [f"{word}-{chance.randrange(100, 1000)}{chance.choice(LETTERS)}" for word in first]
    allowed = within(rellm.compile(rellm.Choice(labels), vocabulary).matcher(), vocabulary, 6)
    assert {WORDS[token] for token in allowed} == set(first)


def fewest(text: str, pieces: set[str], known: dict[str, int]) -> int:
    """The fewest tokens that spell a text, by trying."""
    if not text:
        return 0
    if text not in known:
        ends = [end for end in (1, 2, 3) if text[:end] in pieces]
        known[text] = min((1 + fewest(text[end:], pieces, known) for end in ends if end <= len(text)), default=10**6)
    return known[text]


@pytest.mark.parametrize("seed", range(6))
def test_a_budget_is_what_a_dynamic_program_over_all_texts_says(seed: int) -> None:
    """Random finite languages with more than 10,000 followers, over vocabularies that lack some of the words."""
    chance = random.Random(seed)
    pieces = {word for word in WORDS if len(word) == 1 or chance.random() < 0.9} | {" "}
    tokens = sorted(pieces)
    vocabulary = rellm.Vocabulary([*(token.encode() for token in tokens), None], eos_token_ids=[len(tokens)])
    count = chance.choice([10_500, 12_000])
    texts = {
        word + chance.choice(["", " ", chance.choice(WORDS), " " + chance.choice(WORDS)])
        for word in chance.sample(WORDS, count)
    }
    texts |= {chance.choice(WORDS) + chance.choice(WORDS) + " " + chance.choice(WORDS) for _ in range(2_000)}
    known: dict[str, int] = {}
    nearest: dict[str, int] = {}
    for text in texts:
        for end in (1, 2, 3):
            begin, rest = text[:end], text[end:]
            if begin in pieces and len(begin) == end:
                nearest[begin] = min(nearest.get(begin, 10**6), fewest(rest, pieces, known))
    for left in range(1, 6):
        matcher = rellm.compile(rellm.Choice(sorted(texts)), vocabulary).matcher()
        expected = {begin for begin, count in nearest.items() if count <= left - 1}
        assert {tokens[token] for token in within(matcher, vocabulary, left)} == expected, left
        assert matcher.tokens_to_match(5) == 1 + min(nearest.values())


HEREDOC = r"<<(\w+)\n(?:(?!\1\n).*\n)*\1\n"


@pytest.mark.parametrize(
    ("pattern", "text", "rest"),
    [
        (HEREDOC, "<<HEREDO", b"\nHEREDO\n"),
        (HEREDOC, "<<" + "HEREDOC" * 10, b"\n" + b"HEREDOC" * 10 + b"\n"),
        (HEREDOC, "<<" + "HEREDOC" * 100, b"\n" + b"HEREDOC" * 100 + b"\n"),
        (r"<(\w+)>(?:(?!</\1>)[\s\S])*</\1>", "<section", b"></section>"),
        (r"(\w+) (\w+) \1 \2", "hello wor", b" hello wor"),
        (r"(\w+)(?=-\1)-\w+", "hello", b"-hello"),
    ],
)
def test_a_way_out_of_a_group_beside_a_lookahead_is_known_at_once(pattern: str, text: str, rest: bytes) -> None:
    answer, seconds = quickest(lambda matcher: matcher.shortest_completion(), pattern, words("<>/\n-"), text.lower())
    assert answer == rest.lower()
    assert seconds <= SECONDS


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (HEREDOC, "<<HEREDO"),
        (HEREDOC, "<<" + "HEREDOC" * 10),
        (r"(\w+) \1", ""),
        (r"(\w+) (\w+) \1 \2", "hello wor"),
        (r"(\w+)(?=.*\1)[^a]+", "hello"),
        (r"(?!.*\b(\w+)\b.*\b\1\b)[a-z]+(?: [a-z]+){2,5}", "one two"),
        (r"(?:(?!</think>)[\s\S]){0,500}</think>", "thinking"),
        (r"(?=.*a)(?=.*b)(?=.*c)[\s\S]{10,400}", "x"),
    ],
)
@pytest.mark.parametrize("left", [3, 20, 300])
def test_what_a_budget_asks_on_a_real_vocabulary_is_bounded_work(pattern: str, text: str, left: int) -> None:
    asks: list[Callable[[Any], Any]] = [
        lambda matcher: matcher.shortest_completion(),
        lambda matcher: matcher.tokens_to_match(left),
        lambda matcher: matcher.matches_within(left),
        lambda matcher: within(matcher, tekken(), left),
    ]
    for ask in asks:
        _, seconds = quickest(ask, pattern, tekken(), text)
        assert seconds <= 2 * SECONDS


def test_whatever_is_chosen_where_texts_are_captured_ends_within_the_budget() -> None:
    chance = random.Random(3)
    for pattern in (HEREDOC, r"(\w+) \1", r"(?!.*\b(\w+)\b.*\b\1\b)[a-z]+(?: [a-z]+){2,3}"):
        for left in (6, 9, 14):
            matcher = rellm.compile(pattern, words("<\n")).matcher()
            for remaining in range(left, 0, -1):
                allowed = within(matcher, words("<\n"), remaining)
                if not allowed:
                    break
                matcher.advance(chance.choice(sorted(allowed)))
            assert matcher.is_accepting, (pattern, left, matcher.text)
