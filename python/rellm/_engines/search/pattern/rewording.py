"""Other words for what partial matching gets wrong, so that it loses no text that can still match.

`partial=True` asks for more text where it wants to read a character and there is none. It does not ask
- where something that reads nothing fails at the end of the text: a lookbehind, an anchor, a boundary. What came
  before might have gone on (`(?:ab)*(?<=c)` is dead after `ab`, it says). So an alternative is added that reads a
  character and fails: it matches nothing, but it asks.
- where something holds at the end of the text, and might not hold if the text went on: `$`, `\\Z`, `\\b`. They are put
  as lookaheads, which ask. A least number of errors in a fuzzy item is left out.
"""

from __future__ import annotations

from typing import Final

NO_MORE: Final = r"(?!(?s:.))"
NO_MORE_BUT_NEWLINE: Final = r"(?!\n(?s:.)|[^\n])"
NO_MORE_ON_LINE: Final = r"(?![^\n])"
WORDS: Final = {
    "b": r"(?:(?<=\w)(?!\w)|(?<!\w)(?=\w))",
    "B": r"(?:(?<=\w)(?=\w)|(?<!\w)(?!\w))",
    "m": r"(?:(?<!\w)(?=\w))",
    "M": r"(?:(?<=\w)(?!\w))",
}
_NOTHING: Final = "(?:)"
_ASKING: Final = ("(?:", r"|(?s:.)(?!))")


def asking(source: str) -> str:
    """The same, so that it asks for more where it fails at the end of the text."""
    return source.join(_ASKING)


class Rewording:
    """Changes to the source of a pattern, collected while it is read."""

    def __init__(self) -> None:
        self._instead: list[tuple[int, int, str]] = []
        self._before: dict[int, str] = {}
        self._after: dict[int, str] = {}
        self.is_widened = False
        """Whether some of it matches more than the pattern does."""
        self.first_widened = 0
        """Where the first such stands."""

    @property
    def is_empty(self) -> bool:
        """Whether partial matching gets nothing wrong."""
        return not (self._instead or self._before)

    def put(self, start: int, end: int, words: str) -> None:
        """Puts other words in the place of `start` to `end`."""
        self._instead.append((start, end, words))

    def widen(self, start: int, end: int, words: str = _NOTHING) -> None:
        """Puts words there that match more."""
        if not self.is_widened:
            self.first_widened = start
        self.is_widened = True
        self.put(start, end, words)

    def ask(self, start: int, end: int) -> None:
        """Makes what stands from `start` to `end` ask for more. What is around comes after what is inside."""
        self._before[start] = _ASKING[0] + self._before.get(start, "")
        self._after[end] = self._after.get(end, "") + _ASKING[1]

    def of(self, source: str) -> str:
        """The source in other words."""
        parts = []
        at = 0
        changes = sorted(
            [(start, 2, end, words) for start, end, words in self._instead]
            + [(start, 1, start, words) for start, words in self._before.items()]
            + [(end, 0, end, words) for end, words in self._after.items()]
        )
        for start, _, end, words in changes:
            parts += [source[at:start], words]
            at = end
        return "".join([*parts, source[at:]])
