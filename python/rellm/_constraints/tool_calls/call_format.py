"""Formats of tool calls: the literal texts around a name and its arguments. Each format is a file in `layouts/`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Final

from rellm._constraints import expression
from rellm._constraints.expression import ExpressionContext, Fragment
from rellm._constraints.tool_calls.argument_style import ArgumentStyle
from rellm._errors import UnsupportedError

HOLES: Final = ("@name", "@arguments", "@id", "@index")


@dataclass(frozen=True, slots=True)
class CallFormat:
    """The format in which a model writes tool calls.

    Attributes:
        name: of the file in `layouts/`.
        families: models that write so.
        call: one call: literal text, and the holes "@name", "@arguments", "@id", "@index" (the number of the call).
        begin, between, end: before the first call, between two, behind the last one.
        marker: the text that begins a call, which an answer cannot contain; "@name" stands for any tool's name.
            Empty: the first symbols distinguish calls from answers.
        at_start: whether the marker counts only at the beginning of a message.
        tokens: the literal texts that are one special token in the model's vocabulary; both are accepted.
        text: the texts around an answer.
        text_before: whether text may stand before calls.
        after_text: the separator of text and the first call.
        arguments: how arguments are written.
        parallel: whether a message may hold several calls.
        id: the shape of an id, a pattern; empty: any.
        mention: a text in the rendered declaration of tools, by which a template that renders no calls is recognised.
        first_index: the number of the first call.
    """

    name: str
    families: tuple[str, ...]
    call: tuple[str, ...]
    begin: str = ""
    between: str = ""
    end: str = ""
    marker: str = ""
    at_start: bool = False
    tokens: tuple[str, ...] = ()
    text: tuple[str, str] = ("", "")
    text_before: bool = True
    after_text: str = ""
    arguments: ArgumentStyle = field(default_factory=ArgumentStyle)
    parallel: bool = True
    id: str = ""
    mention: str = ""
    first_index: int = 0

    @property
    def writes_ids(self) -> bool:
        """Whether the model itself writes the ids of calls."""
        return "@id" in self.call

    def markers(self, names: Sequence[str]) -> list[str]:
        """The texts that begin a call of one of these tools."""
        if "@name" in self.marker:
            return [self.marker.replace("@name", name) for name in names]
        return [self.marker] if self.marker else []

    def literal(self, context: ExpressionContext, text: str) -> Fragment:
        """Literal text, in which special tokens stand for themselves."""
        parts = re.split("(" + "|".join(map(re.escape, self.tokens)) + ")", text) if self.tokens else [text]
        return expression.sequence(
            context.marker(part) if part in self.tokens else expression.literal(context, part) for part in parts
        )

    def write(self, calls: Sequence[Mapping[str, Any]], content: str = "") -> str:
        """The text of these calls, as the model would write it.

        Args:
            calls: each with "name" and "args", and "id" where the format has ids.
            content: text before them.
        """
        if not calls:
            return self.text[0] + content + self.text[1]
        written = []
        for index, call in enumerate(calls, self.first_index):
            holes = {
                "@name": str(call["name"]),
                "@arguments": self.arguments.write(call["args"]),
                "@id": str(call.get("id")),
                "@index": str(index),
            }
            written.append("".join(holes.get(piece, piece) for piece in self.call))
        before = content + self.after_text if content else ""
        return before + self.begin + self.between.join(written) + self.end


def format_names() -> tuple[str, ...]:
    """The names of all formats."""
    return tuple(_formats())


def format_named(name: str) -> CallFormat:
    """The format of this name.

    Raises:
        UnsupportedError: there is none.
    """
    found = _formats().get(name)
    if found is None:
        raise UnsupportedError(f"{name!r} is no format of tool calls: {listed_formats()}")
    return found


def listed_formats() -> str:
    """All formats in words, for an error."""
    return "known are " + ", ".join(f"{name!r} ({', '.join(f.families)})" for name, f in _formats().items())


@cache
def _formats() -> dict[str, CallFormat]:
    import tomllib

    found = {}
    for file in sorted(files("rellm._constraints.tool_calls").joinpath("layouts").iterdir(), key=lambda f: f.name):
        if file.name.endswith(".toml"):
            name = file.name.removesuffix(".toml")
            found[name] = _made(name, tomllib.loads(file.read_text(encoding="utf-8")))
    return found


def _made(name: str, data: dict[str, Any]) -> CallFormat:
    fields: dict[str, Any] = {key: _frozen(value) for key, value in data.items() if key != "arguments"}
    style = ArgumentStyle(**{key: _frozen(value) for key, value in data.get("arguments", {}).items()})
    return CallFormat(name=name, arguments=style, **fields)


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
