"""`Continued`, the constraint of a healed prompt: the text begins with the last characters of its prompt."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

from rellm._constraints import expression
from rellm._constraints.base import Constraint, constraint_from_data
from rellm._constraints.choice import Literal
from rellm._constraints.combine import Maybe, Sequence, marked_pieces
from rellm._constraints.conversion import as_part
from rellm._constraints.expression import ExpressionContext, Fragment
from rellm._constraints.free_text import FreeText
from rellm._constraints.pieces import Pieces


class Continued(Sequence):
    """The end of a prompt once more, and then the answer's constraint, whose value it has.

    Args:
        head: the characters of the prompt that are written again; may be empty.
        answer: the constraint of the text after them; None for any text.
        may_have_space: whether one space may come between the two.

    Raises:
        UnsupportedError: the constraint is a pattern for the search engine.
    """

    __slots__ = ("answer", "head", "may_have_space")

    kind: ClassVar[str] = "continued"

    head: str
    answer: Constraint | None
    may_have_space: bool

    def __init__(self, head: str, answer: Any = None, may_have_space: bool = False) -> None:
        set_field = object.__setattr__
        set_field(self, "head", head)
        set_field(self, "answer", None if answer is None else as_part(answer, "a constraint behind a healed prompt"))
        set_field(self, "may_have_space", may_have_space)
        space = Maybe(Literal(" ")) if may_have_space else Literal("")
        super().__init__(Literal(head), space, FreeText() if self.answer is None else self.answer)

    def to_expression(self, context: ExpressionContext) -> Fragment:
        head, space, answer = self.parts
        before = [context.unmarked(partial(part.to_expression, context)) for part in (head, space)]
        return expression.sequence([*before, context.marked("answer", partial(answer.to_expression, context))])

    def hidden(self, data: bytes, *, is_whole: bool = True) -> int | None:
        """The length of the hidden prefix of a text: the bytes of the prompt, and a space after them.

        Args:
            data: the text, or a prefix of it.
            is_whole: whether the text is complete.

        Returns:
            The number of bytes; None while it is unknown.
        """
        size = len(self.head.encode())
        if not self.may_have_space:
            return size if is_whole or len(data) >= size else None
        if len(data) > size:
            return size + data[size : size + 1].count(b" ")
        return size if is_whole else None

    def answer_pieces(self, pieces: Any, *, is_whole: bool = True) -> Pieces:
        """The pieces of the answer.

        Args:
            pieces: the pieces of the whole text.
            is_whole: whether the text is complete; parts of an unfinished one are not marked.
        """
        written = Pieces.of(pieces)
        found = written.labelled("answer") if is_whole else []
        if found:
            return found[0]
        size = self.hidden(written.data) or 0
        behind = tuple((at - size, token) for at, token in written.specials if at >= size)
        return Pieces(written.data[size:], behind)

    def parse(self, pieces: Any) -> Any:
        """The value of the answer."""
        written = Pieces.of(pieces)
        inner = self.answer_pieces(written if written.is_marked else marked_pieces(self, written))
        return inner.text if self.answer is None else self.answer.parse(inner)

    def _to_data(self) -> dict[str, Any]:
        answer = None if self.answer is None else self.answer.to_data()
        return {"head": self.head, "answer": answer, "may_have_space": self.may_have_space}

    @classmethod
    def _from_data(cls, data: dict[str, Any]) -> Continued:
        answer = data.pop("answer")
        return cls(answer=None if answer is None else constraint_from_data(answer), **data)

    def __eq__(self, other: object) -> bool:
        return self._key() == other._key() if isinstance(other, Continued) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[Any, ...]:
        return (self.head, self.answer, self.may_have_space)

    def __reduce__(self) -> tuple[Any, ...]:
        return (Continued, self._key())

    def __repr__(self) -> str:
        return f"Continued({self.head!r}, {self.answer!r})"
