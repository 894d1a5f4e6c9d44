"""The search engine: constraints that the automata do not hold."""

from __future__ import annotations

import itertools
import random
import re
import threading
from types import SimpleNamespace

import numpy as np
import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st
from rellm import (
    DeadEndError,
    LimitExceededError,
    PatternError,
    TokenRejectedError,
    UnsatisfiableError,
    UnsupportedError,
)
from rellm._core import Vocabulary
from rellm._engines.search import SearchConstraint, SearchMatcher, compile_search

EVERY_BYTE = [bytes([byte]) for byte in range(256)]


def compiled(pattern, vocabulary, *, flags=0, dialect="regex", fuel=20_000_000, memory_bytes=32 << 20, **named_lists):
    constraint = SimpleNamespace(pattern=pattern, flags=int(flags), dialect=dialect, named_lists=named_lists)
    limits = SimpleNamespace(fuel=fuel, memory_bytes=memory_bytes, nesting=500, pattern_length=2_000_000)
    return compile_search(constraint, vocabulary, limits, "recursion (?R) at position 0")


def ids(mask) -> set[int]:
    return {int(i) for i in np.flatnonzero(np.unpackbits(mask.view(np.uint8), bitorder="little"))}


def matcher_of(pattern, tokens, *, eos=(), **kwargs) -> SearchMatcher:
    return compiled(pattern, Vocabulary(tokens, list(eos)), **kwargs).matcher()


def written(matcher: SearchMatcher) -> set[bytes]:
    """The tokens that may come next, as bytes; EOS as b"$"."""
    vocabulary = matcher.constraint.vocabulary
    return {vocabulary.token_bytes(token) or b"$" for token in ids(matcher.mask())}


# --- what is allowed


def test_recursion_allows_what_can_still_be_closed():
    matcher = matcher_of(r"\((?:[^()]|(?R))*\)", [b"(", b")", b"a", b")(", b"()", b"))", None], eos=[6])
    assert written(matcher) == {b"(", b"()"}
    matcher.advance_bytes(b"(a(")
    assert written(matcher) == {b"(", b")", b"a", b")(", b"()", b"))"}
    matcher.advance_bytes(b"))")
    assert written(matcher) == {b"$"}
    assert matcher.is_accepting
    assert matcher.is_finished


def test_fuzzy_matching_counts_the_errors_so_far():
    matcher = matcher_of(r"(?:abcd){s<=1}", [b"a", b"b", b"x", b"xx", b"c", b"d", b"cd"])
    matcher.advance_bytes(b"x")
    assert written(matcher) == {b"b"}


def test_a_least_number_of_errors_loses_no_token():
    matcher = matcher_of(r"(?:ab){1<=e<=2}", [b"a", b"b", b"x"])
    matcher.advance_bytes(b"ab")
    assert not matcher.is_accepting
    assert b"x" in written(matcher)
    matcher.advance_bytes(b"x")
    assert matcher.is_accepting


@pytest.mark.parametrize(
    ("pattern", "text", "after", "accepting"),
    [
        (r"a\Bb(?R)?", "a", {b"b"}, False),
        (r"(?:,\ba|b(?R)c)", "", {b",", b"b"}, False),
        (r"a\b\w(?R)?|b", "", {b"b"}, False),
        (r"a(?=b)a(?R)?|c", "", {b"c"}, False),
        (r"(?P<x>\((?&x)*\))", "(", {b"(", b")"}, False),
        (r"(?:(?V1)a|b)(?1)?(c)?", "a", {b"c"}, True),
        (r"(a|b(?1)c)", "bb", {b"a", b"b"}, False),
        (r"(?:b[ac])*(?<=a)c(?R)?", "bc", {b"b"}, False),
        (r"(?:b|(?!$)a)*(?<!b)c(?R)?", "b", {b"a", b"b"}, False),
        (r"a(?!$)b(?R)?", "a", {b"b"}, False),
    ],
)
def test_what_partial_matching_gets_wrong_is_put_right(pattern, text, after, accepting):
    matcher = matcher_of(pattern, [b"a", b"b", b"c", b",", b"(", b")"])
    matcher.advance_bytes(text.encode())
    assert written(matcher) == after
    assert matcher.is_accepting == accepting


