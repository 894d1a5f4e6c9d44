"""The state of one row of a batch, found from its tokens, and where its text ends before the model says so.

Whatever `generate` does (reorders beams, rejects drafts, pads what has finished), a row's state follows from the
tokens after its prompt. Nothing here counts calls.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

LIVE = 0  # in the language, still to be continued or ended
ENDED = 1  # an end-of-sequence token was taken where the text matches
ABANDONED = 2  # outside the language: a beam or a draft that transformers has given up, or padding after a stop


class Row:
    """The tokens of one row after the prompt, and the matcher that has read them."""

    __slots__ = ("accepted", "eos", "matcher", "status", "tokens")

    def __init__(self, matcher: Any, eos_token_ids: frozenset[int]) -> None:
        self.matcher = matcher
        self.tokens: list[int] = []
        self.accepted = 0  # how many of the tokens the matcher holds
        self.status = LIVE
        self.eos = eos_token_ids

    def copy(self) -> Row:
        other = Row(self.matcher.copy(), self.eos)
        other.tokens = self.tokens.copy()
        other.accepted = self.accepted
        other.status = self.status
        return other

    def may_add(self, token_id: int) -> bool:
        """Whether this token may come next: text that the matcher allows, or an end where the text matches."""
        if token_id in self.eos:
            return bool(self.matcher.is_accepting)
        return bool(self.matcher.allows(token_id))

    def push(self, token_id: int) -> None:
        """One more token. After the end, and outside the language, tokens are only remembered."""
        self.tokens.append(token_id)
        if self.status != LIVE:
            return
        if token_id in self.eos:
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
    """The rows that share one constraint: of one prompt (with its beams or returns), or of all.

    Each call's rows are found among the last call's rows: `generate` only ever extends, reorders or shortens these.
    So memory is bounded by one call's rows.
    """

    def __init__(self, start: Row) -> None:
        self._start = start
        self.rows: list[Row] = []

    def reaches(self, tokens: list[int]) -> bool:
        """Whether the text is at most one token longer than where one of the rows has been."""
        return any(common_length(row.tokens, tokens) >= len(tokens) - 1 for row in self.rows)

    def sources(self, texts: Sequence[list[int]]) -> list[tuple[Row, int]]:
        """For each of `texts` the known row that shares most with it, and how much."""
        known = {tuple(row.tokens): row for row in self.rows}
        found = []
        for tokens in texts:
            parent = known.get(tuple(tokens[:-1])) if tokens else None
            found.append((parent, len(tokens) - 1) if parent is not None else self._nearest(tokens))
        return found

    def _nearest(self, tokens: list[int]) -> tuple[Row, int]:
        best, most = self._start, 0
        for row in self.rows:
            common = common_length(row.tokens, tokens)
            if common > most:
                best, most = row, common
        return best, most

    def update(self, texts: Sequence[list[int]]) -> list[Row]:
        """The states of `texts`."""
        if len(texts) == len(self.rows) and all(
            len(tokens) == len(row.tokens) + 1 and tokens[:-1] == row.tokens
            for tokens, row in zip(texts, self.rows, strict=True)
        ):  # the usual step: every row is what it was, and one token more
            for tokens, row in zip(texts, self.rows, strict=True):
                row.push(tokens[-1])
            return self.rows
        sources = self.sources(texts)
        uses = Counter(id(source) for source, _ in sources)
        found = []
        for source, _ in sources:
            uses[id(source)] -= 1
            # The last to use a row takes the row itself, unless it is the start, which stays.
            found.append(source.copy() if uses[id(source)] or source is self._start else source)
        for row, tokens, (_, common) in zip(found, texts, sources, strict=True):  # only now: copies are made
            row.move_to(tokens, common)
        self.rows = found
        return found


def stop_strings(stop: str | Sequence[str] | None) -> tuple[bytes, ...]:
    """The stop strings as bytes; they are literal, never patterns."""
    if stop is None:
        return ()
    if isinstance(stop, bytes) or not isinstance(stop, Iterable):
        raise TypeError(f"stop is {type(stop).__name__} {stop!r}: pass str, or a list of str")
    strings = [stop] if isinstance(stop, str) else list(stop)
    for string in strings:
        if not isinstance(string, str):
            raise TypeError(f"a stop string is {type(string).__name__}: pass str, or a list of str")
        if not string:
            raise ValueError("an empty stop string would end every text before it begins: leave it out")
    return tuple(string.encode() for string in strings)


def find_stop(data: bytes, stops: Sequence[bytes]) -> int:
    """Where the first stop string begins in `data`; −1 if there is none."""
    found = [at for at in (data.find(stop) for stop in stops) if at >= 0]
    return min(found, default=-1)


class TextEnd:
    """A stopping criterion for one call of `generate`: ends each row on its own.

    Args:
        start: for each row a matcher at the start of its text, or None for a row without a constraint.
        begins: how many tokens stand before the texts; None as long as nobody knows, and nothing is written.
    """

    def __init__(
        self,
        start: Sequence[Any | None],
        vocabulary: Any,
        eos: frozenset[int],
        begins: Callable[[], int | None],
        stops: Sequence[bytes],
        stop_after_match: bool,
    ) -> None:
        self._begins = begins
        self._start = start
        self._vocabulary = vocabulary
        self._eos = eos
        self._stops = stops
        self._stop_after_match = stop_after_match
        self._longest = max(map(len, stops), default=0)
        self._groups: list[RowGroup | None] | None = None

    def __call__(self, input_ids: Any, scores: Any = None, **_: Any) -> Any:
        """A boolean for each row: whether it is over."""
        import torch

        begins = self._begins()
        if begins is None:
            return torch.zeros(input_ids.shape[0], dtype=torch.bool, device=input_ids.device)
        texts: list[list[int]] = input_ids[:, begins:].tolist()
        factor = max(len(texts) // len(self._start), 1)
        if self._groups is None:
            self._groups = [
                None if matcher is None else RowGroup(Row(matcher.copy(), self._eos)) for matcher in self._start
            ]
        done: list[bool] = []
        for i, group in enumerate(self._groups):
            part = texts[i * factor : (i + 1) * factor]
            rows: Sequence[Row | None] = [None] * len(part) if group is None else group.update(part)
            done.extend(self._is_over(tokens, row) for tokens, row in zip(part, rows, strict=True))
        return torch.tensor(done, dtype=torch.bool, device=input_ids.device)

    def _is_over(self, tokens: list[int], row: Row | None) -> bool:
        if row is not None:
            if row.status in (ENDED, ABANDONED):
                return True
            if row.status == LIVE and (
                row.matcher.is_finished or (self._stop_after_match and tokens and row.matcher.is_accepting)
            ):
                return True
        return bool(self._stops) and self._has_stop(tokens)

    def _has_stop(self, tokens: list[int]) -> bool:
        """Whether the last token brought a stop string; earlier ones were looked at in their turn."""
        data = b""
        last: int | None = None
        for token_id in reversed(tokens):
            if last is not None and len(data) >= self._longest + last:
                break
            more = self._vocabulary.token_bytes(token_id) if token_id < len(self._vocabulary) else None
            data = (more or b"") + data
            last = len(data) if last is None else last
        return find_stop(data, self._stops) >= 0
