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
    rellm.compile(rellm.JsonSchema({"type": "string", "pattern": "^qz$"}), vocabulary)
    return vocabulary, row


def compile(vocabulary, pattern):
    tokens, row = vocabulary
    return rellm.compile(rellm.Regex(pattern, dialect=DIALECT), tokens), row


def start(compiled):
    constraint, row = compiled
    matcher = constraint.matcher()
    return Text(partial(matcher.fill_mask, row), matcher.advance, lambda _: row)


def compile_json_schema(vocabulary, schema):
    tokens, row = vocabulary
    engine._cache.clear()
    return rellm.compile(rellm.JsonSchema(schema, on_unsupported="report"), tokens), row


def memory(compiled):
    """Bytes that a compiled constraint holds by its own account."""
    return compiled[0].memory_bytes


def batch(vocabulary, compileds):
    matchers = [constraint.matcher() for constraint, _ in compileds]
    rows = np.zeros((len(matchers), len(vocabulary[1])), dtype=np.uint32)
    return partial(rellm.fill_masks, matchers, rows), [matcher.advance for matcher in matchers]