def test_eos_is_allowed_where_the_text_matches_and_nowhere_else():
    matcher = matcher_of(r"a(?R)?b", [b"a", b"b", None, None], eos=[2, 3])
    assert ids(matcher.mask()) == {0}
    matcher.advance_bytes(b"aabb")
    assert ids(matcher.mask()) == {2, 3}
    assert matcher.allows(2)
    assert not matcher.allows(0)
    matcher.advance(3)
    assert matcher.is_finished
    assert ids(matcher.mask()) == {2, 3}
    with pytest.raises(TokenRejectedError, match="nothing but the end"):
        matcher.advance_bytes(b"a")


def test_no_token_is_lost_where_the_text_matches_already():
    matcher = matcher_of(r"1(?:\.5)?|\((?R)\)", [b"1", b".", b"5", b"(", b")"])
    matcher.advance_bytes(b"1")
    assert matcher.is_accepting
    assert not matcher.is_finished
    assert written(matcher) == {b"."}


def test_special_empty_and_missing_tokens_are_never_text():
    matcher = matcher_of(r"(?:.|!(?R))+", [b"a", b"", None, b"<eos>", b"a"], eos=[3])
    assert ids(matcher.mask()) == {0, 4}
    for token in (1, 2, 3, 5, -1, 10**12):
        assert not matcher.allows(token)


def test_a_finished_text_without_an_eos_id_has_an_empty_mask():
    matcher = matcher_of(r"a(?R)?b", [b"a", b"b"])
    matcher.advance_bytes(b"ab")
    assert matcher.is_finished
    assert not matcher.mask().any()


# --- bytes and characters


def test_characters_may_be_written_byte_by_byte():
    matcher = matcher_of(r"\((?:[é-ü😀]|(?R))*\)", EVERY_BYTE)
    matcher.advance_bytes(b"(")
    assert written(matcher) == {b"(", b")", b"\xc3", b"\xf0"}
    matcher.advance(0xC3)
    assert written(matcher) == {bytes([byte]) for byte in range(0xA9, 0xBD)}
    assert not matcher.is_accepting
    matcher.advance(0xA9)
    matcher.advance(0xF0)
    assert written(matcher) == {b"\x9f"}
    matcher.advance(0x9F)
    matcher.advance(0x98)
    assert written(matcher) == {b"\x80"}
    matcher.advance(0x80)
    matcher.advance_bytes(b")")
    assert matcher.is_accepting
    assert matcher.text == "(é😀)".encode()


def test_no_byte_sequence_that_is_not_utf8_is_ever_allowed():
    matcher = matcher_of(r"(?:.|\((?R)\))*", [*EVERY_BYTE, b"\xe2\x82", b"\xac!", b"a\xc3", b"\xa9\xc3", b"\xed\xa0"])
    generator = random.Random(1)
    for _ in range(300):
        allowed = sorted(ids(matcher.mask()))
        matcher.advance(generator.choice([token for token in allowed if token >= 0x80] or allowed))
    rest = matcher.text
    decoded = rest.decode("utf-8", "ignore")
    assert len(rest) - len(decoded.encode()) <= 3
    assert not any(0xD800 <= ord(c) < 0xE000 for c in decoded)


def test_tokens_that_end_inside_a_character_are_allowed_where_a_completion_is():
    tokens = ["ab€".encode()[:-1], "€".encode()[1:], b"a", b"b", b"x\xe2", b"a\xe2", b"\xc3"]
    matcher = matcher_of(r"(?:ab€|c(?R)c)", [*tokens, b"\xac", b"\x82"])
    assert written(matcher) == {tokens[0], b"a"}
    matcher.advance(0)
    assert written(matcher) == {b"\xac"}
    matcher.rollback(1)
    matcher.advance_bytes(b"ab\xe2")
    assert written(matcher) == {b"\x82\xac", b"\x82"}


# --- the way back, copies, errors


