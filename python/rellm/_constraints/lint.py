"""Warns of likely mistakes in a valid pattern, which is enforced as written.

The pattern is cut into tokens as `re` and `regex` cut it, but not parsed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from string import ascii_lowercase, ascii_uppercase, digits
from typing import Final, NamedTuple

from rellm._constraints.report import ReportEntry

_TOKEN = re.compile(
    r"""
    (?P<surrogates>\\[uU](?:0000)?[dD][89abAB][0-9a-fA-F]{2}\\[uU](?:0000)?[dD][c-fC-F][0-9a-fA-F]{2})
    | (?P<escape>\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{1,3}|[pPNLg][{<][^}>]*[}>]|.))
    | (?P<comment>\(\?\#[^)]*\))
    | (?P<open>\((?:\?(?:P?<[^>=!]+>|[a-zA-Z0-9]*(?:-[a-zA-Z]+)?[:)]|<?[=!]|[|>]|P[=>]\w+\)|\([^)]*\))?)?)
    | (?P<close>\))
    | (?P<quantifier>(?:[*+?]|\{\d*,?\d*\}(?<!\{\})(?<!\{,\}))[?+]?)
    | (?P<or>\|)
    | (?P<start>\^)
    | (?P<end>\$)
    | (?P<character>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_CLASS_MEMBER = re.compile(r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[pPN]\{[^}]*\}|.)|.", re.DOTALL)
_POSIX = re.compile(r"\[:\^?[a-z]+:\]")
_SPACE_ESCAPES: Final = frozenset({r"\s", r"\n", r"\r", r"\t", r"\f", r"\v", r"\h", r"\x20", r"\x0a", r"\x09"})
# ASCII ranges that are written on purpose: all printable characters, and punctuation between letters and digits.
_BLOCKS: Final = ("!/", ":@", "[`", "{~", " /", " ~", "!~")


class _Token(NamedTuple):
    kind: str
    text: str
    start: int


def lint(pattern: str, dialect: str, verbose: bool) -> Iterator[ReportEntry]:
    """The suspicious places of a valid pattern, in their order."""
    tokens = list(_tokens(pattern, dialect, verbose))
    depth = 0
    for i, token in enumerate(tokens):
        if token.kind == "class":
            yield from _class_entries(token, dialect)
        elif token.kind == "escape":
            yield from _double_escape(token, pattern[token.start + 2 : token.start + 4])
        elif token.kind == "surrogates":
            yield _pair(token)
        if token.kind == "open" and not token.text.endswith(")"):
            depth += 1
        elif token.kind == "close":
            depth -= 1
        elif token.kind == "quantifier" and i and _is_unbounded(token.text) and _is_space(tokens[i - 1]):
            yield _suspicious(
                "whitespace",
                f"{tokens[i - 1].text}{token.text} allows any amount of whitespace, and models get caught in it",
                "give it a bound, {0,8} say, or generate with a limit on whitespace",
                tokens[i - 1].start,
            )
        if depth == 0 and _is_idle_anchor(tokens, i):
            where = "start" if token.text in ("^", r"\A") else "end"
            yield _suspicious(
                "anchor",
                f"{token.text} does nothing at the {where}: the whole text has to match in any case",
                "leave it out",
                token.start,
            )


def literal_texts(pattern: str, dialect: str, verbose: bool) -> list[str]:
    """The runs of characters that stand for themselves: `a\\|b+c` has `a|b` and `c`."""
    runs = [""]
    for token in _tokens(pattern, dialect, verbose):
        if token.kind == "character":
            runs[-1] += token.text
        elif token.kind == "escape" and len(token.text) == 2 and not token.text[1].isalnum():
            runs[-1] += token.text[1]
        else:
            runs.append("")
    return [run for run in runs if run]


def _suspicious(keyword: str, why: str, remedy: str, position: int) -> ReportEntry:
    return ReportEntry("", keyword, "suspicious", why, remedy, position=position)


def _tokens(pattern: str, dialect: str, verbose: bool) -> Iterator[_Token]:
    at = 0
    while at < len(pattern):
        if pattern[at] == "[":
            end = _class_end(pattern, at, dialect)
            yield _Token("class", pattern[at:end], at)
            at = end
            continue
        if verbose and (pattern[at].isspace() or pattern[at] == "#"):
            line = pattern.find("\n", at)
            at = at + 1 if pattern[at] != "#" else (line + 1 if line >= 0 else len(pattern))
            continue
        found = _TOKEN.match(pattern, at)
        if found is None or found.lastgroup is None:  # a lone backslash at the end; such a pattern is refused before
            return
        if found.lastgroup != "comment":
            yield _Token(found.lastgroup, found[0], at)
        at = found.end()


