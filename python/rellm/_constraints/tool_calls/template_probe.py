"""Finds the format of tool calls of a chat template by rendering a known call."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from rellm._constraints.tool_calls.call_format import CallFormat, format_named, format_names, listed_formats
from rellm._constraints.tool_calls.calls import DEFAULT_FORMAT
from rellm._errors import UnsupportedError

_LOG: Final = logging.getLogger("rellm")
_USER: Final = {"role": "user", "content": "Hello."}
_BEFORE: Final = "Just a moment."
# Values and names that occur in no template and in no declaration of a tool below.
_CALLS: Final = [
    {"name": "qvex_one", "args": {"zeta": "murmel tau", "alpha": 3}, "id": "qvex12345"},
    {"name": "qvex_two", "args": {"omega": [True, None]}, "id": "qvex12346"},
]
_DECLARED: Final = [
    {
        "type": "function",
        "function": {
            "name": "qvex_other",
            "description": "Does something.",
            "parameters": {
                "type": "object",
                "properties": {"first": {"type": "string", "description": "A word."}},
                "required": ["first"],
            },
        },
    }
]
_GAPS: Final = ("", "\n", "\n\n", " ")
_KNOWN: dict[str, TemplateTools] = {}
_MOST_KNOWN: Final = 64


@dataclass(frozen=True, slots=True)
class TemplateTools:
    """How a chat template handles tools.

    Attributes:
        layout: the format of calls.
        takes_tools: whether it declares tools; otherwise a system text has to.
        renders_calls: whether it renders the calls of earlier messages; otherwise they are passed as text.
        takes_system: whether it renders a system message; otherwise the first user message has to contain it.
    """

    layout: CallFormat
    takes_tools: bool
    renders_calls: bool
    takes_system: bool = True


def template_tools(tokenizer: Any) -> TemplateTools:
    """How the chat template of a tokenizer or processor handles tools; cached by template.

    Raises:
        UnsupportedError: it handles tools, in an unknown format.
    """
    key = repr(getattr(tokenizer, "chat_template", None))
    found = _KNOWN.get(key)
    if found is None:
        if len(_KNOWN) >= _MOST_KNOWN:
            _KNOWN.clear()
        found = _KNOWN[key] = _probed(tokenizer)
    return found


def _probed(tokenizer: Any) -> TemplateTools:
    fallback = TemplateTools(format_named(DEFAULT_FORMAT), takes_tools=False, renders_calls=False)
    if getattr(tokenizer, "chat_template", None) is None:
        return fallback
    system = _rendered(tokenizer, [{"role": "system", "content": "qvex system"}, _USER], None)
    takes_system = system is not None and "qvex system" in system
    plain, told = _rendered(tokenizer, [_USER], None), _rendered(tokenizer, [_USER], _DECLARED)
    takes_tools = told is not None and "qvex_other" in told
    rendered = _first(_renderings(tokenizer, _CALLS[:1], ""))
    if rendered is not None and "murmel tau" in rendered:
        layout = _rendered_format(rendered)
        if layout is None:
            at = rendered.index("murmel tau")
            raise UnsupportedError(
                "the chat template renders calls in a format that is not known: …"
                f"{rendered[max(at - 60, 0) : at + 40]!r}…; {listed_formats()}; name the format that comes closest by "
                "format="
            )
        return TemplateTools(_fitted(layout, tokenizer), takes_tools, True, takes_system)
    if told is None or told == plain:
        _LOG.info(
            "the chat template has no tools: they are declared in a system text, in the format %r", DEFAULT_FORMAT
        )
        return replace(fallback, takes_system=takes_system)
    layout = _mentioned_format(told)
    if layout is None:
        raise UnsupportedError(
            "the chat template declares tools, and neither renders a call nor names the marker of a known format: "
            f"{listed_formats()}; name one by format="
        )
    return TemplateTools(layout, takes_tools, False, takes_system)


def _rendered_format(rendered: str) -> CallFormat | None:
    """The format that explains most of the rendered call."""
    found = [(len(text), name) for name in format_names() if (text := format_named(name).write(_CALLS[:1])) in rendered]
    return format_named(max(found)[1]) if found else None


def _mentioned_format(told: str) -> CallFormat | None:
    found = []
    for name in format_names():
        layout = format_named(name)
        for is_own, sign in ((True, layout.mention), (False, "" if layout.at_start else layout.marker)):
            if sign and sign in told:
                found.append((is_own, len(sign), name))
    return format_named(max(found)[2]) if found else None


def _fitted(layout: CallFormat, tokenizer: Any) -> CallFormat:
    """The format, adapted to how this template renders several calls, and text before a call."""
    several = _first(_renderings(tokenizer, _CALLS, ""))
    parallel = several is not None and layout.write(_CALLS) in several
    text_before, after_text = False, layout.after_text
    with_text = _first(_renderings(tokenizer, _CALLS[:1], _BEFORE))
    for gap in dict.fromkeys((layout.after_text, *_GAPS)):
        if with_text is not None and replace(layout, after_text=gap).write(_CALLS[:1], _BEFORE) in with_text:
            text_before, after_text = True, gap
            break
    return replace(
        layout,
        parallel=parallel,
        text_before=text_before and layout.text_before,
        after_text=after_text if text_before else layout.after_text,
    )


def _renderings(tokenizer: Any, calls: Sequence[Mapping[str, Any]], content: str) -> Iterator[str | None]:
    """Renders the calls with each value that templates accept for a message without text."""
    for empty in (content,) if content else ("", None):
        yield _rendered(tokenizer, [_USER, call_message(calls, empty)], _DECLARED)


def _first(renderings: Iterator[str | None]) -> str | None:
    return next((one for one in renderings if one is not None), None)


def call_message(calls: Sequence[Mapping[str, Any]], content: str | None) -> dict[str, Any]:
    """A message of calls, as chat templates take it."""
    made = [
        {"type": "function", "id": call["id"], "function": {"name": call["name"], "arguments": dict(call["args"])}}
        for call in calls
    ]
    return {"role": "assistant", "content": content, "tool_calls": made}


def _rendered(tokenizer: Any, messages: list[dict[str, Any]], tools: Any) -> str | None:
    try:
        text = tokenizer.apply_chat_template(messages, tools=tools, tokenize=False, add_generation_prompt=False)
    except Exception:  # templates raise errors of any type, which are not the caller's fault
        return None
    return text if isinstance(text, str) else None