def test_a_property_with_case_ignored_in_a_lookbehind_loses_no_character():
    pattern = r"𐐨[^É](?fi:|(?<!s*K)|(?<=\p{Lu}|[^\d](?>٣|Ia\ )|(?m:AF)S+(*FAIL)))"
    vocabulary = Vocabulary([bytes([byte]) for byte in range(256)])
    constraint = compiled(pattern, vocabulary, flags=int(regex.V1 | regex.IGNORECASE))
    for text in ("𐐀i", "𐐨i"):
        matcher = constraint.matcher()
        for byte in text.encode():
            assert byte in ids(matcher.mask())
            matcher.advance(byte)
        assert matcher.is_accepting


def test_characters_of_a_pattern_with_too_many_classes_may_be_written_byte_by_byte():
    many = "|".join(map(chr, range(0x4E00, 0x4E00 + 1500)))
    pattern = rf"(?:{many}|🙂\X)(?R)?\b🙂x|一🙂👍🙂x"
    constraint = compiled(pattern, Vocabulary([bytes([byte]) for byte in range(256)]))
    for text in ("🙂é🙂x", "丁🙂x", "一🙂👍🙂x"):
        matcher = constraint.matcher()
        for byte in text.encode():
            assert matcher.allows(byte), (text, matcher.text, byte)
            matcher.advance(byte)
        assert matcher.is_accepting


def test_a_text_that_has_used_up_a_class_can_go_on_with_the_rest_of_it():
    matcher = matcher_of(r"([а-ӿ]{150})1?(?R)?-\1", [bytes([byte]) for byte in range(256)])
    matcher.advance_bytes("".join(map(chr, range(0x4FF, 0x47F, -1))).encode())
    assert {b"\xd0", b"\xd1", b"\xd2", b"\xd3"} <= written(matcher)


def test_rollback_reset_and_copy_restore_the_state():
    tokens = [b"(", b")", b"a", "é".encode()[:1], "é".encode()[1:], None]
    matcher = matcher_of(r"\((?:[^()]|(?R))*\)", tokens, eos=[5])
    generator = random.Random(3)
    states = [(matcher.text, matcher.mask().tolist())]
    for _ in range(200):
        allowed = sorted(ids(matcher.mask()) - {5}) or [None]
        choice = generator.choice(allowed)
        if choice is None or generator.random() < 0.3:
            n = generator.randrange(len(states))
            matcher.rollback(n)
            del states[len(states) - n :]
        else:
            other = matcher.copy()
            matcher.advance(choice)
            assert (other.text, other.mask().tolist()) == states[-1]
            states.append((matcher.text, matcher.mask().tolist()))
        assert (matcher.text, matcher.mask().tolist()) == states[-1]
    with pytest.raises(IndexError, match=r"there were only \d+"):
        matcher.rollback(len(states))
    with pytest.raises(ValueError, match="must not be negative"):
        matcher.rollback(-1)
    matcher.reset()
    assert (matcher.text, matcher.mask().tolist()) == states[0]


def test_a_rejected_token_says_why_and_changes_nothing():
    matcher = matcher_of(r"\((?:[a-z]|(?R))*\)", [b"(", b"ab]", b"c", None, *EVERY_BYTE], eos=[3])
    matcher.advance(0)
    with pytest.raises(TokenRejectedError) as caught:
        matcher.advance(1)
    assert str(caught.value) == (
        'token 1 ("ab]") is not allowed after "(", it fails at byte 2: '
        'expected a lowercase letter from a to z, "(", or ")"'
    )
    rejection = caught.value.rejection
    assert (rejection.token_id, rejection.token_bytes, rejection.failed_at) == (1, b"ab]", 2)
    assert (rejection.text_before, rejection.expected) == ("(", 'a lowercase letter from a to z, "(", or ")"')
    assert matcher.text == b"("
    assert str(matcher.explain(3)).startswith('token 3, which ends the text, is not allowed after "("')
    assert matcher.explain(2) is None
    with pytest.raises(TokenRejectedError, match='"a!" is not allowed'):
        matcher.advance_bytes(b"a!")
    assert matcher.text == b"("


def test_validate_counts_and_changes_nothing():
    matcher = matcher_of(r"a(?R)?b", [b"a", b"b", None], eos=[2])
    assert matcher.validate([0, 0, 1, 1, 2, 2]) == 6
    assert matcher.validate([0, 1, 1]) == 2
    assert matcher.validate([]) == 0
    assert matcher.text == b""


