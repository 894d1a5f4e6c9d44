"""Patterns that compare characters of the text with each other: backreferences.

There, characters of one class are not interchangeable any more. Two things still hold:
- Two characters of a class that the text does not contain are: one of them stands for all of them.
- If a text can be followed by characters that occur nowhere else (fresh ones, all different), it can be followed by any
  others of the same classes: where a backreference was not hindered by their being different, it is not by their being
  equal. So a token whose classes are alive in fresh characters needs no test of its own. This needs that no comparison
  takes place where more matches inside can mean fewer outside (in lookarounds, atomic groups, after verbs).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt
import regex
from regex import _regex

from rellm._dialects import scan
from rellm._engines.search.masks.tokens import Symbols, Texts, Trie, becoming
from rellm._engines.search.pattern.alphabet import Alphabet, folded, overlap

_FRESH: Final = 64  # characters kept of each class: as many as a token may need


class Comparing:
    """The classes of a pattern with backreferences, beside the trie of all characters.

    Args:
        texts: the vocabulary.
        alphabet: the classes, backreferences left aside.
        folds: some comparison ignores case.
        proves: fresh characters prove others.
    """

    def __init__(self, texts: Texts, alphabet: Alphabet, folds: bool, proves: bool) -> None:
        self.folds = folds
        self.trie = Trie(texts, alphabet)
        self.symbols: Symbols = self.trie.symbols
        self.proves = proves
        self._alphabet = alphabet
        self._pools = [_last_of(self.symbols.members(chr(number)), self._parts) for number in range(alphabet.size)]
        self._every_fresh = {c for pool in self._pools if len(pool) > 1 for c in pool}
        self._usual = [self._spelled(key, self._pools) for key in self.trie.key]
        node_of = {key: node for node, key in enumerate(self.trie.key)}
        keys = self.symbols.encode_all(texts.trie.key)
        self.node_of: npt.NDArray[np.int64] = np.array([node_of[key] for key in keys], dtype=np.int64)
        """For each node of the trie of all characters, the node of its classes."""
        self.memory_bytes = self.trie.memory_bytes + self.node_of.nbytes

    def _parts(self, character: str) -> frozenset[str]:
        """Two characters are compared as equal only if they share one of these."""
        return _folds_of().get(character) or frozenset(character) if self.folds else frozenset(character)

    def _parts_of(self, text: str) -> frozenset[str]:
        return frozenset().union(*map(self._parts, set(text)))

    def fresh(self, text: str) -> list[str | None]:
        """For each node of the trie of classes, a text of characters not in `text`; None if there are too few."""
        own = self.in_text(text)
        if self._every_fresh.isdisjoint(own):
            return self._usual
        used = set(own)
        pools = [pool if len(pool) == 1 else [c for c in pool if c not in used] for pool in self._pools]
        return [self._spelled(key, pools) for key in self.trie.key]

    def _spelled(self, key: str, pools: list[list[str]]) -> str | None:
        taken: dict[str, int] = {}
        found = []
        for symbol in key:
            pool = pools[ord(symbol)]
            if len(self._pools[ord(symbol)]) == 1:  # a class of one: it is always equal to itself
                found.append(self._pools[ord(symbol)][0])
                continue
            index = taken.get(symbol, 0)
            if index >= len(pool):
                return None
            taken[symbol] = index + 1
            found.append(pool[index])
        return "".join(found)

    def strangers(self, text: str) -> Callable[[str, str], bool]:
        """Tells whether a character does not occur in `text` and in what follows it, and so equals nothing there."""
        used = self._parts_of(text)
        parts = self._parts

        def is_stranger(character: str, after: str) -> bool:
            own = parts(character)
            return own.isdisjoint(used) and all(own.isdisjoint(parts(c)) for c in after)

        return is_stranger

    def in_text(self, text: str) -> list[str]:
        """The characters that are not interchangeable with others: those of the text, and what may equal them."""
        found = set(text)
        if self.folds:
            for part in self._parts_of(text):
                found.update(_folding_to().get(part, ()))
        return sorted(found)

    def others(self, text: str) -> list[tuple[str, str]]:
        """One character for every class that has some outside the text, with the class's symbol."""
        own = set(self.in_text(text))
        found = []
        for symbol in self.symbols.every:
            outside = next((c for c in self._pools[ord(symbol)] if c not in own), None)
            if outside is None:  # the text may have all of the pool
                every = (chr(p) for a, b in self.symbols.members(symbol) for p in range(a, b + 1))
                outside = next((c for c in every if c not in own), None)
            if outside is not None:
                found.append((symbol, outside))
        return found

    def every(self, text: str) -> list[str]:
        """Characters that stand for all that may come next."""
        return [character for _, character in self.others(text)] + self.in_text(text)

    def reach(self, text: str, tail: bytes) -> Iterable[str]:
        """Characters that stand for all that a begun character can become."""
        reached = set(self.symbols.reach(tail))
        for symbol, character in self.others(text):
            if symbol in reached:
                yield character
        first, last = map(chr, becoming(tail))
        for character in self.in_text(text):
            if first <= character <= last:
                yield character


def _last_of(ranges: Sequence[tuple[int, int]], parts: Callable[[str], frozenset[str]]) -> list[str]:
    """The last characters of a class, no two of which equal each other: those that texts have least often."""
    found: list[str] = []
    taken: set[str] = set()
    for first, last in reversed(overlap(ranges, [(0, 0xD7FF), (0xE000, 0x10FFFF)])):
        for point in range(last, first - 1, -1):
            own = parts(chr(point))
            if own.isdisjoint(taken):
                found.append(chr(point))
                taken |= own
                if len(found) >= _FRESH:
                    return found
    return found


@cache
def _folds_of() -> dict[str, frozenset[str]]:
    """For each character with other cases, the characters that it and they fold to."""
    found = {}
    for character in scan.cased():
        point = ord(character)
        cases = {character, *map(chr, _regex.get_all_cases(int(regex.IGNORECASE), point))}
        found[character] = frozenset("".join(map(folded, cases)))
    return found


@cache
def _folding_to() -> dict[str, tuple[str, ...]]:
    """The same the other way round."""
    found: dict[str, list[str]] = {}
    for character, parts in _folds_of().items():
        for part in parts:
            found.setdefault(part, []).append(character)
    return {part: tuple(characters) for part, characters in found.items()}
