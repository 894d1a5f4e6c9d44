"""Masks against the brute-force oracle: random patterns, random vocabularies, random texts before."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import rellm
import tokenizers_at_hand as at_hand
from brute_force import Oracle
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from regressions import regressions
from strategies import ALPHABET, patterns, vocabularies

EXAMPLES = int(os.environ.get("RELLM_EXAMPLES", "400"))
LONGEST = 5

configured = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)


def ids(mask: np.ndarray, size: int) -> set[int]:
    bits = np.unpackbits(mask.view(np.uint8), bitorder="little")
    assert not bits[size:].any()
    return set(np.flatnonzero(bits).tolist())


def compile_or_say_why(
    pattern: re.Pattern[str], vocabulary: rellm.Vocabulary, oracle: Oracle | None = None
) -> rellm.CompiledConstraint | None:
    """None where nothing can match, or where a pattern is known to be one that is not served."""
    try:
        return rellm.compile(pattern, vocabulary)
    except rellm.UnsatisfiableError:
        assert oracle is None or not oracle.is_satisfiable()
    except rellm.UnsupportedError as error:
        # What the automaton leaves to the search engine, and that does not serve either.
        assert "search engine" in str(error)
    except rellm.LimitExceededError as error:
        assert is_known_limit(error, pattern, "automaton")
    return None


def is_known_limit(error: rellm.LimitExceededError, pattern: re.Pattern[str], engine: str) -> bool:
    """Time, in the search engine; in the automaton, memory, where a backreference to unbounded text makes states."""
    if engine == "search":
        return error.limit == "fuel"
    return error.limit == "memory_bytes" and re.search(r"\\\d", pattern.pattern) is not None


@contextmanager
def up_to_known_limits(
    pattern: re.Pattern[str], matcher: rellm._engines.compile.Matcher, engine: str, oracle: Oracle | None = None
) -> Iterator[None]:
    """Ends where a limit is reached that is known, or a dead end in the search engine, which does not see them all."""
    try:
        yield
    except rellm.LimitExceededError as error:
        assert is_known_limit(error, pattern, engine), error
    except rellm.DeadEndError as error:
        assert engine == "search", error
        assert not matcher.is_accepting
        assert oracle is None or not oracle.allowed(matcher.text)


def show_witness(matcher: rellm._engines.compile.Matcher, token: int, before: bytes, oracle: Oracle) -> None:
    """What is allowed beyond the oracle's length is shown by a text that the library matches."""
    after = matcher.copy()
    after.advance(token)
    rest = after.shortest_completion()
    assert rest is not None
    text = after.text + rest
    assert text.startswith(before)
    assert oracle.matches(text), f"token {token} allowed after {before!r}, but {text!r} does not match"
    assert oracle.spells(rest), f"token {token} allowed after {before!r}, but no tokens spell {rest!r}"


@configured
@given(patterns(), vocabularies(), st.randoms(use_true_random=False))
def test_a_mask_is_what_the_brute_force_oracle_says(
    pattern: re.Pattern[str], made: tuple[list[bytes | None], list[int]], chance: random.Random
) -> None:
    tokens, eos = made
    oracle = Oracle(pattern.fullmatch, ALPHABET, LONGEST, tokens, eos)
    vocabulary = rellm.Vocabulary(tokens, eos)
    compiled = compile_or_say_why(pattern, vocabulary, oracle)
    if compiled is None:
        return
    matcher, exact = compiled.matcher(), compiled.engine == "automaton"
    with up_to_known_limits(pattern, matcher, compiled.engine, oracle):
        for _ in range(4):
            before = matcher.text
            mask = ids(matcher.mask(), len(tokens))
            surely = oracle.allowed(before)
            assert surely <= mask, f"forbidden after {before!r}: {[tokens[token] for token in surely - mask]}"
            assert matcher.is_accepting == oracle.matches(before)
            assert mask & set(eos) == (set(eos) if oracle.matches(before) else set())
            assert mask == {token for token in range(len(tokens)) if matcher.allows(token)}
            if exact:
                for token in sorted(mask - surely):
                    show_witness(matcher, token, before, oracle)
                assert mask or oracle.matches(before), f"a dead end after {before!r}"
            text_tokens = sorted(mask - set(eos))
            if not text_tokens:
                break
            matcher.advance(chance.choice(text_tokens))


