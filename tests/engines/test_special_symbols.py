"""Special tokens in the core: symbols that no text spells."""

from __future__ import annotations

import pytest
import rellm
from fragment_oracle import CLASS, COMPLEMENT, LITERAL, MARK, REPEAT, RULE, SEQUENCE, SPECIAL, UNION
from rellm import _core

# 0: EOS; 1: <call>; 2: <end>; then text, a byte that begins no character among it.
TOKENS = [None, None, None, b"a", b"b", b"ab", b"\xff", *(bytes([byte]) for byte in range(99, 128))]
VOCABULARY = _core.Vocabulary(TOKENS, [0])
CALL, END, A, B, AB, FF = 1, 2, 3, 4, 5, 6


def compiled(root: list[int], rules: tuple[list[int], ...] = (), memory: int = 32 << 20) -> _core.Constraint:
    ops = [len(rules), *(number for rule in rules for number in rule), *root]
    limits = _core.Limits(memory, 20_000_000, 500, 2_000_000)
    return _core.Constraint.expression(ops, ["a", "ab"], [], VOCABULARY, limits)


def allowed(matcher: _core.Matcher) -> set[int]:
    mask = matcher.mask()
    found = {token for token in range(len(TOKENS)) if mask[token // 32] >> (token % 32) & 1}
    assert all(matcher.allows(token) == (token in found) for token in range(len(TOKENS)))
    return found


ANY = [REPEAT, 0, -1, CLASS, 1, 0, 0x10FFFF]
CALLS = [SEQUENCE, 4, *ANY, SPECIAL, 1, CALL, LITERAL, 1, SPECIAL, 2, END, CALL]


@pytest.mark.parametrize("ways", ["never", "where-paying", "always"])
def test_only_the_token_writes_it(ways: str) -> None:
    constraint = compiled(CALLS)
    constraint.set_fast_paths(ways)
    matcher = constraint.matcher()
    text = set(range(3, len(TOKENS))) - {FF}
    assert allowed(matcher) == text | {CALL}
    for token in (A, CALL):
        matcher.advance(token)
    assert allowed(matcher) == {A, AB}
    matcher.advance(AB)
    assert allowed(matcher) == {END, CALL}
    assert matcher.text == b"aab"
    assert matcher.forced_bytes() == b""
    matcher.advance(END)
    assert allowed(matcher) == {0}
    assert matcher.is_finished


def test_a_state_follows_from_tokens_after_rollback_copy_and_lost_memory() -> None:
    rule = [UNION, 2, SEQUENCE, 3, SPECIAL, 1, CALL, RULE, 0, SPECIAL, 1, END, LITERAL, 0]
    constraint = compiled([RULE, 0], (rule,), memory=200_000)
    matcher = constraint.matcher()
    for _ in range(400):
        matcher.advance(CALL)
    for _ in range(5):
        other = constraint.matcher()
        for _ in range(300):
            other.advance(CALL)
    matcher.advance(A)
    for _ in range(200):
        matcher.advance(END)
    matcher.rollback(201)
    assert allowed(matcher) == {CALL, A}
    copy = matcher.copy()
    copy.advance(A)
    assert copy.validate([END] * 401) == 400
    assert copy.shortest_completion_tokens() == [END] * 400
    assert copy.forced_tokens() == [END] * 400
    assert copy.tokens_to_match(1000) == 400


def test_completions_name_special_tokens_in_tokens_only() -> None:
    matcher = compiled(CALLS).matcher()
    assert matcher.shortest_completion() == b""
    assert matcher.shortest_completion_tokens() in ([CALL, AB, END], [CALL, AB, CALL])
    assert not matcher.is_accepting
    assert matcher.tokens_to_match(10) == 3


def test_bytes_never_write_one() -> None:
    matcher = compiled(CALLS).matcher()
    for data in (b"\xff", b"\xffA@@@@", b"\xff@@@@@@"):
        with pytest.raises(rellm.TokenRejectedError):
            matcher.advance_bytes(data)
    with pytest.raises(rellm.TokenRejectedError):
        matcher.advance(END)
    assert matcher.explain(END) is not None
    assert matcher.explain(CALL) is None


def test_a_complement_is_of_texts() -> None:
    matcher = compiled([SEQUENCE, 2, COMPLEMENT, LITERAL, 0, SPECIAL, 1, END]).matcher()
    assert END in allowed(matcher)
    assert CALL not in allowed(matcher)
    matcher.advance(A)
    assert END not in allowed(matcher)


def test_marks_are_told_in_bytes_of_the_text() -> None:
    root = [SEQUENCE, 3, MARK, 0, *ANY, SPECIAL, 1, CALL, MARK, 1, LITERAL, 1]
    matcher = compiled(root).matcher()
    for token in (A, B, CALL, AB):
        matcher.advance(token)
    assert matcher.text == b"abab"
    assert matcher.marks() == [(0, 0, 2), (1, 2, 4)]


def test_text_and_special_tokens_are_forced_together() -> None:
    matcher = compiled([SEQUENCE, 4, LITERAL, 1, SPECIAL, 1, CALL, LITERAL, 0, SPECIAL, 2, END, CALL]).matcher()
    assert matcher.forced_tokens() == [AB, CALL, A]
    assert matcher.forced_bytes() == b"ab"
    matcher.advance(AB)
    assert matcher.explain(A).expected == f"the special token {CALL}"
    for token in (CALL, A):
        matcher.advance(token)
    assert matcher.forced_tokens() == []
    assert matcher.explain(A).expected == f"the special token {CALL}, or the special token {END}"


def test_eos_may_be_a_symbol_of_the_language() -> None:
    matcher = compiled([SEQUENCE, 2, LITERAL, 0, SPECIAL, 1, 0]).matcher()
    assert matcher.validate([0]) == 0
    assert matcher.validate([A, 0, 0, A]) == 3
    matcher.advance(A)
    assert allowed(matcher) == {0}


@pytest.mark.parametrize(("token", "fault"), [(len(TOKENS), "not in the vocabulary"), (A, "is text in the vocabulary")])
def test_a_special_token_is_one_of_the_vocabulary(token: int, fault: str) -> None:
    with pytest.raises(rellm.UnsatisfiableError, match=f"special token {token} .*{fault}"):
        compiled([SEQUENCE, 2, LITERAL, 0, SPECIAL, 1, token])
