"""The module path of ReLLM 0.0.5; import `complete_re` from `rellm`."""

from rellm._rellm_0 import complete_re
from rellm._warn import warn

__all__ = ["complete_re"]

warn("rellm.rellm is a module path of ReLLM 0.0.5: from rellm import complete_re", DeprecationWarning)
