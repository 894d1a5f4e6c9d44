"""The state of one row of a batch, found from its tokens.

Whatever `generate` does (reorders beams, rejects drafts, pads what has finished), a row's state follows from the
tokens after its prompt. Nothing here counts calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

LIVE = 0  # in the language, still to be continued or ended
ENDED = 1  # an end-of-sequence token was taken where the text matches
ABANDONED = 2  # outside the language: a beam or a draft that transformers has given up, or padding after a stop


class Row:
    """The tokens of one row after the prompt, and the matcher that has read them."""

    __slots__ = ("_eos", "accepted", "matcher", "status", "tokens")

    def __init__(self, matcher: Any, eos_token_ids: frozenset[int]) -> None:
        self.matcher = matcher
        self.tokens: list[int] = []
        self.accepted = 0  # how many of the tokens the matcher holds
        self.status = LIVE
        self._eos = eos_token_ids

    def copy(self) -> Row:
        other = Row(self.matcher.copy(), self._eos)
        other.tokens = self.tokens.copy()
        other.accepted = self.accepted
        other.status = self.status
        return other

    def push(self, token_id: int) -> None:
        """One more token. After the end, and outside the language, tokens are only remembered."""
        self.tokens.append(token_id)
        if self.status != LIVE:
            return
        if token_id in self._eos:
            self.status = ENDED if self.matcher.is_accepting else ABANDONED
        elif self.matcher.allows(token_id):
            self.matcher.advance(token_id)
            self.accepted += 1
        else:
            self.status = ABANDONED

    def move_to(self, tokens: Sequence[int], common: int) -> None:
        """Make this the row of `tokens`, of which the first `common` are already its own."""
        if common < len(self.tokens):
            if common < self.accepted:
                self.matcher.rollback(self.accepted - common)
                self.accepted = common
            if common <= self.accepted:
                self.status = LIVE
            del self.tokens[common:]
        for token_id in tokens[common:]:
            self.push(token_id)


def common_length(a: Sequence[int], b: Sequence[int]) -> int:
    """The length of the longest common prefix."""
    n = min(len(a), len(b))
    if a[:n] == b[:n]:
        return n
    low, high = 0, n  # a[:low] equal, a[:high] not: bisection over slices, compared in C
    while high - low > 1:
        middle = (low + high) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle
    return low


class RowGroup:
    """The rows that share one constraint and one prompt: one row, or its beams or returns.

    Each call's rows are found among the last call's rows: `generate` only ever extends, reorders or shortens these.
    So memory is bounded by one call's rows.
    """

    def __init__(self, start: Row) -> None:
        self._start = start
        self.rows: list[Row] = []

    def distance(self, rows: list[list[int]]) -> int:
        """The most new tokens that any of `rows` has beyond what is known of it."""
        return max(len(tokens) - self._nearest(tokens)[1] for tokens in rows)

    def update(self, rows: list[list[int]]) -> list[Row]:
        """The states of `rows`."""
        if len(rows) == len(self.rows) and all(
            len(tokens) == len(row.tokens) + 1 and tokens[:-1] == row.tokens
            for tokens, row in zip(rows, self.rows, strict=True)
        ):  # the usual step: every row is what it was, and one token more
            for tokens, row in zip(rows, self.rows, strict=True):
                row.push(tokens[-1])
            return self.rows
        sources = [self._nearest(tokens) for tokens in rows]
        uses: dict[int, int] = {}
        for source, _ in sources:
            uses[id(source)] = uses.get(id(source), 0) + 1
        found = []
        for tokens, (source, common) in zip(rows, sources, strict=True):
            uses[id(source)] -= 1
            # The last to use a row takes the row itself, unless it is the start, which stays.
            row = source.copy() if uses[id(source)] or source is self._start else source
            found.append((row, tokens, common))
        for row, tokens, common in found:  # only now: sources must stay unchanged while they are copied
            row.move_to(tokens, common)
        self.rows = [row for row, _, _ in found]
        return self.rows

    def _nearest(self, tokens: list[int]) -> tuple[Row, int]:
        best, most = self._start, 0
        for row in self.rows:
            common = common_length(row.tokens, tokens)
            if common > most:
                best, most = row, common
        return best, most
