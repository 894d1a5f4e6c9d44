"""The classes of characters that a pattern can tell apart.

A permutation of the characters that keeps every class of a pattern keeps its language, as long as the pattern compares
no character of the text with another one (a backreference does) and no letter folds to several (full case folding
does, for a hundred letters). So one character stands for all of its class, and few tokens stand for a vocabulary.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from functools import cache, lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt
import regex

from rellm._dialects import scan
from rellm._dialects.tables import regex_dialect
from rellm._engines.search.pattern.reading import ASCII, FULL_CASE, IGNORE_CASE, Atom, Reading
from rellm._engines.search.time_limit import Budget

Ranges = tuple[tuple[int, int], ...]
"""Inclusive ranges of code points, ascending."""

_POINTS: Final = 0x110000
_MOST_ATOMS: Final = 1000
_V1: Final = int(regex.VERSION1)
# What graphemes and the word boundaries of flag WORD look at. What an older library does not know is not looked at.
_PROPERTIES: Final = {
    "grapheme": [
        *(f"\\p{{GCB={v}}}" for v in ("CN", "EX", "PP", "SM", "L", "V", "T", "LV", "LVT", "RI", "ZWJ")),
        *(f"\\p{{InCB={v}}}" for v in ("Linker", "Consonant", "Extend")),
        r"\p{ExtPict}",
        r"\r",
        r"\n",
    ],
    "default word boundary": [
        *(
            f"\\p{{WB={v}}}"
            for v in (
                "DQ",
                "SQ",
                "EX",
                "Extend",
                "FO",
                "HL",
                "KA",
                "LE",
                "MB",
                "ML",
                "MN",
                "NL",
                "NU",
                "RI",
                "WSegSpace",
                "ZWJ",
            )
        ),
        r"\p{ExtPict}",
        r"\r",
        r"\n",
    ],
}


class Alphabet:
    """A partition of the code points into classes, numbered from 0."""

    def __init__(self, classes: Iterable[Ranges]) -> None:
        signature: dict[int, int] = {0: 0, _POINTS: 0}  # a border: the classes that begin or end there
        for index, ranges in enumerate(dict.fromkeys(classes)):
            for first, last in ranges:
                for border in (first, last + 1):
                    signature[border] = signature.get(border, 0) ^ (1 << index)
        borders = sorted(signature)
        numbers: dict[int, int] = {}
        inside, of_piece = 0, []
        for border in borders[:-1]:
            inside ^= signature[border]
            of_piece.append(numbers.setdefault(inside, len(numbers)))
        self._starts = borders[:-1]
        self._of_piece = of_piece
        self.size = len(numbers)
        members: list[list[tuple[int, int]]] = [[] for _ in range(self.size)]
        for first, after, number in zip(borders[:-1], borders[1:], of_piece, strict=True):
            members[number].append((first, after - 1))
        self.members: list[Ranges] = [tuple(ranges) for ranges in members]

    def table(self) -> npt.NDArray[np.uint32]:
        """The class of every code point."""
        lengths = np.diff(np.array([*self._starts, _POINTS]))
        return np.repeat(np.array(self._of_piece, dtype=np.uint32), lengths)

    def class_of(self, character: str) -> int:
        return self._of_piece[bisect_right(self._starts, ord(character)) - 1]


def alphabet_of(reading: Reading, ask: Callable[[Atom], Ranges], budget: Budget) -> Alphabet | None:
    """The classes of what was read, backreferences left aside; `None` if there are too many.

    Raises:
        LimitExceededError: asking about them took longer than the budget.
    """
    if len(reading.atoms) > _MOST_ATOMS:
        return None

    def scan(atom: Atom) -> Ranges:
        budget.seconds_left()
        return ask(atom)

    classes: list[Ranges] = [scan(atom) for atom in reading.atoms]
    for atom in reading.atoms:
        if atom.is_property_with_case_ignored:
            # Wherever the library forgets one of the flags, or both, it tells no more characters apart than these do.
            forgotten = ASCII, IGNORE_CASE, ASCII | IGNORE_CASE
            classes += [scan(Atom(atom.source, atom.flags & ~flags)) for flags in forgotten]
    for kind, sources in _PROPERTIES.items():
        if kind in reading.kinds:
            classes += [ranges for source in sources if (ranges := _property(source)) is not None]
    full = [atom for atom in reading.atoms if atom.flags & IGNORE_CASE and atom.flags & (FULL_CASE | _V1)]
    if full:
        classes += [((ord(character), ord(character)),) for character in _folding_apart(full, scan)]
    return Alphabet(classes)


@lru_cache(maxsize=4096)
def scan_regex(atom: Atom) -> Ranges:
    """What one atom of a `regex` pattern matches: as the core reads it, else as the library answers."""
    literal = _literal(atom.source)
    if literal is not None and not atom.flags & IGNORE_CASE:
        return ((ord(literal), ord(literal)),)
    if not atom.is_property_with_case_ignored:
        try:
            known = regex_dialect().character_class(atom.source, atom.flags)
        except ValueError:
            known = None  # the library knows more
        if known is not None:
            return tuple(known)
    repeated = regex.compile(f"(?:{atom.source})+", atom.flags)
    if atom.flags & IGNORE_CASE:
        exactly = regex.compile(f"(?:{atom.source})+", atom.flags & ~IGNORE_CASE)
        return tuple(scan.ignoring_case(scan.members(exactly), repeated))
    return tuple(scan.members(repeated))


@lru_cache(maxsize=64)
def _property(source: str) -> Ranges | None:
    try:
        return scan_regex(Atom(source, 0))
    except regex.error:
        return None


def _literal(source: str) -> str | None:
    if len(source) == 1 and source != ".":
        return source
    if len(source) == 2 and source[0] == "\\" and not source[1].isalnum():
        return source[1]
    return None


def _folding_apart(atoms: Iterable[Atom], ask: Callable[[Atom], Ranges]) -> set[str]:
    """The characters that full case folding compares one by one: `ß` with `ss`, for a pattern that has `s` or `[ß]`."""
    compared: set[str] = set()
    several = {c: text for c, text in _folding().items() if len(text) > 1}
    for atom in atoms:
        literal = _literal(atom.source)
        if literal is not None:
            compared.update(folded(literal))
        elif atom.source[0] == "\\" and (atom.source[1] in "xuUN" or atom.source[1].isdigit()):
            compared.update(*(folded(chr(first)) for first, _ in ask(atom)))
        elif atom.source[0] == "[" and (
            atom.source[1] != "^" or "[" in atom.source[1:]
        ):  # negated sets, `.` and properties match one character
            members = ask(atom)
            compared.update(*(text for c, text in several.items() if overlap(members, [(ord(c), ord(c))])))
    compared &= {part for text in several.values() for part in text}
    return compared | {c for c in scan.cased() if compared & set(folded(c))}


@cache
def _folding() -> dict[str, str]:
    """What characters fold to in full, as the library has it: it knows more characters than Python may."""
    return {chr(c): "".join(map(chr, points)) for c, points in scan.regex_cases()[1].items()}


def folded(character: str) -> str:
    """What a character folds to in full, as the library has it."""
    return _folding().get(character) or character.casefold()


def overlap(ranges: Sequence[tuple[int, int]], others: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The code points that are in both."""
    found, i, j = [], 0, 0
    while i < len(ranges) and j < len(others):
        first, last = max(ranges[i][0], others[j][0]), min(ranges[i][1], others[j][1])
        if first <= last:
            found.append((first, last))
        if ranges[i][1] < others[j][1]:
            i += 1
        else:
            j += 1
    return found
