"""From a text to the tokens that may follow it, with as few tests of texts as can be.

Being alive is closed under prefixes. So a dead prefix rules out all tokens that begin with it, and a token that is
alive proves its prefixes. Which of the two to try first is taken from the last mask: neighbouring masks are alike.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator

import numpy as np
import numpy.typing as npt

from rellm._search._budget import Budget
from rellm._search._tokens import Cut, Trie, decode
from rellm._search._viability import Viability

Flags = npt.NDArray[np.bool_]

_ALIVE = 1
_DEAD = 2


class Walker:
    """The masks of a vocabulary's trie. Immutable but for what it expects."""

    def __init__(self, trie: Trie, viability: Viability, size: int) -> None:
        self.trie = trie
        self.viability = viability
        self._size = size
        self._expected = bytes(len(trie.key))

    def tokens(self, text: str, tail: bytes, budget: Budget) -> Flags:
        """Which tokens may come after `text` and the begun character `tail`."""
        allowed = np.zeros(self._size, dtype=np.bool_)
        if tail:
            for token in self._completing(text, tail, budget):
                allowed[token] = True
            return allowed
        alive = self._alive_nodes(text, budget)
        viable = np.frombuffer(self._viable_holders(text, alive, budget), dtype=np.uint8) == _ALIVE
        self.trie.mark(viable, allowed)
        for cut in self._viable_cuts(text, alive, budget):
            allowed[cut.ids] = True
        return allowed

    def _alive_nodes(self, text: str, budget: Budget) -> bytearray:
        trie, alive_text, expected = self.trie, self.viability.alive, self._expected
        suffix, end = trie.text, trie.end
        state = bytearray(len(end))
        state[0] = _ALIVE
        node, size = 1, len(end)
        while node < size:
            if expected[node] != _ALIVE:
                if alive_text(text + suffix[node], budget):
                    state[node] = _ALIVE
                    node += 1
                else:
                    node = end[node]
                continue
            # Down the first children, as far as they are expected to be alive: they stand next to each other.
            last, bottom = node, end[node]
            while last + 1 < bottom and expected[last + 1] == _ALIVE:
                last += 1
                bottom = end[last]
            if alive_text(text + suffix[last], budget):
                first_dead = last + 1
            else:
                low, first_dead = node, last
                while low < first_dead:
                    middle = (low + first_dead) // 2
                    if alive_text(text + suffix[middle], budget):
                        low = middle + 1
                    else:
                        first_dead = middle
            for index in range(node, first_dead):
                state[index] = _ALIVE
            node = last + 1 if first_dead > last else end[first_dead]
        self._expected = bytes(state)
        return state

    def _viable_holders(self, text: str, alive: bytearray, budget: Budget) -> bytearray:
        """The nodes with tokens that stay alive when looked at closely."""
        trie, viability = self.trie, self.viability
        viable = bytearray(alive)
        if not viability.looks_ahead:
            return viable
        proven = bytearray(len(alive))
        for node in range(len(alive) - 1, 0, -1):
            if alive[node] != _ALIVE:
                continue
            parent = trie.parent[node]
            proven[parent] = 1
            if not proven[node] and trie.ids[node] is not None and not viability.viable(text + trie.text[node], budget):
                viable[node] = _DEAD
        return viable

    def _viable_cuts(self, text: str, alive: bytearray, budget: Budget) -> Iterator[Cut]:
        tested: dict[str, bool] = {}
        trie, viability, spell = self.trie, self.viability, self.trie.symbols.spell
        for node in trie.cut_nodes:
            if alive[node] != _ALIVE:
                continue
            before = text + trie.text[node]
            for cut in trie.cuts[node]:
                for symbol in cut.symbols:
                    after = before + spell(symbol)
                    found = tested.get(after)
                    if found is None:
                        found = tested[after] = viability.viable(after, budget)
                    if found:
                        yield cut
                        break

    def _completing(self, text: str, tail: bytes, budget: Budget) -> Iterator[int]:
        """Tokens that go on inside a character."""
        tested: dict[tuple[str, bytes], bool] = {}
        encode = self.trie.symbols.encode
        for token, data in self.trie.continuing:
            decoded = decode(tail + data)
            if decoded is None:
                continue
            whole, rest = decoded
            key = encode(whole), rest
            if key not in tested:
                tested[key] = self.may_begin(text + whole, rest, budget)
            if tested[key]:
                yield token

    def may_begin(self, text: str, tail: bytes, budget: Budget) -> bool:
        """Whether a text with a begun character is viable."""
        viability, symbols = self.viability, self.trie.symbols
        if not tail:
            return viability.viable(text, budget)
        return any(viability.viable(text + symbols.spell(symbol), budget) for symbol in symbols.reach(tail))

    def viable(self, text: str, budget: Budget) -> bool:
        """Whether a match can begin with a text."""
        return self.viability.viable(text, budget)

    def accepts(self, text: str, budget: Budget) -> None:
        """Only the library knows."""
        return

    def key(self, text: str, tail: bytes, budget: Budget) -> Hashable:
        """What the mask depends on."""
        return text, tail

    @property
    def memory_bytes(self) -> int:
        return len(self._expected)
