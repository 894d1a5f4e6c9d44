"""The time that one call may take. `regex` has no fuel, so the search engine counts seconds of processor time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from rellm._errors import LimitExceededError

FUEL_PER_SECOND: Final = 25_000_000
"""How much of `Limits.fuel` a second of processor time is: the default of 20,000,000 is 0.8 seconds a call."""

# A pattern that recurses without end takes about a gigabyte a second inside the library.
_ONE_TEST: Final = 0.5


_calls = threading.local()


@contextmanager
def one_call(fuel: int, text_length: int) -> Iterator[Budget]:
    """What is asked inside shares one budget: that of the call that a user has made."""
    inside: Budget | None = getattr(_calls, "budget", None)
    if inside is not None:
        yield inside
        return
    budget = _calls.budget = Budget(fuel, text_length)
    try:
        yield budget
    finally:
        _calls.budget = None


class Budget:
    """The seconds that are left of one call: a compilation, a mask, an advance."""

    __slots__ = ("_deadline", "_fuel", "_text_length")

    def __init__(self, fuel: int, text_length: int) -> None:
        self._fuel = fuel
        self._text_length = text_length
        self._deadline = time.thread_time() + fuel / FUEL_PER_SECOND

    def seconds_left(self) -> float:
        """For one test by the library.

        Raises:
            LimitExceededError: nothing is left.
        """
        left = self._deadline - time.thread_time()
        if left <= 0:
            raise self.exceeded()
        return min(left, _ONE_TEST)

    def charge(self, fuel: int, what: str) -> None:
        """Takes the fuel of what cannot be stopped once it has begun.

        Raises:
            LimitExceededError: so much is not left.
        """
        if fuel / FUEL_PER_SECOND > self._deadline - time.thread_time():
            raise LimitExceededError(
                f"{what} may take {fuel / FUEL_PER_SECOND:.3g} seconds, and one call may take "
                f"{self._fuel / FUEL_PER_SECOND:g} (Limits.fuel = {self._fuel:,}): shorten it, or raise the limit",
                limit="fuel",
                allowed=self._fuel,
            )

    def exceeded(self) -> LimitExceededError:
        """The error that says so."""
        return LimitExceededError(
            f"the search engine ran out of time after {self._text_length} characters of text: one call may take "
            f"{self._fuel / FUEL_PER_SECOND:g} seconds of matching (Limits.fuel = {self._fuel:,}), and one test of one "
            f"token {_ONE_TEST:g}: raise the limit, or write the pattern so that it backtracks less "
            "(possessive quantifiers, atomic groups, no recursion before a character is consumed)",
            limit="fuel",
            allowed=self._fuel,
        )
