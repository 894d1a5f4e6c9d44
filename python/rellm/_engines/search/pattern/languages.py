"""From a pattern to the two things that are asked of it: does a text match, and may it become one that does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import regex

from rellm._dialects.library import compiled
from rellm._engines.search.masks.backtracking import Backtracking
from rellm._engines.search.pattern.alphabet import Alphabet, alphabet_of, scan_regex
from rellm._engines.search.pattern.endless_calls import recurses_without_reading
from rellm._engines.search.pattern.reading import IGNORE_CASE, Reading, UnreadableError, read
from rellm._engines.search.pattern.refusals import unsupported
from rellm._engines.search.time_limit import Budget, one_call
from rellm._errors import LimitExceededError

_MOST_CLASSES: Final = 20_000
# Compiling takes a library up to so long: microseconds at `FUEL_PER_SECOND`.
FUEL_OF_A_CHARACTER: Final = {"re": 150, "regex": 1000}
_MISREAD: Final = regex.compile(r"\\[bBmMzZ]|[$^]|\(\?(?:<?[=!]|\()|[0-9]<=?[deis]<")
# Around these, matching more inside can be matching less outside.
_NOT_MONOTONE: Final = frozenset({"lookaround", "atomic group", "possessive quantifier", "conditional", "verb"})


@dataclass(frozen=True)
class Language:
    """A pattern as the search engine uses it."""

    own: Any  # the pattern of the user's library: it alone says what matches
    partial: Any  # a pattern of `regex` that says what may become a match
    kinds: frozenset[str]
    alphabet: Alphabet | None  # what it can tell apart, comparisons left aside; None: any two characters
    reading: Reading | None
    folds: bool = False  # a comparison may ignore case
    machine: Backtracking | None = None  # whether `own` answers in time, where it is a pattern of `re`

    @property
    def compares(self) -> bool:
        """Whether characters of the text are compared with each other."""
        return "backreference" in self.kinds

    @property
    def proves(self) -> bool:
        """Whether what fresh characters can do, all others can."""
        return not self.kinds & {"protected comparison", "verb"} and not (self.folds and "fuzzy" in self.kinds)


def language_of(
    pattern: str, flags: int, dialect: str, named_lists: Mapping[str, Iterable[str]], limits: Any
) -> Language:
    """What the search engine makes of a pattern.

    Raises:
        PatternError: the pattern is wrong.
        UnsupportedError: it has a flag or a construct that the search engine does not serve.
        LimitExceededError: it is longer or deeper than the limits.
    """
    if len(pattern) > int(limits.pattern_length):
        raise LimitExceededError(
            f"the pattern has {len(pattern):,} characters, and Limits.pattern_length is "
            f"{int(limits.pattern_length):,}: shorten it or raise the limit",
            limit="pattern_length",
            allowed=int(limits.pattern_length),
        )
    with one_call(int(limits.fuel), 0) as budget:
        return _language_of(pattern, flags, dialect, named_lists, budget)


def _language_of(
    pattern: str, flags: int, dialect: str, named_lists: Mapping[str, Iterable[str]], budget: Budget
) -> Language:
    budget.charge(len(pattern) * FUEL_OF_A_CHARACTER[dialect], "compiling the pattern by its own library")
    if dialect == "re":
        from rellm._engines.search.pattern.from_re import language_of_re

        return language_of_re(pattern, flags, budget)
    return language_of_regex(pattern, flags, named_lists, budget)


def language_of_regex(pattern: str, flags: int, named_lists: Mapping[str, Iterable[str]], budget: Budget) -> Language:
    """A pattern of the `regex` library."""
    lists = {name: list(texts) for name, texts in named_lists.items()}
    own = compiled(pattern, flags, "regex", lists)
    try:
        reading = read(own, flags)
    except UnreadableError as error:
        if _MISREAD.search(pattern):
            raise unsupported(
                f"{error} that the search engine cannot read, beside an anchor, boundary, lookaround, conditional or "
                "least number of errors",
                pattern,
                error.position,
                "write this part in plainer words, or the pattern without the other, about which partial matching is "
                "wrong",
            ) from None
        return Language(own, own, frozenset({"unread"}), None, None)
    if (group := recurses_without_reading(reading.tree)) is not None:
        name = "the pattern" if group == 0 else f"group {group}"
        raise unsupported(
            f"{name} calls itself before it reads a character: the call",
            pattern,
            reading.places[f"call of {group}"],
            "put a character before it, or write the repetition with *; the regex library never ends on it",
        )
    if (at := reading.places.get("fuzzy item without width")) is not None:
        raise unsupported(
            "a lookaround, anchor, boundary, conditional, verb or \\X inside the fuzzy item",
            pattern,
            at,
            "put it before or behind the fuzzy item: partial matching is wrong about it there",
        )
    if (at := reading.places.get("fuzzy item in a fuzzy item")) is not None:
        raise unsupported(
            "a fuzzy item inside the fuzzy item",
            pattern,
            at,
            "give one of them the costs of both: partial matching is wrong about two",
        )
    if reading.rewording.is_widened and (others := reading.kinds & _NOT_MONOTONE):
        raise unsupported(
            "an anchor or boundary under the flag WORD, or a least number of errors, "
            f"together with {' and '.join(sorted(others))}",
            pattern,
            min(reading.rewording.first_widened, *(reading.places[other] for other in others)),
            "leave one of them out: partial matching is wrong about the two together",
        )
    if own.flags & regex.POSIX:
        at = reading.places.get("POSIX")
        raise unsupported(
            "flags=POSIX is not supported by the search engine"
            if at is None
            else "the flag POSIX beside what is not regular",
            pattern,
            at,
            "leave it out: a full match is no longer with it",
        )
    partial = own if reading.rewording.is_empty else compiled(reading.rewording.of(pattern), flags, "regex", lists)
    alphabet = alphabet_of(reading, scan_regex, budget)
    if alphabet is not None and alphabet.size > _MOST_CLASSES:
        alphabet = None
    folds = any(atom.flags & IGNORE_CASE for atom in reading.atoms)
    return Language(own, partial, frozenset(reading.kinds), alphabet, reading, folds)
