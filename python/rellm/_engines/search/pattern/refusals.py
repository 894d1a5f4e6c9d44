"""How the search engine refuses a pattern: the construct, where it stands, and what to do; as the core words it."""

from __future__ import annotations

from rellm import _core
from rellm._errors import UnsupportedError


def unsupported(construct: str, pattern: str, position: int | None, remedy: str) -> UnsupportedError:
    """The pattern is right, but the search engine does not serve the construct."""
    message = _core.refusal(construct, remedy, pattern, position)
    return UnsupportedError(message, pattern=pattern, position=position)
