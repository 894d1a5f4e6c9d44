"""Where a text ends before the model says so: stop strings, the first match, nothing left to write."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from rellm._generate_rows import ABANDONED, ENDED, LIVE, Row, RowGroup


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
