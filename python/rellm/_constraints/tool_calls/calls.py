"""`ToolCalls`: tool calls, or an answer, in the format that a model was trained on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, Final, Self
from typing import Literal as OneOf

from rellm._constraints import expression
from rellm._constraints.base import Constraint, constraint_from_data, kind_of
from rellm._constraints.conversion import as_part
from rellm._constraints.expression import CLASS, ExpressionContext, Fragment
from rellm._constraints.json_schema.constraint import JsonSchema
from rellm._constraints.pieces import Pieces
from rellm._constraints.report import Report
from rellm._constraints.special_token import SpecialToken
from rellm._constraints.tool_calls.argument_fragments import arguments_fragment
from rellm._constraints.tool_calls.argument_style import ArgumentStyle
from rellm._constraints.tool_calls.call_format import CallFormat, format_named
from rellm._constraints.tool_calls.call_reader import CallReader, arguments_of
from rellm._constraints.tool_calls.tool_definitions import Tool, tools_of
from rellm._errors import PatternError, UnsupportedError

DEFAULT_FORMAT: Final = "hermes"
# In a format that numbers its calls, each call is an expression of its own.
_MOST_COUNTED: Final = 32
_SPACES: Final[Fragment] = [
    CLASS, 10, 9, 13, 28, 32, 0x85, 0x85, 0xA0, 0xA0, 0x1680, 0x1680, 0x2000, 0x200A, 0x2028, 0x2029, 0x202F, 0x202F,
    0x205F, 0x205F, 0x3000, 0x3000,
]  # fmt: skip

Choice = OneOf["auto", "required", "any", "none"]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that a model has written.

    Attributes:
        name: the tool's name.
        args: the arguments, as plain JSON data that the tool's schema allows.
        id: the call's id: the one that the model wrote if its format has ids, else a hash of the text.
    """

    name: str
    args: dict[str, Any]
    id: str


@dataclass(frozen=True, slots=True)
class ToolReply:
    """The value of `ToolCalls`: the answer of a model, and its calls.

    Attributes:
        content: the text of the answer, or before the calls.
        tool_calls: the calls.
        answer: the value of the answer, where `ToolCalls(answer=…)` asked for one and the model gave it; else None.
    """

    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    answer: Any = None


