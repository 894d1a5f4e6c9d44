"""Reads a schema into shapes: the meaning of each keyword, and the intersection of schemas that apply to one value.

Every schema of the document that is used gets a number; a term (see `shapes`) is made of such numbers. Expanding a term
gives, for each type of JSON, the shapes whose union it is: first the keywords of the schema itself, then all in-place
applicators (`$ref`, `allOf`, `not`, `if`, …), each by intersection, union or complement of expansions.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, Final

from rellm._constraints.json_schema import complements
from rellm._constraints.json_schema.document import Document, Resource, pointer_to
from rellm._constraints.json_schema.formats import is_string_format
from rellm._constraints.json_schema.json_values import exact, is_number, key_of, text_of
from rellm._constraints.json_schema.keywords import (
    ARRAY as ARRAY_KEYWORDS,
)
from rellm._constraints.json_schema.keywords import (
    ASSERTIONS,
    IN_PLACE,
    LATER,
)
from rellm._constraints.json_schema.keywords import (
    NUMBER as NUMBER_KEYWORDS,
)
from rellm._constraints.json_schema.keywords import (
    OBJECT as OBJECT_KEYWORDS,
)
from rellm._constraints.json_schema.keywords import (
    STRING as STRING_KEYWORDS,
)
from rellm._constraints.json_schema.schema_report import Note
from rellm._constraints.json_schema.shapes import (
    ANYTHING,
    ARRAY,
    BOOLEAN,
    EVERYTHING,
    FREE,
    FREE_ARRAY,
    FREE_BOOLEAN,
    FREE_NUMBER,
    FREE_OBJECT,
    FREE_STRING,
    NOTHING,
    NULL,
    NUMBER,
    OBJECT,
    STRING,
    ArrayShape,
    Contained,
    Expansion,
    Layer,
    NumberShape,
    ObjectShape,
    StringShape,
    Term,
    meet,
)
from rellm._constraints.json_schema.strings import Texts
from rellm._constraints.report import Direction, Status
from rellm._errors import SchemaError

MAX_BRANCHES: Final = 256
_SIMPLE: Final = frozenset(("null", "boolean", "integer", "number", "string"))
_TYPE_NAMES: Final = frozenset(("null", "boolean", "integer", "number", "string", "array", "object"))


class TooManyBranchesError(Exception):
    """More than `MAX_BRANCHES` combinations would have to be distinguished."""


class Node:
    """A schema in use, with its resource and its dynamic scope."""

    __slots__ = ("alternatives", "complement", "expansion", "is_referenced", "resource", "schema", "scope")

    def __init__(self, schema: dict[str, Any], resource: Resource, scope: int) -> None:
        self.schema, self.resource, self.scope = schema, resource, scope
        self.expansion: Expansion | None = None
        self.complement: Expansion | None = None
        self.is_referenced = False
        # The terms whose union it is, for a node that is not a schema of the document.
        self.alternatives: tuple[Term, ...] | None = None


class FrontEnd:
    """Reads one document.

    Args:
        document: the schema.
        assert_formats: whether `format` is asserted.
        on_unsupported: "error": unsupported keywords raise; else they are left out and noted.
        required_all: whether every declared property is required.
        is_python: whether the schema is that of a Python type.
    """

    def __init__(
        self,
        document: Document,
        *,
        assert_formats: bool = True,
        on_unsupported: str = "error",
        required_all: bool = False,
        is_python: bool = False,
    ) -> None:
        self.document = document
        self.assert_formats = assert_formats
        self.is_strict = on_unsupported == "error"
        self.required_all = required_all
        self.notes: list[Note] = []
        self.texts = Texts(is_python)
        self._nodes: list[Node] = []
        self._numbers: dict[Hashable, int] = {}
        self._constants: dict[Hashable, Term] = {}
        self._unions: dict[tuple[Term, ...], int] = {}
        self._expanding: set[int] = set()
        self._grounded: set[int] = set()
        # For schemas that were read without the keywords of later drafts: the original schema of the document.
        self._originals: dict[int, dict[str, Any]] = {}
        self._empty: dict[Term, bool] = {}
        # Dynamic scopes: by number, the schema of each dynamic anchor; filled only if the document refers to one.
        self._scopes: list[dict[str, tuple[Any, Resource]]] = [{}]
        self._scope_numbers: dict[Hashable, int] = {(): 0}
        self.is_dynamic = False
        self.tracks_evaluated = False

    # --- terms ---

    def root_term(self) -> Term:
        """The term of the whole document."""
        if self.is_dynamic:
            self.document.index()
        main = self.document.main
        return self._term(self.document.root, main, self._enter(0, main))

    def term(self, schema: Any, parent: Node) -> Term:
        """The term of a schema inside the parent's."""
        if schema is True or schema == {}:
            return ANYTHING
        resource, scope = parent.resource, parent.scope
        if self.is_dynamic and isinstance(schema, dict):
            owner = self.document.owner(schema)
            if owner is not resource:
                resource, scope = owner, self._enter(scope, owner)
        elif isinstance(schema, dict):
            resource = self.document._owners.get(id(schema), resource)
        return self._term(schema, resource, scope, parent)

    def node(self, literal: int) -> Node:
        """The node of a literal in a term."""
        return self._nodes[literal >> 1]

    def constant(self, value: Any) -> Term:
        """The term of one value."""
        key = key_of(value)
        term = self._constants.get(key)
        if term is None:
            node = Node({"const": value}, self.document.main, 0)
            term = self._constants[key] = (2 * self._add(node),)
        return term

    def negated(self, term: Term) -> Term:
        """All values that are not in the term."""
        if not term:
            return NOTHING
        if term == NOTHING:
            return ANYTHING
        if len(term) == 1:
            return (term[0] ^ 1,)
        return self.any_of(tuple((literal ^ 1,) for literal in term))

    def any_of(self, terms: tuple[Term, ...]) -> Term:
        """The values of any of these terms."""
        if ANYTHING in terms:
            return ANYTHING
        terms = tuple(dict.fromkeys(term for term in terms if term != NOTHING))
        if len(terms) <= 1:
            return terms[0] if terms else NOTHING
        number = self._unions.get(terms)
        if number is None:
            node = Node({}, self.document.main, 0)
            node.alternatives = terms
            number = self._unions[terms] = self._add(node)
        return (2 * number,)

    def _term(self, schema: Any, resource: Resource, scope: int, parent: Node | None = None) -> Term:
        if schema is True:
            return ANYTHING
        if schema is False:
            return NOTHING
        if not isinstance(schema, dict):
            raise self.malformed(parent.schema if parent else {}, None, f"{text_of(schema)} is no schema")
        simple = schema.get("type")
        if simple.__class__ is str and simple in _SIMPLE and not resource.ignored:
            # PERF: most schemas have a type and no other assertion; they share one node.
            if len(schema) == 1 or len(schema.keys() & ASSERTIONS) == 1:
                return self._typed(simple)
        elif not _REFERENCES.isdisjoint(schema):
            target = self._alias(schema, resource, scope)
            if target is not None:
                return target
        key: Hashable = (id(schema), scope) if scope else id(schema)
        number = self._numbers.get(key)
        if number is None:
            read = schema
            if not schema.keys().isdisjoint(LATER[resource.draft]):
                later = LATER[resource.draft]
                read = {keyword: value for keyword, value in schema.items() if keyword not in later}
                self._originals[id(read)] = schema
            if read.keys().isdisjoint(ASSERTIONS):
                return ANYTHING
            number = self._numbers[key] = self._add(Node(read, resource, scope))
        return (2 * number,)

    def _typed(self, name: str) -> Term:
        """The term of a type of JSON."""
        number = self._numbers.get(name)
        if number is None:
            number = self._numbers[name] = self._add(Node({"type": name}, self.document.main, 0))
        return (2 * number,)

    def _add(self, node: Node) -> int:
        self._nodes.append(node)
        return len(self._nodes) - 1

    def _alias(self, schema: dict[str, Any], resource: Resource, scope: int) -> Term | None:
        """The target of a schema that is only a reference; None for other schemas."""
        seen: list[Any] = []
        while isinstance(schema, dict) and (keyword := _only_reference(schema, resource)):
            if any(schema is other for other in seen):
                raise self.refused(schema, keyword, "the reference leads back to itself", "let it lead to a schema")
            seen.append(schema)
            schema, resource = self.target(schema, keyword, resource, scope)
            scope = self._enter(scope, resource)
        if not seen:
            return None
        if not isinstance(schema, dict):
            return ANYTHING if schema is True else NOTHING
        term = self._term(schema, resource, scope)
        if term and term != NOTHING:
            self.node(term[0]).is_referenced = True
        return term

    def target(self, schema: dict[str, Any], keyword: str, resource: Resource, scope: int) -> tuple[Any, Resource]:
        """The target of a reference in this dynamic scope, and its resource."""
        target, resource = self.follow(schema, keyword, resource)
        fragment = schema[keyword].partition("#")[2]
        if keyword == "$dynamicRef" and isinstance(target, dict) and fragment:
            if target.get("$dynamicAnchor") == fragment:
                return self._scopes[scope].get(fragment, (target, resource))
        elif keyword == "$recursiveRef" and resource.recursive:
            return self._scopes[scope].get("", (target, resource))
        return target, resource

    def follow(self, schema: dict[str, Any], keyword: str, resource: Resource) -> tuple[Any, Resource]:
        """The target of a reference."""
        reference = schema[keyword]
        if not isinstance(reference, str):
            raise self.malformed(schema, keyword, f"{keyword} is a string, not {text_of(reference)}")
        try:
            return self.document.resolve(reference, resource)
        except LookupError as error:
            raise self.refused(schema, keyword, f"{reference!r} cannot be resolved", str(error.args[0])) from None

    def _enter(self, scope: int, resource: Resource) -> int:
        if not self.is_dynamic:
            return 0
        anchors = self._scopes[scope]
        new = {name: (schema, resource) for name, schema in resource.dynamic_anchors.items() if name not in anchors}
        if resource.recursive and "" not in anchors:
            new[""] = (resource.root, resource)
        if not new:
            return scope
        anchors = {**anchors, **new}
        key = tuple(sorted((name, id(schema)) for name, (schema, _) in anchors.items()))
        number = self._scope_numbers.setdefault(key, len(self._scopes))
        if number == len(self._scopes):
            self._scopes.append(anchors)
        return number

    # --- expansion ---

    def expansion(self, term: Term) -> Expansion:
        """The shapes of a term."""
        if not term:
            return EVERYTHING
        if term == NOTHING:
            return {}
        result = self._literal(term[0])
        for literal in term[1:]:
            result = self.intersection(result, self._literal(literal))
        return result

    def _literal(self, literal: int) -> Expansion:
        number = literal >> 1
        node = self._nodes[number]
        if node.expansion is None:
            if number in self._expanding:
                remedy = "put the reference below a property or an item, or remove it"
                raise self.refused(
                    node.schema, "$ref", "the schema is defined by itself (unproductive recursion)", remedy
                )
            self._expanding.add(number)
            try:
                node.expansion = self._expand(node)
            finally:
                self._expanding.discard(number)
        if not literal & 1:
            return node.expansion
        if node.complement is None:
            node.complement = self.complement(node.expansion)
        return node.complement

    def intersection(self, a: Expansion, b: Expansion) -> Expansion:
        """The values of both."""
        if a is EVERYTHING:
            return b
        if b is EVERYTHING:
            return a
        result: Expansion = {}
        for kind, shapes in a.items():
            others = b.get(kind)
            if others:
                met = self.meet_all(kind, shapes, others)
                if met:
                    result[kind] = met
        return result

    def meet_all(self, kind: str, shapes: list[Any], others: list[Any], prune: bool = False) -> list[Any]:
        """The shapes of one type whose union is the intersection of two unions."""
        free = FREE[kind]
        if others[0] is free and len(others) == 1:
            return shapes
        if shapes[0] is free and len(shapes) == 1:
            return others
        met = []
        for shape in shapes:
            for other in others:
                both = meet(shape, other)
                if both is not None and not (prune and self.is_empty(both)):
                    met.append(both)
        if len(met) > MAX_BRANCHES:
            raise TooManyBranchesError
        return met

    def union(self, expansions: list[Expansion]) -> Expansion:
        """The values of any of them."""
        result: Expansion = {}
        for expansion in expansions:
            for kind, shapes in expansion.items():
                found = result.get(kind)
                result[kind] = shapes if found is None else unite(kind, found, shapes)
                if len(result[kind]) > MAX_BRANCHES:
                    raise TooManyBranchesError
        return result

    def complement(self, expansion: Expansion) -> Expansion:
        """All other values."""
        result: Expansion = {}
        for kind, free in FREE.items():
            shapes = self._complement_kind(kind, expansion.get(kind, []))
            if shapes:
                result[kind] = shapes
            del free
        return result

    def _complement_kind(self, kind: str, shapes: list[Any]) -> list[Any]:
        result = [FREE[kind]]
        for shape in shapes:
            result = self.meet_all(kind, result, others) if (others := self._others(kind, shape)) else []
            if not result:
                break
        return result

    def _others(self, kind: str, shape: Any) -> list[Any]:
        """The shapes of all values of the type that are not in this shape."""
        if shape is FREE[kind] or kind == NULL:
            return []
        if kind == BOOLEAN:
            others = FREE_BOOLEAN - shape
            return [others] if others else []
        if kind == ARRAY:
            return complements.array_complement(self, shape)
        if kind == OBJECT:
            return complements.object_complement(self, shape)
        return list(shape.complement())

    def is_empty(self, shape: Any) -> bool:
        """Whether a shape is obviously empty; False if that is not clear."""
        if isinstance(shape, ObjectShape):
            if shape.high is not None and len(shape.required) > shape.high:
                return True
            return any(self.term_is_empty(complements.key_term(self, shape, key)) for key in shape.required)
        if isinstance(shape, ArrayShape):
            last = min(shape.low, shape.prefix_length() + 1)
            return any(self.term_is_empty(shape.item(index)) for index in range(last))
        return False

    def term_is_empty(self, term: Term) -> bool:
        """Whether a term is obviously empty; False if that is not clear."""
        if not term or term == NOTHING:
            return term == NOTHING
        known = self._empty.get(term)
        if known is None:
            self._empty[term] = False  # for the recursion: a term inside itself does not make it empty
            try:
                expansion = self.expansion(term)
            except TooManyBranchesError:
                return False
            known = all(self.is_empty(shape) for shapes in expansion.values() for shape in shapes)
            self._empty[term] = known
        return known

    def _expand(self, node: Node) -> Expansion:
        if node.alternatives is not None:
            return self.union([self.expansion(term) for term in node.alternatives])
        schema = node.schema
        if node.resource.is_old and "$ref" in schema:
            return self._target(node, "$ref")
        result = self.own(node)
        if schema.keys().isdisjoint(IN_PLACE):
            return result
        for keyword, apply in _APPLIERS:
            if keyword in schema:
                try:
                    result = apply(self, node, result)
                except TooManyBranchesError:
                    remedy = f"split the schema, or make its branches differ by a required constant ({keyword})"
                    self.unsupported(schema, keyword, f"more than {MAX_BRANCHES} branches", remedy)
        return result

    def check_grounded(self, number: int, above: frozenset[int] = frozenset()) -> None:
        """Refuses a schema that is one of the branches of its own `anyOf`."""
        node = self._nodes[number]
        if "anyOf" not in node.schema:
            return
        if number in above:
            remedy = "put the reference below a property or an item, or remove it"
            raise self.refused(node.schema, "anyOf", "the schema is defined by itself (unproductive recursion)", remedy)
        if number not in self._grounded:
            for term in self.schemas(node, "anyOf"):
                if len(term) == 1 and term != NOTHING and not term[0] & 1:
                    self.check_grounded(term[0] >> 1, above | {number})
            self._grounded.add(number)

    def _target(self, node: Node, keyword: str) -> Expansion:
        schema, resource = self.target(node.schema, keyword, node.resource, node.scope)
        return self.expansion(self._term(schema, resource, self._enter(node.scope, resource), node))

    # --- the keywords of a schema itself ---

    def own(self, node: Node) -> Expansion:
        """The shapes of the schema's own keywords, without those of applied schemas."""
        schema = node.schema
        if node.resource.ignored:
            schema = {keyword: value for keyword, value in schema.items() if keyword not in node.resource.ignored}
        types = self._types(schema)
        result: Expansion = {}
        keys = schema.keys()
        for kind in types:
            if kind == "integer" or kind == NUMBER:
                if NUMBER in result:
                    continue
                integer = True if NUMBER not in types else None
                if integer or not keys.isdisjoint(NUMBER_KEYWORDS) or "format" in keys:
                    number = self._number(schema, integer)
                    if number is not None:
                        result[NUMBER] = [number]
                else:
                    result[NUMBER] = [FREE_NUMBER]
            elif kind == STRING:
                if keys.isdisjoint(STRING_KEYWORDS):
                    result[kind] = [FREE_STRING]
                else:
                    string = self._string(schema)
                    if string is not None:
                        result[kind] = [string]
            elif kind == ARRAY:
                if keys.isdisjoint(ARRAY_KEYWORDS):
                    result[kind] = [FREE_ARRAY]
                else:
                    result[kind] = [self._array(schema, node)]
            elif kind == OBJECT:
                if keys.isdisjoint(OBJECT_KEYWORDS):
                    result[kind] = [FREE_OBJECT]
                else:
                    result[kind] = [self._object(schema, node)]
            else:
                result[kind] = [FREE[kind]]
        if "enum" in schema:
            values = schema["enum"]
            if not isinstance(values, list):
                raise self.malformed(schema, "enum", f"enum is a list of values, not {text_of(values)}")
            result = self.intersection(self.finite(values), result)
        if "const" in schema:
            result = self.intersection(self.finite([schema["const"]]), result)
        return result

    def finite(self, values: list[Any]) -> Expansion:
        """The shapes of finitely many values."""
        result: Expansion = {}
        numbers: dict[Any, tuple[str, ...]] = {}
        strings, booleans, others = [], set(), []
        for value in values:
            if isinstance(value, str):
                strings.append(value)
            elif isinstance(value, bool):
                booleans.add(value)
            elif value is None:
                result[NULL] = [True]
            elif is_number(value):
                number = exact(value)
                written = () if isinstance(value, int) else (repr(value),)
                numbers[number] = numbers.get(number, ()) + written
            else:
                others.append(value)
        if booleans:
            result[BOOLEAN] = [frozenset(booleans)]
        if numbers:
            result[NUMBER] = [NumberShape(values=numbers)]
        if strings:
            result[STRING] = [StringShape(values=frozenset(strings))]
        for value in others:
            if isinstance(value, list):
                layer = Layer(tuple(map(self.constant, value)), NOTHING)
                result.setdefault(ARRAY, []).append(ArrayShape(len(value), len(value), (layer,)))
            else:
                layer = Layer({key: self.constant(item) for key, item in value.items()}, NOTHING)
                result.setdefault(OBJECT, []).append(ObjectShape(layers=(layer,), required=tuple(value)))
        return result

    def _types(self, schema: dict[str, Any]) -> Any:
        types = schema.get("type")
        if types is None:
            return FREE
        if isinstance(types, str) and types in _TYPE_NAMES:
            return (types,)
        names = (types,) if isinstance(types, str) else types
        if not isinstance(names, (list, tuple)) or not _TYPE_NAMES.issuperset(n for n in names if isinstance(n, str)):
            raise self.malformed(schema, "type", f"{text_of(types)} is no type of JSON")
        if not all(isinstance(name, str) for name in names):
            raise self.malformed(schema, "type", "a type is a string; use anyOf for schemas")
        return names

    def _number(self, schema: dict[str, Any], integer: bool | None) -> NumberShape | None:
        shape = NumberShape(integer=integer)
        for keyword, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
            bound, is_open = self._bound(schema, keyword), False
            open_bound = schema.get(exclusive)
            if isinstance(open_bound, bool):  # draft 4
                is_open = open_bound
            elif open_bound is not None:
                other = self._bound(schema, exclusive)
                if bound is None or (other >= bound if keyword == "minimum" else other <= bound):
                    bound, is_open = other, True
            if bound is not None and keyword == "minimum":
                shape.low, shape.low_open = bound, is_open
            elif bound is not None:
                shape.high, shape.high_open = bound, is_open
        if "multipleOf" in schema:
            multiple = self._bound(schema, "multipleOf")
            if multiple <= 0:
                raise self.malformed(schema, "multipleOf", "multipleOf is greater than 0")
            if not (multiple == 1 and integer):
                shape.multiples = (multiple,)
        width = _WIDTHS.get(schema.get("format")) if self.assert_formats else None
        if width is not None and (integer or not schema.get("format", "").startswith("int")):
            low, high = width
            shape = shape.meet(NumberShape(low=low, high=high)) or NumberShape(low=1, high=0)
        if integer and shape.is_free:
            return FREE_INTEGER
        return None if shape.is_empty() else shape

    def _bound(self, schema: dict[str, Any], keyword: str) -> Any:
        if keyword not in schema:
            return None
        value: Any = schema[keyword]
        if not is_number(value) or value != value or value in (float("inf"), float("-inf")):
            raise self.malformed(schema, keyword, f"{keyword} is a number, not {text_of(value)}")
        return exact(value)

    def count(self, schema: dict[str, Any], keyword: str) -> int | None:
        """A keyword whose value is a natural number."""
        if keyword not in schema:
            return None
        value: Any = schema[keyword]
        if not is_number(value) or value < 0 or value != int(value):
            raise self.malformed(schema, keyword, f"{keyword} is a natural number, not {text_of(value)}")
        return int(value)

    def _string(self, schema: dict[str, Any]) -> StringShape | None:
        low, high = self.count(schema, "minLength") or 0, self.count(schema, "maxLength")
        if high is not None and low > high:
            return None
        patterns: tuple[str, ...] = ()
        if "pattern" in schema:
            if not isinstance(schema["pattern"], str):
                raise self.malformed(schema, "pattern", f"pattern is a string, not {text_of(schema['pattern'])}")
            if self.is_pattern(schema, "pattern", schema["pattern"]):
                patterns = (schema["pattern"],)
        formats: tuple[str, ...] = ()
        if self.assert_formats and is_string_format(schema.get("format"), self.texts.is_python):
            formats = (schema["format"],)
        if not (low or patterns or formats) and high is None:
            return FREE_STRING
        return StringShape(low, high, patterns, formats)

    def is_pattern(self, schema: dict[str, Any], keyword: str, source: str) -> bool:
        """Whether a pattern is valid; an invalid one is refused, or left out and noted."""
        error = self.texts.error(source)
        if error is not None:
            self.unsupported(schema, keyword, error, "write it in the syntax of ECMA-262")
        return error is None

    def _array(self, schema: dict[str, Any], node: Node) -> ArrayShape:
        layers: tuple[Layer, ...] = ()
        prefix, items, has_rest = schema.get("prefixItems", ()), schema.get("items"), "items" in schema
        if isinstance(items, list):  # before 2020-12
            prefix, has_rest = items, "additionalItems" in schema
            items = schema.get("additionalItems", True)
        if prefix or has_rest:
            if not isinstance(prefix, (list, tuple)):
                raise self.malformed(schema, "prefixItems", "prefixItems is a list of schemas")
            rest = self.term(items, node) if has_rest else ANYTHING
            layers = (Layer(tuple(self.term(item, node) for item in prefix), rest, (), True, has_rest),)
        contained: tuple[Contained, ...] = ()
        if "contains" in schema:
            low, high = self.count(schema, "minContains"), self.count(schema, "maxContains")
            term = self.term(schema["contains"], node)
            contained = (Contained(term, 1 if low is None else low, high, 0, node.resource.draft == "2020-12"),)
        unique = schema if schema.get("uniqueItems") is True else None
        low, high = self.count(schema, "minItems") or 0, self.count(schema, "maxItems")
        return ArrayShape(low, high, layers, contained, unique)

    def _object(self, schema: dict[str, Any], node: Node) -> ObjectShape:
        layers: tuple[Layer, ...] = ()
        properties, patterns = self._map(schema, "properties"), self._map(schema, "patternProperties")
        has_rest = "additionalProperties" in schema
        if properties or patterns or has_rest:
            named: dict[str, Term] = {}
            atoms: tuple[tuple[str, Term], ...] = ()
            if properties:
                named = self._schema_map(schema, "properties", node)
            if patterns:
                found = self._schema_map(schema, "patternProperties", node).items()
                atoms = tuple(item for item in found if self.is_pattern(schema, "patternProperties", item[0]))
            rest = self.term(schema["additionalProperties"], node) if has_rest else ANYTHING
            layers = (Layer(named, rest, atoms, True, has_rest),)
        if "propertyNames" in schema:
            names = self.term(schema["propertyNames"], node)
            if names:
                layers += (Layer({}, ANYTHING, ((self.negated(names), NOTHING),)),)
        required = schema.get("required", ())
        if not isinstance(required, list):
            if required != () and not isinstance(required, bool):
                raise self.malformed(schema, "required", f"required is a list of names, not {text_of(required)}")
            required = ()
        elif not all(isinstance(name, str) for name in required):
            raise self.malformed(schema, "required", "required is a list of names")
        if self.required_all and properties:
            required = [*(key for key, term in layers[0].named.items() if term != NOTHING), *required]
        clauses: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = ()
        for keyword in ("dependentRequired", "dependencies"):
            for key, names in self._map(schema, keyword).items():
                if isinstance(names, list):
                    clauses += tuple(((key,), (name,)) for name in names)
        low, high = self.count(schema, "minProperties") or 0, self.count(schema, "maxProperties")
        return ObjectShape(low, high, layers, tuple(dict.fromkeys(required)), clauses)

    def _map(self, schema: dict[str, Any], keyword: str) -> Mapping[str, Any]:
        value = schema.get(keyword, {})
        if not isinstance(value, dict):
            raise self.malformed(schema, keyword, f"{keyword} is an object, not {text_of(value)}")
        return value

    def _schema_map(self, schema: dict[str, Any], keyword: str, node: Node) -> dict[str, Term]:
        return {name: self.term(held, node) for name, held in self._map(schema, keyword).items()}

    def schemas(self, node: Node, keyword: str) -> list[Term]:
        """The terms of a keyword that holds a list of schemas."""
        held = node.schema[keyword]
        if not isinstance(held, list) or not held:
            raise self.malformed(node.schema, keyword, f"{keyword} is a list of schemas, and has at least one")
        return [self.term(schema, node) for schema in held]

    # --- errors and notes ---

    def malformed(self, schema: dict[str, Any], keyword: str | None, message: str) -> SchemaError:
        """The error for a keyword whose value the specification does not allow."""
        pointer = self.pointer(schema, keyword)
        return SchemaError(f"{message} (at {pointer or '/'} of the schema)", pointer=pointer, keyword=keyword)

    def refused(self, schema: dict[str, Any], keyword: str, why: str, remedy: str) -> SchemaError:
        """The error for an unsupported keyword."""
        pointer = self.pointer(schema, keyword)
        return SchemaError(f"{keyword} at {pointer} of the schema: {why}; {remedy}", pointer=pointer, keyword=keyword)

    def unsupported(self, schema: dict[str, Any], keyword: str, why: str, remedy: str) -> None:
        """Refuses a keyword, or notes that it is left out."""
        if self.is_strict:
            raise self.refused(schema, keyword, why, f'{remedy}, or pass on_unsupported="warn"')
        self.note(schema, keyword, "not enforced", "wider", why, remedy)

    def note(
        self, schema: dict[str, Any], keyword: str, status: Status, direction: Direction, why: str, remedy: str
    ) -> None:
        """Notes whether a keyword is enforced; the first note of a keyword counts."""
        schema = self._originals.get(id(schema), schema)
        self.notes.append(Note(schema, keyword, status, direction, why, remedy))

    def schema_with(self, keyword: str) -> dict[str, Any]:
        """The last schema in use that has this keyword."""
        found = (node.schema for node in reversed(self._nodes) if keyword in node.schema)
        return next(found, {keyword: None})

    def pointer(self, schema: dict[str, Any], keyword: str | None) -> str:
        """The JSON pointer of a keyword of a schema, in the document or in the resource that holds it."""
        schema = self._originals.get(id(schema), schema)
        for resource in [self.document.main, *self.document._by_uri.values()]:
            found = pointer_to(resource.root, schema)
            if found is not None:
                return found if keyword is None else f"{found}/{keyword}"
        return ""


