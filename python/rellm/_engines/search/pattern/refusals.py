"""How the search engine refuses a pattern: the construct, where it stands, and what to do; as the core words it."""

from __future__ import annotations

from typing import Final

from rellm import _core
from rellm._errors import PatternError, UnsupportedError

# The core has read the pattern before: what only the library refuses has its words, and no remedy of its own.
_REMEDY: Final = "mend it there, or ask the library that the pattern is written for what it expects"


def unsupported(construct: str, pattern: str, position: int | None, remedy: str) -> UnsupportedError:
    """The pattern is right, but the search engine does not serve the construct."""
    message = _core.refusal(construct, remedy, pattern, position)
    return UnsupportedError(message, pattern=pattern, position=position)


def refused(construct: str, pattern: str, position: int | None) -> PatternError:
    """The pattern's own library does not take it."""
    message = _core.refusal(construct, _REMEDY, pattern, position)
    return PatternError(message, pattern=pattern, position=position)
