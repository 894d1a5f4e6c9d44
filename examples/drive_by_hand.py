"""Drives a model by hand, with numpy alone: the mask takes away the scores of all tokens that lead to no match.

    python examples/drive_by_hand.py

The "model" here knows nothing: its scores are random numbers. What it writes is a date all the same.
"""

import numpy as np
import rellm

TOKENS = [*(bytes([byte]) for byte in range(32, 127)), b"19", b"20", b"-0", b"the ", None]
VOCABULARY = rellm.Vocabulary(TOKENS, eos_token_ids=[len(TOKENS) - 1])


def scores(tokens: list[int], chance: np.random.Generator) -> np.ndarray:
    """One score for each token of the vocabulary; a language model would look at the tokens so far."""
    return chance.normal(size=len(VOCABULARY))


def write(matcher: rellm.Matcher, seed: int) -> list[int]:
    chance = np.random.default_rng(seed)
    tokens: list[int] = []
    while not matcher.is_finished:
        bits = np.unpackbits(matcher.mask().view(np.uint8), bitorder="little")[: len(VOCABULARY)]
        allowed = np.where(bits, scores(tokens, chance), -np.inf)
        tokens.append(int(allowed.argmax()))
        matcher.advance(tokens[-1])
    return tokens


if __name__ == "__main__":
    compiled = rellm.compile(r"(19|20)\d\d-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])", VOCABULARY)
    for seed in range(3):
        matcher = compiled.matcher()
        print(write(matcher, seed), matcher.text.decode())
    rejection = compiled.matcher().explain(TOKENS.index(b"the "))
    assert rejection is not None
    print(rejection.message)
