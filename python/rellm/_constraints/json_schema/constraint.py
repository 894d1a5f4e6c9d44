"""`JsonSchema`: the JSON texts that are valid under a schema."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final
from typing import Literal as OneOf

from rellm._constraints.base import Constraint
from rellm._constraints.expression import ExpressionContext, Fragment, literal, sequence, union
from rellm._constraints.json_schema.document import Document
from rellm._constraints.json_schema.emission import Emission
from rellm._constraints.json_schema.front_end import FrontEnd
from rellm._constraints.json_schema.schema_report import report_of
from rellm._constraints.json_schema.spelling import JsonSpelling
from rellm._constraints.pieces import Pieces
from rellm._constraints.report import Report
from rellm._errors import SchemaError

_FENCE: Final = ("```json\n", "\n```")
_PLAIN: Final = JsonSpelling()
_TOO_DEEP: Final = "the schema is nested too deeply: refer to its parts by $ref"


@dataclass(frozen=True, init=False, repr=False, slots=True)
class JsonSchema(Constraint):
    """The JSON texts that are valid under a JSON Schema (draft 2020-12; 4, 6, 7 and 2019-09 by `$schema`).

    Args:
        schema: the schema: a dict, a bool, JSON text, or the path of a file that holds it.
        spelling: how values are written; by default `JsonSpelling()`.
        property_order: "any" (the default) or "declared": in the order in which properties are declared, others last.
        additional: "closed": objects with declared properties have no others, unless the schema mentions them.
        required: "all": every declared property is written.
        assert_formats: whether `format` is asserted; unknown formats never are.
        on_unsupported: how to treat keywords that cannot be enforced: "error", "warn" or "report" (see `report`).
        resources: further schemas by URI, which `$ref` may name. Nothing is ever fetched.

    Raises:
        SchemaError: the schema is malformed, or cannot be enforced (with `on_unsupported="error"`): a
            reference to a resource that was not passed, `uniqueItems` over values without bound, recursion that reads
            no character, a pattern that ECMA-262 does not allow, more than 256 branches, multiples that need more than
            10,000 states.
        TypeError: an argument is of another type.
    """

    kind: ClassVar[str] = "json_schema"

    text: str
    spelling: JsonSpelling
    property_order: OneOf["any", "declared"]
    additional: OneOf["closed", "open"] | None
    required: OneOf["all"] | None
    assert_formats: bool
    on_unsupported: OneOf["error", "warn", "report"]
    resources: str
    _read: Any = field(compare=False)

    def __init__(
        self,
        schema: dict[str, Any] | bool | str | Path,
        *,
        spelling: JsonSpelling | None = None,
        property_order: OneOf["any", "declared"] | None = None,
        additional: OneOf["closed", "open"] | None = None,
        required: OneOf["all"] | None = None,
        assert_formats: bool = True,
        on_unsupported: OneOf["error", "warn", "report"] = "error",
        resources: Mapping[str, Any] | None = None,
    ) -> None:
        options: tuple[tuple[str, Any, tuple[Any, ...]], ...] = (
            ("property_order", property_order, (None, "any", "declared")),
            ("additional", additional, (None, "closed", "open")),
            ("required", required, (None, "all")),
            ("on_unsupported", on_unsupported, ("error", "warn", "report")),
        )
        for name, value, allowed in options:
            if value not in allowed:
                raise TypeError(f"{name} is one of {', '.join(map(repr, allowed))}, not {value!r}")
        text, root = _read_schema(schema)
        given, others = _read_resources(resources)
        values: dict[str, Any] = {
            "text": text,
            "spelling": spelling or _PLAIN,
            "property_order": property_order or "any",
            "additional": additional,
            "required": required,
            "assert_formats": assert_formats,
            "on_unsupported": on_unsupported,
            "resources": given,
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)
        object.__setattr__(self, "_read", _Reading(self, root, others))
        if on_unsupported == "warn":
            for note in self._read.front.notes:
                pointer = self._read.front.pointer(note.schema, note.keyword)
                warnings.warn(f"{pointer} is not enforced: {note.why}; {note.remedy}", stacklevel=2)

    @staticmethod
    def of(
        python_type: Any,
        *,
        spelling: JsonSpelling | None = None,
        property_order: OneOf["any", "declared"] | None = None,
        additional: OneOf["closed", "open"] | None = None,
        required: OneOf["all"] | None = None,
        on_unsupported: OneOf["error", "warn", "report"] | None = None,
    ) -> JsonSchema:
        """The JSON texts of the values of a Python type; the value of a text is one of them. Needs pydantic.

        Objects are closed (but for models that allow extra fields), their keys come in the order of their declaration,
        and texts are spelled as `json.dumps` does, so that keys are forced text.

        Args:
            python_type: a pydantic model, dataclass, TypedDict, NamedTuple, Enum, `Literal`, any annotation of these,
                or a function for its arguments: the value is then a dict of them.
            spelling: how values are written; by default "spaced".
            property_order: "declared" (the default) or "any".
            additional: "closed" (the default) or "open".
            required: "all": fields with a default are written too.
            on_unsupported: how to treat rules that cannot be enforced while the text is written; by default "report":
                they are checked when the text is complete.

        Raises:
            TypeError: pydantic knows no JSON for the type.
            ImportError: pydantic is not installed.
        """
        from rellm._constraints.python_types import TypedJson

        return TypedJson(
            python_type,
            spelling=spelling,
            property_order=property_order,
            additional=additional,
            required=required,
            on_unsupported=on_unsupported,
        )

    @property
    def is_python(self) -> bool:
        """Whether the schema is that of a Python type."""
        return False

    @property
    def front(self) -> FrontEnd:
        """The reader of the schema."""
        front: FrontEnd = self._read.front
        return front

    @property
    def schema(self) -> Any:
        """The schema, as a new value."""
        return json.loads(self.text)

    def to_expression(self, context: ExpressionContext) -> Fragment:
        """The fragment of this constraint in a context."""
        fragment: Fragment = self._read.into(context)
        return fragment

    def operations(self) -> tuple[list[int], ExpressionContext]:
        """The whole list of operations of this constraint alone, with the context that it refers to."""
        return self._read.operations, self._read.context

    def report(self) -> Report:
        """Whether each keyword is enforced: one entry for each occurrence."""
        reading = self._read
        resources = list(dict.fromkeys([reading.document.main, *reading.document.resources()]))
        notes, python = reading.front.notes, self.is_python
        return report_of(resources, notes, assert_formats=self.assert_formats, is_python=python)

    def parse(self, pieces: Any) -> Any:
        """The value of a text of this constraint, as plain JSON data."""
        return json.loads(self.unfenced(Pieces.of(pieces).text))

    def unfenced(self, text: str) -> str:
        """The value's own text, without a Markdown fence around it."""
        if self.spelling.fence == "optional" and text.startswith(_FENCE[0]):
            return text[len(_FENCE[0]) :].removesuffix(_FENCE[1])
        return text

    def _to_data(self) -> dict[str, Any]:
        layout = self.spelling
        return {
            "schema": self.text,
            "spelling": {
                "whitespace": layout.whitespace,
                "fence": layout.fence,
                "max_digits": layout.max_digits,
                "integers": layout.integers,
            },
            "property_order": self.property_order,
            "additional": self.additional,
            "required": self.required,
            "assert_formats": self.assert_formats,
            "on_unsupported": self.on_unsupported,
            "resources": self.resources,
        }

    @classmethod
    def _from_data(cls, data: dict[str, Any]) -> JsonSchema:
        return _rebuilt(data)

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuilt, (self._to_data(),))

    def __repr__(self) -> str:
        shown = self.text if len(self.text) <= 80 else f"{self.text[:77]}…"
        return f"JsonSchema({shown})"


