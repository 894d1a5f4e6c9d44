"""The sources of both models: pipelines, model names, and constraints as data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rellm import Choice, Constraint, Literal, Regex


def pipeline_of(given: Any) -> Any:
    """The transformers pipeline: the argument itself, or the one inside LangChain's `HuggingFacePipeline`.

    Raises:
        ValueError: it is neither.
    """
    inner = getattr(given, "pipeline", None)
    if inner is not None and hasattr(inner, "tokenizer") and hasattr(inner, "model"):
        return inner
    if not hasattr(given, "tokenizer"):
        raise ValueError(
            f"pipeline is {type(given).__name__}: pass what transformers.pipeline('text-generation', …) returns, or "
            "langchain_huggingface's HuggingFacePipeline"
        )
    return given


def load_pipeline(model_id: str, task: str, model_kwargs: Mapping[str, Any] | None, **placement: Any) -> Any:
    try:
        import transformers
    except ModuleNotFoundError as error:
        if error.name != "transformers":
            raise
        raise ModuleNotFoundError(
            "rellm.integrations.langchain loads models with transformers, which is not installed: install this package "
            "with its extra [langchain]",
            name="transformers",
        ) from error
    given = {name: value for name, value in placement.items() if value is not None}
    make: Any = transformers.pipeline  # its overloads know each task as a literal
    return make(task, model=model_id, model_kwargs=dict(model_kwargs or {}), **given)


def name_of(model: Any) -> str:
    """A model's name; a model without a name is identified by its object, so that caches do not confuse models."""
    return getattr(model, "name_or_path", "") or f"{type(model).__name__} at {id(model):#x}"


def settings_of(pipeline: Any) -> dict[str, Any]:
    """The settings of a pipeline that affect answers."""
    config = getattr(pipeline, "generation_config", None) or pipeline.model.generation_config
    settings: dict[str, Any] = {**config.to_diff_dict(), **getattr(pipeline, "_forward_params", {})}
    settings.pop("transformers_version", None)
    return {name: settings[name] for name in sorted(settings)}


def constraint_to_data(constraint: Constraint) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(constraint.to_json())
    return data


def constraint_key(constraint: Constraint) -> Any:
    """The part of a cache key that identifies a constraint: its JSON data, or its `repr` if it has none."""
    try:
        return constraint_to_data(constraint)
    except ValueError:  # JSON cannot represent a Python type
        return repr(constraint)


def constraint_from_data(value: Mapping[str, Any]) -> Constraint:
    if "type" not in value:
        return Constraint.from_json(value)
    try:  # the form of rellm 1.0
        match value["type"]:
            case "choice":
                return Choice(value["texts"])
            case "literal":
                return Literal(value["text"])
            case "regex":
                return Regex(
                    value["pattern"], value.get("flags", 0), value.get("dialect"), **value.get("named_lists", {})
                )
    except KeyError as error:
        raise ValueError(f"a serialised constraint has no {error}: {dict(value)!r}") from None
    raise ValueError(f"a serialised constraint is a regex, choice or literal, not {value['type']!r}")