def test_dead_ends_raise_and_can_be_backed_out_of():
    # A lookahead that partial matching cannot see through: after "aaa" nothing fits.
    matcher = matcher_of(r"(?:(?=a{3}bc)a{3}bd|ac)(?R)?", [b"a", b"c", b"aa", b"b", b"d"])
    matcher.advance(0)
    matcher.advance(0)
    matcher.advance(0)
    with pytest.raises(DeadEndError) as caught:
        matcher.mask()
    assert caught.value.text == "aaa"
    tried = [0, 0, 0]
    while True:
        try:
            matcher.mask()
            break
        except DeadEndError:
            matcher.rollback(1)
            matcher.exclude(tried.pop())
    tokens = ids(matcher.mask())
    assert not matcher.allows(max({0, 1, 2} - tokens))
    while not matcher.is_accepting:
        try:
            choice = min(ids(matcher.mask()))
            matcher.advance(choice)
            tried.append(choice)
        except DeadEndError:
            matcher.rollback(1)
            matcher.exclude(tried.pop())
    assert matcher.text == b"ac"


def test_what_the_engine_does_not_know_it_does_not_claim():
    matcher = matcher_of(r"a(?R)?b", [b"a", b"b"])
    assert matcher.forced_bytes() == b""
    assert matcher.shortest_completion() is None
    assert matcher.tokens_to_match(5) is None
    assert matcher.constraint.engine == "search"
    assert matcher.constraint.reason == "recursion (?R) at position 0"
    assert matcher.next_characters() == [(97, 97)]


def test_masks_are_written_into_rows():
    matcher = matcher_of(r"a(?R)?b", [b"a", b"b"] * 20)
    out = np.full((3, 4), -1, dtype=np.int32)
    matcher.fill_mask(out, 1)
    assert out[0].tolist() == [-1] * 4
    assert out[1].view(np.uint32).tolist() == [0x55555555, 0x55, 0, 0]
    with pytest.raises(ValueError, match="a row has 1 words, but a mask of this vocabulary needs 2"):
        matcher.fill_mask(np.zeros(1, dtype=np.uint32))
    with pytest.raises(IndexError, match="row 3 is out of range"):
        matcher.fill_mask(out, 3)
    with pytest.raises(TypeError, match="float64"):
        matcher.fill_mask(np.zeros(4))
    with pytest.raises(ValueError, match="contiguous"):
        matcher.fill_mask(np.zeros((2, 8), dtype=np.int32)[:, ::2], 0)


# --- refusals and limits


@pytest.mark.parametrize(
    ("pattern", "flags", "error", "message"),
    [
        ("(?R", 0, PatternError, "missing"),
        ("(?p)(?:ab){e}", 0, UnsupportedError, "POSIX"),
        (r"(?:a(?:b){e<=1}){e<=1}", 0, UnsupportedError, "a fuzzy item inside the fuzzy item at position 0"),
        (r"(?:a\b){e<=1}", 0, UnsupportedError, "put it before or behind"),
        (r"(?w)\ba(?=b)(?R)?", 0, UnsupportedError, "together with lookaround"),
        ("(?R)a|b", 0, UnsupportedError, "calls itself before it reads a character"),
        ("ab(?R)?", regex.POSIX, UnsupportedError, "POSIX"),
        ("(?!)a(?R)?", 0, UnsatisfiableError, "nothing can match"),
        ("é(?:a(?R))?", 0, UnsatisfiableError, "no token of this vocabulary"),
        ("a" * 3_000_000, 0, LimitExceededError, "Limits.pattern_length is 2,000,000"),
    ],
)
def test_refusals_are_typed_and_say_what_to_do(pattern, flags, error, message):
    with pytest.raises(error, match=message):
        matcher_of(pattern, [b"a", b"b"], flags=flags)


def test_a_pattern_that_backtracks_for_ever_ends_in_a_limit():
    matcher = matcher_of(r"((?:a|aa)*)*\1[bc](?R)?", [b"a", b"b", b"d"], fuel=5_000_000)
    matcher.advance_bytes(b"a" * 20)
    assert matcher.allows(1)
    with pytest.raises(LimitExceededError, match=r"Limits.fuel = 5,000,000") as caught:
        matcher.advance_bytes(b"a" * 40)
    assert matcher.text == b"a" * 20
    assert (caught.value.limit, caught.value.allowed) == ("fuel", 5_000_000)


