"""Fuzzy matching of `regex` on the automaton: the errors that the library makes, and no others."""

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

ASCII = rellm.Vocabulary([bytes([byte]) for byte in range(128)] + [None], eos_token_ids=[128])


def compiled(pattern: str, vocabulary: rellm.Vocabulary = ASCII, **limits: int):
    constraint = rellm.Regex(pattern, dialect="regex")
    return rellm.compile(constraint, vocabulary, limits=rellm.Limits(**limits) if limits else None)


@pytest.mark.parametrize(
    "pattern",
    [
        "(?:abc){e<=1}",
        "(?:abc){s<=1}",
        "(?:abc){i<=1}",
        "(?:abc){d<=1}",
        "(?:abc){i<=1,d<=1,s<=2,e<=3}",
        "(?:abca){2i+2d+1s<=4}",
        "(?:abca){1i+3d<=3}b",
        "(?:.*){s<=1}",
        "(?:abc){i}",
        "(?:ab){d}c",
        "(?:abcabc){e<=5}",
        "(?:abcabc){e<5,s<2}",
        "(?:ab|bc){e<=1}a",
        "(?:a|b){e<=1:[c]}b",
        "(?:abc){e<=2:[ab]}",
        "(?:abc){e<=2:.}",
        r"(?:abc){e<=2:\d}",
        "(?i)(?:aBc){e<=1:[a]}",
        "(?:a){d<=1}a",
        "(?:a*b){e<=1}c*",
        "(?:(?:ab){e<=1}){2}",
        "(?:(?:ab){s<=1}|(?:ba){d<=1})*",
        "((?:ab){e<=1})(?1)",
        "a(?R)?(?:b){s<=1}",
        "(?=(?:ab){e<=1}$)[abc]*",
        "(?!(?:ab){e<=1}$)[abc]*",
        "(?e)(?:ab){e<=1}",
        "(?:ba(?:b){e<=1}|ab)ba",
    ],
)
def test_errors_are_made_where_the_library_makes_them(pattern: str) -> None:
    found, undecided = matched(regex.compile(pattern), texts_over("abc", 6))
    assert found
    assert not undecided
    assert accepted(pattern, "abc", 6) == found


ATOMS = st.sampled_from(["a", "b", "c", "[ab]", "[bc]", "[^a]", "."])


def bigger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.lists(inner, min_size=2, max_size=3).map("".join),
        st.lists(inner, min_size=2, max_size=2).map(lambda two: f"(?:{two[0]}|{two[1]})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,2}", "*?"])).map(lambda t: f"(?:{t[0]}){t[1]}"),
    )


PLAIN = st.recursive(ATOMS, bigger, max_leaves=5)
COSTS = st.one_of(
    st.builds("e<={}".format, st.integers(1, 5)),
    st.builds("i<={},d<={},s<={},e<={}".format, *[st.integers(0, 2)] * 3, st.integers(1, 3)),
    st.builds("{}i+{}d+{}s<={}".format, *[st.integers(0, 2)] * 3, st.integers(0, 4)),
    st.builds("{}<={},e<={}".format, st.sampled_from("ids"), st.integers(1, 2), st.integers(1, 3)),
)
TESTS = st.sampled_from(["", "", ":[ab]", ":c", ":[^b]", ":."])
FUZZY = st.builds("(?:{}){{{}{}}}".format, PLAIN, COSTS, TESTS)
SHAPES = st.sampled_from(
    ["{0}", "{0}", "a{0}", "{0}b", "{0}{1}", "(?:{0})*c", "(?:{0}|{1})", "(?=.*b){0}", "x(?:{0}|(?R))*", "({0})(?1)"]
)


@settings(max_examples=60, deadline=None)
@given(SHAPES, FUZZY, PLAIN | FUZZY)
def test_random_fuzzy_patterns_mean_what_the_library_says(shape: str, item: str, other: str) -> None:
    pattern = shape.format(item, other)
    try:
        found = accepted(pattern, "abc", 5)
    except (rellm.UnsupportedError, rellm.LimitExceededError):
        return  # a call before a character; very many ways
    sample = random.Random(pattern).sample(texts_over("abc", 5), 60)
    own, undecided = matched(regex.compile(pattern), sample)
    assert found.intersection(sample) - undecided == own, pattern


