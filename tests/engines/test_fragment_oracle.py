"""The oracle of fragments is itself held against what is known of small languages."""

from __future__ import annotations

import itertools
import json

import pytest
from fragment_oracle import (
    CLASS,
    COMPLEMENT,
    EMPTY,
    INTERSECTION,
    LITERAL,
    LOOK,
    MEMBERS,
    PART,
    PATTERN,
    REPEAT,
    RULE,
    SEQUENCE,
    SPECIAL,
    SPELLED,
    UNION,
    Fragments,
)

TEXTS = ["".join(letters) for length in range(7) for letters in itertools.product("ab", repeat=length)]
A_TO_B = [CLASS, 1, ord("a"), ord("b")]


def accepted(fragments: Fragments) -> list[str]:
    return [text for text in TEXTS if fragments.accepts(text)]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        # S: S S | "ab" | empty: left-recursive, ambiguous, nullable
        (
            [UNION, 3, SEQUENCE, 2, RULE, 0, RULE, 0, LITERAL, 0, EMPTY],
            lambda t: len(t) % 2 == 0 and t == "ab" * (len(t) // 2),
        ),
        # S: "a" S "b" | empty
        (
            [UNION, 2, SEQUENCE, 3, LITERAL, 1, RULE, 0, LITERAL, 2, EMPTY],
            lambda t: t == "a" * (len(t) // 2) + "b" * (len(t) // 2),
        ),
        # S: S
        ([RULE, 0], lambda t: False),
    ],
)
def test_a_rule_is_its_least_language(body, expected):
    fragments = Fragments([1, *body, RULE, 0], ["ab", "a", "b"])
    assert accepted(fragments) == [text for text in TEXTS if expected(text)]
    begun = {text[:n] for text in accepted(fragments) for n in range(len(text) + 1)}
    short = [text for text in TEXTS if len(text) <= 3]
    assert [text for text in short if fragments.can_begin(text)] == [text for text in short if text in begun]


def test_languages_may_stand_before_something():
    # (words of a and b, not "ab") then "b"
    word = [REPEAT, 1, -1, *A_TO_B]
    fragments = Fragments([0, SEQUENCE, 2, INTERSECTION, 2, *word, COMPLEMENT, LITERAL, 0, LITERAL, 1], ["ab", "b"])
    assert accepted(fragments) == [t for t in TEXTS if len(t) > 1 and t[-1] == "b" and t[:-1] != "ab"]


def test_a_look_sees_what_surrounds_it_inside_its_part_only():
    # "a" not followed by "b", anything after; once alone, once closed in a part
    look = [SEQUENCE, 2, LITERAL, 0, LOOK, 0, 1, LITERAL, 1]
    rest = [REPEAT, 0, -1, *A_TO_B]
    assert accepted(Fragments([0, SEQUENCE, 2, *look, *rest], ["a", "b"])) == [
        t for t in TEXTS if t[:1] == "a" and t[1:2] != "b"
    ]
    assert accepted(Fragments([0, SEQUENCE, 2, PART, *look, *rest], ["a", "b"])) == [t for t in TEXTS if t[:1] == "a"]


def test_patterns_are_what_their_library_says():
    fragments = Fragments([0, SEQUENCE, 2, PATTERN, 0, 0, 0, 0, LITERAL, 1], ["a+$|b", "b"], ["re"])
    assert accepted(fragments) == [t for t in TEXTS if t[-1:] == "b" and (set(t[:-1]) == {"a"} or t[:-1] == "b")]


def test_special_tokens_are_symbols_of_their_own():
    fragments = Fragments([0, SEQUENCE, 2, REPEAT, 0, -1, *A_TO_B, SPECIAL, 1, 7], [])
    assert fragments.accepts(["a", "b", 7])
    assert fragments.accepts([7])
    assert not fragments.accepts(["a", 8])
    assert not fragments.accepts("a7")
    assert fragments.can_begin("ab")
    assert not fragments.can_begin([7, "a"])


def test_strings_are_spelled_as_json_spells_them():
    fragments = Fragments([0, SPELLED, 0, REPEAT, 1, 2, CLASS, 1, 0, 127], [])
    assert fragments.accepts('\\"a')
    assert fragments.accepts("\\n")
    assert not fragments.accepts("\\u0061")
    assert not fragments.accepts('"')
    assert not fragments.accepts("abc")


def test_members_come_in_any_order_each_once():
    value = [LITERAL, 3]
    other = [LITERAL, 4]
    head = [MEMBERS, 0, -1, 0, 2, 1, 1, EMPTY, LITERAL, 0, LITERAL, 5]
    ops = [0, *head, 1, 1, *value, 2, 0, *value, *other, *value, 1, 1, 1, 0]
    # a is required, b optional, o is another key; if b is seen, a must be (the guard)
    fragments = Fragments(ops, [",", "a", "b", "1", "o", "}"])
    assert fragments.accepts("a1}")
    assert fragments.accepts("b1,a1,o1,o1}")
    assert not fragments.accepts("b1}")
    assert not fragments.accepts("a1,a1}")
    assert not fragments.accepts("a1,}")
    assert json.dumps(ops)
