"""The keywords of JSON Schema: those that hold schemas, the type of value of each, and corrections of misspelt ones."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any, Final

DRAFTS: Final = ("draft-04", "draft-06", "draft-07", "2019-09", "2020-12")

# Keys are the ends of `$schema`, without scheme and fragment.
_DIALECTS: Final = {
    "json-schema.org/draft-04/schema": "draft-04",
    "json-schema.org/draft-06/schema": "draft-06",
    "json-schema.org/draft-07/schema": "draft-07",
    "json-schema.org/draft/2019-09/schema": "2019-09",
    "json-schema.org/draft/2020-12/schema": "2020-12",
    "json-schema.org/schema": "2020-12",
}

SCHEMA, SCHEMAS, SCHEMA_MAP, ITEMS, DEPENDENCIES = "schema", "schemas", "map", "items", "dependencies"

# The places of the schemas inside a keyword's value.
HOLDS: Final = {
    "additionalItems": SCHEMA,
    "additionalProperties": SCHEMA,
    "contains": SCHEMA,
    "contentSchema": SCHEMA,
    "else": SCHEMA,
    "if": SCHEMA,
    "not": SCHEMA,
    "propertyNames": SCHEMA,
    "then": SCHEMA,
    "unevaluatedItems": SCHEMA,
    "unevaluatedProperties": SCHEMA,
    "items": ITEMS,
    "allOf": SCHEMAS,
    "anyOf": SCHEMAS,
    "oneOf": SCHEMAS,
    "prefixItems": SCHEMAS,
    "$defs": SCHEMA_MAP,
    "definitions": SCHEMA_MAP,
    "dependentSchemas": SCHEMA_MAP,
    "patternProperties": SCHEMA_MAP,
    "properties": SCHEMA_MAP,
    "dependencies": DEPENDENCIES,
}

OBJECT: Final = frozenset(
    {
        "additionalProperties",
        "dependencies",
        "dependentRequired",
        "maxProperties",
        "minProperties",
        "patternProperties",
        "properties",
        "propertyNames",
        "required",
    }
)
ARRAY: Final = frozenset({"contains", "items", "maxItems", "minItems", "prefixItems", "uniqueItems"})
STRING: Final = frozenset({"format", "maxLength", "minLength", "pattern"})
NUMBER: Final = frozenset({"exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum", "multipleOf"})
OWN: Final = OBJECT | ARRAY | STRING | NUMBER | {"const", "enum", "type"}
# The vocabulary of validation; of formats there are vocabularies of their own.
VALIDATION: Final = (NUMBER | STRING) - {"format"} | {
    "const", "dependentRequired", "enum", "maxContains", "maxItems", "maxProperties", "minContains", "minItems",
    "minProperties", "required", "type", "uniqueItems",
}  # fmt: skip
# Keywords whose schemas apply to the same value as the schema around them.
IN_PLACE: Final = frozenset(
    {
        "$dynamicRef",
        "$recursiveRef",
        "$ref",
        "allOf",
        "anyOf",
        "dependencies",
        "dependentSchemas",
        "if",
        "not",
        "oneOf",
        "unevaluatedItems",
        "unevaluatedProperties",
    }
)
# Keywords that have an effect only beside another keyword.
BESIDE: Final = {
    "additionalItems": "items",
    "else": "if",
    "maxContains": "contains",
    "minContains": "contains",
    "then": "if",
}
ANNOTATIONS: Final = frozenset(
    {
        "$anchor",
        "$comment",
        "$defs",
        "$dynamicAnchor",
        "$id",
        "$recursiveAnchor",
        "$schema",
        "$vocabulary",
        "contentEncoding",
        "contentMediaType",
        "contentSchema",
        "default",
        "definitions",
        "deprecated",
        "description",
        "examples",
        "id",
        "readOnly",
        "title",
        "writeOnly",
    }
)
ASSERTIONS: Final = OWN | IN_PLACE | set(BESIDE)
KNOWN: Final = ASSERTIONS | ANNOTATIONS

# The draft that introduced a keyword, and the last that defines it.
_SINCE: Final = {
    "$anchor": "2019-09",
    "$defs": "2019-09",
    "$dynamicAnchor": "2020-12",
    "$dynamicRef": "2020-12",
    "$recursiveAnchor": "2019-09",
    "$recursiveRef": "2019-09",
    "const": "draft-06",
    "contains": "draft-06",
    "dependentRequired": "2019-09",
    "dependentSchemas": "2019-09",
    "else": "draft-07",
    "if": "draft-07",
    "maxContains": "2019-09",
    "minContains": "2019-09",
    "prefixItems": "2020-12",
    "propertyNames": "draft-06",
    "then": "draft-07",
    "unevaluatedItems": "2019-09",
    "unevaluatedProperties": "2019-09",
}
_UNTIL: Final = {
    "$recursiveAnchor": "2019-09",
    "$recursiveRef": "2019-09",
    "additionalItems": "2019-09",
    "definitions": "draft-07",
    "dependencies": "draft-07",
    "id": "draft-04",
}
# By draft, the keywords of later drafts: a schema whose `$schema` names the draft ignores them.
LATER: Final = {
    draft: frozenset(k for k, since in _SINCE.items() if DRAFTS.index(since) > DRAFTS.index(draft)) for draft in DRAFTS
}
# Keywords of other vocabularies: not misspelt, and ignored.
_FOREIGN: Final = frozenset(
    {
        "discriminator",
        "disallow",
        "enumNames",
        "errorMessage",
        "example",
        "extends",
        "externalDocs",
        "links",
        "markdownDescription",
        "name",
        "nullable",
        "optional",
        "options",
        "order",
        "propertyOrder",
        "version",
        "xml",
    }
)
_WRITTEN: Final = {"min": "minimum", "max": "maximum", "maxlength": "maxLength", "minlength": "minLength"}


def dialect_of(uri: Any) -> str | None:
    """The draft that a `$schema` names; None for one that is not published."""
    if not isinstance(uri, str):
        return None
    return _DIALECTS.get(uri.partition("://")[2].removesuffix("#").rstrip("/"))


def newer(keyword: str, draft: str) -> str | None:
    """The later draft that introduced a keyword; None if `draft` has it."""
    since = _SINCE.get(keyword)
    return since if since is not None and DRAFTS.index(draft) < DRAFTS.index(since) else None


def outdated(keyword: str, draft: str) -> str | None:
    """The last draft with a keyword that `draft` has dropped; None if `draft` has it."""
    until = _UNTIL.get(keyword)
    return until if until is not None and DRAFTS.index(draft) > DRAFTS.index(until) else None


def meant_by(keyword: str) -> str | None:
    """The keyword that was probably meant by this one; None if it is not a misspelling."""
    if keyword in _FOREIGN or keyword.startswith(("x-", "_")) or len(keyword) < 3:
        return None
    lowered = keyword.strip().lower().replace("_", "").replace("-", "")
    for known in sorted(KNOWN):
        if known.lower() == lowered or known.lower().lstrip("$") == lowered.lstrip("$"):
            return known
    if keyword in _WRITTEN:
        return _WRITTEN[keyword]
    if len(keyword) < 5:
        return None
    found = get_close_matches(keyword, sorted(ASSERTIONS), n=1, cutoff=0.84)
    return found[0] if found else None
