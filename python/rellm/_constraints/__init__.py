"""What may be written: values that say it, and do nothing else.

They are compared, hashed and pickled by what was given, never by a compiled pattern object, so that they can be keys of
caches and cross processes. Compiling them for a vocabulary is `rellm._engines.compile`'s.
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
