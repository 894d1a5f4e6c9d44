"""Python types as constraints: bare text for scalars, JSON for all other types; the value has the type.

pydantic's `TypeAdapter` gives the JSON Schema of a type and parses the text. Where the schema is wider than its checks
(validators, the range of dates), the schema is narrowed to the accepted values, or the report says that the rest is
checked when the text is complete.
"""

from __future__ import annotations

import datetime
import enum
import inspect
import json
import types
import typing
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, cast

from rellm._constraints.base import Constraint, kind_of
from rellm._constraints.expression import ExpressionContext, Fragment, choice, literal, union
from rellm._constraints.json_schema.constraint import JsonSchema
from rellm._constraints.json_schema.numbers import number_fragment
from rellm._constraints.json_schema.shapes import BOOLEAN, NUMBER, STRING
from rellm._constraints.json_schema.spelling import JsonSpelling
from rellm._constraints.json_schema.strings import decoded
from rellm._constraints.pieces import Pieces
from rellm._errors import UnsupportedError, ValueRejectedError

if TYPE_CHECKING:
    from pydantic import TypeAdapter

# CPython refuses to parse longer whole numbers (its limit is 4,300 digits), and so does pydantic.
MAX_DIGITS: Final = 4_000
_SCALARS: Final = (bool, int, float, Decimal, str, datetime.date, datetime.datetime, datetime.time, uuid.UUID)
_SPELLING: Final = JsonSpelling("spaced", max_digits=MAX_DIGITS)
_URL_CHARACTERS: Final = "[0-9A-Za-z._~!$&'()*+,;=:@/?-]"
_KEYS: Final[dict[str, Any]] = {
    "integer": {"pattern": "^(?:0|-?[1-9][0-9]{0,17})$"},
    "number": {"pattern": "^-?(?:0|[1-9][0-9]{0,14})(?:[.][0-9]{1,15})?$"},
    "boolean": {"enum": ["true", "false"]},
}


def is_type(value: Any) -> bool:
    """Whether a value is a type, or another form that annotations allow."""
    alias = getattr(typing, "TypeAliasType", types.GenericAlias)  # since Python 3.12
    return isinstance(value, (type, types.UnionType, types.GenericAlias, alias)) or typing.get_origin(value) is not None


def is_scalar(python_type: Any) -> bool:
    """Whether values of a type are written as bare text where the type is the whole constraint."""
    origin = typing.get_origin(python_type)
    if origin is typing.Annotated:
        return is_scalar(typing.get_args(python_type)[0])
    if origin is typing.Literal:
        return True
    return isinstance(python_type, type) and (python_type in _SCALARS or issubclass(python_type, enum.Enum))


def constraint_of(python_type: Any) -> Constraint:
    """The constraint of a type: bare text for a scalar, JSON for every other type."""
    return TypedText(python_type) if is_scalar(python_type) else TypedJson(python_type)


class TypedJson(JsonSchema):
    """The JSON texts of the values of a Python type; made by `JsonSchema.of`.

    Attributes:
        python_type: the type, or the function whose arguments are written.
    """

    __slots__ = ("_adapter", "_options", "_reads", "python_type")

    kind = "python_type"

    python_type: Any
    _adapter: Any
    _options: dict[str, Any]
    _reads: Callable[[Any], Any]

    def __init__(self, python_type: Any, **options: Any) -> None:
        model, reads = _model_of(python_type)
        adapter = _adapter(model)
        schema = _schema_of(adapter, model)
        given = {
            "spelling": _SPELLING,
            "property_order": "declared",
            "additional": "closed",
            "on_unsupported": "report",
            **{name: value for name, value in options.items() if value is not None},
        }
        object.__setattr__(self, "python_type", python_type)
        object.__setattr__(self, "_adapter", adapter)
        object.__setattr__(self, "_reads", reads)
        object.__setattr__(self, "_options", options)
        super().__init__(schema, **given)

    @property
    def is_python(self) -> bool:
        return True

    def parse(self, pieces: Any) -> Any:
        """The value of a text, of the type.

        Raises:
            ValueRejectedError: the type refuses it, by a validator that no schema can say, for instance.
        """
        text = self.unfenced(Pieces.of(pieces).text)
        return self._reads(_validated(self._adapter.validate_json, text, self.python_type))

    def _to_data(self) -> dict[str, Any]:
        raise UnsupportedError(
            f"a Python type cannot be written as JSON: write its schema, JsonSchema({kind_of(self.python_type)}.schema)"
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TypedJson):
            return NotImplemented
        return self.python_type == other.python_type and super().__eq__(other)

    def __hash__(self) -> int:
        return hash((super().__hash__(), "python_type"))

    def __reduce__(self) -> tuple[Any, ...]:
        return (_typed_json, (self.python_type, self._options))

    def __repr__(self) -> str:
        return f"JsonSchema.of({_name(self.python_type)})"


