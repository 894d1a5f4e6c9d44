"""The texts and masks of a compiled pattern, found by walking it, beside what the library says of them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import rellm
from brute_force import Oracle


def texts_over(alphabet: str, longest: int) -> list[str]:
    return ["".join(c) for n in range(longest + 1) for c in itertools.product(alphabet, repeat=n)]


def accepted(pattern: str, alphabet: str, longest: int) -> set[str]:
    """The texts that the automaton of a pattern of `regex` accepts.

    Raises:
        LimitExceededError: it takes too long.
    """
    vocabulary = rellm.Vocabulary([character.encode() for character in alphabet])
    try:
        compiled = rellm.compile(rellm.Regex(pattern, dialect="regex"), vocabulary)
    except rellm.UnsatisfiableError:
        return set()
    assert (compiled.engine, compiled.engine_reason) == ("automaton", None)
    found: set[str] = set()
    matcher = compiled.matcher()

    def walk(text: str) -> None:
        if matcher.is_accepting:
            found.add(text)
        if len(text) < longest:
            for token, character in enumerate(alphabet):
                if matcher.allows(token):
                    matcher.advance(token)
                    walk(text + character)
                    matcher.rollback(1)

    walk("")
    return found


def matched(own: Any, texts: Sequence[str]) -> tuple[set[str], set[str]]:
    """The texts that the library matches, and those on which it runs out of time or memory."""
    found, undecided = set(), set()
    for text in texts:
        if len(undecided) > 2:
            undecided.add(text)  # it will not do better on this pattern
            continue
        try:
            if own.fullmatch(text, timeout=0.1):
                found.add(text)
        except (TimeoutError, MemoryError):
            undecided.add(text)
    return found, undecided


def allowed(matcher: Any) -> set[int]:
    bits = np.unpackbits(matcher.mask().view(np.uint8), bitorder="little")
    return set(np.flatnonzero(bits).tolist())


def check_masks(compiled: Any, oracle: Oracle, tokens: Sequence[bytes | None], eos: int, chooser: Any) -> None:
    """Masks along a random text: nothing is missing that a short text needs, and all that is allowed leads to a match."""
    matcher = compiled.matcher()
    for _ in range(6):
        text = matcher.text
        mask = allowed(matcher)
        assert oracle.allowed(text) <= mask, text
        assert (eos in mask) == oracle.matches(text)
        for token in mask - {eos}:
            matcher.advance(token)
            rest = matcher.shortest_completion()
            assert rest is not None
            assert oracle.matches(matcher.text + rest), (text, tokens[token], rest)
            matcher.rollback(1)
        if not mask - {eos}:
            return
        matcher.advance(chooser.choice(sorted(mask - {eos})))