FREE_INTEGER: Final = NumberShape(integer=True)
_WIDTHS: Final[dict[Any, tuple[Any, Any]]] = {
    "int32": (-(2**31), 2**31 - 1),
    "int64": (-(2**63), 2**63 - 1),
}


_REFERENCES: Final = frozenset(("$dynamicRef", "$recursiveRef", "$ref"))


def _only_reference(schema: dict[str, Any], resource: Resource) -> str | None:
    """The reference of a schema that is only a reference."""
    if "$ref" in schema and resource.is_old:
        return "$ref"
    asserted = schema.keys() & ASSERTIONS
    if len(asserted) != 1:
        return None
    (keyword,) = asserted
    return keyword if keyword in _REFERENCES else None


def unite(kind: str, shapes: list[Any], others: list[Any]) -> list[Any]:
    """The union of two unions of shapes of one type."""
    free = FREE[kind]
    if shapes[0] is free or others[0] is free or kind == NULL:
        return [free]
    if kind == BOOLEAN:
        return [shapes[0] | others[0]]
    return shapes + [shape for shape in others if not any(shape is known for known in shapes)]


def _reference(keyword: str) -> Any:
    def apply(front: FrontEnd, node: Node, result: Expansion) -> Expansion:
        return front.intersection(result, front._target(node, keyword))

    return apply