class TypedText(Constraint):
    """The values of a scalar type as bare text: `true`, `3.5`, `2024-02-29`, a member of an Enum.

    Attributes:
        python_type: the type.
    """

    __slots__ = ("_json", "_values", "python_type")

    python_type: Any
    _json: TypedJson
    _values: dict[str, Any] | None

    def __init__(self, python_type: Any) -> None:
        object.__setattr__(self, "python_type", python_type)
        object.__setattr__(self, "_json", TypedJson(python_type))
        object.__setattr__(self, "_values", _values_of(python_type))

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen: {name} cannot be set")

    def to_expression(self, context: ExpressionContext) -> Fragment:
        if self._values is not None:
            return choice(context, self._values)
        front = self._json.front
        ways: list[Fragment] = []
        for kind, shapes in front.expansion(front.root_term()).items():
            for shape in shapes:
                if kind == NUMBER:
                    ways.append(number_fragment(shape, any_spelling=False, max_digits=MAX_DIGITS))
                elif kind == STRING:
                    ways.append(decoded(context, shape, front.texts))
                elif kind == BOOLEAN:
                    ways += [literal(context, "true" if value else "false") for value in sorted(shape)]
        return union(ways)

    def parse(self, pieces: Any) -> Any:
        """The value of a text, of the type.

        Raises:
            ValueRejectedError: the type refuses it.
        """
        text = Pieces.of(pieces).text
        if self._values is not None:
            if text not in self._values:
                raise ValueRejectedError(f"{text!r:.60} is no value of {_name(self.python_type)}", text=text)
            return self._values[text]
        return _validated(self._json._adapter.validate_strings, text, self.python_type)

    def report(self) -> Any:
        return self._json.report()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TypedText) and self.python_type == other.python_type

    def __hash__(self) -> int:
        return hash((TypedText, self._json))

    def __reduce__(self) -> tuple[Any, ...]:
        return (TypedText, (self.python_type,))

    def __repr__(self) -> str:
        return f"TypedText({_name(self.python_type)})"


def _typed_json(python_type: Any, options: dict[str, Any]) -> TypedJson:
    return TypedJson(python_type, **options)


def _name(python_type: Any) -> str:
    return getattr(python_type, "__qualname__", None) or repr(python_type)


def _validated(read: Callable[[str], Any], text: str, python_type: Any) -> Any:
    from pydantic import ValidationError

    try:
        return read(text)
    except ValidationError as error:
        count = error.error_count()
        raise ValueRejectedError(
            f"the text is complete, but {_name(python_type)} refuses its value ({count} errors): "
            f"{error.errors(include_url=False)[0]['msg']}",
            text=text,
        ) from error


def _values_of(python_type: Any) -> dict[str, Any] | None:
    """The values of an Enum or a `Literal`, by the text that is written for them."""
    if typing.get_origin(python_type) is typing.Annotated:
        return _values_of(typing.get_args(python_type)[0])
    if typing.get_origin(python_type) is typing.Literal:
        return {_text_of(value): value for value in _flattened(python_type)}
    if isinstance(python_type, type) and issubclass(python_type, enum.Enum):
        return {_text_of(member.value): member for member in python_type}
    return None


