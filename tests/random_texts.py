"""Random texts of a constraint, token by token, as a model with random scores would write them."""

from __future__ import annotations

import random
from typing import Any

import numpy as np


def random_tokens(compiled: Any, rng: random.Random, most: int, eager: float = 0.1) -> Any:
    """A matcher that has written a random text to its end.

    Args:
        compiled: the compiled constraint.
        rng: what chooses.
        most: after so many tokens the text is closed on the shortest way.
        eager: how often the text is ended where it may.
    """
    matcher = compiled.matcher()
    eos = set(compiled.vocabulary.eos_token_ids)
    for _ in range(most):
        if matcher.is_finished or (matcher.is_accepting and rng.random() < eager):
            return matcher
        bits = np.unpackbits(matcher.mask().view(np.uint8), bitorder="little")
        allowed = [token for token in np.flatnonzero(bits).tolist() if token not in eos]
        if not allowed:
            return matcher
        # Printable characters come more often than bytes of others: a text of single bytes is mostly the latter.
        plain = [token for token in allowed if 32 <= token < 127]
        matcher.advance(rng.choice(plain if plain and rng.random() < 0.9 else allowed))
    for token in matcher.shortest_completion_tokens():
        if token not in eos:
            matcher.advance(token)
    assert matcher.is_accepting
    return matcher
