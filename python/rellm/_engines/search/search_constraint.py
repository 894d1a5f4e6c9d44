"""A constraint compiled for the search engine: its pattern, its vocabulary, and the masks it has made."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from rellm import _core
from rellm._engines.search.masks.comparing import Comparing
from rellm._engines.search.masks.text_walk import Walker
from rellm._engines.search.masks.tokens import Trie, VocabularyLike, becoming, decode, texts_of
from rellm._engines.search.masks.viability import Partial
from rellm._engines.search.pattern.alphabet import overlap
from rellm._engines.search.pattern.languages import Language
from rellm._engines.search.search_matcher import SearchMatcher
from rellm._engines.search.time_limit import Budget, one_call
from rellm._errors import UnsatisfiableError
from rellm._fork import ForkSafeLock

_ENTRY_OVERHEAD: Final = 200


class SearchConstraint:
    """A constraint served by the search engine. Immutable to its users, thread-safe."""

    engine = "search"

    def __init__(self, language: Language, vocabulary: VocabularyLike, limits: Any, reason: str) -> None:
        self.vocabulary = vocabulary
        self.limits = limits
        self.reason = reason
        """Why it is not served by the automaton: the construct and its position, `recursion (?R) at position 12`."""
        self.vocabulary_size = len(vocabulary)
        self.mask_words = -(-self.vocabulary_size // 32)
        self.eos = frozenset(vocabulary.eos_token_ids)
        self.eos_mask = np.zeros(self.mask_words, dtype=np.uint32)
        for token in self.eos:
            if token < self.vocabulary_size:
                self.eos_mask[token >> 5] |= np.uint32(1 << (token & 31))
        texts = texts_of(vocabulary)
        self._code_points = texts.code_points
        alphabet = language.alphabet
        is_shared = alphabet is None or language.compares  # then the trie is the vocabulary's
        self._trie = texts.trie if is_shared else Trie(texts, alphabet)
        self._fixed_bytes = 0 if is_shared else self._trie.memory_bytes
        self._most_bytes = max(0, int(limits.memory_bytes) - self._fixed_bytes) // 2
        symbols = self._trie.symbols
        self._comparing = (
            Comparing(texts, alphabet, language.folds, language.proves)
            if alphabet is not None and language.compares
            else None
        )
        every: Sequence[str] | Callable[[str], list[str]] | None = None
        if self._comparing is not None:
            every = self._comparing.every
        elif alphabet is not None:
            every = [symbols.spell(symbol) for symbol in symbols.every]
        self._viability = Partial(language.own, language.partial, language.machine, language.kinds, every)
        self._walker = Walker(self._trie, self._viability, self.vocabulary_size, self._comparing)
        self._masks: OrderedDict[Hashable, npt.NDArray[np.uint32]] = OrderedDict()
        self._accepting: OrderedDict[str, bool] = OrderedDict()
        self._cached_bytes = 0
        self._lock = ForkSafeLock()
        if not self.matches("") and not self.mask_after("", b"").any():
            raise UnsatisfiableError(
                "nothing can match: no token of this vocabulary can begin a text that this pattern matches"
            )

    @property
    def memory_bytes(self) -> int:
        """About what it holds: the trie and the masks that are kept."""
        return self._fixed_bytes + self._cached_bytes + self._walker.memory_bytes

    def matcher(self) -> SearchMatcher:
        """A matcher at the start of a text."""
        return SearchMatcher(self)

    # What the matcher asks. All of it follows from the text alone.

    def budget(self, text: str) -> Budget:
        with one_call(int(self.limits.fuel), len(text)) as budget:
            return budget

    def matches(self, text: str) -> bool:
        with self._lock:
            known = self._accepting.get(text)
        if known is not None:
            return known
        found = self._viability.matches(text, self.budget(text))
        with self._lock:
            if text not in self._accepting:
                self._accepting[text] = found
                self._cached_bytes += len(text) * 4 + _ENTRY_OVERHEAD
                self._shrink()
        return found

    def mask_after(self, text: str, tail: bytes) -> npt.NDArray[np.uint32]:
        """The tokens that are text and may follow, without EOS. Not to be written to."""
        budget = self.budget(text)
        key = self._walker.key(text, tail, budget)
        with self._lock:
            if (known := self._masks.get(key)) is not None:
                self._masks.move_to_end(key)
                return known
        allowed = self._walker.tokens(text, tail, budget)
        packed = np.zeros(self.mask_words * 4, dtype=np.uint8)
        bits = np.packbits(allowed, bitorder="little")
        packed[: len(bits)] = bits
        mask = packed.view("<u4").astype(np.uint32, copy=False)
        mask &= ~self.eos_mask
        mask.flags.writeable = False
        with self._lock:
            if key not in self._masks:
                self._masks[key] = mask
                self._cached_bytes += mask.nbytes + _size(key)
                self._shrink()
        return mask

    def _shrink(self) -> None:
        while self._cached_bytes > self._most_bytes and (self._masks or self._accepting):
            if self._masks:
                key, mask = self._masks.popitem(last=False)
                self._cached_bytes -= mask.nbytes + _size(key)
            if self._accepting:
                text, _ = self._accepting.popitem(last=False)
                self._cached_bytes -= len(text) * 4 + _ENTRY_OVERHEAD

    def allows_after(self, text: str, tail: bytes, token: int) -> bool:
        key = self._walker.key(text, tail, self.budget(text))
        with self._lock:
            known = self._masks.get(key)
        if known is not None:
            return bool(known[token >> 5] >> np.uint32(token & 31) & np.uint32(1))
        data = self.vocabulary.token_bytes(token)
        if not data:
            return False
        decoded = decode(tail + data)
        return decoded is not None and self.may_begin(text + decoded[0], decoded[1])

    def may_begin(self, text: str, tail: bytes) -> bool:
        """Whether a match can begin with this text and the begun character `tail`."""
        return self._walker.may_begin(text, tail, self.budget(text))

    def next_characters(self, text: str, within: Sequence[tuple[int, int]] | None = None) -> list[tuple[int, int]]:
        found = _joined(sorted(self._walker.next_characters(text, self.budget(text))))
        return found if within is None else overlap(found, within)

    def expectation(self, text: str, tail: bytes) -> str:
        """In words, what may follow."""
        next_ = self.next_characters(text, [becoming(tail)] if tail else None)
        may_end = not tail and self.matches(text)
        return _core.expectation(next_, self._code_points, bool(tail), may_end)


def _joined(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for first, last in ranges:
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = joined[-1][0], max(last, joined[-1][1])
        else:
            joined.append((first, last))
    return joined


def _size(key: Hashable) -> int:
    """About what the key of a kept mask holds; a state is counted where it is made."""
    first = key[0] if isinstance(key, tuple) else None
    return _ENTRY_OVERHEAD + (4 * len(first) if isinstance(first, str) else 0)
