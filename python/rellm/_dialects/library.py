"""Compiles a pattern with the library that it is written for; errors of the library become typed errors of ours."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import regex

from rellm import _core
from rellm._errors import LimitExceededError, PatternError, RellmError, UnsupportedError

# Patterns that every version of the libraries reads as the core does; the dialect's tests check it. A library takes ten
# times as long as the core to compile a pattern, so it does not compile these.
_USUAL: Final = re.compile(
    r"(?:[^\\\[\](){}*+?|]++"  # characters
    r"|\\[dDwWsSbBnrtfvAZ]|\\[^a-zA-Z0-9]"  # an escape
    r"|\[\^?\]?(?:[^\]\\\[&|~-]|-(?!-)|&(?!&)|[|](?![|])|~(?!~)|\\[dDwWsSnrtfv]|\\[^a-zA-Z0-9])*+\]"  # a set
    r"|\((?![?*])|\(\?(?:[:=!]|P<[a-zA-Z_]\w*>)|\)|\|"  # groups and lookaheads
    r"|[*+?]|\{\d{1,4}(?:,\d{0,4})?\})*+",  # quantifiers
    re.ASCII,
)
_MOST_USUAL_GROUPS: Final = 50
_USUAL_FLAGS: Final = {
    "re": int(re.I | re.M | re.S | re.A | re.U),
    "regex": int(regex.I | regex.M | regex.S | regex.A | regex.U | regex.V0),
}
_MOST_ASKED: Final = 10_000
_REMEDY: Final = "mend it there, or ask the library that the pattern is written for what it expects"


def check_unusual(pattern: str, flags: int, dialect: str, named_lists: Mapping[str, Iterable[str]]) -> None:
    """Compiles a pattern with its library, unless it is of the usual kind or too long to compile quickly.

    Raises:
        PatternError: the library does not take it.
        UnsupportedError: the library fails on it.
        LimitExceededError: it is nested too deeply for the library.
    """
    is_usual = not flags & ~_USUAL_FLAGS[dialect] and pattern.count("(") <= _MOST_USUAL_GROUPS
    if len(pattern) <= _MOST_ASKED and not (is_usual and _USUAL.fullmatch(pattern)):
        compiled(pattern, flags, dialect, named_lists)


def compiled(pattern: str, flags: int, dialect: str, named_lists: Mapping[str, Iterable[str]]) -> Any:
    """The pattern as its library compiles it.

    Raises:
        PatternError: the library does not take it.
        UnsupportedError: the library fails on it.
        LimitExceededError: it is nested too deeply for the library.
    """
    try:
        if dialect == "re":
            return re.compile(pattern, flags)
        lists = {name: list(texts) for name, texts in named_lists.items()}
        return regex.compile(pattern, flags, ignore_unused=True, **lists)
    except (re.error, regex.error) as error:
        position = getattr(error, "pos", None)
        message = _core.refusal(getattr(error, "msg", str(error)), _REMEDY, pattern, position)
        raise PatternError(message, pattern=pattern, position=position) from None
    except (RecursionError, OverflowError):
        raise LimitExceededError(
            f"{name_of(dialect)} cannot compile this pattern: it is nested too deeply or repeats too much: "
            "nest or repeat less",
            limit="nesting",
        ) from None
    except (RellmError, MemoryError):
        raise
    except Exception as error:  # a fault of the library: AttributeError, IndexError, …
        message = _core.refusal(
            f"a construct on which {name_of(dialect)} fails itself ({type(error).__name__}: {error})",
            "write it in another way; the fault is the library's",
            pattern,
            None,
        )
        raise UnsupportedError(message, pattern=pattern) from error


def name_of(dialect: str) -> str:
    """A library and its version, as messages name it."""
    import platform

    return f"re of Python {platform.python_version()}" if dialect == "re" else f"regex {regex.__version__}"
