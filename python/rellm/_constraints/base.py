"""`Constraint`, the base class of all constraints, and their form as JSON."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from rellm._constraints.pieces import Pieces
from rellm._constraints.report import Report
from rellm._errors import PatternError, UnsupportedError

if TYPE_CHECKING:
    from rellm._constraints.combine import AnyOf, Maybe, Named, Repeat, Sequence, Within
    from rellm._constraints.expression import ExpressionContext, Fragment

FORMAT_VERSION: Final = 1  # the version of `to_json`

_SURROGATE = re.compile(r"[\ud800-\udfff]")
_ESCAPED_PAIR = re.compile(r"(?<!\\)(?:\\\\)*(\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2}))")
_SURROGATE_ESCAPE = re.compile(r"(?<!\\)(?:\\\\)*(\\(?:u|U0000)([dD][89a-fA-F][0-9a-fA-F]{2}))")

_KINDS: dict[str, type[Constraint]] = {}
# Kinds whose modules are imported on first use. A JSON text can only choose among these, and names no module.
_LAZY_KINDS: Final = {
    **dict.fromkeys(("sequence", "any_of", "repeat", "maybe", "named", "within"), "rellm._constraints.combine"),
    "grammar": "rellm._constraints.grammar.context_free",
    "special_token": "rellm._constraints.special_token",
    "free_text": "rellm._constraints.free_text",
    "template": "rellm._constraints.template",
    "tool_calls": "rellm._constraints.tool_calls.calls",
    "thinking": "rellm._constraints.thinking",
    "json_schema": "rellm._constraints.json_schema",
}


class Constraint:
    """The set of texts that a model may write, as an immutable value.

    Constraints are frozen, hashable, comparable and picklable. `rellm.compile` makes masks of them for a vocabulary.
    They combine: `a + b` is a sequence, `a | b` an alternative, and a `str` in a combination is exactly that text. Each
    part of a combination is a language of its own: groups are numbered inside it, flags stay inside, anchors and
    lookarounds see this part only.

    To define your own constraint, write a frozen dataclass with a unique `kind` (the name that `to_json` writes) and
    `to_expression`; also `parse` if its value is not its text, and `_to_data` and `_from_data` if it has fields.

    Attributes:
        kind: the name of the class in JSON.
    """

    __slots__ = ()

    kind: ClassVar[str] = ""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        kind = cls.__dict__.get("kind")
        if kind is None:
            return
        known = _KINDS.get(kind)
        # Python creates the class of a dataclass with slots twice.
        if known is not None and (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
            raise TypeError(f"kind = {kind!r} is {known.__module__}.{known.__qualname__}: give {cls.__name__} another")
        _KINDS[kind] = cls

    def to_expression(self, context: ExpressionContext) -> Fragment:
        """The constraint as an expression tree for the core.

        Args:
            context: collects the strings, dialects, rules and marks of the whole tree.

        Returns:
            A flat list of numbers in prefix notation; `rellm._constraints.expression` has the functions that make it.

        Raises:
            UnsupportedError: the core cannot represent it.
        """
        raise NotImplementedError(f"{type(self).__name__} has no to_expression")

    def parse(self, pieces: Any) -> Any:
        """The value of a text, which `Completion.value` returns; by default the text itself.

        Args:
            pieces: a `str`, a list of `str` and special tokens, or the `Pieces` of a completion, which also know which
                part wrote which bytes.

        Raises:
            ValueError: the text is not a complete text of this constraint, and no value can be made of it.
        """
        return Pieces.of(pieces).text

    def report(self) -> Report:
        """The rules that are enforced, approximated or not enforced, and likely mistakes in patterns."""
        return Report()

    def to_json(self) -> str:
        """The constraint as JSON text, from which `from_json` makes an equal one.

        Raises:
            UnsupportedError: the constraint contains something that JSON cannot represent, such as a Python type.
        """
        import json

        return json.dumps({"rellm": FORMAT_VERSION, **self.to_data()})

    @classmethod
    def from_json(cls, text: str | bytes | Mapping[str, Any]) -> Self:
        """Reads a constraint from the JSON of `to_json`. The text cannot import or execute anything.

        Args:
            text: JSON text, or the result of `json.loads`.

        Raises:
            UnsupportedError: the text is of a version or of a kind that this rellm does not know.
            PatternError: the text is not a constraint, or its class refuses it.
            TypeError: the text is a constraint of another class.
        """
        data = _loaded(text)
        version = data.get("rellm")
        if version != FORMAT_VERSION or isinstance(version, bool):
            if version is None:
                raise PatternError('this is no constraint: it has no version, "rellm": 1')
            raise UnsupportedError(
                f"the constraint was written in version {version!r:.40} of the format, and this rellm reads version "
                f"{FORMAT_VERSION}: read it with the rellm that wrote it, or a newer one"
            )
        try:
            found = constraint_from_data({name: value for name, value in data.items() if name != "rellm"})
        except RecursionError:
            raise PatternError("the constraint is nested too deep to be read") from None
        if not isinstance(found, cls):
            raise TypeError(f"this is {found!r:.80}, and no {cls.__name__}: read it with rellm.Constraint.from_json")
        return found

    def to_data(self) -> dict[str, Any]:
        """The constraint as plain data for JSON: its kind and its fields."""
        if not self.kind:
            raise UnsupportedError(f"{type(self).__name__} has no kind, the name that to_json would give it")
        return {"kind": self.kind, **self._to_data()}

    def _to_data(self) -> dict[str, Any]:
        """The fields as plain data for JSON."""
        raise UnsupportedError(f"{type(self).__name__} cannot be written as JSON: it has no _to_data")

    @classmethod
    def _from_data(cls, data: dict[str, Any]) -> Constraint:
        """The constraint with these fields. Wrong fields raise PatternError, TypeError, KeyError or ValueError."""
        raise UnsupportedError(f"{cls.__name__} cannot be read from JSON: it has no _from_data")

    def __add__(self, other: Constraint | str) -> Sequence:
        """The sequence of this and the other."""
        from rellm._constraints.combine import joined

        return joined(self, other) if isinstance(other, (Constraint, str)) else NotImplemented

    def __radd__(self, other: str) -> Sequence:
        from rellm._constraints.combine import joined

        return joined(other, self) if isinstance(other, str) else NotImplemented

    def __or__(self, other: Constraint | str) -> AnyOf:
        """The alternative of this and the other."""
        from rellm._constraints.combine import alternatives

        return alternatives(self, other) if isinstance(other, (Constraint, str)) else NotImplemented

    def __ror__(self, other: str) -> AnyOf:
        from rellm._constraints.combine import alternatives

        return alternatives(other, self) if isinstance(other, str) else NotImplemented

    def optional(self) -> Maybe:
        """This or the empty text, whose value is None."""
        from rellm._constraints.combine import Maybe

        return Maybe(self)

    def repeat(self, min: int = 0, max: int | None = None, separator: Constraint | str | None = None) -> Repeat:
        """A repetition of this; the value is the list of the items' values.

        Args:
            min: the least number of items.
            max: the greatest number of items; None: unbounded.
            separator: the constraint between two items; a `str` is exactly that text.
        """
        from rellm._constraints.combine import Repeat

        return Repeat(self, min, max, separator)

    def named(self, name: str) -> Named:
        """This as a named part: the value of a sequence is a dict that has the part's value under its name."""
        from rellm._constraints.combine import Named

        return Named(self, name)

    def within(self, max_tokens: int) -> Within:
        """This as a part with its own token budget: the mask makes it end in time.

        Args:
            max_tokens: the most tokens of the part; a token with bytes of several parts counts for each.
        """
        from rellm._constraints.combine import Within

        return Within(self, max_tokens)


