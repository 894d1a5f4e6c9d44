"""Recursion of `regex` on the automaton: calls of groups mean what the library says, and masks are exact."""

from __future__ import annotations

import random

import pytest
import regex
import rellm
from brute_force import Oracle
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers_at_hand import tekken

from .walks import accepted, allowed, check_masks, matched, texts_over

PARENTHESES = r"\((?:[^()]|(?R))*\)"
ASCII = rellm.Vocabulary([bytes([byte]) for byte in range(128)] + [None], eos_token_ids=[128])


def compiled(pattern: str, vocabulary: rellm.Vocabulary = ASCII, **limits: int):
    constraint = rellm.Regex(pattern, dialect="regex")
    return rellm.compile(constraint, vocabulary, limits=rellm.Limits(**limits) if limits else None)


@pytest.mark.parametrize(
    ("pattern", "alphabet", "longest"),
    [
        (PARENTHESES, "()a", 7),
        (r"\((?:[^()]++|(?R))*\)", "()a", 7),
        (r"\((?:[^()]|(?R))*\)$", "()a", 6),
        (r"(?:\((?R)*\)|x)$", "(x)", 6),
        (r"a(?R)?b", "ab", 8),
        (r"(?:a(?R)?b){2}", "ab", 8),
        (r"(a(?1)?b)(?1)*", "ab", 8),
        (r"(a|ab)(?1)c", "abc", 6),
        (r"(?(DEFINE)(?<e>a|\((?&e)\)))(?P>e)b", "ab()", 6),
        (r"(?<x>a(?&y)?b)(?<y>c(?&x)?d)", "abcd", 6),
        (r"x(?+1)(y|z)", "xyz", 4),
        (r"(y|z)(?-1)x", "xyz", 4),
        (r"((?i)a(?-i:b))(?1)", "abAB", 4),
        (r"(?i:(a))(?1)", "aA", 3),
        (r"((?>a|ab))(?1)c", "abc", 5),
        (r"(a(?=b)|b)(?1)(?1)", "ab", 5),
        (r"((?<=a)b|a)(?1)*", "ab", 6),
        (r"^(a(?:^b)?)(?1)$", "ab", 4),
        (r"(a\b|b)(?1) ", "ab ", 4),
        (r"(?=(a(?1)?b)$)[ab]{4}", "ab", 5),
        (r"(?=[ab]*(a(?1)?b))a*b*", "ab", 6),
        (r"(?(?=a)a(?R)?b|c)", "abc", 6),
        (r"(?|(?:a)|(?:b))(c)(?1)", "abc", 4),
    ],
)
def test_a_call_matches_what_the_library_matches(pattern: str, alphabet: str, longest: int) -> None:
    texts = texts_over(alphabet, longest)
    found, undecided = matched(regex.compile(pattern), texts)
    assert not undecided
    assert found
    assert accepted(pattern, alphabet, longest) == found


CALLS = st.sampled_from([r"a(?R)?b", r"\((?1)?a", r"(?:b(?1))*", r"(?:\((?R)\)|b)"])
LEAVES = st.one_of(st.sampled_from(["a", "b", r"\(", "[ab]", "[^a]", ".", "ab", ""]), CALLS)
CONDITIONS = st.sampled_from(["^", "$", r"\Z", "(?=a)", "(?!b)", "(?<=a)", r"\b", "a*+", "(?>a|ab)", "[ab]?+"])
QUANTIFIERS = ("*", "+", "?", "{2}", "{1,2}", "*?", "{,2}")


def bigger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.lists(inner, min_size=2, max_size=3).map("".join),
        st.lists(inner, min_size=2, max_size=2).map(lambda two: f"(?:{two[0]}|{two[1]})"),
        st.tuples(inner, st.sampled_from(QUANTIFIERS)).map(lambda t: f"(?:{t[0]}){t[1]}"),
    )


@settings(max_examples=120, deadline=None)
@given(st.one_of(st.recursive(LEAVES, bigger, max_leaves=7), st.recursive(LEAVES | CONDITIONS, bigger, max_leaves=6)))
def test_random_patterns_with_calls_mean_what_the_library_says(pattern: str) -> None:
    pattern = f"(a|b){pattern}"
    texts = texts_over("ab(", 5)
    try:
        found = accepted(pattern, "ab(", 5)
    except (rellm.UnsupportedError, rellm.LimitExceededError):
        return  # it calls itself before it reads; with lookarounds, whether a stack can be left is not always decidable
    own, undecided = matched(regex.compile(pattern), texts)
    assert found - undecided == own, pattern


