"""From a text to the tokens that may follow it, with as few tests of texts as can be.

Being alive is closed under prefixes. So a dead prefix rules out all tokens that begin with it, and a token that is
alive proves its prefixes. Which of the two to try first is taken from the last mask: neighbouring masks are alike.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from rellm._engines.search.masks.comparing import Comparing
from rellm._engines.search.masks.tokens import Cut, Trie, decode
from rellm._engines.search.masks.viability import Viability
from rellm._engines.search.time_limit import Budget

Flags = npt.NDArray[np.bool_]

_ALIVE: Final = 1
_DEAD: Final = 2


class Walker:
    """The masks of a vocabulary's trie. Immutable but for what it expects.

    Args:
        trie: the tokens, in the symbols of the pattern, or character by character if it compares some.
        viability: what is asked of texts.
        size: the number of token ids.
        comparing: for a pattern that compares characters.
    """

    def __init__(self, trie: Trie, viability: Viability, size: int, comparing: Comparing | None = None) -> None:
        self.trie = trie
        self.viability = viability
        self.comparing = comparing
        self._size = size
        self._expected = bytes(len(trie.key))
        self._expected_classes = b"" if comparing is None else bytes(len(comparing.trie.key))

    def tokens(self, text: str, tail: bytes, budget: Budget) -> Flags:
        """Which tokens may come after `text` and the begun character `tail`."""
        allowed = np.zeros(self._size, dtype=np.bool_)
        if tail:
            for token in self._completing(text, tail, budget):
                allowed[token] = True
            return allowed
        trie, comparing = self.trie, self.comparing
        if comparing is not None and comparing.proves:
            alive, viable = self._proven(comparing, text, budget, allowed)
        else:
            alive = self._expected = self._alive_nodes(trie, trie.text, self._expected, text, budget)
            viable = self._viable_holders(trie, trie.text, text, alive, budget)
        trie.mark(np.frombuffer(viable, dtype=np.uint8) == _ALIVE, allowed)
        for cut in self._viable_cuts(trie, trie.text, text, alive, budget, allowed):
            allowed[cut.ids] = True
        return allowed

    def _proven(self, comparing: Comparing, text: str, budget: Budget, allowed: Flags) -> tuple[bytes, bytes]:
        """The nodes that are alive, and those that are viable: first what fresh characters prove, then the others."""
        classes, fresh = comparing.trie, comparing.fresh(text)
        alive_classes = self._alive_nodes(classes, fresh, self._expected_classes, text, budget)
        self._expected_classes = alive_classes
        viable_classes = self._viable_holders(classes, fresh, text, alive_classes, budget)
        for cut in self._viable_cuts(classes, fresh, text, alive_classes, budget, allowed):
            allowed[cut.ids] = True
        trie, alive_text = self.trie, self.viability.alive
        proven = (np.frombuffer(alive_classes, dtype=np.uint8) == _ALIVE)[comparing.node_of]
        alive = bytearray(proven.tobytes())
        passed = 0
        keys, class_keys, node_of = trie.key, classes.key, comparing.node_of
        is_stranger = comparing.strangers(text)
        strangers: dict[tuple[int, str], bool] = {}
        for node in np.flatnonzero(~proven).tolist():
            if node < passed:
                continue
            parent = trie.parent[node]
            if is_stranger(keys[node][-1], keys[parent]):
                # What the text does not contain may be exchanged: one test for all of a class.
                kind = parent, class_keys[node_of[node]][-1]
                found = strangers.get(kind)
                if found is None:
                    found = strangers[kind] = alive_text(text + keys[node], budget)
            else:
                found = alive_text(text + keys[node], budget)
            if found:
                alive[node] = _ALIVE
            else:
                passed = trie.end[node]
        if not self.viability.looks_ahead:
            return bytes(alive), bytes(alive)
        known = (np.frombuffer(viable_classes, dtype=np.uint8) == _ALIVE)[comparing.node_of].tolist()
        return bytes(alive), self._viable_holders(trie, trie.text, text, bytes(alive), budget, known)

    def _alive_nodes(
        self, trie: Trie, suffix: Sequence[str | None], expected: bytes, text: str, budget: Budget
    ) -> bytes:
        end, alive_text = trie.end, self.viability.alive

        def is_alive(node: int) -> bool:
            after = suffix[node]
            return after is not None and alive_text(text + after, budget)

        state = bytearray(len(end))
        state[0] = _ALIVE
        node, size = 1, len(end)
        while node < size:
            if expected[node] != _ALIVE:
                if is_alive(node):
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
            if is_alive(last):
                first_dead = last + 1
            else:
                low, first_dead = node, last
                while low < first_dead:
                    middle = (low + first_dead) // 2
                    if is_alive(middle):
                        low = middle + 1
                    else:
                        first_dead = middle
            for index in range(node, first_dead):
                state[index] = _ALIVE
            node = last + 1 if first_dead > last else end[first_dead]
        return bytes(state)

    def _viable_holders(
        self,
        trie: Trie,
        suffix: Sequence[str | None],
        text: str,
        alive: bytes,
        budget: Budget,
        known: Sequence[bool] = (),
    ) -> bytes:
        """The nodes whose tokens stay alive when looked at closely; `known` ones need no look."""
        viability = self.viability
        if not viability.looks_ahead:
            return alive
        viable = bytearray(alive)
        goes_on = bytearray(len(alive))
        for node in range(len(alive) - 1, 0, -1):
            if alive[node] != _ALIVE:
                continue
            goes_on[trie.parent[node]] = 1
            if goes_on[node] or trie.ids[node] is None or (known and known[node]):
                continue
            after = suffix[node]
            if after is None or not viability.viable(text + after, budget):
                viable[node] = _DEAD
        return bytes(viable)

    def _viable_cuts(
        self, trie: Trie, suffix: Sequence[str | None], text: str, alive: bytes, budget: Budget, allowed: Flags
    ) -> Iterator[Cut]:
        """The tokens that end inside a character, less those that are allowed already."""
        tested: dict[str, bool] = {}
        for node in trie.cut_nodes:
            after = suffix[node]
            if alive[node] != _ALIVE or after is None:
                continue
            for cut in trie.cuts[node]:
                if allowed[cut.ids].all():
                    continue
                for character in self._characters(trie, text + after, cut):
                    written = text + after + character
                    found = tested.get(written)
                    if found is None:
                        found = tested[written] = self.viability.viable(written, budget)
                    if found:
                        yield cut
                        break

    def _characters(self, trie: Trie, text: str, cut: Cut) -> Iterable[str]:
        """What the last character of a cut token can become."""
        comparing = self.comparing
        if comparing is None:
            return map(trie.symbols.spell, cut.symbols) if not cut.tail else trie.symbols.begun(cut.tail)
        if trie is self.trie:
            return comparing.reach(text, cut.tail)
        symbols = set(cut.symbols)
        return [character for symbol, character in comparing.others(text) if symbol in symbols]

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
        """Whether a match can begin with a text and a begun character."""
        viable = self.viability.viable
        if not tail:
            return viable(text, budget)
        comparing = self.comparing
        characters = self.trie.symbols.begun(tail) if comparing is None else comparing.reach(text, tail)
        return any(viable(text + character, budget) for character in characters)

    def next_characters(self, text: str, budget: Budget) -> list[tuple[int, int]]:
        """Ranges of the code points that may come next."""
        viable = self.viability.viable
        comparing, symbols = self.comparing, self.trie.symbols
        found: list[tuple[int, int]] = []
        if comparing is None:
            for symbol in symbols.every:
                if viable(text + symbols.spell(symbol), budget):
                    found += symbols.members(symbol)
            return found
        own = comparing.in_text(text)
        for symbol, character in comparing.others(text):
            if viable(text + character, budget):
                found += without(comparing.symbols.members(symbol), own)
        return found + [(ord(c), ord(c)) for c in own if viable(text + c, budget)]

    def key(self, text: str, tail: bytes, budget: Budget) -> Hashable:
        """What the mask depends on."""
        return text, tail

    @property
    def memory_bytes(self) -> int:
        """About what it holds beside the trie."""
        return len(self._expected) + (0 if self.comparing is None else self.comparing.memory_bytes)


def without(ranges: Iterable[tuple[int, int]], characters: Sequence[str]) -> list[tuple[int, int]]:
    """Ranges of code points less some characters, which are sorted."""
    found = []
    points = [ord(c) for c in characters]
    for first, last in ranges:
        for point in points:
            if first <= point <= last:
                if first < point:
                    found.append((first, point - 1))
                first = point + 1
        if first <= last:
            found.append((first, last))
    return found
