"""The module path of ReLLM 0.0.5; import `ReTokenFilter` from `rellm`."""

from rellm._rellm_0 import ReTokenFilter
from rellm._warn import warn

__all__ = ["ReTokenFilter"]

warn("rellm.re_token_filter is a module path of ReLLM 0.0.5: from rellm import ReTokenFilter", DeprecationWarning)