def _flattened(literal_type: Any) -> list[Any]:
    found = []
    for value in typing.get_args(literal_type):
        found += _flattened(value) if typing.get_origin(value) is typing.Literal else [value]
    return found


def _text_of(value: Any) -> str:
    if isinstance(value, enum.Enum):
        value = value.value
    return value if isinstance(value, str) else json.dumps(value)


def _adapter(python_type: Any) -> TypeAdapter[Any]:
    try:
        from pydantic import PydanticSchemaGenerationError, PydanticUserError, TypeAdapter
    except ImportError:
        raise ImportError(
            "Python types need pydantic: install this package with its extra [types], or pass a JSON Schema"
        ) from None
    try:
        return TypeAdapter(python_type)
    except (PydanticSchemaGenerationError, PydanticUserError, NameError) as error:
        raise TypeError(f"pydantic has no schema for {_name(python_type)}: {error}".partition("\n")[0]) from error


def _model_of(python_type: Any) -> tuple[Any, Callable[[Any], Any]]:
    """The type that pydantic gets in place of this one, and the function from its values to ours."""
    if not inspect.isroutine(python_type):
        return python_type, lambda value: value
    from pydantic import create_model

    fields: dict[str, Any] = {}
    hints = typing.get_type_hints(python_type, include_extras=True)
    for name, parameter in inspect.signature(python_type).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise TypeError(f"the argument {parameter} of {_name(python_type)} cannot be passed by name")
        default = ... if parameter.default is parameter.empty else parameter.default
        fields[name] = (hints.get(name, Any), default)
    model = create_model(python_type.__name__, __doc__=inspect.getdoc(python_type), **fields)
    return model, lambda value: {name: getattr(value, name) for name in fields}


def _schema_of(adapter: TypeAdapter[Any], python_type: Any) -> dict[str, Any]:
    from pydantic.errors import PydanticInvalidForJsonSchema

    try:
        return adapter.json_schema(schema_generator=_generator())
    except PydanticInvalidForJsonSchema as error:
        raise TypeError(f"{_name(python_type)} has no form in JSON: {error}".partition("\n")[0]) from error


