"""What a library refuses is refused, what it accepts is read: over patterns thrown together from pieces of syntax."""

from __future__ import annotations

import os
import random

import pytest

from .texts import REFUSALS, library, outcome

_PIECES = r"""
a b s é ß \d \w \b \B ^ $ \A \Z . [a-z] [^a] [ []a] ] ( ) (?: (?P<n> (?<n> (?P=n) \1 \2 \10 (?= (?! (?<= (?<! (?> (?|
* + ? {2} {,3} {1,} { } | (?i) (?s: (?-i: (?a) (?u) (?x) # \x41 \u00e9 \N{DASH} \N \8 \07 \400 \q \p{L} \p{Foo} \pL
\X \R \K \G \m \M \h (?(1) (?(n) (?(DEFINE) (?R) (?1) (?&n) {e<=1} {e} {s<=1,i<=2} {1<=e<=2} {e<=0} [[:alpha:]]
[a&&b] [a--b] [a||b [[a-z]--[b]] (*FAIL) (*PRUNE) \g<1> \g<n> (?V1) (?V0) (?r) (?b) (?e) (?w) (?f) - , : && -- ~~ || \ 1
n < > = ! (?#c) (?# \L<x> (?-1) (?+1) \] \- (?P>n) P ?: (? (?- (?im-s: (?L) \z 1e<=2} 2i+1d<4} {i<=1:[ab]} \x4
\U0010FFFF \U00110000
"""
PIECES = [*_PIECES.split(), " ", "\n", "\ud800", "(?x) # c\n"]
FLAGS = {"re": (0, 2, 8, 0x40, 0x100, 0x102), "regex": (0, 2, 0x100, 0x102, 0x40, 0x142, 0x80, 0x800, 0x20)}
COUNT = int(os.environ.get("RELLM_TEST_PATTERNS", "3000"))


@pytest.mark.parametrize("dialect", ["re", "regex"])
def test_the_same_patterns_are_refused(dialect: str) -> None:
    chance = random.Random(f"{dialect} 1")
    differences = []
    seen = {True: 0, False: 0}
    for _ in range(COUNT):
        pieces = [chance.choice(PIECES) for _ in range(chance.randint(1, chance.choice([3, 5, 9])))]
        pattern = "".join(pieces)
        if chance.random() < 0.5:
            pattern += ")" * max(0, pattern.count("(") - pattern.count(")"))
        flags = chance.choice(FLAGS[dialect])
        lists = {"x": ["a", "bc"]} if dialect == "regex" and r"\L<x>" in pattern else {}
        try:
            library(dialect, pattern, flags, lists)
            accepted = True
        except REFUSALS:
            accepted = False
        seen[accepted] += 1
        kind, message, position = outcome(dialect, pattern, flags, lists)
        wrong = kind == "refused" if accepted else kind not in ("refused", "unsupported")
        placed = kind != "refused" or (position is not None and 0 <= position <= len(pattern))
        if not accepted and lists and message.startswith("the named list x= is not used"):
            placed = position is None  # it is missing, and so is nowhere
        if wrong or not placed:
            differences.append((pattern, flags, accepted, kind, message))
    assert not differences[:5]
    assert min(seen.values()) > COUNT // 20, "the pieces make both kinds of patterns"


@pytest.mark.parametrize(
    ("pattern", "limit"),
    [("(" * 30_000, "nesting"), ("(" * 5_000 + ")" * 5_000, "nesting"), ("a" * 2_000_001, "pattern_length")],
    ids=["unclosed", "nested", "long"],
)
@pytest.mark.parametrize("dialect", ["re", "regex"])
def test_hostile_patterns_end_in_a_named_limit(dialect: str, pattern: str, limit: str) -> None:
    kind, message, _ = outcome(dialect, pattern)
    assert kind == "limit"
    assert f"Limits.{limit}" in message


@pytest.mark.parametrize(
    "pattern", ["abc" * 333_000, r"\N{" * 30_000, r"\g<" * 30_000, "{1" * 100_000, "[[:a" * 50_000]
)
def test_long_patterns_are_read_in_linear_time(pattern: str) -> None:
    for dialect in ("re", "regex"):
        assert outcome(dialect, pattern)[0] in ("automaton", "refused")
