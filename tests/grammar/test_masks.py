"""Masks of grammars, against a recogniser that shares nothing with the core."""

from __future__ import annotations

import random

import numpy as np
import pytest
import rellm
from rellm import Grammar, GrammarError, LimitExceededError, UnsatisfiableError, Vocabulary

from .languages import Rules, as_gbnf, fragments, texts_of
from .test_rules import random_rules

TOKENS = [b"a", b"b", b"ab", b"ba", b"aab", b"bbb", b"aaaa", None]
EOS = 7
WORDS = Vocabulary(TOKENS, eos_token_ids=[EOS])


def allowed(matcher) -> set[int]:
    bits = np.unpackbits(matcher.mask().view(np.uint8), bitorder="little")
    return set(np.flatnonzero(bits).tolist())


@pytest.mark.parametrize("seed", range(8))
def test_a_token_is_allowed_if_some_text_of_the_grammar_goes_on_so(seed):
    """Single letters are tokens, so whatever begins a text can be spelled."""
    source = random.Random(100 + seed)
    checked = limited = 0
    while checked < 12:
        rules: Rules = random_rules(source)
        try:
            grammar = Grammar(as_gbnf(rules), "r0", format="gbnf")
        except GrammarError:
            continue
        oracle = fragments(grammar)
        try:
            compiled = rellm.compile(grammar, WORDS)
        except UnsatisfiableError:
            assert not texts_of(rules, "r0")
            continue
        try:
            for _ in range(3):
                walk(compiled, oracle, source, as_gbnf(rules))
        except LimitExceededError:
            limited += 1  # ambiguous without bound: the typed error is the promise
        checked += 1
    assert limited < 6


def walk(compiled, oracle, source, shown: str) -> None:
    """Five random tokens, each of whose masks is what the oracle says."""
    matcher, text = compiled.matcher(), ""
    for _ in range(5):
        expected = {i for i, token in enumerate(TOKENS) if token and oracle.can_begin(text + token.decode())}
        if oracle.accepts(text):
            expected.add(EOS)
        assert allowed(matcher) == expected, (shown, text)
        choices = sorted(expected - {EOS})
        if not choices:
            break
        token = source.choice(choices)
        matcher.advance(token)
        text += TOKENS[token].decode()
    way = text + matcher.shortest_completion().decode()
    assert oracle.accepts(way), (shown, text, way)


@pytest.mark.parametrize("lexer", ["none", "maximal"])
def test_random_walks_over_a_language_of_statements_end_in_texts_that_lark_reads(lexer):
    import lark

    source = """
    start: statement+
    statement: NAME "=" sum ";" | "if" sum block | "while" sum block
    block: "{" statement* "}"
    ?sum: product | sum "+" product | sum "-" product
    ?product: atom | product "*" atom
    ?atom: NAME | NUMBER | "(" sum ")"
    NAME: /[a-z]+/
    NUMBER: /[0-9]+/
    %ignore " "
    """
    vocabulary = Vocabulary(
        [
            *(bytes([byte]) for byte in range(256)),
            b"if",
            b"while",
            b" = ",
            b"wh",
            b"12",
            b"));",
            b"; if ",
            b"xif",
            None,
        ],
        eos_token_ids=[264],
    )
    compiled = rellm.compile(Grammar(source, lexer=lexer), vocabulary)
    # The lexer that tries every way reads sets of strings; the basic one takes keywords and the longest match.
    options = (
        {"lexer": "dynamic_complete", "parser": "earley"}
        if lexer == "none"
        else {"lexer": "contextual", "parser": "lalr"}
    )
    parser = lark.Lark(source, **options)
    rng = np.random.default_rng(5)
    for _ in range(30):
        matcher = compiled.matcher()
        while not matcher.is_finished:
            if len(matcher.text) > 25:
                matcher.advance_bytes(matcher.shortest_completion())
                break
            choices = sorted(allowed(matcher))
            token = int(rng.choice(choices))
            matcher.advance(token)
        text = matcher.text.decode()
        parser.parse(text)
