"""`rellm check`: is the pattern valid, which engine serves it, and does a text match?"""

from __future__ import annotations

import argparse
import json
import platform
from importlib.metadata import version
from typing import Any

import rellm
from rellm._cli.requested import has_pattern, requested_constraint
from rellm._cli.terminal import Terminal, stdin_text
from rellm._engines.compile import over_single_bytes

_TAIL = 24
_NO_CHARACTER = 0xFF


def run(arguments: argparse.Namespace, terminal: Terminal) -> int:
    if not has_pattern(arguments) and arguments.text is None:
        arguments.pattern, arguments.text = None, arguments.pattern
    text = stdin_text() if arguments.text == "-" else arguments.text
    constraint = requested_constraint(arguments, arguments.pattern, "PATTERN")
    compiled = over_single_bytes(constraint)
    if arguments.json:
        return _told_as_json(compiled, {name: value for name, value, _ in _what(arguments)}, text, terminal)
    rows: list[tuple[str, str, str | None]] = [
        *_what(arguments),
        ("engine", engine_of(compiled), None if compiled.engine == "automaton" else "yellow"),
    ]
    report = constraint.report()
    if arguments.schema is not None:
        exact = sum(entry.status in ("enforced", "annotation") for entry in report)
        rows.append(("keywords", f"{len(report)}, {exact} of them exact", None))
    for entry in report:
        if entry.pointer and entry.status in ("enforced", "annotation"):
            continue
        if entry.pointer:
            rows.append(("look at", str(entry), "yellow"))
            continue
        where = "" if entry.position is None else f" at position {entry.position}"
        remedy = f"; {entry.remedy}" if entry.remedy else ""
        rows.append(("look at", f"{entry.keyword}{where}: {entry.why}{remedy}", "yellow"))
    status = 0
    if text is not None:
        verdict, style, status = judge(compiled, text)
        rows.append(("text", verdict, style))
    for name, value, color in rows:
        terminal.print(f"{name:<9}", "bold", end="")
        terminal.print(value, color)
    return status


def _told_as_json(
    compiled: rellm.CompiledConstraint, what: dict[str, str], text: str | None, terminal: Terminal
) -> int:
    found: dict[str, Any] = {
        **what,
        "engine": compiled.engine,
        "report": json.loads(compiled.constraint.report().to_json()),
    }
    status = 0
    if text is not None:
        verdict, _, status = judge(compiled, text)
        found |= {"matches": status == 0, "verdict": verdict}
    terminal.print(json.dumps(found, ensure_ascii=False))
    return status


def _what(arguments: argparse.Namespace) -> list[tuple[str, str, str | None]]:
    if arguments.grammar is not None:
        return [("grammar", arguments.grammar, None)]
    if arguments.template is not None:
        return [("template", arguments.template, None)]
    if arguments.schema is not None:
        return [("schema", arguments.schema, None)]
    if arguments.type is not None:
        return [("type", arguments.type, None)]
    shown = arguments.pattern.encode("utf-8", "backslashreplace").decode()
    return [("pattern", shown, None), ("read as", _library(arguments.dialect), None)]


def judge(compiled: rellm.CompiledConstraint, text: str) -> tuple[str, str, int]:
    """Checks whether `text` matches. Returns the message (with the first mismatch), its style, the exit status."""
    matcher: Any = compiled.matcher()
    for position, character in enumerate(text):
        if "\ud800" <= character <= "\udfff":
            return f"has the lone surrogate U+{ord(character):04X} at position {position}: no text holds one", "red", 1
        try:
            matcher.advance_bytes(character.encode())
        except rellm.TokenRejectedError:
            where = f"stops matching at position {position}, {character!r} (U+{ord(character):04X})"
            return f"{where}, after {_tail(text[:position])}: expected {_expected(matcher)}", "red", 1
    if matcher.is_accepting:
        ending = "matches in full" if matcher.is_finished else "matches in full, and may go on"
        return f"{_tail(text) if text else 'the empty text'} {ending}", "green", 0
    return f"is only the beginning of a match: after {_tail(text)}, expected {_expected(matcher)}", "red", 1


def _expected(matcher: Any) -> str:
    """The next characters that are allowed: no character begins with the byte 0xFF, so the rejection lists all."""
    expected: str = matcher.explain(_NO_CHARACTER).expected
    return expected


def engine_of(compiled: rellm.CompiledConstraint) -> str:
    if compiled.engine == "automaton":
        return "automaton"
    return f"{compiled.engine}, because of {compiled.engine_reason}"


def _library(dialect: str) -> str:
    if dialect == "re":
        return f"re of Python {platform.python_version()}"
    return f"regex {version('regex')}"


def _tail(text: str) -> str:
    """The end of a text, for a message."""
    if not text:
        return "nothing"
    return repr(text) if len(text) <= _TAIL else "…" + repr(text[-_TAIL:])
