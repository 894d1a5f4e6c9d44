"""What `Generator` returns: the text, and what can be said about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

FinishReason = Literal["complete", "stop", "length"]


@dataclass(frozen=True)
class Completion:
    """One text that a model wrote.

    Attributes:
        text: all that was written, without the end-of-sequence token and without the stop string; never the prompt.
        bytes: the same in UTF-8; where a text was cut off inside a character, `text` has U+FFFD for what is left of it.
        token_ids: the tokens that were written; with a stop string, those that lie wholly before it.
        finish_reason: "complete" (an end-of-sequence token, or nothing can follow), "stop" (a stop string, the first
            match with `stop_after_match=True`, or a stopping criterion of the caller's), or "length".
        is_complete: the text before any cut matches in full. Without a constraint: it was not cut off by the budget.
        constraint: what it was written under, or None.
        uncut: the text before the cut at a stop string.
        forward_passes: how often the model was asked; None where `generate` itself ran the loop.
        trace: what the constraint did, if it was asked for.
    """

    text: str
    bytes: bytes
    token_ids: tuple[int, ...]
    finish_reason: FinishReason
    is_complete: bool
    constraint: Any = field(default=None, repr=False)
    uncut: str = field(default="", repr=False)
    forward_passes: int | None = field(default=None, repr=False, compare=False)
    trace: Any = field(default=None, repr=False, compare=False)

    @property
    def match(self) -> Any:
        """The `re.Match` or `regex.Match` of the text before any cut; None if it does not match, or if the constraint
        is not a pattern."""
        if not self.is_complete or self.constraint is None:
            return None
        pattern = getattr(self.constraint, "library_pattern", None)
        return None if pattern is None else pattern.fullmatch(self.uncut)

    def __str__(self) -> str:
        return self.text
