"""What the file of a library tells about a tokenizer."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

Tokens: TypeAlias = list[bytes | None]


@dataclass(frozen=True, slots=True)
class Reading:
    """A tokenizer, as its vocabulary is made from it. All but `state` and `eos_token_ids` is asked only when needed."""

    state: Hashable
    """Cheap, and another one after the tokenizer was changed."""
    eos_token_ids: list[int]
    """What ends a text, as far as the tokenizer knows."""
    content: Callable[[], Iterable[bytes]]
    """Everything that the tokens follow from: the name of the vocabulary on disk is a hash of it."""
    tokens: Callable[[], Tokens]
    """The bytes of each id; None for special ones and gaps."""
    special: Callable[[], dict[str, int]]
    """The ids of special tokens by their content."""
    name: Callable[[int], str]
    """A token as the library writes it, for messages."""
    encode: Callable[[str], list[int]]
    decode: Callable[[list[int]], str]
