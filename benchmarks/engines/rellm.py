"""rellm, this checkout: `rellm.compile`, `matcher`, `fill_mask`, `advance`."""

from functools import partial

import numpy as np
import rellm
from rellm._engines import compile as engine

from engines import Text

REQUIREMENTS = ["numpy", "regex"]
FRESH = True
DIALECT = "regex"


def load(tokenizer):
    tokens, eos, _ = tokenizer
    # A compiled constraint is kept for the next vocabulary of equal content: not here.
    engine._cache.clear()
    vocabulary = rellm.Vocabulary(tokens, eos_token_ids=[eos])
    row = np.zeros((len(tokens) + 31) // 32, dtype=np.uint32)
    # The other engines have run this code before, on the patterns of earlier cells; so let it be loaded here, too.
    matcher = rellm.compile(rellm.Regex("qz", dialect=DIALECT), vocabulary).matcher()
    matcher.fill_mask(row)
    return vocabulary, row


def compile(vocabulary, pattern):
    tokens, row = vocabulary
    return rellm.compile(rellm.Regex(pattern, dialect=DIALECT), tokens), row


def start(compiled):
    constraint, row = compiled
    matcher = constraint.matcher()
    return Text(partial(matcher.fill_mask, row), matcher.advance, lambda _: row)
