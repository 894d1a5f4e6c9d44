"""Shares the token budget of a JSON text among its strings and lists, by a soft rule.

An open string or list may take `LEAST` tokens, or half of the budget that was left when it began, if that is more.
Beyond that, and as long as more values have to follow it, first only tokens that do not increase the distance to a
match are allowed, and then only tokens that reduce it, until the string or list is closed. Then the model chooses
freely again.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

from rellm._constraints.json_schema.json_place import JsonPlace

if TYPE_CHECKING:
    from rellm._generate.text_state import Row

LEAST: Final = 64
"""The number of tokens that every string and list may take."""
_SLACK: Final = 4
_MOST_KNOWN: Final = 256
# The characters that may follow the last value: closing brackets, whitespace and the end of a Markdown fence.
_CLOSING: Final = b"]} \t\r\n`"


class _Opened:
    """The JSON place of a text, and the tokens at which its open string and containers began."""

    __slots__ = ("containers", "place", "string")

    def __init__(self) -> None:
        self.place = JsonPlace()
        self.containers: list[int] = []
        self.string = 0

    def after(self, data: bytes, index: int) -> _Opened:
        """The state after one more token."""
        other = _Opened()
        other.place, other.containers, other.string = self.place.copy(), self.containers.copy(), self.string
        before = self.place.pointer if self.place.in_string else None
        for byte in data:
            other.place.read(bytes([byte]))
            depth = len(other.place.containers)
            del other.containers[depth:]
            other.containers += [index] * (depth - len(other.containers))
        if other.place.in_string and other.place.pointer != before:
            other.string = index
        return other


class SharedBudget:
    """Finds for each row whether a string or a list has to be closed.

    Args:
        vocabulary: the tokens.
        limit: the budget of a text, in tokens.
    """

    def __init__(self, vocabulary: Any, limit: int) -> None:
        self._vocabulary = vocabulary
        self._limit = limit
        # Keys are the tokens of a text; the state of a text one token shorter is continued.
        self._known: OrderedDict[tuple[int, tuple[int, ...]], _Opened] = OrderedDict()

    def most(self, row: Row, left: int) -> int | None:
        """The reduced budget of the text, this token included; None where the whole budget is available."""
        tokens = tuple(row.text_tokens)
        if len(tokens) < LEAST:
            return None
        hidden = 0 if row.rules.continued is None else len(row.rules.continued.head.encode())
        opened = self._opened(tokens, hidden)
        place = opened.place
        exceeding = []
        if place.in_string:
            exceeding.append((self._over(opened.string, len(tokens)), -1))
        for depth, kind in enumerate(place.containers):
            if kind == "array":
                exceeding.append((self._over(opened.containers[depth], len(tokens)), depth))
        exceeding = [(over, depth) for over, depth in exceeding if over >= 0]
        if not exceeding:
            return None
        completion = row.matcher.shortest_completion()
        if completion is None:
            return None
        over = max((over for over, depth in exceeding if _others_follow(place, completion, depth)), default=-1)
        nearest = None if over < 0 else row.matcher.tokens_to_match(left)
        if nearest is None:
            return None
        return int(min(left, nearest + (over < _SLACK)))

    def _over(self, begun: int, count: int) -> int:
        """By how many tokens a string or list exceeds its share; negative: it may go on."""
        return count - begun - max(LEAST, (self._limit - begun) // 2)

    def _opened(self, tokens: tuple[int, ...], hidden: int) -> _Opened:
        """The state of a text whose first `hidden` bytes belong to the prompt."""
        key = hidden, tokens
        found = self._known.get(key)
        if found is None:
            found = self._known.get((hidden, tokens[:-1]))
            start = len(tokens) - 1
            if found is None:
                found, start = _Opened(), 0
            for index in range(start, len(tokens)):
                data = self._vocabulary.token_bytes(tokens[index]) or b""
                # Only texts of at least `LEAST` tokens get here: the hidden bytes are within the first of them.
                skipped = min(hidden, len(data)) if start == 0 else 0
                hidden -= skipped
                found = found.after(data[skipped:], index)
            self._known[key] = found
            while len(self._known) > _MOST_KNOWN:
                self._known.popitem(last=False)
        return found


def _others_follow(place: JsonPlace, completion: bytes, depth: int) -> bool:
    """Whether the shortest completion has more values after the open string (depth -1) or the container at `depth`."""
    place, rest = place.copy(), None
    for index in range(len(completion)):
        place.read(completion[index : index + 1])
        if rest is None and not (place.in_string if depth < 0 else len(place.containers) > depth):
            rest = completion[index + 1 :]
    return place.is_whole and bool((rest or b"").strip(_CLOSING))
