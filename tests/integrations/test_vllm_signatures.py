"""The stand-in for vLLM has the names and signatures of the real one, and every field of a request is known to us."""

from __future__ import annotations

import ast
import sys
from functools import cache
from pathlib import Path

import pytest
from rellm._constraints.structural_tags import _FORMATS, NOT_SERVED
from rellm.integrations.vllm import add_backend, request_constraint

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "dev"))
from wheel_files import UnavailableError, wheel_file

STUBS = Path(__file__).resolve().parents[1] / "engine_stubs"
VERSIONS = ("0.26.0", "0.32.0", "newest")


@cache
def real(version: str, path: str, project: str = "vllm") -> ast.Module:
    try:
        return ast.parse(wheel_file(project, version, path))
    except UnavailableError as error:
        pytest.skip(str(error))


def stub(path: str) -> ast.Module:
    return ast.parse((STUBS / path).read_text(encoding="utf-8"))


def path_of(module: str) -> list[str]:
    base = module.replace(".", "/")
    return [f"{base}.py", f"{base}/__init__.py"]


def real_module(version: str, module: str) -> ast.Module:
    for path in path_of(module):
        try:
            return real(version, path)
        except KeyError:
            continue
    raise AssertionError(f"vLLM {version} has no module {module}")


def class_of(tree: ast.Module, name: str) -> ast.ClassDef:
    return next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name)


def methods(cls: ast.ClassDef) -> dict[str, list[str]]:
    return {
        node.name: [arg.arg for arg in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
        for node in cls.body
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    }


def fields(cls: ast.ClassDef) -> list[str]:
    return [
        node.target.id for node in cls.body if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    ]


def names(tree: ast.Module) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            found.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            found.update(alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
    return found


@pytest.mark.parametrize("version", VERSIONS)
def test_every_name_that_is_patched_or_used_exists(version: str) -> None:
    for module, owner, name, parameters in add_backend.METHODS:
        found = methods(class_of(real_module(version, module), owner))[name]
        assert tuple(found[: len(parameters)]) == parameters, (module, owner, name, found)
    for module, name in add_backend.NAMES:
        assert name in names(real_module(version, module)), (module, name)
    module, owner, name, parameters = add_backend.BEAM_SEARCH
    assert tuple(methods(class_of(real_module(version, module), owner))[name]) == parameters


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", ["StructuredOutputGrammar", "StructuredOutputBackend"])
def test_the_stand_ins_base_classes_have_the_same_methods(version: str, name: str) -> None:
    path = "vllm/v1/structured_output/backend_types.py"
    ours, theirs = methods(class_of(stub(path), name)), methods(class_of(real(version, path), name))
    assert set(ours) == set(theirs)
    for method, parameters in theirs.items():
        assert ours[method][: len(parameters)] == parameters, method
        assert set(ours[method]) - set(parameters) <= {"stop_token_ids"}, method  # from 0.32 on
    assert fields(class_of(stub(path), name)) == fields(class_of(real(version, path), name))


@pytest.mark.parametrize("version", VERSIONS)
def test_the_stand_in_and_we_know_every_kind_of_constraint(version: str) -> None:
    path = "vllm/v1/structured_output/backend_types.py"
    kinds = {
        node.targets[0].id
        for node in class_of(real(version, path), "StructuredOutputOptions").body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    assert {kind.lower() for kind in kinds} == set(request_constraint.KINDS)


@pytest.mark.parametrize("version", VERSIONS)
def test_each_field_of_a_request_is_served_or_refused(version: str) -> None:
    path = "vllm/sampling_params.py"
    theirs = fields(class_of(real(version, path), "StructuredOutputsParams"))
    public = {name for name in theirs if not name.startswith("_")}
    assert public == {*request_constraint.KINDS, *request_constraint.LAYOUT}
    assert fields(class_of(stub(path), "StructuredOutputsParams")) == theirs
    used = set(fields(class_of(stub(path), "SamplingParams")))
    assert used <= set(fields(class_of(real(version, path), "SamplingParams")))
    assert "all_stop_token_ids" in methods(class_of(real(version, path), "SamplingParams"))


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_read_of_a_request_in_the_engine_exists(version: str) -> None:
    text = ast.unparse(real(version, "vllm/v1/request.py"))
    for name in (
        "self.max_tokens",
        "self.num_prompt_tokens",
        "def num_output_tokens",
        "self.structured_output_request",
    ):
        assert name in text
    config = ast.unparse(real(version, "vllm/config/model.py"))
    for name in ("def get_vocab_size(self)", "def try_get_generation_config(self)", "max_model_len:"):
        assert name in config


def test_each_format_of_a_structural_tag_is_served_or_refused() -> None:
    tree = real("newest", "xgrammar/structural_tag.py", "xgrammar")
    kinds = {
        constant.value
        for cls in tree.body
        if isinstance(cls, ast.ClassDef)
        for node in cls.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == "type"
        for constant in ast.walk(node.annotation)
        if isinstance(constant, ast.Constant) and isinstance(constant.value, str)
    }
    assert "triggered_tags" in kinds
    assert kinds - {"structural_tag"} == set(_FORMATS) | set(NOT_SERVED)
