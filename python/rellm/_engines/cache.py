"""A bounded cache of compiled constraints."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final, TypeAlias

from rellm._constraints import Constraint
from rellm._fork import ForkSafeLock
from rellm._limits import Limits

if TYPE_CHECKING:
    from rellm._engines.compile import CompiledConstraint

_Key: TypeAlias = tuple[Constraint, bytes, Limits]
_SUM_EVERY: Final = 8


class CompiledCache:
    """Compiled constraints, least recently used out first, bounded in number and in bytes.

    Constraints grow while they are used, so their bytes are summed again from time to time. A vocabulary that several
    constraints share counts once.
    """

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._entries: OrderedDict[_Key, CompiledConstraint] = OrderedDict()
        self._added = 0
        self._lock = ForkSafeLock()

    def get(self, key: _Key) -> CompiledConstraint | None:
        with self._lock:
            found = self._entries.get(key)
            if found is not None:
                self._entries.move_to_end(key)
            return found

    def add(self, key: _Key, compiled: CompiledConstraint) -> CompiledConstraint:
        """Keeps a compiled constraint; where another thread was faster, returns the one of that thread."""
        with self._lock:
            kept = self._entries.setdefault(key, compiled)
            self._entries.move_to_end(key)
            while len(self._entries) > self._most:
                self._entries.popitem(last=False)
            self._added += 1
            if self._added % _SUM_EVERY == 0:
                self._shrink()
            return kept

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()

    def memory_bytes(self) -> int:
        with self._lock:
            return self._sum()

    def _sum(self) -> int:
        vocabularies = {fingerprint: compiled.vocabulary for (_, fingerprint, _), compiled in self._entries.items()}
        constraints = sum(compiled.memory_bytes for compiled in self._entries.values())
        return constraints + sum(vocabulary.memory_bytes for vocabulary in vocabularies.values())

    def _shrink(self) -> None:
        while len(self._entries) > 1 and self._sum() > self._most_bytes:
            self._entries.popitem(last=False)
