"""The state of one row of a batch, derived from its tokens; the only place that decides where its text ends.

A row's state depends only on the tokens after its prompt, never on the number of calls, so it stays right when
`generate` reorders beams, rejects drafts, or pads finished rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from rellm._generate.stop_strings import find_stop

_MOST_FINISHED = 256  # the most finished beams that a group keeps; an older one is read again from its start


class RowStatus(Enum):
    """Whether a row's text goes on, and how it ended."""

    LIVE = "in the language, to be continued or ended"
    ENDED = "an end-of-sequence token was taken where the text matches"
    FINISHED = "the text matches, and the call ends it there"
    STOPPED = "a stop string was written"
    ABANDONED = "outside the language: a beam or draft that transformers has given up, or padding"


@dataclass(frozen=True)
class EndRules:
    """The rules that end a text.

    Attributes:
        eos: the end-of-sequence ids.
        vocabulary: the tokens' bytes, and the ids that end a text unless a call names others.
        stops: stop strings; empty for a caller that ends texts itself.
        at_first_match: end as soon as the text matches.
        where_nothing_follows: end where the text matches and no token can follow, without an end-of-sequence token.
        pad: the padding token, which ends a text without a constraint.
        continued: the hidden prefix of the text, from a healed prompt; None if there is none.
    """

    eos: frozenset[int]
    vocabulary: Any
    stops: tuple[bytes, ...] = ()
    at_first_match: bool = False
    where_nothing_follows: bool = False
    pad: int | None = None
    continued: Any = None

    def visible(self, data: bytes) -> bytes:
        """The text without the hidden prefix of a healed prompt."""
        return data if self.continued is None else data[self.continued.hidden(data) :]

    def stops_in(self, tokens: Sequence[int]) -> bool:
        """Whether the last of `tokens` completes a stop string."""
        if not self.stops:
            return False
        if self.continued is not None:
            whole = b"".join(text_bytes(self.vocabulary, token_id) for token_id in tokens)
            return find_stop(self.visible(whole), self.stops) >= 0
        longest = max(map(len, self.stops))
        data, last = b"", None
        for token_id in reversed(tokens):
            if last is not None and len(data) >= longest + last:
                break
            data = text_bytes(self.vocabulary, token_id) + data
            last = len(data) if last is None else last
        return find_stop(data, self.stops) >= 0


def text_bytes(vocabulary: Any, token_id: int) -> bytes:
    """The bytes of a token; none for special tokens and ids beyond the vocabulary."""
    return (vocabulary.token_bytes(token_id) or b"") if 0 <= token_id < len(vocabulary) else b""


