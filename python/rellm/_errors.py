"""The errors of rellm.

    RellmError
    ├── PatternError (ValueError)         the pattern is wrong
    │   ├── UnsupportedError              the pattern is right, but no engine of rellm reads this construct
    │   ├── GrammarError                  the grammar is wrong, or needs more than a context-free grammar
    │   ├── TemplateError                 the template is wrong, or its holes and values do not fit
    │   └── SchemaError                   a JSON Schema is malformed, or holds what cannot be enforced
    ├── UnsatisfiableError (ValueError)   nothing can match, or nothing that this vocabulary can spell
    ├── VocabularyError (ValueError)      the tokenizer's vocabulary cannot be used
    ├── TokenRejectedError (ValueError)   a token was forced on a matcher that does not allow it
    ├── LimitExceededError                a budget of `Limits` ran out
    ├── BudgetError                       no match fits into max_new_tokens
    ├── DeadEndError                      nothing can be written any more
    ├── IncompleteError                   the text ended before it matched
    └── ValueRejectedError (ValueError)   the text is complete, but the type that was asked for refuses its value

`BudgetError`, `DeadEndError` and `IncompleteError` carry `.text`, the text written so far.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rellm._core import Rejection


class RellmError(Exception):
    """Base of all errors of rellm."""


class PatternError(RellmError, ValueError):
    """The pattern is wrong; `.position` (in code points, or None) and `.pattern` give the place."""

    def __init__(self, message: str, *, pattern: str | None = None, position: int | None = None) -> None:
        super().__init__(message)
        self.pattern = pattern
        self.position = position

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.args, self.__dict__))


class UnsupportedError(PatternError):
    """The pattern is right, but no engine of rellm reads this construct."""


class GrammarError(PatternError):
    """The grammar is wrong; `.line` and `.column` (from 1, or None) give the place."""

    def __init__(
        self,
        message: str,
        *,
        pattern: str | None = None,
        position: int | None = None,
        line: int | None = None,
        column: int | None = None,
    ) -> None:
        super().__init__(message, pattern=pattern, position=position)
        self.line = line
        self.column = column


class TemplateError(PatternError):
    """The template is wrong; `.position` is the place in its text."""


class SchemaError(PatternError):
    """A JSON Schema is malformed, or has a keyword that cannot be enforced.

    Attributes:
        pointer: the JSON pointer of the place in the schema.
        keyword: the keyword there, if it is about one.
    """

    def __init__(self, message: str, *, pointer: str = "", keyword: str | None = None) -> None:
        super().__init__(message)
        self.pointer = pointer
        self.keyword = keyword


class ValueRejectedError(RellmError, ValueError):
    """A text is complete, but the requested type refuses its value.

    Attributes:
        text: the text. The refusal itself is the `__cause__`.
    """

    def __init__(self, message: str, *, text: str = "") -> None:
        super().__init__(message)
        self.text = text

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.args, self.__dict__))


class UnsatisfiableError(RellmError, ValueError):
    """Nothing can match, or nothing that can match can be spelled with this vocabulary."""


class VocabularyError(RellmError, ValueError):
    """The tokenizer's vocabulary cannot be used."""


class TokenRejectedError(RellmError, ValueError):
    """A token that the constraint does not allow; the matcher is unchanged. `.rejection` says why."""

    def __init__(self, message: str, *, rejection: Rejection | None = None) -> None:
        super().__init__(message)
        self.rejection = rejection

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.args, self.__dict__))


class LimitExceededError(RellmError):
    """A budget of `Limits` ran out: `.limit` is the name of the field, `.allowed` its value."""

    def __init__(self, message: str, *, limit: str | None = None, allowed: int | None = None) -> None:
        super().__init__(message)
        self.limit = limit
        self.allowed = allowed

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.args, self.__dict__))


class _TextError(RellmError):
    def __init__(self, message: str, *, text: str = "") -> None:
        super().__init__(message)
        self.text = text

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.args, self.__dict__))


class BudgetError(_TextError):
    """No match fits into `max_new_tokens`; `.text` is the text written so far, `.needed` the least budget."""

    def __init__(self, message: str, *, text: str = "", needed: int | None = None) -> None:
        super().__init__(message, text=text)
        self.needed = needed


class DeadEndError(_TextError):
    """No token can follow, and the text does not match; `.text` is the text written so far."""


class IncompleteError(_TextError):
    """The text ended before it matched; `.text` is the text written so far."""


def _rebuild(cls: type[RellmError], args: tuple[object, ...], state: dict[str, object]) -> RellmError:
    error = cls(*args)
    error.__dict__.update(state)
    return error
