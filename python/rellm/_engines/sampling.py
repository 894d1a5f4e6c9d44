"""Texts of a constraint at random, by walks over single bytes."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Iterator
from typing import Any, Final, TypeAlias

from rellm._constraints import Constraint, Regex
from rellm._engines.compile import over_single_bytes
from rellm._errors import TokenRejectedError

# After this many repeated texts in a row, there are no other texts, or hardly any.
_FUTILE: Final = 200
# The number of random walks that may fail to find a match on the search engine.
_ATTEMPTS: Final = 100

Ranges: TypeAlias = list[tuple[int, int]]


def sample(constraint: Constraint, count: int, *, seed: int | None = None, length: int = 60) -> Iterator[str]:
    """Up to `count` different texts that match; those of a pattern are checked by its own library."""
    rng = random.Random(seed)
    compiled = over_single_bytes(constraint)
    walk = _walk if compiled.engine == "automaton" else _searching_walk
    known: set[str] = set()
    futile = 0
    while len(known) < count and futile < _FUTILE:
        text = walk(compiled, rng, rng.randint(min(8, length), length))
        if text is None:
            return
        if text in known:
            futile += 1
            continue
        if isinstance(constraint, Regex) and constraint.library_pattern.fullmatch(text) is None:
            raise AssertionError(f"{text!r} does not match {constraint.pattern!r}: please report this")
        known.add(text)
        futile = 0
        yield text


def _walk(compiled: Any, rng: random.Random, length: int) -> str:
    """A random walk along the automaton. Its states are live, without dead ends, so every walk reaches a match."""
    matcher = compiled.matcher()
    text = ""
    while not matcher.is_finished:
        if matcher.is_accepting and (len(text) >= length or rng.random() < 0.3):
            break
        way = matcher.shortest_completion()
        if len(text) >= length:
            return text + str(way.decode())
        character = _choose(matcher.next_characters(), rng)
        matcher.advance_bytes(character.encode())
        if way and len(matcher.shortest_completion()) >= len(way) and rng.random() < 0.25:
            # The step did not shorten the distance to a match, so the walk may be in a loop. Leave it now and then.
            matcher.rollback(1)
            character = way.decode()[0]
            matcher.advance_bytes(character.encode())
        text += character
    return text


def _choose(ranges: Ranges, rng: random.Random) -> str:
    """One of the characters, mostly from ASCII where it can be; an assigned one where it can be."""
    printable = _within(ranges, 0x21, 0x7E)
    if printable and rng.random() < 0.9:
        return chr(_uniform(printable, rng))
    if _within(ranges, 0x20, 0x20):
        return " "
    # Ranges are weighted by order of magnitude, so that Latin stays likely beside thousands of Chinese characters.
    weights = [(high - low + 1).bit_length() for low, high in ranges]
    code = ranges[0][0]
    for _ in range(20):
        low, high = rng.choices(ranges, weights)[0]
        code = rng.randint(low, high)
        if unicodedata.category(chr(code)) not in {"Cn", "Co", "Cs", "Cc"}:
            break
    return chr(code)


def _within(ranges: Ranges, low: int, high: int) -> Ranges:
    return [(max(a, low), min(b, high)) for a, b in ranges if a <= high and b >= low]


def _uniform(ranges: Ranges, rng: random.Random) -> int:
    index = rng.randrange(sum(high - low + 1 for low, high in ranges))
    for low, high in ranges:
        if index <= high - low:
            return low + index
        index -= high - low + 1
    raise AssertionError("the ranges are not empty")


def _searching_walk(compiled: Any, rng: random.Random, length: int) -> str | None:
    """A random walk without an automaton: it tries characters, and starts again at a dead end."""
    own = sorted(set(compiled.constraint.pattern))
    others = [chr(code) for code in range(0x20, 0x7F)]
    for _ in range(_ATTEMPTS):
        matcher = compiled.matcher()
        text = ""
        # From `length` on, try only the characters of the pattern itself: a closing bracket is among them.
        while len(text) < 3 * length:
            if matcher.is_accepting and (len(text) >= length or matcher.is_finished or rng.random() < 0.3):
                return text
            character = _try(matcher, rng, own, [] if len(text) >= length else others)
            if character is None:
                break
            text += character
        if matcher.is_accepting:
            return text
    return None


def _try(matcher: Any, rng: random.Random, own: list[str], others: list[str]) -> str | None:
    """Take one character that is allowed: half the time one of the pattern's own, if any is."""
    first, then = (own, others) if rng.random() < 0.5 or not others else (others, own)
    for pool in (first, then):
        for character in rng.sample(pool, len(pool)):
            try:
                matcher.advance_bytes(character.encode())
            except TokenRejectedError:
                continue
            return character
    return None
