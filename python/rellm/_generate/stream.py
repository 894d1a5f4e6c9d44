"""Streams a text while it is written: `TextStream`, and the conversion of bytes into whole characters."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Sequence
from collections.abc import Generator as Steps
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self

from rellm._constraints.continued import Continued
from rellm._generate.stop_strings import find_stop
from rellm._generate.typed_results import Value

if TYPE_CHECKING:
    from rellm._constraints.json_schema.partial import PartialJson
    from rellm._engines.compile import CompiledConstraint
    from rellm._generate.completion import Completion


class TextStream(Steps[str, None, "Completion[Value]"], Generic[Value]):
    """The pieces of a text while a model writes it; made by `Generator.stream`.

        stream = generator.stream(prompt, constraint)
        for piece in stream:
            print(piece, end="", flush=True)
        stream.completion

    A piece never splits a character, and never holds part of a stop string. The model is only asked while pieces are
    taken. `close()`, leaving a `with` block, or dropping the stream ends the text where it is. As a generator, it
    returns the `Completion` (that is the value of `yield from`).
    """

    def __init__(
        self, steps: Steps[str, None, Completion[Value]], stop: Callable[[], None], unseen: Unseen | None = None
    ) -> None:
        self._steps = steps
        self._stop = stop
        self._unseen = unseen
        self._completion: Completion[Value] | None = None
        self._unread: list[str] = []
        self._partial: PartialJson | None = None

    @property
    def partial_value(self) -> Any:
        """The JSON value as far as it is written, as plain data; None while there is no value yet.

        Unfinished numbers and words are left out, an unfinished string is given as far as it is written; it never
        raises, and asking after every piece costs no more than the text. The lists and dicts grow while the text is
        written: copy values that you keep. For a text that is not JSON it is None.
        """
        if self._partial is None:
            from rellm._constraints.json_schema.partial import PartialJson

            self._partial = PartialJson()
        for piece in self._unread:
            self._partial.feed(piece)
        self._unread.clear()
        return self._partial.value

    @property
    def completion(self) -> Completion[Value]:
        """The `Completion` of the whole text; pieces that were not read yet are written first."""
        for _ in self:
            pass
        if self._completion is None:
            raise RuntimeError("the stream was closed before the text ended, so that there is no completion")
        return self._completion

    @property
    def hidden_bytes(self) -> int:
        """The number of bytes that the model rewrote of a healed prompt; known from the first piece on."""
        return 0 if self._unseen is None else self._unseen.size

    @property
    def is_done(self) -> bool:
        """Whether the text has ended, so that `completion` returns at once."""
        return self._completion is not None

    def send(self, value: None, /) -> str:
        """The next piece; `next(stream)` does the same."""
        try:
            piece = self._steps.send(value)
            self._unread.append(piece)
            return piece
        except StopIteration as end:
            self._completion = end.value if end.value is not None else self._completion
            raise

    def throw(self, *error: Any) -> str:
        """Raise an error inside the stream, which ends it."""
        return self._steps.throw(*error)

    def stop(self) -> None:
        """End the text after the token that is being written, from any thread."""
        self._stop()

    def close(self) -> None:
        """End the text where it is."""
        self._steps.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class Unseen:
    """The hidden prefix of a text: the end of a healed prompt, which the model rewrites.

    Args:
        compiled: the constraint of the text, or None.
    """

    def __init__(self, compiled: CompiledConstraint | None) -> None:
        found = None if compiled is None else compiled.constraint
        self._continued = found if isinstance(found, Continued) else None
        self._held: bytes | None = None if self._continued is None else b""
        self.size = 0
        """Its length in bytes; 0 while it is unknown."""

    def behind(self, data: bytes) -> bytes:
        """The part of the next bytes that follows the hidden prefix."""
        if self._held is None or self._continued is None:
            return data
        self._held += data
        hidden = self._continued.hidden(self._held, is_whole=False)
        if hidden is None:
            return b""
        self.size = hidden
        shown, self._held = self._held[hidden:], None
        return shown


class TextPieces:
    """Turns bytes into pieces of text: never half a character, never part of a stop string."""

    def __init__(self, stops: Sequence[bytes]) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._stops = stops
        self._held = b""
        self._taken = 0
        self._stopped = False

    def push(self, data: bytes) -> str:
        if self._stopped:
            return ""
        self._held += data
        at = find_stop(self._held, self._stops)
        self._stopped = at >= 0
        keep = len(self._held) - at if self._stopped else self._begun_stop()
        return self._take(len(self._held) - keep)

    def rest(self, whole: bytes) -> str:
        """The end of the finished text `whole` that was held back."""
        self._held = whole[self._taken :]
        return self._take(len(self._held)) + self._decoder.decode(b"", True)

    def _take(self, n: int) -> str:
        ready, self._held = self._held[:n], self._held[n:]
        self._taken += n
        return self._decoder.decode(ready)

    def _begun_stop(self) -> int:
        """The number of bytes at the end that are a prefix of a stop string."""
        longest = 0
        for stop in self._stops:
            for n in range(min(len(stop) - 1, len(self._held)), longest, -1):
                if self._held.endswith(stop[:n]):
                    longest = n
                    break
        return longest