def _class_end(pattern: str, start: int, dialect: str) -> int:
    """The end of the class that begins at `start`; in `regex`, classes may be nested."""
    at, depth = start + 1, 1
    at += pattern.startswith("^", at)
    at += pattern.startswith("]", at)
    while at < len(pattern) and depth:
        if pattern[at] == "\\":
            at += 2
            continue
        posix = _POSIX.match(pattern, at) if dialect == "regex" else None
        if posix is not None:
            at = posix.end()
            continue
        depth -= pattern[at] == "]"
        at += 1
    return at


def _class_entries(token: _Token, dialect: str) -> Iterator[ReportEntry]:
    text, start = token.text, token.start
    if dialect == "re" and re.match(r"\[\[:\^?[a-z]+:\]|\[:\^?[a-z]+:\]", text):
        yield _suspicious(
            "POSIX class",
            f"re knows no POSIX classes: {text} is one of the characters between the brackets",
            'write [a-zA-Z], \\d or \\s, or read the pattern with dialect="regex", which knows [[:alpha:]]',
            start,
        )
        return
    members = [(found[0], start + found.start()) for found in _CLASS_MEMBER.finditer(text)][1:-1]
    for i, (member, position) in enumerate(members):
        if member == r"\\" and i + 1 < len(members):
            yield from _double_escape(
                _Token("escape", member, position), text[position - start + 2 : position - start + 4]
            )
        if member == "-" and 0 < i < len(members) - 1:
            yield from _range_entry(members[i - 1][0], members[i + 1][0], members[i - 1][1])


def _range_entry(low: str, high: str, position: int) -> Iterator[ReportEntry]:
    """A range between two characters of different kinds: `"-_` holds all digits and letters."""
    if len(low) > 1 or len(high) > 1 or not (low.isascii() and high.isascii()) or low >= high:
        return
    same_kind = any(low in kind and high in kind for kind in (digits, ascii_lowercase, ascii_uppercase))
    between = [chr(point) for point in range(ord(low) + 1, ord(high))]
    if same_kind or low + high in _BLOCKS or not between or between == ["-"]:
        return
    shown = "".join(between) if len(between) <= 8 else "".join(between[:6]) + "…"
    yield _suspicious(
        "range",
        f"{low}-{high} is a range of {len(between) + 2} characters, which holds {shown} too",
        r"for a hyphen, write \- or put it last; for the range, write its ends as \x escapes",
        position,
    )


def _double_escape(token: _Token, following: str) -> Iterator[ReportEntry]:
    if token.text == r"\\" and following[:1] in tuple("dDwWsS") and not following[1:2].isalpha():
        yield _suspicious(
            "double escape",
            rf"\\{following[0]} is a backslash and the letter {following[0]}, not \{following[0]}",
            f"write \\{following[0]}: in a raw string, r'…', a backslash stands once",
            token.start,
        )


def _pair(token: _Token) -> ReportEntry:
    halves = [int(half, 16) for half in re.findall(r"[uU](?:0000)?([0-9a-fA-F]{4})", token.text)]
    point = 0x10000 + ((halves[0] - 0xD800) << 10) + (halves[1] - 0xDC00)
    return _suspicious(
        "surrogates",
        f"{token.text} is two surrogates, as JSON writes one character; no text holds them",
        f"write \\U{point:08X}",
        token.start,
    )


def _is_unbounded(quantifier: str) -> bool:
    return quantifier[0] in "*+" or bool(re.match(r"\{\d*,\}", quantifier))


def _is_space(token: _Token) -> bool:
    if token.kind == "character":
        return token.text.isspace()
    if token.kind == "escape":
        return token.text in _SPACE_ESCAPES
    if token.kind == "class":
        members = _CLASS_MEMBER.findall(token.text)[1:-1]
        return bool(members) and all(member in _SPACE_ESCAPES or member.isspace() for member in members)
    return False


def _is_idle_anchor(tokens: list[_Token], index: int) -> bool:
    """Whether this is an anchor at the very start or end of an alternative that is not in a group."""
    token = tokens[index]
    if token.kind == "start" or token.text == r"\A":
        before = tokens[index - 1] if index else None
        return before is None or before.kind == "or" or (index == 1 and _sets_flags(before))
    if token.kind == "end" or token.text in (r"\Z", r"\z"):
        return index + 1 == len(tokens) or tokens[index + 1].kind == "or"
    return False


def _sets_flags(token: _Token) -> bool:
    return token.kind == "open" and token.text.endswith(")")
