"""A vocabulary sorted by bytes: finds the tokens with a given prefix."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Any


class TokenPrefixes:
    """Finds tokens by their prefix.

    Args:
        vocabulary: a `Vocabulary`; sorted when it is first asked.
    """

    def __init__(self, vocabulary: Any) -> None:
        self._vocabulary = vocabulary
        self._sorted: tuple[list[bytes], list[int]] | None = None

    def longer_than(self, data: bytes) -> list[int]:
        """The tokens that begin with `data` and have more bytes."""
        if self._sorted is None:
            pairs = sorted(
                (spelling, token_id)
                for token_id in range(len(self._vocabulary))
                if (spelling := self._vocabulary.token_bytes(token_id))
            )
            self._sorted = [spelling for spelling, _ in pairs], [token_id for _, token_id in pairs]
        spelled, ids = self._sorted
        first = bisect_right(spelled, data)
        last = bisect_left(spelled, data + b"\xff" * 8, lo=first)
        return [ids[i] for i in range(first, last) if spelled[i].startswith(data)]
