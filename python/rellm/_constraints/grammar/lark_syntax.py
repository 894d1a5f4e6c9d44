"""Parses grammars in Lark's format with Lark itself, and explains its errors.

The syntax is in `lark_syntax.lark`: Lark's own, with llguidance's additions.
"""

from __future__ import annotations

import re
from functools import lru_cache
from importlib import resources
from typing import Any

from rellm._constraints.grammar.failures import failure, require_lark
from rellm._constraints.grammar.rule_tree import Place

_MAX_EXPECTED = 5


@lru_cache(maxsize=1)
def _parser() -> Any:
    lark = require_lark('format="lark"')
    syntax = resources.files("rellm._constraints.grammar").joinpath("lark_syntax.lark").read_text(encoding="utf-8")
    return lark.Lark(syntax, parser="lalr", regex=True, maybe_placeholders=True)


def parse_lark(source: str, module: str) -> Any:
    """The tree of a grammar's text; `module` is the name of an imported grammar.

    Raises:
        GrammarError: it does not follow the syntax.
    """
    lark = require_lark('format="lark"')
    try:
        return _parser().parse(source)
    except lark.exceptions.UnexpectedInput as error:
        ended = error.line < 1 or getattr(getattr(error, "token", None), "type", "") == "$END"
        place = _end_of(source) if ended else (error.line, error.column)
        raise failure(*_syntax_failure(source, place, error), source, module) from None


def _syntax_failure(source: str, place: Place, error: Any) -> tuple[str, Place, str]:
    lines = source.splitlines() or [""]
    line = lines[min(place[0], len(lines)) - 1]
    found = line[place[1] - 1 :].split(maxsplit=1)
    shown = found[0][:20] if found else "the end of the line"
    if "::=" in line:
        return "::= belongs to GBNF", place, 'pass format="gbnf", or write one colon'
    if shown.startswith("%"):
        return (
            f"{shown} is no statement that is read here",
            place,
            "%ignore, %import, %override and %extend are; %json and %regex stand inside rules",
        )
    if shown.startswith(('"', "'")):
        return f"the string {shown} does not end, or is not in double quotes", place, 'write strings as "text"'
    if shown.startswith("/"):
        return f"the regular expression {shown} does not end in its line", place, "write it as /pattern/flags"
    expected = sorted(_WORDS.get(name, name) for name in getattr(error, "accepts", None) or error.allowed or ())
    if not 0 < len(expected) <= _MAX_EXPECTED:
        expected = ["a name, a string, a regular expression, an operator or a bracket"]
    remedy = f"{' or '.join(expected)} is expected"
    return f"{shown} does not belong here" if found else "the grammar ends too early", place, remedy


_WORDS = {
    "RULE": "a rule's name",
    "TERMINAL": "a terminal's name",
    "STRING": "a string",
    "REGEXP": "a regular expression",
    "COLON": '":"',
    "VBAR": '"|"',
    "LPAR": '"("',
    "RPAR": '")"',
    "LSQB": '"["',
    "RSQB": '"]"',
    "LBRACE": '"{"',
    "RBRACE": '"}"',
    "COUNT": "{m,n}",
    "OPERATOR": "?, * or +",
    "SPECIAL": "<|token|>",
    "EMBEDDED": "%json",
    "_NL": "a new line",
    "_TIMES": '"~"',
    "_NOT": '"~"',
    "$END": "the end",
    "__ANON_0": '"->"',
    "AMPERSAND": '"&"',
}


def _end_of(source: str) -> Place:
    lines = source.splitlines() or [""]
    return len(lines), len(lines[-1]) + 1


def place_of(token: Any) -> Place:
    """The place of a token."""
    return (token.line, token.column)


def first_place(tree: Any) -> Place:
    """The place of the first token of a tree."""
    for token in tree.scan_values(lambda value: hasattr(value, "line")):
        return place_of(token)
    return (1, 1)


_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "\\": "\\", '"': '"', "/": "/"}


def unescaped(text: str) -> str:
    """The text of a string from the characters between its quotes; escapes unknown to Lark keep the backslash."""

    def one(found: re.Match[str]) -> str:
        number = found[1] or found[2] or found[3]
        return chr(int(number, 16)) if number else _ESCAPED.get(found[4], found[0])

    return _ESCAPE.sub(one, text)
