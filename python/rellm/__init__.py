"""Make language models write only what matches."""

import os as _os
from importlib import import_module as _import_module
from typing import TYPE_CHECKING, Any

from rellm._constraints import Choice, Constraint, ConstraintLike, Literal, Regex, Report, ReportEntry
from rellm._core import Rejection, __version__
from rellm._engines.compile import CompiledConstraint, compile, fill_masks, validate
from rellm._engines.matcher import Matcher
from rellm._errors import (
    BudgetError,
    DeadEndError,
    GrammarError,
    IncompleteError,
    LimitExceededError,
    PatternError,
    RellmError,
    SchemaError,
    TemplateError,
    TokenRejectedError,
    UnsatisfiableError,
    UnsupportedError,
    ValueRejectedError,
    VocabularyError,
)
from rellm._limits import Limits
from rellm._vocabulary import Vocabulary

if TYPE_CHECKING:
    from rellm._constraints.combine import AnyOf, Maybe, Named, Repeat, Sequence
    from rellm._constraints.describe import describe
    from rellm._constraints.free_text import FreeText
    from rellm._constraints.grammar.context_free import Grammar
    from rellm._constraints.json_schema import JsonSchema, JsonSpelling
    from rellm._constraints.special_token import SpecialToken
    from rellm._constraints.template import Template
    from rellm._constraints.tool_calls.calls import ToolCall, ToolCalls, ToolReply
    from rellm._generate.completion import Completion
    from rellm._generate.generator import Generator
    from rellm._generate.in_event_loop import AsyncTextStream
    from rellm._generate.prompts import Prompt
    from rellm._generate.run_limits import RunLimits
    from rellm._generate.stream import TextStream
    from rellm._rellm_0 import LogitsMask, ReTokenFilter, complete_re
    from rellm._trace.trace import Trace

__all__ = [
    "AnyOf",
    "AsyncTextStream",
    "BudgetError",
    "Choice",
    "CompiledConstraint",
    "Completion",
    "Constraint",
    "ConstraintLike",
    "DeadEndError",
    "FreeText",
    "Generator",
    "Grammar",
    "GrammarError",
    "IncompleteError",
    "JsonSchema",
    "JsonSpelling",
    "LimitExceededError",
    "Limits",
    "Literal",
    "LogitsMask",
    "Matcher",
    "Maybe",
    "Named",
    "PatternError",
    "Prompt",
    "ReTokenFilter",
    "Regex",
    "Rejection",
    "RellmError",
    "Repeat",
    "Report",
    "ReportEntry",
    "RunLimits",
    "SchemaError",
    "Sequence",
    "SpecialToken",
    "Template",
    "TemplateError",
    "TextStream",
    "TokenRejectedError",
    "ToolCall",
    "ToolCalls",
    "ToolReply",
    "Trace",
    "UnsatisfiableError",
    "UnsupportedError",
    "ValueRejectedError",
    "Vocabulary",
    "VocabularyError",
    "__version__",
    "compile",
    "complete_re",
    "describe",
    "fill_masks",
    "validate",
]

if _os.path.isdir(_os.path.join(_os.path.dirname(_os.path.dirname(__file__)), "rellm-0.0.5.dist-info")):
    from rellm._warn import warn as _warn

    _warn(
        "ReLLM 0.0.5 is installed beside this library and has the same module: pip uninstall rellm, then install this "
        "library again with --force-reinstall --no-deps"
    )

# What needs torch is imported when it is first asked for: by name, its module.
_LAZY: dict[str, str] = {
    "AnyOf": "rellm._constraints.combine",
    "Completion": "rellm._generate.completion",
    "FreeText": "rellm._constraints.free_text",
    "Generator": "rellm._generate.generator",
    "Grammar": "rellm._constraints.grammar.context_free",
    "JsonSchema": "rellm._constraints.json_schema",
    "JsonSpelling": "rellm._constraints.json_schema",
    "LogitsMask": "rellm._rellm_0",
    "Maybe": "rellm._constraints.combine",
    "Named": "rellm._constraints.combine",
    "AsyncTextStream": "rellm._generate.in_event_loop",
    "Prompt": "rellm._generate.prompts",
    "RunLimits": "rellm._generate.run_limits",
    "TextStream": "rellm._generate.stream",
    "ReTokenFilter": "rellm._rellm_0",
    "Repeat": "rellm._constraints.combine",
    "Sequence": "rellm._constraints.combine",
    "SpecialToken": "rellm._constraints.special_token",
    "Template": "rellm._constraints.template",
    "ToolCall": "rellm._constraints.tool_calls.calls",
    "ToolCalls": "rellm._constraints.tool_calls.calls",
    "ToolReply": "rellm._constraints.tool_calls.calls",
    "Trace": "rellm._trace.trace",
    "complete_re": "rellm._rellm_0",
    "describe": "rellm._constraints.describe",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(_import_module(_LAZY[name]), name)
    if name == "types":
        return _import_module("rellm.types")
    raise AttributeError(f"module 'rellm' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
