"""A special token of the vocabulary, as one symbol of the text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from rellm._constraints import expression
from rellm._constraints.base import Constraint, kind_of
from rellm._constraints.expression import ExpressionContext, Fragment
from rellm._constraints.pieces import Pieces
from rellm._errors import PatternError


@dataclass(frozen=True, init=False, repr=False, slots=True)
class SpecialToken(Constraint):
    """Exactly this special token: a symbol of its own, which no text spells.

    Compiling checks that the vocabulary has it. An end-of-sequence token may only be the last symbol.

    Args:
        name: its content, `"<|tool_call|>"`.
        id: its id, in place of the name.

    Raises:
        TypeError: neither or both are given, or one is of another type.
        PatternError: the name is empty, or the id is negative.
    """

    kind: ClassVar[str] = "special_token"

    name: str | None
    id: int | None

    def __init__(self, name: str | None = None, *, id: int | None = None) -> None:
        if (name is None) == (id is None):
            raise TypeError("SpecialToken takes a name, or id=: exactly one of the two")
        if name is not None and not isinstance(name, str):
            raise TypeError(f"the name of a special token is a string, not {kind_of(name)}: for an id, write id=")
        if name == "":
            raise PatternError("the name of a special token is empty")
        if id is not None and (isinstance(id, bool) or not isinstance(id, int)):
            raise TypeError(f"the id of a special token is a whole number, not {kind_of(id)}")
        if id is not None and id < 0:
            raise PatternError(f"the id of a special token is {id}: ids go from 0")
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "id", id)

    def to_expression(self, context: ExpressionContext) -> Fragment:
        if self.name is not None:
            return context.special_token(self.name)
        assert self.id is not None
        return expression.special([self.id])

    def parse(self, pieces: Any) -> Any:
        """The special token that was written: the completion's entry for it, or this constraint."""
        written = [token for _, token in Pieces.of(pieces).specials]
        return written[0] if written else self

    def _to_data(self) -> dict[str, Any]:
        return {"name": self.name} if self.name is not None else {"id": self.id}

    @classmethod
    def _from_data(cls, data: dict[str, Any]) -> SpecialToken:
        return SpecialToken(data.pop("name", None), **data)

    def __reduce__(self) -> tuple[Any, ...]:
        return (_special_token, (self.name, self.id))

    def __repr__(self) -> str:
        return f"SpecialToken({self.name!r})" if self.name is not None else f"SpecialToken(id={self.id})"


def _special_token(name: str | None, id: int | None) -> SpecialToken:
    return SpecialToken(name, id=id)
