"""Thinking before an answer: free text up to a marker, then the answer's constraint."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Final

from rellm._constraints import expression
from rellm._constraints.base import Constraint, constraint_from_data, kind_of
from rellm._constraints.choice import Choice, Literal
from rellm._constraints.combine import Maybe, Sequence, marked_pieces
from rellm._constraints.conversion import as_part
from rellm._constraints.expression import ExpressionContext, Fragment
from rellm._constraints.free_text import FreeText
from rellm._constraints.pieces import Pieces
from rellm._errors import PatternError

# The texts between thinking and an answer.
_GAPS: Final = ("", "\n", "\n\n")


@dataclass(frozen=True, slots=True)
class ThinkingMarkers:
    """The markers around the thinking of a family of models, and around its answers.

    Attributes:
        opens: the texts that begin the thinking, in parts: each special token is a part of its own.
        closes: the text that ends it.
        behind: the texts between the end and an answer, in parts.
        before_answer, after_answer: the texts around an answer that is not a tool call, in parts.
    """

    opens: tuple[str, ...]
    closes: str
    behind: tuple[str, ...] = ()
    before_answer: tuple[str, ...] = ()
    after_answer: tuple[str, ...] = ()


MARKERS: Final = (
    ThinkingMarkers(("<think>",), "</think>"),
    ThinkingMarkers(("[THINK]",), "[/THINK]"),
    ThinkingMarkers(
        ("<|channel|>", "analysis", "<|message|>"),
        "<|end|>",
        ("<|start|>", "assistant"),
        ("<|channel|>", "final", "<|message|>"),
    ),
    ThinkingMarkers(("<|START_THINKING|>",), "<|END_THINKING|>", (), ("<|START_RESPONSE|>",), ("<|END_RESPONSE|>",)),
    ThinkingMarkers(("<|channel>", "thought\n"), "<channel|>"),
    ThinkingMarkers(("<seed:think>",), "</seed:think>"),
)


class Thinking(Sequence):
    """Free thinking up to its end marker, and then an answer. The value is that of the answer.

    Args:
        answer: the constraint of the answer.
        markers: the markers of the thinking; by default `<think>` and `</think>`.
        state: "open": the prompt has begun the thinking; "asked": the text begins it; "possible": the model may begin
            it; "closed": the thinking that the prompt has begun ends at once.
        max_tokens: the thinking ends within so many tokens, its markers included; None: within the call's budget.

    Raises:
        PatternError: `max_tokens` is less than 1, or the state is none of these.
        TypeError: something is of another type.
    """

    __slots__ = ("answer", "markers", "max_tokens", "state")

    kind: ClassVar[str] = "thinking"

    answer: Constraint
    markers: ThinkingMarkers
    state: str
    max_tokens: int | None

    def __init__(
        self,
        answer: Any,
        markers: ThinkingMarkers = MARKERS[0],
        state: str = "open",
        max_tokens: int | None = None,
    ) -> None:
        if state not in ("open", "asked", "possible", "closed"):
            raise PatternError(f'state is "open", "asked", "possible" or "closed", not {kind_of(state)}')
        set_field = object.__setattr__
        set_field(self, "answer", as_part(answer, "the answer of Thinking"))
        set_field(self, "markers", markers)
        set_field(self, "state", state)
        set_field(self, "max_tokens", max_tokens)
        closing = FreeText(until=markers.closes) if state != "closed" else Literal(markers.closes)
        opening = [] if state in ("open", "closed") else [*markers.opens]
        thought: Constraint = Sequence(*opening, closing, *markers.behind)
        if max_tokens is not None and state != "closed":
            thought = thought.within(max_tokens)
        if state == "possible":
            thought = Maybe(thought)
        super().__init__(thought, Choice(_GAPS), *self._answer())

    def _answer(self) -> list[Any]:
        """The answer with the markers around it; tool calls have their own."""
        if self.answer.kind == "tool_calls":
            return ["", self.answer, ""]
        before, after = self.markers.before_answer, self.markers.after_answer
        return [Sequence(*before) if before else "", self.answer, Sequence(*after) if after else ""]

    def to_expression(self, context: ExpressionContext) -> Fragment:
        thought, gap, before, answer, after = self.parts
        return expression.sequence(
            [
                context.marked("thought", partial(context.unmarked, partial(thought.to_expression, context))),
                context.unmarked(partial(gap.to_expression, context)),
                context.unmarked(partial(before.to_expression, context)),
                context.marked("answer", partial(answer.to_expression, context)),
                context.unmarked(partial(after.to_expression, context)),
            ]
        )

    def parse(self, pieces: Any) -> Any:
        """The value of the answer."""
        return self.answer.parse(self.answer_pieces(pieces))

    def answer_pieces(self, pieces: Any) -> Pieces:
        """The pieces of the answer."""
        written = self._marked(pieces).labelled("answer")
        return written[0] if written else Pieces(b"", is_marked=True)

    def reasoning_of(self, pieces: Any) -> str:
        """The text of the thinking, without its markers and the white space around it; unfinished thinking as far as it
        is written."""
        written = Pieces.of(pieces)
        parts = written.labelled("thought")
        data = parts[0].data if parts else written.data
        specials = parts[0].specials if parts else written.specials
        text = data.decode(errors="ignore")
        if self.state == "closed" or (self.state == "possible" and not data and not specials):
            return ""
        opening = "".join(self.markers.opens)
        if self.state != "open":
            # Special tokens are not in the text, so only the other parts of the markers are removed.
            spelled = [opening, "".join(part for part in self.markers.opens if not part.startswith("<"))]
            text = next((text[len(head) :] for head in spelled if head and text.startswith(head)), text)
        for tail in ("".join([self.markers.closes, *self.markers.behind]), self.markers.closes, *self.markers.behind):
            text = text.removesuffix(tail)
        return text.strip()

    def _marked(self, pieces: Any) -> Pieces:
        written = Pieces.of(pieces)
        return written if written.is_marked else marked_pieces(self, written)

    def _to_data(self) -> dict[str, Any]:
        return {
            "answer": self.answer.to_data(),
            "markers": MARKERS.index(self.markers),
            "state": self.state,
            "max_tokens": self.max_tokens,
        }

    @classmethod
    def _from_data(cls, data: dict[str, Any]) -> Thinking:
        return cls(constraint_from_data(data.pop("answer")), MARKERS[data.pop("markers")], **data)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Thinking):
            return NotImplemented
        return self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[Any, ...]:
        return (self.answer, self.markers, self.state, self.max_tokens)

    def __reduce__(self) -> tuple[Any, ...]:
        return (Thinking, self._key())

    def __repr__(self) -> str:
        more = "" if self.max_tokens is None else f", max_tokens={self.max_tokens}"
        return f"Thinking({self.answer!r}, state={self.state!r}{more})"
