"""The value of what was written: that of the parts, told by the borders that the matcher keeps."""

from __future__ import annotations

import itertools
import random
import re

import pytest
import rellm
from rellm import AnyOf, Literal, Maybe, Regex, Repeat, Sequence

BYTES = rellm.Vocabulary([bytes([byte]) for byte in range(256)])
WORD, NUMBER = Regex("[a-z]+"), Regex(r"\d+")


def value(constraint, text):
    """The value of a text that a matcher has written, which is also that of the text alone."""
    compiled = rellm.compile(constraint, BYTES)
    matcher = compiled.matcher()
    for byte in text.encode():
        matcher.advance(byte)
    assert matcher.is_accepting, text
    written = constraint.parse(compiled.pieces(matcher))
    assert constraint.parse(text) == written
    return written


@pytest.mark.parametrize(
    ("constraint", "text", "expected"),
    [
        (WORD, "abc", "abc"),
        (rellm.Choice(["red", "green"]), "red", "red"),
        (Literal("x"), "x", "x"),
        (WORD + " " + NUMBER, "abc 12", "abc 12"),
        (WORD.named("word") + " " + NUMBER.named("number"), "abc 12", {"word": "abc", "number": "12"}),
        ("é: " + WORD.named("word") + "!", "é: abc!", {"word": "abc"}),
        (WORD.repeat(), "", []),
        (WORD.repeat(separator=","), "a,bc,d", ["a", "bc", "d"]),
        (NUMBER.repeat(2, 2), "123", ["12", "3"]),
        (Literal("ab").repeat(), "abab", ["ab", "ab"]),
        (WORD.optional(), "", None),
        (WORD.optional(), "ab", "ab"),
        (Regex("a*").optional(), "", ""),
        (WORD | NUMBER, "12", "12"),
        (WORD | NUMBER.repeat(separator=","), "1,2", ["1", "2"]),
        (Regex("[a1]+") | NUMBER.repeat(separator=","), "1", "1"),
        (NUMBER.repeat(separator=",") | Regex("[a1]+"), "1", ["1"]),
        (WORD.named("x"), "ab", "ab"),
        (
            "[" + WORD.repeat(separator=",").named("words") + "]" + NUMBER.named("n"),
            "[a,b]7",
            {"words": ["a", "b"], "n": "7"},
        ),
        (
            (WORD.named("key") + "=" + NUMBER.optional().named("value")).repeat(1, None, ";"),
            "a=1;b=;c=3",
            [{"key": "a", "value": "1"}, {"key": "b", "value": None}, {"key": "c", "value": "3"}],
        ),
        (WORD.named("name") + Maybe(", " + NUMBER.named("age")), "ann", {"name": "ann", "age": None}),
        (WORD.named("name") + Maybe(", " + NUMBER.named("age")), "ann, 7", {"name": "ann", "age": "7"}),
        (
            AnyOf("n" + NUMBER.named("number"), "w" + WORD.named("word")) + ".",
            "wabc.",
            {"number": None, "word": "abc"},
        ),
        (Sequence(Sequence(WORD.named("a"), "-"), NUMBER.named("b")), "x-1", {"a": "x", "b": "1"}),
        (Sequence(Sequence(WORD.named("a"), "-").named("inner"), "!"), "x-!", {"inner": {"a": "x"}}),
        (Repeat(Repeat(WORD, 1, None, ","), 1, None, ";"), "a,b;c", [["a", "b"], ["c"]]),
        (Repeat(Maybe(WORD), 2, 2, ","), ",b", [None, "b"]),
        (Regex("a*").named("x") + Regex("a*").named("y"), "", {"x": "", "y": ""}),
        (Regex("a*").named("x") + Regex("a*").named("y"), "aa", {"x": "aa", "y": ""}),
        (Regex("a*?").named("x") + Regex("a+").named("y"), "aa", {"x": "a", "y": "a"}),
        (Regex("a$").named("x") + Literal("b").named("y"), "ab", {"x": "a", "y": "b"}),
        (Regex(r"(\w)\1").named("x") + Regex(r"(\w)\1").named("y"), "aabb", {"x": "aa", "y": "bb"}),
        (Sequence(), "", ""),
        (Repeat(WORD, 0, 0), "", []),
    ],
)
def test_a_value_is_what_was_written(constraint, text, expected):
    assert value(constraint, text) == expected


