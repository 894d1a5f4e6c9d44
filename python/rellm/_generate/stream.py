"""A stream's text, piece by piece: bytes into characters."""

from __future__ import annotations

import codecs
from collections.abc import Sequence

from rellm._generate.text_state import find_stop


class Pieces:
    """Bytes into text, never half a character, never part of a stop string."""

    def __init__(self, stops: Sequence[bytes]) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._stops = stops
        self._held = b""
        self._taken = 0
        self._stopped = False

    def push(self, data: bytes) -> str:
        if self._stopped:
            return ""
        self._held += data
        at = find_stop(self._held, self._stops)
        self._stopped = at >= 0
        keep = len(self._held) - at if self._stopped else self._begun_stop()
        return self._take(len(self._held) - keep)

    def rest(self, whole: bytes) -> str:
        """What of the finished text `whole` was held back."""
        self._held = whole[self._taken :]
        return self._take(len(self._held)) + self._decoder.decode(b"", True)

    def _take(self, n: int) -> str:
        ready, self._held = self._held[:n], self._held[n:]
        self._taken += n
        return self._decoder.decode(ready)

    def _begun_stop(self) -> int:
        """How many bytes at the end may turn out to begin a stop string."""
        longest = 0
        for stop in self._stops:
            for n in range(min(len(stop) - 1, len(self._held)), longest, -1):
                if self._held.endswith(stop[:n]):
                    longest = n
                    break
        return longest
