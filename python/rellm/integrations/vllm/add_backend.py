"""Registers the backend in vLLM: wraps one method of each of three classes, and adds a value to one field.

Each wrapper checks whether this engine was configured with the backend "rellm", and otherwise calls the original.
The names were read in vLLM 0.26, 0.32 and 0.33; `tests/integrations/test_vllm_signatures.py` compares them with the
wheels.
"""

from __future__ import annotations

import functools
import importlib
import sys
import typing
from collections.abc import Callable
from typing import Any, Final

NAME: Final = "rellm"

# Module, class, method, and the parameters that the wrapper depends on.
METHODS: Final = (
    (
        "vllm.sampling_params",
        "SamplingParams",
        "_validate_structured_outputs",
        ("self", "model_config", "structured_outputs_config", "tokenizer"),
    ),
    ("vllm.v1.structured_output", "StructuredOutputManager", "grammar_init", ("self", "request")),
    ("vllm.v1.structured_output", "StructuredOutputManager", "_create_grammar", ("self", "request")),
)
BEAM_SEARCH: Final = (
    "vllm.entrypoints.generate.beam_search.offline",
    "BeamSearchOfflineMixin",
    "_init_beam_search_structured_output",
    ("self", "structured_outputs", "tokenizer"),
)
NAMES: Final = (
    ("vllm.config.structured_outputs", "StructuredOutputsConfig"),
    ("vllm.config.structured_outputs", "StructuredOutputsBackend"),
    ("vllm.config", "VllmConfig"),
    ("vllm.exceptions", "VLLMValidationError"),
    ("vllm.v1.structured_output.backend_types", "StructuredOutputBackend"),
    ("vllm.v1.structured_output.backend_types", "StructuredOutputGrammar"),
    ("vllm.v1.structured_output.backend_types", "StructuredOutputOptions"),
    ("vllm.v1.structured_output.request", "get_structured_output_key"),
)


class MissingNameError(Exception):
    """This vLLM lacks a name that is needed."""


def add_backend() -> None:
    """Add the backend to the vLLM of this process, once.

    Raises:
        MissingNameError: this vLLM lacks a name; nothing was changed.
    """
    found = [_method(*method) for method in METHODS]
    for module, name in NAMES:
        _named(module, name)
    (params, validate, begun_validate), (manager, init, begun_init), (_, create, begun_create) = found
    if getattr(begun_init, "by_rellm", False):
        return
    _widen_config()
    setattr(params, validate, _marked(_validating(begun_validate)))
    setattr(manager, init, _marked(_initialising(begun_init)))
    setattr(manager, create, _marked(_creating(begun_create)))
    beam_search = sys.modules.get(BEAM_SEARCH[0])  # there with `vllm.LLM` only
    if beam_search is not None:
        add_beam_search(beam_search)


def _named(module: str, name: str) -> Any:
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError):
        raise MissingNameError(f"{module}.{name}") from None


def _method(module: str, owner: str, name: str, parameters: tuple[str, ...]) -> tuple[Any, str, Callable[..., Any]]:
    import inspect

    cls = _named(module, owner)
    method = cls.__dict__.get(name)
    if method is None:
        raise MissingNameError(f"{module}.{owner}.{name}")
    if not getattr(method, "by_rellm", False):
        found = tuple(inspect.signature(method).parameters)
        if found[: len(parameters)] != parameters:
            raise MissingNameError(f"{module}.{owner}.{name}({', '.join(parameters)})")
    return cls, name, method


def _marked(method: Any) -> Any:
    method.by_rellm = True
    return method


