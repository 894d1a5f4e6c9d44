"""Reads grammars in GBNF, llama.cpp's format, and in xgrammar's EBNF, which adds regular expressions and lookaheads."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

from rellm._constraints.grammar.failures import failure
from rellm._constraints.grammar.rule_tree import (
    ANY_CHAR,
    EMPTY,
    NEVER,
    Alt,
    Chars,
    Expr,
    Look,
    Pattern,
    Place,
    Ref,
    Rule,
    RuleSet,
    Special,
    Text,
    loop,
    seq,
)

_MAX_DEPTH = 100
_TOKEN = re.compile(
    r"""
    (?P<space>(?:[ \t\r\n]|\#[^\n]*)+)
  | (?P<define>(?P<name_defined>[A-Za-z_][\w-]*)(?:[ \t\r\n]|\#[^\n]*)*::=)
  | (?P<name>[A-Za-z_][\w-]*)
  | (?P<string>"(?:\\.|[^"\\\n])*")
  | (?P<chars>\[(?:\\.|[^\]\\\n])*\])
  | (?P<special>!?<(?:\[[^\]<>\s]*\]|[^<>\s]+)>)
  | (?P<regex>/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n\[])+/)
  | (?P<count>\{\s*\d*\s*(?:,\s*\d*\s*)?\})
  | (?P<ahead>\((?:\?)?=)
  | (?P<sign>[()|*+?.])
    """,
    re.VERBOSE,
)
_ESCAPES = {
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "\\": "\\",
    '"': '"',
    "[": "[",
    "]": "]",
    "-": "-",
    "^": "^",
    "'": "'",
    "/": "/",
}
_NUMBERED = {"x": 2, "u": 4, "U": 8}


def read_gbnf(source: str, start: str | None) -> RuleSet:
    """Reads a grammar in GBNF or xgrammar's EBNF.

    Args:
        source: its text.
        start: the rule to start with, by default "root".

    Raises:
        GrammarError: the text is wrong.
    """
    return RuleSet(_Reader(source).rules(), start or "root")


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int


class _Reader:
    def __init__(self, source: str) -> None:
        self._source = source
        self._line_ends = [end.start() for end in re.finditer("\n", source)]
        self._tokens = list(self._read())
        self._next = 0
        self._depth = 0

    def rules(self) -> dict[str, Rule]:
        found: dict[str, Rule] = {}
        while self._peek() is not None:
            token = self._take()
            if token.kind != "define":
                self._fail(f"{token.text} does not belong here", token, "a rule begins with its name and ::=")
            name = token.text
            if name in found:
                self._fail(
                    f"the rule {name} is defined twice (the first is at line {found[name].place[0]})",
                    token,
                    "join the two with |",
                )
            found[name] = Rule(name, NEVER, self._place(token.at))
            found[name].body = self._alternatives()
        return found

    def _alternatives(self) -> Expr:
        parts = [self._sequence()]
        while self._is("|"):
            self._take()
            parts.append(self._sequence())
        return Alt(tuple(dict.fromkeys(parts))) if len(parts) > 1 else parts[0]

    def _sequence(self) -> Expr:
        parts: list[Expr] = []
        while (token := self._peek()) is not None and token.kind != "define" and token.text not in ("|", ")"):
            parts.append(self._repeated(self._take()))
        return seq(*parts)

    def _repeated(self, token: _Token) -> Expr:
        body = self._atom(token)
        while (token := self._peek()) is not None and (token.kind == "count" or token.text in ("*", "+", "?")):  # type: ignore[assignment]
            self._take()
            if token.kind != "count":
                low, high = {"*": (0, None), "+": (1, None), "?": (0, 1)}[token.text]
            else:
                first, comma, second = token.text[1:-1].partition(",")
                if not comma and not first.strip():
                    self._fail("the repetition has no number", token, "write {2}, {2,} or {2,4}")
                low = int(first) if first.strip() else 0
                high = low if not comma else int(second) if second.strip() else None
                if high is not None and high < low:
                    self._fail(f"the repetition {token.text} is empty", token, "write the smaller number first")
            body = loop(body, low, high)
        return body

    def _atom(self, token: _Token) -> Expr:
        if token.kind == "name":
            return Ref(token.text, self._place(token.at))
        if token.kind == "string":
            text = "".join(self._characters(token, token.text[1:-1], token.at + 1))
            return Text(text) if text else EMPTY
        if token.kind == "chars":
            return self._chars(token)
        if token.kind == "special":
            return self._special(token)
        if token.kind == "regex":
            return self._regex(token)
        if token.text == ".":
            return ANY_CHAR
        if token.text != "(" and token.kind != "ahead":
            self._fail(f"{token.text} repeats nothing", token, "write it behind what is to be repeated")
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            self._fail(f"parts are nested more than {_MAX_DEPTH} deep", token, "give inner parts a rule of their own")
        body = self._alternatives()
        self._depth -= 1
        if not self._is(")"):
            self._fail("the bracket is not closed", token, 'add ")"')
        self._take()
        return Look(body) if token.kind == "ahead" else body

    def _chars(self, token: _Token) -> Expr:
        inside, at = token.text[1:-1], token.at + 1
        negated = inside.startswith("^")
        if negated:
            inside, at = inside[1:], at + 1
        if not inside:
            self._fail("the class has no characters", token, "write them between [ and ]")
        found = list(self._escaped(token, inside, at))
        ranges = []
        index = 0
        while index < len(found):
            low = found[index][0]
            high = low
            if index + 2 < len(found) and found[index + 1] == ("-", False):
                high = found[index + 2][0]
                index += 2
            if ord(low) > ord(high):
                self._fail(f"the range {low}-{high} is empty", token, "swap its ends")
            ranges.append((ord(low), ord(high)))
            index += 1
        if not negated:
            return Chars(tuple(ranges))
        from rellm._constraints.expression import inverted_ranges

        return Chars(tuple(inverted_ranges(ranges)))

    def _special(self, token: _Token) -> Expr:
        if token.text.startswith("!"):
            self._fail(
                "!<…> (any token but this one) says what tokens may be written, not what strings",
                token,
                "write a class of characters; special tokens never appear unless they are named",
            )
        if not token.text.startswith("<["):
            return Special(token.text, place=self._place(token.at))
        number = token.text[2:-2]
        if not number.isdigit():
            self._fail(f"{token.text} is no token's number", token, "write it as <[1000]>")
        return Special(ids=((int(number), int(number)),), place=self._place(token.at))

    def _regex(self, token: _Token) -> Expr:
        source = token.text[1:-1].replace("\\/", "/")
        try:
            re.compile(source)
        except re.error as error:
            self._fail(
                f"the regular expression {token.text} is wrong: {error.msg}", token, "write it as Python's re reads it"
            )
        return Pattern(source)

    def _characters(self, token: _Token, text: str, at: int) -> Iterator[str]:
        return (character for character, _ in self._escaped(token, text, at))

    def _escaped(self, token: _Token, text: str, at: int) -> Iterator[tuple[str, bool]]:
        """The characters of a string or class, each with whether it was escaped."""
        index = 0
        while index < len(text):
            character = text[index]
            if character != "\\":
                yield character, False
                index += 1
                continue
            letter = text[index + 1]
            digits = _NUMBERED.get(letter)
            if digits is not None:
                number = text[index + 2 : index + 2 + digits]
                if len(number) < digits or not all(digit in "0123456789abcdefABCDEF" for digit in number):
                    self._fail_at(f"\\{letter} needs {digits} hexadecimal digits", at + index, "add the missing ones")
                if int(number, 16) > 0x10FFFF:
                    self._fail_at(f"\\{letter}{number} is no code point", at + index, "write at most \\U0010ffff")
                yield chr(int(number, 16)), True
                index += 2 + digits
            elif letter in _ESCAPES:
                yield _ESCAPES[letter], True
                index += 2
            else:
                self._fail_at(
                    f"the escape \\{letter} is unknown",
                    at + index,
                    f'write {letter}, or "\\\\{letter}" for a backslash',
                )

    def _read(self) -> Iterator[_Token]:
        at = 0
        while at < len(self._source):
            found = _TOKEN.match(self._source, at)
            if found is None:
                self._fail_at(*self._unread(at))
            if found.lastgroup == "define":
                yield _Token("define", found["name_defined"], at)
            elif found.lastgroup != "space":
                yield _Token(str(found.lastgroup), found[0], at)
            at = found.end()

    def _unread(self, at: int) -> tuple[str, int, str]:
        character = self._source[at]
        closing = {'"': 'the string does not end in its line: add "', "[": "the class does not end in its line: add ]"}
        if character in closing:
            what, _, remedy = closing[character].partition(": ")
            return what, at, remedy
        if character == ":":
            return "a single colon belongs to Lark", at, 'write ::=, or pass format="lark"'
        return f"{character} does not belong here", at, "a name, a string, a class, a bracket or an operator does"

    def _peek(self) -> _Token | None:
        return self._tokens[self._next] if self._next < len(self._tokens) else None

    def _is(self, text: str) -> bool:
        token = self._peek()
        return token is not None and token.kind == "sign" and token.text == text

    def _take(self) -> _Token:
        self._next += 1
        return self._tokens[self._next - 1]

    def _place(self, at: int) -> Place:
        line = bisect_left(self._line_ends, at) + 1
        return line, at - self._source.rfind("\n", 0, at)

    def _fail(self, what: str, token: _Token, remedy: str) -> NoReturn:
        self._fail_at(what, token.at, remedy)

    def _fail_at(self, what: str, at: int, remedy: str) -> NoReturn:
        raise failure(what, self._place(at), remedy, self._source)