def test_an_earlier_part_takes_the_longest_text():
    parts = Regex("[ab]+").named("x") + Regex("[bc]*").named("y")
    assert value(parts, "abbc") == {"x": "abb", "y": "c"}
    parts = (Regex("a+") | Regex("b+")).repeat(1).named("runs") + Regex("[ab]").named("last")
    assert value(parts, "aab") == {"runs": ["aa"], "last": "b"}


def test_values_of_random_combinations_are_those_of_a_search_over_all_splits():
    chance = random.Random(7)
    parts = [Regex(p) for p in ("a", "b?", "[ab]+", "a*", "(?:ab)*", "a|ab", "b{1,2}")]
    texts = ["".join(letters) for n in range(5) for letters in itertools.product("ab", repeat=n)]
    for _ in range(60):
        chosen = [chance.choice(parts) for _ in range(3)]
        constraint = Sequence(*(part.named(name) for part, name in zip(chosen, "xyz", strict=True)))
        for text in chance.sample(texts, 6):
            expected = first_split(chosen, text)
            if expected is None:
                with pytest.raises((rellm.TokenRejectedError, rellm.IncompleteError)):
                    constraint.parse(text)
            else:
                assert value(constraint, text) == dict(zip("xyz", expected, strict=True)), (chosen, text)


def first_split(parts, text):
    """The split in which earlier parts take the longest texts."""
    if not parts:
        return [] if not text else None
    for end in range(len(text), -1, -1):
        if re.fullmatch(parts[0].pattern, text[:end]):
            rest = first_split(parts[1:], text[end:])
            if rest is not None:
                return [text[:end], *rest]
    return None


def test_what_is_no_whole_text_has_no_value():
    parts = WORD.named("x") + "," + NUMBER.named("y")
    with pytest.raises(rellm.IncompleteError, match=r"'ab,' is not a whole text of Sequence"):
        parts.parse("ab,")
    with pytest.raises(rellm.TokenRejectedError):
        parts.parse("ab;")
    with pytest.raises(TypeError, match="pieces are a str, or a list of str and special tokens, not bytes"):
        parts.parse(b"ab,1")
    assert parts.parse(["ab", ",1"]) == {"x": "ab", "y": "1"}


def test_a_matcher_keeps_its_borders_through_rollback_and_copies():
    compiled = rellm.compile(WORD.named("x") + "," + NUMBER.named("y"), BYTES)
    matcher = compiled.matcher()
    matcher.advance_bytes(b"abc,12")
    other = matcher.copy()
    matcher.rollback(1)
    matcher.advance_bytes(b"z,9")
    assert compiled.constraint.parse(compiled.pieces(matcher)) == {"x": "z", "y": "9"}
    assert compiled.constraint.parse(compiled.pieces(other)) == {"x": "abc", "y": "12"}


def test_special_tokens_are_pieces_of_their_own():
    end = rellm.SpecialToken("<end>")
    vocabulary = rellm.Vocabulary([bytes([byte]) for byte in range(256)] + [None], special_tokens={"<end>": 256})
    constraint = "é" + end.named("marker") + WORD.named("word")
    compiled = rellm.compile(constraint, vocabulary)
    matcher = compiled.matcher()
    for token in [*"é".encode(), 256, *b"ab"]:
        matcher.advance(token)
    pieces = compiled.pieces(matcher)
    assert (pieces.text, list(pieces)) == ("éab", ["é", end, "ab"])
    assert constraint.parse(pieces) == {"marker": end, "word": "ab"}
