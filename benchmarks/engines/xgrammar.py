"""xgrammar: `GrammarCompiler.compile_regex` without its cache, masks by `fill_next_token_bitmask`."""

from functools import partial

import numpy as np
import xgrammar

from engines import Text

REQUIREMENTS = ["xgrammar", "numpy"]
FRESH = False


def load(tokenizer):
    tokens, eos, _ = tokenizer
    # An empty token is a special one to xgrammar.
    info = xgrammar.TokenizerInfo(
        [t or b"" for t in tokens], xgrammar.VocabType.RAW, vocab_size=len(tokens), stop_token_ids=[eos]
    )
    return xgrammar.GrammarCompiler(info, cache_enabled=False), xgrammar.allocate_token_bitmask(1, len(tokens))


def compile(vocabulary, pattern):
    compiler, row = vocabulary
    return compiler.compile_regex(pattern), row


def start(compiled):
    grammar, row = compiled
    matcher = xgrammar.GrammarMatcher(grammar)

    def packed(needed):
        # Not needed: every token is allowed, and the row is to be taken as all ones.
        words = row[0].numpy().view(np.uint32)
        return words if needed else np.full_like(words, 0xFFFFFFFF)

    return Text(partial(matcher.fill_next_token_bitmask, row), matcher.accept_token, packed)


def compile_json_schema(vocabulary, schema):
    compiler, row = vocabulary
    # As the specification has it: open objects, any white space.
    return compiler.compile_json_schema(schema, any_whitespace=True, strict_mode=False), row


def batch(vocabulary, compileds):
    matchers = [xgrammar.GrammarMatcher(grammar) for grammar, _ in compileds]
    rows = xgrammar.allocate_token_bitmask(len(matchers), vocabulary[1].shape[1] * 32)
    filler = xgrammar.BatchGrammarMatcher()
    return partial(filler.batch_fill_next_token_bitmask, matchers, rows), [m.accept_token for m in matchers]