def _all_of(front: FrontEnd, node: Node, result: Expansion) -> Expansion:
    for term in front.schemas(node, "allOf"):
        result = front.intersection(result, front.expansion(term))
    return result


def _any_of(front: FrontEnd, node: Node, result: Expansion) -> Expansion:
    branches = [front.expansion(term) for term in front.schemas(node, "anyOf")]
    found = front.union(branches)
    if front.tracks_evaluated:
        # A value may be in several branches, and then the members that any of them evaluates count as evaluated.
        for kind in (OBJECT, ARRAY):
            lists = [branch[kind] for branch in branches if kind in branch]
            if sum(any(_evaluates(shape) for shape in shapes) for shapes in lists) and len(lists) > 1:
                found[kind] = _subsets(front, kind, lists)
    return front.intersection(result, found)


def _evaluates(shape: Any) -> bool:
    layers = any(layer.evaluates for layer in shape.layers)
    return layers or (isinstance(shape, ArrayShape) and any(counted.evaluates for counted in shape.contained))


def _subsets(front: FrontEnd, kind: str, lists: list[list[Any]]) -> list[Any]:
    """The shapes of the intersection of each non-empty subset of the unions."""
    found: list[Any] = []
    for shapes in lists:
        added = list(shapes)
        for known in found:
            for shape in shapes:
                both = known.meet(shape)
                if both is not None and not front.is_empty(both):
                    added.append(both)
        found = found + added
        if len(found) > MAX_BRANCHES:
            raise TooManyBranchesError
    return found


