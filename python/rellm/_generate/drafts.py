"""Drafts of forced text: text without a choice, in the tokens that the tokenizer itself would write.

A mask almost never has a single allowed token, because forced text can be cut into tokens in many ways. So the forced
*bytes* are tokenised, together with the text before them: a model has only seen texts in its tokenizer's own tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from rellm._generate.apply_mask import packed_words, unpacked
from rellm._generate.text_state import Row, text_bytes
from rellm._generate.token_prefixes import TokenPrefixes

_CONTEXT_TOKENS = 12  # tokens of the text before, enough for any pre-tokenizer to see where words begin
_MOST = 64  # the longest draft, verified in one forward pass; longer ones save no more per token


class ForcedText:
    """Finds the forced text after a row, in the tokens of the tokenizer.

    Args:
        tokenizer: the one that the model was trained with; called with text, answers with `input_ids`.
        vocabulary: its `Vocabulary`.
    """

    def __init__(self, tokenizer: Any, vocabulary: Any) -> None:
        self._tokenizer = tokenizer
        self._vocabulary = vocabulary
        self.prefixes = TokenPrefixes(vocabulary)

    def candidates(self, matcher: Any, before: Sequence[int]) -> list[int]:
        """Tokens that spell the forced text after `before` (prompt included); a guess at the model's own tokens."""
        forced = _whole_characters(matcher.forced_bytes())
        if not forced:
            return []
        found = self._tokenised(forced, before, strict=False)
        return found[: matcher.validate(found)][:_MOST]

    def certain(self, row: Row, before: Sequence[int], budget: int) -> Iterator[int]:
        """Yields the leading tokens of `candidates` that no continuation could cut differently.

        They stop before the first place where an allowed longer token spells the rest of the forced text and more,
        because the model has a choice there, and where the budget ends.

        Args:
            row: the state of the text; the caller pushes each token to it before asking for the next one.
            before: the tokens before, prompt included.
            budget: the most tokens that the text may have.
        """
        rest = _whole_characters(row.matcher.forced_bytes())
        if not rest:
            return
        for token_id in self._tokenised(rest, before, strict=True)[:_MOST]:
            if self._may_go_past(row.matcher, rest) or not self._fits(row, token_id, budget):
                return
            yield token_id
            rest = rest[len(self._vocabulary.token_bytes(token_id)) :]

    def _fits(self, row: Row, token_id: int, budget: int) -> bool:
        """Whether the token is allowed, and a match can be reached within the budget after it."""
        left = budget - len(row.tokens)
        farthest = row.matcher.longest_way
        if farthest is not None and left > farthest:
            return bool(row.matcher.allows(token_id))
        mask = np.zeros((1, packed_words(len(self._vocabulary))), dtype=np.uint32)
        row.matcher.fill_mask_within(mask, 0, max(left, 0))
        return bool(mask[0, token_id >> 5] >> np.uint32(token_id & 31) & 1)

    def _tokenised(self, forced: bytes, before: Sequence[int], *, strict: bool) -> list[int]:
        """The tokens of `forced` after `before`, by the tokenizer; [] if a token would span both.

        With `strict`, also [] if the tokenizer would have cut the text before differently.
        """
        tail = self._tail(before)
        for context in (tail, []) if not strict and tail else (tail,):
            data = self._vocabulary.tokens_bytes(context)
            try:
                text = (data + forced).decode()
            except UnicodeDecodeError:
                continue
            ids = self._encode(text)
            start = self._boundary(ids, forced)
            if start is None:
                continue
            if strict and context:
                same = min(start, len(context), 2)
                if ids[start - same : start] != context[len(context) - same :] or not same:
                    continue
            return ids[start:]
        return []

    def _encode(self, text: str) -> list[int]:
        return [int(token_id) for token_id in self._tokenizer(text, add_special_tokens=False)["input_ids"]]

    def _tail(self, before: Sequence[int]) -> list[int]:
        """The last tokens that are text and begin at a character."""
        tail: list[int] = []
        for token_id in reversed(before[-_CONTEXT_TOKENS:]):
            if not text_bytes(self._vocabulary, token_id):
                break
            tail.insert(0, token_id)
        while tail and (self._vocabulary.token_bytes(tail[0]) or b"\0")[0] & 0xC0 == 0x80:
            tail.pop(0)
        return tail

    def _boundary(self, ids: list[int], forced: bytes) -> int | None:
        """The index in `ids` of the tokens that spell exactly `forced` at the end; None if a token spans its start."""
        left, start = len(forced), len(ids)
        while left > 0 and start > 0:
            start -= 1
            token_id = ids[start]
            data = text_bytes(self._vocabulary, token_id)
            if not data or not forced[:left].endswith(data):
                return None
            left -= len(data)
        return start if left == 0 else None

    def _may_go_past(self, matcher: Any, rest: bytes) -> bool:
        """Whether some allowed token spells all of `rest` and more."""
        longer = self.prefixes.longer_than(rest)
        if not longer:
            return False
        allowed = unpacked(matcher.mask(), len(self._vocabulary))
        return bool(allowed[np.array(longer)].any())


class RowDrafts:
    """Makes the drafts of one row: forced tokens to append, and forced tokens to verify.

    Args:
        forced_text: finds the forced text.
        row: returns the row at the tokens so far.
        start: the number of tokens before the text.
        budget: the most tokens that the text may have.
        is_unasked: append tokens that no continuation could cut differently, without asking the model.
    """

    def __init__(
        self, forced_text: ForcedText, row: Callable[[list[int]], Row], start: int, budget: int, *, is_unasked: bool
    ) -> None:
        self._forced_text = forced_text
        self._row = row
        self._start = start
        self._budget = budget
        self._is_unasked = is_unasked

    def begin(self, written: list[int]) -> Draft:
        """The draft after these tokens, prompt included."""
        row = self._row(written[self._start :])
        if row.matcher is None or not row.is_live or len(written) < self._start:
            return Draft()
        tokens = self._forced_text.candidates(row.matcher, written)
        if not self._is_unasked or not tokens:
            return Draft(tokens)
        return Draft(tokens, self._forced_text.certain(row, written, self._budget))


class Draft:
    """Forced tokens: first those to append without asking the model, then those to verify.

    Args:
        tokens: a guess at the model's own tokens for the forced text.
        certain: the tokens to append, one after the other.
    """

    def __init__(self, tokens: Sequence[int] = (), certain: Iterator[int] | None = None) -> None:
        self._tokens = list(tokens)
        self._certain: Iterator[int] = iter(()) if certain is None else certain
        self._appended: list[int] = []

    def unasked(self) -> Iterator[int]:
        """Yields the tokens to append; write each one before asking for the next."""
        for token_id in self._certain:
            self._appended.append(token_id)
            yield token_id

    def to_try(self, most: int) -> list[int]:
        """The tokens to verify, after those that were appended; at most `most`."""
        count = len(self._appended)
        return self._tokens[count:][: max(most, 0)] if self._tokens[:count] == self._appended else []


def _whole_characters(data: bytes) -> bytes:
    """`data` without a character that is cut off at its end; b"" if it begins inside one."""
    if data and data[0] & 0xC0 == 0x80:
        return b""
    for cut in range(4):
        try:
            data[: len(data) - cut].decode()
        except UnicodeDecodeError:
            continue
        return data[: len(data) - cut]
    return b""