TOKENS = [b"a", b"b", b"c", b"x", b"ab", b"bc", b"cab", b"xx", None]


@pytest.mark.parametrize(
    "pattern", ["(?:abcab){e<=1}", "a(?:bc|ca){i<=1,s<=1}x", "(?:(?:ab){d<=1}x)+", "(?:abc){e<=2:[ab]}(?:cab){s<=1}"]
)
def test_a_token_is_allowed_if_and_only_if_the_text_can_be_ended_behind_it(pattern: str) -> None:
    oracle = Oracle(regex.compile(pattern).fullmatch, "abcx", 6, TOKENS, [8])
    constraint = compiled(pattern, rellm.Vocabulary(TOKENS, eos_token_ids=[8]))
    chooser = random.Random(11)
    for _ in range(12):
        check_masks(constraint, oracle, TOKENS, 8, chooser)


@pytest.mark.parametrize("pattern", ["(?:cat){e<=1}", "(?:cat){d<=1}s", "(?:(?:cat){s<=1} )+"])
def test_characters_that_no_token_spells_can_be_wrong_or_left_out(pattern: str) -> None:
    """Without a c, the item can only be written with an error."""
    tokens = [b"a", b"t", b"s", b" ", None]
    oracle = Oracle(regex.compile(pattern).fullmatch, "ats ", 6, tokens, [4])
    constraint = compiled(pattern, rellm.Vocabulary(tokens, eos_token_ids=[4]))
    chooser = random.Random(2)
    for _ in range(5):
        check_masks(constraint, oracle, tokens, 4, chooser)


def test_what_is_out_of_reach_of_the_errors_is_told_when_it_is_compiled() -> None:
    with pytest.raises(rellm.UnsatisfiableError):
        compiled("(?:ccc){e<=2}x{2}", rellm.Vocabulary([b"a", b"x"]))


def test_the_shortest_completion_makes_the_errors_that_shorten_it() -> None:
    matcher = compiled("(?:abcdef){d<=2,s<=1}!").matcher()
    for text, left in (("", 5), ("ab", 3), ("abcdef", 1)):
        matcher.reset()
        matcher.advance_bytes(text.encode())
        rest = matcher.shortest_completion()
        assert rest is not None
        assert len(rest) == left
        assert regex.fullmatch("(?:abcdef){d<=2,s<=1}!", text + rest.decode())


def test_a_fuzzy_pattern_is_a_part_of_its_own() -> None:
    """By itself it may leave out its a at the end; as a part it may, too, whatever follows."""
    item = rellm.Regex("(?:a){d<=1}", dialect="regex")
    constraint = rellm.compile(rellm.Sequence(item, "a", rellm.Regex("(?:bc){s<=1}", dialect="regex")), ASCII)
    for text, matches in (("abc", True), ("aaxc", True), ("axx", False), ("bc", False)):
        matcher = constraint.matcher()
        try:
            matcher.advance_bytes(text.encode())
        except rellm.TokenRejectedError:
            assert not matches, text
        else:
            assert matcher.is_accepting == matches, text


def test_a_small_memory_is_enough_for_a_long_text() -> None:
    pattern = "(?:(?:[a-z]{4,8}){e<=2} )*"
    matcher = compiled(pattern, memory_bytes=400_000).matcher()
    chooser = random.Random(9)
    for _ in range(1500):
        matcher.advance(chooser.choice(sorted(token for token in allowed(matcher) if token in b"abcxyz \x7f!")))
    rest = matcher.shortest_completion()
    assert rest is not None
    assert len(matcher.text) == 1500


@pytest.mark.slow
@pytest.mark.parametrize("pattern", ["(?:The quick brown fox){e<=5}", "(?:[a-z ]{20,60}){e<=5}[.]"])
def test_masks_on_a_real_vocabulary_are_those_of_trying_each_token(pattern: str) -> None:
    vocabulary = rellm.Vocabulary.from_tokenizer(tekken())
    matcher = compiled(pattern, vocabulary).matcher()
    chooser = random.Random(3)
    for _ in range(4):
        mask = allowed(matcher)
        fresh = matcher.copy()
        for token in chooser.sample(range(len(vocabulary)), 10_000):
            assert fresh.allows(token) == (token in mask)
        matcher.advance(chooser.choice(sorted(mask - set(vocabulary.eos_token_ids))))