@dataclass(frozen=True, init=False, repr=False, slots=True)
class ToolCalls(Constraint):
    """Tool calls, whose names and arguments are always valid, or text.

    A model that begins a call (by its format's marker) cannot stop before the call is complete. Arguments are written
    in the single spelling that a chat template renders, so that the next turn's prompt contains exactly the written
    text. The value is a `ToolReply`.

    Args:
        tools: functions, pydantic models, dataclasses, TypedDicts, schemas, or tools of LangChain.
        choice: "auto": text, or calls; "required" (or "any"): calls; "none": text only; the name of a tool, or a list
            of names: a call of it.
        format: how the model writes calls, by name; None: as the chat template of the generator's tokenizer does, and
            "hermes" where there is none.
        parallel: whether several calls may stand in one message, where the format has room for them.
        strict: True: optional arguments are written too.
        answer: a constraint in place of free text: with "auto", the model calls a tool or gives this answer.

    Raises:
        UnsupportedError: there is no such format, or the answer has a budget of tokens of its own.
        PatternError: a tool has no usable name, two have the same one, or `choice` names none of them.
        TypeError: something is of another type.
    """

    kind: ClassVar[str] = "tool_calls"

    tools: tuple[Tool, ...]
    choice: str | tuple[str, ...]
    format: CallFormat | None
    parallel: bool
    answer: Constraint | None

    def __init__(
        self,
        tools: Iterable[Any],
        choice: str | Sequence[str] = "auto",
        format: str | CallFormat | None = None,
        parallel: bool = False,
        *,
        strict: bool | None = None,
        answer: Any = None,
    ) -> None:
        found = tools_of(tools, strict=strict)
        if not isinstance(parallel, bool):
            raise TypeError(f"parallel is True or False, not {kind_of(parallel)}")
        if format is not None and not isinstance(format, (str, CallFormat)):
            raise TypeError(f"format is the name of a format, not {kind_of(format)}")
        made = None if answer is None else as_part(answer, "the answer of ToolCalls")
        if made is not None:
            from rellm._constraints.combine import has_budget

            if has_budget(made):
                raise UnsupportedError("the answer of ToolCalls has a budget of tokens: use max_new_tokens of the call")
        object.__setattr__(self, "tools", found)
        object.__setattr__(self, "choice", _checked_choice(choice, found))
        object.__setattr__(self, "format", format_named(format) if isinstance(format, str) else format)
        object.__setattr__(self, "parallel", parallel)
        object.__setattr__(self, "answer", made)

    @property
    def layout(self) -> CallFormat:
        """The format in force."""
        return format_named(DEFAULT_FORMAT) if self.format is None else self.format

    @property
    def allowed(self) -> tuple[Tool, ...]:
        """The tools that may be called."""
        if isinstance(self.choice, tuple):
            return tuple(tool for tool in self.tools if tool.name in self.choice)
        return () if self.choice == "none" else self.tools

    def in_format(self, layout: CallFormat) -> ToolCalls:
        """The same calls in another format."""
        return _rebuilt(self.tools, self.choice, layout, self.parallel, self.answer)

    def to_expression(self, context: ExpressionContext) -> Fragment:
        return context.unmarked(partial(self._fragment, context))

    def _fragment(self, context: ExpressionContext) -> Fragment:
        layout, names = self.layout, [tool.name for tool in self.allowed]
        ways: list[Fragment] = []
        if self.choice in ("auto", "none"):
            ways.append(self._text(context, names))
        if names:
            calls = self._calls(context)
            ways.append(calls)
            if self.choice == "auto" and layout.text_before and layout.marker and self.answer is None:
                before = _text_without(context, layout.markers(names), is_trimmed=True)
                ways.append(expression.sequence([before, layout.literal(context, layout.after_text), calls]))
        return expression.union(ways)

    def _text(self, context: ExpressionContext, names: list[str]) -> Fragment:
        layout = self.layout
        before, behind = (layout.literal(context, text) for text in layout.text)
        if self.answer is not None:
            held = self.answer.to_expression(context)
        else:
            markers = layout.markers(names) if names else []
            # An answer excludes the texts that end it and are no token of their own: they would be read as its end.
            held = _text_without(context, markers, [text for text in layout.text if text], at_start=layout.at_start)
        return expression.sequence([before, held, behind])

    def _calls(self, context: ExpressionContext) -> Fragment:
        layout = self.layout
        begin, between, end = (layout.literal(context, t) for t in (layout.begin, layout.between, layout.end))
        first = layout.first_index
        is_parallel = self.parallel and layout.parallel
        if not is_parallel:
            return expression.sequence([begin, self._call(context, first), end])
        if "@index" not in layout.call:
            one = context.rule(("call", id(self)), lambda: self._call(context, first))
            more = expression.repeat(expression.sequence([between, one]), 0, None)
            return expression.sequence([begin, one, more, end])
        tail = expression.empty()
        for index in range(first + _MOST_COUNTED - 1, first - 1, -1):
            one = self._call(context, index)
            tail = expression.sequence([one, tail])
            if index > first:
                tail = expression.optional(expression.sequence([between, tail]))
        return expression.sequence([begin, tail, end])

    def _call(self, context: ExpressionContext, index: int) -> Fragment:
        return expression.union([self._call_of(context, tool, index) for tool in self.allowed])

    def _call_of(self, context: ExpressionContext, tool: Tool, index: int) -> Fragment:
        layout = self.layout
        parts = []
        for piece in layout.call:
            if piece == "@name":
                parts.append(expression.literal(context, tool.name))
            elif piece == "@arguments":
                build = partial(arguments_fragment, context, tool.arguments, layout)
                parts.append(context.rule(("arguments", id(self), tool.name), build))
            elif piece == "@id":
                parts.append(expression.pattern(context, layout.id or "[a-zA-Z0-9_-]{1,64}"))
            elif piece == "@index":
                parts.append(expression.literal(context, str(index)))
            else:
                parts.append(layout.literal(context, piece))
        return expression.sequence(parts)

    def parse(self, pieces: Any) -> ToolReply:
        """The answer and the calls that were written.

        Raises:
            ValueError: the text ends inside a call.
        """
        text = "".join(_text_of(piece) for piece in Pieces.of(pieces))
        reader = CallReader(self.layout, [tool.name for tool in self.allowed])
        for events in (reader.feed(text), reader.finish()):
            for _ in events:
                pass
        if reader.calls and not reader.is_whole:
            if self.answer is None or not self.layout.at_start:
                raise ValueError(f"the text ends inside a call: {text!r:.200}")
            reader = CallReader(replace(self.layout, marker=""), [])
            reader.content = text
        calls = tuple(
            ToolCall(call.name, arguments_of(call), call.id or self._made_id(text, number))
            for number, call in enumerate(reader.calls)
        )
        answer = None if calls or self.answer is None else self.answer.parse(reader.content)
        return ToolReply(reader.content, calls, answer)

    def _made_id(self, text: str, number: int) -> str:
        """An id, a hash of the text and the call's number, in the shape that the format's template accepts."""
        digest = hashlib.sha256(f"{number} {text}".encode()).hexdigest()
        return digest[:9] if self.layout.id else f"call_{digest[:24]}"

    def report(self) -> Report:
        """The reports of the arguments' schemas."""
        found = [
            entry for tool in self.tools for entry in tool.arguments.report().under(f"/tools/{tool.name}/parameters")
        ]
        if self.answer is not None:
            found += self.answer.report().under("/answer")
        return Report(found)

    def _to_data(self) -> dict[str, Any]:
        return {
            "tools": [
                {"name": tool.name, "description": tool.description, "arguments": tool.arguments.to_data(),
                 "parameters": tool.parameters}
                for tool in self.tools
            ],
            "choice": self.choice if isinstance(self.choice, str) else list(self.choice),
            "format": None if self.format is None else _format_to_data(self.format),
            "parallel": self.parallel,
            "answer": None if self.answer is None else self.answer.to_data(),
        }  # fmt: skip

    @classmethod
    def _from_data(cls, data: dict[str, Any]) -> Self:
        tools = []
        for one in data.pop("tools"):
            arguments = constraint_from_data(one["arguments"])
            if not isinstance(arguments, JsonSchema):
                raise TypeError(f"the arguments of a tool are a JSON Schema, not {arguments!r:.80}")
            tools.append(Tool(str(one["name"]), str(one["description"]), arguments, str(one["parameters"])))
        answer, given = data.pop("answer"), data.pop("format")
        return cls(
            tools,
            data.pop("choice"),
            None if given is None else _format_from_data(given),
            answer=None if answer is None else constraint_from_data(answer),
            **data,
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuilt, (self.tools, self.choice, self.format, self.parallel, self.answer))

    def __repr__(self) -> str:
        names = ", ".join(tool.name for tool in self.tools)
        more = "" if self.choice == "auto" else f", choice={self.choice!r}"
        more += "" if self.format is None else f", format={self.format.name!r}"
        more += ", parallel=True" if self.parallel else ""
        return f"ToolCalls([{names}]{more}{'' if self.answer is None else f', answer={self.answer!r}'})"


