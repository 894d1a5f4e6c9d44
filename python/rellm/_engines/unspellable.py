"""Explains why a vocabulary cannot spell any match: its tokens may begin words with a space."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rellm._constraints import Constraint, Literal
from rellm._errors import RellmError, UnsatisfiableError
from rellm._vocabulary import Vocabulary


def explained(
    error: UnsatisfiableError, constraint: Constraint, vocabulary: Vocabulary, compile: Callable[[Constraint], Any]
) -> UnsatisfiableError:
    """Returns the same error; it names the remedy where a leading space would make a match possible.

    Args:
        error: the error that the compiler raised.
        constraint: the constraint that no tokens can spell.
        vocabulary: the vocabulary.
        compile: compiles another constraint for it; raises where that has no text either.
    """
    tokens = [token for token in map(vocabulary.token_bytes, range(len(vocabulary))) if token]
    begins_with_space = bool(tokens) and all(token.startswith(b" ") for token in tokens)
    try:
        compile(Literal(" ") + constraint)
    except RellmError:
        if not begins_with_space:
            return error
        return UnsatisfiableError(
            f"{error}. Every token of this vocabulary that is text begins with a space, so that no text without one "
            "can be written"
        )
    why = "all tokens that are text begin with a space" if begins_with_space else "its tokens begin words with a space"
    return UnsatisfiableError(
        "texts match, but this vocabulary's tokens spell them with a space in front only "
        f'({why}, as SentencePiece has it): write the space, rellm.Literal(" ") + {constraint!r:.80}, or allow it, '
        'rellm.Literal(" ").optional() + …'
    )
