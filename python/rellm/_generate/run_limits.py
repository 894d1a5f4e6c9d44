"""Optional bounds against runaway text: the longest run of whitespace, the longest repetition of one token.

They take tokens out of a mask, never the last ones: where the constraint leaves nothing else, it wins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from rellm._generate.apply_mask import Packed

_WHITESPACE = b" \t\n\r\v\f"


@dataclass(frozen=True)
class RunLimits:
    """How much of the same may be written in a row; None: any amount.

    Attributes:
        max_whitespace: the longest run of ASCII whitespace, in characters.
        max_repetition: how often one token may stand in a row.
    """

    max_whitespace: int | None = None
    max_repetition: int | None = None

    def __post_init__(self) -> None:
        for name in ("max_whitespace", "max_repetition"):
            value = getattr(self, name)
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f"{name} is a whole number, or None for no bound, not {type(value).__name__} {value!r}")
            if value < 1:
                raise ValueError(f"{name} is {value}: it must be at least 1, or None for no bound")

    @classmethod
    def of(cls, given: RunLimits | None, max_whitespace: int | None = None, max_repetition: int | None = None) -> Self:
        """The limits that were given as one argument, or as two."""
        if given is None:
            return cls(max_whitespace, max_repetition)
        if not isinstance(given, cls):
            raise TypeError(f"run_limits is {type(given).__name__}: pass rellm.RunLimits(max_whitespace=…)")
        if max_whitespace is not None or max_repetition is not None:
            raise TypeError("run_limits has max_whitespace and max_repetition: pass them there only")
        return given

    def __bool__(self) -> bool:
        return self.max_whitespace is not None or self.max_repetition is not None

    def restrict(self, row: Packed, tokens: Sequence[int], vocabulary: Any) -> None:
        """Take out of the packed `row` what would make a run too long after `tokens`; in place."""
        refused = np.zeros_like(row)
        if self.max_repetition is not None and len(tokens) >= self.max_repetition:
            last = tokens[-1]
            if all(token_id == last for token_id in tokens[-self.max_repetition :]):
                refused[last >> 5] |= np.uint32(1 << (last & 31))
        if self.max_whitespace is not None:
            leading, longest = _whitespace_of(vocabulary)
            written = _trailing_whitespace(tokens, vocabulary, self.max_whitespace)
            too_long = (longest > self.max_whitespace) | ((leading > 0) & (leading + written > self.max_whitespace))
            bits = np.packbits(too_long, bitorder="little")
            words = np.zeros(len(row) * 4, dtype=np.uint8)
            words[: min(len(bits), len(words))] = bits[: len(words)]
            refused |= words.view(np.uint32)
        kept = row & ~refused
        if kept.any():
            row[:] = kept


_runs: WeakKeyDictionary[Any, tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]] = WeakKeyDictionary()


def _whitespace_of(vocabulary: Any) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """By token id: the whitespace it begins with, and its longest run of it, in bytes."""
    known = _runs.get(vocabulary)
    if known is not None:
        return known
    size = len(vocabulary)
    leading = np.zeros(size, dtype=np.int32)
    longest = np.zeros(size, dtype=np.int32)
    for token_id in range(size):
        data = vocabulary.token_bytes(token_id)
        if data and not data.isalnum():
            leading[token_id] = len(data) - len(data.lstrip(_WHITESPACE))
            longest[token_id] = max(map(len, _runs_in(data)), default=0)
    _runs[vocabulary] = (leading, longest)
    return leading, longest


def _runs_in(data: bytes) -> list[bytes]:
    runs, start = [], None
    for i, byte in enumerate(data):
        if byte in _WHITESPACE:
            start = i if start is None else start
        elif start is not None:
            runs.append(data[start:i])
            start = None
    if start is not None:
        runs.append(data[start:])
    return runs


def _trailing_whitespace(tokens: Sequence[int], vocabulary: Any, enough: int) -> int:
    total = 0
    for token_id in reversed(tokens):
        data = vocabulary.token_bytes(token_id) or b""
        stripped = data.rstrip(_WHITESPACE)
        total += len(data) - len(stripped)
        if stripped or total > enough:
            break
    return total
