"""Masks and matchers against exhaustive search: random patterns, random vocabularies, every way to make a mask."""

from __future__ import annotations

import itertools
import re
from functools import cache

import numpy as np
import pytest
import rellm
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from rellm import TokenRejectedError, UnsatisfiableError, _core
from rellm._dialects import tables

ALPHABET = "abé\n"  # `.` is wide, and does not have all of it
LONGEST = 6
TEXTS = ["".join(letters) for n in range(LONGEST + 1) for letters in itertools.product(ALPHABET, repeat=n)]
LIMITS = _core.Limits(memory_bytes=32 << 20, fuel=20_000_000, nesting=500, pattern_length=2_000_000)
WAYS = ("where-paying", "never", "always")

atoms = st.sampled_from(
    [
        "a",
        "b",
        "é",
        r"\n",
        ".",
        r"\w",
        "[ab]",
        "[^a]",
        r"\s",
        r"\b",
        r"\B",
        "^",
        "$",
        "(?=a)",
        "(?!b)",
        "(?<=a)",
        "(?<!é)",
    ]
)


def _larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    repeat = st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "{0,2}", "*?", "+?", "?+", "*+"])
    return st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map("|".join).map("(?:{})".format),
        st.tuples(inner, repeat).map(lambda pair: f"(?:{pair[0]}){pair[1]}"),
        inner.map("(?={})".format),
        inner.map("(?!{})".format),
        inner.map("(?>{})".format),
    )


patterns = st.recursive(atoms, _larger, max_leaves=6)
characters = st.sampled_from([letter.encode() for letter in ALPHABET])
fragments = st.sampled_from([b"\xc3", b"\xa9", b"a", b"b", b" ", b"x"])
tokens = st.one_of(
    st.none(),
    st.lists(characters, max_size=3).map(b"".join),
    st.lists(fragments, max_size=3).map(b"".join),
)


@st.composite
def vocabularies(draw: st.DrawFn) -> tuple[list[bytes | None], list[int]]:
    words = draw(st.lists(tokens, min_size=1, max_size=12))
    if draw(st.booleans()):
        words += [bytes([byte]) for byte in ALPHABET.encode()]
    eos = draw(st.lists(st.integers(0, len(words) + 1), max_size=2, unique=True))
    return words, eos


def bits(mask: np.ndarray) -> list[int]:
    return np.flatnonzero(np.unpackbits(mask.view(np.uint8), bitorder="little")).tolist()


class Oracle:
    """What a pattern and some tokens allow, found by trying everything up to LONGEST characters."""

    def __init__(self, pattern: str, words: list[bytes | None], eos: list[int]) -> None:
        self.compiled = re.compile(pattern)
        self.matching = {text.encode() for text in TEXTS if self.compiled.fullmatch(text)}
        self.prefixes = {text[:n] for text in self.matching for n in range(len(text) + 1)}
        self.words = [word for index, word in enumerate(words) if word and index not in eos]
        self.is_live = cache(self._is_live)

    def _is_live(self, text: bytes) -> bool:
        if text not in self.prefixes:
            return False
        return text in self.matching or any(self.is_live(text + word) for word in self.words)

    @cache  # noqa: B019 (an oracle lives as long as one example)
    def is_spelled(self, text: bytes) -> bool:
        return not text or any(text.startswith(word) and self.is_spelled(text[len(word) :]) for word in self.words)


@pytest.mark.parametrize(
    ("pattern", "before", "token"),
    [
        (r".*\}\n", "x", "}\n"),
        (r"\{.*\}\s*\}\nHuman:", '{"a": 1} or', "}\n}\nHuman"),
        (r"[a-z]{0,30}(e;|\n- )+", "abc", "ne;\n"),
        (r"(\w|[,.])*, =", "x", ",., ="),
    ],
)
def test_a_token_may_leave_a_class_by_what_began_inside_it(pattern: str, before: str, token: str) -> None:
    words: list[bytes | None] = [bytes([byte]) for byte in range(256)]
    vocabulary = _core.Vocabulary([*words, token.encode()], [0])
    constraint = _core.Constraint.regex(pattern, 0, tables.re_dialect(), {}, vocabulary, LIMITS)
    matcher = constraint.matcher()
    for byte in before.encode():
        matcher.advance(byte)
    for way in WAYS:
        constraint.set_fast_paths(way)
        assert 256 in bits(matcher.mask())


