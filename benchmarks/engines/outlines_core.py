"""outlines-core: an `Index` built ahead for every state, walked by a `Guide`, masks by `write_mask_into`."""

from functools import partial

import numpy as np
from outlines_core import Guide, Index, Vocabulary

from engines import Text

REQUIREMENTS = ["outlines-core", "numpy"]
FRESH = False


def load(tokenizer):
    tokens, eos, _ = tokenizer
    ids = {}
    for i, token in enumerate(tokens):
        if token:
            ids.setdefault(token, []).append(i)
    return Vocabulary(eos, ids), np.zeros((len(tokens) + 31) // 32, dtype=np.uint32)


def compile(vocabulary, pattern):
    tokens, row = vocabulary
    return Index(pattern, tokens), row


def start(compiled):
    index, row = compiled
    guide = Guide(index)
    fill = partial(guide.write_mask_into, row.ctypes.data, row.size, row.itemsize)
    return Text(fill, partial(guide.advance, return_tokens=False), lambda _: row)
