"""What may come next, by exhaustive search over a finite language; and a processor that holds masks against it."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from typing import Any

import torch

COLOURS = ("red", "green", "blue")
PATTERN = "(red|green|blue)( (red|green|blue)){0,2}"
LANGUAGE = frozenset(" ".join(words).encode() for n in (1, 2, 3) for words in itertools.product(COLOURS, repeat=n))
ANSWERS = ("yes", "no", "maybe")
ANSWER_PATTERN = "yes|no|maybe"
ANSWER_LANGUAGE = frozenset(answer.encode() for answer in ANSWERS)


class Oracle:
    """Brute force over every token of a vocabulary."""

    def __init__(self, tokens: Sequence[bytes | None], eos: Sequence[int], language: frozenset[bytes]) -> None:
        self.tokens = tokens
        self.eos = frozenset(eos)
        self.language = language
        self._prefixes = frozenset(text[:i] for text in language for i in range(len(text) + 1))
        self.distance = functools.cache(self._distance)
        self._after = functools.cache(self._targets)

    def _targets(self, text: bytes) -> tuple[tuple[int, bytes], ...]:
        """Tokens after which the text can still become one of the language, and the text then."""
        return tuple(
            (token_id, text + data)
            for token_id, data in enumerate(self.tokens)
            if data and token_id not in self.eos and text + data in self._prefixes
        )

    def _distance(self, text: bytes) -> float:
        """The least number of tokens to a text of the language."""
        if text in self.language:
            return 0
        return min((1 + self.distance(target) for _, target in self._after(text)), default=float("inf"))

    def allowed(self, text: bytes, left: int | None = None) -> set[int]:
        """What may follow; with `left`, only what leaves a way with `left` tokens, this one included."""
        bound = float("inf") if left is None else left
        found = {
            token_id
            for token_id, target in self._after(text)
            if self.distance(target) < float("inf") and self.distance(target) <= bound - 1
        }
        return found | (set(self.eos) if text in self.language else set())

    def read(self, tokens: Sequence[int]) -> tuple[bytes, str]:
        """The text of a row, and whether it is live, ended or outside the language."""
        text = b""
        for token_id in tokens:
            if token_id in self.eos:
                return text, "ended" if text in self.language else "outside"
            data = self.tokens[token_id] if token_id < len(self.tokens) else None
            if not data or text + data not in self._prefixes or self.distance(text + data) == float("inf"):
                return text, "outside"
            text += data
        return text, "live"


class MaskChecker:
    """Stands behind the processor under test in `generate`, and raises where its mask is not the oracle's.

    Args:
        oracles: one a prompt, None for a prompt without a constraint.
        start: the length of the prompts; None: of the first rows seen.
        unchecked: ids that other processors may have taken out (`min_new_tokens`).
    """

    def __init__(
        self, oracles: Sequence[Oracle | None], start: int | None = None, unchecked: Sequence[int] = ()
    ) -> None:
        self.oracles = oracles
        self.start = start
        self.unchecked = set(unchecked)
        self.checked = 0

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        if self.start is None:
            self.start = input_ids.shape[1]
        if input_ids.shape[1] < self.start:  # `generate` writes a token of its own before the text
            return scores
        factor = len(input_ids) // len(self.oracles)
        for i, row in enumerate(input_ids[:, self.start :].tolist()):
            oracle = self.oracles[i // factor]
            found = set(torch.isfinite(scores[i]).nonzero().flatten().tolist())
            if oracle is None:
                assert len(found) == scores.shape[-1], "a row without a constraint was masked"
                continue
            text, state = oracle.read(row)
            expected = oracle.allowed(text) if state == "live" else set(oracle.eos)
            expected = {token_id for token_id in expected if token_id < scores.shape[-1]}
            difference = (found ^ expected) - self.unchecked
            assert not difference, f"after {text!r} ({state}), the mask and the oracle differ in {sorted(difference)}"
            self.checked += 1
        return scores


def bytes_of(vocabulary: Any) -> list[bytes | None]:
    """The bytes by id."""
    return [vocabulary.token_bytes(i) for i in range(len(vocabulary))]
