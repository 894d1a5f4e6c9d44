"""Marks tell where the parts of a text were written."""

from __future__ import annotations

import itertools
import random
import time

import pytest
from fragment_oracle import (
    CLASS,
    EMPTY,
    INTERSECTION,
    LITERAL,
    MARK,
    PART,
    PATTERN,
    REPEAT,
    RULE,
    SEQUENCE,
    UNION,
    Fragments,
)  # fmt: skip
from rellm import _core
from rellm._dialects import tables

VOCABULARY = _core.Vocabulary([None, *(bytes([byte]) for byte in range(256))], [0])
LIMITS = _core.Limits(32 << 20, 20_000_000, 500, 2_000_000)
A, B, SPACE = [LITERAL, 0], [LITERAL, 1], [LITERAL, 2]
STRINGS = ["a", "b", " ", r"\w+", r"^(\w)\1$", "ab", r"(?!a)\w"]
WORD, TWICE, AB, NOT_A = ([PATTERN, string, 0, 0, 0] for string in (3, 4, 5, 6))


def marks(root: list[int], text: str, rules: tuple[list[int], ...] = ()) -> list[tuple[int, str]]:
    ops = [len(rules), *(number for rule in rules for number in rule), *root]
    compiled = _core.Constraint.expression(ops, STRINGS, [tables.re_dialect()], VOCABULARY, LIMITS)
    matcher = compiled.matcher()
    matcher.advance_bytes(text.encode())
    return [(mark, text.encode()[start:end].decode()) for mark, start, end in matcher.marks()]


@pytest.mark.parametrize(
    ("root", "text", "expected"),
    [
        ([SEQUENCE, 3, MARK, 0, *WORD, *SPACE, MARK, 1, *WORD], "né bb", [(0, "né"), (1, "bb")]),
        ([SEQUENCE, 2, MARK, 0, REPEAT, 0, -1, *A, MARK, 1, REPEAT, 0, -1, *A], "aaa", [(0, "aaa"), (1, "")]),
        ([SEQUENCE, 2, MARK, 0, REPEAT, 0, -1, *A, MARK, 1, *A], "aaa", [(0, "aa"), (1, "a")]),
        ([REPEAT, 0, -1, MARK, 3, UNION, 2, MARK, 0, *A, MARK, 1, *B], "ab", [(3, "a"), (0, "a"), (3, "b"), (1, "b")]),
        ([UNION, 2, MARK, 0, *A, MARK, 1, *A], "a", [(0, "a")]),
        ([UNION, 2, MARK, 0, *B, MARK, 1, *A], "a", [(1, "a")]),
        ([SEQUENCE, 2, MARK, 0, *TWICE, MARK, 1, *NOT_A], "xxb", [(0, "xx"), (1, "b")]),
        ([SEQUENCE, 2, PART, MARK, 2, REPEAT, 1, 2, *A, MARK, 1, *WORD], "aaa", [(2, "aa"), (1, "a")]),
        ([SEQUENCE, 2, REPEAT, 0, 1, MARK, 0, *A, MARK, 1, *B], "b", [(1, "b")]),
        ([MARK, 0, EMPTY], "", [(0, "")]),
        ([SEQUENCE, 2, MARK, 0, INTERSECTION, 2, *WORD, *AB, MARK, 1, *WORD], "abc", [(0, "ab"), (1, "c")]),
    ],
)  # fmt: skip
def test_earlier_parts_take_what_they_can(root: list[int], text: str, expected: list[tuple[int, str]]) -> None:
    assert marks(root, text) == expected


def test_marks_in_rules_nest_as_the_text_does() -> None:
    rule = [MARK, 7, UNION, 2, SEQUENCE, 3, *A, RULE, 0, *B, EMPTY]
    assert marks([RULE, 0], "aabb", (rule,)) == [(7, "aabb"), (7, "ab"), (7, "")]


def test_of_a_text_that_is_not_whole_the_whole_parts_are_told() -> None:
    root = [SEQUENCE, 4, MARK, 0, *A, *SPACE, MARK, 1, SEQUENCE, 2, *A, *B, *B]
    assert marks(root, "a a") == [(0, "a")]
    assert marks(root, "a ab") == [(0, "a"), (1, "ab")]


def test_the_time_is_linear_in_the_text() -> None:
    root = [REPEAT, 0, -1, MARK, 0, SEQUENCE, 2, MARK, 1, REPEAT, 0, -1, CLASS, 1, 97, 122, *SPACE]
    ops = [0, *root]
    matcher = _core.Constraint.expression(ops, STRINGS, [], VOCABULARY, LIMITS).matcher()
    matcher.advance_bytes(b"abcdefghi " * 20_000)
    began = time.process_time()
    spans = matcher.marks()
    assert len(spans) == 40_000
    assert time.process_time() - began < 2


@pytest.mark.parametrize("seed", range(30))
def test_each_span_is_in_the_language_of_its_part(seed: int) -> None:
    chance = random.Random(seed)
    parts: list[list[int]] = []

    def node(depth: int) -> list[int]:
        kind = chance.choice(("leaf", "leaf", "sequence", "union", "repeat", "mark", "mark")) if depth else "leaf"
        if kind == "leaf":
            return chance.choice((A, B, [EMPTY], [REPEAT, 0, -1, *A], [REPEAT, 1, 2, CLASS, 1, 97, 98]))
        if kind == "repeat":
            return [REPEAT, chance.randint(0, 1), chance.choice((-1, 3)), *node(depth - 1)]
        if kind == "mark":
            inner = node(depth - 1)
            parts.append(inner)
            return [MARK, len(parts) - 1, *inner]
        count = chance.randint(1, 3)
        code = SEQUENCE if kind == "sequence" else UNION
        return [code, count, *(number for _ in range(count) for number in node(depth - 1))]

    root = node(4)
    whole = Fragments([0, *root], STRINGS)
    languages = [Fragments([0, *part], STRINGS) for part in parts]
    for length in range(5):
        for text in map("".join, itertools.product("ab", repeat=length)):
            if whole.accepts(text):
                found = marks(root, text)
                assert all(languages[mark].accepts(span) for mark, span in found)