def _generator() -> Any:
    """pydantic's generator of JSON Schemas, with rules that it enforces and leaves out of its schemas."""
    from pydantic.json_schema import GenerateJsonSchema

    class Generator(GenerateJsonSchema):
        ignored_warning_kinds = {"skipped-choice", "non-serializable-default", "skipped-discriminator"}  # noqa: RUF012

        def decimal_schema(self, schema: Any) -> dict[str, Any]:
            found: dict[str, Any] = {"type": "number"}
            for bound, keyword in _BOUNDS.items():
                if schema.get(bound) is not None:
                    found[keyword] = float(schema[bound])
            places, digits = schema.get("decimal_places"), schema.get("max_digits")
            if digits is not None:
                places = digits if places is None else places
                limit = 10 ** max(digits - places, 0)
                low, high = found.get("minimum", -limit), found.get("maximum", limit)
                found |= {"exclusiveMinimum": max(low, -limit)} if low <= -limit else {}
                found |= {"exclusiveMaximum": min(high, limit)} if high >= limit else {}
            if places is not None and "multipleOf" not in found:
                found["multipleOf"] = float(f"1e-{places}") if places else 1
            return found

        def bytes_schema(self, schema: Any) -> Any:
            return {k: v for k, v in super().bytes_schema(schema).items() if v != "binary"}

        def complex_schema(self, schema: Any) -> Any:
            return {"type": "string", "pattern": r"^-?[0-9]{1,15}(?:\.[0-9]{1,15})?[+-][0-9]{1,15}(?:\.[0-9]{1,15})?j$"}

        def set_schema(self, schema: Any) -> Any:
            return _without_unique(super().set_schema(schema))

        def frozenset_schema(self, schema: Any) -> Any:
            return _without_unique(super().frozenset_schema(schema))

        def datetime_schema(self, schema: Any) -> Any:
            return {**super().datetime_schema(schema), **_checked_times(schema), **_zone(schema)}

        def date_schema(self, schema: Any) -> Any:
            return {**super().date_schema(schema), **_checked_times(schema)}

        def url_schema(self, schema: Any) -> Any:
            return {**super().url_schema(schema), "pattern": _url_pattern(schema)}

        def multi_host_url_schema(self, schema: Any) -> Any:
            return {**super().multi_host_url_schema(schema), "pattern": _url_pattern(schema)}

        def dict_schema(self, schema: Any) -> Any:
            found = super().dict_schema(schema)
            keys = self.resolve_ref_schema(self.generate_inner(schema.get("keys_schema", {"type": "any"})))
            names = _key_schema(keys)
            return {**found, "propertyNames": names} if names else found

        def function_before_schema(self, schema: Any) -> Any:
            return _noted(super().function_before_schema(schema), schema)

        def function_after_schema(self, schema: Any) -> Any:
            return _noted(super().function_after_schema(schema), schema)

        def function_wrap_schema(self, schema: Any) -> Any:
            return _noted(super().function_wrap_schema(schema), schema)

        def function_plain_schema(self, schema: Any) -> Any:
            found = schema.get("json_schema_input_schema")
            return _noted(self.generate_inner(found) if found is not None else {}, schema)

    return Generator


_BOUNDS: Final = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
    "multiple_of": "multipleOf",
}
VALIDATOR: Final = "x-rellm-validator"


def _without_unique(schema: dict[str, Any]) -> dict[str, Any]:
    """Drops `uniqueItems`: pydantic reads a set from a list with repetitions too; its size is checked at the end."""
    found = {keyword: value for keyword, value in schema.items() if keyword != "uniqueItems"}
    return {**found, VALIDATOR: "the size of a set, after repetitions"} if "minItems" in found else found


def _noted(schema: dict[str, Any], core_schema: Any) -> dict[str, Any]:
    function = core_schema["function"]["function"]
    module = getattr(function, "__module__", "") or ""
    if module.startswith(("pydantic.", "pydantic_core")):
        return schema
    return {**schema, VALIDATOR: getattr(function, "__name__", repr(function))}


def _checked_times(schema: Any) -> dict[str, Any]:
    checks = [name for name in ("ge", "gt", "le", "lt", "now_op") if schema.get(name) is not None]
    return {VALIDATOR: f"bounds of time ({', '.join(checks)})"} if checks else {}


def _zone(schema: Any) -> dict[str, Any]:
    return {"format": "naive-date-time"} if schema.get("tz_constraint") == "naive" else {}


def _url_pattern(schema: Any) -> str:
    schemes = "|".join(schema.get("allowed_schemes") or ("https", "http", "ftp"))
    label = "[0-9A-Za-z](?:[0-9A-Za-z-]{0,20}[0-9A-Za-z])?"
    return rf"^(?:{schemes})://(?:{label}\.){{0,4}}[a-z]{{2,12}}(?::[1-9][0-9]{{1,3}})?(?:/{_URL_CHARACTERS}*)?$"


def _key_schema(keys: dict[str, Any]) -> dict[str, Any] | None:
    """A schema of the strings that stand for the keys of a dict."""
    if "enum" in keys or "const" in keys:
        values = keys.get("enum", [keys.get("const")])
        return {"enum": [value for value in values if isinstance(value, str)]}  # others are never read from a key
    if keys.get("type") in _KEYS:
        return cast("dict[str, Any]", _KEYS[keys["type"]])
    asserted = {k: v for k, v in keys.items() if k in ("pattern", "format", "minLength", "maxLength")}
    return asserted or None
