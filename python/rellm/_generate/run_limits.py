"""Optional bounds against runaway text: the longest run of whitespace, the longest repetition of one token.

They remove tokens from a mask, but never the last ones: where the constraint allows no other token, it wins.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Self
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from rellm._generate.apply_mask import Packed


@dataclass(frozen=True)
class RunLimits:
    """Limits on runs of whitespace and on repeated tokens; None: no limit.

    Attributes:
        max_whitespace: the longest run of whitespace, in characters for which `str.isspace` is true, such as no-break
            and ideographic spaces.
        max_repetition: how many times in a row one token may be written.
        share_budget: in JSON, no string and no list takes more than 64 tokens, or half of what is left when it begins,
            while others still have to be written.
    """

    max_whitespace: int | None = None
    max_repetition: int | None = None
    share_budget: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.share_budget, bool):
            raise TypeError(f"share_budget is True or False, not {self.share_budget!r}")
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
        """The limits from one `RunLimits` argument, or from two numbers."""
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
        """Remove from the packed `row`, in place, the tokens that would make a run too long after `tokens`."""
        refused = np.zeros_like(row)
        if self.max_repetition is not None and len(tokens) >= self.max_repetition:
            last = tokens[-1]
            if all(token_id == last for token_id in tokens[-self.max_repetition :]):
                refused[last >> 5] |= np.uint32(1 << (last & 31))
        if self.max_whitespace is not None:
            spaces = _spaces_of(vocabulary)
            written, begun = _trailing_whitespace(tokens, vocabulary, self.max_whitespace)
            most = self.max_whitespace
            too_long = (spaces.longest > most) | ((spaces.leading > 0) & (spaces.leading + written > most))
            for token_id in spaces.within if begun else ():  # they complete a character that an earlier token has begun
                text = _text(begun + (vocabulary.token_bytes(token_id) or b""))[0]
                leading, longest = _runs_of(text)
                too_long[token_id] = longest > most or (leading > 0 and leading + written > most)
            bits = np.packbits(too_long, bitorder="little")
            words = np.zeros(len(row) * 4, dtype=np.uint8)
            words[: min(len(bits), len(words))] = bits[: len(words)]
            refused |= words.view(np.uint32)
        kept = row & ~refused
        if kept.any():
            row[:] = kept


@dataclass(frozen=True)
class _Spaces:
    """For each token id: the number of leading whitespace characters, and the longest run of them."""

    leading: npt.NDArray[np.int32]
    longest: npt.NDArray[np.int32]
    within: tuple[int, ...]  # the tokens that begin inside a character


_spaces: WeakKeyDictionary[Any, _Spaces] = WeakKeyDictionary()


def _spaces_of(vocabulary: Any) -> _Spaces:
    known = _spaces.get(vocabulary)
    if known is not None:
        return known
    size = len(vocabulary)
    leading = np.zeros(size, dtype=np.int32)
    longest = np.zeros(size, dtype=np.int32)
    within = []
    for token_id in range(size):
        data = vocabulary.token_bytes(token_id)
        if data and not data.isalnum():
            if data[0] & 0xC0 == 0x80:
                within.append(token_id)
            leading[token_id], longest[token_id] = _runs_of(_text(data)[0])
    return _spaces.setdefault(vocabulary, _Spaces(leading, longest, tuple(within)))


def _text(data: bytes) -> tuple[str, bytes]:
    """The whole characters of `data`, and the bytes of an incomplete character at its end."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    return decoder.decode(data), decoder.getstate()[0]


def _runs_of(text: str) -> tuple[int, int]:
    """How many whitespace characters `text` begins with, and its longest run of them."""
    runs = [len(list(run)) if is_space else 0 for is_space, run in groupby(text, str.isspace)]
    return (runs[0] if runs else 0), max(runs, default=0)


def _trailing_whitespace(tokens: Sequence[int], vocabulary: Any, enough: int) -> tuple[int, bytes]:
    """The number of trailing whitespace characters, and the bytes of an incomplete character after them."""
    data, text, begun = b"", "", b""
    for token_id in reversed(tokens):
        data = (vocabulary.token_bytes(token_id) or b"") + data
        text, begun = _text(data)
        whole = text.lstrip("\ufffd") if data and data[0] & 0xC0 == 0x80 else text
        if whole.strip() or len(text) > enough:
            break
    return len(text) - len(text.rstrip()), begun
