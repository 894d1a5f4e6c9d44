"""The common base of the language model and the chat model: copying, pickling, and loading a model by its name."""

from __future__ import annotations

import copy
import threading
from typing import Any, ClassVar, Self

from langchain_core.load.serializable import Serializable, SerializedConstructor, SerializedNotImplemented
from pydantic import Field, PrivateAttr

from rellm import Constraint
from rellm._generate.generator import Generator
from rellm.integrations.langchain.model_source import constraint_to_data, load_pipeline

# Fields that JSON cannot represent, or that the constraint in force replaces.
_NOT_SERIALISED = ("pipeline", "llm", "model", "tokenizer", "regex", "constraint", "profile", "api_key")


class LoadableModel(Serializable):
    """A model that is passed as a pipeline, or loaded by its name when it is first needed."""

    pipeline: Any = Field(default=None, exclude=True)
    model_id: str | None = None
    model_kwargs: dict[str, Any] | None = None
    pipeline_kwargs: dict[str, Any] | None = None

    _generator: Generator | None = PrivateAttr(default=None)
    # Held while the model is loaded, so that concurrent threads load it once.
    _lock: Any = PrivateAttr(default_factory=threading.Lock)
    _was_loaded: bool = PrivateAttr(default=False)

    made_when_asked: ClassVar[tuple[str, ...]] = ("_generator",)
    """The private attributes that a copy creates again."""

    def __init__(self, **fields: Any) -> None:
        super().__init__(**fields)
        # Not in a validator: pydantic would turn a `PatternError` into a `ValidationError` without its position.
        self._try_constraint()

    def _try_constraint(self) -> None:
        """Compiles the constraint when the object is made, so that errors are raised then, not at the first prompt."""
        raise NotImplementedError

    @property
    def in_force(self) -> Constraint | None:
        """The constraint that every answer obeys, if there is one."""
        raise NotImplementedError

    def __getstate__(self) -> dict[Any, Any]:
        """The state without attributes that are created on demand."""
        state = dict(super().__getstate__())
        private = dict(state.get("__pydantic_private__") or {})
        private.pop("_lock", None)
        private |= dict.fromkeys(self.made_when_asked)
        state["__pydantic_private__"] = private
        return state

    def __setstate__(self, state: dict[Any, Any]) -> None:
        super().__setstate__(state)
        self._lock = threading.Lock()

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        other = type(self).__new__(type(self))
        other.__setstate__(copy.deepcopy(self.__getstate__(), memo))
        return other

    @classmethod
    def from_model_id(
        cls,
        model_id: str,
        task: str = "text-generation",
        *,
        device: int | str | None = None,
        device_map: str | None = None,
        model_kwargs: dict[str, Any] | None = None,
        pipeline_kwargs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Self:
        """Load a model by its folder or name.

        Args:
            model_id: for `from_pretrained`.
            task: a transformers task that writes text: "text-generation", or "text2text-generation" for an
                encoder–decoder model.
            device: the device of the model, as in `transformers.pipeline`.
            device_map: the distribution over several devices; not together with `device`.
            model_kwargs: for `from_pretrained`.
            pipeline_kwargs: arguments for generation.
            kwargs: the class's other fields: `regex` or `constraint`, `batch_size`, …
        """
        if device is not None and device_map is not None:
            raise ValueError("device and device_map exclude each other: pass one of them")
        made = cls(model_id=model_id, model_kwargs=model_kwargs, pipeline_kwargs=pipeline_kwargs, **kwargs)
        made.pipeline = load_pipeline(model_id, task, model_kwargs, device=device, device_map=device_map)
        made._was_loaded = True
        made._try_constraint()
        return made

    @classmethod
    def is_lc_serializable(cls) -> bool:
        return True

    @classmethod
    def get_lc_namespace(cls) -> list[str]:
        """The module that users import the class from, not the one that defines it."""
        return ["rellm", "integrations", "langchain"]

    def to_json(self) -> SerializedConstructor | SerializedNotImplemented:
        """For `langchain_core.load.dumps`; a model that was passed as a pipeline has no name to load it by."""
        if self.model_id is None:
            return self.to_json_not_implemented()
        serialised = super().to_json()
        if serialised["type"] == "constructor":
            kwargs = serialised["kwargs"]
            for name in _NOT_SERIALISED:
                kwargs.pop(name, None)
            if self.in_force is not None:
                kwargs["constraint"] = constraint_to_data(self.in_force)
        return serialised
