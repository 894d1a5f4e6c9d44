"""`Choice`, one of several strings, and `Literal`, exactly one string."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from rellm._constraints import expression
from rellm._constraints.base import (
    TextConstraint,
    kind_of,
    refuse_surrogates,
    sorted_texts,
    text_from_data,
    text_to_data,
    texts_from_data,
    texts_to_data,
)
from rellm._constraints.expression import ExpressionContext, Fragment
from rellm._errors import UnsatisfiableError

_SHOWN_TEXTS = 8


@dataclass(frozen=True, init=False, repr=False, slots=True)
class Choice(TextConstraint):
    """Exactly one of these strings; their order does not matter.

    Args:
        texts: the strings. With `["a", "ab"]`, the text `a` matches and may still go on. No space is added: for a
            SentencePiece model, whose tokens begin words with a space, use `Literal(" ").optional() + Choice([…])` so
            that the model can use these tokens.

    Raises:
        UnsatisfiableError: `texts` is empty.
        PatternError: one of them holds a lone surrogate, which no text can.
        TypeError: something is not a string, or `texts` is a single string.
    """

    kind: ClassVar[str] = "choice"

    texts: tuple[str, ...]

    def __init__(self, texts: Iterable[str]) -> None:
        object.__setattr__(self, "texts", sorted_texts("Choice", texts))
        if not self.texts:
            raise UnsatisfiableError("Choice([]) has nothing to choose from: give it at least one string")

    def to_expression(self, context: ExpressionContext) -> Fragment:
        return expression.choice(context, self.texts)

    def _to_data(self) -> dict[str, Any]:
        return {"texts": texts_to_data(self.texts)}

    @classmethod
    def _from_data(cls, data: dict[str, Any]) -> Choice:
        return Choice(texts_from_data(data.pop("texts")), **data)

    def __reduce__(self) -> tuple[Any, ...]:
        return (Choice, (self.texts,))

    def __repr__(self) -> str:
        shown = ", ".join(map(repr, self.texts[:_SHOWN_TEXTS]))
        left = len(self.texts) - _SHOWN_TEXTS
        return f"Choice([{shown}, … {left} more])" if left > 0 else f"Choice([{shown}])"


@dataclass(frozen=True, init=False, repr=False, slots=True)
class Literal(TextConstraint):
    """Exactly this string.

    Args:
        text: the string.

    Raises:
        PatternError: it holds a lone surrogate, which no text can.
        TypeError: it is not a string.
    """

    kind: ClassVar[str] = "literal"

    text: str

    def __init__(self, text: str) -> None:
        if not isinstance(text, str):
            raise TypeError(f"Literal takes a string, not {kind_of(text)}")
        refuse_surrogates("the text of Literal", text)
        object.__setattr__(self, "text", str(text))

    def to_expression(self, context: ExpressionContext) -> Fragment:
        return context.marker(self.text)

    def _to_data(self) -> dict[str, Any]:
        return {"text": text_to_data(self.text)}

    @classmethod
    def _from_data(cls, data: dict[str, Any]) -> Literal:
        return Literal(text_from_data(data.pop("text")), **data)

    def __reduce__(self) -> tuple[Any, ...]:
        return (Literal, (self.text,))

    def __repr__(self) -> str:
        return f"Literal({self.text!r})"