def _widen_config() -> None:
    """Let the configuration accept the name: its field is a `Literal`, which pydantic has compiled."""
    module: Any = importlib.import_module("vllm.config.structured_outputs")
    cls = module.StructuredOutputsConfig
    field = getattr(cls, "__dataclass_fields__", {}).get("backend")
    if field is None:
        raise MissingNameError("vllm.config.structured_outputs.StructuredOutputsConfig.backend")
    if NAME in typing.get_args(module.StructuredOutputsBackend):
        return
    try:
        from pydantic.dataclasses import rebuild_dataclass
    except ImportError:
        raise MissingNameError("pydantic.dataclasses.rebuild_dataclass") from None
    before = module.StructuredOutputsBackend, field.type, cls.__annotations__.get("backend")
    widened = typing.Literal[(*typing.get_args(before[0]), NAME)]  # type: ignore[valid-type]
    outer = _named("vllm.config", "VllmConfig")  # its own schema holds that of its fields

    def put(alias: Any, of_field: Any, annotation: Any) -> None:
        module.StructuredOutputsBackend, field.type, cls.__annotations__["backend"] = alias, of_field, annotation
        rebuild_dataclass(cls, force=True)
        rebuild_dataclass(outer, force=True)

    try:
        put(widened, widened, widened)
        cls(backend=NAME)
    except Exception:
        put(*before)
        raise MissingNameError("a configuration that takes a further backend") from None


def _is_asked_for(config: Any) -> bool:
    return getattr(config, "backend", None) == NAME


def _validating(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def _validate_structured_outputs(
        self: Any, model_config: Any, structured_outputs_config: Any, tokenizer: Any, *args: Any, **kwargs: Any
    ) -> Any:
        if self.structured_outputs is None or not _is_asked_for(structured_outputs_config):
            return original(self, model_config, structured_outputs_config, tokenizer, *args, **kwargs)
        from rellm.integrations.vllm.check_request import check_request

        try:
            check_request(self, model_config, structured_outputs_config, tokenizer)
        except Exception as error:  # an error of ours must be a 400 of this request, not a 500
            refused = _named("vllm.exceptions", "VLLMValidationError")
            if isinstance(error, refused):
                raise
            raise refused(str(error) or type(error).__name__) from error
        self.structured_outputs._backend = NAME
        return None

    return _validate_structured_outputs


def _initialising(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def grammar_init(self: Any, request: Any) -> Any:
        if (
            self.backend is None
            and request.structured_output_request is not None
            and _is_asked_for(self.vllm_config.structured_outputs_config)
        ):
            from rellm.integrations.vllm.backend import RellmBackend

            self.backend = RellmBackend(
                self.vllm_config,
                tokenizer=self.tokenizer,
                vocab_size=self.vllm_config.model_config.get_vocab_size(),
            )
            if hasattr(self, "backend_name"):
                self.backend_name = NAME
        return original(self, request)

    return grammar_init


def _creating(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def _create_grammar(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        compile_request = getattr(self.backend, "compile_request", None)
        if compile_request is None:
            return original(self, request, *args, **kwargs)
        return compile_request(request)

    return _create_grammar


def add_beam_search(module: Any) -> None:
    """Let `LLM.beam_search` find the backend, whose names it compares by itself."""
    _, owner, name, parameters = BEAM_SEARCH
    cls = getattr(module, owner, None)
    original = None if cls is None else cls.__dict__.get(name)
    if original is None or getattr(original, "by_rellm", False):
        return
    import inspect

    if tuple(inspect.signature(original).parameters) != parameters:
        return

    @functools.wraps(original)
    def _init_beam_search_structured_output(self: Any, structured_outputs: Any, tokenizer: Any) -> Any:
        config = self.llm_engine.vllm_config
        if not _is_asked_for(config.structured_outputs_config):
            return original(self, structured_outputs, tokenizer)
        from rellm.integrations.vllm.backend import RellmBackend

        structured_outputs._backend = NAME
        backend = RellmBackend(config, tokenizer=tokenizer, vocab_size=self.model_config.get_vocab_size())
        return backend, backend.key_of(structured_outputs), backend.allocate_token_bitmask(1)

    setattr(cls, name, _marked(_init_beam_search_structured_output))