def _one_of(front: FrontEnd, node: Node, result: Expansion) -> Expansion:
    branches = [front.expansion(term) for term in front.schemas(node, "oneOf")]
    found: Expansion = {}
    try:
        for kind in FREE:
            lists = [branch.get(kind, []) for branch in branches]
            shapes = front_exclusive(front, kind, lists)
            if shapes:
                found[kind] = shapes
    except TooManyBranchesError:
        remedy = "make the branches differ by a required constant, or use anyOf"
        front.unsupported(node.schema, "oneOf", f"more than {MAX_BRANCHES} branches: read as anyOf", remedy)
        found = front.union(branches)
    return front.intersection(result, found)


def front_exclusive(front: FrontEnd, kind: str, lists: list[list[Any]]) -> list[Any]:
    """The shapes of the values of one type that are in exactly one of the unions."""
    found: list[Any] = []
    for index, shapes in enumerate(lists):
        if not shapes:
            continue
        for other_index, others in enumerate(lists):
            if not others or other_index == index or not shapes:
                continue
            if front.meet_all(kind, shapes, others, prune=True):
                complement = front._complement_kind(kind, others)
                shapes = front.meet_all(kind, shapes, complement, prune=True) if complement else []
        found = unite(kind, found, shapes) if found and shapes else found or shapes
    if len(found) > MAX_BRANCHES:
        raise TooManyBranchesError
    return found


