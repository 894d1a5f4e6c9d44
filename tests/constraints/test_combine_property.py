"""Random parts in combinations: masks are those of the joined pattern, membership that of the parts' own libraries."""

from __future__ import annotations

import itertools
import random
import warnings

import numpy as np
import rellm
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from strategies import patterns, vocabularies

# As often as the suite can pay for; `--hypothesis-seed` and a profile of one's own try more.
SOME = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
BYTES = rellm.Vocabulary([bytes([byte]) for byte in range(256)])
TEXTS = ["".join(letters) for length in range(4) for letters in itertools.product("ab1", repeat=length)]

_ATOMS = ["a", "b", "1", "é", ".", r"\w", r"\W", r"\d", "[ab]", "[^a]", "(?i:B)", "(?s:.)", "ab", ""]
_QUANTIFIERS = ["?", "*", "+", "{2}", "{1,2}", "{,2}", "{2,}", "??", "*?", "+?"]


def _bigger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.lists(inner, min_size=2, max_size=3).map("".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"(?:{'|'.join(parts)})"),
        st.tuples(inner, st.sampled_from(_QUANTIFIERS)).map(lambda parts: f"(?:{parts[0]}){parts[1]}"),
        inner.map(lambda part: f"({part})"),
    )


def plain() -> st.SearchStrategy[str]:
    """Patterns without anchors, lookarounds, backreferences and global flags."""
    return st.recursive(st.sampled_from(_ATOMS), _bigger, max_leaves=5)


def masks_agree(combined: rellm.Constraint, joined: str, vocabulary: rellm.Vocabulary, seed: int) -> None:
    """Along random texts, both matchers allow the same tokens."""
    try:
        expected = rellm.compile(rellm.Regex(joined), vocabulary)
    except rellm.UnsatisfiableError:
        try:
            rellm.compile(combined, vocabulary)
        except rellm.UnsatisfiableError:
            return
        raise AssertionError(f"{combined!r} can match, {joined!r} cannot") from None
    compiled = rellm.compile(combined, vocabulary)
    chance = random.Random(seed)
    for _ in range(2):
        left, right = compiled.matcher(), expected.matcher()
        for _ in range(6):
            mask = left.mask()
            assert (mask == right.mask()).all(), (combined, joined, left.text)
            assert left.is_accepting == right.is_accepting, (combined, joined, left.text)
            assert left.forced_bytes() == right.forced_bytes(), (combined, joined, left.text)
            allowed = np.flatnonzero(np.unpackbits(mask.view(np.uint8), bitorder="little"))
            if not len(allowed) or left.is_finished:
                break
            token = int(chance.choice(list(allowed)))
            left.advance(token)
            right.advance(token)


@SOME
@given(first=plain(), second=plain(), chosen=vocabularies(), seed=st.integers(0, 1000))
def test_masks_of_two_parts_are_those_of_the_joined_pattern(first, second, chosen, seed):
    vocabulary = rellm.Vocabulary(chosen[0], [len(chosen[0]) - 1])  # no EOS token that has a name
    a, b = rellm.Regex(first), rellm.Regex(second)
    masks_agree(a + b, f"(?:{first})(?:{second})", vocabulary, seed)
    masks_agree(a | b, f"(?:{first})|(?:{second})", vocabulary, seed)
    masks_agree((a | b) + a, f"(?:(?:{first})|(?:{second}))(?:{first})", vocabulary, seed)


@SOME
@given(
    item=plain(),
    separator=st.one_of(st.none(), st.sampled_from([",", "b", "é"])),
    least=st.integers(0, 3),
    more=st.one_of(st.none(), st.integers(0, 2)),
    chosen=vocabularies(),
    seed=st.integers(0, 1000),
)
def test_masks_of_a_repetition_are_those_of_the_joined_pattern(item, separator, least, more, chosen, seed):
    vocabulary = rellm.Vocabulary(chosen[0], [len(chosen[0]) - 1])  # no EOS token that has a name
    most = None if more is None else least + more
    count = f"{{{least},{'' if most is None else most}}}"
    joined = f"(?:{item}){count}"
    if separator is not None:
        inner = f"{{{max(least - 1, 0)},{'' if most is None else max(most - 1, 0)}}}"
        joined = f"(?:{item})(?:{separator}(?:{item})){inner}"
        if least == 0:
            joined = f"(?:{joined})?"
        if most == 0:
            joined = ""
    masks_agree(rellm.Regex(item).repeat(least, most, separator), joined, vocabulary, seed)
    masks_agree(rellm.Regex(item).optional() + "a", f"(?:{item})?a", vocabulary, seed)


def members(constraint: rellm.Constraint) -> set[str]:
    """The short texts that the core says match."""
    try:
        compiled = rellm.compile(constraint, BYTES)
    except rellm.UnsatisfiableError:
        return set()
    found = set()
    for text in TEXTS:
        matcher = compiled.matcher()
        try:
            matcher.advance_bytes(text.encode())
        except rellm.TokenRejectedError:
            continue
        if matcher.is_accepting:
            found.add(text)
    return found


@SOME
@given(first=patterns(), second=patterns())
def test_membership_is_that_of_the_parts_one_after_the_other(first, second):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        try:
            a, b = rellm.Regex(first), rellm.Regex(second)
        except rellm.UnsupportedError:
            assume(False)
    assume(a.search_reason is None and b.search_reason is None)
    in_first = {text for text in TEXTS if first.fullmatch(text)}
    in_second = {text for text in TEXTS if second.fullmatch(text)}
    joined = {one + other for one in in_first for other in in_second}
    assert members(a + b) == {text for text in joined if len(text) <= 3}
    assert members(a | b) == in_first | in_second
    assert members(a.repeat(2, 2)) == {one + other for one in in_first for other in in_first if len(one + other) <= 3}
