"""llguidance: `LLMatcher` over a grammar made by `grammar_from_regex`, masks by `fill_next_token_bitmask`."""

from functools import partial

import llguidance
import llguidance.numpy
import numpy as np
import tiktoken

from engines import Text

REQUIREMENTS = ["llguidance", "tiktoken", "numpy"]
FRESH = False


class _Tokenizer:
    bos_token_id = None

    def __init__(self, tokens, eos, split):
        self.eos_token_id = eos
        self.tokens = [b"<special_%d>" % i if t is None else t for i, t in enumerate(tokens)]
        self.special_token_ids = [i for i, t in enumerate(tokens) if t is None]
        ranks = {t: i for i, t in enumerate(tokens) if t}
        self._encoding = tiktoken.Encoding("tekken", pat_str=split, mergeable_ranks=ranks, special_tokens={})

    def __call__(self, text):
        # It is asked for the tokens of forced text.
        return self._encoding.encode_ordinary(text if isinstance(text, str) else text.decode())


def load(tokenizer):
    size = len(tokenizer.tokens)
    wrapper = llguidance.TokenizerWrapper(_Tokenizer(*tokenizer))
    row = llguidance.numpy.allocate_token_bitmask(1, size)
    return llguidance.LLTokenizer(wrapper, n_vocab=size), row


def compile(vocabulary, pattern):
    tokenizer, row = vocabulary
    matcher = llguidance.LLMatcher(tokenizer, llguidance.LLMatcher.grammar_from_regex(pattern))
    if matcher.is_error():
        raise ValueError(matcher.get_error())
    return [matcher, matcher], row


def start(compiled):
    matchers, row = compiled
    if len(matchers) == 2:
        matcher = matchers.pop()  # the first text needs no copy
    else:
        matcher = matchers[0].deep_copy()
        matcher.reset()
    fill = partial(llguidance.numpy.fill_next_token_bitmask, matcher, row, 0)
    return Text(fill, matcher.consume_token, lambda _: row[0].view(np.uint32))


def compile_json_schema(vocabulary, schema):
    tokenizer, row = vocabulary
    matcher = llguidance.LLMatcher(tokenizer, llguidance.LLMatcher.grammar_from_json_schema(schema))
    if matcher.is_error():
        raise ValueError(matcher.get_error())
    return [matcher, matcher], row


def batch(vocabulary, compileds):
    executor = llguidance.LLExecutor()
    matchers = [(matchers[0], index) for index, (matchers, _) in enumerate(compileds)]
    rows = llguidance.numpy.allocate_token_bitmask(len(matchers), vocabulary[0].vocab_size)
    fill = partial(llguidance.numpy.fill_next_token_bitmask_par, executor, matchers, rows)
    return fill, [matcher.consume_token for matcher, _ in matchers]
