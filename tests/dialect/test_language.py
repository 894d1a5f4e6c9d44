"""Random patterns over the whole grammar, in both dialects, against the library on texts near the pattern.

RELLM_TEST_PATTERNS=20000 makes a night's run of it, RELLM_TEST_SEED another one.
"""

from __future__ import annotations

import os
import random
import re
import warnings
from collections import Counter

import numpy as np
import pytest
import regex
import rellm

from .texts import LIMITS, REFUSALS, Language, disagreement, library

COUNT = int(os.environ.get("RELLM_TEST_PATTERNS", "1200"))
SEED = os.environ.get("RELLM_TEST_SEED", "2")
LETTERS = [
    *"aAbBsSkKiI \n\r1_-fFtTn",
    *"ſKßẞéÉıİﬁŉʼǰσςΣᾀΐ\u2028\x85٣",
    "\U00010400",
    "\U00010428",
]
FLAGS = {
    "re": [0, 0, re.I, re.M, re.A, re.A | re.I, re.S],
    "regex": [
        0,
        regex.I,
        regex.V1,
        regex.V1 | regex.I,
        regex.V1 | regex.I,
        regex.A,
        regex.A | regex.I,
        regex.M,
        regex.W,
    ],
}


class Grammar:
    """Writes patterns of a dialect."""

    def __init__(self, dialect: str, chance: random.Random) -> None:
        self.regex = dialect == "regex"
        self.chance = chance

    def pattern(self, depth: int) -> str:
        return "|".join(self.sequence(depth) for _ in range(self.chance.choice([1, 1, 1, 2, 3])))

    def sequence(self, depth: int) -> str:
        return "".join(self.atom(depth) for _ in range(self.chance.choice([0, 1, 1, 2, 2, 3])))

    def letter(self) -> str:
        return re.escape(self.chance.choice(LETTERS if self.chance.random() < 0.3 else list("abAsSiI1 ")))

    def of(self, common: list[str], of_regex: list[str]) -> str:
        return self.chance.choice(common + (of_regex if self.regex else []))

    def member(self) -> str:
        common = [self.letter(), self.letter(), self.letter(), "a-d", r"\w", r"\d", r"\s", r"\W", "E-\u00ff", r"\b"]
        return self.of(common, [r"\p{Lu}", r"\P{L}", "[:alpha:]", r"\p{Ll}"])

    def atom(self, depth: int) -> str:
        kind = self.chance.random()
        if kind < 0.33 or depth <= 0:
            return self.letter()
        if kind < 0.38:
            return self.of([r"\d", r"\w", r"\W", r"\s", r"\S", r"\D", "."], [r"\h", r"\R"])
        if kind < 0.43:
            return self.of(["^", "$", r"\A", r"\Z", r"\b", r"\B"], [r"\m", r"\M", r"\K", r"\G"])
        if kind < 0.55:
            members = "".join(self.member() for _ in range(self.chance.randint(1, 3)))
            return f"[{self.chance.choice(['', '', '^'])}{members}]"
        if kind < 0.60:
            sets = [r"\p{Lu}", r"\P{Lu}", r"\p{Ll}", "[[:upper:]]", "(*FAIL)"]
            sets += [rf"(?V1){s}" for s in (r"[\w--[a-s]]", r"[\w&&[^s]]", "[[a-z]~~[s-t]]")]
            return self.of([r"\w"], sets)
        if kind < 0.72:
            opening = self.chance.choice(["(", "(?:", "(?>", "(?i:", "(?s:", "(?m:", "(?a:", "(?-i:"])
            return f"{opening}{self.pattern(depth - 1)})"
        if kind < 0.80:
            return f"{self.chance.choice(['(?=', '(?!', '(?<=', '(?<!'])}{self.pattern(depth - 1)})"
        if kind < 0.84:
            condition = f"(?(1){self.sequence(depth - 2)}|{self.sequence(depth - 2)})"
            return self.chance.choice([r"\1", r"\2", condition])
        if kind < 0.86 and self.regex:
            first, second = self.pattern(depth - 1), self.sequence(depth - 2)
            forms = [f"(?|{first}|{second})", f"(?(?={first}){second}|a)", r"\L<x>", f"(?f:{first})", f"(?fi:{first})"]
            return self.chance.choice(forms)
        quantifiers = ["*", "+", "?", "{2}", "{1,2}", "*?", "*+", "?+", "+?", "{,2}", "++"]
        return self.atom(depth - 1) + self.chance.choice(quantifiers)

    def texts(self, pattern: str) -> list[str]:
        near = [c for c in pattern if c not in r"\()[]{}?*+|<>=!:^$#"] + list("ab s")
        near = [c for each in near[:20] for c in (each, each.upper()[:1], each.lower()[:1])]
        near += self.chance.choices(LETTERS, k=3)
        texts = ["".join(self.chance.choices(near, k=self.chance.choice([1, 1, 2, 2, 3, 4]))) for _ in range(40)]
        return ["", *texts, *("".join(self.chance.choices(LETTERS, k=self.chance.randint(1, 3))) for _ in range(6))]


def is_known_fault(pattern: str) -> bool:
    """`regex` takes a negated set that holds a property and its opposite for all characters (docs/dialect.md)."""
    return any(
        regex.search(rf"\[\^[^\[\]]*\\{a}[^\[]*\\{b}", pattern)
        for c in "wds"
        for a, b in ((c, c.upper()), (c.upper(), c))
    )


