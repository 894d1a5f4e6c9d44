"""`rellm check`: is the pattern valid, which engine serves it, and does a text match?"""

from __future__ import annotations

import argparse
import platform
import sys
from importlib.metadata import version
from typing import Any

import rellm
from rellm._cli._arguments import flags_of
from rellm._cli._terminal import Terminal

_TAIL = 24


def run(arguments: argparse.Namespace, terminal: Terminal) -> int:
    text = sys.stdin.read() if arguments.text == "-" else arguments.text
    constraint = rellm.Regex(arguments.pattern, flags_of(arguments.flags, arguments.dialect), arguments.dialect)
    compiled = compiled_for(constraint, text or "")
    rows = [
        ("pattern", arguments.pattern, None),
        ("read as", _library(arguments.dialect), None),
        ("engine", engine_of(compiled), None if compiled.engine == "automaton" else "yellow"),
    ]
    status = 0
    if text is not None:
        verdict, style, status = judge(compiled, text)
        rows.append(("text", verdict, style))
    for name, value, style in rows:
        terminal.print(f"{name:<9}", "bold", end="")
        terminal.print(value, style)
    return status


def compiled_for(constraint: rellm.Regex, text: str) -> Any:
    """The constraint over single bytes, and over the characters of `text`, so that these are refused as wholes."""
    wide = sorted({character for character in text if not character.isascii()} - set(_surrogates(text)))
    tokens: list[bytes | None] = [bytes([byte]) for byte in range(256)]
    tokens += [character.encode() for character in wide]
    tokens.append(None)
    return rellm.compile(constraint, rellm.Vocabulary(tokens, eos_token_ids=[len(tokens) - 1]))


def judge(compiled: Any, text: str) -> tuple[str, str, int]:
    """Whether `text` matches, where not and what was expected there: words, their style, the exit status."""
    ids = {data: token for token, data in enumerate(tokens_of(compiled.vocabulary)) if data is not None}
    matcher = compiled.matcher()
    for position, character in enumerate(text):
        if "\ud800" <= character <= "\udfff":
            return f"has the lone surrogate U+{ord(character):04X} at position {position}: no text holds one", "red", 1
        token = ids[character.encode()]
        if not matcher.allows(token):
            rejection = matcher.explain(token)
            where = f"stops matching at position {position}, {character!r} (U+{ord(character):04X})"
            return f"{where}, after {_tail(text[:position])}: expected {rejection.expected}", "red", 1
        matcher.advance(token)
    if matcher.is_accepting:
        ending = "matches in full" if matcher.is_finished else "matches in full, and may go on"
        return f"{text!r} {ending}", "green", 0
    rejection = matcher.explain(compiled.vocabulary.eos_token_ids[0])
    return f"is only the beginning of a match: after {_tail(text)}, expected {rejection.expected}", "red", 1


def tokens_of(vocabulary: Any) -> list[bytes | None]:
    return [vocabulary.token_bytes(token) for token in range(len(vocabulary))]


def engine_of(compiled: Any) -> str:
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


def _surrogates(text: str) -> list[str]:
    return [character for character in text if "\ud800" <= character <= "\udfff"]
