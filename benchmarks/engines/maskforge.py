"""maskforge: a `Compiler` without its cache, a `Session` a text, masks by `write_mask`. It reads JSON Schema only."""

from functools import partial

import maskforge
import numpy as np

from engines import Text

REQUIREMENTS = ["maskforge", "numpy"]
FRESH = False


def load(tokenizer):
    tokens, eos, _ = tokenizer
    vocabulary = maskforge.Vocabulary.from_id_ordered_tokens(tokens, eos_token_id=eos)
    return vocabulary, bytearray((len(tokens) + 31) // 32 * 4)


def compile(vocabulary, pattern):
    raise NotImplementedError("maskforge reads JSON Schema only")


def compile_json_schema(vocabulary, schema):
    tokens, row = vocabulary
    return maskforge.Compiler.without_cache().compile(schema).bind(tokens), row


def start(compiled):
    bound, row = compiled
    session = bound.start_session()
    return Text(partial(session.write_mask, row), session.advance, lambda _: np.frombuffer(row, dtype=np.uint32))


def batch(vocabulary, compileds):
    sessions = [bound.start_session() for bound, _ in compileds]
    rows = [bytearray(len(vocabulary[1])) for _ in sessions]

    def fill():
        for session, row in zip(sessions, rows, strict=True):
            session.write_mask(row)

    return fill, [session.advance for session in sessions]
