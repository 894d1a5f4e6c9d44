"""Patterns that compare characters of the text with each other: backreferences that the stacks do not hold.

There, characters of one class are not interchangeable any more. Two things still hold:
- Two characters of a class that the text does not contain are: one of them stands for all of them.
- If a text can be followed by characters that occur nowhere else (fresh ones, all different), it can be followed by any
  others of the same classes: where a backreference was not hindered by their being different, it is not by their being
  equal. So a token whose classes are alive in fresh characters needs no test of its own. This needs that no comparison
  takes place where more matches inside can mean fewer outside (in lookarounds, atomic groups, after verbs).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from rellm._search._alphabet import Alphabet, overlap
from rellm._search._tokens import Symbols, Texts, Trie, becoming

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
        self._pools = [_last_of(self.symbols.members(chr(number)), self._folded) for number in range(alphabet.size)]
        self._every_fresh = {c for pool in self._pools if len(pool) > 1 for c in pool}
        self._usual = [self._spelled(key, self._pools) for key in self.trie.key]
        node_of = {key: node for node, key in enumerate(self.trie.key)}
        keys = self.symbols.encode_all(texts.trie.key)
        self.node_of: npt.NDArray[np.int64] = np.array([node_of[key] for key in keys], dtype=np.int64)
        """For each node of the trie of all characters, the node of its classes."""
        self.memory_bytes = self.trie.memory_bytes + self.node_of.nbytes

    def _folded(self, character: str) -> str:
        return character.casefold() if self.folds else character

    def fresh(self, text: str) -> list[str | None]:
        """For each node of the trie of classes, a text of characters not in `text`; None if there are too few."""
        used = {self._folded(c) for c in set(text)}
        if self._every_fresh.isdisjoint(used):
            return self._usual
        pools = [pool if len(pool) == 1 else [c for c in pool if self._folded(c) not in used] for pool in self._pools]
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
        used = {self._folded(c) for c in set(text)}
        folded = self._folded

        def is_stranger(character: str, after: str) -> bool:
            own = folded(character)
            return own not in used and all(folded(c) != own for c in after)

        return is_stranger

    def in_text(self, text: str) -> list[str]:
        """The characters that are not interchangeable with others: those of the text, and their other cases."""
        found = set(text)
        if self.folds:
            for c in set(text):
                found.update(v for v in (c.lower(), c.upper(), c.casefold(), c.title()) if len(v) == 1)
        return sorted(found)

    def others(self, text: str) -> list[tuple[str, str]]:
        """One character for every class that has some outside the text, with the class's symbol."""
        used = {self._folded(c) for c in set(text)}
        found = []
        for symbol in self.symbols.every:
            outside = next((c for c in self._pools[ord(symbol)] if self._folded(c) not in used), None)
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


def _last_of(ranges: Sequence[tuple[int, int]], folded: Callable[[str], str]) -> list[str]:
    """The last characters of a class, no two of which fold to the same: those that texts have least often."""
    found: dict[str, str] = {}
    for first, last in reversed(overlap(ranges, [(0, 0xD7FF), (0xE000, 0x10FFFF)])):
        for point in range(last, first - 1, -1):
            found.setdefault(folded(chr(point)), chr(point))
            if len(found) >= _FRESH:
                return list(found.values())
    return list(found.values())
