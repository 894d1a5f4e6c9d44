"""The surface: what `rellm` names is what it offers, and importing it is quick and needs little."""

from __future__ import annotations

import ast
import inspect
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import rellm

NAMES = {
    "AnyOf",
    "AsyncTextStream",
    "RunLimits",
    "TextStream",
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
    "SchemaError",
    "Sequence",
    "SpecialToken",
    "Template",
    "TemplateError",
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
}


def test_all_is_the_surface() -> None:
    assert set(rellm.__all__) == NAMES
    assert rellm.__all__ == sorted(rellm.__all__)
    for name in rellm.__all__:
        assert getattr(rellm, name) is not None
    assert set(dir(rellm)) == NAMES
    public = {name for name in vars(rellm) if not name.startswith("_") and not inspect.ismodule(getattr(rellm, name))}
    assert public <= NAMES | {"Any", "TYPE_CHECKING"}


def test_what_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'rellm' has no attribute 'regx'"):
        rellm.regx  # noqa: B018


def test_every_public_name_has_a_docstring() -> None:
    for name in sorted(NAMES - {"__version__"}):
        assert (inspect.getdoc(getattr(rellm, name)) or "").strip(), name


def test_the_wheel_is_what_is_tested() -> None:
    """Not the sources beside the tests: what is shipped."""
    project = Path(__file__).resolve().parents[2]
    assert not Path(rellm.__file__).resolve().is_relative_to(project / "python") or not (project / "build").exists()


def test_the_versions_of_all_parts_agree() -> None:
    from importlib.metadata import version

    from rellm import _core

    cargo = tomllib.loads((Path(__file__).resolve().parents[2] / "Cargo.toml").read_text())
    assert rellm.__version__ == cargo["workspace"]["package"]["version"]
    assert rellm.__version__ == _core.__version__ == version("rellm-masks")


def in_a_new_process(code: str) -> str:
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    return done.stdout


def test_importing_needs_numpy_and_regex_only() -> None:
    code = (
        "import sys, numpy, regex, json; basis = set(sys.modules); import rellm; "
        "print(json.dumps(sorted({name.partition('.')[0] for name in set(sys.modules) - basis})))"
    )
    new = set(json.loads(in_a_new_process(code))) - set(sys.stdlib_module_names)
    assert new == {"rellm"}


def test_compiling_and_stepping_needs_no_more() -> None:
    code = (
        "import sys, rellm; v = rellm.Vocabulary([b'a', b'b', None], [2]); m = rellm.compile(r'(a|b)+', v).matcher(); "
        "m.mask(); m.advance(0); print([name for name in ('torch', 'transformers') if name in sys.modules])"
    )
    assert in_a_new_process(code).strip() == "[]"


def test_importing_takes_less_than_50_ms_above_numpy_and_regex() -> None:
    code = "import numpy, regex, time; start = time.perf_counter(); import rellm; print(time.perf_counter() - start)"
    in_a_new_process(code)  # the byte code is written
    assert min(float(in_a_new_process(code)) for _ in range(7)) <= 0.05


def test_no_module_of_the_package_imports_an_optional_library_when_it_is_imported_itself() -> None:
    """Only the integrations do, each its own; the rest imports inside functions."""
    optional = {"torch", "transformers", "tokenizers", "tiktoken", "sentencepiece", "mistral_common", "langchain_core"}
    folder = Path(rellm.__file__).parent
    needs_torch = {"_generate", "_rellm_0", "integrations"}
    for file in folder.rglob("*.py"):
        relative = file.relative_to(folder).as_posix()
        if relative.startswith(tuple(needs_torch)):
            continue
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            assert not {name.partition(".")[0] for name in names} & optional, relative
