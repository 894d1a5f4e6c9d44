"""The module path of ReLLM 0.0.5; import `LogitsMask` from `rellm`."""

from rellm._rellm_0 import LogitsMask
from rellm._warn import warn

__all__ = ["LogitsMask"]

warn("rellm.logits_mask is a module path of ReLLM 0.0.5: from rellm import LogitsMask", DeprecationWarning)