def test_the_masks_that_are_kept_are_bounded_in_bytes():
    constraint = compiled(r"(?:.|\((?R)\))*", Vocabulary(EVERY_BYTE), memory_bytes=100_000)
    matcher = constraint.matcher()
    for _ in range(400):
        matcher.advance(97)
        matcher.mask()
        assert constraint.memory_bytes <= 100_000


def test_what_a_mask_allows_can_be_taken_even_if_the_mask_was_forgotten():
    constraint = compiled(r"(?:.|\((?R)\))*\1?(x)?", Vocabulary(EVERY_BYTE), memory_bytes=1)
    matcher = constraint.matcher()
    for _ in range(20):
        matcher.advance(max(ids(matcher.mask())))


def test_threads_share_a_constraint():
    constraint = compiled(r"\((?:[^()]|(?R))*\)", Vocabulary([*EVERY_BYTE, b"((", b"))", b"a)"]))
    expected = {}
    for text in (b"(", b"((", b"(a", b"(a)", b"((a)"):
        matcher = constraint.matcher()
        matcher.advance_bytes(text)
        expected[text] = matcher.mask().tolist()
    fresh = compiled(r"\((?:[^()]|(?R))*\)", constraint.vocabulary)
    wrong = []

    def work(seed):
        generator = random.Random(seed)
        for _ in range(50):
            text = generator.choice(sorted(expected))
            matcher = fresh.matcher()
            matcher.advance_bytes(text)
            if matcher.mask().tolist() != expected[text]:
                wrong.append(text)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


# --- against exhaustive search


def texts_over(alphabet: str, length: int) -> list[str]:
    return ["".join(c) for n in range(length + 1) for c in itertools.product(alphabet, repeat=n)]


def language(pattern: str, length: int, alphabet: str = "ab(") -> set[str] | None:
    found = regex.compile(pattern)
    try:
        return {text for text in texts_over(alphabet, length) if found.fullmatch(text, timeout=0.1)}
    except TimeoutError:
        return None


def pieces(*leaves: str):
    return st.recursive(
        st.sampled_from(["a", "b", "(", "[ab]", "[^a]", ".", "ab", *leaves]).map(
            lambda s: s.replace("(", r"\(") if s == "(" else s
        ),
        lambda inner: st.one_of(
            st.lists(inner, min_size=2, max_size=3).map("".join),
            st.lists(inner, min_size=2, max_size=2).map(lambda two: f"(?:{two[0]}|{two[1]})"),
            st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "*?", "{1,2}", "*+", "?+"])).map(
                lambda t: f"(?:{t[0]}){t[1]}"
            ),
            inner.map(lambda s: f"(?={s})"),
            inner.map(lambda s: f"(?!{s})"),
            inner.map(lambda s: f"(?>{s})"),
            inner.map(lambda s: f"(?:{s}){{e<=1}}"),
            inner.map(lambda s: f"(?:{s}){{i<=1,s<=1}}"),
        ),
        max_leaves=6,
    )


IRREGULAR = pieces(r"a(?R)?b", r"(?:\((?R)?a)", r"b(?1)?", r"\1", r"\b", r"\B", "$")


@settings(max_examples=200, deadline=None)
@given(
    IRREGULAR,
    st.lists(st.text("ab(", min_size=1, max_size=3), min_size=1, max_size=6),
    st.randoms(use_true_random=False),
)
def test_masks_lose_no_token_that_leads_to_a_match(pattern, tokens, generator):
    pattern = f"(a|b){pattern}"
    found = language(pattern, 6)
    if found is None:
        return
    vocabulary = [token.encode() for token in tokens] + [b"a", b"b", b"("]
    try:
        matcher = matcher_of(pattern, [*vocabulary, None], eos=[len(vocabulary)], fuel=5_000_000)
    except UnsatisfiableError:
        assert not found, pattern
        return
    except (LimitExceededError, UnsupportedError):
        return
    prefixes = {text[:n] for text in found for n in range(len(text) + 1)}
    for _ in range(6):
        text = matcher.text.decode()
        try:
            allowed = ids(matcher.mask())
        except DeadEndError:
            assert text not in prefixes
            return
        except LimitExceededError:
            return
        assert (len(vocabulary) in allowed) == (text in found if len(text) <= 6 else matcher.is_accepting)
        for token, data in enumerate(vocabulary):
            if text + data.decode() in prefixes:
                assert token in allowed, (pattern, text, data)
            assert matcher.allows(token) == (token in allowed)
        choices = sorted(allowed - {len(vocabulary)})
        if not choices:
            return
        matcher.advance(generator.choice(choices))