class TextConstraint(Constraint):
    """A constraint whose value is its text."""

    __slots__ = ()

    def parse(self, pieces: Any) -> str:
        """The written text."""
        return Pieces.of(pieces).text


def constraint_from_data(data: Any) -> Constraint:
    """The constraint from the data of `Constraint.to_data`."""
    if not isinstance(data, dict):
        raise PatternError(f"a constraint is a JSON object with a kind, not {kind_of(data)}")
    kind = data.get("kind")
    if not isinstance(kind, str):
        raise PatternError(f"a constraint has a kind, a string; here it is {kind_of(kind)}")
    found = _KINDS.get(kind)
    if found is None and kind in _LAZY_KINDS:
        import importlib

        importlib.import_module(_LAZY_KINDS[kind])
        found = _KINDS.get(kind)
    if found is None:
        raise UnsupportedError(
            f"this rellm knows no constraint of kind {kind!r:.60}: it may have been written by a newer one, or by a "
            "class of somebody's own that is not defined here"
        )
    try:
        return found._from_data({name: value for name, value in data.items() if name != "kind"})
    except (TypeError, KeyError) as error:
        raise PatternError(f"the fields of a constraint of kind {kind!r} are wrong: {error}") from error


def _loaded(text: Any) -> Mapping[str, Any]:
    if isinstance(text, (str, bytes, bytearray)):
        import json

        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            words = "it is nested too deep" if isinstance(error, RecursionError) else str(error)
            raise PatternError(f"this is no JSON text of a constraint: {words}") from None
    else:
        data = text
    if not isinstance(data, Mapping):
        raise PatternError(f"a constraint is a JSON object, not {kind_of(data)}")
    return data


