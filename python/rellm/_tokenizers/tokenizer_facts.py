"""`Reading`: the facts about a tokenizer that the reader of its library finds."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

Tokens: TypeAlias = list[bytes | None]


@dataclass(frozen=True, slots=True)
class Reading:
    """The facts that a vocabulary is made from. All but `state` and `eos_token_ids` are read only when needed."""

    state: Hashable
    """Cheap to compute; it changes whenever the tokenizer is changed."""
    eos_token_ids: list[int]
    """The ids that end a text, as far as the tokenizer knows."""
    content: Callable[[], Iterable[bytes]]
    """All bytes that determine the tokens: the vocabulary's file name on disk is a hash of them."""
    tokens: Callable[[], Tokens]
    """The bytes of each id; None for special ones and gaps."""
    special: Callable[[], dict[str, int]]
    """The ids of special tokens by their content."""
    name: Callable[[int], str]
    """A token as the library writes it, for messages."""
    encode: Callable[[str], list[int]]
    decode: Callable[[list[int]], str]