@settings(max_examples=100, deadline=None)
@given(IRREGULAR, st.integers(0, 2**32))
def test_masks_are_those_of_testing_every_token(pattern, seed):
    """The trie, the classes and the order of the tests change nothing."""
    pattern = f"(a|b){pattern}"
    generator = random.Random(seed)
    tokens = ["".join(generator.choices("ab(cdé€😀", k=generator.randrange(1, 5))).encode() for _ in range(30)]
    tokens += [token[: generator.randrange(1, len(token) + 1)] for token in tokens] + [b"a", b"b"]
    try:
        constraint = compiled(pattern, Vocabulary(tokens), fuel=5_000_000)
        matcher = constraint.matcher()
        for _ in range(4):
            fresh = compiled(pattern, constraint.vocabulary, fuel=5_000_000).matcher()
            if matcher.text:
                fresh.advance_bytes(matcher.text)
            allowed = ids(matcher.mask())
            one_by_one = {token for token in range(len(tokens)) if fresh.allows(token)}
            # Inside a lookaround, partial matching of a fuzzy item may call a longer text alive and a shorter one dead:
            # a mask believes the longer one.
            assert one_by_one <= allowed
            assert allowed == one_by_one or ("<=1}" in pattern and re.search(r"\(\?[=!>]", pattern))
            if not allowed:
                return
            matcher.advance(generator.choice(sorted(allowed)))
    except (UnsatisfiableError, LimitExceededError, DeadEndError, UnsupportedError):
        return
    except TokenRejectedError:
        assert "<=1}" in pattern
        assert re.search(r"\(\?[=!>]", pattern)


# --- patterns of `re`


@pytest.mark.parametrize("pattern", [r"(?=(a+))\1b", r"(?>(a|ab))\1", r"(?!(a)b)a?\w(?(1)x|b)", r"(?=(\w))\1\B\w"])
def test_patterns_of_re_mean_what_re_says(pattern):
    own = re.compile(pattern)
    found = {text for text in texts_over("ab_", 5) if own.fullmatch(text)}
    prefixes = {text[:n] for text in found for n in range(len(text) + 1)}
    matcher = matcher_of(pattern, [b"a", b"b", b"_"], dialect="re")
    for text in sorted(prefixes):
        matcher.reset()
        matcher.advance_bytes(text.encode())
        assert matcher.is_accepting == (text in found)
        for token, character in enumerate("ab_"):
            if text + character in prefixes:
                assert matcher.allows(token)


def test_a_pattern_of_re_has_the_classes_of_re():
    every = "".join(chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000)
    differ = sorted(set(re.findall(r"\w", every)) ^ set(regex.findall(r"\w", every)))
    for character in [*differ[:1], *differ[-1:], "é", "_", "-"]:
        tokens = [character.encode(), b"."]
        if re.match(r"\w", character):
            assert ids(matcher_of(r"(?=(\w))\1", tokens, dialect="re").mask()) == {0}
        else:
            with pytest.raises(UnsatisfiableError):
                matcher_of(r"(?=(\w))\1", tokens, dialect="re")


def test_a_folded_backreference_of_re_is_refused():
    with pytest.raises(UnsupportedError, match="under IGNORECASE"):
        matcher_of(r"(?i)(?=(a))\1", [b"a"], dialect="re")


def test_a_search_constraint_is_of_this_engine():
    assert isinstance(compiled("a(?R)?b", Vocabulary([b"a", b"b"])), SearchConstraint)
