"""The original ReLLM, 0.0.5: `ReTokenFilter.filter_tokens`, every token tested by partial matching at every step."""

from functools import partial

import regex
import rellm

from engines import Text, packed_ids

REQUIREMENTS = ["rellm==0.0.5", "numpy<2"]
FRESH = False


class _Tokenizer:
    """The two methods that `ReTokenFilter` calls."""

    def __init__(self, tokens):
        self._texts = [None if t is None else t.decode("utf-8", "replace") for t in tokens]

    def get_vocab(self):
        return {str(i): i for i, text in enumerate(self._texts) if text}

    def decode(self, token_id):
        return self._texts[token_id]


def load(tokenizer):
    return rellm.ReTokenFilter(_Tokenizer(tokenizer.tokens)), tokenizer.tokens


def compile(vocabulary, pattern):
    regex.purge()
    return vocabulary, regex.compile(pattern)


def start(compiled):
    (token_filter, tokens), pattern = compiled
    text = [b""]

    def advance(token_id):
        text[0] += tokens[token_id]

    return Text(
        lambda: token_filter.filter_tokens(text[0].decode("utf-8", "replace"), [pattern]),
        advance,
        partial(packed_ids, len(tokens)),
    )
