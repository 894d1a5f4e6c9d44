"""Structured output: the constraint of a schema, and the parser of answers."""

from __future__ import annotations

import copy
import inspect
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.output_parsers.transform import BaseTransformOutputParser
from langchain_core.outputs import Generation
from langchain_core.runnables import Runnable, RunnableMap, RunnablePassthrough
from langchain_core.utils.function_calling import convert_to_json_schema
from pydantic import BaseModel, ConfigDict

from rellm import Constraint
from rellm._constraints.conversion import as_constraint
from rellm._constraints.json_schema import JsonSchema
from rellm._constraints.json_schema.partial import PartialJson

if TYPE_CHECKING:
    from rellm.integrations.langchain.chat_model import ChatRELLM
    from rellm.integrations.langchain.text_model import RELLM

_METHODS = ("json_schema", "function_calling", "json_mode")


def structured_chat_model(
    model: ChatRELLM, schema: Any, *, include_raw: bool, method: str, strict: bool | None, kwargs: dict[str, Any]
) -> Runnable[Any, Any]:
    """A chat model under the constraint of a schema, and its parser."""
    if method not in _METHODS:
        raise ValueError(f"method is {method!r}: it is one of {', '.join(map(repr, _METHODS))}, which mean the same")
    constraint, read = schema_constraint(schema, strict)
    tools = kwargs.pop("tools", None)
    if tools:
        names = [name for name in ("tool_choice", "parallel_tool_calls") if name in kwargs]
        choice: dict[str, Any] = {name: kwargs.pop(name) for name in names}
        from rellm.integrations.langchain.bound_tools import BoundTool

        kwargs = {**kwargs, **choice, "tools": [BoundTool.of(tool, strict) for tool in tools]}
    shown = _shown(schema, constraint)
    bound = model.bind(
        constraint=constraint, ls_structured_output_format={"kwargs": {"method": method}, "schema": shown}, **kwargs
    )
    return _parsed(bound, _parser(schema, constraint, read), include_raw)


def structured_text_model(
    model: RELLM, schema: Any, *, include_raw: bool, kwargs: dict[str, Any]
) -> Runnable[Any, Any]:
    """A language model under the constraint of a schema, and its parser."""
    constraint, read = schema_constraint(schema, None)
    bound = model.bind(constraint=constraint, **kwargs)
    return _parsed(bound, _parser(schema, constraint, read), include_raw)


def _parser(schema: Any, constraint: Constraint, read: Any) -> StructuredAnswer:
    # For a class that the constraint does not construct, plain data is not a value.
    shows_data = not inspect.isclass(schema) or hasattr(constraint, "python_type")
    return StructuredAnswer(constraint=constraint, read=read, shows_data=shows_data)


def _parsed(bound: Runnable[Any, Any], parser: StructuredAnswer, include_raw: bool) -> Runnable[Any, Any]:
    if not include_raw:
        return bound | parser
    parsed = RunnablePassthrough.assign(parsed=itemgetter("raw") | parser, parsing_error=lambda _: None)
    failed = RunnablePassthrough.assign(parsed=lambda _: None)
    return RunnableMap(raw=bound) | parsed.with_fallbacks([failed], exception_key="parsing_error")


def schema_constraint(schema: Any, strict: bool | None) -> tuple[Constraint, Callable[[str], Any]]:
    """The constraint of a schema, and the function that makes a value of a text.

    Raises:
        ValueError: there is no schema.
        TypeError: it is not a schema.
    """
    required: Any = "all" if strict else None
    if schema is None:
        raise ValueError("with_structured_output needs a schema: a pydantic model, TypedDict, dict or constraint")
    if isinstance(schema, Constraint):
        return schema, schema.parse
    if isinstance(schema, Mapping):
        given = dict(schema)
        is_bare = not given.keys() & {"properties", "type", "$ref", "anyOf", "oneOf", "allOf", "enum", "const"}
        if is_bare or (given.get("type") == "function" and isinstance(given.get("function"), Mapping)):
            given = convert_to_json_schema(given)  # a function's or a tool's
        found = JsonSchema(given, property_order="declared", required=required, on_unsupported="report")
        return found, found.parse
    if inspect.isclass(schema) and not issubclass(schema, BaseModel) and hasattr(schema, "__fields__"):
        # A pydantic v1 model.
        first: Any = schema
        found = JsonSchema(
            first.schema(), property_order="declared", additional="closed", required=required, on_unsupported="report"
        )
        return found, lambda text: first(**json.loads(text))
    if inspect.isclass(schema) and _is_schema(schema):
        typed = JsonSchema.of(schema, required=required)
        return typed, typed.parse
    found_any = as_constraint(schema)
    return found_any, found_any.parse