@settings(max_examples=400, deadline=None)
@given(patterns, vocabularies(), st.data())
def test_a_token_is_allowed_if_and_only_if_some_tokens_after_it_complete_a_match(
    pattern: str, vocabulary: tuple[list[bytes | None], list[int]], data: st.DataObject
) -> None:
    words, eos = vocabulary
    oracle = Oracle(pattern, words, eos)
    try:
        constraint = _core.Constraint.regex(pattern, 0, tables.re_dialect(), {}, _core.Vocabulary(words, eos), LIMITS)
    except UnsatisfiableError:
        assert not oracle.is_live(b"")
        return
    except _core.NotRegularError:
        assume(False)
    matcher = constraint.matcher()
    text = b""
    for _ in range(4):
        masks = []
        for way in WAYS:
            constraint.set_fast_paths(way)
            masks.append(bits(matcher.mask()))
        assert masks[0] == masks[1] == masks[2]
        allowed = masks[0]
        may_end = oracle.compiled.fullmatch(text.decode()) is not None if _is_text(text) else False
        assert matcher.is_accepting == may_end
        assert [index for index in allowed if index in eos] == (sorted(eos) if may_end else [])
        for index, word in enumerate(words):
            if index in eos:
                continue
            if index not in allowed:
                assert not word or not oracle.is_live(text + word)
                assert matcher.explain(index) is not None
                with pytest.raises(TokenRejectedError):
                    matcher.advance(index)
                continue
            # Nothing is allowed that has no continuation: it can be written down.
            assert word
            after = matcher.copy()
            after.advance(index)
            rest = after.shortest_completion()
            assert oracle.compiled.fullmatch((text + word + rest).decode())
            assert oracle.is_spelled(rest)
            assert rest.startswith(after.forced_bytes())
            needed = after.tokens_to_match(20)
            assert needed is None or (needed == 0) == (rest == b"")
        going_on = [index for index in allowed if index not in eos]
        assert matcher.is_finished == (may_end and not going_on)
        if not going_on:
            break
        taken = data.draw(st.sampled_from(going_on))
        matcher.advance(taken)
        text += words[taken] or b""
        assert matcher.text == text


@pytest.mark.parametrize(
    "pattern", [r'a"[^"]{0,90}"|b"[^"]{9,95}"', r"(a| )\w{0,60}( \w{2,60}){0,9}", r"(a|b.)[^x]{0,9}x|c.{3,30}x"]
)
def test_a_mask_does_not_depend_on_what_was_asked_before(pattern: str) -> None:
    ends = [b'"', b" ", b"x"]
    tokens = [*(bytes([b]) for b in range(256)), *(b"yz" * n + end for n in (1, 2, 3, 5, 8, 20) for end in ends)]
    vocabulary = _core.Vocabulary([*tokens, None], [len(tokens)])
    texts = [first + b"y" * n for first in (b'a"', b'b"', b"a", b" ", b"by", b"c", b"a yy ", b"  ") for n in range(14)]

    def masks(order: list[bytes]) -> dict[bytes, list[int] | None]:
        constraint = _core.Constraint.regex(pattern, 0, tables.re_dialect(), {}, vocabulary, LIMITS)
        found: dict[bytes, list[int] | None] = {}
        for text in order:
            matcher = constraint.matcher()
            try:
                matcher.advance_bytes(text)
                found[text] = bits(matcher.mask())
            except TokenRejectedError:
                found[text] = None
        return found

    alone = {text: masks([text])[text] for text in texts}
    assert masks(texts) == alone
    assert masks(texts[::-1]) == alone


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


@settings(max_examples=150, deadline=None)
@given(patterns, vocabularies(), st.integers(0, 5))
def test_within_a_budget_exactly_the_tokens_are_allowed_that_leave_a_way(
    pattern: str, vocabulary: tuple[list[bytes | None], list[int]], budget: int
) -> None:
    words, eos = vocabulary
    core = _core.Vocabulary(words, eos)
    try:
        matcher = _core.Constraint.regex(pattern, 0, tables.re_dialect(), {}, core, LIMITS).matcher()
    except (UnsatisfiableError, _core.NotRegularError):
        assume(False)

    def within(matcher: _core.Matcher, left: int) -> bool:
        if matcher.is_accepting:
            return True
        ids = [index for index in bits(matcher.mask()) if index not in eos]
        return left > 0 and any(within(_after(matcher, index), left - 1) for index in ids)

    assert (matcher.tokens_to_match(budget) is not None) == within(matcher, budget)
    row = np.full((1, (len(core) + 31) // 32), 0xFFFFFFFF, np.uint32)
    matcher.fill_mask_within(row, 0, budget)
    for index in bits(matcher.mask()):
        expected = matcher.is_accepting if index in eos else budget > 0 and within(_after(matcher, index), budget - 1)
        assert (index in bits(row[0])) == expected


def _after(matcher: _core.Matcher, token: int) -> _core.Matcher:
    after = matcher.copy()
    after.advance(token)
    return after


@pytest.mark.parametrize(
    ("begun", "expected"),
    [(b"\xc3", "àé"), (b"\xe6", "日海"), (b"\xe6\x97", "日"), (b"\xf0\x9f", "🙂"), (b"a\xe6", "日海")],
)
def test_inside_a_character_only_what_it_can_still_become_is_offered(begun: bytes, expected: str) -> None:
    tokens: list[bytes | None] = [bytes([byte]) for byte in range(256)]
    vocabulary = rellm.Vocabulary([*tokens, None], eos_token_ids=[256])
    for pattern in ("[aàé日海🙂x]+", r"(?=.)[aàé日海🙂x]+", r"([aàé日海🙂x])\1|[aàé日海🙂x]+"):
        matcher = rellm.compile(pattern, vocabulary).matcher()
        matcher.advance_bytes(begun)
        offered = {chr(c) for low, high in matcher.next_characters() for c in range(low, high + 1)}
        assert offered == set(expected), pattern
        forced = matcher.forced_bytes()
        assert all(
            bytes_of.startswith(forced) for bytes_of in (c.encode()[len(begun.lstrip(b"a")) :] for c in expected)
        )
