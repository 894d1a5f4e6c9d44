"""What a mask must be, by trying: slow, obvious, and sharing nothing with the library.

A token is allowed if some text that the pattern's own library matches in full goes on with it, and the vocabulary's
tokens can spell the rest. All texts up to a length are tried, so that a yes is proven; a no is only proven up to that
length, and whoever allows more must show a witness.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product


class Oracle:
    """The matching texts over `alphabet` of at most `longest` characters, and what `tokens` can spell of them."""

    def __init__(
        self,
        matches: Callable[[str], object],
        alphabet: str,
        longest: int,
        tokens: Sequence[bytes | None],
        eos: Sequence[int] = (),
    ) -> None:
        self._matches = matches
        self._eos = set(eos)
        self._tokens = {token: data for token, data in enumerate(tokens) if data and token not in self._eos}
        self._pieces = set(self._tokens.values())
        self.texts = [
            text.encode()
            for length in range(longest + 1)
            for text in map("".join, product(alphabet, repeat=length))
            if matches(text)
        ]

    def spells(self, data: bytes) -> bool:
        """Whether some sequence of tokens writes exactly these bytes."""
        reached = [True] + [False] * len(data)
        for end in range(1, len(data) + 1):
            reached[end] = any(reached[start] and data[start:end] in self._pieces for start in range(end))
        return reached[-1]

    def matches(self, data: bytes) -> bool:
        """Whether these bytes are a text of the language."""
        try:
            return bool(self._matches(data.decode()))
        except UnicodeDecodeError:
            return False

    def is_satisfiable(self) -> bool:
        return any(map(self.spells, self.texts))

    def allowed(self, before: bytes) -> set[int]:
        """The tokens that are surely allowed after `before`, EOS among them."""
        found = set(self._eos) if self.matches(before) else set()
        for text in self.texts:
            if len(text) > len(before) and text.startswith(before):
                rest = text[len(before) :]
                for token, data in self._tokens.items():
                    if token not in found and rest.startswith(data) and self.spells(rest[len(data) :]):
                        found.add(token)
        return found