@configured
@given(patterns(), vocabularies(), st.randoms(use_true_random=False))
def test_state_follows_from_the_tokens_alone(
    pattern: re.Pattern[str], made: tuple[list[bytes | None], list[int]], chance: random.Random
) -> None:
    tokens, eos = made
    compiled = compile_or_say_why(pattern, rellm.Vocabulary(tokens, eos))
    if compiled is None:
        return
    wandering, taken = compiled.matcher(), []
    with up_to_known_limits(pattern, wandering, compiled.engine):
        for _ in range(8):
            allowed = sorted(ids(wandering.mask(), len(tokens)) - set(eos))
            if taken and (not allowed or chance.random() < 0.4):
                back = chance.randint(1, len(taken))
                wandering.rollback(back)
                del taken[-back:]
            elif allowed:
                taken.append(chance.choice(allowed))
                wandering.advance(taken[-1])
            forbidden = [token for token in range(len(tokens)) if not wandering.allows(token)]
            if forbidden:
                with pytest.raises(rellm.TokenRejectedError):
                    wandering.advance(chance.choice(forbidden))
            fresh = compiled.matcher()
            assert fresh.validate(taken) == len(taken)
            for token in taken:
                fresh.advance(token)
            assert fresh.text == wandering.text
            assert np.array_equal(fresh.mask(), wandering.mask())
            assert (fresh.is_accepting, fresh.is_finished) == (wandering.is_accepting, wandering.is_finished)


REAL = {
    "SmolLM2": at_hand.smollm2,
    "Tekken": at_hand.tekken,
    "Mistral v3": at_hand.mistral_sentencepiece,
    "Llama-like BPE": at_hand.llama_like,
}
REAL_PATTERNS = [
    (r"\d{1,3}(\.\d{1,2})?", ["", "1", "12.", "12.3"]),
    (r"(foo|foobar) ?(?!bar)\w*", ["", "foo", "foo b"]),
    (r'"[^"\n]{0,6}"', ["", '"', '"né', '"日本']),
    (r"(?i)straße|ſtop|Kelvin", ["", "STRA", "s"]),
    (r"[🙂-🙏]{1,2}日?", ["", "🙂"]),
    (r"(\w)\1( \w+)?\b", ["", "a", "aa", "日日 "]),
    (r" ?\w+(?<!s)\.$", ["", " words", "."[:0]]),
]


@pytest.mark.parametrize("find", regressions("mask"), ids=lambda find: str(find["found"]))
def test_a_mask_that_was_wrong_once_is_right(find: dict[str, Any]) -> None:
    vocabulary = rellm.Vocabulary([token.encode() for token in find["tokens"]])
    matcher = rellm.compile(rellm.Regex(find["pattern"]), vocabulary).matcher()
    matcher.advance_bytes(find["written"].encode())
    allowed = {find["tokens"][token] for token in ids(matcher.mask(), len(find["tokens"]))}
    assert allowed == set(find["allowed"])


@pytest.mark.parametrize("name", REAL)
@pytest.mark.parametrize(("pattern", "starts"), REAL_PATTERNS, ids=[pattern for pattern, _ in REAL_PATTERNS])
def test_on_a_real_vocabulary_every_token_is_judged_as_its_bytes_are(
    name: str, pattern: str, starts: list[str]
) -> None:
    """The mask over all tokens against one byte after the other, and against a witness from the library itself."""
    vocabulary = rellm.Vocabulary.from_tokenizer(REAL[name]())
    tokens = [vocabulary.token_bytes(token) for token in range(len(vocabulary))]
    # One byte a token: there, the automaton is stepped and no tree of tokens walked.
    bytewise = rellm.compile(pattern, rellm.Vocabulary([bytes([byte]) for byte in range(256)]))
    compiled = rellm.compile(pattern, vocabulary)
    matches = re.compile(pattern).fullmatch
    chance = random.Random(name + pattern)
    for start in starts:
        matcher, single = compiled.matcher(), bytewise.matcher()
        matcher.advance_bytes(start.encode())
        single.advance_bytes(start.encode())
        mask = ids(matcher.mask(), len(tokens))
        for token, data in enumerate(tokens):
            alive = bool(data) and single.validate(list(data or b"")) == len(data or b"")
            if token in vocabulary.eos_token_ids:
                assert (token in mask) == bool(matches(start))
            elif token in mask or vocabulary._native.is_regular:
                assert (token in mask) == alive, (start, token, data)
        for token in chance.sample(sorted(mask - set(vocabulary.eos_token_ids)), min(30, len(mask) - 1)):
            after = matcher.copy()
            after.advance(token)
            text = (after.text + after.shortest_completion()).decode()
            assert matches(text), (start, tokens[token], text)
