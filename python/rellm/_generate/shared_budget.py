"""No string and no list eats the budget of the others: a soft rule for JSON texts.

An open string or list may take so many tokens, or half of what was left when it began, if that is more. Beyond that,
and as long as something else has to be written behind it, first only tokens are allowed that bring the end no further
away, and then only those that bring it nearer, until it is closed; what follows has its choice again.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

from rellm._constraints.json_schema.json_place import JsonPlace

if TYPE_CHECKING:
    from rellm._generate.text_state import Row

LEAST: Final = 64
"""So many tokens every string and list may take."""
_SLACK: Final = 4
_MOST_KNOWN: Final = 256
# What may stand behind the last value: it closes what is open.
_CLOSING: Final = b"]} \t\r\n`"


class _Opened:
    """Where a text stands, and with which token what is open there began."""

    __slots__ = ("containers", "place", "string")

    def __init__(self) -> None:
        self.place = JsonPlace()
        self.containers: list[int] = []
        self.string = 0

    def after(self, data: bytes, index: int) -> _Opened:
        """One token further."""
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
        # By the tokens of a text. What is known of a text one token shorter is gone on from.
        self._known: OrderedDict[tuple[int, tuple[int, ...]], _Opened] = OrderedDict()

    def most(self, row: Row, left: int) -> int | None:
        """The tokens within which the text has to stay, this one included; None where the whole budget is its own."""
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
        """How many tokens above its share something has; negative: it may go on."""
        return count - begun - max(LEAST, (self._limit - begun) // 2)

    def _opened(self, tokens: tuple[int, ...], hidden: int) -> _Opened:
        """Where a text stands, of which the first `hidden` bytes are the prompt's."""
        key = hidden, tokens
        found = self._known.get(key)
        if found is None:
            found = self._known.get((hidden, tokens[:-1]))
            start = len(tokens) - 1
            if found is None:
                found, start = _Opened(), 0
            for index in range(start, len(tokens)):
                data = self._vocabulary.token_bytes(tokens[index]) or b""
                # Texts are looked at from their 64th token on: the hidden bytes stand before it.
                skipped = min(hidden, len(data)) if start == 0 else 0
                hidden -= skipped
                found = found.after(data[skipped:], index)
            self._known[key] = found
            while len(self._known) > _MOST_KNOWN:
                self._known.popitem(last=False)
        return found


def _others_follow(place: JsonPlace, completion: bytes, depth: int) -> bool:
    """Whether the shortest way on writes more values behind the open string (depth -1) or the container at a depth."""
    place, rest = place.copy(), None
    for index in range(len(completion)):
        place.read(completion[index : index + 1])
        if rest is None and not (place.in_string if depth < 0 else len(place.containers) > depth):
            rest = completion[index + 1 :]
    return place.is_whole and bool((rest or b"").strip(_CLOSING))
