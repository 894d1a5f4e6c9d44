"""Reads a message from a model's text, whole or piece by piece: thinking, answer, calls."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rellm._constraints.pieces import Pieces
from rellm._constraints.special_token import SpecialToken
from rellm._constraints.thinking import Thinking
from rellm._constraints.tool_calls.call_reader import CallReader, Event, TextDelta
from rellm._constraints.tool_calls.calls import ToolCalls


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """More of the thinking."""

    text: str


class MessageReader:
    """Reads the text of one message, with special tokens by their names.

    Args:
        constraint: the constraint of the message; None for no constraint.
    """

    def __init__(self, constraint: Any) -> None:
        thinking = constraint if isinstance(constraint, Thinking) else None
        answer = constraint.answer if isinstance(constraint, Thinking) else constraint
        self._thinking = thinking
        self._phase = "answer" if thinking is None else "begin"
        self._text = ""  # the end of the text that is not classified yet
        self._calls: CallReader | None = None
        if isinstance(answer, ToolCalls):
            self._calls = CallReader(answer.layout, [tool.name for tool in answer.allowed])
        markers = None if thinking is None or self._calls is not None else thinking.markers
        self._before = "" if markers is None else "".join(markers.before_answer)
        self._after = "" if markers is None else "".join(markers.after_answer)
        self.content = ""
        self.reasoning = ""

    @property
    def calls(self) -> list[Any]:
        """The calls that were read so far."""
        return [] if self._calls is None else self._calls.calls

    def feed(self, text: str) -> Iterator[Event | ReasoningDelta]:
        """Reads the next piece of text; yields its events."""
        self._text += text
        yield from self._read(is_last=False)

    def finish(self) -> Iterator[Event | ReasoningDelta]:
        """Reads the end of the text; yields its events."""
        yield from self._read(is_last=True)

    def _read(self, *, is_last: bool) -> Iterator[Event | ReasoningDelta]:
        if self._phase == "begin":
            self._begin(is_last)
        if self._phase == "thinking":
            yield from self._think(is_last)
        if self._phase == "gap":
            self._skip_gap(is_last)
        if self._phase == "answer":
            yield from self._answer(is_last)

    def _begin(self, is_last: bool) -> None:
        assert self._thinking is not None
        if self._thinking.state in ("open", "closed"):
            self._phase = "thinking"
            return
        opening = "".join(self._thinking.markers.opens)
        if self._text.startswith(opening):
            self._text = self._text[len(opening) :]
            self._phase = "thinking"
        elif is_last or not opening.startswith(self._text):
            self._phase = "gap"

    def _think(self, is_last: bool) -> Iterator[ReasoningDelta]:
        assert self._thinking is not None
        markers = self._thinking.markers
        closing = "".join([markers.closes, *markers.behind])
        text, found = self._text, self._text.find(closing)
        if not self.reasoning:
            text = text.lstrip() if found != 0 else text
            found = text.find(closing)
        if found >= 0:
            shown, self._text = text[:found], text[found + len(closing) :]
            self._phase = "gap"
        else:
            held = 0 if is_last else max(_begun(text, closing), len(text) - len(text.rstrip()))
            shown, self._text = text[: len(text) - held], text[len(text) - held :]
        if found >= 0 or is_last:
            shown = shown.rstrip()
        if shown:
            self.reasoning += shown
            yield ReasoningDelta(shown)

    def _skip_gap(self, is_last: bool) -> None:
        for gap in ("\n\n", "\n"):
            if self._text.startswith(gap):
                self._text = self._text[len(gap) :]
                break
        if self._before:
            if self._text.startswith(self._before):
                self._text = self._text[len(self._before) :]
            elif not is_last and self._before.startswith(self._text):
                return
        elif not self._text and not is_last:
            return
        self._phase = "answer"

    def _answer(self, is_last: bool) -> Iterator[Event]:
        text, self._text = self._text, ""
        if self._calls is not None:
            events = [*self._calls.feed(text), *(self._calls.finish() if is_last else ())]
            self.content = self._calls.content
            yield from events
            return
        if self._after:
            if is_last:
                text = text.removesuffix(self._after)
            else:
                held = _begun(text, self._after)
                text, self._text = text[: len(text) - held], text[len(text) - held :]
        if text:
            self.content += text
            yield TextDelta(text)


def _begun(text: str, sign: str) -> int:
    """The length of the longest prefix of `sign` at the end of a text."""
    return next((n for n in range(min(len(sign), len(text)), 0, -1) if text.endswith(sign[:n])), 0)


def written_text(completion: Any) -> str:
    """The text of a completion before its cut, with the names of its special tokens."""
    size = len(completion.bytes)
    pieces: Pieces = completion.pieces
    kept = Pieces(pieces.data[:size], tuple(one for one in pieces.specials if one[0] <= size))
    return "".join((piece.name or "") if isinstance(piece, SpecialToken) else str(piece) for piece in kept)


class TokensInText:
    """Records the tokens of a text while they are written, and finds the places of its special tokens.

    It is a streamer of transformers: `put` gets the prompt, then each token.

    Args:
        vocabulary: the model's vocabulary.
        eos: the ids that end a text.
    """

    def __init__(self, vocabulary: Any, eos: Any) -> None:
        self._vocabulary = vocabulary
        self._eos = frozenset(eos)
        self._size = 0  # the bytes of the text so far
        self._shown = 0
        self._ends: list[int] = []  # the end of each token, in bytes
        self._specials: list[tuple[int, str]] = []

    def put(self, value: Any) -> None:
        """Takes the prompt, as a table of ids, or one more token."""
        if len(getattr(value, "shape", (1,))) > 1:
            return
        for token in value.reshape(-1).tolist():
            if token in self._eos or token >= len(self._vocabulary):
                continue
            data = self._vocabulary.token_bytes(token)
            if data:
                self._size += len(data)
                self._ends.append(self._size)
            elif (name := self._vocabulary.special_token_name(token)) is not None:
                self._specials.append((self._size, name))

    def end(self) -> None:
        """The text is over."""

    def parts(self, piece: str, hidden: int = 0) -> Iterator[str]:
        """A piece of the text, token by token, with the special tokens before and inside it.

        Args:
            piece: the piece.
            hidden: the number of bytes that were written before the text.
        """
        self._shown = max(self._shown, hidden)
        data = piece.encode()
        start, end = self._shown, self._shown + len(data)
        cuts = {at for at in self._ends if start < at < end and data[at - start] & 0xC0 != 0x80}
        cuts |= {at for at, _ in self._specials if start <= at < end} | {end}
        at = start
        for cut in sorted(cuts):
            while self._specials and self._specials[0][0] <= at:
                yield self._specials.pop(0)[1]
            if cut > at:
                yield data[at - start : cut - start].decode(errors="replace")
                at = cut
        self._shown = end
        self._ends = [place for place in self._ends if place > end]

    def rest(self) -> Iterator[str]:
        """The special tokens after the text."""
        while self._specials:
            yield self._specials.pop(0)[1]