@pytest.mark.parametrize("pattern", [r"((.)(?1)\2|.?)", r"(?:(\w)(?R)?\1)", r"(a|b)(?1)\1", r"((<)?a(?(2)>))(?1)"])
def test_calls_that_need_captured_texts_say_so_and_are_searched_for(pattern: str) -> None:
    served = compiled(pattern)
    assert served.engine == "search"
    assert served.engine_reason is not None
    assert "of what sets or asks for the text of a group" in served.engine_reason


@pytest.mark.parametrize("pattern", ["(?R)a|b", "a*(?R)?b", "(?:(?1)a|(b|(?1)c))", r"(?<x>(?&y)a|b)(?<y>c?(?&x))"])
def test_a_call_before_a_character_is_an_error_since_the_library_never_ends(pattern: str) -> None:
    with pytest.raises(rellm.UnsupportedError, match="calls itself before it reads a character: the call at position"):
        compiled(pattern)


TOKENS = [b"(", b")", b"a", b"b", b"((", b"))", b")(", b"a(", b"b)a", b"ab", None]


@pytest.mark.parametrize(
    "pattern", [PARENTHESES, r"\((?:[^()]++|(?R))*\)", r"(?<x>a(?&y)?b)(?<y>\((?&x)?\))", r"(a(?1)?b)(?1)*(?<!ab{3})"]
)
def test_a_token_is_allowed_if_and_only_if_the_text_can_be_ended_behind_it(pattern: str) -> None:
    own = regex.compile(pattern)
    oracle = Oracle(own.fullmatch, "()ab", 8 if "++" in pattern else 7, TOKENS, [10])
    constraint = compiled(pattern, rellm.Vocabulary(TOKENS, eos_token_ids=[10]))
    chooser = random.Random(7)
    for _ in range(15):
        check_masks(constraint, oracle, TOKENS, 10, chooser)


@pytest.mark.slow
@pytest.mark.parametrize("pattern", [PARENTHESES, r'(?<v>"\w*+"|\[(?:(?&v)(?:, (?&v))*)?\])'])
def test_masks_on_a_real_vocabulary_are_those_of_trying_each_token(pattern: str) -> None:
    vocabulary = rellm.Vocabulary.from_tokenizer(tekken())
    matcher = compiled(pattern, vocabulary).matcher()
    fresh = matcher.copy()
    chooser = random.Random(3)
    for _ in range(4):
        mask = allowed(matcher)
        for token in chooser.sample(range(len(vocabulary)), 20_000):
            assert fresh.allows(token) == (token in mask)
        step = chooser.choice(sorted(mask - set(vocabulary.eos_token_ids)))
        matcher.advance(step)
        fresh.advance(step)


def test_a_pattern_that_calls_groups_is_a_part_of_its_own() -> None:
    """Its groups are numbered, its anchors see, and (?R) means, inside it."""
    part = rellm.Regex(r"^(a(?R)?b)$", dialect="regex")
    nested = rellm.Regex(r"\((?R)?\)", dialect="regex")
    constraint = rellm.compile(rellm.Sequence(nested, part, nested, part), ASCII)
    for text, matches in (("()ab()ab", True), ("(())ab()ab", True), ("()aabb()ab", False), ("()ab()", False)):
        matcher = constraint.matcher()
        try:
            matcher.advance_bytes(text.encode())
        except rellm.TokenRejectedError:
            assert not matches
        else:
            assert matcher.is_accepting == matches


def test_what_is_forced_and_how_a_text_ends_is_known_at_any_depth() -> None:
    matcher = compiled(r"<(?R)?>|x").matcher()
    matcher.advance_bytes(b"<" * 3000)
    assert matcher.shortest_completion() == b">" * 3000
    matcher.advance_bytes(b"x>")
    assert matcher.forced_bytes() == b">" * 2999
    assert matcher.tokens_to_match(2999) == 2999


def test_a_small_memory_is_enough_for_a_long_text() -> None:
    pattern = r"(?:\[(?:a|(?R))*\]|\{(?:b|(?R))*\})"
    matcher = compiled(pattern, memory_bytes=300_000).matcher()
    chooser = random.Random(5)
    depth = 0
    for _ in range(3000):
        choices = sorted(allowed(matcher) - {128})
        deeper = [choice for choice in choices if chr(choice) in "[{"]
        closing = [choice for choice in choices if chr(choice) in "]}"]
        choice = chooser.choice(deeper if depth < 2 else closing if depth > 30 else choices)
        depth += (choice in deeper) - (choice in closing)
        matcher.advance(choice)
    rest = matcher.shortest_completion()
    assert rest is not None
    assert len(rest) == depth
    assert regex.fullmatch(pattern, (matcher.text + rest).decode())