def _not(front: FrontEnd, node: Node, result: Expansion) -> Expansion:
    return front.intersection(result, front.expansion(front.negated(front.term(node.schema["not"], node))))


def _if(front: FrontEnd, node: Node, result: Expansion) -> Expansion:
    schema = node.schema
    if "then" not in schema and "else" not in schema and not front.tracks_evaluated:
        return result
    condition = front.term(schema["if"], node)
    branches = []
    for term, keyword in ((condition, "then"), (front.negated(condition), "else")):
        applied = front.expansion(term)
        if keyword in schema:
            applied = front.intersection(applied, front.expansion(front.term(schema[keyword], node)))
        branches.append(front.intersection(result, applied))
    return front.union([branch for branch in branches if branch])


def _dependent(keyword: str) -> Any:
    def apply(front: FrontEnd, node: Node, result: Expansion) -> Expansion:
        if OBJECT not in result:
            return result
        shapes = result[OBJECT]
        for key, schema in front._map(node.schema, keyword).items():
            if isinstance(schema, list):
                continue
            present = front.expansion(front.term(schema, node)).get(OBJECT, [])
            branches = [ObjectShape(layers=(Layer({key: NOTHING}),))]
            if present:
                branches += front.meet_all(OBJECT, [ObjectShape(required=(key,))], present)
            shapes = front.meet_all(OBJECT, shapes, branches)
        return {**result, OBJECT: shapes} if shapes else {k: v for k, v in result.items() if k != OBJECT}

    return apply


