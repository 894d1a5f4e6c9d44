"""One module an engine, all of the same shape.

REQUIREMENTS                     what `uv pip install` is given
FRESH                            whether every repeat gets a new vocabulary object, because the engine keeps masks in it
load(tokenizer) -> vocabulary    tokenizer: a `Tokenizer`
compile(vocabulary, pattern)     -> compiled; raises if the engine cannot read the pattern
start(compiled) -> Text          one text being written
compile_json_schema(vocabulary, schema)   the same of the text of a JSON Schema; for engines that read it
batch(vocabulary, compileds)     -> one call that fills a row for each, and one `advance` for each

The row that masks are written to is made by `load`: a program has one for good.
`fill` and `advance` are timed as they are: they do what the engine's documentation tells its users to do, and no more.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class Tokenizer(NamedTuple):
    """What every engine is given."""

    tokens: list[bytes | None]
    """Bytes by id; None for a token that is never text."""
    eos: int
    split: str
    """The pattern by which the tokenizer splits text before it merges bytes."""


class Text(NamedTuple):
    """One text being written."""

    fill: Callable[[], Any]
    """Makes the next mask, in the engine's own form."""
    advance: Callable[[int], Any]
    """Takes a token."""
    packed: Callable[[Any], np.ndarray]
    """What `fill` returned, as uint32 words: bit i % 32 of word i // 32 for token i. Not timed."""


def packed_ids(size: int, ids: Any) -> np.ndarray:
    """Token ids as uint32 words."""
    bits = np.zeros((size + 31) // 32 * 32, dtype=bool)
    bits[np.fromiter(ids, dtype=np.int64)] = True
    return np.packbits(bits, bitorder="little").view(np.uint32)
