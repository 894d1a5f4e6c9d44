"""What the search engine relies on: claims about partial matching, about its own reading of patterns, and its page."""

from __future__ import annotations

import doctest
import itertools
from pathlib import Path

import pytest
import regex
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from rellm import UnsupportedError
from rellm._engines.search.masks.tokens import becoming, decode
from rellm._engines.search.pattern.alphabet import Alphabet, alphabet_of, scan_regex
from rellm._engines.search.pattern.languages import language_of_regex
from rellm._engines.search.pattern.reading import read
from rellm._engines.search.time_limit import Budget


def texts_over(alphabet: str, length: int) -> list[str]:
    return ["".join(c) for n in range(length + 1) for c in itertools.product(alphabet, repeat=n)]


SHORT = texts_over("ab(", 6)


def patterns(
    *more: st.SearchStrategy[str], quantifiers: tuple[str, ...] = ("*", "+", "?", "{2}", "{1,2}", "*?", "{,2}")
):
    leaves = st.one_of(st.sampled_from(["a", "b", r"\(", "[ab]", "[^a]", ".", "ab", ""]), *more)
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.lists(inner, min_size=2, max_size=3).map("".join),
            st.lists(inner, min_size=2, max_size=2).map(lambda two: f"(?:{two[0]}|{two[1]})"),
            st.tuples(inner, st.sampled_from(quantifiers)).map(lambda t: f"(?:{t[0]}){t[1]}"),
        ),
        max_leaves=7,
    )


def matches(pattern: regex.Pattern[str], texts: list[str] = SHORT) -> set[str]:
    try:
        return {text for text in texts if pattern.fullmatch(text, timeout=0.3)}
    except TimeoutError:
        assume(False)
        raise


CALLS = st.sampled_from([r"a(?R)?b", r"\((?1)?a", r"(?:b(?1))*", r"(?R)?"])


PECULIAR = st.sampled_from(
    [
        "(?=a)",
        "(?!a)",
        "(?=ab|b)",
        "(?!b*a)",
        "(?<=a)",
        "(?<!b)",
        "(?>a|ab)",
        "(?:ab)*+",
        r"\b",
        r"\B",
        r"\m",
        r"\M",
        "$",
    ]
)


@settings(max_examples=300, deadline=None)
@given(patterns(PECULIAR, CALLS))
def test_partial_matching_loses_no_text_once_its_boundaries_are_put_in_other_words(pattern):
    pattern = f"(a|b){pattern}"
    try:
        language = language_of_regex(pattern, 0, {}, Budget(20_000_000, 0))
    except UnsupportedError:
        return
    texts = texts_over("ab(", 5)
    found = matches(language.own, texts)
    for prefix in {text[:n] for text in found for n in range(len(text) + 1)}:
        assert language.partial.fullmatch(prefix, partial=True, timeout=1), prefix


@pytest.mark.parametrize("letter", ["b", "B", "m", "M"])
def test_boundaries_in_other_words_are_the_same(letter):
    for shape in ("a{}b", "{}a", "a{}", "a{}\\(", "(?:a|\\(){}(?:b|\\()", "{}", "[ab(]*{}[ab(]*"):
        pattern = shape.format("\\" + letter)
        own = regex.compile(pattern)
        other = regex.compile(read(own, 0).rewording.of(pattern))
        for text in texts_over("ab(", 4):
            assert bool(own.fullmatch(text)) == bool(other.fullmatch(text)), (pattern, text)


# --- classes


@pytest.mark.parametrize(
    ("pattern", "apart", "alike"),
    [
        (r"\d[a-z](?R)?", ["5a", "a_", "A5"], ["19", "az", "A_"]),
        (r"(?i)k(?R)?", ["ka"], ["kK", "k\u212a"]),
        (r"(?V1)(?i)ss(?R)?", ["sx", "ßx", "sß"], ["xy"]),
        (r"(?V1)[[a-z]--[aeiou]](?R)?", ["ab"], ["bc", "ae"]),
        (r"[[:alpha:]\]x](?R)?", ["]-", "a5"], ["ab", "]a"]),
        (r"(?x) a [ b]  # c" "\n(?R)?", ["a ", "ab"], ["cd"]),
        (r"\p{Lu}\P{Lu}(?R)?", ["Aa"], ["AB", "a1"]),
        (r"(?a:\w)\w(?R)?", ["aé", "a-"], ["ab"]),
        (r"\N{LATIN SMALL LETTER A}\x62\u0063(?R)?", ["ab", "bc", "ad"], ["de"]),
        (r"(?:a{e<=1:[xy]})(?R)?", ["ax", "az"], ["xy"]),
        (r"\L<names>(?R)?", ["ab", "ac"], ["cd"]),
        (r"a{2(?R)?", ["a{", "a2"], ["bc"]),
        (r".(?R)?", ["a\n"], ["ab"]),
    ],
)
def test_characters_that_a_pattern_tells_apart_have_classes_of_their_own(pattern, apart, alike):
    own = regex.compile(pattern, ignore_unused=True, names=["ab", "b"])
    alphabet = alphabet_of(read(own, 0), scan_regex, Budget(20_000_000, 0))
    assert alphabet is not None
    for one, other in apart:
        assert alphabet.class_of(one) != alphabet.class_of(other), (one, other)
    for one, other in alike:
        assert alphabet.class_of(one) == alphabet.class_of(other), (one, other)


@given(st.lists(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20)), max_size=4), max_size=4))
def test_an_alphabet_is_the_coarsest_partition_that_keeps_every_class(classes):
    ranges = []
    for pairs in classes:
        merged: list[tuple[int, int]] = []
        for first, length in sorted(pairs):
            if merged and first <= merged[-1][1] + 1:
                merged[-1] = merged[-1][0], max(merged[-1][1], first + length)
            else:
                merged.append((first, first + length))
        ranges.append(tuple(merged))
    alphabet = Alphabet(ranges)
    table = alphabet.table()
    signature = {}
    for point in range(90):
        inside = tuple(any(first <= point <= last for first, last in one) for one in ranges)
        assert signature.setdefault(inside, table[point]) == table[point]
        assert alphabet.class_of(chr(point)) == table[point]
    assert len(set(signature.values())) == len(signature)
    assert sum(last - first + 1 for members in alphabet.members for first, last in members) == 0x110000


def test_begun_characters_stand_for_what_they_can_become():
    for character in "é߿ࠀ€퟿�𐀀😀\U0010ffff":
        data = character.encode()
        for length in range(1, len(data)):
            decoded = decode(b"x" + data[:length])
            assert decoded == ("x", data[:length])
            first, last = becoming(data[:length])
            assert first <= ord(character) <= last
            assert chr(first).encode()[:length] == chr(last).encode()[:length] == data[:length]
            assert first == 0x80 or not chr(first - 1).encode("utf-8", "surrogatepass").startswith(data[:length])
    for broken in (b"\x80", b"\xc0", b"\xed\xa0", b"\xf5", b"\xe0\x80", b"a\xff", b"\xf4\x90"):
        assert decode(broken) is None


# --- the page


def test_the_page_about_the_search_engine_is_true():
    page = Path(__file__).parents[2] / "docs" / "search-engine.md"
    failed, run = doctest.testfile(
        str(page), module_relative=False, optionflags=doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL
    )
    assert failed == 0
    assert run > 15