@pytest.mark.parametrize("dialect", ["re", "regex"])
def test_random_patterns_mean_what_the_library_says(dialect: str) -> None:
    chance = random.Random(f"{dialect} {SEED}")
    grammar = Grammar(dialect, chance)
    seen: Counter[str] = Counter()
    differences = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(COUNT):
            pattern, flags = grammar.pattern(3), int(chance.choice(FLAGS[dialect]))
            lists = {"x": chance.choices(["ss", "s", "a", "ß", "fi", ""], k=2)} if r"\L<" in pattern else {}
            texts = grammar.texts(pattern)
            try:
                compiled = library(dialect, pattern, flags, lists)
            except REFUSALS:
                seen["refused"] += 1
                continue
            try:
                language = Language.of(dialect, pattern, flags, lists)
                seen[language.engine] += 1
                if language.engine == "search":
                    texts = texts[:8]  # each is a question to the library for every byte
                found = disagreement(language, compiled.fullmatch, texts)
            except rellm.LimitExceededError:
                seen["limit"] += 1
                continue
            except rellm.UnsupportedError:
                # Not even the search engine; it says so.
                seen["unsupported"] += 1
                continue
            if found is not None and not (dialect == "regex" and is_known_fault(pattern)):
                differences.append((pattern, flags, lists, found))
    assert not differences[:5]
    assert seen["automaton"] > 0.5 * COUNT
    assert seen["limit"] + seen["unsupported"] < 0.01 * COUNT


def cut_tokens(texts: list[str], chance: random.Random) -> list[bytes]:
    """Tokens out of some texts, most of them cut without regard to where a character ends; and all single bytes."""
    tokens = [bytes([byte]) for byte in range(256)]
    for data in (text.encode() for text in texts if text):
        for _ in range(2):
            start = chance.randrange(len(data))
            tokens.append(data[start : start + chance.randint(1, 5)])
    return list(dict.fromkeys(tokens))


@pytest.mark.parametrize("dialect", ["re", "regex"])
def test_masks_of_the_search_engine_cut_off_no_text_that_matches(dialect: str) -> None:
    """Every token that goes on towards a text that the library matches is in the mask, after every beginning."""
    chance = random.Random(f"masks {dialect} {SEED}")
    grammar = Grammar(dialect, chance)
    lost, shown = [], 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(COUNT // 8):
            inner, flags = grammar.pattern(2), int(chance.choice(FLAGS[dialect]))
            pattern = chance.choice(IRREGULAR[dialect]).format(inner)
            if r"\L<" in pattern:
                continue
            try:
                compiled = library(dialect, pattern, flags, {})
                texts = [text for text in set(grammar.texts(pattern)) if is_text(text)]
                texts += [form.format(text) for text in texts for form in ("{0}1", "{0}-{0}")] + [
                    f"{a}1-{b}" for a in "sKß" for b in "SſkKẞ"
                ]
                matching = [text for text in texts if compiled.fullmatch(text, **TIMEOUT[dialect])][:4]
            except (*REFUSALS, TimeoutError):
                continue
            vocabulary = rellm.Vocabulary(cut_tokens([*matching, *texts[:6]], chance))
            try:
                constraint = rellm.compile(rellm.Regex(pattern, flags, dialect=dialect), vocabulary, LIMITS)
            except rellm.UnsatisfiableError:
                lost += [(pattern, flags, text) for text in matching]
                continue
            except (rellm.LimitExceededError, rellm.UnsupportedError):
                continue
            if constraint.engine != "search":
                continue
            for text in matching:
                shown += 1
                lost += [(pattern, flags, text, *each) for each in lost_tokens(constraint, vocabulary, text.encode())]
    assert not lost[:5]
    assert shown > COUNT // 40


# What sends a pattern to the search engine.
IRREGULAR = {
    "re": [r"(?>({})-)\1", r"(?=({0})-)\1-(?:a|{0})?", r"(?>({0})*-)\1|{0}"],
    "regex": [r"(?:{})1(?>(?R)?)", r"(?:{})(?>a(?R)b)?", r"(\w)1(?R)?-\1|(?:{})", r"({})(?:-(?R)b|-)\1"],
}
TIMEOUT: dict[str, dict[str, float]] = {"re": {}, "regex": {"timeout": 1.0}}


def is_text(text: str) -> bool:
    return not any(0xD800 <= ord(c) < 0xE000 for c in text)


def lost_tokens(
    constraint: rellm.CompiledConstraint, vocabulary: rellm.Vocabulary, text: bytes
) -> list[tuple[bytes, bytes]]:
    """The tokens that begin the rest of `text` and that a mask on the way forbids, with what is before."""
    lost = []
    matcher = constraint.matcher()
    try:
        for at in range(len(text)):
            mask = np.unpackbits(matcher.mask().view(np.uint8), bitorder="little")
            for token in range(len(vocabulary)):
                data = vocabulary.token_bytes(token)
                if data and text.startswith(data, at) and not mask[token]:
                    lost.append((text[:at], data))
            if not mask[text[at]]:
                break
            matcher.advance(text[at])
        else:
            assert matcher.is_accepting
    except rellm.LimitExceededError:
        pass
    return lost