def _is_schema(schema: type) -> bool:
    """Whether values of a class are JSON objects, even if the class alone as a constraint would be bare text."""
    return issubclass(schema, BaseModel) or hasattr(schema, "__total__") or hasattr(schema, "__dataclass_fields__")


def _shown(schema: Any, constraint: Constraint) -> Any:
    try:
        return convert_to_json_schema(schema)
    except (ValueError, TypeError, KeyError, AttributeError):
        return constraint.schema if isinstance(constraint, JsonSchema) else repr(constraint)


class StructuredAnswer(BaseTransformOutputParser[Any]):
    """Reads an answer as an instance of its schema, whole or while it is being written.

    A message that calls a tool has no answer, and is passed on unchanged.
    """

    constraint: Any
    read: Any
    shows_data: bool = True

    model_config = ConfigDict(arbitrary_types_allowed=True)

    def parse(self, text: str) -> Any:
        """The value of a whole answer."""
        return self.read(text)

    def parse_result(self, result: list[Generation], *, partial: bool = False) -> Any:
        """The value of a whole answer, or the message that calls a tool."""
        message = getattr(result[0], "message", None)
        return message if isinstance(message, AIMessage) and message.tool_calls else self.read(result[0].text)

    def _transform(self, input: Iterator[str | BaseMessage]) -> Iterator[Any]:
        progress = _Progress(self)
        for chunk in input:
            yield from progress.feed(chunk)
        yield from progress.finish()

    async def _atransform(self, input: AsyncIterator[str | BaseMessage]) -> AsyncIterator[Any]:
        progress = _Progress(self)
        async for chunk in input:
            for value in progress.feed(chunk):
                yield value
        for value in progress.finish():
            yield value

    @property
    def _type(self) -> str:
        return "rellm-structured-answer"


class _Progress:
    """The growing values of an answer while it is being written, without repetitions; the complete one last."""

    def __init__(self, parser: StructuredAnswer) -> None:
        self._parser = parser
        self._partial = PartialJson() if isinstance(parser.constraint, JsonSchema) else None
        self._total: Any = None
        self._last: Any = None
        self._is_begun = False

    def feed(self, chunk: Any) -> Iterator[Any]:
        """Yields the value so far, if the chunk has changed it."""
        self._total = chunk if self._total is None else self._total + chunk
        text = chunk if isinstance(chunk, str) else chunk.text
        if self._partial is None or not text:
            return
        self._partial.feed(text)
        yield from self._shown(self._value())

    def finish(self) -> Iterator[Any]:
        """Yields the complete value, if the last one was incomplete."""
        if self._total is None:
            return
        if isinstance(self._total, AIMessage) and self._total.tool_calls:
            yield self._total
            return
        yield from self._shown(self._parser.read(self._total if isinstance(self._total, str) else self._total.text))

    def _shown(self, value: Any) -> Iterator[Any]:
        if value is None and not self._is_begun:
            return
        if self._is_begun and type(self._last) is type(value) and self._last == value:
            return
        self._is_begun, self._last = True, value
        yield value

    def _value(self) -> Any:
        """Plain data for a schema; an instance of a type as soon as the type accepts the data so far."""
        assert self._partial is not None
        value = copy.deepcopy(self._partial.value)
        target = getattr(self._parser.constraint, "python_type", None)
        if not self._parser.shows_data:
            return self._last
        if target is None or value is None or not inspect.isclass(target) or hasattr(target, "__total__"):
            return value
        if isinstance(value, dict) and issubclass(target, BaseModel):
            try:
                return target.model_validate(value)
            except ValueError:
                return self._last
        return self._last