class Row:
    """The tokens of one row after the prompt, and the matcher that has read them.

    Args:
        matcher: a matcher at the start of the text; None for a row without a constraint.
        rules: the rules that end the text.
    """

    __slots__ = ("_over_at", "accepted", "matcher", "rules", "status", "tokens")

    def __init__(self, matcher: Any, rules: EndRules) -> None:
        self.matcher = matcher
        self.rules = rules
        self.tokens: list[int] = []
        self.accepted = 0  # how many of the tokens are text; the matcher holds these
        # Where only the empty text matches, the text is over before its first token.
        is_over = rules.where_nothing_follows and matcher is not None and matcher.is_finished
        self.status = RowStatus.FINISHED if is_over else RowStatus.LIVE
        self._over_at = 0  # the number of tokens when the text ended

    def copy(self) -> Row:
        other = Row(None if self.matcher is None else self.matcher.copy(), self.rules)
        other.tokens = self.tokens.copy()
        other.accepted = self.accepted
        other.status = self.status
        other._over_at = self._over_at
        return other

    @property
    def is_live(self) -> bool:
        """Whether the text may go on."""
        return self.status is RowStatus.LIVE

    @property
    def is_text(self) -> bool:
        """Whether all tokens are text: no end-of-sequence token, padding or given-up token follows it."""
        return self.accepted == len(self.tokens)

    @property
    def text_tokens(self) -> list[int]:
        """The tokens of the text, without the one that ended it and those after it."""
        return self.tokens[: self.accepted]

    @property
    def end_token(self) -> int | None:
        """The end-of-sequence token behind the text; None if none was written."""
        after = self.tokens[self.accepted] if self.accepted < len(self.tokens) else None
        return after if after in self.rules.eos else None

    def may_add(self, token_id: int) -> bool:
        """Whether this token may come next: text that the matcher allows, or an end where the text matches."""
        if self.matcher is None:
            return True
        if token_id in self.rules.eos and not self._is_last_symbol(token_id):
            return bool(self.matcher.is_accepting)
        return bool(self.matcher.allows(token_id))

    def _is_last_symbol(self, token_id: int) -> bool:
        """Whether the constraint itself asks for this end-of-sequence id here, as the last symbol of its text."""
        matcher, vocabulary = self.matcher, self.rules.vocabulary
        return not matcher.is_accepting and token_id in vocabulary.eos_token_ids and matcher.allows(token_id)

    def push(self, token_id: int) -> None:
        """Add one token. Once the text has ended, tokens are stored and no longer read."""
        self.tokens.append(token_id)
        if self.status is RowStatus.LIVE:
            self.status = self._status_after(token_id)
            self._over_at = len(self.tokens)

    def _status_after(self, token_id: int) -> RowStatus:
        matcher, rules = self.matcher, self.rules
        if token_id in rules.eos:
            if matcher is None or matcher.is_accepting:
                return RowStatus.ENDED
            if not self._is_last_symbol(token_id):
                return RowStatus.ABANDONED
            matcher.advance(token_id)
            self.accepted += 1
            return RowStatus.ENDED
        if matcher is None:
            if token_id == rules.pad:
                return RowStatus.ABANDONED
        elif matcher.allows(token_id):
            matcher.advance(token_id)
        else:
            return RowStatus.ABANDONED
        self.accepted += 1
        if rules.stops_in(self.tokens):
            return RowStatus.STOPPED
        if matcher is not None and (
            (rules.where_nothing_follows and matcher.is_finished) or (rules.at_first_match and matcher.is_accepting)
        ):
            return RowStatus.FINISHED
        return RowStatus.LIVE

    def move_to(self, tokens: Sequence[int], common: int) -> None:
        """Set the tokens of the row, which shares the first `common` of them already."""
        if common < len(self.tokens):
            if common < self.accepted:
                if self.matcher is not None:
                    self.matcher.rollback(self.accepted - common)
                self.accepted = common
            if common < self._over_at:
                self.status = RowStatus.LIVE
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
    """The rows that share one constraint: those of one prompt (with its beams or returns), or all rows.

    Each step's rows are found among those of the previous step, because `generate` only extends, reorders or shortens
    them. So memory is bounded by the rows of one step and the finished beams that are kept.

    Args:
        start: a row without tokens, which is copied.
        keeps_finished: keep rows whose texts have ended, because `generate` may return them much later.
    """

    def __init__(self, start: Row, *, keeps_finished: bool = False) -> None:
        self._start = start
        self._keeps_finished = keeps_finished
        self._finished: list[Row] = []
        self.rows: list[Row] = []

    def reaches(self, tokens: list[int]) -> bool:
        """Whether the text is at most one token longer than a prefix of one of the rows."""
        return any(common_length(row.tokens, tokens) >= len(tokens) - 1 for row in self.rows)

    def sources(self, texts: Sequence[list[int]]) -> list[tuple[Row, int]]:
        """For each of `texts` the known row with the longest common prefix, and the length of the prefix."""
        known = {tuple(row.tokens): row for row in self.rows}
        found = []
        for tokens in texts:
            whole = known.get(tuple(tokens))
            parent = known.get(tuple(tokens[:-1])) if tokens else None
            if whole is not None:
                found.append((whole, len(tokens)))
            elif parent is not None:
                found.append((parent, len(tokens) - 1))
            else:
                found.append(self._nearest(tokens))
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
            len(tokens) - len(row.tokens) in (0, 1) and tokens[: len(row.tokens)] == row.tokens
            for tokens, row in zip(texts, self.rows, strict=True)
        ):  # the usual step: every row is unchanged, or one token longer
            for tokens, row in zip(texts, self.rows, strict=True):
                if len(tokens) > len(row.tokens):
                    row.push(tokens[-1])
        else:
            self._move(texts)
        if self._keeps_finished:
            self._keep_finished()
        return self.rows

    def final(self, texts: Sequence[list[int]]) -> list[Row]:
        """The states of the texts that `generate` returned, finished beams among them."""
        self.rows = [*self.rows, *self._finished]
        self._move(texts)
        return self.rows

    def _move(self, texts: Sequence[list[int]]) -> None:
        sources = self.sources(texts)
        uses = Counter(id(source) for source, _ in sources)
        found = []
        for source, _ in sources:
            uses[id(source)] -= 1
            # The last text that uses a row takes the row itself instead of a copy, unless it is the start, which stays.
            found.append(source.copy() if uses[id(source)] or source is self._start else source)
        for row, tokens, (_, common) in zip(found, texts, sources, strict=True):  # only now: copies are made
            row.move_to(tokens, common)
        self.rows = found

    def _keep_finished(self) -> None:
        ended = [
            row.copy() for row in self.rows if row.status in (RowStatus.ENDED, RowStatus.FINISHED, RowStatus.STOPPED)
        ]
        if ended:
            self._finished = [*self._finished, *ended][-_MOST_FINISHED:]
