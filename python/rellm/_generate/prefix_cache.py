"""The model's key-value cache of the last text, for the next prompt with the same prefix."""

from __future__ import annotations

from threading import Lock
from typing import Any

from rellm._generate.text_state import common_length


class PrefixCache:
    """Holds one key-value cache and the tokens that it has read; a call takes the cache out while it generates."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._held: tuple[list[int], Any] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__()  # type: ignore[misc]

    def take(self, ids: list[int]) -> tuple[Any, int] | None:
        """A cache, and the length of the prefix of `ids` that it has read; None if no cache saves work.

        At least one token stays unread, because a forward pass without tokens has no scores.
        """
        with self._lock:
            held, self._held = self._held, None
        if held is None:
            return None
        known, cache = held
        common = min(common_length(known, ids), len(ids) - 1)
        if common <= 0:
            return None
        if common < len(known):
            cache.crop(common - len(known))
        return (cache, common) if cache.get_seq_length() == common else None

    def keep(self, ids: list[int], cache: Any) -> None:
        """Keep the cache of a finished text."""
        if cache.get_seq_length() == len(ids):
            with self._lock:
                self._held = ids, cache
