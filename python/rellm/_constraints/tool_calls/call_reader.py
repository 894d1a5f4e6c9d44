"""Reads tool calls from a model's text, whole or while it is being written."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from rellm._constraints.tool_calls.argument_style import ArgumentScanner
from rellm._constraints.tool_calls.call_format import HOLES, CallFormat

_DIGITS: Final = re.compile("[0-9]+")


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More text of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class CallBegun:
    """A call has begun: its number in the message, and its name."""

    number: int
    name: str


@dataclass(frozen=True, slots=True)
class ArgumentsDelta:
    """More of the JSON text of a call's arguments."""

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class IdWritten:
    """The id of a call, where the model writes it."""

    number: int
    id: str


Event = TextDelta | CallBegun | ArgumentsDelta | IdWritten


@dataclass(slots=True)
class WrittenCall:
    """A call that was read: its name, its arguments as JSON text, its id where the model writes one."""

    name: str
    arguments: str = ""
    id: str | None = None
    is_whole: bool = False


@dataclass(slots=True)
class CallReader:
    """Reads a message piece by piece; each character is read a bounded number of times.

    The constraint makes the message follow the format; a text that does not is read as text of the answer.

    Args:
        layout: the format.
        names: the names of the tools.
    """

    layout: CallFormat
    names: Sequence[str]
    text: str = ""
    calls: list[WrittenCall] = field(default_factory=list)
    content: str = ""
    _at: int = 0
    _piece: int = 0
    _shown: int = 0  # the characters of the text, or of the arguments, that were reported
    _in: str = "start"  # "start", "text", "call", "behind"
    _scanner: ArgumentScanner | None = None
    _searched: int = 0

    def feed(self, more: str) -> Iterator[Event]:
        """Reads the next piece of text; yields its events."""
        self.text += more
        yield from self._read(is_last=False)

    def finish(self) -> Iterator[Event]:
        """Reads the end of the text; yields its events."""
        yield from self._read(is_last=True)

    def _read(self, *, is_last: bool) -> Iterator[Event]:
        before = None
        while before != (self._in, self._at, self._piece):
            before = (self._in, self._at, self._piece)
            if self._in == "start":
                self._start(is_last)
            elif self._in == "text":
                yield from self._read_text(is_last)
            elif self._in == "call":
                yield from self._read_piece(is_last)
            elif self._in == "behind":
                self._go_on()

    # -- text -------------------------------------------------------------------------------------------------------

    def _openings(self) -> list[str]:
        """The texts that can begin a message of calls."""
        first = self.layout.begin + self.layout.call[0]
        if self.layout.call[0] != "@name":
            return [first + name + self.layout.call[2] for name in self.names] if self._name_follows() else [first]
        return [self.layout.begin + name + self.layout.call[1] for name in self.names]

    def _name_follows(self) -> bool:
        return len(self.layout.call) > 2 and self.layout.call[1] == "@name" and self.layout.call[2] not in HOLES

    def _start(self, is_last: bool) -> None:
        layout = self.layout
        if layout.marker and not layout.at_start:
            self._in = "text"
            return
        if any(self.text.startswith(opening) for opening in self._openings()):
            self._begin_calls(0)
            return
        if not is_last and any(opening.startswith(self.text) for opening in self._openings()):
            return
        before = layout.text[0]
        if not is_last and len(self.text) < len(before) and before.startswith(self.text):
            return
        self._in = "text"
        self._at = self._shown = len(before) if self.text.startswith(before) else 0

    def _read_text(self, is_last: bool) -> Iterator[Event]:
        layout = self.layout
        if layout.marker and not layout.at_start:
            before = layout.text[0]
            if not self._at and before:
                if self.text.startswith(before):
                    self._at = self._shown = self._searched = len(before)
                elif not is_last and before.startswith(self.text):
                    return
            found = self.text.find(layout.marker, self._searched)
            if found >= 0:
                end = found
                if layout.after_text and self.text.endswith(layout.after_text, self._shown, found):
                    end -= len(layout.after_text)
                yield from self._show(end)
                self._begin_calls(found)
                return
            self._searched = max(self._searched, len(self.text) - len(layout.marker) + 1)
        end = len(self.text)
        after = layout.text[1]
        if is_last:
            if after and self.text.endswith(after, self._at):
                end -= len(after)
        else:
            marker = layout.marker if layout.marker and not layout.at_start else ""
            held = [after, marker, layout.after_text + marker if marker else ""]
            end -= max((_begun(self.text, sign) for sign in held if sign), default=0)
        yield from self._show(end)

    def _show(self, end: int) -> Iterator[Event]:
        if end > self._shown:
            piece = self.text[self._shown : end]
            self.content += piece
            self._shown = end
            yield TextDelta(piece)

    # -- calls ------------------------------------------------------------------------------------------------------

    def _begin_calls(self, at: int) -> None:
        self._in, self._at, self._piece = "call", at + len(self.layout.begin), 0

    def _read_piece(self, is_last: bool) -> Iterator[Event]:
        layout = self.layout
        if self._piece == len(layout.call):
            if self.calls:
                self.calls[-1].is_whole = True
            self._in = "behind"
            return
        piece = layout.call[self._piece]
        if piece == "@name":
            for name in self.names:
                if self.text.startswith(name + self._next(), self._at):
                    self.calls.append(WrittenCall(name))
                    self._at += len(name)
                    self._piece += 1
                    yield CallBegun(len(self.calls) - 1, name)
                    return
        elif piece == "@arguments":
            yield from self._read_arguments(is_last)
        elif piece == "@id":
            end = self.text.find(self._next(), self._at)
            if end >= 0 and self.calls:
                self.calls[-1].id = self.text[self._at : end]
                self._at, self._piece = end, self._piece + 1
                yield IdWritten(len(self.calls) - 1, self.calls[-1].id)
        elif piece == "@index":
            found = _DIGITS.match(self.text, self._at)
            if found is not None and self.text.startswith(self._next(), found.end()):
                self._at, self._piece = found.end(), self._piece + 1
        elif self.text.startswith(piece, self._at):
            self._at += len(piece)
            self._piece += 1

    def _next(self) -> str:
        """The literal text after a hole."""
        following = self.layout.call[self._piece + 1]
        if following == "@arguments":
            return self.layout.arguments.outer[0]
        return following

    def _read_arguments(self, is_last: bool) -> Iterator[Event]:
        style, call, number = self.layout.arguments, self.calls[-1], len(self.calls) - 1
        if self._scanner is None:
            self._scanner = ArgumentScanner(style, self._at)
            self._shown = self._at
        end = self._scanner.end(self.text)
        if style.is_json:
            until = len(self.text) if end is None else end
            piece = self.text[self._shown : until]
            self._shown = until
        else:
            piece = "" if end is None else json.dumps(style.read(self.text[self._at : end]), ensure_ascii=False)
        call.arguments += piece
        if piece:
            yield ArgumentsDelta(number, piece)
        if end is not None:
            self._at, self._piece, self._scanner = end, self._piece + 1, None

    def _go_on(self) -> None:
        layout = self.layout
        following = layout.between + layout.call[0] if layout.call[0] not in HOLES else layout.between
        if following and self.text.startswith(following, self._at):
            self._in, self._at, self._piece = "call", self._at + len(layout.between), 0

    @property
    def is_whole(self) -> bool:
        """Whether all begun calls have ended, and no other text follows them."""
        if not self.calls:
            return self._in in ("start", "text")
        return self._in == "behind" and self.text[self._at :] == self.layout.end


def _begun(text: str, sign: str) -> int:
    """The length of the longest prefix of `sign` at the end of a text."""
    return next((n for n in range(min(len(sign), len(text)), 0, -1) if text.endswith(sign[:n])), 0)


def arguments_of(call: WrittenCall) -> dict[str, Any]:
    """The arguments of a call as data."""
    found: dict[str, Any] = json.loads(call.arguments)
    return found
