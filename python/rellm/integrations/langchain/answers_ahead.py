"""Answers of a batch, written together when the first one is asked for."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from langchain_core.load import dumps
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatResult

_Row = tuple[list[BaseMessage], Any, Mapping[str, Any]]


class AnswersAhead:
    """Returns the answers of a batch one by one: LangChain asks for each alone, possibly on several threads.

    Args:
        write: returns the results of several calls, from one padded batch.
        count: the number of calls.
        size: the most calls in one padded batch.
    """

    def __init__(self, write: Callable[[Sequence[_Row]], list[ChatResult]], count: int, size: int) -> None:
        self._write = write
        self._size = max(size, 1)
        self._count = count
        self._rows: list[tuple[str, _Row]] = []
        self._written: dict[str, list[ChatResult]] = {}
        self._alone: set[str] = set()
        self._lock = threading.Lock()

    def expect(self, chats: Sequence[Sequence[BaseMessage]], stop: Any, given: Mapping[str, Any]) -> None:
        """Set the calls of the batch."""
        self._rows = [(_key(chat, stop, given), (list(chat), stop, dict(given))) for chat in chats]

    def answer(self, messages: Sequence[BaseMessage], stop: Any, given: Mapping[str, Any]) -> ChatResult | None:
        """The answer of one call; None if it has to be written alone."""
        key = _key(messages, stop, given)
        with self._lock:
            if not self._written.get(key):
                self._write_part(key)
            found = self._written.get(key)
            return found.pop(0) if found else None

    def _write_part(self, key: str) -> None:
        at = next((i for i, (expected, _) in enumerate(self._rows) if expected == key), None)
        if at is None or key in self._alone:
            return
        part = self._rows[at : at + self._size]
        del self._rows[at : at + self._size]
        if len(part) < 2:
            return
        try:
            results = self._write([row for _, row in part])
        except Exception:
            # The failure of one row must not fail the others: write each of them alone.
            self._alone |= {expected for expected, _ in part}
            return
        for (expected, _), result in zip(part, results, strict=True):
            self._written.setdefault(expected, []).append(result)


def _key(messages: Sequence[BaseMessage], stop: Any, given: Mapping[str, Any]) -> str:
    plain = [message.model_copy(update={"id": None}) for message in messages]
    return json.dumps([dumps(plain), stop or None, {name: given[name] for name in sorted(given)}], default=repr)
