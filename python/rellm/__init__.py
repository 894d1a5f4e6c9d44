"""Make language models write only what matches."""

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

__version__ = "1.0.0"

__all__ = [
    "BudgetError",
    "DeadEndError",
    "IncompleteError",
    "LimitExceededError",
    "PatternError",
    "RellmError",
    "TokenRejectedError",
    "UnsatisfiableError",
    "UnsupportedError",
    "VocabularyError",
    "__version__",
]
