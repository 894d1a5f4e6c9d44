"""Constraints: immutable values that describe sets of texts.

They are compared, hashed and pickled by their arguments, never by a compiled pattern object, so that they can be cache
keys and cross processes. `rellm._engines.compile` compiles them for a vocabulary.
"""

from rellm._constraints.base import Constraint
from rellm._constraints.choice import Choice, Literal
from rellm._constraints.conversion import ConstraintLike, as_constraint, as_part
from rellm._constraints.regex import Regex
from rellm._constraints.report import Report, ReportEntry

__all__ = [
    "Choice",
    "Constraint",
    "ConstraintLike",
    "Literal",
    "Regex",
    "Report",
    "ReportEntry",
    "as_constraint",
    "as_part",
]