def text_to_data(text: str) -> Any:
    """A string for JSON, which cannot keep two surrogates beside each other: those are written as code points."""
    return {"code_points": list(map(ord, text))} if _SURROGATE.search(text) else text


def text_from_data(data: Any) -> str:
    """The string from the data of `text_to_data`."""
    if isinstance(data, dict) and set(data) == {"code_points"} and isinstance(data["code_points"], list):
        return "".join(map(chr, data["code_points"]))
    if not isinstance(data, str):
        raise TypeError(f"a string was expected, not {kind_of(data)}")
    return data


def sorted_texts(what: str, texts: Any) -> tuple[str, ...]:
    """The texts sorted and without duplicates, so that equal sets are equal values."""
    if isinstance(texts, (str, bytes)):
        raise TypeError(f"{what} takes a list of strings, not {kind_of(texts)}: put it into [ ]")
    try:
        found = list(texts)
    except TypeError:
        raise TypeError(f"{what} takes a list of strings, not {kind_of(texts)}") from None
    for index, text in enumerate(found):
        if not isinstance(text, str):
            raise TypeError(f"{what} takes strings, and number {index} is {kind_of(text)}")
        refuse_surrogates(f"text {index} of {what}", text)
    return tuple(sorted(set(map(str, found))))


def lone_surrogate(text: str, *, escapes: bool) -> str | None:
    """The first lone surrogate and its position, in words; with `escapes`, also one written as an escape."""
    found = _SURROGATE.search(text)
    if found is not None:
        return f"the lone surrogate U+{ord(found[0]):04X} at position {found.start()}"
    found = _SURROGATE_ESCAPE.search(text) if escapes else None
    if found is not None:
        return f"the lone surrogate U+{found[2].upper()} at position {found.start(1)}"
    return None


def escaped_pair(text: str) -> str | None:
    """The first character that a pattern has as two surrogate escapes, as JSON writes it, in words."""
    found = _ESCAPED_PAIR.search(text)
    if found is None:
        return None
    point = 0x10000 + ((int(found[2], 16) - 0xD800) << 10) + (int(found[3], 16) - 0xDC00)
    return (
        f"{found[1]} at position {found.start(1)}, two surrogates, as JSON writes one character: write \\U{point:08X}"
    )


def refuse_surrogates(what: str, text: str) -> None:
    found = _SURROGATE.search(text)
    if found is not None:
        raise PatternError(
            f"{what} holds {lone_surrogate(text, escapes=False)}: "
            "no text can hold one; decode what it was read from as UTF-8",
            pattern=text,
            position=found.start(),
        )


def kind_of(value: Any) -> str:
    return "None" if value is None else f"{type(value).__name__} {value!r:.60}"


def texts_to_data(texts: Iterable[str]) -> list[Any]:
    return [text_to_data(text) for text in texts]


def texts_from_data(data: Any) -> list[str]:
    if not isinstance(data, list):
        raise TypeError(f"a list of strings was expected, not {kind_of(data)}")
    return [text_from_data(text) for text in data]
