"""Make language models write only what matches."""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING, Any

from rellm._compile import CompiledConstraint, compile, fill_masks
from rellm._constraints import Choice, Literal, Regex
from rellm._errors import (
    BudgetError,
    DeadEndError,
    IncompleteError,
    LimitExceededError,
    PatternError,
    RellmError,
    TokenRejectedError,
    UnsatisfiableError,
    UnsupportedError,
    VocabularyError,
)
from rellm._limits import Limits
from rellm._vocabulary import Vocabulary

if TYPE_CHECKING:
    from rellm._complete import LogitsMask, ReTokenFilter, complete_re
    from rellm._generate import Generator
    from rellm._generate_completion import Completion

__version__ = "1.0.0"

__all__ = [
    "BudgetError",
    "Choice",
    "CompiledConstraint",
    "Completion",
    "DeadEndError",
    "Generator",
    "IncompleteError",
    "LimitExceededError",
    "Limits",
    "Literal",
    "LogitsMask",
    "PatternError",
    "ReTokenFilter",
    "Regex",
    "RellmError",
    "TokenRejectedError",
    "UnsatisfiableError",
    "UnsupportedError",
    "Vocabulary",
    "VocabularyError",
    "__version__",
    "compile",
    "complete_re",
    "fill_masks",
]

# What needs torch is imported when it is first asked for: by name, its module.
_LAZY: dict[str, str] = {
    "Completion": "rellm._generate_completion",
    "Generator": "rellm._generate",
    "LogitsMask": "rellm._complete",
    "ReTokenFilter": "rellm._complete",
    "complete_re": "rellm._complete",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(_import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'rellm' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
