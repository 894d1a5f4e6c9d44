"""rellm, this checkout: `rellm.compile`, `matcher`, `fill_mask`, `advance`."""

from functools import partial

import numpy as np
import rellm

from engines import Text

REQUIREMENTS = ["numpy", "regex"]
FRESH = True


def load(tokenizer):
    tokens, eos, _ = tokenizer
    return rellm.Vocabulary(tokens, eos_token_ids=[eos])


def compile(vocabulary, pattern):
    return rellm.compile(rellm.Regex(pattern, dialect="regex"), vocabulary)


def start(compiled):
    matcher = compiled.matcher()
    row = np.zeros((len(compiled.vocabulary) + 31) // 32, dtype=np.uint32)
    return Text(partial(matcher.fill_mask, row), matcher.advance, lambda _: row)