def _rebuilt(data: dict[str, Any]) -> JsonSchema:
    """The constraint that `_to_data` described."""
    data = dict(data)
    spelling, resources = JsonSpelling(**data.pop("spelling")), json.loads(data.pop("resources"))
    return JsonSchema(data.pop("schema"), spelling=spelling, resources=resources, **data)


class _Reading:
    """A schema, and its fragments in a context of its own."""

    __slots__ = ("constraint", "context", "document", "front", "operations", "root")

    def __init__(self, constraint: JsonSchema, root: Any, resources: Mapping[str, Any]) -> None:
        self.constraint = constraint
        self.document = Document(root, resources)
        self.front = FrontEnd(
            self.document,
            assert_formats=constraint.assert_formats,
            on_unsupported=constraint.on_unsupported,
            required_all=constraint.required == "all",
            is_python=constraint.is_python,
        )
        given = constraint.text + constraint.resources
        self.front.is_dynamic = '"$dynamicRef"' in given or '"$recursiveRef"' in given
        self.front.tracks_evaluated = '"unevaluated' in given
        self.context = ExpressionContext()
        try:
            emission, self.root = self._write(self.context)
            self.operations = emission.finish(self.root)
        except RecursionError:
            raise SchemaError(_TOO_DEEP, pointer="") from None

    def _write(self, context: ExpressionContext) -> tuple[Emission, Fragment]:
        constraint = self.constraint
        emission = Emission(
            self.front,
            context,
            constraint.spelling,
            is_ordered=constraint.property_order == "declared",
            is_closed=constraint.additional == "closed",
        )
        fragment = emission.value(self.front.root_term())
        if constraint.spelling.fence == "optional":
            fenced = sequence([literal(context, _FENCE[0]), fragment, literal(context, _FENCE[1])])
            fragment = union([fragment, fenced])
        return emission, fragment

    def into(self, context: ExpressionContext) -> Fragment:
        """The fragment in another context."""
        return list(self.root) if context.take_over(self.context) else self._write(context)[1]


def _read_schema(schema: Any) -> tuple[str, Any]:
    """The schema's text, and a copy of its own."""
    if isinstance(schema, Path):
        schema = schema.read_text(encoding="utf-8")
    if isinstance(schema, str):
        try:
            root = json.loads(schema)
        except RecursionError:
            raise SchemaError(_TOO_DEEP, pointer="") from None
        except ValueError as error:
            message = f"the schema is no JSON text: {error}; for a pattern, use rellm.Regex"
            raise SchemaError(message, pointer="") from None
        if not isinstance(root, (dict, bool)):
            raise SchemaError(f"a schema is an object or a boolean, not {root!r:.60}", pointer="")
        if "\\" not in schema and "NaN" not in schema and "Infinity" not in schema:
            return schema, root  # PERF: avoids writing and reading it again
        schema = root
    if not isinstance(schema, (dict, bool)):
        raise TypeError(
            f"JsonSchema takes a dict, a bool, JSON text or a path, not {type(schema).__name__}: "
            "for a Python type, use rellm.JsonSchema.of"
        )
    try:
        text = json.dumps(schema, ensure_ascii=False, allow_nan=False)
    except RecursionError:
        raise SchemaError(_TOO_DEEP, pointer="") from None
    except (TypeError, ValueError) as error:
        raise SchemaError(f"the schema is no JSON: {error}", pointer="") from None
    return text, json.loads(text)


def _read_resources(resources: Mapping[str, Any] | None) -> tuple[str, dict[str, Any]]:
    if not resources:
        return "{}", {}
    text = json.dumps(dict(resources), ensure_ascii=False, allow_nan=False)
    return text, json.loads(text)
