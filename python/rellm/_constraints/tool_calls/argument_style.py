"""Styles of tool-call arguments: JSON, keyword arguments, or a model's own notation; writing and reading them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

_NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_OPENING: Final = "{[("
_CLOSING: Final = "}])"


@dataclass(frozen=True, slots=True)
class ArgumentStyle:
    """The style of arguments; by default that of `json.dumps(arguments, ensure_ascii=False)`.

    Attributes:
        string: the opening and closing sign of a string.
        escapes: whether strings are escaped as in JSON; otherwise they contain anything but their closing sign.
        words: true, false, null.
        comma: the separator of two members or items.
        key: the texts around the key of an object inside the arguments.
        outer_key: the same of the arguments themselves.
        outer: the texts around the arguments.
        is_sorted: whether keys are in alphabetical order, without regard to case.
    """

    string: tuple[str, str] = ('"', '"')
    escapes: bool = True
    words: tuple[str, str, str] = ("true", "false", "null")
    comma: str = ", "
    key: tuple[str, str] = ('"', '": ')
    outer_key: tuple[str, str] = ('"', '": ')
    outer: tuple[str, str] = ("{", "}")
    is_sorted: bool = False

    @property
    def is_json(self) -> bool:
        """Whether the written arguments are JSON."""
        return self == _JSON

    def key_text(self, key: str, *, is_outer: bool) -> tuple[str, str]:
        """The texts around a key: its opening, and all text between the key and its value."""
        opened, closed = self.outer_key if is_outer else self.key
        return opened, f"{json.dumps(key, ensure_ascii=False)[1:-1] if opened else key}{closed}"

    def arranged(self, keys: Mapping[str, Any]) -> dict[str, Any]:
        """Keys in the order in which they are written."""
        return dict(sorted(keys.items(), key=lambda item: item[0].lower()) if self.is_sorted else keys.items())

    def write(self, arguments: Mapping[str, Any]) -> str:
        """The text of these arguments."""
        return self._members(arguments, is_outer=True)

    def _members(self, value: Mapping[str, Any], *, is_outer: bool) -> str:
        members = (
            "".join(self.key_text(key, is_outer=is_outer)) + self._write(held)
            for key, held in self.arranged(value).items()
        )
        before, after = self.outer if is_outer else ("{", "}")
        return before + self.comma.join(members) + after

    def _write(self, value: Any) -> str:
        if isinstance(value, bool) or value is None:
            return self.words[2 if value is None else 0 if value else 1]
        if isinstance(value, str):
            body = json.dumps(value, ensure_ascii=False)[1:-1] if self.escapes else value
            return self.string[0] + body + self.string[1]
        if isinstance(value, Mapping):
            return self._members(value, is_outer=False)
        if isinstance(value, (list, tuple)):
            return "[" + self.comma.join(map(self._write, value)) + "]"
        return json.dumps(value)

    def read(self, text: str) -> dict[str, Any]:
        """Reads arguments back from a text of `write`.

        Raises:
            ValueError: `write` cannot have made the text.
        """
        if self.is_json:
            value = json.loads(text)
            if not isinstance(value, dict):
                raise ValueError(f"arguments are an object, not {text!r:.60}")
            return value
        value, end = self._read_members(text, 0, is_outer=True)
        if end != len(text):
            raise ValueError(f"{text[end:]!r:.60} follows the arguments")
        return value

    def _read_members(self, text: str, at: int, *, is_outer: bool) -> tuple[dict[str, Any], int]:
        before, after = self.outer if is_outer else ("{", "}")
        opened, closed = self.outer_key if is_outer else self.key
        at = _skip(text, at, before)
        found: dict[str, Any] = {}
        while at < len(text) if not after else not text.startswith(after, at):
            at = _skip(text, at, self.comma) if found else at
            start = _skip(text, at, opened)
            end = text.index(closed, start)
            key = text[start:end]
            value, at = self._read(text, end + len(closed))
            found[json.loads(f'"{key}"') if opened else key] = value
        return found, at + len(after)

    def _read(self, text: str, at: int) -> tuple[Any, int]:
        opened, closed = self.string
        if text.startswith(opened, at):
            end = _end_of_string(text, at + len(opened), closed, self.escapes)
            if end < 0:
                raise ValueError(f"the string at position {at} has no end")
            body = text[at + len(opened) : end - len(closed)]
            return (json.loads(f'"{body}"', strict=False) if self.escapes else body), end
        for word, value in zip(self.words, (True, False, None), strict=True):
            if text.startswith(word, at):
                return value, at + len(word)
        if text.startswith("{", at):
            return self._read_members(text, at, is_outer=False)
        if text.startswith("[", at):
            return self._read_items(text, at + 1)
        number = _NUMBER.match(text, at)
        if number is None:
            raise ValueError(f"no value begins at position {at} of {text!r:.80}")
        return json.loads(number[0]), number.end()

    def _read_items(self, text: str, at: int) -> tuple[list[Any], int]:
        found: list[Any] = []
        while not text.startswith("]", at):
            value, at = self._read(text, _skip(text, at, self.comma) if found else at)
            found.append(value)
        return found, at + 1


_JSON: Final = ArgumentStyle()


class ArgumentScanner:
    """Finds the end of arguments in a text that is still being written. Each character is read once.

    Args:
        style: the style of the arguments.
        at: the index at which they begin.
    """

    def __init__(self, style: ArgumentStyle, at: int) -> None:
        self._style = style
        self._at = at
        self._depth = 0
        self._is_string = False

    def end(self, text: str) -> int | None:
        """The index of the end of the arguments; None if they have not ended yet."""
        style, longest = self._style, max(map(len, self._style.string))
        while self._at < len(text):
            if self._is_string:
                end = _end_of_string(text, self._at, style.string[1], style.escapes)
                if end < 0:
                    # Characters that may begin the closing sign or an escape are read again with the next piece.
                    self._at = _resting_place(text, self._at, style)
                    return None
                self._at, self._is_string = end, False
                continue
            if text.startswith(style.string[0], self._at):
                self._at, self._is_string = self._at + len(style.string[0]), True
                continue
            if len(text) - self._at < longest and style.string[0].startswith(text[self._at :]):
                return None
            sign = text[self._at]
            if sign in _CLOSING:
                if not self._depth:
                    return self._at
                self._depth -= 1
                if not self._depth and style.outer[0]:
                    return self._at + 1
            self._depth += sign in _OPENING
            self._at += 1
        return None


def _resting_place(text: str, at: int, style: ArgumentStyle) -> int:
    closing = style.string[1]
    if not style.escapes:
        return max(at, len(text) - len(closing) + 1)
    # After an even number of backslashes no escape is open.
    end = len(text)
    while end > at and text[end - 1] == "\\":
        end -= 1
    return len(text) - (len(text) - end) % 2


def _end_of_string(text: str, at: int, closing: str, escapes: bool) -> int:
    """The end of the string that is open at `at`, its closing sign included; -1: it has not ended."""
    if not escapes:
        found = text.find(closing, at)
        return -1 if found < 0 else found + len(closing)
    for found in _unescaped(text, at, closing):
        return found + len(closing)
    return -1


def _unescaped(text: str, at: int, closing: str) -> Iterator[int]:
    while at < len(text):
        quote, backslash = text.find(closing, at), text.find("\\", at)
        if quote < 0:
            return
        if backslash < 0 or quote < backslash:
            yield quote
            return
        at = backslash + 2


def _skip(text: str, at: int, expected: str) -> int:
    if not text.startswith(expected, at):
        raise ValueError(f"{expected!r} was expected at position {at} of {text!r:.80}")
    return at + len(expected)