def _unevaluated_properties(front: FrontEnd, node: Node, result: Expansion) -> Expansion:
    term = front.term(node.schema["unevaluatedProperties"], node)
    shapes = []
    for shape in result.get(OBJECT, ()):
        looked_at = [layer for layer in shape.layers if layer.evaluates]
        if not any(layer.evaluates_rest for layer in looked_at):
            named = {key: ANYTHING for layer in looked_at for key in layer.named}
            atoms = dict.fromkeys((atom for layer in looked_at for atom, _ in layer.atoms), ANYTHING)
            layer = Layer(named, term, tuple(atoms.items()), True, True)
            shape = shape.meet(ObjectShape(layers=(layer,)))
        shapes.append(shape)
    return {**result, OBJECT: shapes} if shapes else result


def _unevaluated_items(front: FrontEnd, node: Node, result: Expansion) -> Expansion:
    term = front.term(node.schema["unevaluatedItems"], node)
    shapes = []
    for shape in result.get(ARRAY, ()):
        looked_at = [layer for layer in shape.layers if layer.evaluates]
        if not any(layer.evaluates_rest for layer in looked_at):
            length = max((len(layer.named) for layer in looked_at), default=0)
            contained = tuple(counted.term for counted in shape.contained if counted.evaluates)
            rest = front.any_of((term, *contained)) if contained else term
            layer = Layer((ANYTHING,) * length, rest, (), True, True)
            shape = shape.meet(ArrayShape(layers=(layer,)))
        shapes.append(shape)
    return {**result, ARRAY: shapes} if shapes else result


# In this order: unevaluated members and items are known last.
_APPLIERS: Final[tuple[tuple[str, Any], ...]] = (
    ("$ref", _reference("$ref")),
    ("$dynamicRef", _reference("$dynamicRef")),
    ("$recursiveRef", _reference("$recursiveRef")),
    ("allOf", _all_of),
    ("anyOf", _any_of),
    ("oneOf", _one_of),
    ("not", _not),
    ("if", _if),
    ("dependentSchemas", _dependent("dependentSchemas")),
    ("dependencies", _dependent("dependencies")),
    ("unevaluatedItems", _unevaluated_items),
    ("unevaluatedProperties", _unevaluated_properties),
)
