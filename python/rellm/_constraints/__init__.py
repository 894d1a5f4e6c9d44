"""What may be written: values that say it, and do nothing else.

They are compared, hashed and pickled by what was given, never by a compiled pattern object, so that they can be keys of
caches and cross processes. Compiling them for a vocabulary is `rellm._engines.compile`'s.
"""

from rellm._constraints.choice import Choice, Literal
from rellm._constraints.conversion import Constraint, as_constraint
from rellm._constraints.regex import Regex

__all__ = ["Choice", "Constraint", "Literal", "Regex", "as_constraint"]
