"""lm-format-enforcer: a `RegexParser` in a `TokenEnforcer`, allowed tokens as the list that it gives by default."""

from functools import partial

from lmformatenforcer import RegexParser, TokenEnforcer
from lmformatenforcer.tokenenforcer import TokenEnforcerTokenizerData

from engines import Text, packed_ids

REQUIREMENTS = ["lm-format-enforcer", "numpy"]
FRESH = False


def load(tokenizer):
    tokens, eos, _ = tokenizer
    texts = [(i, t.decode("utf-8", "replace")) for i, t in enumerate(tokens) if t]
    regular = [(i, text, text.startswith(" ")) for i, text in texts]

    def decode(ids):
        return b"".join(tokens[i] or b"" for i in ids).decode("utf-8", "replace")

    return TokenEnforcerTokenizerData(regular, decode, eos, False, len(tokens))


def compile(vocabulary, pattern):
    return TokenEnforcer(vocabulary, RegexParser(pattern))


def start(compiled):
    written = []
    return Text(
        partial(compiled.get_allowed_tokens, written),
        written.append,
        lambda allowed: packed_ids(compiled.vocab_size, allowed.allowed_tokens),
    )
