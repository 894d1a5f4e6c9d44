"""From a state of the stacks to the tokens that may follow: down the trie, state by state."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Final

import numpy as np
import numpy.typing as npt

from rellm._engines.search.masks.stacks import Stacks, State
from rellm._engines.search.masks.tokens import Trie, decode
from rellm._engines.search.time_limit import Budget
from rellm._fork import ForkSafeLock

_ENTRY_BYTES: Final = 200
_LOOK_BACK: Final = 64
_CHECK_EVERY: Final = 2048


class StackWalker:
    """The masks of a vocabulary's trie, read through the stacks."""

    def __init__(self, trie: Trie, stacks: Stacks, size: int, memory_bytes: int) -> None:
        self.trie = trie
        self.stacks = stacks
        self._size = size
        self._symbols = [ord(key[-1]) if key else 0 for key in trie.key]
        self._below = trie.symbols_below()
        self._of_text: OrderedDict[str, State | None] = OrderedDict()
        self._text_bytes = 0
        self._most_text_bytes = memory_bytes
        self._lock = ForkSafeLock()

    def state(self, text: str, budget: Budget) -> State | None:
        """The state after a text. Texts grow at their end, so that a shorter one is mostly known."""
        with self._lock:
            known = 0
            state = self.stacks.start
            for length in range(len(text), max(-1, len(text) - _LOOK_BACK), -1):
                if (prefix := text[:length]) in self._of_text:
                    known, state = length, self._of_text[prefix]
                    self._of_text.move_to_end(prefix)
                    break
        if known < len(text):
            for index, symbol in enumerate(self.trie.symbols.encode(text[known:])):
                if state is None:
                    break
                if index % _CHECK_EVERY == 0:
                    budget.seconds_left()
                state = self.stacks.step(state, ord(symbol))
            with self._lock:
                if text not in self._of_text:
                    self._of_text[text] = state
                    self._text_bytes += 4 * len(text) + _ENTRY_BYTES
                while self._text_bytes > self._most_text_bytes and self._of_text:
                    forgotten, _ = self._of_text.popitem(last=False)
                    self._text_bytes -= 4 * len(forgotten) + _ENTRY_BYTES
        return state

    def tokens(self, text: str, tail: bytes, budget: Budget) -> npt.NDArray[np.bool_]:
        """Which tokens may come after `text` and the begun character `tail`."""
        allowed = np.zeros(self._size, dtype=np.bool_)
        start = self.state(text, budget)
        if start is None:
            return allowed
        if tail:
            for token, data in self.trie.continuing:
                decoded = decode(tail + data)
                if decoded is not None and self._may_begin(start, *decoded):
                    allowed[token] = True
            return allowed
        alive, states = self._alive_nodes(start, budget)
        self.trie.mark(np.frombuffer(alive, dtype=np.bool_), allowed)
        known: dict[tuple[State, tuple[str, ...]], bool] = {}
        for node in self.trie.cut_nodes:
            state = states[node]
            if state is None:
                continue
            for cut in self.trie.cuts[node]:
                key = state, cut.symbols
                if key not in known:
                    known[key] = self._reads_one_of(state, cut.symbols)
                if known[key]:
                    allowed[cut.ids] = True
        return allowed

    def _alive_nodes(self, start: State, budget: Budget) -> tuple[bytearray, list[State | None]]:
        trie, stacks, symbols, below = self.trie, self.stacks, self._symbols, self._below
        end, parent = trie.end, trie.parent
        size = len(end)
        alive = bytearray(size)
        states: list[State | None] = [None] * size
        states[0] = start
        goes_on: dict[State, bool] = {}
        node, steps = 1, 0
        while node < size:
            before = states[parent[node]]
            assert before is not None
            symbol = symbols[node]
            try:
                after = before.nexts[symbol]
            except KeyError:
                after = stacks.step(before, symbol)
                steps += 1
                if steps % 64 == 0:
                    budget.seconds_left()
            if after is None:
                node = end[node]
                continue
            if after not in goes_on:
                goes_on[after] = stacks.goes_on(after)
            last = end[node]
            if after is before and not below[node] & ~stacks.closed(after):
                # All of the subtree leads back to this state.
                alive[node:last] = bytes([goes_on[after]]) * (last - node)
                states[node:last] = [after] * (last - node)
                node = last
                continue
            alive[node] = goes_on[after]
            states[node] = after
            node += 1
        return alive, states

    def may_begin(self, text: str, tail: bytes, budget: Budget) -> bool:
        """Whether a match can begin with a text and a begun character."""
        state = self.state(text, budget)
        return state is not None and self._may_begin(state, "", tail)

    def next_characters(self, text: str, budget: Budget) -> list[tuple[int, int]]:
        """Ranges of the code points that may come next."""
        state = self.state(text, budget)
        symbols = self.trie.symbols
        found: list[tuple[int, int]] = []
        for symbol in symbols.every:
            if state is not None and self._reads_one_of(state, (symbol,)):
                found += symbols.members(symbol)
        return found

    def accepts(self, text: str, budget: Budget) -> bool:
        """Whether the stacks take the text for a match."""
        state = self.state(text, budget)
        return state is not None and state.is_accepting

    def key(self, text: str, tail: bytes, budget: Budget) -> Hashable:
        """What the mask depends on."""
        return self.state(text, budget), tail

    @property
    def memory_bytes(self) -> int:
        return self.stacks.memory_bytes + self._text_bytes

    def _may_begin(self, state: State, text: str, tail: bytes) -> bool:
        after: State | None = state
        for symbol in self.trie.symbols.encode(text):
            if after is None:
                return False
            after = self.stacks.step(after, ord(symbol))
        if after is None:
            return False
        if not tail:
            return self.stacks.goes_on(after)
        return self._reads_one_of(after, self.trie.symbols.reach(tail))

    def _reads_one_of(self, state: State, symbols: tuple[str, ...]) -> bool:
        return any(
            (after := self.stacks.step(state, ord(symbol))) is not None and self.stacks.goes_on(after)
            for symbol in symbols
        )
