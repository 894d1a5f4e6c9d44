"""Constraints compiled for the tokens that a model can write: its logits may be narrower than its vocabulary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rellm._engines.compile import CompiledConstraint
from rellm._engines.compile import compile as compile_constraint
from rellm._vocabulary import Vocabulary


class CompiledForWidth:
    """Compiled constraints, also for models whose logits are narrower than the vocabulary.

    Args:
        constraints: constraints in any form that a user may pass; None for no constraint.
        vocabulary: the vocabulary of all of them.
    """

    def __init__(self, constraints: Sequence[Any], vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self.compiled = [compiled_over(one, vocabulary) for one in constraints]
        self._narrower: dict[int, list[CompiledConstraint | None]] = {}  # by the model's width

    def __len__(self) -> int:
        return len(self.compiled)

    def at(self, width: int) -> list[CompiledConstraint | None]:
        """The constraints for a model of `width` logits."""
        vocabulary = self.vocabulary
        if width >= len(vocabulary):
            return self.compiled
        if width not in self._narrower:
            tokens = [vocabulary.token_bytes(i) for i in range(len(vocabulary))]
            narrower = self.compiled
            if any(tokens[width:]):
                special = {name: i for name, i in vocabulary.special_tokens.items() if i < width}
                ends = [i for i in vocabulary.eos_token_ids if i < width]
                narrow = Vocabulary(tokens[:width], ends, special_tokens=special)
                narrower = [compiled_over(one, narrow) for one in self.compiled]
            self._narrower[width] = narrower
        return self._narrower[width]


def compiled_over(constraint: Any, vocabulary: Vocabulary) -> CompiledConstraint | None:
    """`constraint` compiled for `vocabulary`, with its own limits if it was compiled before; None stays None."""
    if constraint is None:
        return None
    return compile_constraint(constraint, vocabulary, getattr(constraint, "limits", None))