def _rebuilt(tools: Any, choice: Any, layout: Any, parallel: bool, answer: Any) -> ToolCalls:
    return ToolCalls(tools, choice, layout, parallel, answer=answer)


def _checked_choice(choice: Any, tools: tuple[Tool, ...]) -> str | tuple[str, ...]:
    names = [tool.name for tool in tools]
    if isinstance(choice, str):
        if choice in ("auto", "none"):
            return choice
        if choice in ("required", "any"):
            if not names:
                raise PatternError(f"choice={choice!r} asks for a call, and there are no tools")
            return "required"
        choice = [choice]
    elif not isinstance(choice, (list, tuple)) or not all(isinstance(name, str) for name in choice):
        raise TypeError(
            f'choice is "auto", "required", "none", the name of a tool or a list of names, not {kind_of(choice)}'
        )
    for name in choice:
        if name not in names:
            raise PatternError(f"choice names {name!r}, and the tools are {', '.join(map(repr, names)) or 'none'}")
    if not choice:
        raise PatternError('choice=[] allows no tool: for text only, write choice="none"')
    return tuple(dict.fromkeys(choice))


def _text_without(
    context: ExpressionContext,
    markers: Iterable[str],
    others: Iterable[str] = (),
    *,
    at_start: bool = False,
    is_trimmed: bool = False,
) -> Fragment:
    """Text that does not contain (or, by the format, does not begin with) a marker, and contains none of the others.

    Args:
        is_trimmed: it is not empty, and neither begins nor ends with white space, as templates render it.
    """
    anything = expression.repeat(expression.any_char(), 0, None)
    refused: list[Fragment] = []
    found = list(dict.fromkeys(markers))
    inside = [*([] if at_start else found), *dict.fromkeys(others)]
    if inside:
        refused.append(expression.sequence([anything, expression.choice(context, inside), anything]))
    if at_start and found:
        refused.append(expression.sequence([expression.choice(context, found), anything]))
    if is_trimmed:
        refused += [
            expression.empty(),
            expression.sequence([_SPACES, anything]),
            expression.sequence([anything, _SPACES]),
        ]
    return expression.complement(expression.union(refused)) if refused else anything


def _text_of(piece: Any) -> str:
    if isinstance(piece, SpecialToken):
        return piece.name or ""
    return str(piece)


def _format_to_data(layout: CallFormat) -> Any:
    known = format_named(layout.name)
    changed = {
        name: getattr(layout, name)
        for name in ("parallel", "first_index", "after_text", "text_before")
        if getattr(layout, name) != getattr(known, name)
    }
    if replace(known, **changed) != layout:
        raise UnsupportedError("a format of one's own cannot be written as JSON: give it by name")
    return {"name": layout.name, **changed}


def _format_from_data(data: Any) -> CallFormat:
    fields = dict(data)
    return replace(format_named(fields.pop("name")), **fields)


__all__ = ["ArgumentStyle", "CallFormat", "Tool", "ToolCall", "ToolCalls", "ToolReply"]
