"""A row without a model: wherever it is moved to, it is as a new one; and a union's matcher takes tokens back."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
import rellm
from rellm._generate.text_state import EndRules, Row, RowGroup, RowStatus, common_length

LETTERS = rellm.Vocabulary([*(bytes([byte]) for byte in range(128)), b"ab", None, None], eos_token_ids=[129])
EOS, PAD = 129, 130
TOKENS, WEIGHTS = [97, 98, 99, 128, EOS, PAD, 120], [9, 9, 2, 4, 1, 1, 1]


def _row(pattern: str | None = "(a|b)*c?", **rules: Any) -> Row:
    matcher = None if pattern is None else rellm.compile(pattern, LETTERS).matcher()
    return Row(matcher, EndRules(frozenset([EOS]), LETTERS, pad=PAD, **rules))


def _of(row: Row, tokens: Sequence[int]) -> Row:
    for token_id in tokens:
        row.push(token_id)
    return row


def _seen(row: Row) -> tuple[Any, ...]:
    text = None if row.matcher is None else bytes(row.matcher.text)
    return row.tokens, row.accepted, row.status, row.end_token, text


MOVES: list[tuple[list[int], list[int]]] = [
    ([97, 99, EOS], [97, 99]),  # the end is taken back: the text goes on
    ([97, 99, EOS], [97, 98]),
    ([97, 120, 97], [97]),  # what was outside the language is in it again
    ([97, 120, 97], [97, 98, EOS]),
    ([97, PAD, PAD], [97, 98]),
    ([97, 98, 97], [97, 98, 97, EOS, PAD]),
    ([97, 98, 97], []),
    ([97, 120, 97], [97, 120]),  # still outside
]


@pytest.mark.parametrize("rules", [{}, {"where_nothing_follows": True}, {"stops": (b"ba",)}, {"at_first_match": True}])
@pytest.mark.parametrize(("before", "after"), MOVES)
@pytest.mark.parametrize("pattern", ["(a|b)*c?", None])
def test_a_row_that_is_moved_is_as_a_new_one(
    pattern: str | None, before: list[int], after: list[int], rules: dict[str, Any]
) -> None:
    row = _of(_row(pattern, **rules), before)
    row.move_to(after, common_length(before, after))
    assert _seen(row) == _seen(_of(_row(pattern, **rules), after))


def test_rows_of_random_walks_are_as_new_ones() -> None:
    """Reordered, extended, shortened and padded, as beams and drafts do."""
    chosen = random.Random(1)
    for rules in ({}, {"where_nothing_follows": True}, {"stops": (b"bb", b"ca")}, {"at_first_match": True}):
        group = RowGroup(_row(**rules))
        texts: list[list[int]] = [[]]
        for _ in range(400):
            texts = [list(chosen.choice(texts)) for _ in range(chosen.randint(1, 4))]
            for text in texts:
                del text[len(text) - chosen.choice([0, 0, 0, 1, 3]) :]
                more = chosen.choices(TOKENS, WEIGHTS, k=chosen.choice([0, 1, 1, 3]))
                text.extend(more)
            for row, text in zip(group.update(texts), texts, strict=True):
                assert _seen(row) == _seen(_of(_row(**rules), text)), (rules, text)


def test_an_end_id_where_the_text_does_not_match_is_no_end() -> None:
    row = _of(_row("ab|abc"), [97, EOS])
    assert (row.status, row.text_tokens, row.end_token) == (RowStatus.ABANDONED, [97], EOS)
    row.move_to([97, 98, EOS], 1)
    assert (row.status, row.text_tokens, row.end_token) == (RowStatus.ENDED, [97, 98], EOS)


def test_padding_ends_a_row_without_a_constraint() -> None:
    row = _of(_row(None), [97, 98, PAD, 97, EOS])
    assert (row.text_tokens, row.is_live, row.end_token) == ([97, 98], False, None)


def test_a_text_that_can_only_be_empty_is_over_at_once() -> None:
    row = _row("", where_nothing_follows=True)
    assert row.status is RowStatus.FINISHED
    assert _of(row, [EOS]).text_tokens == []
    assert _row("").is_live


def test_what_follows_the_end_changes_nothing() -> None:
    for end in ([EOS], []):
        row = _of(_row("abc?", where_nothing_follows=True, stops=(b"bc",)), [97, 98, 99, *end, 97, PAD, EOS])
        assert row.text_tokens == [97, 98, 99]
        assert bytes(row.matcher.text) == b"abc"
        assert not row.is_live


UNIONS = [
    rellm.AnyOf("abc", "abd", "xyz"),
    rellm.Regex("abc|abd") | "xyz",
    rellm.AnyOf(rellm.Literal("ab") + rellm.Choice(["c", "d"]), rellm.Regex("x.z").within(max_tokens=3)),
]


@pytest.mark.parametrize("union", UNIONS)
def test_a_union_takes_back_tokens_and_says_what_is_forced(union: rellm.Constraint) -> None:
    compiled = rellm.compile(union, LETTERS)

    def after(text: str) -> tuple[Any, ...]:
        fresh = compiled.matcher()
        for letter in text:
            fresh.advance(ord(letter))
        return fresh.mask().tolist(), fresh.forced_bytes(), bytes(fresh.text), fresh.is_accepting

    matcher = compiled.matcher()
    assert matcher.forced_bytes() == b""
    for path in ("abc", "abd", "xyz"):
        for letter in path:
            matcher.advance(ord(letter))
        assert after(path)[3]
        for length in (2, 1, 0):
            matcher.rollback(1)
            seen = matcher.mask().tolist(), matcher.forced_bytes(), bytes(matcher.text), matcher.is_accepting
            assert seen == after(path[:length])
        assert bytes(matcher.text) == b""
        for count in (2, 3):
            again = compiled.matcher()
            for letter in path:
                again.advance(ord(letter))
            again.rollback(count)
            for letter in path[3 - count :]:
                assert again.allows(ord(letter))
                again.advance(ord(letter))
                seen = again.mask().tolist(), again.forced_bytes(), bytes(again.text), again.is_accepting
                assert seen == after(bytes(again.text).decode())
    matcher.advance(ord("a"))
    assert matcher.forced_bytes() == b"b"
    matcher.rollback(1)
    matcher.advance(ord("x"))
    assert matcher.forced_bytes() == (b"yz" if union is not UNIONS[2] else b"")
    matcher.rollback(1)
    assert matcher.forced_bytes() == b""
