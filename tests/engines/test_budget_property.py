"""A budget's masks and distances against trying all sequences of tokens, where tokens cut characters anywhere."""

from __future__ import annotations

import contextlib
import re
from typing import Any

import numpy as np
import pytest
import rellm
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from regressions import regressions

# Characters of two, three and four bytes, their bytes, and tokens over the borders between characters.
TOKENS = [
    *(b"a", b"x", b"xa", b"\xc3", b"\xa0", b"\x80", b"\xc3\xa0", b"\xe6", b"\x97", b"\xa5"),
    *(b"\xe6\x97", b"\xa5x", b"\xf0\x9f", b"\x98", b"\xf0"),
]
EOS = len(TOKENS)
VOCABULARY = rellm.Vocabulary([*TOKENS, None], [EOS])
FAR = 99


def patterns() -> st.SearchStrategy[str]:
    """Patterns whose ways out of a begun character differ in length, under lookaheads, with groups repeated."""
    classes = ["a", "x", "[ax]", "à", "日", "(?:é?)", ".", "[^a]", r"\w", "[À-ß]", "[à-ÿ]", "[旀-日]", "[😀-😠]"]
    atom = st.sampled_from(classes)
    bounds = st.sampled_from(["", "", "?", "{2}", "{0,2}", "{3}", "*", "{5}", "+"])
    piece = st.tuples(atom, bounds).map("".join)

    def larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        return st.one_of(
            st.tuples(inner, inner).map("".join),
            st.tuples(st.lists(inner, min_size=1, max_size=3).map("|".join), bounds).map(lambda t: f"(?:{t[0]}){t[1]}"),
            st.tuples(atom, inner).map(lambda t: f"(?=.{{0,3}}{t[0]}){t[1]}"),
            st.tuples(atom, inner).map(lambda t: f"(?!{t[0]}){t[1]}"),
            st.tuples(atom, inner).map(lambda t: f"({t[0]})\\0{t[1]}"),
        )

    def numbered(pattern: str) -> str:
        groups = iter(range(1, 100))
        return re.sub(r"\\0", lambda _: f"\\{next(groups)}", pattern)

    return st.recursive(piece, larger, max_leaves=6).map(numbered)


def ids(row: Any) -> set[int]:
    return set(np.flatnonzero(np.unpackbits(row.view(np.uint8), bitorder="little")).tolist())


def distance(matcher: Any, at_most: int, known: dict[tuple[bytes, int], int]) -> int:
    """The least number of tokens to a match, by trying; `FAR` if it is more than `at_most`."""
    if matcher.is_accepting:
        return 0
    key = matcher.text, at_most
    if key not in known:
        known[key] = FAR
        for token in ids(matcher.mask()) - {EOS} if at_most else ():
            after = matcher.copy()
            after.advance(token)
            known[key] = min(known[key], distance(after, at_most - 1, known) + 1)
    return known[key]


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(pattern=patterns(), choices=st.lists(st.integers(0, 10_000), max_size=4), left=st.integers(1, 3))
def test_a_budget_allows_what_trying_allows(pattern: str, choices: list[int], left: int) -> None:
    check(pattern, choices, left)


@pytest.mark.parametrize("find", regressions("budget"), ids=lambda find: find["found"])
def test_a_budget_that_was_wrong_once_allows_what_trying_allows(find: dict[str, Any]) -> None:
    check(find["pattern"], find["choices"], find["left"])


def check(pattern: str, choices: list[int], left: int) -> None:
    """Compares the mask, the distance and the shortest completion with trying every sequence of tokens."""
    with contextlib.suppress(rellm.LimitExceededError, rellm.UnsatisfiableError):
        tried = rellm.compile(pattern, VOCABULARY).matcher()
        for choice in choices:
            allowed = sorted(ids(tried.mask()) - {EOS})
            if allowed:
                tried.advance(allowed[choice % len(allowed)])
        # Of a constraint of its own, so that it knows nothing of the ways that are tried.
        asked = rellm.compile(pattern, VOCABULARY, limits=rellm.Limits(fuel=19_999_999)).matcher()
        asked.advance_bytes(tried.text)
        known: dict[tuple[bytes, int], int] = {}
        expected = {EOS} if tried.is_accepting else set()
        for token in ids(tried.mask()) - {EOS}:
            after = tried.copy()
            after.advance(token)
            if distance(after, left - 1, known) < left:
                expected.add(token)
        row = np.zeros((1, 1), dtype=np.uint32)
        asked.fill_mask_within(row, 0, left)
        assert ids(row[0]) == expected, (pattern, tried.text)
        least = distance(tried, 3, known)
        assert asked.tokens_to_match(3) == (None if least == FAR else least), (pattern, tried.text)
        tried.advance_bytes(asked.shortest_completion())
        assert tried.is_accepting


@pytest.mark.parametrize("pattern", ["(?:(?=.{0,3}x)|.x){5}", "((?=a)|ax){9}", "(?:(?=a)(?=.x)|ax){2,}"])
def test_what_is_looked_ahead_to_counts_once(pattern: str) -> None:
    vocabulary = rellm.Vocabulary([b"a", b"x", b"ax", None], [3])
    matcher = rellm.compile(pattern, vocabulary).matcher()
    assert matcher.tokens_to_match(1) == 1
    assert len(matcher.shortest_completion()) == 2
