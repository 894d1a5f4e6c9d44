"""glrmask: a grammar of one regular terminal followed by the end token, compiled by its default strategy."""

from functools import partial

import glrmask
import numpy as np

from engines import Text

REQUIREMENTS = ["glrmask", "numpy"]
FRESH = False


def load(tokenizer):
    tokens, eos, _ = tokenizer
    vocabulary = glrmask.Vocab.from_id_to_bytes({i: t for i, t in enumerate(tokens) if t})
    return vocabulary, np.zeros((len(tokens) + 31) // 32, dtype=np.int32), glrmask.TokenSet([eos])


def compile(vocabulary, pattern):
    tokens, row, end = vocabulary
    grammar = glrmask.Grammar.from_lark("start: /" + pattern.replace("/", r"\/") + "/")
    grammar = glrmask.Grammar.from_expr(glrmask.Expr.sequence(grammar, end))
    constraint = grammar.compile(tokens)
    return constraint, row


def start(compiled):
    constraint, row = compiled
    state = constraint.start()
    return Text(partial(state.fill_mask, row), state.commit_token, lambda _: row.view(np.uint32))


def compile_json_schema(vocabulary, schema):
    tokens, row, end = vocabulary
    grammar = glrmask.Grammar.from_expr(glrmask.Expr.sequence(glrmask.Grammar.from_json_schema(schema), end))
    return grammar.compile(tokens), row


def batch(vocabulary, compileds):
    states = [constraint.start() for constraint, _ in compileds]
    rows = np.zeros((len(states), len(vocabulary[1])), dtype=np.int32)

    def fill():
        for state, row in zip(states, rows, strict=True):
            state.fill_mask(row)

    return fill, [state.commit_token for state in states]
