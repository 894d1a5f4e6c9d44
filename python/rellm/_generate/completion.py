"""`Completion`, the result of a `Generator`: the text, its value, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Literal

from rellm._constraints.pieces import Pieces
from rellm._errors import IncompleteError, ValueRejectedError
from rellm._generate.typed_results import Default, Value

if TYPE_CHECKING:
    import re

    from rellm._constraints.base import Constraint
    from rellm._trace.trace import Trace

FinishReason = Literal["complete", "stop", "length"]


@dataclass(frozen=True)
class Completion(Generic[Value]):
    """One text that a model wrote. `Completion[int]` says that its value is an `int`.

    Attributes:
        text: the written text, without the end-of-sequence token and without the stop string; never the prompt.
        bytes: the same in UTF-8; if a text was cut off inside a character, `text` has U+FFFD for its incomplete bytes.
        token_ids: the tokens that were written; with a stop string, those that lie wholly before it.
        finish_reason: "complete" (an end-of-sequence token, nothing can follow, or the first match with
            `stop_after_match=True`), "stop" (a stop string, or a stopping criterion of the caller's), or "length".
        is_complete: the text before any cut matches in full. Without a constraint: it was not cut off by the budget.
        constraint: the constraint that it was written under, or None.
        uncut: the text before the cut at a stop string.
        forward_passes: the number of forward passes; None where `generate` itself ran the loop.
        trace: the trace of the constraint's effect, if you asked for one.
        pieces: the text before any cut, with its special tokens and marked parts: the source of `value`.
        was_steered: whether the budget removed tokens that the constraint alone would have allowed.
    """

    text: str
    bytes: bytes
    token_ids: tuple[int, ...]
    finish_reason: FinishReason
    is_complete: bool
    constraint: Constraint | None = field(default=None, repr=False)
    uncut: str = field(default="", repr=False)
    forward_passes: int | None = field(default=None, repr=False, compare=False)
    trace: Trace | None = field(default=None, repr=False, compare=False)
    pieces: Pieces = field(default=Pieces(b""), repr=False, compare=False)
    was_steered: bool = field(default=False, repr=False, compare=False)

    @property
    def value(self) -> Value:
        """The value of the text, parsed by the constraint: the text of a pattern, a dict of named parts, an object.

        Without a constraint, the text.

        Raises:
            IncompleteError: the text was cut off before it matched.
            ValueRejectedError: it matches, and the type that was asked for refuses it.
        """
        if self.constraint is None:
            text: Any = self.text
            return text  # type: ignore[no-any-return]
        if not self.is_complete:
            raise IncompleteError(
                f"the text {self.text!r} was cut off before it matched, so that it has no value: "
                "raise max_new_tokens, or ask value_or(None)",
                text=self.text,
            )
        try:
            return self.constraint.parse(self.pieces)  # type: ignore[no-any-return]
        except ValueRejectedError:
            raise
        except ValueError as error:
            raise ValueRejectedError(f"the text {self.text!r} has no value: {error}", text=self.text) from error

    def value_or(self, default: Default) -> Value | Default:
        """The value, or `default` where there is none."""
        try:
            return self.value
        except (IncompleteError, ValueRejectedError):
            return default

    @property
    def reasoning(self) -> str:
        """The model's thinking before the answer; "" if there is none."""
        read = getattr(self.constraint, "reasoning_of", None)
        return "" if read is None else str(read(self.pieces))

    @property
    def match(self) -> re.Match[str] | None:
        """The `re.Match` or `regex.Match` of the text before any cut; None if it does not match, or if the constraint
        is not a pattern."""
        if not self.is_complete or self.constraint is None:
            return None
        pattern: Any = getattr(self.constraint, "library_pattern", None)
        return None if pattern is None else pattern.fullmatch(self.uncut)

    @property
    def value_probabilities(self) -> dict[str, float]:
        """How sure the model was of each string, number and literal of a JSON text, by JSON pointer.

        See `Trace.value_probabilities`.

        Raises:
            ValueError: the completion has no trace.
        """
        if self.trace is None:
            raise ValueError("value_probabilities are read from the trace: pass trace=True to the generator")
        return self.trace.value_probabilities

    def __str__(self) -> str:
        return self.text
