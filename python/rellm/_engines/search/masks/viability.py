"""Whether a text can still become a match, as the `regex` library's partial matching has it.

What is known of `partial=True` (tests/engines/test_search_partial.py holds it to this):
- it loses no text that can still match, once what it gets wrong is put in other words (`_rewording`);
- it is wrong in the other direction after lookarounds, atomic groups and the like (`a\\b\\w` is alive after `a`):
  there, a text is alive only if it matches or if one more character keeps it alive.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from rellm._engines.search.masks.backtracking import Backtracking
from rellm._engines.search.time_limit import Budget

# Partial matching is not the last word on patterns with these.
_SHORT_SIGHTED: Final = frozenset(
    {
        "lookaround",
        "end of text",
        "end of text or last line",
        "line anchor",
        "boundary",
        "default word boundary",
        "atomic group",
        "possessive quantifier",
        "conditional",
        "verb",
        "grapheme",
        "line ending",
        "unread",
    }
)


class Viability(Protocol):
    """What a mask asks of texts."""

    looks_ahead: bool  # `viable` says more than `alive`

    def alive(self, text: str, budget: Budget) -> bool:
        """Whether some continuation may match: never false if one does."""

    def viable(self, text: str, budget: Budget) -> bool:
        """The same, looked at more closely; implies `alive`."""

    def matches(self, text: str, budget: Budget) -> bool:
        """Whether the text matches in full: what the pattern's own library says."""


class Partial:
    """Viability by `fullmatch(partial=True)`."""

    def __init__(
        self,
        own: Any,
        partial: Any,
        machine: Backtracking | None,
        kinds: frozenset[str],
        every: Sequence[str] | Callable[[str], list[str]] | None,
    ) -> None:
        self._own = own
        self._machine = machine
        self._partial = partial.fullmatch
        self.looks_ahead = every is not None and bool(kinds & _SHORT_SIGHTED)
        # Characters that stand for all others after a text; None where no few do. The last that kept a text alive
        # comes first.
        self._every_after = every if callable(every) else None
        self._every = [] if callable(every) else list(every or ())

    def _test(self, text: str, budget: Budget) -> bool:
        try:
            return self._partial(text, partial=True, timeout=budget.seconds_left()) is not None
        except (TimeoutError, MemoryError):
            raise budget.exceeded() from None

    def alive(self, text: str, budget: Budget) -> bool:
        return self._test(text, budget)

    def viable(self, text: str, budget: Budget) -> bool:
        if not self._test(text, budget):
            return False
        return not self.looks_ahead or self._one_further(text, budget) or self.matches(text, budget)

    def _one_further(self, text: str, budget: Budget) -> bool:
        if self._every_after is not None:
            return any(self._test(text + character, budget) for character in self._every_after(text))
        every = self._every
        for index, character in enumerate(every):
            if self._test(text + character, budget):
                if index:
                    # Threads may do this at the same time: the list is then in another order, no more.
                    self._every = [character, *every[:index], *every[index + 1 :]]
                return True
        return False

    def matches(self, text: str, budget: Budget) -> bool:
        if self._machine is not None:
            # The same pattern in the words of `regex`, which can be stopped, spares the machine most texts.
            if not self._ask(self._partial, text, budget):
                return False
            self._machine.matches(text, budget)  # ends in time, so that `re` does
            return self._own.fullmatch(text) is not None
        return self._ask(self._own.fullmatch, text, budget)

    def _ask(self, fullmatch: Any, text: str, budget: Budget) -> bool:
        try:
            return fullmatch(text, timeout=budget.seconds_left()) is not None
        except (TimeoutError, MemoryError):
            raise budget.exceeded() from None
