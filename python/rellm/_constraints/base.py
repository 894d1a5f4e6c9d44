"""What every constraint is held to: strings that a text can hold, and how a wrong value is named."""

from __future__ import annotations

import re
from typing import Any

from rellm._errors import PatternError

_SURROGATE = re.compile(r"[\ud800-\udfff]")
_SURROGATE_ESCAPE = re.compile(r"(?<!\\)(?:\\\\)*(\\(?:u|U0000)([dD][89a-fA-F][0-9a-fA-F]{2}))")


def sorted_texts(what: str, texts: Any) -> tuple[str, ...]:
    """Sorted and each once, so that equal sets are equal values."""
    if isinstance(texts, (str, bytes)):
        raise TypeError(f"{what} takes a list of strings, not {kind_of(texts)}: put it into [ ]")
    try:
        found = list(texts)
    except TypeError:
        raise TypeError(f"{what} takes a list of strings, not {kind_of(texts)}") from None
    for index, text in enumerate(found):
        if not isinstance(text, str):
            raise TypeError(f"{what} takes strings, and number {index} is {kind_of(text)}")
        refuse_surrogates(f"text {index} of {what}", text)
    return tuple(sorted(set(map(str, found))))


def lone_surrogate(text: str, *, escapes: bool) -> str | None:
    """The first lone surrogate and its position, in words; with `escapes`, also one written as an escape."""
    found = _SURROGATE.search(text)
    if found is not None:
        return f"the lone surrogate U+{ord(found[0]):04X} at position {found.start()}"
    found = _SURROGATE_ESCAPE.search(text) if escapes else None
    if found is not None:
        return f"the lone surrogate U+{found[2].upper()} at position {found.start(1)}"
    return None


def refuse_surrogates(what: str, text: str) -> None:
    found = _SURROGATE.search(text)
    if found is not None:
        raise PatternError(
            f"{what} holds {lone_surrogate(text, escapes=False)}: "
            "no text can hold one; decode what it was read from as UTF-8",
            pattern=text,
            position=found.start(),
        )


def kind_of(value: Any) -> str:
    return "None" if value is None else f"{type(value).__name__} {value!r:.60}"
